// Undo: taking a release back, at any point.

package strategy

import (
	"github.com/cutover-dev/cutover/cluster"
)

// Undo returns a strategy that gives the target's release up and sends traffic
// back to the newest good revision below it, in the way of s: capacity first,
// then traffic, in one flip. It must be given the Release by name; run again,
// it goes on from where it was. Done means that the older revision serves.
//
// It refuses, before any write, if the release is not there, if a newer one is,
// or if nothing older is good.
func Undo(s Strategy, why string) Strategy { return undo{s, why} }

type undo struct {
	strategy Strategy
	why      string
}

// Bounds implements Bounder: those of the strategy.
func (u undo) Bounds(in Input) (Bounds, bool) {
	if b, ok := u.strategy.(Bounder); ok {
		return b.Bounds(in)
	}
	return Bounds{}, false
}

func (u undo) Next(in Input) Step {
	mine, found, stop := place(in)
	_, ok := in.State.NewestGood(mine)
	switch {
	case u.strategy == nil:
		return Abort{Unfit, "Undo was given no strategy"}
	case in.Target.Unnamed():
		return Abort{Unfit, "an undo needs the name of the release to undo"}
	case stop != nil:
		return stop
	case !found:
		return Abort{Unfit, "there is no revision of this release to undo"}
	case !ok:
		return Abort{Unfit, "no older revision is good: there is nothing to go back to"}
	case mine.Outcome.Result != cluster.Failed:
		return fail(in, mine, because("undone", u.why))
	}
	step := u.strategy.Next(in)
	if abort, end := step.(Abort); end && abort.Kind == Failed && !in.State.HasTraffic(mine.Name) && in.State.Serving() > 0 {
		return Done{}
	}
	return step
}
