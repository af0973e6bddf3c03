// What comes of calls that fail, of writes that come to nothing, and of somebody
// else who undoes them.

package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

var errReset = errors.New("connection reset")

// decided is a State in which nothing is under way: there is nothing to doubt.
func decided() cluster.State { return byLabels(live, rev(1, on, isGood), rev(2, isGood)) }

// on3 is a write that the guard has nothing against: the dark revision gets
// traffic.
func on3() strategy.Step { return strategy.Put{Revision: rev(2, on, isGood), Why: "x"} }

func TestWhatAFailedCallMeans(t *testing.T) {
	for _, c := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("quota: %w", cluster.ErrRefused), "refused"},
		{fmt.Errorf("no weights here: %w", cluster.ErrUnsupported), "unfit"},
	} {
		s := standing(decided())
		s.write = func(string) error { return c.err }
		_, err := s.runner().Run(ctx, "web", build("b-v002"), always(on3()))
		require.Equal(t, c.want, kind(t, err))
		require.ErrorIs(t, err, c.err)
		require.Len(t, s.writes, 1, "it is not tried again")
		require.Empty(t, s.slept)

		s = standing(decided())
		s.look = func() error { return c.err }
		_, err = s.runner().Run(ctx, "web", build("b-v002"), always(on3()))
		require.Equal(t, c.want, kind(t, err), "a look, too")
	}
}

// Somebody else was first: the run looks again at once. If that goes on, it
// backs off like from anything else.
func TestAConflictIsLookedAtAgainAtOnce(t *testing.T) {
	s := standing(decided())
	s.write = func(string) error { return cluster.ErrConflict }
	_, err := s.runner().Run(ctx, "web", build("b-v002"), inTurn(on3(), strategy.Done{}))
	require.NoError(t, err)
	require.Empty(t, s.slept)

	s = standing(decided())
	s.write = func(string) error { return cluster.ErrConflict }
	r := s.runner()
	r.GiveUp = time.Minute
	_, err = r.Run(ctx, "web", build("b-v002"), always(on3()))
	require.ErrorIs(t, err, strategy.ErrGaveUp)
	require.Contains(t, s.slept, time.Second)
	require.Contains(t, s.slept, 1500*time.Millisecond, "longer each time")
}

// A run backs off from trouble: at first for a second at most, or a Poll, in the
// end for half a minute; and gives up when every try has failed for GiveUp.
func TestBackingOff(t *testing.T) {
	for poll, first := range map[time.Duration]time.Duration{2 * time.Second: time.Second, time.Second / 5: time.Second / 5} {
		s := standing(decided())
		s.look = func() error { return errReset }
		r := s.runner()
		r.Poll, r.GiveUp = poll, 10*time.Minute
		_, err := r.Run(ctx, "web", build("b2"), inTurn())
		require.ErrorIs(t, err, strategy.ErrGaveUp)
		require.ErrorIs(t, err, errReset)
		require.Equal(t, first, s.slept[0])
		last := len(s.slept) - 1
		require.Equal(t, 30*time.Second, s.slept[last])
		var sum time.Duration
		for i, d := range s.slept {
			sum += d
			require.LessOrEqual(t, d, 30*time.Second)
			require.True(t, i == 0 || d >= s.slept[i-1], "longer each time: %v", s.slept)
		}
		require.LessOrEqual(t, sum, 10*time.Minute)
		require.Greater(t, sum, 9*time.Minute)
	}
}

// Trouble that passes is forgotten: it is not added up.
func TestTroubleThatPassesIsForgotten(t *testing.T) {
	s := standing(decided())
	s.look = func() error {
		if s.looks%2 == 1 {
			return errReset
		}
		return nil
	}
	var steps []strategy.Step
	for range 300 {
		steps = append(steps, strategy.Wait{})
	}
	r := s.runner()
	r.GiveUp = time.Minute
	_, err := r.Run(ctx, "web", build("b2"), inTurn(steps...))
	require.NoError(t, err)
	require.Greater(t, s.now.Sub(noon), 5*time.Minute)
}

// What the guard refuses may be well at the next look. If it is not for GiveUp,
// the run is unsafe, and says what was refused; if something else fails then, it
// says that.
func TestWhatTheGuardRefusesForLong(t *testing.T) {
	off := strategy.Put{Revision: rev(1, isGood), Why: "x"}
	s := standing(decided())
	_, err := s.runner().Run(ctx, "web", build("b-v002"), always(off))
	require.Equal(t, "unsafe", kind(t, err))
	require.ErrorContains(t, err, "it would break the law of floor")
	require.Empty(t, s.writes)

	s = standing(decided())
	s.look = func() error {
		if s.looks > 4 {
			return errReset
		}
		return nil
	}
	_, err = s.runner().Run(ctx, "web", build("b-v002"), inTurn(off, strategy.Wait{}, strategy.Wait{}))
	require.NoError(t, err)
	s.looks = 0
	_, err = s.runner().Run(ctx, "web", build("b-v002"), inTurn(off, strategy.Wait{}, strategy.Wait{}, strategy.Wait{}, strategy.Wait{}))
	require.ErrorIs(t, err, strategy.ErrGaveUp)
}

func TestAStoppedRunSaysWhy(t *testing.T) {
	why := errors.New("the node goes down")
	stopping, stop := context.WithCancelCause(ctx)
	s := standing(decided())
	s.sleep = func(time.Duration) error { stop(why); return stopping.Err() }
	_, err := s.runner().Run(stopping, "web", build("b2"), always(strategy.Wait{}))
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorIs(t, err, why)
	require.ErrorContains(t, err, "Serving when last seen: web-v001 3")
	require.Equal(t, 1, s.looks)

	s = standing(decided())
	_, err = s.runner().Run(stopping, "web", build("b2"), always(strategy.Wait{}))
	require.ErrorIs(t, err, context.Canceled)
	require.Zero(t, s.looks, "nor is anything asked when it is stopped already")

	stopping, cancel := context.WithCancel(ctx)
	s = standing(decided())
	s.look = func() error { return errReset }
	s.sleep = func(time.Duration) error { cancel(); return stopping.Err() }
	_, err = s.runner().Run(stopping, "web", build("b2"), always(strategy.Wait{}))
	require.ErrorIs(t, err, context.Canceled, "while it backs off")
	require.ErrorContains(t, err, "stopped")
}

func TestAClockThatCannotSleep(t *testing.T) {
	s := standing(decided())
	s.look = func() error { return errReset }
	s.sleep = func(time.Duration) error { return errors.New("no timer") }
	_, err := s.runner().Run(ctx, "web", build("b2"), always(strategy.Wait{}))
	require.ErrorContains(t, err, "the clock cannot sleep: no timer")
}

func TestAnErrorSaysWhetherAnythingWasWritten(t *testing.T) {
	for n := range 3 {
		steps := []strategy.Step{on3(), strategy.Put{Revision: rev(2, on, isGood, sized(4, 3)), Why: "x"}}[:n]
		steps = append(steps, strategy.Abort{Kind: strategy.Unfit, Why: "x"})
		s := standing(decided())
		_, err := s.runner().Run(ctx, "web", build("b-v002"), inTurn(steps...))
		var abort *strategy.AbortError
		require.ErrorAs(t, err, &abort)
		require.Len(t, s.writes, n)
		require.Equal(t, n > 0, abort.Wrote)
	}
}

// Whoever deploys a template again that has failed, without a name, is told why
// that is no new release.
func TestAFailedReleaseWithoutANameIsToldToHaveOne(t *testing.T) {
	const advice = "to deploy it again, name a Release"
	says := func(target cluster.Target, change ...func(*cluster.Revision)) string {
		s := standing(byLabels(live, rev(1, on, isGood), rev(2, append(change, ofRelease(target.Named().Release))...)))
		_, err := s.runner().Run(ctx, "web", target, always(strategy.Abort{Kind: strategy.Failed, Why: "x"}))
		require.Error(t, err)
		return err.Error()
	}
	nameless := cluster.Target{Template: []byte("t")}
	require.Contains(t, says(nameless, hasFailed, sized(0, 0)), advice)
	require.NotContains(t, says(nameless, isGood), advice)
	require.NotContains(t, says(build("b2"), hasFailed, sized(0, 0)), advice)
}

// A write that was answered and changed nothing is not sent again at once, and
// five times in all: somebody else writes the same.
func TestAWriteThatComesToNothing(t *testing.T) {
	selects := bySelector("web-v001", live, rev(1, on, isGood), rev(2))
	selects.Routes[0].Fence = "run.0"
	selects.Revisions[1].Fence = "run.0"
	to2 := selects.Routes[0]
	to2.Weights = endpoints{"web-v001": 100, "web-v002": 100}
	for what, c := range map[string]struct {
		state cluster.State
		step  strategy.Step
		found string
	}{
		"put web-v002":      {decided(), on3(), "was written 5 times, and each time somebody else has undone it"},
		"route service/web": {selects, strategy.SetRoute{Route: to2, Why: "x"}, "was written 5 times, and each time somebody else has undone it"},
		"delete web-v002":   {byLabels(live, rev(1, on, isGood), rev(2, isGood)), strategy.Delete{Revision: rev(2, isGood), Why: "x"}, "was asked for 5 times, and it is still there: see which finalizer holds it"},
	} {
		s := standing(c.state)
		var steps []string
		r := s.runner()
		r.Trace = func(e strategy.Event) {
			if _, waits := e.Step.(strategy.Wait); waits {
				steps = append(steps, "wait")
				require.Contains(t, e.Step.String(), "nothing has come yet of: "+c.step.String())
				return
			}
			steps = append(steps, "write")
		}
		_, err := r.Run(ctx, "web", build("b-v001"), always(c.step))
		require.Equal(t, "unsafe", kind(t, err), what)
		require.ErrorContains(t, err, c.step.String(), what)
		require.ErrorContains(t, err, c.found, what)
		require.Equal(t, []string{what, what, what, what, what}, s.writes)
		require.Equal(t, []string{"write", "wait", "write", "wait", "write", "wait", "write", "wait", "write", "write"}, steps, "the last is the abort")
		require.Equal(t, 8*time.Second, s.now.Sub(noon), "a Poll each")
	}
}

// Writes to several objects are counted apart.
func TestWritesToSeveralObjectsAreCountedApart(t *testing.T) {
	s := byLabels(live, rev(1, on, isGood))
	var steps []strategy.Step
	for seq := range int64(6) {
		gone := rev(seq+2, isGood)
		s.Revisions = append(s.Revisions, gone)
		steps = append(steps, strategy.Delete{Revision: gone})
	}
	st := standing(s)
	_, err := st.runner().Run(ctx, "web", build("b9"), inTurn(steps...))
	require.NoError(t, err)
	require.Len(t, st.writes, 6)
}

// What has changed since is worth another write at once.
func TestAWriteThatComesToSomethingIsFollowedAtOnce(t *testing.T) {
	s := standing(decided())
	s.put = func(cluster.Revision) {
		s.state.Revisions = append([]cluster.Revision{}, s.state.Revisions...)
		s.state.Revisions[1].Version += "1"
	}
	how := strategy.Func(func(in strategy.Input) strategy.Step {
		r := in.State.Revisions[1]
		if r.Version == "1111" {
			return strategy.Done{}
		}
		r.Enabled = true
		return strategy.Put{Revision: r, Why: "x"}
	})
	_, err := s.runner().Run(ctx, "web", build("b-v002"), how)
	require.NoError(t, err)
	require.Len(t, s.writes, 3)
	require.Empty(t, s.slept)
}

// A touch is written as often as there are pods for a batch: that is nobody's
// undoing.
func TestATouchIsWrittenForEachPod(t *testing.T) {
	w := fake.New(fake.World{Batch: 1})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 8, Enabled: true, Template: []byte("old")})
	dies, cancel := context.WithCancel(ctx)
	r := runner(w, "dies")
	r.Trace = func(e strategy.Event) {
		if wait, ok := e.Step.(strategy.Wait); ok && wait.Why == "web-v002 bakes" {
			cancel()
		}
	}
	_, err := r.Run(dies, "web", build("b2"), strategy.RedBlack{Bake: time.Hour})
	require.ErrorIs(t, err, context.Canceled)
	touches := 0
	r = runner(w, "next")
	r.Trace = func(e strategy.Event) {
		if put, ok := e.Step.(strategy.Put); ok && put.Why == "touched, so that no write sent before can still land" && e.Err == nil {
			touches++
		}
	}
	r.FenceWait = time.Hour
	require.NoError(t, bounded(t, r, build("b2"), strategy.RedBlack{}))
	require.Greater(t, touches, 8)
	require.Equal(t, 8, w.State("web").ReliedOn("web-v002"))
}
