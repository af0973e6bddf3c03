// The law of share, where a router divides the traffic.

package strategytest

import (
	"fmt"
	"maps"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake/fault"
)

// shared judges what a router is told to send to whom. Percents are whole: 2 of 3
// endpoints bear 67.
func (j *judge) shared(c *client, call fault.Call, was cluster.Route) {
	moves := !maps.Equal(call.Route.Weights, was.Weights)
	if !j.trial.proof.World.Can.Weigh || !was.IsTraffic() || j.wild || !moves {
		return
	}
	sum := 0
	for name, weight := range call.Route.Weights {
		sum += weight
		if n := was.Serving[name]; weight > was.Weights[name] && len(was.Serving) > 0 && n*100 <= (weight-1)*j.floor {
			j.breach(Share, fmt.Sprintf("%s sends %v: %d endpoints of %s would get %d %% of the traffic", c.id, call, n, name, weight))
		}
	}
	if sum != 100 {
		j.breach(Share, fmt.Sprintf("%s sends %v: that makes %d %%", c.id, call, sum))
	}
}

// sharing judges fewer replicas of what a router sends requests to.
func (j *judge) sharing(c *client, call fault.Call, found cluster.Revision) {
	for _, route := range c.state.Traffic() {
		weight := route.Weights[found.Name]
		if n := call.Revision.Replicas; j.trial.proof.World.Can.Weigh && !j.wild && n < found.Replicas && weight > 0 && n*100 <= (weight-1)*j.floor {
			j.breach(Share, fmt.Sprintf("%s sends %v, which gets %d %% of the traffic", c.id, call, weight))
		}
	}
}
