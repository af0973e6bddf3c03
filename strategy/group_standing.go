// Where one member of a group stands: questions about its last look, and about
// what its own strategy would do there.

package strategy

import (
	"errors"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A standing is what is known of one member.
type standing struct {
	in     Input // of the last look after which there was more to do than to ask a gate
	step   Step  // that its own strategy wanted there; nil: it was not looked at yet
	stale  bool  // it was not looked at for so long that nothing new may rest on it
	sent   Step  // that it was let take after that look; what came of it is not known yet
	asking bool  // it asks a gate now, and what the answer is is not known yet
	over   bool  // its run has ended
	err    error // with this; nil: it is done
}

// known reports whether there is anything to decide by: a look, or the end.
func (s standing) known() bool { return s.step != nil || s.over }

// outcome is what was decided about its release, as far as it was sent.
func (s standing) outcome() cluster.Outcome {
	mine, _ := s.in.Mine()
	for _, result := range []cluster.Result{cluster.Good, cluster.Failed} {
		if decides(s.in, s.sent, result) {
			return s.sent.(Put).Revision.Outcome
		}
	}
	return mine.Outcome
}

func (s standing) found() bool  { _, found := s.in.Mine(); return found }
func (s standing) good() bool   { return s.outcome().Result == cluster.Good }
func (s standing) failed() bool { return s.outcome().Result == cluster.Failed }
func (s standing) done() bool   { return s.over && s.err == nil }
func (s standing) moved() bool  { return moves(s.in, s.sent) }

// begun reports whether it has begun to switch: the new revision has traffic or
// is to have some, or may have got it since, or what should serve beside it does
// not.
func (s standing) begun() bool { return s.moved() || begun(s.in) }

func begun(in Input) bool {
	mine, found := in.Mine()
	if !found {
		return false
	}
	_, older := in.State.NewestGood(mine)
	return lit(in.State, mine) || older && in.State.Serving() == 0
}

// switched reports whether its new revision serves, and nothing else does or is
// to.
func (s standing) switched() bool {
	mine, found := s.in.Mine()
	return found && !s.failed() && servesAlone(s.in.State, mine)
}

func servesAlone(s cluster.State, r cluster.Revision) bool {
	if s.ReliedOn(r.Name) == 0 || s.Strays > 0 {
		return false
	}
	for _, other := range s.Revisions {
		has := other.Pods > 0 || other.Replicas > 0
		if other.Name != r.Name && (s.Exposed(other.Name) > 0 || has && lit(s, other)) {
			return false
		}
	}
	return true
}

// prepared reports whether nothing is left for it to do but to switch.
func (s standing) prepared() bool {
	return s.done() || !s.stale && !s.over && (s.good() || s.begun() || moves(s.in, s.step))
}

// proved reports whether it was seen switched, and no gate of its own says
// anything but yes.
func (s standing) proved() bool {
	_, asks := s.step.(Check)
	answered := !asks && (s.in.Checked.Name == "" || s.in.Checked.Verdict == health.Pass)
	return s.done() || !s.stale && !s.over && s.switched() && answered && !s.givesUp()
}

// passes reports whether it is good, or would now be recorded so.
func (s standing) passes() bool {
	return s.done() || !s.over && !s.stale && (s.good() || decides(s.in, s.step, cluster.Good))
}

// givesUp reports whether its own strategy gives the release up now.
func (s standing) givesUp() bool { return decides(s.in, s.step, cluster.Failed) }

// dead reports whether its release will never serve, and why.
func (s standing) dead() (why string, dead bool) {
	if put, ok := s.step.(Put); ok && s.givesUp() {
		return put.Why, true
	}
	if s.failed() {
		return s.outcome().Why, true
	}
	return s.end(), s.decided()
}

// decided reports whether its run has ended, and would end so again.
func (s standing) decided() bool {
	var abort *AbortError
	return s.over && errors.As(s.err, &abort) && (abort.Kind == Failed || abort.Kind == Stranded || abort.Kind == Superseded)
}

// end says in short how its run has ended.
func (s standing) end() string {
	var abort *AbortError
	switch {
	case forGroup(s.err):
		errors.As(s.err, &abort)
		return abort.Why
	case errors.As(s.err, &abort):
		return abort.Kind.String() + ": " + abort.Why
	case errors.Is(s.err, ErrGaveUp):
		return "its calls kept failing"
	}
	return "its run was stopped"
}

// stranded reports whether it was given up and has nothing to go back to.
func (s standing) stranded() bool {
	var abort *AbortError
	return errors.As(s.err, &abort) && abort.Kind == Stranded
}

// stopped reports whether its run has ended without a decision.
func (s standing) stopped() bool { return s.over && s.err != nil && !s.decided() }

// holds reports whether members before it must not give back yet: it has been
// given up and still has what it took, or is about to be given up.
func (s standing) holds() bool {
	switch {
	case s.done(), s.decided(), !s.found():
		return false
	case s.over:
		return s.begun()
	}
	return !s.failed() || s.begun()
}

// told is all of it that another member may be held back by.
func (s standing) told() [10]bool {
	_, dead := s.dead()
	return [...]bool{s.known(), s.prepared(), s.proved(), s.begun(), s.switched(), s.passes(), s.good(), s.holds(), dead, s.asking}
}

// raised is how long ago the new revision got its last replicas, by its own
// cluster's clock.
func (s standing) raised() time.Duration {
	mine, _ := s.in.Mine()
	return s.in.State.At.Sub(mine.Raised)
}

// look is what a gate over the whole set is told of it.
func (s standing) look() health.Look {
	mine, _ := s.in.Mine()
	baseline, _ := s.in.State.NewestGood(mine)
	return health.Look{App: s.in.App, State: s.in.State, Revision: mine, Baseline: baseline}
}

// decides reports whether a step records the run's own revision as something that
// it is not yet.
func decides(in Input, step Step, result cluster.Result) bool {
	mine, found := in.Mine()
	put, is := step.(Put)
	return is && found && put.Revision.Name == mine.Name && put.Revision.Outcome.Result == result && mine.Outcome.Result != result
}

// moves reports whether a step moves traffic, or takes something from a revision
// that the run did not make. All others are harmless: what is dark gets made, and
// gets more.
func moves(in Input, step Step) bool {
	switch s := step.(type) {
	case SetRoute:
		return !s.Route.Preview
	case Delete:
		return true
	case Put:
		mine, _ := in.Mine()
		return puts(in, s.Revision, s.Revision.Name == mine.Name)
	}
	return false
}

func puts(in Input, r cluster.Revision, mine bool) bool {
	found, exists := in.State.Named(r.Name)
	switch {
	case !exists:
		return r.Enabled
	case r.Enabled != found.Enabled, r.Replicas < found.Replicas:
		return true
	case found.Unsettled > 0:
		return r.Enabled || !mine
	}
	return !mine && r.Outcome != found.Outcome
}

// takes reports whether a step takes replicas, or a revision.
func takes(in Input, step Step) bool {
	put, puts := step.(Put)
	found, _ := in.State.Named(put.Revision.Name)
	_, deletes := step.(Delete)
	return deletes || puts && put.Revision.Replicas < found.Replicas
}

// refuses reports whether it cannot be undone, though there is something to undo,
// or nobody knows whether there is.
func (s standing) refuses() (why string, refuses bool) {
	abort, aborts := s.step.(Abort)
	switch {
	case aborts && (s.found() || s.in.Target.Unnamed()):
		return abort.Why, true
	case s.over && s.err != nil:
		return s.end(), true
	}
	return "", false
}

// withGroup begins the reason of whoever was given up, or stopped, for another
// member's sake.
const withGroup = "with its group: "

// undoneWith begins the reason of whoever was given up by an Undo of its group.
const undoneWith = "undone: "

// undoneBy reports whether an Undo of the marked group has given it up.
func (s standing) undoneBy(mark string) bool {
	return s.failed() && strings.HasPrefix(s.outcome().Why, undoneWith+mark)
}

// passedWith is why a member of the marked group is good.
func passedWith(mark string) string { return "passed, as all of " + mark }
