// The way back: what serves again after a revision was given up, and what becomes
// of that one.

package strategy

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
)

// giveBack undoes a revision that was given up: the newest good one gets its
// capacity and its traffic back, then everything else goes dark, then autoscalers
// are pointed back, then the bad one drains and loses its replicas.
func (ru Rules) giveBack(in Input, bad cluster.Revision) Step {
	back, ok := in.State.NewestGood(bad)
	if !ok && in.State.HasTraffic(bad.Name) {
		return Abort{Stranded, bad.Outcome.Why + "; no older revision is good, so it was left in traffic"}
	}
	stuck := func(found string) Step {
		return Abort{Stranded, bad.Outcome.Why + "; traffic does not go back: " + found}
	}
	if step := ru.within(in, ru.move.release(in, bad), stuck, bad); step != nil {
		return step
	}
	untouched := !lit(in.State, bad) && oneServes(in.State) // whoever it is, nothing was taken from it
	if ok && !untouched {
		if step := ru.within(in, ru.bringBack(in, back), stuck, back, bad); step != nil {
			return step
		}
	}
	if untouched {
		// There is nothing to give back.
	} else if ok {
		if step := ru.within(in, ru.move.off(in, back, "traffic goes back"), stuck, in.State.Revisions...); step != nil {
			return step
		}
	} else if step := darkWithout(in, bad, stuck); step != nil {
		return step
	}
	if step := size(in, who(in.State, back, untouched), "it serves"); step != nil {
		return step
	}
	if bad.Behind {
		return ru.within(in, behind(bad), func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }, bad)
	}
	if bad.Replicas > 0 {
		if !in.Held(in.OutSince(bad), ru.Drain) {
			return Wait{Why: bad.Name + " drains", Until: in.Until(in.OutSince(bad), ru.Drain)}
		}
		return scale(bad, 0, "it was given up")
	}
	if step := ru.leftovers(in, back, bad); step != nil {
		return step
	}
	failed := func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }
	if step := ru.within(in, freed(in), failed, in.State.Revisions...); step != nil {
		return step
	}
	return Abort{Failed, bad.Outcome.Why}
}

// leftovers gives up what runs that died have left below the revision that was
// given up: it was superseded by that one, and nobody else will. What is newer
// than the revision that was gone back to loses its replicas, too.
func (ru Rules) leftovers(in Input, back, bad cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Release == "" || r.Arm != "" || r.Seq >= bad.Seq || lit(in.State, r) {
			continue
		}
		switch {
		case r.Outcome.Result == cluster.Undecided:
			return fail(in, r, "superseded by "+bad.Name)
		case r.Outcome.Result != cluster.Failed || r.Replicas == 0 || r.Seq <= back.Seq:
		case !in.Held(in.OutSince(r), ru.Drain):
			return Wait{Why: r.Name + " drains", Until: in.Until(in.OutSince(r), ru.Drain)}
		default:
			return scale(r, 0, "it was given up")
		}
	}
	return nil
}

// who returns the revision that has the traffic when nothing is left to give
// back: the one that it went back to or, where it was never taken from it, the
// one that is lit.
func who(s cluster.State, back cluster.Revision, untouched bool) cluster.Revision {
	for _, r := range s.Revisions {
		if untouched && lit(s, r) {
			return r
		}
	}
	return back
}

// oneServes reports whether one revision has all the traffic, and all of its own.
func oneServes(s cluster.State) bool {
	n := 0
	for _, r := range s.Revisions {
		if lit(s, r) {
			n++
			if s.Lasting(r.Name) < r.Replicas || s.Lasting(r.Name) == 0 {
				return false
			}
		}
	}
	return n == 1
}

// darkWithout takes the traffic off a revision that has none, so that it will
// have none: there is nothing to give it to.
func darkWithout(in Input, bad cluster.Revision, stuck func(string) Step) Step {
	switch {
	case in.State.Can.Enable:
		return darken(in, bad, "it was given up")
	case bad.Enabled: // a route names it, and there is no other name to give
		return stuck("no older revision is good")
	}
	return behind(bad)
}

// bringBack restores the capacity of a good revision and then its traffic, if
// anything else has some.
func (ru Rules) bringBack(in Input, back cluster.Revision) Step {
	need, away := 0, 0
	for _, r := range in.State.Revisions {
		if r.Name != back.Name && !in.State.Dark(r) {
			need = max(need, Size(r))
			away += in.State.Exposed(r.Name)
		}
	}
	if in.State.Serving() == 0 {
		need = max(need, 1) // whoever is gone back to must serve
	}
	if back.Replicas < need {
		if step := enlarge(in, back, need, "capacity first: traffic goes back to it"); step != nil {
			return step
		}
	}
	if step := ru.move.to(in, back, "traffic goes back to it"); step != nil {
		return step
	}
	serves := in.State.ReliedOn(back.Name)
	if need == 0 || serves > 0 && (serves >= back.Replicas || away == 0) {
		return nil
	}
	return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s are back", serves, back.Replicas, back.Name)}
}

// alone gives a good revision its capacity and all the traffic back.
func (ru Rules) alone(in Input, back, _ cluster.Revision) Step {
	if step := ru.bringBack(in, back); step != nil {
		return step
	}
	return ru.move.off(in, back, "traffic goes back to it")
}
