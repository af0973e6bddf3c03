// Package strategy moves traffic from one revision of an app to the next.
//
// A [Strategy] is a pure function from what was seen to one step. A [Runner] is
// the one loop that looks, asks the strategy, takes the step through the guard,
// and looks again. Nothing is remembered between two looks but what the cluster
// itself holds, so a run may be stopped anywhere and run again, here or
// elsewhere: rerun is resume.
package strategy

import (
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A Strategy says what to do next. Next must be pure: the same Input, the same
// Step. From every State, if the cluster does as it is told and the gates
// answer, it must say [Done] or [Abort] sooner or later.
type Strategy interface {
	Next(in Input) Step
}

// A Bounder is a Strategy that says within which bounds its run keeps, in place
// of a Runner's own: no endpoint that serves is risked, up to the replicas wanted.
// With false there are none to say. The guard holds every write to them.
type Bounder interface {
	Bounds(in Input) (Bounds, bool)
}

// Bounds are what no write of a run may go beyond.
type Bounds struct {
	Floor   int  // endpoints, on every traffic route, that no write may risk going below
	Ceiling int  // replicas wanted of all revisions together; 0: any number
	Apart   bool // no replica of a revision is wanted while a pod of another one runs
}

// Func is a Strategy made from a function.
type Func func(in Input) Step

// Next implements Strategy.
func (f Func) Next(in Input) Step { return f(in) }

// Input is all that Next may look at.
type Input struct {
	App     string
	Target  cluster.Target // wanted; Release is never empty here
	State   cluster.State  // found, by a fresh look
	Checked Checked        // what the last step found, if it was a Check; a Fail until a write was answered; zero otherwise
	Watched time.Time      // since when this run has looked without a gap, by the cluster's clock
	Skew    time.Duration  // added to every hold, for clocks that differ

	broken  time.Time            // Watched, if that is not the run's first look
	follows map[string]following // since when the cluster follows the last write to a revision, by UID
}

// Checked is the answer to a Check. It is input to one plan, but for a Fail:
// to all until a write is answered.
type Checked struct {
	Name    string // the Check's
	Verdict health.Verdict
	Why     string
}

// Mine returns the revision of the target's release.
func (in Input) Mine() (cluster.Revision, bool) { return in.State.Find(in.Target.Release) }

// Until returns when hold will have passed since t. A hold of 0 has at once; to
// a longer one Skew is added.
func (in Input) Until(t time.Time, hold time.Duration) time.Time {
	if hold <= 0 {
		return t
	}
	return t.Add(hold + in.Skew)
}

// Held reports whether hold has passed since t, by the cluster's clock.
func (in Input) Held(t time.Time, hold time.Duration) bool {
	return hold <= 0 || !in.State.At.Before(in.Until(t, hold))
}

// A Step is one thing to do: Put, SetRoute, Delete, Check, Wait, Done or Abort.
// Its String is one line for a person.
type Step interface {
	fmt.Stringer
	step()
}

// Put makes a revision be so, see [cluster.Cluster].
type Put struct {
	Revision cluster.Revision
	Why      string
}

// SetRoute makes a route be so, see [cluster.Cluster].
type SetRoute struct {
	Route cluster.Route
	Why   string
}

// Delete removes a revision, see [cluster.Cluster].
type Delete struct {
	Revision cluster.Revision
	Why      string
}

// Check asks a gate about a revision; its answer is the next Input's Checked.
type Check struct {
	Name     string // tells the checks of one strategy apart
	Gate     health.Gate
	Revision cluster.Revision
	Baseline cluster.Revision // zero: none
}

// Wait looks again later.
type Wait struct {
	Why   string
	Until time.Time // by the cluster's clock, if it is known; zero: look again after one poll
}

// Done ends the run: the target is good and alone in traffic.
type Done struct {
	Due  time.Time // when something falls due, for a later run or one told to stay; zero: nothing does
	What string    // what falls due
}

// Abort ends the run without success.
type Abort struct {
	Kind Kind
	Why  string
}

func (Put) step()      {}
func (SetRoute) step() {}
func (Delete) step()   {}
func (Check) step()    {}
func (Wait) step()     {}
func (Done) step()     {}
func (Abort) step()    {}

// String returns, for example, "put web-v002 x3 on: web-v002 is ready".
func (s Put) String() string {
	r := s.Revision
	var b strings.Builder
	verb := "put"
	if r.Version == "" {
		verb = "create"
	}
	fmt.Fprintf(&b, "%s %s x%d", verb, r.Name, r.Replicas)
	if r.Enabled {
		b.WriteString(" on")
	} else {
		b.WriteString(" off")
	}
	if r.Outcome.Result != cluster.Undecided {
		fmt.Fprintf(&b, " %s", r.Outcome.Result)
	}
	return because(b.String(), s.Why)
}

// String returns, for example, "route service/web to web-v002: …".
func (s SetRoute) String() string {
	var to []string
	for name, percent := range s.Route.Weights {
		if percent < 100 {
			name = fmt.Sprintf("%s %d %%", name, percent)
		}
		to = append(to, name)
	}
	return because("route "+s.Route.Name+" to "+sorted(to), s.Why)
}

// String returns, for example, "delete web-v001: …".
func (s Delete) String() string { return because("delete "+s.Revision.Name, s.Why) }

// String returns, for example, "check web-v002: before traffic".
func (s Check) String() string { return because("check "+s.Revision.Name, s.Name) }

// String returns, for example, "wait: 1 of 3 pods ready".
func (s Wait) String() string { return because("wait", s.Why) }

// String returns "done", and what falls due.
func (s Done) String() string {
	if s.Due.IsZero() {
		return "done"
	}
	return "done; due later: " + s.What
}

// String returns, for example, "abort (failed): not ready within 10m0s".
func (s Abort) String() string { return because("abort ("+s.Kind.String()+")", s.Why) }

func because(what, why string) string {
	if why == "" {
		return what
	}
	return what + ": " + why
}
