package fake_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

var ctx = context.Background()

const app = "web"

// first is the revision that most tests begin with.
func first(replicas int) cluster.Revision {
	return cluster.Revision{
		Name: "web-v001", Release: "one", Seq: 1, Template: []byte("image: one"),
		Replicas: replicas, Enabled: true, Fence: "run-1",
	}
}

// running returns a cluster in which the first revision serves.
func running(t *testing.T, w fake.World, replicas int) *fake.Cluster {
	t.Helper()
	c := fake.New(w)
	require.NoError(t, c.Put(ctx, app, first(replicas)))
	require.NoError(t, c.Sleep(ctx, time.Minute))
	require.Equal(t, replicas, named(t, c, "web-v001").Ready)
	return c
}

func named(t *testing.T, c *fake.Cluster, name string) cluster.Revision {
	t.Helper()
	r, ok := c.State(app).Named(name)
	require.True(t, ok, name)
	return r
}

func sleep(t *testing.T, c *fake.Cluster, d time.Duration) {
	t.Helper()
	require.NoError(t, c.Sleep(ctx, d))
}

func TestAPodServesOnlyAfterEveryControllerHasFollowed(t *testing.T) {
	c := fake.New(fake.World{Lag: time.Second, Boot: 10 * time.Second, EndpointLag: 2 * time.Second})
	require.NoError(t, c.Put(ctx, app, first(2)))

	r := named(t, c, "web-v001")
	require.Equal(t, 2, r.Pods, "they may yet appear")
	require.Zero(t, r.Ready)
	sleep(t, c, 11*time.Second-1)
	require.Zero(t, named(t, c, "web-v001").Ready)
	sleep(t, c, 1)
	require.Equal(t, 2, named(t, c, "web-v001").Ready)
	sleep(t, c, 2*time.Second-1)
	require.Zero(t, c.State(app).ReliedOn("web-v001"))
	sleep(t, c, 1)
	require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))
}

func TestPodsAreBornFromTheOldTemplateUntilTheControllerHasSeenTheNew(t *testing.T) {
	c := running(t, fake.World{Lag: 5 * time.Second, Grace: -1}, 2)
	r := named(t, c, "web-v001")
	r.Enabled, r.Fence = false, "run-2"
	require.NoError(t, c.Put(ctx, app, r))
	require.Zero(t, named(t, c, "web-v001").Unsettled, "both pods are off")
	require.True(t, named(t, c, "web-v001").Behind, "but one may be replaced")
	require.Empty(t, named(t, c, "web-v001").Fence)

	require.True(t, c.KillPod(app, "web-v001"))
	require.Equal(t, 1, named(t, c, "web-v001").Unsettled, "one was")
	sleep(t, c, 4*time.Second)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"), "and serves")

	sleep(t, c, time.Second)
	r = named(t, c, "web-v001")
	require.Equal(t, 1, r.Unsettled)
	r.Fence = "run-2"
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Second)
	require.True(t, c.State(app).Dark(named(t, c, "web-v001")))
	require.Equal(t, "run-2", named(t, c, "web-v001").Fence)
}

func TestATerminatingPodIsAPodButNeitherReadyNorServing(t *testing.T) {
	c := running(t, fake.World{Lag: -1, EndpointLag: 3 * time.Second, Grace: 10 * time.Second}, 3)
	r := named(t, c, "web-v001")
	r.Replicas = 1
	require.NoError(t, c.Put(ctx, app, r))

	r = named(t, c, "web-v001")
	require.Equal(t, []int{3, 1}, []int{r.Pods, r.Ready})
	require.Equal(t, 1, c.State(app).ReliedOn(r.Name), "though the endpoints have not followed")
	sleep(t, c, 10*time.Second)
	require.Equal(t, 1, named(t, c, r.Name).Pods)
}

func TestEndpointsCanOutliveTheirPod(t *testing.T) {
	c := running(t, fake.World{Lag: -1, EndpointLag: 3 * time.Second, Grace: -1}, 1)
	r := named(t, c, "web-v001")
	require.NoError(t, c.Delete(ctx, app, r))
	require.Empty(t, c.State(app).Revisions)
	require.Equal(t, 1, c.State(app).Strays)
	sleep(t, c, 3*time.Second)
	require.Zero(t, c.State(app).Strays)
}

func TestPutFlipsABatchAtATimeUntilNothingIsUnsettled(t *testing.T) {
	c := running(t, fake.World{Lag: -1, Batch: 2}, 5)
	left := []int{}
	for range 3 {
		r := named(t, c, "web-v001")
		r.Enabled = false
		require.NoError(t, c.Put(ctx, app, r))
		left = append(left, named(t, c, "web-v001").Unsettled)
	}
	require.Equal(t, []int{3, 1, 0}, left)
}

func TestWritesAreCountedAsAnApiserverWould(t *testing.T) {
	c := running(t, fake.World{}, 3)
	r := named(t, c, "web-v001")
	require.NoError(t, c.Put(ctx, app, r), "nothing differs")
	require.Len(t, c.Writes(), 1)
	r.Enabled = false
	require.NoError(t, c.Put(ctx, app, r))
	require.Len(t, c.Writes(), 1+1+3)
	require.Equal(t, "create revision web-v001", c.Writes()[0].String())
	require.Equal(t, "update revision web-v001", c.Writes()[1].String())
	require.Equal(t, "pod", c.Writes()[4].Kind)
}

func TestChangedIsCalledForEverySingleChange(t *testing.T) {
	var c *fake.Cluster
	var trace []string
	c = fake.New(fake.World{Changed: func() {
		s := c.State(app)
		r := s.Revisions[0]
		trace = append(trace, fmt.Sprintf("%s pods %d ready %d unsettled %d serving %d",
			c.Now().Format("05.0"), r.Pods, r.Ready, r.Unsettled, s.ReliedOn(r.Name)))
	}})
	require.NoError(t, c.Put(ctx, app, first(2)))
	sleep(t, c, 10*time.Second)
	r := named(t, c, "web-v001")
	r.Enabled = false
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Second)
	require.Equal(t, []string{
		"00.0 pods 2 ready 0 unsettled 0 serving 0", // stored
		"00.1 pods 2 ready 0 unsettled 0 serving 0", // born
		"02.1 pods 2 ready 2 unsettled 0 serving 0", // booted
		"02.3 pods 2 ready 2 unsettled 0 serving 2", // listed
		"10.0 pods 2 ready 2 unsettled 2 serving 2", // stored
		"10.0 pods 2 ready 2 unsettled 1 serving 2", // a pod
		"10.0 pods 2 ready 2 unsettled 0 serving 2", // a pod
		"10.1 pods 2 ready 2 unsettled 0 serving 2", // the controller has seen it
		"10.2 pods 2 ready 2 unsettled 0 serving 0", // unlisted
	}, trace)
}

func TestATemplateCanBeSlowOrNeverReady(t *testing.T) {
	c := fake.New(fake.World{Ready: func(template []byte) (time.Duration, bool) {
		return time.Minute, string(template) != "bad"
	}})
	bad := first(1)
	bad.Template = []byte("bad")
	slow := first(1)
	slow.Name, slow.Seq = "web-v002", 2
	require.NoError(t, c.Put(ctx, app, bad))
	require.NoError(t, c.Put(ctx, app, slow))
	sleep(t, c, 59*time.Second)
	require.Zero(t, named(t, c, "web-v002").Ready)
	sleep(t, c, time.Hour)
	require.Equal(t, 1, named(t, c, "web-v002").Ready)
	require.Zero(t, named(t, c, "web-v001").Ready)
}

func TestASelectorServesThoseItNames(t *testing.T) {
	for _, can := range []cluster.Can{{Select: true}, {Weigh: true}} {
		c := fake.New(fake.World{Can: can})
		require.NoError(t, c.Put(ctx, app, first(2)))
		sleep(t, c, time.Minute)
		s := c.State(app)
		require.Zero(t, s.Exposed("web-v001"))
		require.False(t, s.Revisions[0].Enabled)

		s.Routes[0].Weights = map[string]int{"web-v001": 100}
		require.NoError(t, c.SetRoute(ctx, app, s.Routes[0]))
		require.True(t, c.State(app).Revisions[0].Enabled, "found at once")
		require.Zero(t, c.State(app).Exposed("web-v001"))
		sleep(t, c, time.Second)
		require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))
	}
}

func TestLabelsTakeNoWeights(t *testing.T) {
	c := fake.New(fake.World{})
	r := c.State(app).Routes[0]
	r.Weights = map[string]int{"web-v001": 100}
	require.ErrorIs(t, c.SetRoute(ctx, app, r), cluster.ErrUnsupported)
}

func TestAWorkerWorksWhatIsReadyAndEnabled(t *testing.T) {
	c := running(t, fake.World{Worker: true}, 2)
	s := c.State(app)
	require.Empty(t, s.Routes)
	require.Equal(t, cluster.Can{}, s.Can)
	require.Equal(t, 2, s.ReliedOn("web-v001"))
	r := s.Revisions[0]
	r.Enabled = false
	require.NoError(t, c.Put(ctx, app, r))
	require.Zero(t, c.State(app).ReliedOn("web-v001"))
}

func TestAFoundRevisionServesAndIsGood(t *testing.T) {
	for _, w := range []fake.World{
		{}, {Worker: true}, {Can: cluster.Can{Select: true}}, {Can: cluster.Can{Weigh: true}},
		{Can: cluster.Can{Enable: true, Weigh: true}},
	} {
		c := fake.New(w)
		old := cluster.Revision{Name: "web-v000", Replicas: 3, Enabled: true, Template: []byte("old")}
		c.AddFound(app, old)
		s := c.State(app)
		require.Equal(t, 3, s.ReliedOn("web-v000"))
		require.True(t, s.IsGood(s.Revisions[0]))
		sleep(t, c, time.Minute)
		require.Equal(t, s.Revisions[0].Version, named(t, c, "web-v000").Version, "and stays as it is")
		require.Equal(t, 3, c.State(app).ReliedOn("web-v000"))
	}
}

func TestAWorldBeginsAsAStateShows(t *testing.T) {
	for _, w := range []fake.World{
		{}, {Batch: 1, Lag: 3 * time.Second, EndpointLag: 4 * time.Second, Grace: 9 * time.Second},
		{Can: cluster.Can{Select: true}}, {Can: cluster.Can{Weigh: true}}, {Worker: true},
		{Routes: []cluster.Route{{Name: "service/web"}, {Name: "service/test", Preview: true}}},
	} {
		c := fake.New(w)
		c.AddFound(app, cluster.Revision{Name: "web-v000", Replicas: 2, Enabled: true})
		require.NoError(t, c.Put(ctx, app, first(3)))
		for i := range 40 {
			stir(t, c, i)
			want, err := c.Observe(ctx, app)
			require.NoError(t, err)
			got, err := fake.From(app, want, w).Observe(ctx, app)
			require.NoError(t, err)
			require.Equal(t, want, got, "after %d", i)
		}
	}
}

// stir does the i-th of many things, so that all kinds of States come by.
func stir(t *testing.T, c *fake.Cluster, i int) {
	t.Helper()
	switch i % 8 {
	case 1, 5:
		r := named(t, c, "web-v001")
		r.Enabled, r.Note = !r.Enabled, fmt.Sprint(i)
		require.NoError(t, c.Put(ctx, app, r))
	case 3:
		r := named(t, c, "web-v001")
		r.Replicas = 4 - i%3
		require.NoError(t, c.Put(ctx, app, r))
	case 6:
		for _, r := range c.State(app).Routes {
			if can := c.State(app).Can; can.Select || can.Weigh {
				r.Weights = map[string]int{"web-v001": i, "web-v000": 100 - i}
			}
			r.Note = fmt.Sprint(i)
			require.NoError(t, c.SetRoute(ctx, app, r))
		}
	}
	sleep(t, c, time.Duration(i)*170*time.Millisecond)
}

func TestObserveRemembersWhenServingMoved(t *testing.T) {
	c := running(t, fake.World{}, 1)
	look := func() cluster.Revision {
		s, err := c.Observe(ctx, app)
		require.NoError(t, err)
		return s.Revisions[0]
	}
	began := c.Now().Truncate(time.Second)
	require.Equal(t, began, look().Moved, "the first look")
	sleep(t, c, time.Minute)
	require.Equal(t, began, look().Moved)
	c.KillPod(app, "web-v001")
	sleep(t, c, time.Second)
	require.Equal(t, began.Add(61*time.Second), look().Moved)
	c.Forget()
	sleep(t, c, time.Minute)
	require.Equal(t, began.Add(121*time.Second), look().Moved)
}

func TestMeddling(t *testing.T) {
	c := running(t, fake.World{}, 3)
	c.SetReady(app, "web-v001", 1)
	require.Equal(t, 1, named(t, c, "web-v001").Ready)
	c.SetReady(app, "web-v001", 3)
	require.Equal(t, 3, named(t, c, "web-v001").Ready)
	require.True(t, c.FlipPod(app, "web-v001"))
	require.Equal(t, 1, named(t, c, "web-v001").Unsettled)
	c.SetStrays(app, 2)
	require.Equal(t, 2, c.State(app).Strays)
	c.Warn(app, "a budget over both sides")
	require.Len(t, c.State(app).Warnings, 1)
	require.False(t, c.KillPod(app, "nobody"))
}

func TestSleepStopsWithItsContext(t *testing.T) {
	ctx, cancel := context.WithCancel(ctx)
	c := fake.New(fake.World{Changed: cancel})
	require.NoError(t, c.Put(ctx, app, first(1)))
	began := c.Now()
	require.ErrorIs(t, c.Sleep(ctx, time.Hour), context.Canceled)
	require.Equal(t, began, c.Now())
}

func TestErrorsSayWhatWasFound(t *testing.T) {
	c := running(t, fake.World{}, 1)
	r := named(t, c, "web-v001")
	r.Version = "stale"
	err := c.Put(ctx, app, r)
	require.ErrorIs(t, err, cluster.ErrConflict)
	require.EqualError(t, err, "fake: put web-v001: compared with version stale, found 3: changed since it was observed")
	err = c.SetRoute(ctx, app, cluster.Route{Name: "service/none"})
	require.True(t, errors.Is(err, cluster.ErrRefused))
	require.EqualError(t, err, "fake: set service/none: the app has no such route: refused")
}

func TestTheSameCallsMakeTheSameWorld(t *testing.T) {
	run := func() ([]fake.Write, cluster.State) {
		c := running(t, fake.World{Batch: 2}, 5)
		for i := range 24 {
			stir(t, c, i)
		}
		return c.Writes(), c.State(app)
	}
	writes, state := run()
	for range 5 {
		again, stateAgain := run()
		require.Equal(t, writes, again)
		require.Equal(t, state, stateAgain)
	}
}

func TestSeveralGoroutinesMayCall(t *testing.T) {
	c := running(t, fake.World{}, 2)
	var all sync.WaitGroup
	for i := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			r := cluster.Revision{Name: fmt.Sprintf("web-v1%02d", i), Seq: 100 + int64(i), Replicas: 1, Enabled: true}
			_ = c.Put(ctx, app, r)
			_ = c.Sleep(ctx, time.Second)
			_, _ = c.Observe(ctx, app)
		}()
	}
	all.Wait()
	sleep(t, c, time.Minute)
	require.Equal(t, 2+8, c.State(app).Serving())
}
