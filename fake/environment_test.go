package fake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// scaled asks for so many replicas, as a caller does.
func scaled(t *testing.T, c *fake.Cluster, name string, replicas int) {
	t.Helper()
	r := named(t, c, name)
	r.Replicas = replicas
	require.NoError(t, c.Put(ctx, app, r))
}

func deleted(t *testing.T, c *fake.Cluster, name string) {
	t.Helper()
	require.NoError(t, c.Delete(ctx, app, named(t, c, name)))
}

func counts(t *testing.T, c *fake.Cluster, name string) (pods, ready int) {
	t.Helper()
	r := named(t, c, name)
	return r.Pods, r.Ready
}

func TestAQuotaLeavesPodsUnmadeUntilThereIsRoom(t *testing.T) {
	c := running(t, fake.World{Grace: time.Minute}, 2)
	c.Quota(app, 3)
	scaled(t, c, "web-v001", 5)
	sleep(t, c, time.Hour)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, 5, pods, "two may yet appear")
	require.Equal(t, 3, ready)
	require.False(t, named(t, c, "web-v001").Behind, "the controller has seen it")

	require.True(t, c.KillPod(app, "web-v001"))
	sleep(t, c, 59*time.Second)
	_, ready = counts(t, c, "web-v001")
	require.Equal(t, 2, ready, "a terminating pod takes room")
	sleep(t, c, time.Minute)
	_, ready = counts(t, c, "web-v001")
	require.Equal(t, 3, ready)

	c.Quota(app, -1)
	sleep(t, c, time.Minute)
	_, ready = counts(t, c, "web-v001")
	require.Equal(t, 5, ready)
}

func TestAFrozenControllerDoesNothingUntilItIsThawed(t *testing.T) {
	type figures struct {
		Replicas, Pods, Ready, Serving, Strays int
		Behind                                 bool
	}
	for name, f := range map[string]struct {
		what             fake.Controller
		do               func(t *testing.T, c *fake.Cluster)
		frozen, followed figures
	}{
		"replication": {
			fake.Replication, func(t *testing.T, c *fake.Cluster) { scaled(t, c, "web-v001", 5) },
			figures{5, 5, 3, 3, 0, true}, figures{5, 5, 5, 5, 0, false},
		},
		"readiness": {
			fake.Readiness, func(t *testing.T, c *fake.Cluster) { scaled(t, c, "web-v001", 5) },
			figures{5, 5, 3, 3, 0, false}, figures{5, 5, 5, 5, 0, false},
		},
		"endpoints": {
			fake.Endpoints, func(t *testing.T, c *fake.Cluster) { scaled(t, c, "web-v001", 5) },
			figures{5, 5, 5, 3, 0, false}, figures{5, 5, 5, 5, 0, false},
		},
		"collection": {
			fake.Collection, func(t *testing.T, c *fake.Cluster) { deleted(t, c, "web-v000") },
			figures{3, 3, 3, 3, 2, false}, figures{3, 3, 3, 3, 0, false},
		},
		"status of more": {
			fake.Status, func(t *testing.T, c *fake.Cluster) { scaled(t, c, "web-v001", 5) },
			figures{5, 5, 3, 3, 0, true}, figures{5, 5, 5, 5, 0, false},
		},
		"status of less": {
			fake.Status, func(t *testing.T, c *fake.Cluster) { scaled(t, c, "web-v001", 1) },
			figures{1, 3, 3, 1, 0, true}, figures{1, 1, 1, 1, 0, false},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := running(t, fake.World{}, 3)
			c.AddFound(app, cluster.Revision{Name: "web-v000", Replicas: 2, Enabled: true})
			look := func() figures {
				s, r := c.State(app), named(t, c, "web-v001")
				return figures{r.Replicas, r.Pods, r.Ready, s.ReliedOn(r.Name), s.Strays, r.Behind}
			}
			c.Freeze(app, f.what)
			f.do(t, c)
			sleep(t, c, time.Hour)
			require.Equal(t, f.frozen, look())
			require.True(t, c.Frozen(app, f.what))
			c.Thaw(app, f.what)
			require.False(t, c.Frozen(app, f.what))
			sleep(t, c, time.Minute)
			require.Equal(t, f.followed, look())
		})
	}
}

func TestAFrozenStatusKnowsNothingOfANewRevision(t *testing.T) {
	c := running(t, fake.World{}, 1)
	c.Freeze(app, fake.Status)
	r := first(2)
	r.Name, r.Seq = "web-v002", 2
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Minute)
	require.Zero(t, named(t, c, "web-v002").Ready)
	require.Zero(t, c.State(app).ReliedOn("web-v002"), "serving are those that this same look shows ready")
	require.Empty(t, named(t, c, "web-v002").Fence, "it is Behind")
}

// What the status said when it was frozen it says on, whatever else is frozen since.
func TestBugAFrozenStatusLearnedFromWhatWasFrozenAfterIt(t *testing.T) {
	c := running(t, fake.World{}, 3)
	c.Freeze(app, fake.Status)
	c.SetReady(app, "web-v001", 1)
	c.Freeze(app, fake.Endpoints)
	require.Equal(t, 3, named(t, c, "web-v001").Ready)
}

func TestAnOverCreatedSurplusIsTakenBackYoungestFirst(t *testing.T) {
	c := running(t, fake.World{Lag: 10 * time.Second, Grace: -1}, 2)
	require.True(t, c.OverCreate(app, "web-v001", 3))
	sleep(t, c, 10*time.Second-1)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{5, 5}, []int{pods, ready})

	c.Crash(app, "web-v001", 1, -1)
	sleep(t, c, 1)
	pods, ready = counts(t, c, "web-v001")
	require.Equal(t, []int{2, 2}, []int{pods, ready}, "the one that is not ready goes before the youngest")

	c.Quota(app, 3)
	require.True(t, c.OverCreate(app, "web-v001", 3))
	pods, _ = counts(t, c, "web-v001")
	require.Equal(t, 3, pods)
	c.Freeze(app, fake.Replication)
	require.False(t, c.OverCreate(app, "web-v001", 1))
	require.False(t, c.OverCreate(app, "nobody", 1))
}

func TestCrashedPodsAreTheOldestAndComeBackWhenTold(t *testing.T) {
	c := running(t, fake.World{}, 3)
	require.True(t, c.Crash(app, "web-v001", 2, time.Minute))
	require.Equal(t, 1, named(t, c, "web-v001").Ready, "at once")
	sleep(t, c, time.Minute-1)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"))
	sleep(t, c, 1)
	require.Equal(t, 3, named(t, c, "web-v001").Ready)

	require.True(t, c.Crash(app, "web-v001", 9, -1))
	sleep(t, c, 100*time.Hour)
	require.Zero(t, named(t, c, "web-v001").Ready)
	require.Equal(t, 3, named(t, c, "web-v001").Pods, "nobody replaces them")
	require.False(t, c.Crash(app, "web-v001", 0, time.Minute))
}

func TestACrashMakesNoPodReadyThatWouldNotBe(t *testing.T) {
	c := fake.New(fake.World{Ready: func([]byte) (time.Duration, bool) { return 0, false }})
	require.NoError(t, c.Put(ctx, app, first(1)))
	sleep(t, c, time.Second)
	require.True(t, c.Crash(app, "web-v001", 1, time.Second))
	sleep(t, c, time.Hour)
	require.Zero(t, named(t, c, "web-v001").Ready)
}

func TestAHeldRevisionStaysAsItWasAndTakesNoPut(t *testing.T) {
	c := running(t, fake.World{Lag: time.Second}, 2)
	was := named(t, c, "web-v001")
	c.Hold(app, "web-v001")
	require.NoError(t, c.Delete(ctx, app, was))
	held := named(t, c, "web-v001")
	require.NotEqual(t, was.Version, held.Version)
	require.True(t, held.Behind, "a mark is a new generation")
	sleep(t, c, time.Second)
	require.False(t, named(t, c, "web-v001").Behind)
	require.Equal(t, 2, c.State(app).ReliedOn("web-v001"))

	require.ErrorIs(t, c.Put(ctx, app, was), cluster.ErrConflict)
	require.ErrorIs(t, c.Put(ctx, app, first(2)), cluster.ErrConflict, "the name is taken")
	require.ErrorIs(t, c.Put(ctx, app, held), cluster.ErrRefused, "though nothing differs")
	require.NoError(t, c.Delete(ctx, app, held))
	require.Equal(t, held.Version, named(t, c, "web-v001").Version, "deleted twice is deleted once")
	require.Equal(t, "delete revision web-v001", c.Writes()[len(c.Writes())-1].String())
	require.Len(t, c.Writes(), 2)

	require.True(t, c.KillPod(app, "web-v001"))
	require.True(t, c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Replicas = 0 }))
	sleep(t, c, time.Hour)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{1, 1}, []int{pods, ready}, "its controller neither makes nor takes pods")

	c.LetGo(app, "web-v001")
	require.Empty(t, c.State(app).Revisions)
	sleep(t, c, time.Minute)
	require.Zero(t, c.Held(app, "web-v001"))
}

func TestARevisionThatIsLetGoBeforeItIsDeletedIsAsBefore(t *testing.T) {
	c := running(t, fake.World{}, 1)
	was := named(t, c, "web-v001")
	c.Hold(app, "web-v001")
	c.LetGo(app, "web-v001")
	require.Equal(t, was, named(t, c, "web-v001"))
	deleted(t, c, "web-v001")
	require.Empty(t, c.State(app).Revisions)
}

func TestStuckPodsStayUntilTheyAreUnstuck(t *testing.T) {
	c := running(t, fake.World{}, 3)
	require.True(t, c.KillPod(app, "web-v001"), "before: this one goes")
	c.Stick(app)
	require.True(t, c.KillPod(app, "web-v001"))
	sleep(t, c, 100*time.Hour)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{4, 3}, []int{pods, ready})
	c.Unstick(app)
	pods, _ = counts(t, c, "web-v001")
	require.Equal(t, 3, pods)
	require.True(t, c.KillPod(app, "web-v001"))
	sleep(t, c, time.Minute)
	pods, _ = counts(t, c, "web-v001")
	require.Equal(t, 3, pods, "those told later go as ever")
}

// lasting is everything that lasts until somebody ends it.
var lasting = map[string]func(c *fake.Cluster){
	"quota":              func(c *fake.Cluster) { c.Quota(app, 1) },
	"no replication":     func(c *fake.Cluster) { c.Freeze(app, fake.Replication) },
	"no readiness":       func(c *fake.Cluster) { c.Freeze(app, fake.Readiness) },
	"no endpoints":       func(c *fake.Cluster) { c.Freeze(app, fake.Endpoints) },
	"no collection":      func(c *fake.Cluster) { c.Freeze(app, fake.Collection) },
	"no status":          func(c *fake.Cluster) { c.Freeze(app, fake.Status) },
	"crashed":            func(c *fake.Cluster) { c.Crash(app, "web-v002", 2, -1) },
	"crashed for long":   func(c *fake.Cluster) { c.Crash(app, "web-v002", 1, 10*time.Hour) },
	"kept from ready":    func(c *fake.Cluster) { c.SetReady(app, "web-v002", 1) },
	"held":               func(c *fake.Cluster) { c.Hold(app, "web-v000") },
	"held and deleted":   func(c *fake.Cluster) { c.Hold(app, "web-v000"); c.Remove(app, "web-v000") },
	"stuck":              func(c *fake.Cluster) { c.Stick(app) },
	"stuck and told":     func(c *fake.Cluster) { c.Stick(app); c.KillPod(app, "web-v001") },
	"two nodes drained":  func(c *fake.Cluster) { c.DrainNode(1); c.DrainNode(2) },
	"all nodes drained":  func(c *fake.Cluster) { c.DrainNode(0); c.DrainNode(1); c.DrainNode(2) },
	"a node lost":        func(c *fake.Cluster) { c.LoseNode(1) },
	"all nodes lost":     func(c *fake.Cluster) { c.LoseNode(0); c.LoseNode(1); c.LoseNode(2) },
	"a proxy frozen":     func(c *fake.Cluster) { c.FreezeProxy(1) },
	"a budget":           func(c *fake.Cluster) { c.Budget(app, 100) },
	"an actor":           func(c *fake.Cluster) { c.Every(time.Second, func() bool { return c.KillPod(app, "web-v001") }) },
	"pods of nobody":     func(c *fake.Cluster) { c.Orphan(app, "web-v001"); c.Orphan(app, "web-v001") },
	"strays":             func(c *fake.Cluster) { c.SetStrays(app, 1) },
	"no status, crashed": func(c *fake.Cluster) { c.Freeze(app, fake.Status); c.Crash(app, "web-v001", 3, -1) },
}

// outcome is what a world makes of a probe: of all that somebody may do to it.
type outcome struct {
	State       cluster.State
	Evicted     int
	Unreachable []int
	Held        []int
}

func probe(t *testing.T, c *fake.Cluster) outcome {
	t.Helper()
	var o outcome
	c.Edit(app, "web-v001", func(r *cluster.Revision) { r.Replicas = 4 })
	c.KillPod(app, "web-v001")
	c.Remove(app, "web-v000")
	o.Evicted = c.DrainNode(0)
	sleep(t, c, time.Minute)
	o.State, o.Unreachable = c.State(app), c.Unreachable(app)
	for i := range o.State.Revisions {
		o.State.Revisions[i].Version, o.State.Revisions[i].Moved = "", time.Time{}
	}
	for _, name := range []string{"web-v000", "web-v001", "web-v002"} {
		o.Held = append(o.Held, c.Held(app, name))
	}
	for i := range o.State.Routes {
		o.State.Routes[i].Version = ""
	}
	return o
}

// three is a world with three revisions and three nodes.
func three(t *testing.T) *fake.Cluster {
	t.Helper()
	c := running(t, fake.World{Nodes: 3, ProxyLag: time.Second}, 3)
	c.AddFound(app, cluster.Revision{Name: "web-v000", Replicas: 2, Enabled: true, UID: "zero", Created: c.Now()})
	c.AddFound(app, cluster.Revision{Name: "web-v002", Seq: 2, Replicas: 3, Enabled: true, UID: "two", Created: c.Now()})
	return c
}

func TestHealEndsEverythingThatLasts(t *testing.T) {
	undisturbed := three(t)
	sleep(t, undisturbed, 2*time.Hour)
	want := probe(t, undisturbed)
	for name, disturb := range lasting {
		t.Run(name, func(t *testing.T) {
			c := three(t)
			disturb(c)
			sleep(t, c, 2*time.Hour)
			require.NotEqual(t, want, probe(t, c), "it makes no difference")

			c = three(t)
			disturb(c)
			sleep(t, c, time.Hour)
			c.Heal()
			sleep(t, c, time.Hour)
			got := probe(t, c)
			if name != "a budget" {
				got.Evicted = want.Evicted // the pods may stand elsewhere by then
			}
			require.Equal(t, want, got)
		})
	}
}
