// What the loop does around a strategy: what it refuses to begin, when it looks,
// how long it waits, what it counts as watched, and how it ends in trouble.

package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A still is a Cluster, and its Clock, in which nothing moves by itself.
type still struct {
	state  cluster.State
	now    time.Time
	looks  int
	writes []string
	slept  []time.Duration

	look  func() error                  // before each look; nil: nothing
	write func(what string) error       // answers each write; nil: with nil
	sleep func(time.Duration) error     // instead of a sleep of just so long; nil: that
	at    func(now time.Time) time.Time // the cluster's clock; nil: the same
	put   func(r cluster.Revision)      // takes a write that was answered with nil
}

func standing(s cluster.State) *still { return &still{state: s, now: s.At} }

func (s *still) Now() time.Time { return s.now }

func (s *still) Sleep(_ context.Context, d time.Duration) error {
	s.slept = append(s.slept, d)
	if s.sleep != nil {
		return s.sleep(d)
	}
	s.now = s.now.Add(d)
	return nil
}

func (s *still) Observe(context.Context, string) (cluster.State, error) {
	s.looks++
	if s.look != nil {
		if err := s.look(); err != nil {
			return cluster.State{}, err
		}
	}
	s.state.At = s.now
	if s.at != nil {
		s.state.At = s.at(s.now)
	}
	return s.state, nil
}

func (s *still) written(what string) error {
	s.writes = append(s.writes, what)
	if s.write != nil {
		return s.write(what)
	}
	return nil
}

func (s *still) Put(_ context.Context, _ string, r cluster.Revision) error {
	err := s.written("put " + r.Name)
	if err == nil && s.put != nil {
		s.put(r)
	}
	return err
}
func (s *still) SetRoute(_ context.Context, _ string, r cluster.Route) error {
	return s.written("route " + r.Name)
}
func (s *still) Delete(_ context.Context, _ string, r cluster.Revision) error {
	return s.written("delete " + r.Name)
}

func (s *still) runner() strategy.Runner {
	return strategy.Runner{Cluster: s, Clock: s, ID: "run", Skew: -1}
}

// always says the same at each look.
func always(step strategy.Step) strategy.Strategy {
	return strategy.Func(func(strategy.Input) strategy.Step { return step })
}

// inTurn says one step after the other, and Done in the end.
func inTurn(steps ...strategy.Step) strategy.Strategy {
	n := 0
	return strategy.Func(func(strategy.Input) strategy.Step {
		if n++; n > len(steps) {
			return strategy.Done{}
		}
		return steps[n-1]
	})
}

func quiet() cluster.State { return byLabels(live, rev(1, on, isGood), rev(2)) }

func TestWhatARunRefusesToBegin(t *testing.T) {
	done, target := always(strategy.Done{}), build("b2")
	for _, c := range []struct {
		why    string
		change func(*strategy.Runner)
		app    string
		target cluster.Target
		how    strategy.Strategy
		want   string // "": it begins
	}{
		{"all is well", nil, "web", target, done, ""},
		{"nowhere to run", func(r *strategy.Runner) { r.Cluster = nil }, "web", target, done, "the Runner has no Cluster"},
		{"no strategy", nil, "web", target, nil, "there is no strategy"},
		{"no app", nil, "", target, done, "the app has no name"},
		{"neither release nor template", nil, "web", cluster.Target{}, done, "neither a release nor a template"},
		{"a release is enough", nil, "web", cluster.Target{Release: "b2"}, done, ""},
		{"the shortest template is enough", nil, "web", cluster.Target{Template: []byte("t")}, done, ""},
		{"a Poll", func(r *strategy.Runner) { r.Poll = -1 }, "web", target, done, "must not be negative"},
		{"a GiveUp", func(r *strategy.Runner) { r.GiveUp = -1 }, "web", target, done, "must not be negative"},
		{"a FenceWait", func(r *strategy.Runner) { r.FenceWait = -1 }, "web", target, done, "must not be negative"},
		{"a Floor", func(r *strategy.Runner) { r.Floor = -1 }, "web", target, done, "must not be negative"},
		{"the shortest of times", func(r *strategy.Runner) { r.Poll, r.GiveUp, r.FenceWait, r.Floor = 1, 1, 1, 1 }, "web", target, done, ""},
		{"less than no replicas", nil, "web", cluster.Target{Release: "b2", Replicas: -1}, done, "the target wants -1 replicas"},
	} {
		s := standing(quiet())
		r := s.runner()
		if c.change != nil {
			c.change(&r)
		}
		_, err := r.Run(ctx, c.app, c.target, c.how)
		if c.want == "" {
			require.NoError(t, err, c.why)
			continue
		}
		require.Equal(t, "unfit", kind(t, err), c.why)
		require.ErrorContains(t, err, c.want, c.why)
		require.Zero(t, s.looks, c.why)
	}
}

// A target without a name gets one from its template: run again, it is the same
// release.
func TestATargetWithoutANameIsResumed(t *testing.T) {
	w := older(cluster.Can{})
	target := cluster.Target{Template: []byte("next")}
	require.NoError(t, bounded(t, runner(w, "a"), target, strategy.RedBlack{}))
	made, ok := w.State("web").Find(target.Named().Release)
	require.True(t, ok)
	require.Equal(t, "web-v002", made.Name)
	before := len(w.Writes())
	require.NoError(t, bounded(t, runner(w, "b"), target, strategy.RedBlack{}))
	require.Empty(t, w.Writes()[before:])
}

// floored is a strategy with a floor of its own.
type floored struct {
	strategy.Strategy
	floor int
}

func (f floored) Bounds(strategy.Input) (strategy.Bounds, bool) {
	return strategy.Bounds{Floor: f.floor}, true
}

func TestTheFloorIsTheRunnersThenTheStrategysThenWhatServes(t *testing.T) {
	for _, c := range []struct{ runners, strategys, lowest int }{{0, 0, 3}, {0, 2, 2}, {0, 1, 1}, {1, 0, 1}, {2, 0, 2}, {1, 2, 1}, {2, 1, 2}} {
		for n := range 3 {
			smaller := rev(1, on, isGood)
			smaller.Replicas = n
			how := inTurn(strategy.Put{Revision: smaller})
			if c.strategys > 0 {
				how = floored{how, c.strategys}
			}
			s := standing(byLabels(live, rev(1, on, isGood)))
			r := s.runner()
			r.Floor = c.runners
			_, _ = r.Run(ctx, "web", build("b2"), how)
			require.Equal(t, n >= c.lowest, len(s.writes) == 1, "%+v: down to %d", c, n)
		}
	}
}

func TestWhatTheRunnersZerosStandFor(t *testing.T) {
	s := standing(quiet())
	var skew time.Duration
	r := strategy.Runner{Cluster: s, Trace: func(e strategy.Event) { skew = e.Input.Skew }}
	_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}))
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Second}, s.slept, "a Poll, by the clock that the Cluster is")
	require.Equal(t, 30*time.Second, skew)
	r.Skew = -1
	_, err = r.Run(ctx, "web", build("b2"), inTurn())
	require.NoError(t, err)
	require.Zero(t, skew, "negative: not at all")

	s = standing(quiet())
	s.look = func() error { return errors.New("connection reset") }
	began := s.now
	_, err = strategy.Runner{Cluster: s}.Run(ctx, "web", build("b2"), inTurn())
	require.ErrorIs(t, err, strategy.ErrGaveUp)
	require.ErrorContains(t, err, "no headway for 5m0s")
	require.Greater(t, s.now.Sub(began), 4*time.Minute)
	require.LessOrEqual(t, s.now.Sub(began), 5*time.Minute)
}

// Runs without a name of their own are told apart: what one writes, another does
// not take for its own.
func TestRunsAreToldApart(t *testing.T) {
	fence := func(id string) string {
		w := older(cluster.Can{})
		r := runner(w, id)
		require.NoError(t, bounded(t, r, build("b2"), strategy.RedBlack{}))
		made, _ := w.State("web").Find("b2")
		return made.Fence
	}
	require.Equal(t, fence("mine"), fence("mine"))
	require.True(t, strings.HasPrefix(fence("mine"), "mine."))
	require.NotEqual(t, fence(""), fence(""))
}

// clockless hides that a Cluster is a Clock.
type clockless struct{ cluster.Cluster }

// watching is a clockless Cluster that can tell when to look again.
type watching struct {
	cluster.Cluster
	awaited []time.Duration
}

func (w *watching) Await(_ context.Context, _ string, d time.Duration) error {
	w.awaited = append(w.awaited, d)
	return nil
}

// A real cluster is waited for by its own hint; where time is simulated, a hint
// would let none pass.
func TestWhoSaysWhenToLookAgain(t *testing.T) {
	for _, c := range []struct {
		why          string
		hint, clock  bool
		awaits, naps int
	}{
		{"the machine's clock, and no hint", false, false, 0, 0},
		{"the machine's clock, and a hint", true, false, 1, 0},
		{"a clock of its own", false, true, 0, 1},
		{"a clock of its own, though there is a hint", true, true, 0, 1},
	} {
		s := standing(quiet())
		w := &watching{Cluster: clockless{s}}
		r := strategy.Runner{Cluster: clockless{s}, Poll: time.Millisecond}
		if c.hint {
			r.Cluster = w
		}
		if c.clock {
			r.Clock = s
		}
		_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}))
		require.NoError(t, err, c.why)
		require.Len(t, w.awaited, c.awaits, c.why)
		require.Len(t, s.slept, c.naps, c.why)
		require.Equal(t, 2, s.looks, c.why)
	}
}

// A wait is as long as it says, but no longer than a Poll, and never no time.
func TestHowLongAWaitIs(t *testing.T) {
	for _, c := range []struct{ until, want time.Duration }{
		{time.Hour, 20 * time.Second}, {20 * time.Second, 20 * time.Second}, {5 * time.Second, 5 * time.Second},
		{2 * time.Second, 2 * time.Second}, {time.Second, 2 * time.Second}, {0, 2 * time.Second}, {-time.Hour, 2 * time.Second},
	} {
		s := standing(quiet())
		r := s.runner()
		r.Poll = 20 * time.Second
		_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{Until: noon.Add(c.until)}))
		require.NoError(t, err)
		require.Equal(t, []time.Duration{c.want}, s.slept, "%v", c.until)
	}
	s := standing(quiet())
	_, err := s.runner().Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}))
	require.NoError(t, err)
	require.Equal(t, []time.Duration{2 * time.Second}, s.slept, "nobody knows until when")
}

func TestTurnsAreCounted(t *testing.T) {
	s := standing(quiet())
	r := s.runner()
	var turns []int
	r.Trace = func(e strategy.Event) { turns = append(turns, e.Turn) }
	_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}, strategy.Wait{}))
	require.NoError(t, err)
	require.Equal(t, []int{1, 2, 3}, turns)
}

func TestOnlyARunHasAMemory(t *testing.T) {
	require.Zero(t, strategy.Event{}.Memory())
	s := standing(quiet())
	r := s.runner()
	memories := map[uint64]bool{}
	r.Trace = func(e strategy.Event) { memories[e.Memory()] = true }
	_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}, strategy.Wait{}))
	require.NoError(t, err)
	require.Len(t, memories, 3, "time has passed")
}

// A run that made all of its writes is to be the same as one that found some of them
// made, until a write recurs: that may end it.
func TestAWriteThatWasAnsweredOnceIsNoMemory(t *testing.T) {
	after := func(writes ...string) (memory uint64) {
		s := standing(quiet())
		var steps []strategy.Step
		for _, why := range writes {
			steps = append(steps, strategy.Put{Revision: s.state.Revisions[1], Why: why})
		}
		r := s.runner()
		r.Trace = func(e strategy.Event) { memory = e.Memory() }
		_, err := r.Run(ctx, "web", build("b2"), inTurn(steps...))
		require.NoError(t, err)
		require.Len(t, s.writes, len(writes))
		return memory
	}
	require.Equal(t, after("a", "c"), after("b", "c"))
	require.Equal(t, after("a", "b", "c"), after("c"))
	require.NotEqual(t, after("c", "b", "c"), after("a", "b", "c"))
}

// Watched is since when the run has looked without a break: of its own process,
// which oversleeps, or of its machine, which the cluster's clock tells. It is a
// break if it is longer than three polls, and than three seconds.
func TestABreakInTheLooks(t *testing.T) {
	for _, c := range []struct {
		poll, skew, lost time.Duration
		broken           bool
	}{
		{2 * time.Second, -1, 6 * time.Second, false},
		{2 * time.Second, -1, 6*time.Second + 1, true},
		{500 * time.Millisecond, -1, 3 * time.Second, false},
		{500 * time.Millisecond, -1, 3*time.Second + 1, true},
	} {
		for name, lose := range map[string]func(*still){
			"the process": func(s *still) {
				s.sleep = func(d time.Duration) error {
					s.now = s.now.Add(d)
					if len(s.slept) == 2 {
						s.now = s.now.Add(c.lost)
					}
					return nil
				}
			},
			"the machine": func(s *still) {
				s.at = func(now time.Time) time.Time {
					if len(s.slept) >= 2 {
						return now.Add(c.lost)
					}
					return now
				}
			},
		} {
			s := standing(quiet())
			lose(s)
			r := s.runner()
			r.Poll, r.Skew = c.poll, c.skew
			var watched []time.Time
			var looked []time.Time
			r.Trace = func(e strategy.Event) {
				watched, looked = append(watched, e.Input.Watched), append(looked, e.Input.State.At)
			}
			_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}, strategy.Wait{}, strategy.Wait{}))
			require.NoError(t, err)
			since := looked[0]
			if c.broken {
				since = looked[2]
			}
			require.Equal(t, []time.Time{looked[0], looked[0], since, since}, watched, "%s lost %v, at a poll of %v", name, c.lost, c.poll)
		}
	}
}

// Clocks may differ by Skew: that is no break.
func TestASkewIsNoBreak(t *testing.T) {
	for lost, broken := range map[time.Duration]bool{16 * time.Second: false, 16*time.Second + 1: true} {
		s := standing(quiet())
		s.at = func(now time.Time) time.Time {
			if len(s.slept) > 0 {
				return now.Add(lost)
			}
			return now
		}
		r := s.runner()
		r.Skew = 10 * time.Second
		var since time.Time
		r.Trace = func(e strategy.Event) { since = e.Input.Watched }
		_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Wait{}))
		require.NoError(t, err)
		require.Equal(t, broken, since.After(noon), "%v", lost)
	}
}

// A drain that nobody has watched is begun anew.
func TestADrainBeginsAnewAfterABreak(t *testing.T) {
	s := standing(byLabels(live, rev(1, on, isGood), rev(2, hasFailed, times(noon))))
	s.sleep = func(d time.Duration) error {
		s.now = s.now.Add(d)
		if len(s.slept) == 3 {
			s.now = s.now.Add(time.Hour)
		}
		return nil
	}
	s.write = func(string) error { return fmt.Errorf("%w: enough", cluster.ErrRefused) }
	_, err := s.runner().Run(ctx, "web", build("b-v002"), strategy.RedBlack{Drain: 10 * time.Minute})
	require.Equal(t, "refused", kind(t, err))
	require.Equal(t, []string{"put web-v002"}, s.writes)
	require.GreaterOrEqual(t, s.now.Sub(noon), time.Hour+10*time.Minute)
}

// A look that took longer than thirty seconds is not acted on.
func TestALookThatIsTooOld(t *testing.T) {
	for took, want := range map[time.Duration]bool{30 * time.Second: true, 30*time.Second + 1: false} {
		s := standing(quiet())
		s.look = func() error { s.now = s.now.Add(took); return nil }
		_, err := s.runner().Run(ctx, "web", build("b2"), inTurn())
		if want {
			require.NoError(t, err)
			continue
		}
		require.ErrorIs(t, err, strategy.ErrGaveUp)
		require.ErrorContains(t, err, "too old to act on")
	}
}

func TestAStrategyThatSaysNothing(t *testing.T) {
	s := standing(quiet())
	_, err := s.runner().Run(ctx, "web", build("b2"), always(nil))
	require.Equal(t, "unfit", kind(t, err))
	require.ErrorContains(t, err, "Next returned nil")
}

// What has the name of the run's own revision, or its release, is not that
// revision if it is another object.
func TestARunKnowsItsOwnRevisionByItself(t *testing.T) {
	s := standing(quiet())
	s.look = func() error {
		if s.looks == 3 {
			s.state.Revisions[1].UID = "another"
		}
		return nil
	}
	_, err := s.runner().Run(ctx, "web", build("b-v002"), inTurn(strategy.Wait{}, strategy.Wait{}, strategy.Wait{}))
	require.Equal(t, "superseded", kind(t, err))
	require.ErrorContains(t, err, "somebody has deleted its revision")
}

func TestAnErrorNamesTheRevision(t *testing.T) {
	superseded := byLabels(live, rev(1, on, isGood), rev(2), rev(3, hasFailed, sized(0, 0)))
	_, err := standing(superseded).runner().Run(ctx, "web", build("b-v002"), strategy.RedBlack{})
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, "web-v002", abort.Revision)
	require.False(t, abort.Wrote)
	require.Equal(t, "web-v001 3", abort.Serving)
}

// The answer of a gate is for one plan, and no answer is no pass.
func TestTheAnswerOfAGateIsForOnePlan(t *testing.T) {
	var seen []strategy.Checked
	ask := func(gate health.Gate) {
		seen = nil
		n := 0
		_, err := standing(quiet()).runner().Run(ctx, "web", build("b2"), strategy.Func(func(in strategy.Input) strategy.Step {
			seen = append(seen, in.Checked)
			switch n++; n {
			case 1:
				return strategy.Check{Name: "g", Gate: gate}
			case 2:
				return strategy.Wait{}
			}
			return strategy.Done{}
		}))
		require.NoError(t, err)
	}
	ask(nil)
	require.Equal(t, []strategy.Checked{{}, {Name: "g", Verdict: health.Pass}, {}}, seen, "no gate is a pass")
	ask(health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Fail, "5xx", nil }))
	require.Equal(t, []strategy.Checked{{}, {Name: "g", Verdict: health.Fail, Why: "5xx"}, {}}, seen)
	ask(health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		return health.Pass, "", errors.New("503")
	}))
	require.Equal(t, []strategy.Checked{{}, {Name: "g", Verdict: health.Pending, Why: "the gate did not answer"}, {}}, seen)
}

// A gate may take as long as a look may be old. One that takes longer has kept
// the run from looking.
func TestASlowGateIsNoBreak(t *testing.T) {
	for took, broken := range map[time.Duration]bool{30*time.Second - 1: false, 30 * time.Second: true} {
		s := standing(quiet())
		var since time.Time
		r := s.runner()
		r.Trace = func(e strategy.Event) { since = e.Input.Watched }
		gate := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
			s.now = s.now.Add(took)
			return health.Pass, "", nil
		})
		_, err := r.Run(ctx, "web", build("b2"), inTurn(strategy.Check{Name: "g", Gate: gate}))
		require.NoError(t, err)
		require.Equal(t, broken, since.After(noon), "%v", took)
	}
}
