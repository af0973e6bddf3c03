// Undo: taking a release back, at any point. Redo: taking that back.

package strategy

import (
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
)

// Undo returns a strategy that gives the target's release up and sends traffic
// back to the newest good revision below it, in the way of s: RedBlack and BlueGreen
// restore capacity, and then flip the traffic once; Rolling rolls back, as Canary
// does once it has taken something over; Recreate has its gap again. It must be given
// the Release by name; run again, it goes on from where it was. Done means that the
// older revision serves.
//
// It refuses, before any write, if the release is not there, if a newer one is that
// was not given up, if nothing older is good, or if s does not fit.
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
	mine, step := afterwards(in, u.strategy, "undo")
	_, ok := in.State.NewestGood(mine)
	switch {
	case step != nil:
		return step
	case !ok:
		return Abort{Unfit, "no older revision is good: there is nothing to go back to"}
	case mine.Outcome.Result == cluster.Undecided && strings.HasPrefix(mine.Outcome.Why, redone) && mine.Since.After(in.Watched):
		return Abort{Superseded, mine.Name + " was " + mine.Outcome.Why}
	case mine.Outcome.Result != cluster.Failed:
		return fitting(in, u.strategy, fail(in, mine, because("undone", u.why)))
	}
	step = u.strategy.Next(in)
	if abort, end := step.(Abort); end && abort.Kind == Failed && !in.State.HasTraffic(mine.Name) && in.State.Serving() > 0 {
		return Done{}
	}
	return step
}

// Redo returns a strategy that takes an undo back, be it under way or done: the
// target's release is undecided again, and goes into traffic in the way of s, with
// all its gates; what of it still has traffic goes on from the stage that it was at.
// What of it is still warm need not be made anew. A run of the Undo
// that is still at work stops as superseded. It must be given the Release by name;
// run again, it goes on from where it was.
//
// It refuses, before any write, if the release is not there, if a newer one is, given
// up or not, or if s does not fit. One that was given up for another reason than an
// Undo stays so, as when it is deployed again: what a gate has said stays said.
func Redo(s Strategy, why string) Strategy { return redo{undo{s, why}} }

type redo struct{ undo }

// redone begins the reason of whoever is undecided again.
const redone = "redone"

func (re redo) Next(in Input) Step {
	mine, step := afterwards(in, re.strategy, "redo")
	switch {
	case step != nil:
		return step
	case mine.Outcome.Undone() && !topmost(in.State, mine):
		return Abort{Superseded, overtaken}
	case mine.Outcome.Undone():
		return fitting(in, re.strategy, again(in, mine, because(redone, re.why)))
	}
	return re.strategy.Next(in)
}

// fitting returns a step that decides something, unless the strategy does not fit:
// then nothing may be decided that it will not carry out.
func fitting(in Input, s Strategy, step Step) Step {
	put, puts := step.(Put)
	if !puts {
		return step
	}
	in.State.Revisions = slices.Clone(in.State.Revisions)
	for i := range in.State.Revisions {
		if r := &in.State.Revisions[i]; r.Name == put.Revision.Name {
			*r = put.Revision
		}
	}
	if abort, aborts := s.Next(in).(Abort); aborts && abort.Kind == Unfit {
		return abort
	}
	return step
}

// again makes a revision undecided. It is to be as large as it was, or as what
// serves now, and proves itself anew at every stage if it is dark.
func again(in Input, mine cluster.Revision, why string) Step {
	if strings.Contains(mine.Note, staged) && !lit(in.State, mine) {
		mine = note(mine, staged, "1")
	}
	if n := max(Size(mine), in.replicas()); mine.Replicas < n {
		mine = note(mine, sized, fmt.Sprint(n))
	}
	// Somebody may have half turned it off: this write costs no traffic.
	mine.Enabled = mine.Enabled || mine.Unsettled > 0 && in.State.HasTraffic(mine.Name)
	mine.Outcome = cluster.Outcome{Why: why}
	return Put{mine, why}
}

// afterwards finds the revision of a release that was deployed before, or says why
// nothing can be done about it.
func afterwards(in Input, s Strategy, what string) (mine cluster.Revision, step Step) {
	mine, found := in.Mine()
	newer, superseding := newerThan(in.State, mine)
	switch {
	case s == nil:
		return mine, Abort{Unfit, strings.ToUpper(what[:1]) + what[1:] + " was given no strategy"}
	case in.Target.Unnamed():
		return mine, Abort{Unfit, "the name of the release to " + what + " is needed"}
	case !found:
		return mine, Abort{Unfit, "there is no revision of this release to " + what}
	case superseding:
		return mine, superseded(newer)
	}
	return mine, nil
}
