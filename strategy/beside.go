// Leaving a route that is shared or pinned. Where a selector brings two revisions traffic,
// nothing in it tells them apart; it is narrowed while both still have pods.

package strategy

import (
	"slices"

	"github.com/cutover-dev/cutover/cluster"
)

// parted takes a revision out of the routes that it shares before its last replica
// goes: later nothing would show any more that they are shared, and they would go
// on selecting whatever comes next.
func parted(in Input, r, keep cluster.Revision, fewer int) Step {
	if fewer < r.Replicas || !bySelectorAlone(in.State) {
		return nil
	}
	return bySelector{}.leave(in, r, keep)
}

// sharer returns the newest of two revisions that share a route of which one was to
// give way: a run that moved traffic from the one to the other has died, or still
// does. While they do, nothing in the route keeps the pods of a third one out.
func sharer(in Input, mine cluster.Revision) (newest cluster.Revision, shared bool) {
	if !bySelectorAlone(in.State) {
		return newest, false
	}
	for _, route := range in.State.Traffic() {
		n := 0
		for _, r := range in.State.Revisions {
			if _, named := route.Weights[r.Name]; named && r.Name != mine.Name && (r.Replicas > 0 || r.Pods > 0) {
				n, newest = n+1, r
			}
		}
		if n > 1 {
			return newest, true
		}
	}
	return newest, false
}

// unshared has back give what two revisions share to the good one alone, before the
// new one gets a pod.
func (ru Rules) unshared(in Input, mine cluster.Revision, back func(in Input, good, bad cluster.Revision) Step) Step {
	bad, shared := sharer(in, mine)
	if !shared || mine.Replicas > 0 || mine.Outcome.Result != cluster.Undecided {
		return nil
	}
	if step := Supersede(in, mine); step != nil {
		return step
	}
	return ru.within(in, back(in, in.sole(mine), bad), func(found string) Step { return fail(in, mine, found) }, in.State.Revisions...)
}

// sole is who gets back what two share: the newest good one or, if nobody is good,
// who serves most.
func (in Input) sole(mine cluster.Revision) cluster.Revision {
	good, ok := in.State.NewestGood(mine)
	for _, r := range in.State.Revisions {
		if !ok && surely(in.State, r) > surely(in.State, good) {
			good = r
		}
	}
	return good
}

// freed waits, where a route of ours is still pinned, for the last pods of what was
// given up with the revision: then the pin comes off. It waits for nobody who is to
// have pods.
func freed(in Input) Step {
	for _, route := range in.State.Traffic() {
		old, ok := keptTo(in.State, route)
		if !ok || !route.Pinned || route.Since.IsZero() {
			continue
		}
		others := alive(in.State, old)
		if len(others) > 0 && !slices.ContainsFunc(others, func(r cluster.Revision) bool { return r.Replicas > 0 }) {
			return Wait{Why: route.Name + " stays pinned until the pods of " + others[0].Name + " are gone"}
		}
	}
	return nil
}
