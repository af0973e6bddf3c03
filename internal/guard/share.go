// The law of share: where weights divide a route, nobody gets more of it than its
// endpoints bear.

package guard

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
)

// judgeShares judges who gets more of a route that weights divide.
func (g *Guard) judgeShares(found, r cluster.Route) (law, why string) {
	for _, rev := range g.state.Revisions {
		weight := r.Weights[rev.Name]
		if !g.state.Can.Weigh || weight <= found.Weights[rev.Name] {
			continue
		}
		if needs, has := g.needs(found, weight), g.bears(found, rev); has < needs {
			return "share", fmt.Sprintf("%s would get %d %% of the traffic, for which it needs %d endpoints, and it has %d", rev.Name, weight, needs, has)
		}
	}
	return "", ""
}

// needs is how many endpoints so much of a route needs, of those that serve on it,
// up to the floor, as exactly as whole percents say it: 67 % of 3 are 2. Where a part
// of the traffic goes nowhere, any will do.
func (g *Guard) needs(route cluster.Route, weight int) int {
	now := 0
	for _, r := range g.state.Revisions {
		now += g.weighed(r, route)
	}
	for name, weight := range route.Weights {
		if weight > 0 && route.Serving[name] == 0 {
			return 0
		}
	}
	if weight == 0 {
		return 0
	}
	return (weight-1)*min(now, g.least(now))/100 + 1
}

// bears is how many endpoints of a revision a route would send requests to, and
// will be left of them.
func (g *Guard) bears(route cluster.Route, r cluster.Revision) int {
	if _, named := route.Weights[r.Name]; named {
		return min(route.Serving[r.Name], r.Replicas)
	}
	return min(r.Ready, r.Replicas)
}

// judgeCut judges fewer replicas of what has a share of a route.
func (g *Guard) judgeCut(r cluster.Revision, from int) (law, why string) {
	if r.Replicas >= from || !g.state.Can.Weigh {
		return "", ""
	}
	for _, route := range g.state.Traffic() {
		weight := route.Weights[r.Name]
		if needs := g.needs(route, weight); r.Replicas < needs && route.Serving[r.Name] > r.Replicas {
			return "share", fmt.Sprintf("%s has %d %% of the traffic on %s, for which it needs %d endpoints", r.Name, weight, route.Name, needs)
		}
	}
	return "", ""
}
