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
	if fewer < r.Replicas || !in.State.Can.Select || in.State.Can.Enable {
		return nil
	}
	return bySelector{}.leave(in, r, keep)
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
