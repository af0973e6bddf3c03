// How a group, or waves, end without success: one error that holds all.

package strategy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
)

// A GroupError says what came of every member of a Group or, of Waves, of every
// place. errors.Is and As look at the members' errors, at those of whoever failed
// first before those of the members that stopped or gave up for its sake.
type GroupError struct {
	What    string         // what came of the whole, for a person
	Members []MemberResult // in the order in which they were given
	ToDo    string         // for a person

	order []int // of Members with an error, by who failed first
}

// A MemberResult is what came of one member.
type MemberResult struct {
	Name    string // the app's, or the place's
	Release string
	Err     error  // nil: it is done
	Serving string // what served when it was last seen, for a person: "web-v001 3"
}

// Error says what came of the whole, then of each member in a line of its own,
// and at the end what to do.
func (e *GroupError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "cutover: %s", e.What)
	for _, m := range e.Members {
		fmt.Fprintf(&b, "\n  %s: %s. Serving when last seen: %s", m.Name, m.came(), m.Serving)
	}
	fmt.Fprintf(&b, "\n  To do: %s", e.ToDo)
	return b.String()
}

// Unwrap returns the members' errors, whoever failed first before the others.
func (e *GroupError) Unwrap() []error {
	var errs []error
	for _, i := range e.order {
		errs = append(errs, e.Members[i].Err)
	}
	return errs
}

// came says what came of a member, without what the whole says better.
func (m MemberResult) came() string {
	var abort *AbortError
	switch {
	case m.Err == nil:
		return "release " + m.Release + " is done"
	case errors.As(m.Err, &abort):
		what := "release " + m.Release
		if abort.Revision != "" {
			what += " (" + abort.Revision + ")"
		}
		return fmt.Sprintf("%s: %s: %s", what, abort.Kind, strings.TrimRight(abort.Why, "."))
	}
	return strings.TrimRight(m.Err.Error(), ".")
}

// forGroup reports whether a member has ended for another one's sake only.
func forGroup(err error) bool {
	var abort *AbortError
	return errors.As(err, &abort) && strings.HasPrefix(abort.Why, withGroup)
}

// outcome is what came of a group whose members have all ended.
func (t *table) outcome() error {
	t.mu.Lock()
	defer t.mu.Unlock()
	e := &GroupError{}
	for i, m := range t.joint.members {
		e.Members = append(e.Members, MemberResult{t.joint.names[i], t.release[i], m.err, serving(m.in.State)})
		if m.err != nil && !slices.Contains(t.failing, i) {
			t.failing = append(t.failing, i)
		}
	}
	for _, i := range t.failing {
		if t.joint.members[i].err != nil {
			e.order = append(e.order, i)
		}
	}
	if len(e.order) == 0 {
		return nil
	}
	e.What, e.ToDo = t.joint.sum(e.order[0])
	e.What = fmt.Sprintf("the %s of %s: %s", t.joint.mark, strings.Join(t.joint.names, ", "), e.What)
	return e
}

// sum says what came of a group that has ended with errors, of which this member
// had the first, and what to do.
func (g joint) sum(first int) (what, todo string) {
	who := g.names[first]
	mended := fmt.Sprintf("mend what is named of %s, then ", who)
	if err := g.members[first].err; errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		mended = "" // whoever runs it has stopped it
	}
	again := mended + "run the same group again, it goes on from there"
	switch {
	case g.undo && g.undone():
		return "it is not wholly taken back, because of " + who, mended + "undo it again"
	case g.undo:
		return "nothing was taken back, because of " + who, mended + "undo it again"
	case g.any(standing.failed) && g.any(standing.holds):
		return "it was given up, because of " + who + ", and not all of it is back", again
	case g.any(standing.failed) && g.any(standing.stranded):
		return "it was given up, because of " + who + ", and not every member has something to go back to",
			fmt.Sprintf("mend %s and deploy the group as a new release", who)
	case g.any(standing.failed):
		return "it was given up, because of " + who + ", and what served before serves",
			fmt.Sprintf("mend %s and deploy the group as a new release (the same one stays given up)", who)
	case g.forward():
		return "every member was switched, nothing was given back, and not all are recorded as good, because of " + who, g.afterAll(first, again)
	}
	return "it has stopped because of " + who, again
}

// afterAll says what to do when the first error came after the last switch: whether
// to go back is for a person, who knows what the versions can read.
func (g joint) afterAll(first int, again string) string {
	const back = "undo the group, if the versions before can read what these have written"
	if g.members[first].stranded() {
		return fmt.Sprintf("if %s serves well and only its gate was wrong, run the same group again, which asks it anew; else deploy a new release of the group, or %s", g.names[first], back)
	}
	return again + "; or " + back
}
