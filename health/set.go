// The gate that is asked about several revisions at once: those of a group of
// apps, or of one app in several places.

package health

import "context"

// A SetGate says whether several revisions are fit for more traffic together.
// What is said of a [Gate] holds for it: it may be asked any number of times, and
// asking must change nothing; an error counts as Pending, and None never counts as
// Pass; the why must not hold a secret. Looks are in the order in which the apps or
// places were given, and each may be some seconds old.
type SetGate interface {
	Check(ctx context.Context, looks []Look) (v Verdict, why string, err error)
}

// A SetGateFunc is a SetGate made from a function.
type SetGateFunc func(ctx context.Context, looks []Look) (Verdict, string, error)

// Check implements SetGate.
func (f SetGateFunc) Check(ctx context.Context, looks []Look) (Verdict, string, error) {
	return f(ctx, looks)
}
