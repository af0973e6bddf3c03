// Weights: traffic that a router divides by percentages, whatever the number of
// pods behind each of them.

package strategy

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// byWeight moves traffic by SetRoute where Weights are percent. A revision is
// named at 0 first, for only what is named is seen to serve, and gets no more than
// what serves of it can bear.
type byWeight struct {
	// share is how much of the traffic a revision is to have.
	share func(in Input, r cluster.Revision) int
}

// bears is how much of the traffic a revision can bear: as much as will be left of
// the endpoints that it has when it has all.
func bears(s cluster.State, r cluster.Revision) int {
	n := max(1, Size(r))
	return min(100, (surely(s, r)*100+n-1)/n)
}

// endpoints is how many of n are needed for so much of the traffic, as exactly as
// whole percents say it: 67 % of 3 are 2.
func endpoints(share, n int) int {
	if share == 0 {
		return 0
	}
	return (share-1)*n/100 + 1
}

// needs is how many of its endpoints a revision needs for the traffic that it has.
func needs(s cluster.State, r cluster.Revision) int {
	most := 0
	for _, route := range s.Traffic() {
		most = max(most, endpoints(route.Weights[r.Name], Size(r)))
	}
	return most
}

func (byWeight) hold(Input, cluster.Revision) Step { return nil }

func (byWeight) release(Input, cluster.Revision) Step { return nil }

func (byWeight) claim(in Input, r cluster.Revision) Step {
	for _, route := range in.State.Traffic() {
		if weight, named := route.Weights[r.Name]; named && !strings.Contains(route.Note, given(r)) {
			route.Note = entered(route.Note, given(r), fmt.Sprint(weight))
			return SetRoute{route, fmt.Sprintf("somebody else has given it %d %%, and it may have a share", weight)}
		}
	}
	return nil
}

// given is the kind of entry that notes on a route how much of it a revision, this
// object, was given.
func given(r cluster.Revision) string { return switchedTo(r) + " at " }

func (m byWeight) to(in Input, r cluster.Revision, why string) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[r.Name]; !named {
			return m.name(in, route, r)
		}
	}
	want := m.share(in, r)
	for _, route := range in.State.Traffic() {
		has, had := route.Weights[r.Name], figure(route.Note, given(r))
		switch serves := min(route.Serving[r.Name], r.Replicas); {
		case has >= want:
			continue
		case has < min(want, had) && in.deploys(r):
			return fail(in, r, fmt.Sprintf("%s gave it %d %% of the traffic, and somebody has put that back to %d %%", route.Name, had, has))
		case serves < endpoints(want, Size(r)):
			return Wait{Why: fmt.Sprintf("%d endpoints of %s on %s, which is to have %d %% of the traffic", serves, r.Name, route.Name, want)}
		}
		return m.divide(in, route, r, want, why)
	}
	return nil
}

// name lets a route show what serves of a revision, before it gets any traffic. If
// nothing else has some it gets all.
func (m byWeight) name(in Input, route cluster.Route, r cluster.Revision) Step {
	if r.Ready < r.Replicas {
		return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready", r.Ready, r.Replicas, r.Name)}
	}
	if route.From == "" && route.Since.IsZero() {
		route.From = newestServed(in.State, route)
	}
	why := r.Name + " is to be seen before it gets traffic"
	if !in.State.HasTraffic(newestServed(in.State, route)) {
		why = "nothing else serves"
	}
	return m.divide(in, route, r, 0, why)
}

// divide gives a revision so much of a route. What the others lose is taken from
// the losers in their order; all together have 100.
func (m byWeight) divide(in Input, route cluster.Route, r cluster.Revision, share int, why string) Step {
	weights, rest := map[string]int{r.Name: share}, 100-share
	var last string // of those that have traffic, who loses it last
	for _, other := range slices.Backward(losers(in.State, r)) {
		had, named := route.Weights[other.Name]
		if !named {
			continue
		}
		if had > 0 && last == "" {
			last = other.Name
		}
		weights[other.Name] = min(rest, had)
		rest -= weights[other.Name]
	}
	if last == "" {
		last = r.Name
	}
	weights[last] += rest // what a revision had that is gone
	route.Weights, route.Note = weights, m.note(in.State, route, weights, r)
	return SetRoute{route, why}
}

// note is that of a route with new weights: what each revision has that was given
// to it.
func (byWeight) note(s cluster.State, route cluster.Route, weights map[string]int, r cluster.Revision) string {
	text := ""
	for _, other := range s.Revisions {
		weight, named := weights[other.Name]
		if named && (other.Name == r.Name || strings.Contains(route.Note, given(other))) {
			text = entered(text, given(other), fmt.Sprint(weight))
		}
	}
	return text
}

// losers are all others, those first that lose traffic first.
func losers(s cluster.State, to cluster.Revision) []cluster.Revision {
	way, _ := s.NewestGood(to)
	rest := slices.DeleteFunc(slices.Clone(s.Revisions), func(r cluster.Revision) bool { return r.Name == to.Name })
	last := func(r cluster.Revision) int {
		switch {
		case r.Release == to.Release && (r.Arm != "" || to.Arm != ""):
			return 3 // they are compared with each other
		case r.Arm != "":
			return -1 // somebody has left it, and nothing else is as small
		}
		return victim(s, way, r)
	}
	slices.SortStableFunc(rest, func(x, y cluster.Revision) int { return last(x) - last(y) })
	return rest
}

// leave takes one revision off its routes. What it had goes to another one.
func (m byWeight) leave(in Input, r, keep cluster.Revision) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[r.Name]; named {
			weights := shareOut(in.State, route, r, keep)
			route.Note = m.note(in.State, route, weights, keep)
			route.Weights = weights
			return SetRoute{route, r.Name + " leaves traffic"}
		}
	}
	return gone(in, r)
}

// shareOut returns the weights of a route without a revision. What it had, and what
// those had that are gone, goes to keep or, if that cannot bear it, to who can most.
func shareOut(s cluster.State, route cluster.Route, r, keep cluster.Revision) map[string]int {
	weights, rest, most := map[string]int{}, 100, keep
	for _, other := range s.Revisions {
		if share, named := route.Weights[other.Name]; named && other.Name != r.Name {
			weights[other.Name] = share
			rest -= share
			if surely(s, other) > surely(s, most) {
				most = other
			}
		}
	}
	if bears(s, keep) < weights[keep.Name]+rest {
		keep = most
	}
	weights[keep.Name] += rest
	return weights
}

func (m byWeight) off(in Input, keep cluster.Revision, why string) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[keep.Name]; named && (len(route.Weights) > 1 || route.Weights[keep.Name] != 100) {
			route.Weights = map[string]int{keep.Name: 100}
			route.Note = m.note(in.State, route, route.Weights, keep)
			return SetRoute{route, why}
		}
	}
	return allGone(in, keep)
}

// cut takes the replicas of other revisions that their share of the traffic no
// longer needs, when it has been no larger for as long as the drain: a router may
// follow late, and nothing shows by how much.
func cut(in Input, to cluster.Revision, drain time.Duration, why string) Step {
	for _, r := range losers(in.State, to) {
		need := needs(in.State, r)
		if r.Replicas <= need {
			continue
		}
		if out := in.Until(later(lastMoved(in, r), in.broken), drain); in.State.At.Before(out) {
			return Wait{Why: r.Name + " drains", Until: out}
		}
		return resized(in, r, need, Size(r), why)
	}
	return nil
}
