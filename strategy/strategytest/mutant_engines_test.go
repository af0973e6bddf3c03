// Engines with a mistake, made from a loop without guard or touches that has
// none: after a call of unknown effect it waits until that can no longer land.

package strategytest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A loop is an engine. Its zero value makes no mistake; each field is one.
type loop struct {
	never bool // it never gives up
	rash  bool // it does not wait until nothing that was sent can land

	// look takes the place of a look.
	look func(ctx context.Context, c cluster.Cluster, last cluster.State) (cluster.State, error)
	// take takes the place of one step.
	take func(ctx context.Context, l *lap, step strategy.Step) error
	// judge says what an error of a step means: the end of the run with what it
	// returns, or another look.
	judge func(l *lap, step strategy.Step, err error) (end bool, with error)
}

// A lap is a loop under way.
type lap struct {
	loop
	strategy.Runner
	app      string
	target   cluster.Target
	strategy strategy.Strategy

	state   cluster.State
	checked strategy.Checked
	watched time.Time // by the cluster's clock
	due     time.Time // when the next look was to be
	doubt   bool
	trouble time.Time // since when calls fail; zero: they do not
	uid     string    // of its own revision
	stays   bool      // it was good, and something is still due
	written map[string]int
	turns   int
}

// landed is after which nothing that was sent can land.
const landed = 61 * time.Second

func (l loop) run(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
	it := &lap{loop: l, Runner: r, app: app, target: target.Named(), strategy: s, doubt: true, written: map[string]int{}}
	for {
		if it.doubt && !l.rash {
			_ = it.Clock.Sleep(ctx, landed)
		}
		it.doubt = false
		done, step, err := it.turn(ctx)
		switch {
		case done != nil:
			return *done, nil
		case err == nil:
			it.trouble = time.Time{}
			continue
		}
		if end, with := it.ends(ctx, step, err); end {
			return strategy.Done{}, with
		}
		_ = it.Clock.Sleep(ctx, time.Second)
	}
}

// turn looks and takes one step.
func (l *lap) turn(ctx context.Context) (done *strategy.Done, step strategy.Step, err error) {
	l.turns++
	if err := l.see(ctx); err != nil {
		l.Trace(strategy.Event{App: l.app, Turn: l.turns, Err: err})
		return nil, nil, err
	}
	in := strategy.Input{App: l.app, Target: l.target, State: l.state, Checked: l.checked, Watched: l.watched}
	l.checked = strategy.Checked{}
	step = l.strategy.Next(in)
	if l.gone() {
		step = strategy.Abort{Kind: strategy.Superseded, Why: "its revision is gone"}
	}
	if l.written[fmt.Sprint(step)] > 30 {
		step = strategy.Abort{Kind: strategy.Unsafe, Why: fmt.Sprintf("somebody undoes it: %v", step)}
	}
	l.Trace(strategy.Event{App: l.app, Turn: l.turns, Input: in, Step: step})
	switch s := step.(type) {
	case strategy.Done:
		if !l.Stay || s.Due.IsZero() {
			return &s, step, nil
		}
		l.stays = true
		return nil, step, l.rest(ctx)
	case strategy.Abort:
		if s.Kind == strategy.Superseded && l.stays {
			return &strategy.Done{}, step, nil
		}
		return nil, step, l.abort(s.Kind, s.Why, nil)
	}
	if l.take != nil {
		return nil, step, l.take(ctx, l, step)
	}
	return nil, step, l.step(ctx, step)
}

// see looks, and notes since when it has without a gap.
func (l *lap) see(ctx context.Context) error {
	late := l.Clock.Now().Sub(l.due) > 3*l.Poll
	state, err := l.state, error(nil)
	if l.look != nil {
		state, err = l.look(ctx, l.Cluster, l.state)
	} else {
		state, err = l.Cluster.Observe(ctx, l.app)
	}
	if err != nil {
		return err
	}
	if late || state.At.Sub(l.state.At) > time.Minute {
		l.watched = state.At
	}
	l.state, l.due = state, l.Clock.Now()
	if mine, ok := state.Find(l.target.Release); ok && l.uid == "" {
		l.uid = mine.UID
	}
	return nil
}

// gone reports whether somebody has deleted its revision.
func (l *lap) gone() bool {
	for _, r := range l.state.Revisions {
		if r.UID == l.uid {
			return false
		}
	}
	return l.uid != ""
}

func (l *lap) rest(ctx context.Context) error {
	l.due = l.due.Add(l.Poll)
	return l.Clock.Sleep(ctx, l.Poll)
}

// step takes one step.
func (l *lap) step(ctx context.Context, step strategy.Step) error {
	l.written[fmt.Sprint(step)]++
	switch s := step.(type) {
	case strategy.Put:
		return l.Cluster.Put(ctx, l.app, s.Revision)
	case strategy.SetRoute:
		return l.Cluster.SetRoute(ctx, l.app, s.Route)
	case strategy.Delete:
		return l.Cluster.Delete(ctx, l.app, s.Revision)
	case strategy.Check:
		v, why, err := s.Gate.Check(ctx, health.Look{App: l.app, State: l.state, Revision: s.Revision, Baseline: s.Baseline})
		l.checked = strategy.Checked{Name: s.Name, Verdict: v, Why: why}
		if err != nil {
			l.checked.Verdict = health.Pending
		}
		return nil
	}
	l.written[fmt.Sprint(step)] = 0
	return l.rest(ctx)
}

// ends says whether an error ends the run, and with what.
func (l *lap) ends(ctx context.Context, step strategy.Step, err error) (end bool, with error) {
	if l.judge != nil {
		if end, with := l.judge(l, step, err); end {
			return true, with
		}
	}
	var abort *strategy.AbortError
	now := l.Clock.Now()
	switch {
	case errors.As(err, &abort):
		return true, err
	case ctx.Err() != nil:
		return true, fmt.Errorf("stopped: %w", ctx.Err())
	case l.never:
	case errors.Is(err, cluster.ErrRefused):
		return true, l.abort(strategy.Refused, err.Error(), err)
	case errors.Is(err, cluster.ErrUnsupported):
		return true, l.abort(strategy.Unfit, err.Error(), err)
	case l.trouble.IsZero():
		l.trouble = now
	case now.Sub(l.trouble) > 5*time.Minute:
		return true, fmt.Errorf("%w: %w", strategy.ErrGaveUp, err)
	}
	l.doubt = step != nil && !errors.Is(err, cluster.ErrConflict)
	return false, nil
}

func (l *lap) abort(kind strategy.Kind, why string, err error) error {
	return &strategy.AbortError{App: l.app, Release: l.target.Release, Kind: kind, Why: why, Err: err}
}

// endsWith is a loop that takes some errors for the end of the run.
func endsWith(with error, when func(err error) bool) Engine {
	return loop{judge: func(_ *lap, _ strategy.Step, err error) (bool, error) { return when(err), with }}.run
}

// aborted reports whether an error is an abort of a kind.
func aborted(kind strategy.Kind) func(error) bool {
	return func(err error) bool {
		var abort *strategy.AbortError
		return errors.As(err, &abort) && abort.Kind == kind
	}
}

func writes(step strategy.Step) bool {
	switch step.(type) {
	case strategy.Put, strategy.SetRoute, strategy.Delete:
		return true
	}
	return false
}

func wrongEngines() []mutant {
	return []mutant{
		{
			name: "engine-no-fence", law: Fence, of: bareRoutes, first: "upgrade",
			mistake: "It does not wait for a write of unknown effect, and touches nothing either.",
			like:    "a switch that timed out lands after its revision was given up",
			engine:  loop{rash: true}.run,
		},
		{
			name: "engine-canceled-is-nil", law: NoLies, of: bareLabels,
			mistake: "A canceled context ends the run with nil.",
			like:    "a deployment that was stopped shows green",
			engine:  endsWith(nil, func(err error) bool { return errors.Is(err, context.Canceled) }),
		},
		{
			name: "engine-refused-is-nil", law: NoLies, of: bareLabels,
			mistake: "It gives up with nil when the cluster refuses.",
			like:    "a job whose account was not allowed to write, and that nobody has looked at for a month",
			engine:  endsWith(nil, func(err error) bool { return errors.Is(err, cluster.ErrRefused) }),
		},
		{
			name: "engine-superseded-is-nil", law: NoLies, of: bareLabels,
			mistake: "A run that a newer release has overtaken ends with nil.",
			like:    "nothing to do is taken for done",
			engine:  endsWith(nil, aborted(strategy.Superseded)),
		},
		{
			name: "engine-failed-is-nil", law: NoLies, of: bareLabels,
			mistake: "A rollback that went well ends the run with nil.",
			like:    "a pipeline that is green because its rollback step is",
			engine:  endsWith(nil, aborted(strategy.Failed)),
		},
		{
			name: "engine-no-kind", law: NoLies, of: bareLabels,
			mistake: "A refusal is passed on as it came, so that nobody can tell what to do.",
			like:    "a message that says forbidden, and nothing else",
			engine: loop{judge: func(_ *lap, _ strategy.Step, err error) (bool, error) {
				return errors.Is(err, cluster.ErrRefused), errors.New("it did not work")
			}}.run,
		},
		{
			name: "engine-conflict-ends", law: Convergence, of: bareLabels,
			mistake: "One conflict ends the run for good.",
			like:    "a controller that aborts a rollout on a single 409",
			engine: loop{judge: func(l *lap, _ strategy.Step, err error) (bool, error) {
				return errors.Is(err, cluster.ErrConflict), l.abort(strategy.Superseded, "somebody else is at work", err)
			}}.run,
		},
		{
			name: "engine-retries-blindly", law: Evidence, of: bareLabels,
			mistake: "A write that failed is sent once more, as it was.",
			like:    "a client with retries of its own below a loop that knows nothing of them",
			engine: loop{take: func(ctx context.Context, l *lap, step strategy.Step) error {
				err := l.step(ctx, step)
				if err != nil && writes(step) && ctx.Err() == nil {
					err = l.step(ctx, step)
				}
				return err
			}}.run,
		},
		{
			name: "engine-two-steps-a-look", law: Evidence, of: bareLabels,
			mistake: "A step that follows from the last write is taken without a look.",
			like:    "two steps that are each allowed by one snapshot, and together are not",
			engine: loop{take: func(ctx context.Context, l *lap, step strategy.Step) error {
				err := l.step(ctx, step)
				put, ok := step.(strategy.Put)
				if !ok || err != nil {
					return err
				}
				in := strategy.Input{App: l.app, Target: l.target, State: copied(l.state), Watched: l.watched}
				for i, r := range in.State.Revisions {
					if r.Name == put.Revision.Name {
						in.State.Revisions[i] = put.Revision
					}
				}
				if next := l.strategy.Next(in); writes(next) {
					return l.step(ctx, next)
				}
				return nil
			}}.run,
		},
		{
			name: "engine-last-look-on-error", law: Evidence, of: bareLabels,
			mistake: "When a look fails it goes by the one before.",
			like:    "a cache that serves what it has while it cannot be filled",
			engine: loop{look: func(ctx context.Context, c cluster.Cluster, last cluster.State) (cluster.State, error) {
				s, err := c.Observe(ctx, app)
				if err != nil && ctx.Err() == nil && !last.At.IsZero() {
					return last, nil
				}
				return s, err
			}}.run,
		},
		{
			name: "engine-one-look-behind", law: Preconditions, of: bareLabels,
			mistake: "It acts on the look before the last.",
			like:    "an informer that lags behind the writes of the one who reads it",
			engine: func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
				var before *cluster.State
				return loop{look: func(ctx context.Context, c cluster.Cluster, _ cluster.State) (cluster.State, error) {
					now, err := c.Observe(ctx, app)
					if err != nil || before == nil {
						before = &now
						return now, err
					}
					show := *before
					before = &now
					return show, nil
				}}.run(ctx, r, app, target, s)
			},
		},
		{
			name: "engine-another-name", law: Convergence, of: bareLabels,
			mistake: "A create that was not answered is sent again under the next name.",
			like:    "a timeout that is taken for a failure, and two of everything",
			engine: loop{take: func(ctx context.Context, l *lap, step strategy.Step) error {
				err := l.step(ctx, step)
				put, ok := step.(strategy.Put)
				if err == nil || !ok || put.Revision.Version != "" || ctx.Err() != nil || errors.Is(err, cluster.ErrRefused) {
					return err
				}
				if _, err := l.Cluster.Observe(ctx, l.app); err != nil {
					return err
				}
				put.Revision.Seq++
				put.Revision.Name = cluster.RevisionName(l.app, put.Revision.Seq, "")
				return l.step(ctx, put)
			}}.run,
		},
		{
			name: "engine-last-write-is-success", law: NoLies, of: bareLabels,
			mistake: "The run is over when the last write was sent, whatever came of it.",
			like:    "success by the exit of the last command but one",
			engine: loop{judge: func(_ *lap, step strategy.Step, err error) (bool, error) {
				put, ok := step.(strategy.Put)
				return ok && put.Revision.Outcome.Result == cluster.Good && put.Revision.Enabled && !errors.Is(err, cluster.ErrRefused), nil
			}}.run,
		},
		{
			name: "engine-refused-for-ever", law: Termination, of: bareLabels,
			mistake: "What is refused is tried again, for ever.",
			like:    "a rollout that hangs on a quota until somebody finds it",
			engine:  loop{never: true}.run,
		},
		{
			name: "engine-release-of-its-own", law: Scope, of: bareLabels,
			mistake: "Every run makes up a release, so that none goes on with what another has begun.",
			like:    "a build number that counts attempts",
			engine: func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
				target.Release += "-" + r.ID
				return loop{}.run(ctx, r, app, target, s)
			},
		},
		{
			name: "engine-version-read-anew", law: Decision, of: bareLabels,
			mistake: "Between plan and write it reads the version once more, so that the write fits.",
			like:    "a retry on conflict that gets the object, sets the field and updates",
			engine: loop{take: func(ctx context.Context, l *lap, step strategy.Step) error {
				put, ok := step.(strategy.Put)
				if !ok {
					return l.step(ctx, step)
				}
				r, err := anew(ctx, l.Cluster, put.Revision)
				if err != nil {
					return err
				}
				put.Revision = r
				return l.step(ctx, put)
			}}.run,
		},
	}
}

// anew compares a Put with what there is now, if that is there.
func anew(ctx context.Context, c cluster.Cluster, r cluster.Revision) (cluster.Revision, error) {
	now, err := c.Observe(ctx, app)
	if err != nil || r.Version == "" {
		return r, err
	}
	found, ok := now.Named(r.Name)
	if !ok {
		return r, fmt.Errorf("%s is gone: %w", r.Name, cluster.ErrConflict)
	}
	r.UID, r.Version = found.UID, found.Version
	return r, nil
}
