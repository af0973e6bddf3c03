// Package health says whether a revision is fit for more traffic: the four
// verdicts, and the one-method interface that is asked for them.
package health

import (
	"context"

	"github.com/cutover-dev/cutover/cluster"
)

// A Verdict is what a Gate says.
type Verdict int

const (
	None    Verdict = iota // zero: nobody was asked, or there was no data. Never a pass
	Pass                   // fit for more traffic
	Fail                   // not fit: give the revision up
	Pending                // not known yet: ask again
)

// String returns "none", "pass", "fail" or "pending".
func (v Verdict) String() string {
	switch v {
	case Pass:
		return "pass"
	case Fail:
		return "fail"
	case Pending:
		return "pending"
	}
	return "none"
}

// A Look is what a Gate is asked about.
type Look struct {
	App      string
	State    cluster.State    // the look that the question rests on
	Revision cluster.Revision // the one to judge
	Baseline cluster.Revision // what it is compared with; zero: there is none
}

// A Gate says whether look.Revision is fit for more traffic, and why. It may be
// asked any number of times and again after a crash, so asking must change
// nothing. The why is stored with the decision that it leads to: it must not
// hold a secret. A Gate that returns an error counts as Pending, and None never
// counts as Pass; whoever asks has a deadline for both. Check must heed ctx,
// which ends after half a minute: a Gate that does not holds its run up.
//
// Gates are compared and copied as values when a strategy is: prefer a struct
// to a closure.
type Gate interface {
	Check(ctx context.Context, look Look) (v Verdict, why string, err error)
}

// A GateFunc is a Gate made from a function.
type GateFunc func(ctx context.Context, look Look) (Verdict, string, error)

// Check implements Gate.
func (f GateFunc) Check(ctx context.Context, look Look) (Verdict, string, error) {
	return f(ctx, look)
}
