// The gate that makes a group of runs: what one member may do, and what it must do
// instead, by where all of them stand. It is a pure function.

package strategy

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A joint is all that is decided by.
type joint struct {
	members []standing // in the order in which they are switched
	beside  []bool     // who is switched beside the member before it; none: nobody
	names   []string
	mark    string // of the group
	undo    bool   // it is taken back as a whole
	gate    health.SetGate
	judge   time.Duration // for the gate
}

// join lets a step of member i through, or returns what it must do in its place.
// Nobody has to wait to ask a gate of its own: that changes nothing, and where it
// stands is what follows from the answer.
func (g joint) join(i int, in Input, step Step) Step {
	may := g.decide(i, in, step)
	_, asks := step.(Check)
	_, known := g.unknown()
	if _, waits := may.(Wait); waits && asks && known && !g.forward() {
		return step
	}
	return may
}

func (g joint) decide(i int, in Input, step Step) Step {
	_, aborts := step.(Abort)
	who, known := g.unknown()
	switch {
	case aborts && !g.undo:
		return step
	case !known:
		return Wait{Why: who + " has not been looked at yet"}
	case g.undo:
		return g.takeBack(i, in, step)
	case failed(in):
		return g.giveBack(i, in, step)
	case g.undone():
		return g.giveUp(in, step, undoneWith+g.mark)
	case g.forward():
		return g.forwards(i, in, step)
	}
	if who, why, lost := g.lost(); lost {
		switch {
		case standing{in: in}.good():
			return step // of a release before this one, which has not changed
		case g.landing() && g.any(func(m standing) bool { return m.moved() && m.over }):
			return Abort{Unsafe, withGroup + because(who, why) + "; it is not known whether the last switch was made"}
		case g.landing():
			return Wait{Why: "what the last switch comes to is not known yet"}
		}
		return g.giveUp(in, step, withGroup+because(who, why))
	}
	return g.onward(i, in, step)
}

func failed(in Input) bool { return standing{in: in}.failed() }

// unknown names a member of which nothing is known.
func (g joint) unknown() (who string, known bool) {
	for k, m := range g.members {
		if !m.known() {
			return g.names[k], false
		}
	}
	return "", true
}

// undone reports whether somebody has begun to undo the group.
func (g joint) undone() bool {
	return g.any(func(m standing) bool { return m.undoneBy(g.mark) })
}

// forward reports whether nothing is given back any more: a member was recorded
// as good with this group, or all are switched.
func (g joint) forward() bool {
	return g.committed() || g.each(standing.switched)
}

func (g joint) committed() bool {
	return g.any(func(m standing) bool { return m.good() && m.outcome().Why == passedWith(g.mark) })
}

// landing reports whether what was sent last may be the last switch.
func (g joint) landing() bool {
	return g.each(func(m standing) bool { return m.switched() || m.moved() && !m.failed() })
}

// lost names a member for which the group is given up: its release never comes,
// or its run has stopped while some serve the new release and some the old one.
func (g joint) lost() (who, why string, lost bool) {
	for k, m := range g.members {
		if reason, dead := m.dead(); dead && (!lost || strings.HasPrefix(why, withGroup)) {
			who, why, lost = g.names[k], reason, true
		}
	}
	if lost {
		if cause, others := strings.CutPrefix(why, withGroup); others { // of one that is not seen any more
			return cause, "", true
		}
		return who, why, true
	}
	if who, why, stopped := g.stopped(); stopped && g.any(standing.begun) {
		return who, why, true
	}
	return "", "", false
}

// stopped names a member whose run has stopped, rather one that did so by itself.
func (g joint) stopped() (who, why string, stopped bool) {
	first := -1
	for k, m := range g.members {
		if m.stopped() && (first < 0 || forGroup(g.members[first].err) && !forGroup(m.err)) {
			first = k
		}
	}
	if first < 0 {
		return "", "", false
	}
	return g.names[first], strings.TrimPrefix(g.members[first].end(), withGroup), true
}

func (g joint) any(is func(standing) bool) bool {
	for _, m := range g.members {
		if is(m) {
			return true
		}
	}
	return false
}

func (g joint) each(is func(standing) bool) bool {
	return !g.any(func(m standing) bool { return !is(m) })
}

// onward is for a group that nothing has happened to.
func (g joint) onward(i int, in Input, step Step) Step {
	if who, why, stopped := g.stopped(); stopped {
		return Abort{Unsafe, withGroup + because(who, why) + "; nothing was switched"}
	}
	switch {
	case standing{in: in}.good():
		return g.retire(i, in, step)
	case decides(in, step, cluster.Good):
		return Wait{Why: "it has passed, and not every member is switched"}
	case !moves(in, step):
		return step
	}
	return g.turn(i, in, step)
}

// row returns the members that one is switched together with: from first up to
// end, which is not among them.
func (g joint) row(i int) (first, end int) {
	joins := func(k int) bool { return k < len(g.beside) && g.beside[k] }
	for first = i; joins(first); first-- {
	}
	for end = i + 1; joins(end); end++ {
	}
	return first, end
}

// turn lets a member switch when all are prepared and those before it are
// switched.
func (g joint) turn(i int, in Input, step Step) Step {
	for k, m := range g.members {
		if k != i && !m.prepared() {
			return Wait{Why: "ready to switch; " + g.names[k] + " is not yet"}
		}
	}
	first, _ := g.row(i)
	for k, m := range g.members[:first] {
		if !m.proved() {
			return Wait{Why: "ready to switch; " + g.names[k] + " comes first"}
		}
	}
	begun := begun(in) || g.any(func(m standing) bool { return m.begun() && !m.good() })
	if g.gate == nil || begun {
		return step
	}
	for k, m := range g.members[first:i] {
		if !m.done() && !m.good() {
			return Wait{Why: "ready to switch; " + g.names[first+k] + " asks the gate of the whole group"}
		}
	}
	return g.ask(in, step)
}

// groupGate is the name of the check of the whole set.
const groupGate = "before traffic, of the whole group"

// ask asks the gate about the whole set; the member that is switched first does.
func (g joint) ask(in Input, step Step) Step {
	mine, found := in.Mine()
	since := in.State.At.Sub(mine.Raised)
	for _, m := range g.members {
		since = min(since, m.raised())
	}
	verdict, why := in.Checked.Verdict, in.Checked.Why
	switch {
	case in.Checked.Name != groupGate:
		return Check{Name: groupGate, Gate: set{g.gate, g.members}, Revision: mine}
	case verdict == health.Pass:
		return step
	case verdict == health.Fail:
		why = because("gate "+groupGate+" failed", why)
	case since < g.judge+in.Skew:
		return Wait{Why: because(fmt.Sprintf("gate %s is %v", groupGate, verdict), why)}
	default:
		why = because(fmt.Sprintf("gate %s has not passed in time, it is %v", groupGate, verdict), why)
	}
	if !found {
		return Abort{Failed, why}
	}
	return fail(in, mine, why)
}

// A set is the gate over all members, for one of them to ask.
type set struct {
	gate    health.SetGate
	members []standing
}

// Check implements health.Gate.
func (s set) Check(ctx context.Context, _ health.Look) (health.Verdict, string, error) {
	var looks []health.Look
	for _, m := range s.members {
		looks = append(looks, m.look())
	}
	return s.gate.Check(ctx, looks)
}

// retire holds back what a good member would take from its old side, as long as
// others are on their way.
func (g joint) retire(i int, in Input, step Step) Step {
	for k, m := range g.members {
		if k != i && !m.over && !m.good() && takes(in, step) {
			return Wait{Why: "good; its old side stays until " + g.names[k] + " is good, too"}
		}
	}
	return step
}

// forwards is for a group in which nothing is given back any more.
func (g joint) forwards(i int, in Input, step Step) Step {
	mine, _ := in.Mine()
	put, _ := step.(Put)
	switch {
	case mine.Outcome.Result == cluster.Good:
		return g.retire(i, in, step)
	case g.committed() && servesAlone(in.State, mine):
		return g.record(mine)
	case decides(in, step, cluster.Failed):
		return Abort{Stranded, because(nothingBack, put.Why)}
	}
	for k, m := range g.members {
		if k != i && m.over && m.err != nil && !g.committed() {
			return Abort{Unsafe, withGroup + g.names[k] + " has failed or stopped. " + nothingBack}
		}
	}
	return g.vote(i, in, step)
}

// vote records a member as good when it has passed and everybody else has. While a
// gate is asked its answer may still be no: that is waited for, and who has passed
// does not ask again meanwhile, or two slow gates would wait for each other.
func (g joint) vote(i int, in Input, step Step) Step {
	mine, _ := in.Mine()
	_, asks := step.(Check)
	if !decides(in, step, cluster.Good) && !(asks && g.members[i].passes() && servesAlone(in.State, mine)) {
		return step
	}
	for k, m := range g.members {
		switch {
		case k == i || m.passes():
		case asks:
			return step
		default:
			return Wait{Why: "it has passed; " + g.names[k] + " has not yet"}
		}
	}
	for k, m := range g.members {
		if k != i && m.asking && !m.over {
			return Wait{Why: "it has passed, and so had " + g.names[k] + ", whose gate is asked again"}
		}
	}
	return g.record(mine)
}

// nothingBack is what a failure after the last switch comes to.
const nothingBack = "every member of the group was switched, so nothing is given back and nothing recorded as good"

// record records a member as good, and why: by that the others know.
func (g joint) record(mine cluster.Revision) Step {
	mine.Outcome = cluster.Outcome{Result: cluster.Good, Why: passedWith(g.mark)}
	return Put{mine, "alone in traffic, and all of its group has passed"}
}

// giveUp gives a member up for its group's sake, unless it does so itself.
func (g joint) giveUp(in Input, step Step, why string) Step {
	mine, found := in.Mine()
	switch {
	case !found:
		return Abort{Failed, why}
	case decides(in, step, cluster.Failed):
		return step
	}
	return fail(in, mine, why)
}

// giveBack lets a member that was given up give back what it took, when all that
// were switched after it, and not beside it, have.
func (g joint) giveBack(i int, in Input, step Step) Step {
	if !begun(in) || !moves(in, step) {
		return step
	}
	_, end := g.row(i)
	for k := len(g.members) - 1; k >= end; k-- {
		m := g.members[k]
		switch {
		case !m.holds(), m.good() && !g.undo && !g.undone():
		case m.over:
			return Abort{Unsafe, withGroup + g.names[k] + ", which gives back first, has stopped"}
		default:
			return Wait{Why: "was given up; " + g.names[k] + " gives back first"}
		}
	}
	return step
}

// takeBack is for a group that is undone as a whole.
func (g joint) takeBack(i int, in Input, step Step) Step {
	abort, aborts := step.(Abort)
	_, found := in.Mine()
	switch {
	case failed(in):
		return g.giveBack(i, in, step)
	case !found && !in.Target.Unnamed() && g.any(standing.found):
		return Done{What: "it was never begun"}
	case aborts:
		return abort
	}
	for k, m := range g.members {
		if why, refuses := m.refuses(); refuses && !g.undone() {
			return Abort{Unfit, withGroup + because(g.names[k], why) + "; nothing was undone"}
		}
	}
	return step
}
