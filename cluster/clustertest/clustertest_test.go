package clustertest_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/clustertest"
	"github.com/cutover-dev/cutover/fake"
)

// worlds are the kinds of cluster that the simulated one has to be good as.
var worlds = map[string]fake.World{
	"labels":   {},
	"selector": {Can: cluster.Can{Select: true}},
	"weights":  {Can: cluster.Can{Weigh: true}},
	"both":     {Can: cluster.Can{Enable: true, Weigh: true}},
	"worker":   {Worker: true},
	"at once":  {Lag: -1, Boot: -1, EndpointLag: -1, Grace: -1},
	"slow": {
		Lag: 5 * time.Second, Boot: 20 * time.Second, EndpointLag: 10 * time.Second, Grace: 8 * time.Second, Batch: 1,
	},
	"two services and a preview": {
		Routes: []cluster.Route{{Name: "service/a"}, {Name: "service/b"}, {Name: "service/test", Preview: true}},
	},
}

// canOf is what a simulated cluster says it can do.
func canOf(w fake.World) cluster.Can { return fake.New(w).State("web").Can }

// world is a new simulated cluster, seen through a decorator.
func world(w fake.World, through func(*fake.Cluster) cluster.Cluster) clustertest.World {
	c := fake.New(w)
	return clustertest.World{
		Cluster:  through(c),
		App:      "web",
		Other:    "web-api",
		Template: func(tag string) []byte { return []byte("image: " + tag) },
		Sleep:    c.Sleep,
		Patience: 2 * time.Minute,
	}
}

func asItIs(c *fake.Cluster) cluster.Cluster { return c }

func TestTheSimulatedClusterKeepsTheLaws(t *testing.T) {
	for name, w := range worlds {
		t.Run(name, func(t *testing.T) {
			clustertest.TestCluster(t, func(*testing.T) clustertest.World { return world(w, asItIs) }, canOf(w))
		})
	}
}

func TestCheckIsTheSameAsAnError(t *testing.T) {
	open := func() (clustertest.World, error) { return world(fake.World{}, asItIs), nil }
	require.NoError(t, clustertest.Check(context.Background(), open, cluster.Can{Enable: true}))
}

func TestCheckStopsAfterTenBreaches(t *testing.T) {
	closed := 0
	err := clustertest.Check(context.Background(), func() (clustertest.World, error) {
		w := world(fake.World{}, func(c *fake.Cluster) cluster.Cluster {
			return broken{Cluster: c, observe: func(context.Context, string) (cluster.State, error) {
				return cluster.State{}, errLost
			}}
		})
		w.Close = func() { closed++ }
		return w, nil
	}, cluster.Can{Enable: true})
	require.Len(t, breaches(t, err), 10)
	require.Equal(t, 10, closed)
}

func TestACanceledSuiteIsNoBreach(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	open := func() (clustertest.World, error) { return world(fake.World{}, asItIs), nil }
	err := clustertest.Check(ctx, open, cluster.Can{Enable: true})
	require.ErrorIs(t, err, context.Canceled)
	var breach *clustertest.Breach
	require.False(t, asBreach(err, &breach))
}

func TestAWorldThatCannotBeOpenedIsNoBreach(t *testing.T) {
	err := clustertest.Check(context.Background(), func() (clustertest.World, error) {
		return clustertest.World{}, errLost
	}, cluster.Can{})
	require.ErrorIs(t, err, errLost)
}
