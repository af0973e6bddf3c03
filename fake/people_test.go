package fake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

func TestAnEditIsNobodysWriteAndSetsNoTimes(t *testing.T) {
	c := running(t, fake.World{}, 2)
	writes, was := c.Writes(), named(t, c, "web-v001")
	require.True(t, c.Edit(app, "web-v001", func(r *cluster.Revision) {
		r.Replicas, r.Outcome, r.Note = 3, cluster.Outcome{Result: cluster.Failed, Why: "said so"}, "mine"
		r.Release, r.Seq = "two", 2
		r.Name, r.UID, r.Version, r.Created = "ignored", "ignored", "ignored", time.Time{}
	}))
	sleep(t, c, time.Minute)
	is := named(t, c, "web-v001")
	require.NotEqual(t, was.Version, is.Version)
	want := was
	want.Replicas, want.Pods, want.Ready = 3, 3, 3
	want.Outcome, want.Note, want.Release, want.Seq = is.Outcome, "mine", "two", 2
	want.Version, want.Moved = is.Version, is.Moved
	require.Equal(t, want, is, "Raised and Since are as they were")
	require.Equal(t, cluster.Failed, is.Outcome.Result)
	require.Equal(t, writes, c.Writes())

	require.ErrorIs(t, c.Put(ctx, app, was), cluster.ErrConflict)
	require.False(t, c.Edit(app, "web-v001", func(*cluster.Revision) {}))
	require.False(t, c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Replicas = -1 }))
	require.False(t, c.Edit(app, "nobody", func(r *cluster.Revision) { r.Replicas = 1 }))
	require.Equal(t, is.Version, named(t, c, "web-v001").Version)
}

func TestAnEditOfEnabledLeavesThePodsThatAreThere(t *testing.T) {
	c := running(t, fake.World{}, 2)
	require.True(t, c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Enabled = false }))
	sleep(t, c, time.Minute)
	require.Equal(t, 2, named(t, c, "web-v001").Unsettled)
	require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))
	require.True(t, c.KillPod(app, "web-v001"))
	sleep(t, c, time.Minute)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"), "new ones are born so")
}

func TestAnEditOfTheFenceIsOnTheObjectAlone(t *testing.T) {
	for _, replicas := range []int{0, 2} {
		c := running(t, fake.World{}, replicas)
		require.Equal(t, "run-1", named(t, c, "web-v001").Fence)
		require.True(t, c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Fence = "run-2" }))
		require.False(t, named(t, c, "web-v001").Behind, "an annotation is no new generation")
		require.Empty(t, named(t, c, "web-v001").Fence, "what pods are born from has the old one")
	}
}

func TestAnEditOfARouteSetsNoTimes(t *testing.T) {
	c := running(t, fake.World{Can: cluster.Can{Select: true}}, 2)
	was := c.State(app).Routes[0]
	require.True(t, c.EditRoute(app, was.Name, func(r *cluster.Route) {
		r.Weights["web-v001"], r.Note, r.Fence, r.From = 100, "mine", "them", "web-v001"
	}))
	sleep(t, c, time.Minute)
	is := c.State(app).Routes[0]
	require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))
	require.NotEqual(t, was.Version, is.Version)
	require.Equal(t, []string{"mine", "them", "web-v001"}, []string{is.Note, is.Fence, is.From})
	require.Zero(t, is.Since)
	require.Len(t, c.Writes(), 1)
	require.ErrorIs(t, c.SetRoute(ctx, app, was), cluster.ErrConflict)
	require.False(t, c.EditRoute(app, was.Name, func(*cluster.Route) {}))
	require.False(t, c.EditRoute(app, "service/none", func(r *cluster.Route) { r.Note = "?" }))

	c = running(t, fake.World{}, 2)
	require.False(t, c.EditRoute(app, was.Name, func(r *cluster.Route) { r.Weights = map[string]int{} }), "labels take no weights")
}

func TestARemovedRevisionIsGoneAndItsPodsFollow(t *testing.T) {
	c := running(t, fake.World{Grace: time.Minute}, 2)
	was := named(t, c, "web-v001")
	require.True(t, c.Remove(app, "web-v001"))
	require.Empty(t, c.State(app).Revisions)
	sleep(t, c, time.Minute)
	require.Zero(t, c.Held(app, "web-v001"))
	require.Len(t, c.Writes(), 1)
	require.ErrorIs(t, c.Put(ctx, app, was), cluster.ErrConflict)
	require.False(t, c.Remove(app, "web-v001"))
}

func TestARecreatedRevisionIsAnotherOneOfTheSameName(t *testing.T) {
	c := running(t, fake.World{Grace: time.Minute}, 2)
	was := named(t, c, "web-v001")
	require.True(t, c.Recreate(app, "web-v001"))
	is := named(t, c, "web-v001")
	require.NotEqual(t, was.UID, is.UID)
	require.NotEqual(t, was.Version, is.Version)
	require.Equal(t, c.Now(), is.Created)
	require.Equal(t, is.Created, is.Raised)
	require.Zero(t, is.Ready)
	require.ErrorIs(t, c.Put(ctx, app, was), cluster.ErrConflict)
	require.ErrorIs(t, c.Delete(ctx, app, was), cluster.ErrConflict)

	sleep(t, c, time.Hour)
	is = named(t, c, "web-v001")
	want := was
	want.UID, want.Version = is.UID, is.Version
	want.Created, want.Raised, want.Moved = is.Created, is.Raised, is.Moved
	require.Equal(t, want, is)
	require.Zero(t, c.State(app).Strays)
	require.Len(t, c.Writes(), 1)

	scaled(t, c, "web-v001", 3)
	raised := named(t, c, "web-v001").Raised
	sleep(t, c, time.Minute)
	require.True(t, c.Recreate(app, "web-v001"))
	require.Equal(t, raised, named(t, c, "web-v001").Raised, "what is written on the object is created with it")
	require.False(t, c.Recreate(app, "nobody"))
}

func TestARecreatedRevisionThatIsHeldIsOnlyDeleted(t *testing.T) {
	c := running(t, fake.World{}, 1)
	was := named(t, c, "web-v001")
	c.Hold(app, "web-v001")
	require.True(t, c.Recreate(app, "web-v001"))
	require.Equal(t, was.UID, named(t, c, "web-v001").UID)
	c.LetGo(app, "web-v001")
	require.Empty(t, c.State(app).Revisions)
}

func TestAnOrphanStaysInTrafficAsAStrayAndIsReplaced(t *testing.T) {
	for _, can := range []cluster.Can{{Enable: true}, {Select: true}} {
		c := fake.New(fake.World{Can: can})
		c.AddFound(app, cluster.Revision{Name: "web-v001", Replicas: 2, Enabled: true})
		require.True(t, c.Orphan(app, "web-v001"))
		require.Equal(t, 1, c.State(app).ReliedOn("web-v001"), "at once")
		require.Equal(t, 1, c.State(app).Strays)
		sleep(t, c, time.Hour)
		require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))
		require.Equal(t, 1, c.State(app).Strays)

		deleted(t, c, "web-v001")
		sleep(t, c, time.Hour)
		require.Equal(t, 1, c.State(app).Strays, "nobody's pod goes with nobody")
		c.Collect(app)
		sleep(t, c, time.Minute)
		require.Zero(t, c.State(app).Strays)
		require.False(t, c.Orphan(app, "web-v001"))
	}
}

func TestAnAdoptedPodCountsForItsNewOwnerWhichThenHasTooMany(t *testing.T) {
	c := running(t, fake.World{Grace: -1}, 2)
	r := first(2)
	r.Name, r.Seq, r.Enabled = "web-v002", 2, false
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Minute)
	require.False(t, c.Adopt(app, "web-v001", "web-v001"))
	require.False(t, c.Adopt(app, "web-v001", "nobody"))

	require.True(t, c.Adopt(app, "web-v001", "web-v002"))
	require.Len(t, c.State(app).Revisions, 1)
	is := named(t, c, "web-v002")
	require.Equal(t, []int{2, 2}, []int{is.Pods, is.Ready})
	require.Equal(t, 2, is.Unsettled, "it has lost its own, which were younger, and keeps those in traffic")
	require.Equal(t, 2, c.State(app).ReliedOn("web-v002"))
	require.Zero(t, c.State(app).Strays)
}

func TestAdoptionTakesPodsThatAreNotReadyBeforeYoungerOnes(t *testing.T) {
	c := running(t, fake.World{Grace: -1}, 2)
	r := first(2)
	r.Name, r.Seq, r.Enabled = "web-v002", 2, false
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Minute)
	c.Crash(app, "web-v001", 2, -1)
	require.True(t, c.Adopt(app, "web-v001", "web-v002"))
	is := named(t, c, "web-v002")
	require.Equal(t, []int{2, 2, 0}, []int{is.Pods, is.Ready, is.Unsettled})
}

func TestAnActorActsWhenItIsDueAndNoMoreWhenStopped(t *testing.T) {
	c := running(t, fake.World{}, 1)
	began := c.Now()
	var acted []time.Duration
	act := func() bool {
		acted = append(acted, c.Now().Sub(began)) // a call, so no lock is held
		return false
	}
	stop := c.Every(10*time.Second, act)
	sleep(t, c, 10*time.Second-1)
	require.Empty(t, acted)
	sleep(t, c, 25*time.Second)
	require.Equal(t, []time.Duration{10 * time.Second, 20 * time.Second, 30 * time.Second}, acted)
	stop()
	stop()
	sleep(t, c, time.Hour)
	require.Len(t, acted, 3)
}

func TestControllersComeBeforeActorsAndActorsInTheirOrder(t *testing.T) {
	c := fake.New(fake.World{Lag: -1, Boot: 10 * time.Second})
	var acted []int
	c.Every(5*time.Second, func() bool { acted = append(acted, 1, c.State(app).Revisions[0].Ready); return false })
	c.Every(10*time.Second, func() bool { acted = append(acted, 2, c.State(app).Revisions[0].Ready); return false })
	require.NoError(t, c.Put(ctx, app, first(1)))
	sleep(t, c, 10*time.Second)
	require.Equal(t, []int{1, 0, 1, 1, 2, 1}, acted)
}

func TestWhatAnActorWritesIsFollowedAndTold(t *testing.T) {
	changes := 0
	c := running(t, fake.World{Changed: func() { changes++ }}, 1)
	stop := c.Every(time.Second, func() bool {
		return c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Replicas = 3 })
	})
	sleep(t, c, time.Minute)
	require.Equal(t, 3, c.State(app).ReliedOn("web-v001"))
	stop()

	for _, changed := range []bool{false, true} {
		changes = 0
		stop := c.Every(time.Second, func() bool { return changed })
		sleep(t, c, 5*time.Second)
		require.Equal(t, changed, changes == 5, "%d", changes)
		stop()
	}
}

func TestARouteIsReverted(t *testing.T) {
	c := running(t, fake.World{Can: cluster.Can{Select: true}}, 1)
	c.AddFound(app, cluster.Revision{Name: "web-v002", Seq: 2})
	to := c.State(app).Routes[0]
	to.Weights = map[string]int{"web-v001": 100}
	stop := c.Revert(app, to.Name, to, time.Minute)
	sleep(t, c, time.Minute)
	require.Equal(t, to.Weights, c.State(app).Routes[0].Weights)

	ours := c.State(app).Routes[0]
	ours.Weights = map[string]int{"web-v002": 100}
	require.NoError(t, c.SetRoute(ctx, app, ours))
	sleep(t, c, time.Minute)
	require.Equal(t, to.Weights, c.State(app).Routes[0].Weights)
	stop()
	ours = c.State(app).Routes[0]
	ours.Weights = map[string]int{"web-v002": 100}
	require.NoError(t, c.SetRoute(ctx, app, ours))
	sleep(t, c, time.Hour)
	require.Equal(t, ours.Weights, c.State(app).Routes[0].Weights)
}

func TestARevisionIsAutoscaledAndSeized(t *testing.T) {
	c := running(t, fake.World{}, 1)
	stop := c.Autoscale(app, "web-v001", func(now int) int { return min(now+1, 4) }, time.Minute)
	sleep(t, c, 2*time.Minute+30*time.Second)
	require.Equal(t, 3, named(t, c, "web-v001").Ready)
	sleep(t, c, time.Hour)
	require.Equal(t, 4, named(t, c, "web-v001").Ready)
	stop()

	c.Seize(app, "web-v001", time.Minute)
	for range 2 {
		sleep(t, c, time.Minute+30*time.Second)
		require.Zero(t, named(t, c, "web-v001").Ready)
		scaled(t, c, "web-v001", 2)
	}
}

// An autoscaler scales whom it names, as long as that one is there and has
// replicas, and brings it no traffic.
func TestAnAutoscalerScalesWhomItNames(t *testing.T) {
	const hpa = "horizontalpodautoscaler/web"
	for name, can := range map[string]cluster.Can{"labels": {Enable: true}, "selector": {Select: true}} {
		t.Run(name, func(t *testing.T) {
			service := cluster.Route{Name: "service/web"}
			if can.Select {
				service.Weights = map[string]int{}
			}
			c := fake.New(fake.World{Can: can, Routes: []cluster.Route{
				{Name: hpa, Scaler: true, Weights: map[string]int{"web-v001": 100}}, service,
			}})
			require.Empty(t, c.State(app).Routes[0].Weights, "whom it names is not there yet")
			for i, on := range []bool{true, false} {
				c.AddFound(app, cluster.Revision{Name: cluster.RevisionName(app, int64(i+1), ""), Seq: int64(i + 1), Replicas: 2, Enabled: on, Template: []byte("t")})
			}
			c.Scale(app, hpa, func(r cluster.Revision) int { return r.Replicas + 1 }, time.Minute)
			sleep(t, c, 90*time.Second)
			require.Equal(t, []int{3, 2}, []int{named(t, c, "web-v001").Ready, named(t, c, "web-v002").Ready})

			point := func(to map[string]int) error {
				r := c.State(app).Routes[0]
				r.Weights = to
				return c.SetRoute(ctx, app, r)
			}
			require.NoError(t, point(map[string]int{"web-v002": 100}))
			sleep(t, c, time.Minute)
			s := c.State(app)
			require.Equal(t, []int{3, 3}, []int{named(t, c, "web-v001").Ready, named(t, c, "web-v002").Ready})
			require.Equal(t, 0, s.Exposed("web-v002"), "it brings no traffic")
			require.False(t, named(t, c, "web-v002").Enabled)
			require.Empty(t, s.Routes[0].Serving)

			scaled(t, c, "web-v002", 0)
			sleep(t, c, time.Hour)
			require.Zero(t, named(t, c, "web-v002").Replicas, "no replicas turn it off")

			require.ErrorIs(t, point(nil), cluster.ErrUnsupported)
			require.ErrorIs(t, point(map[string]int{"web-v001": 100, "web-v002": 100}), cluster.ErrUnsupported)
			require.ErrorIs(t, point(map[string]int{}), cluster.ErrRefused)
			require.True(t, c.Remove(app, "web-v002"))
			require.Empty(t, c.State(app).Routes[0].Weights)
			require.NoError(t, point(map[string]int{}), "it names none, and is to name none")
		})
	}
}

func TestAWorldWithAnAutoscalerBeginsAsAStateShows(t *testing.T) {
	s := cluster.State{At: time.Unix(1000, 0).UTC(), Contested: true,
		Revisions: []cluster.Revision{{Name: "web-v001", Seq: 1, Replicas: 2, Pods: 2, Ready: 2, Enabled: true, UID: "u", Version: "7"}},
		Routes:    []cluster.Route{{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "8"}}}
	c := fake.From(app, s, fake.World{})
	now := c.State(app)
	require.True(t, now.Worker())
	require.True(t, now.Contested)
	require.Equal(t, 2, now.ReliedOn("web-v001"))
	_, sized := now.ScalerOf("web-v001")
	require.True(t, sized)
}
