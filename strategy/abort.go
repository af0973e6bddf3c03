// How a run ends without success: the kinds of abort, the error that carries
// one, and the sentinel for a run that could no longer tell.

package strategy

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
)

// Kind says why a run was aborted, and so what to do.
type Kind int

const (
	// Unfit: the settings, the target or the cluster do not fit the strategy.
	// Usually nothing was written; the error says so. Mend what it names.
	Unfit Kind = iota + 1

	// Superseded: a newer release of the app exists, or somebody has deleted
	// this one's revision. This run has stopped and touches nothing of the newer
	// one. Usually there is nothing to do.
	Superseded

	// Failed: the release was given up, by a gate, a deadline or an undo.
	// What served before serves again. Mend it and deploy a new release.
	Failed

	// Stranded: the release has failed, and nothing is given back: there is
	// nothing to go back to, or its traffic does not go, or it is a member of a
	// Group of which every one is switched. What serves now, if anything, is the
	// failed one. A person is needed.
	Stranded

	// Refused: the cluster refused a call (forbidden, invalid, over quota, out
	// of scope) and would again. That call has changed nothing; what the run did
	// before it stays. Mend what the error names, then run the same release again.
	Refused

	// Unsafe: every next step would have broken a law, for longer than the
	// Runner's GiveUp, or somebody else undoes what this run writes. Run the
	// same release again when what the error names is mended.
	Unsafe
)

// String returns the kind's name in lower case.
func (k Kind) String() string {
	names := [...]string{"", "unfit", "superseded", "failed", "stranded", "refused", "unsafe"}
	if k < Unfit || int(k) >= len(names) {
		return fmt.Sprintf("kind %d", int(k))
	}
	return names[k]
}

func (k Kind) advice(wrote bool) string {
	switch k {
	case Unfit:
		if wrote {
			return "mend the input, then run the same release again"
		}
		return "mend the input; nothing was written"
	case Superseded:
		return "nothing, if the newer one is meant; otherwise undo its release, or remove it if it has none"
	case Failed:
		return "mend the app and deploy it as a new release (the same one stays given up)"
	case Stranded:
		return "deploy a release that works, or mend what serves now: nothing is given back by itself"
	case Refused:
		return "mend what was refused, then run the same release again"
	}
	return "mend what is named, then run the same release again"
}

// An AbortError says that a run has ended without success, and will not succeed by
// itself. Who serves is in Serving: of a Stranded one it may be the release itself.
type AbortError struct {
	App      string
	Release  string
	Revision string // "" if there is none
	Kind     Kind
	Why      string
	Serving  string // what serves now, for a person: "web-v001 3"
	Wrote    bool   // this run has written something
	Err      error  // the cause, if it was an error; unwrapped by errors.Is and As
}

// Error says what was being done, to which revision, what was found, what
// serves right now and what to do next.
func (e *AbortError) Error() string {
	what := "cutover"
	if e.App != "" {
		what += " " + e.App
	}
	if e.Release != "" { // a group has one for each member
		what += ": release " + e.Release
	}
	if e.Revision != "" {
		what += " (" + e.Revision + ")"
	}
	return fmt.Sprintf("%s: %s: %s. Serving now: %s. To do: %s.",
		what, e.Kind, strings.TrimRight(e.Why, "."), e.Serving, e.advice())
}

func (e *AbortError) advice() string {
	if e.Kind == Failed && (cluster.Outcome{Result: cluster.Failed, Why: e.Why}).Undone() {
		return "take the undo back with Redo, or deploy a new release"
	}
	switch e.Why {
	case lostRevision:
		return "run the same release again, if it is still meant"
	case overtaken:
		return "deploy it as a new release, if it is still meant"
	}
	return e.Kind.advice(e.Wrote)
}

// Why a release is superseded by none that is there.
const (
	lostRevision = "somebody has deleted its revision"
	overtaken    = "a newer release was deployed and given up since"
)

// Unwrap returns the cause, if it was an error.
func (e *AbortError) Unwrap() error { return e.Err }

// ErrGaveUp is what a run returns when its calls have failed for longer than
// the Runner's GiveUp: it does not know what came of the last ones. What served
// before the trouble was left serving. Run the same release again.
var ErrGaveUp = errors.New("gave up")

// serving names what serves in a state, for a person.
func serving(s cluster.State) string {
	if s.At.IsZero() {
		return "unknown, for no look has succeeded"
	}
	var names []string
	for _, r := range s.Revisions {
		if n := s.Exposed(r.Name); n > 0 {
			names = append(names, fmt.Sprintf("%s %d", r.Name, n))
		}
	}
	if s.Strays > 0 {
		names = append(names, fmt.Sprintf("%d pods of no revision", s.Strays))
	}
	if len(names) == 0 {
		return "nothing"
	}
	return strings.Join(names, ", ")
}

func sorted(names []string) string {
	slices.Sort(names)
	return strings.Join(names, ", ")
}
