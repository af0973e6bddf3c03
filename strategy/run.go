// The Runner: the one loop, and the one place that writes.

package strategy

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/cenkalti/backoff/v4"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/internal/digest"
	"github.com/cutover-dev/cutover/internal/guard"
)

// A Runner carries a strategy's steps out. Only Cluster must be set. A Runner
// holds nothing of a run: it may be copied, and used for several at once if its
// Cluster and Clock may.
type Runner struct {
	Cluster cluster.Cluster

	// ID names a run in what it writes. Leave it empty, and it is drawn: it must
	// differ between any two runs, those of the same release too, or the second
	// takes what is still under way from the first for its own.
	ID string

	Clock     Clock         // nil: the Cluster, if it is one (a simulated one is), else the machine's. Only differences count
	Poll      time.Duration // between two looks while waiting, at most; 0: 2s
	GiveUp    time.Duration // how long every try may fail before the run does; 0: 5m
	Skew      time.Duration // how far clocks of the cluster may differ: every hold, drain and bake is so much longer than its setting says; 0: 30s, negative: not at all
	FenceWait time.Duration // after which an unanswered write can no longer land; 0: 60s

	// Floor is the number of endpoints, on every traffic route, that no write
	// may risk going below: at most the replicas wanted, and nothing for a strategy
	// that has a gap. 0: what the strategy says, if it is a Bounder; else what
	// serves at each look, up to the replicas wanted.
	Floor int

	// Stay makes Run do what falls due, too, and return only when nothing is.
	Stay bool

	// Trace, if set, is called in Run's own goroutine before each step, and
	// again with the error if it failed.
	Trace func(Event)

	bell *bell // wakes a member of a group; nil: the run is none
}

// A Clock lets time pass.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// An Event is one turn of the loop. As Next is pure, a recorded Input can be
// planned again off-line.
type Event struct {
	App   string
	Turn  int   // counts from 1
	Input Input // zero if the look failed
	Step  Step  // nil if the look failed
	Err   error // why the look, the step or the gate failed; nil before the step is taken

	run *run
}

// Memory returns a digest of what the run remembers now beside what is in the
// cluster. Two runs with the same memory go on alike where the world is the
// same, too, but for one thing: which writes were answered only once is left out.
// Where somebody undoes a write again and again, one of the two may give up a
// repetition before the other. That is for tools that explore many.
func (e Event) Memory() uint64 {
	if e.run == nil {
		return 0
	}
	r := e.run
	return digest.Of(r.Clock.Now(), r.fence, r.trouble, r.refused != nil, r.state, r.began, r.next, r.watched, r.broken, r.follows, r.checked, r.uid,
		r.settled, r.sent, r.wrote, r.repeated(), r.hasWritten)
}

// String returns one line: the step, and the error if there is one.
func (e Event) String() string {
	what := "look"
	if e.Step != nil {
		what = e.Step.String()
	}
	if e.Err != nil {
		return what + ": " + e.Err.Error()
	}
	return what
}

// maxAge is how old a look may be and still justify a write.
const maxAge = 30 * time.Second

// Run looks, asks the strategy, takes one step and looks again, until the
// strategy says so or ctx ends. It returns
//
//   - what falls due later, and nil: the target was seen good and alone in
//     traffic on a fresh look;
//   - an [*AbortError]: its Kind says what came of it and what to do;
//   - an error that Is [ErrGaveUp]: calls kept failing;
//   - an error that Is ctx's: stopped. The app serves on as it is.
//
// It may be killed at any point and run again with the same target, strategy
// settings and app: it goes on with the revision that is there. A good release
// that is run again is Done if it serves at all. Two runs of one app at once are
// safe: the one with the higher sequence wins. A run whose revision somebody
// deletes stops, and does not make another.
func (r Runner) Run(ctx context.Context, app string, target cluster.Target, s Strategy) (Done, error) {
	run, err := r.begin(app, target, s)
	if err != nil {
		return Done{}, err
	}
	for {
		done, err := run.turn(ctx)
		if err != nil {
			return Done{}, err
		}
		if done != nil {
			return *done, nil
		}
	}
}

// run is one Run under way: nothing in it outlives the process, and nothing in
// it is needed to go on after a kill.
type run struct {
	Runner
	app      string
	target   cluster.Target
	strategy Strategy

	guard   *guard.Guard
	fence   fence
	trouble *backoff.ExponentialBackOff // nil while all is well
	refused *guard.Refusal              // what the guard has refused, while it is

	turns      int
	state      cluster.State // the last look
	began      time.Time     // when the last look began, by the Clock
	next       time.Time     // when the next one is due
	watched    time.Time
	broken     time.Time // watched, if the looks were broken off
	follows    map[string]following
	checked    Checked
	uid        string         // of the run's own revision, once it was seen
	settled    bool           // the target was seen good and alone, and the run stays
	bounds     guard.Bounds   // at the last look
	write      string         // what is planned, if it is a write, see worded
	sent       string         // the last write, and the version that it was for
	wrote      string         // the object of a write since the last look
	answers    map[string]int // how often the same write was answered with nil
	hasWritten bool           // a write was answered with nil, be it a touch
}

func (r Runner) begin(app string, target cluster.Target, s Strategy) (*run, error) {
	r = r.withDefaults()
	target = target.Named()
	run := &run{Runner: r, app: app, target: target, strategy: s}
	switch {
	case r.Cluster == nil:
		return nil, run.abort(Unfit, "the Runner has no Cluster", nil)
	case s == nil:
		return nil, run.abort(Unfit, "there is no strategy", nil)
	case app == "":
		return nil, run.abort(Unfit, "the app has no name", nil)
	case len(target.Template) == 0 && target.Unnamed():
		return nil, run.abort(Unfit, "the target has neither a release nor a template", nil)
	case r.Poll < 0 || r.GiveUp < 0 || r.FenceWait < 0 || r.Floor < 0:
		return nil, run.abort(Unfit, "Poll, GiveUp, FenceWait and Floor of the Runner must not be negative", nil)
	case target.Replicas < 0:
		return nil, run.abort(Unfit, fmt.Sprintf("the target wants %d replicas; 0 means as many as serve now", target.Replicas), nil)
	}
	run.guard = guard.Over(r.Cluster, guard.Rules{
		Release: target.Release, Replicas: target.Replicas, Bounds: func() guard.Bounds { return run.bounds }, MaxAge: maxAge, Now: r.Clock.Now,
	})
	run.fence = fence{id: r.ID, release: target.Release, wait: r.FenceWait}
	return run, nil
}

// boundsOf are the strategy's at a look, with the Runner's own floor.
func (r *run) boundsOf(in Input) guard.Bounds {
	bounds := guard.Bounds{Floor: guard.WhatServes}
	if b, ok := r.strategy.(Bounder); ok {
		if own, ok := b.Bounds(in); ok {
			bounds = guard.Bounds(own)
		}
	}
	if r.Floor > 0 {
		bounds.Floor = r.Floor
	}
	return bounds
}

func (r Runner) withDefaults() Runner {
	for _, d := range []struct {
		field *time.Duration
		zero  time.Duration
	}{{&r.Poll, 2 * time.Second}, {&r.GiveUp, 5 * time.Minute}, {&r.Skew, 30 * time.Second}, {&r.FenceWait, time.Minute}} {
		if *d.field == 0 {
			*d.field = d.zero
		}
	}
	r.Skew = max(0, r.Skew)
	if clock, simulated := r.Cluster.(Clock); r.Clock == nil && simulated {
		r.Clock = clock
	}
	if r.Clock == nil {
		r.Clock = machineClock{}
	}
	if r.ID == "" {
		r.ID = rand.Text()
	}
	return r
}

// turn is one turn of the loop. It returns a Done when the run is.
func (r *run) turn(ctx context.Context) (*Done, error) {
	r.turns++
	in, err := r.look(ctx)
	if err != nil {
		r.trace(Input{}, nil, err)
		return nil, r.failed(ctx, err, "")
	}
	step := r.insist(in, r.plan(in))
	fruitless := r.fruitless(in, step)
	if fruitless {
		step = Wait{Why: "nothing has come yet of: " + step.String()}
	}
	r.trace(in, step, nil)
	switch s := step.(type) {
	case Done:
		if !r.Stay || s.Due.IsZero() {
			return &s, nil
		}
		r.settled = true
		step = Wait{Why: s.What, Until: s.Due}
	case Abort:
		if s.Kind == Superseded && r.settled && !r.gone(in.State) {
			return &Done{}, nil // it was good, and what was still due is the newer one's now
		}
		return nil, r.abort(s.Kind, s.Why, nil)
	}
	object, err := r.take(ctx, in, step)
	if r.wrote = object; errors.Is(err, cluster.ErrConflict) {
		r.wrote = "" // somebody else has
	}
	if in.Checked.Verdict == health.Fail && (err != nil || fruitless || touches(step)) {
		r.checked = in.Checked // nobody has written it down yet
	}
	if err != nil {
		r.trace(in, step, err)
		return nil, r.failed(ctx, err, object)
	}
	if _, check := step.(Check); !check && !fruitless {
		r.trouble, r.refused = nil, nil // a look alone, or a gate, is no headway
	}
	return nil, nil
}

// plan asks the strategy, unless the run has lost what it is about, and puts a
// touch before the step if that must be.
func (r *run) plan(in Input) Step {
	if mine, found, _ := place(in); found && r.uid == "" {
		r.uid = mine.UID
	}
	if r.gone(in.State) {
		return Abort{Superseded, lostRevision}
	}
	if why := r.overFloor(in); why != "" {
		return Abort{Unfit, why}
	}
	step := r.strategy.Next(in)
	if step == nil {
		return Abort{Unfit, "the strategy did not say what to do: Next returned nil"}
	}
	return r.fence.before(in, step)
}

// overFloor says why a release that is yet to be created could not keep the Runner's
// Floor.
func (r *run) overFloor(in Input) string {
	_, found := in.Mine()
	n := in.replicas()
	switch {
	case r.Floor == 0 || found || len(r.target.Template) == 0 || n == 0:
	case r.bounds.Apart:
		return fmt.Sprintf("the Runner's Floor is %d, and with this strategy there is a gap: leave Floor out", r.Floor)
	case r.Floor > n:
		return fmt.Sprintf("the Runner's Floor is %d, and the release is to have %d replicas", r.Floor, n)
	}
	return ""
}

// gone reports whether somebody has deleted the run's own revision; what has its
// name now is another one.
func (r *run) gone(s cluster.State) bool {
	return r.uid != "" && !slices.ContainsFunc(s.Revisions, func(rev cluster.Revision) bool { return rev.UID == r.uid })
}

// look takes a look that is young enough to act on.
func (r *run) look(ctx context.Context) (Input, error) {
	if err := ctx.Err(); err != nil {
		return Input{}, err
	}
	began := r.Clock.Now()
	state, err := r.guard.Observe(ctx, r.app)
	if err != nil {
		return Input{}, fmt.Errorf("looking at %s: %w", r.app, err)
	}
	if took := r.Clock.Now().Sub(began); took > maxAge {
		return Input{}, fmt.Errorf("looking at %s took %v: too old to act on", r.app, took)
	}
	first := r.state.At.IsZero()
	gap := began.Sub(r.next) > max(3*r.Poll, 3*time.Second)                                   // this process was stopped, say
	jump := state.At.Sub(r.state.At)-began.Sub(r.began) > max(3*r.Poll, 3*time.Second)+r.Skew // or its machine was; or the cluster's clock was set
	if first || gap || jump {
		r.watched = state.At
	}
	if !first && (gap || jump) {
		r.broken = state.At
	}
	r.follows = followed(state, r.follows)
	in := Input{App: r.app, Target: r.target, State: state, Checked: r.checked, Watched: r.watched, Skew: r.Skew, broken: r.broken, follows: r.follows}
	r.bounds = r.boundsOf(in)
	r.fence.apart, r.fence.shares = r.bounds.Apart, r.bounds.Ceiling > 0
	if first {
		r.fence.firstLook(state)
	} else {
		r.fence.nextLook(r.state, state, r.wrote)
	}
	r.wrote = ""
	r.state, r.began, r.next = state, began, r.Clock.Now()
	r.checked = Checked{}
	return in, nil
}

// following is since which look the cluster follows the last write to a revision.
type following struct {
	since  time.Time
	behind bool // it still is
}

// followed returns since when the cluster follows what was last written, by UID: from
// the look that first showed a revision Behind.
func followed(s cluster.State, before map[string]following) map[string]following {
	now := map[string]following{}
	for _, r := range s.Revisions {
		was, known := before[r.UID]
		switch {
		case r.Behind && !was.behind:
			now[r.UID] = following{s.At, true}
		case known:
			now[r.UID] = following{was.since, r.Behind}
		}
	}
	return now
}

// take takes one step. Every write of cutover is sent from here, through the
// guard. It returns the name of the object that a write was for.
func (r *run) take(ctx context.Context, in Input, step Step) (object string, err error) {
	switch s := step.(type) {
	case Put:
		return s.Revision.Name, r.answered(step, r.guard.Put(ctx, r.app, r.fence.stamp(in, s.Revision)))
	case SetRoute:
		s.Route.Fence = r.fence.token()
		return s.Route.Name, r.answered(step, r.guard.SetRoute(ctx, r.app, s.Route))
	case Delete:
		return s.Revision.Name, r.answered(step, r.guard.Delete(ctx, r.app, s.Revision))
	case Check:
		r.check(ctx, in, s)
		if took := r.Clock.Now().Sub(r.next); took < maxAge {
			r.next = r.next.Add(took) // a gate may be slow
		}
		return "", nil
	case Wait:
		pause := r.Poll
		if !s.Until.IsZero() {
			pause = max(min(pause, s.Until.Sub(in.State.At)), pause/10)
		}
		r.next = r.next.Add(pause)
		return "", r.rest(ctx, pause)
	}
	return "", fmt.Errorf("the strategy says %T, which is no step: %w", step, cluster.ErrUnsupported)
}

// rest lets time pass until the next look is due, or is worth it.
func (r *run) rest(ctx context.Context, d time.Duration) error {
	resting, over := r.bell.rest(ctx)
	defer over()
	sleep := r.Clock.Sleep
	watcher, watches := r.Cluster.(cluster.Watcher)
	if _, real := r.Clock.(machineClock); watches && real {
		sleep = func(ctx context.Context, d time.Duration) error { return watcher.Await(ctx, r.app, d) }
	}
	if err := sleep(resting, d); resting.Err() == nil || ctx.Err() != nil {
		return err
	}
	return nil // it was woken
}

// check asks a gate, which has as long as a look may be old. One that fails to
// answer is pending, and reported. No gate is a pass.
func (r *run) check(ctx context.Context, in Input, s Check) {
	r.checked = Checked{Name: s.Name, Verdict: health.Pending}
	if s.Gate == nil {
		r.checked.Verdict = health.Pass
		return
	}
	ctx, cancel := context.WithTimeout(ctx, maxAge)
	defer cancel()
	verdict, why, err := s.Gate.Check(ctx, health.Look{App: r.app, State: in.State, Revision: s.Revision, Baseline: s.Baseline})
	if err != nil {
		r.checked.Why = "the gate did not answer"
		r.trace(in, s, err)
		return
	}
	r.checked.Verdict, r.checked.Why = verdict, why
}

func (r *run) trace(in Input, step Step, err error) {
	if r.Trace != nil {
		r.Trace(Event{App: r.app, Turn: r.turns, Input: in, Step: step, Err: err, run: r})
	}
}

// machineClock is the machine's own clock.
type machineClock struct{}

func (machineClock) Now() time.Time { return time.Now() }

func (machineClock) Sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
