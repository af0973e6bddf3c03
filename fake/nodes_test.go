package fake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/clustertest"
	"github.com/cutover-dev/cutover/fake"
)

func TestPodsAreSpreadOverTheNodes(t *testing.T) {
	c := running(t, fake.World{Nodes: 3}, 2)
	c.AddFound(app, cluster.Revision{Name: "web-v000", Replicas: 5})
	c.Freeze(app, fake.Replication) // so that what is evicted does not come back elsewhere
	require.Equal(t, []int{3, 2, 2}, []int{c.DrainNode(0), c.DrainNode(1), c.DrainNode(2)})
	require.Equal(t, []int{0, 0, 0}, []int{c.DrainNode(0), c.DrainNode(-1), c.DrainNode(3)})

	c = running(t, fake.World{}, 4)
	require.Equal(t, 4, c.DrainNode(0), "all on the one node")
}

func TestADrainedNodeTakesNoPodsUntilItIsMended(t *testing.T) {
	c := running(t, fake.World{Nodes: 2}, 4)
	require.Equal(t, 2, c.DrainNode(1))
	sleep(t, c, time.Minute)
	require.Equal(t, 4, c.State(app).ReliedOn("web-v001"), "all on the other")
	require.Equal(t, 4, c.DrainNode(0))
	sleep(t, c, time.Hour)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{4, 0}, []int{pods, ready}, "they wait for a node")

	c.MendNode(1)
	sleep(t, c, 2*time.Second-1)
	require.Zero(t, named(t, c, "web-v001").Ready)
	sleep(t, c, 1)
	require.Equal(t, 4, named(t, c, "web-v001").Ready, "booted there")
	require.Equal(t, 4, c.DrainNode(1))
}

func TestABudgetKeepsReadyPodsFromADrain(t *testing.T) {
	c := running(t, fake.World{Nodes: 2}, 4)
	other := first(2)
	require.NoError(t, c.Put(ctx, "other", other))
	sleep(t, c, time.Minute)
	c.Budget(app, 3)
	require.Equal(t, 1+1, c.DrainNode(0), "one of the app that has a budget, one of the other")
	require.Equal(t, 3, named(t, c, "web-v001").Ready)
	require.Zero(t, c.DrainNode(0), "not before the evicted one is replaced")
	sleep(t, c, time.Minute)
	require.Equal(t, 1, c.DrainNode(0))

	c.MendNode(0)
	c.Budget(app, 0)
	sleep(t, c, time.Minute)
	require.Equal(t, 4+2, c.DrainNode(1))
}

func TestABudgetThatIsNotMetKeepsPodsThatAreNotReadyToo(t *testing.T) {
	c := running(t, fake.World{}, 3)
	c.Crash(app, "web-v001", 2, -1)
	c.Budget(app, 2)
	require.Zero(t, c.DrainNode(0))
	c.Budget(app, 1)
	require.Equal(t, 2, c.DrainNode(0), "not the one that is ready")
	require.Equal(t, 1, named(t, c, "web-v001").Ready)
}

func TestPodsOfALostNodeNeverGoAndAreReplacedElsewhere(t *testing.T) {
	c := running(t, fake.World{Nodes: 2, Lag: 10 * time.Second}, 4)
	require.True(t, c.KillPod(app, "web-v001"), "one is on its way when the node is lost")
	c.LoseNode(0)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{5, 2}, []int{pods, ready}, "at once; the replacement has not been made elsewhere yet")
	sleep(t, c, 10*time.Second-1)
	_, ready = counts(t, c, "web-v001")
	require.Equal(t, 2, ready)
	sleep(t, c, time.Hour)
	pods, ready = counts(t, c, "web-v001")
	require.Equal(t, []int{4 + 3, 4}, []int{pods, ready}, "three are terminating for ever")

	c.MendNode(0)
	sleep(t, c, time.Minute)
	pods, ready = counts(t, c, "web-v001")
	require.Equal(t, []int{4, 4}, []int{pods, ready})
}

func TestANodeThatComesBackBeforeItIsGivenUpHasItsPodsStill(t *testing.T) {
	c := running(t, fake.World{Nodes: 2, Lag: 10 * time.Second}, 4)
	c.LoseNode(0)
	sleep(t, c, 10*time.Second-1)
	c.MendNode(0)
	pods, ready := counts(t, c, "web-v001")
	require.Equal(t, []int{4, 4}, []int{pods, ready})
	sleep(t, c, time.Hour)
	pods, ready = counts(t, c, "web-v001")
	require.Equal(t, []int{4, 4}, []int{pods, ready})
}

func TestProxiesFollowTheEndpointsLate(t *testing.T) {
	c := running(t, fake.World{Nodes: 2, EndpointLag: time.Second, ProxyLag: 5 * time.Second}, 2)
	require.Equal(t, 2, c.Held(app, "web-v001"))
	require.Nil(t, c.Unreachable(app))

	scaled(t, c, "web-v001", 0)
	sleep(t, c, 100*time.Millisecond)
	require.Equal(t, []int{0, 1}, c.Unreachable(app), "no pod that they hold accepts")
	sleep(t, c, time.Second)
	require.Zero(t, c.State(app).ReliedOn("web-v001"))
	require.Equal(t, 2, c.Held(app, "web-v001"), "though it is listed no more")
	sleep(t, c, 5*time.Second-1)
	require.Equal(t, 2, c.Held(app, "web-v001"))
	sleep(t, c, 1)
	require.Zero(t, c.Held(app, "web-v001"))
	require.Equal(t, []int{0, 1}, c.Unreachable(app), "they hold nothing, and once did")

	scaled(t, c, "web-v001", 1)
	sleep(t, c, 100*time.Millisecond+2*time.Second+time.Second)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"))
	require.Equal(t, []int{0, 1}, c.Unreachable(app))
	sleep(t, c, 5*time.Second)
	require.Nil(t, c.Unreachable(app))
}

func TestAFrozenProxyHoldsWhatItHeld(t *testing.T) {
	for _, w := range []fake.World{{Nodes: 3}, {Nodes: 3, ProxyLag: time.Second}} {
		c := running(t, w, 2)
		c.FreezeProxy(1)
		r := first(2)
		r.Name, r.Seq = "web-v002", 2
		require.NoError(t, c.Put(ctx, app, r))
		sleep(t, c, time.Minute)
		require.Equal(t, []int{3, 2}, []int{c.Held(app, "web-v001"), c.Held(app, "web-v002")})
		require.Nil(t, c.Unreachable(app))

		deleted(t, c, "web-v001")
		sleep(t, c, time.Hour)
		require.Equal(t, []int{1, 2}, []int{c.Held(app, "web-v001"), c.Held(app, "web-v002")}, "long after its pods are gone")
		require.Equal(t, []int{1}, c.Unreachable(app))

		c.ThawProxy(1)
		sleep(t, c, time.Second)
		require.Equal(t, []int{0, 3}, []int{c.Held(app, "web-v001"), c.Held(app, "web-v002")})
		require.Nil(t, c.Unreachable(app))
	}
}

func TestALostNodesProxyStandsStill(t *testing.T) {
	c := running(t, fake.World{Nodes: 2, ProxyLag: time.Second}, 2)
	c.LoseNode(1)
	r := first(2)
	r.Name, r.Seq = "web-v002", 2
	require.NoError(t, c.Put(ctx, app, r))
	sleep(t, c, time.Minute)
	require.Equal(t, 1, c.Held(app, "web-v002"))
	c.MendNode(1)
	sleep(t, c, time.Second)
	require.Equal(t, 2, c.Held(app, "web-v002"))
}

func TestProxiesThatFollowAtOnceAreNotLookedAt(t *testing.T) {
	c := running(t, fake.World{Nodes: 3}, 2)
	require.Equal(t, 3, c.Held(app, "web-v001"), "their views are the endpoints")
	scaled(t, c, "web-v001", 0)
	sleep(t, c, time.Minute)
	require.Zero(t, c.Held(app, "web-v001"))
	require.Nil(t, c.Unreachable(app))
}

func TestAPreviewIsNoTrafficThatCouldBeMissed(t *testing.T) {
	c := running(t, fake.World{
		Nodes: 2, ProxyLag: time.Second,
		Can:    cluster.Can{Enable: true, Select: true},
		Routes: []cluster.Route{{Name: "service/test", Preview: true}, {Name: "service/web"}},
	}, 2)
	require.Equal(t, 2, c.Held(app, "web-v001"), "two nodes, and one route that is traffic")
	preview := c.State(app).Routes[0]
	preview.Weights = map[string]int{}
	require.NoError(t, c.SetRoute(ctx, app, preview))
	sleep(t, c, time.Minute)
	require.Equal(t, 2, c.Held(app, "web-v001"))
	require.Nil(t, c.Unreachable(app))
}

// A crash loop that only testers see would otherwise keep a drain from its end.
func TestBugWhatAPreviewShowedMovedADrainOn(t *testing.T) {
	c := running(t, fake.World{
		Can:    cluster.Can{Enable: true, Select: true},
		Routes: []cluster.Route{{Name: "service/test", Preview: true}, {Name: "service/web"}},
	}, 2)
	web := c.State(app).Routes[1]
	web.Weights = map[string]int{}
	require.NoError(t, c.SetRoute(ctx, app, web))
	sleep(t, c, time.Minute)
	moved := func() time.Time {
		s, err := c.Observe(ctx, app)
		require.NoError(t, err)
		require.Zero(t, s.ReliedOn("web-v001"))
		return s.Revisions[0].Moved
	}
	before := moved()
	c.KillPod(app, "web-v001")
	sleep(t, c, time.Second)
	require.Equal(t, 1, c.State(app).Routes[0].Serving["web-v001"], "the preview shows it")
	require.Equal(t, before, moved())
}

func TestAWorldOfManyNodesKeepsTheLawsOfACluster(t *testing.T) {
	for _, can := range []cluster.Can{{Enable: true}, {Select: true}, {Weigh: true}, {}} {
		w := fake.World{Nodes: 3, ProxyLag: 3 * time.Second, Can: can, Worker: can == cluster.Can{}}
		clustertest.TestCluster(t, func(*testing.T) clustertest.World {
			c := fake.New(w)
			return clustertest.World{
				Cluster: c, App: app, Other: "web-api", Sleep: c.Sleep, Patience: 2 * time.Minute,
				Template: func(tag string) []byte { return []byte("image: " + tag) },
			}
		}, can)
	}
}

func TestAPodThatIsFoundWhereNoNodeTakesAnyWaitsForNone(t *testing.T) {
	c := fake.New(fake.World{})
	require.Zero(t, c.DrainNode(0))
	c.AddFound(app, cluster.Revision{Name: "web-v001", Replicas: 1, Enabled: true})
	require.True(t, c.Crash(app, "web-v001", 1, time.Second))
	sleep(t, c, time.Minute)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"))
	c.MendNode(0)
	require.Equal(t, 1, c.State(app).ReliedOn("web-v001"))
}
