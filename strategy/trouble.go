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
	return fmt.Errorf("cutover %s: release %s: %w after %v of failing calls. Serving when last seen: %s. To do: mend the cause, then run the same release again. Last error: %w",
		r.app, r.target.Release, ErrGaveUp, r.GiveUp, serving(r.state), err)
}

func (r *run) abort(kind Kind, why string, err error) error {
	abort := &AbortError{App: r.app, Release: r.target.Release, Kind: kind, Why: why, Serving: serving(r.state), Wrote: len(r.answers) > 0, Err: err}
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

// again says how often this write was answered already.
func (r *run) again(in Input, step Step) (what string, n int) {
	if touches(step) {
		return "", 0 // as often as there is news, and as it has pods for a batch
	}
	switch s := step.(type) {
	case Put:
		found, _ := in.State.Named(s.Revision.Name)
		what = fmt.Sprint(step, " (", found.Unsettled, " pods to settle)")
	case SetRoute, Delete:
		what = step.String()
	}
	return what, r.answers[what]
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
func (r *run) answered(in Input, step Step, err error) error {
	if err == nil {
		what, n := r.again(in, step)
		if r.answers == nil {
			r.answers = map[string]int{}
		}
		r.answers[what] = n + 1
	}
	return err
}

// fruitless reports whether this very write was sent at the last look, which it
// changed nothing of: asking again at once would be as fruitless.
func (r *run) fruitless(in Input, step Step) bool {
	sent := ""
	switch s := step.(type) {
	case Put:
		found, _ := in.State.Named(s.Revision.Name)
		sent = fmt.Sprint(step, found.Version, found.Unsettled)
	case SetRoute:
		sent = fmt.Sprint(step, s.Route.Version)
	case Delete:
		sent = fmt.Sprint(step, s.Revision.Version)
	}
	again := sent != "" && sent == r.sent
	r.sent = sent
	if again {
		r.sent = ""
	}
	return again
}
