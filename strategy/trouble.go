// When a run makes no headway: calls that fail, writes that somebody undoes, and
// how it ends then.

package strategy

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/internal/guard"
)

// failed decides what a failed call means: the end of the run, or another look.
func (r *run) failed(ctx context.Context, err error, object string) error {
	var refusal *guard.Refusal
	conflict := errors.Is(err, cluster.ErrConflict)
	switch {
	case errors.As(err, &refusal):
		r.refused = refusal
	case errors.Is(err, cluster.ErrRefused):
		return r.abort(Refused, err.Error(), err)
	case errors.Is(err, cluster.ErrUnsupported):
		return r.abort(Unfit, err.Error(), err)
	case object != "" && !conflict:
		r.fence.unanswered(object, r.state)
	}
	if ctx.Err() != nil {
		stopped := ctx.Err()
		if cause := context.Cause(ctx); cause != stopped {
			stopped = fmt.Errorf("%w: %w", stopped, cause)
		}
		return fmt.Errorf("cutover %s: release %s: stopped: %w. Serving when last seen: %s. To do: run the same release again, it goes on from there",
			r.app, r.target.Release, stopped, serving(r.state))
	}
	if r.trouble == nil {
		r.trouble = r.newTrouble()
		if conflict {
			return nil // somebody else wrote it: look again now
		}
	}
	pause := r.trouble.NextBackOff()
	if pause == backoff.Stop {
		return r.giveUp(err)
	}
	if r.refused != nil {
		pause = min(pause, r.Poll) // no call has failed: looks go on without a gap
	}
	if err := r.Clock.Sleep(ctx, pause); err != nil && ctx.Err() == nil {
		return fmt.Errorf("cutover %s: the clock cannot sleep: %w", r.app, err)
	}
	return nil
}

// newTrouble starts to count how long every try fails. There is no chance in
// it: whoever runs many at once gives them different times by their own steps.
func (r *run) newTrouble() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval, b.MaxInterval, b.MaxElapsedTime = min(r.Poll, time.Second), 30*time.Second, r.GiveUp
	b.RandomizationFactor, b.Clock = 0, r.Clock
	b.Reset()
	return b
}

func (r *run) giveUp(err error) error {
	if r.refused != nil {
		return r.abort(Unsafe, r.refused.Error(), err)
	}
	return fmt.Errorf("cutover %s: release %s: %w: no headway for %v. Serving when last seen: %s. To do: mend the cause, then run the same release again. Last error: %w",
		r.app, r.target.Release, ErrGaveUp, r.GiveUp, serving(r.state), err)
}

func (r *run) abort(kind Kind, why string, err error) error {
	abort := &AbortError{App: r.app, Release: r.target.Release, Kind: kind, Why: why, Serving: serving(r.state), Wrote: r.hasWritten, Err: err}
	for _, mine := range r.state.Revisions {
		if mine.UID != r.uid || r.uid == "" {
			continue
		}
		abort.Revision = mine.Name
		if mine.Outcome.Result == cluster.Failed && r.target.Unnamed() {
			abort.Why += "; the release was made from the template, so the same template is this release again: to deploy it again, name a Release"
		}
	}
	return abort
}

// tooOften is how often one and the same write may be answered and be wanted
// again: somebody else writes the same field, and two that pull at it do not
// agree by pulling.
const tooOften = 5

// insist returns the step, unless it is a write that was answered too often. Touches
// do not count: there are as many as there is news, and as there are pods for a batch.
func (r *run) insist(in Input, step Step) Step {
	r.write = worded(in, step)
	if n := r.answers[r.write]; n >= tooOften {
		found := fmt.Sprintf("%s was written %d times, and each time somebody else has undone it", r.write, n)
		if _, deletes := step.(Delete); deletes {
			found = fmt.Sprintf("%s was asked for %d times, and it is still there: see which finalizer holds it", r.write, n)
		}
		step, r.write = Abort{Unsafe, found}, ""
	}
	return step
}

// worded tells a write from every other one; "": the step is none.
func worded(in Input, step Step) string {
	switch s := step.(type) {
	case Put:
		found, _ := in.State.Named(s.Revision.Name)
		return fmt.Sprintf("%v (%d pods to settle)", step, found.Unsettled)
	case SetRoute, Delete:
		return step.String()
	}
	return ""
}

// repeated returns the answers that came more than once.
func (r *run) repeated() map[string]int {
	more := map[string]int{}
	for what, n := range r.answers {
		if n > 1 {
			more[what] = n
		}
	}
	return more
}

// answered counts a write that was answered with nil.
func (r *run) answered(step Step, err error) error {
	if err != nil {
		return err
	}
	r.hasWritten = true
	if touches(step) {
		r.fence.touched(step)
		return nil
	}
	if r.answers == nil {
		r.answers = map[string]int{}
	}
	r.answers[r.write]++
	return nil
}

// fruitless reports whether this very write was sent at the last look, which it
// changed nothing of: asking again at once would be as fruitless.
func (r *run) fruitless(in Input, step Step) bool {
	sent := r.write
	switch s := step.(type) {
	case Put:
		found, _ := in.State.Named(s.Revision.Name)
		sent += found.Version
	case SetRoute:
		sent += s.Route.Version
	case Delete:
		sent += s.Revision.Version
	}
	again := sent != "" && sent == r.sent
	r.sent = sent
	if again {
		r.sent = ""
	}
	return again
}
