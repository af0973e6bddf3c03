package fake_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// A copy is the same world, goes on as the other one would, and neither of the two
// notices what is done to the other.
func TestACopyGoesItsOwnWay(t *testing.T) {
	for name, w := range map[string]fake.World{
		"labels":   {Nodes: 2, ProxyLag: time.Second},
		"selector": {Can: cluster.Can{Select: true}, ProxyLag: time.Second},
		"weights":  {Can: cluster.Can{Weigh: true}, Routes: []cluster.Route{{Name: "one", Weights: map[string]int{}}, {Name: "two", Preview: true, Weights: map[string]int{}}}},
		"at once":  {Lag: -1, Boot: -1, EndpointLag: -1, Grace: -1},
		"worker":   {Worker: true},
	} {
		t.Run(name, func(t *testing.T) {
			c := fake.New(w)
			c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true})
			busy := func(c *fake.Cluster, name string) {
				r := cluster.Revision{Name: name, Seq: 2, Replicas: 2, Enabled: true, Template: []byte(name)}
				require.NoError(t, c.Put(context.Background(), "web", r))
				old, _ := c.State("web").Named("web-v001")
				old.Replicas = 1
				require.NoError(t, c.Put(context.Background(), "web", old))
				for _, route := range c.State("web").Routes {
					if route.Weights != nil {
						route.Weights = map[string]int{name: 100}
						require.NoError(t, c.SetRoute(context.Background(), "web", route))
					}
				}
				_, err := c.Observe(context.Background(), "web")
				require.NoError(t, err)
				require.NoError(t, c.Sleep(context.Background(), 150*time.Millisecond)) // not all has followed yet
			}
			busy(c, "web-v002")
			changes := 0
			twin, third := c.Copy(func() { changes++ }), c.Copy(nil)
			was := c.Digest()
			require.Equal(t, was, twin.Digest())
			require.Equal(t, c.Writes(), twin.Writes())
			require.Equal(t, c.State("web"), twin.State("web"))

			busy(twin, "web-v003")
			twin.Crash("web", "web-v001", 1, time.Hour)
			twin.Freeze("web", fake.Endpoints)
			require.NoError(t, twin.Sleep(context.Background(), time.Hour))
			require.Positive(t, changes)
			require.Equal(t, was, c.Digest(), "what was done to the copy was done to it, too")
			require.Equal(t, was, third.Digest(), "or to another copy")
			require.NotEqual(t, was, twin.Digest())

			busy(c, "web-v004")
			busy(third, "web-v004")
			for range 20 {
				require.NoError(t, c.Sleep(context.Background(), 300*time.Millisecond))
				require.NoError(t, third.Sleep(context.Background(), 300*time.Millisecond))
				require.Equal(t, c.Digest(), third.Digest())
			}
			require.Equal(t, c.Writes(), third.Writes())
		})
	}
}
