// Bugs that were found, each by the state or the events that showed it.

package strategy_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// over is a Cluster in which some calls are others.
type over struct {
	cluster.Cluster
	put func(context.Context, string, cluster.Revision) error
}

func (o over) Put(ctx context.Context, app string, r cluster.Revision) error {
	if o.put != nil {
		return o.put(ctx, app, r)
	}
	return o.Cluster.Put(ctx, app, r)
}

func older(can cluster.Can) *fake.Cluster {
	w := fake.New(fake.World{Can: can, Ready: func(template []byte) (time.Duration, bool) { return 2 * time.Second, string(template) != "bad" }})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
	return w
}

func build(release string) cluster.Target {
	return cluster.Target{Release: release, Template: []byte(release)}
}

var ctx = context.Background()

// bounded runs, and fails the test if that takes more turns than any run should.
func bounded(t *testing.T, r strategy.Runner, target cluster.Target, s strategy.Strategy) error {
	t.Helper()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	trace := r.Trace
	r.Trace = func(e strategy.Event) {
		if trace != nil {
			trace(e)
		}
		if e.Turn > 5000 {
			cancel()
		}
	}
	_, err := r.Run(ctx, "web", target, s)
	require.NoError(t, ctx.Err(), "it runs without end")
	return err
}

func runner(w *fake.Cluster, id string) strategy.Runner {
	return strategy.Runner{Cluster: w, Clock: w, ID: id, Skew: -1}
}

func kind(t *testing.T, err error) string {
	t.Helper()
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	return abort.Kind.String()
}

func TestBugGivingUpNeverCameForWrites(t *testing.T) {
	for name, before := range map[string]health.Gate{"no gate": nil, "a gate between two tries": pass} {
		t.Run(name, func(t *testing.T) {
			w := older(cluster.Can{})
			broken := over{w, func(ctx context.Context, app string, r cluster.Revision) error {
				if r.Seq == 2 && r.Enabled {
					return errors.New("connection reset")
				}
				return w.Put(ctx, app, r)
			}}
			r := runner(w, "run")
			r.Cluster = broken
			began := w.Now()
			require.ErrorIs(t, bounded(t, r, build("b2"), strategy.RedBlack{Before: before}), strategy.ErrGaveUp)
			require.Less(t, w.Now().Sub(began), 20*time.Minute)
			require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
		})
	}
}

// The write that would have said so was lost, and when the gate was asked again it
// passed.
func TestBugAGatesNoWasLostWithItsWrite(t *testing.T) {
	w := older(cluster.Can{})
	asked, tried := 0, 0
	gate := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		if asked++; asked == 1 {
			return health.Fail, "5xx", nil
		}
		return health.Pass, "", nil
	})
	r := runner(w, "run")
	r.Cluster = over{w, func(ctx context.Context, app string, r cluster.Revision) error {
		if r.Outcome.Result == cluster.Failed {
			if tried++; tried <= 2 {
				return errors.New("connection reset")
			}
		}
		return w.Put(ctx, app, r)
	}}
	require.Equal(t, "failed", kind(t, bounded(t, r, build("b2"), strategy.RedBlack{Before: gate})))
	require.Equal(t, 1, asked)
}

var pass = health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Pass, "", nil })

func TestBugASlowGateNeverFinishedBaking(t *testing.T) {
	w := older(cluster.Can{})
	slow := health.GateFunc(func(ctx context.Context, _ health.Look) (health.Verdict, string, error) {
		return health.Pass, "", w.Sleep(ctx, 7*time.Second)
	})
	began := w.Now()
	require.NoError(t, bounded(t, runner(w, "run"), build("b2"), strategy.RedBlack{After: slow, Bake: 30 * time.Second}))
	require.Less(t, w.Now().Sub(began), 5*time.Minute)
}

func TestBugARunMadeItsRevisionAgainAfterSomebodyHadDeletedIt(t *testing.T) {
	w := older(cluster.Can{})
	r := runner(w, "slow")
	r.Trace = func(e strategy.Event) {
		if _, waits := e.Step.(strategy.Wait); !waits || e.Turn > 3 {
			return
		}
		if _, ok := w.State("web").Named("web-v002"); ok { // a newer one comes, and a cleanup takes the slow one's
			require.NoError(t, bounded(t, runner(w, "fast"), build("b3"), strategy.RedBlack{}))
			mine, _ := w.State("web").Named("web-v002")
			require.NoError(t, w.Delete(ctx, "web", mine))
		}
	}
	err := bounded(t, r, build("b2"), strategy.RedBlack{Ready: time.Hour})
	require.Equal(t, "superseded", kind(t, err))
	s := w.State("web")
	_, again := s.Find("b2")
	require.False(t, again)
	require.Equal(t, 3, s.ReliedOn("web-v003"))
}

func TestBugWhatServesWasGivenUpForAReleaseThatFailed(t *testing.T) {
	for _, can := range []cluster.Can{{Enable: true}, {Select: true}} {
		w := fake.New(fake.World{Can: can, Ready: func(template []byte) (time.Duration, bool) { return time.Second, string(template) != "bad" }})
		how := func(bake time.Duration) strategy.Strategy {
			if can.Select {
				return strategy.BlueGreen{Bake: bake, Ready: time.Minute}
			}
			return strategy.RedBlack{Bake: bake, Ready: time.Minute}
		}
		first := build("b1")
		first.Replicas = 3
		r := runner(w, "first")
		stopped, cancel := context.WithCancel(ctx)
		r.Trace = func(e strategy.Event) {
			if w.State("web").Serving() == 3 {
				cancel() // while it bakes
			}
		}
		_, err := r.Run(stopped, "web", first, how(time.Hour))
		require.ErrorIs(t, err, context.Canceled)

		err = bounded(t, runner(w, "second"), cluster.Target{Release: "b2", Template: []byte("bad")}, how(0))
		require.Equal(t, "failed", kind(t, err))
		one, _ := w.State("web").Named("web-v001")
		require.Equal(t, cluster.Undecided, one.Outcome.Result)
		require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
		two, _ := w.State("web").Named("web-v002")
		require.Zero(t, two.Replicas)
	}
}

func TestBugACarefulCleanupTookTheWayBackOfARunUnderWay(t *testing.T) {
	w := older(cluster.Can{})
	r := runner(w, "run")
	cleaned := false
	r.Trace = func(e strategy.Event) {
		if mine, _ := w.State("web").Find("b2"); mine.Enabled && !cleaned {
			cleaned = true
			before := len(w.Writes())
			_, err := cleanup.Run(ctx, runner(w, "cleaner"), "web", cleanup.Policy{Drain: -1})
			require.NoError(t, err)
			require.Empty(t, w.Writes()[before:], "nor is anything of it touched")
		}
	}
	failing := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Fail, "5xx", nil })
	err := bounded(t, r, build("b2"), strategy.RedBlack{After: failing, Bake: time.Minute})
	require.True(t, cleaned)
	require.Equal(t, "failed", kind(t, err))
	require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
}

func TestBugPullingAgainstSomebodyHadNoEnd(t *testing.T) {
	for name, undo := range map[string]func(*fake.Cluster, cluster.Revision){
		"who turns it off": func(w *fake.Cluster, r cluster.Revision) {
			if r.Enabled {
				r.Enabled = false
				_ = w.Put(ctx, "web", r)
			}
		},
		"who scales it down": func(w *fake.Cluster, r cluster.Revision) {
			if r.Replicas == 3 && !r.Enabled {
				r.Replicas = 2
				_ = w.Put(ctx, "web", r)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := older(cluster.Can{})
			r := runner(w, "run")
			r.Trace = func(e strategy.Event) {
				if mine, ok := w.State("web").Find("b2"); ok && e.Err == nil {
					undo(w, mine)
				}
			}
			target := build("b2")
			target.Replicas = 3
			err := bounded(t, r, target, strategy.RedBlack{})
			require.Equal(t, "unsafe", kind(t, err))
			require.ErrorContains(t, err, "somebody else")
			require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
		})
	}
}

func TestBugANameThatIsTakenByAnotherSequence(t *testing.T) {
	w := fake.New(fake.World{})
	w.AddFound("web", cluster.Revision{Name: "web-v002", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
	require.NoError(t, bounded(t, runner(w, "run"), build("b2"), strategy.RedBlack{}))
	require.Equal(t, 3, w.State("web").ReliedOn("web-v003"))
}

func TestBugSuccessWithoutAPod(t *testing.T) {
	for _, can := range []cluster.Can{{Enable: true}, {Select: true}} {
		w := older(can)
		var how strategy.Strategy = strategy.RedBlack{}
		if can.Select {
			how = strategy.BlueGreen{}
		}
		r := runner(w, "run")
		r.Trace = func(e strategy.Event) {
			if mine, ok := w.State("web").Find("b2"); ok && e.Turn == 2 { // a person scales it to 0
				mine.Replicas = 0
				require.NoError(t, w.Put(ctx, "web", mine))
			}
		}
		require.NoError(t, bounded(t, r, build("b2"), how))
		require.Equal(t, 3, w.State("web").ReliedOn("web-v002"))
	}
}

func TestBugUndoWasDoneWhileNothingServed(t *testing.T) {
	w := fake.New(fake.World{})
	one := cluster.Revision{Name: "web-v001", Release: "b1", Seq: 1, Template: []byte("t"), Outcome: cluster.Outcome{Result: cluster.Failed}}
	w.AddFound("web", one)
	require.Equal(t, "unfit", kind(t, bounded(t, runner(w, "run"), cluster.Target{Release: "b1"}, strategy.Undo(strategy.RedBlack{}, "x"))))

	// what is gone back to has no replicas, and nothing serves
	w = fake.New(fake.World{})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Release: "b1", Seq: 1, Template: []byte("t"), Outcome: cluster.Outcome{Result: cluster.Good}})
	w.AddFound("web", cluster.Revision{Name: "web-v002", Release: "b2", Seq: 2, Template: []byte("t"), Outcome: cluster.Outcome{Result: cluster.Good}})
	require.NoError(t, bounded(t, runner(w, "run"), cluster.Target{Release: "b2"}, strategy.Undo(strategy.RedBlack{}, "x")))
	require.Positive(t, w.State("web").ReliedOn("web-v001"))
}

func TestBugTheNoteOfARouteOutlivedTheNameInIt(t *testing.T) {
	w := older(cluster.Can{Select: true})
	r := runner(w, "run")
	r.Trace = func(e strategy.Event) {
		route := w.State("web").Routes[0]
		if _, switched := route.Weights["web-v002"]; switched && e.Err == nil {
			route.Weights = map[string]int{"web-v001": 100}
			require.NoError(t, w.SetRoute(ctx, "web", route))
		}
	}
	require.Equal(t, "failed", kind(t, bounded(t, r, build("b2"), strategy.BlueGreen{Bake: time.Minute, Drain: -1})))
	bad, _ := w.State("web").Named("web-v002")
	require.NoError(t, w.Delete(ctx, "web", bad))
	require.NoError(t, w.Sleep(ctx, time.Minute))
	require.NoError(t, bounded(t, runner(w, "next"), build("b3"), strategy.BlueGreen{}))
	require.Equal(t, 3, w.State("web").ReliedOn("web-v002"), "the name again")
}

func TestBugAGoodReleaseThatStayedWasSuperseded(t *testing.T) {
	w := older(cluster.Can{})
	r := runner(w, "stays")
	r.Stay = true
	newer := false
	r.Trace = func(e strategy.Event) {
		if done, ok := e.Step.(strategy.Done); ok && !done.Due.IsZero() && !newer {
			newer = true
			require.NoError(t, bounded(t, runner(w, "newer"), build("b3"), strategy.RedBlack{}))
		}
	}
	require.NoError(t, bounded(t, r, build("b2"), strategy.RedBlack{Keep: strategy.Retention{Destroy: time.Hour}}))
	require.True(t, newer)
}

func TestBugAReleaseNamedLikeAHash(t *testing.T) {
	named := cluster.Target{Release: "template-build-7", Template: []byte("t")}
	require.False(t, named.Unnamed())
	require.True(t, cluster.Target{Template: []byte("t")}.Named().Unnamed())
}

func TestBugRerunOfAFinishedRolloutTouchedWhatWasNotDueYet(t *testing.T) {
	w := older(cluster.Can{})
	settings := strategy.RedBlack{Drain: time.Hour, Keep: strategy.Retention{Shrink: time.Hour}}
	require.NoError(t, bounded(t, runner(w, "a"), build("b2"), settings))
	require.NoError(t, bounded(t, runner(w, "b"), build("b3"), settings))
	before := len(w.Writes())
	require.NoError(t, bounded(t, runner(w, "c"), build("b3"), settings))
	require.Empty(t, w.Writes()[before:])
}

// pausing is a Clock of a process that is stopped for an hour in one of its
// sleeps.
type pausing struct {
	*fake.Cluster
	sleeps, at int
}

func (p *pausing) Sleep(ctx context.Context, d time.Duration) error {
	if p.sleeps++; p.sleeps == p.at {
		d += time.Hour
	}
	return p.Cluster.Sleep(ctx, d)
}

func TestBugAnHourInWhichTheProcessWasStoppedCountedAsWatched(t *testing.T) {
	w := older(cluster.Can{})
	clock := &pausing{Cluster: w, at: 6} // while it bakes
	r := runner(w, "run")
	r.Clock = clock
	began, baked := w.Now(), time.Time{}
	r.Trace = func(e strategy.Event) {
		if put, ok := e.Step.(strategy.Put); ok && put.Revision.Outcome.Result == cluster.Good && put.Revision.Seq == 2 {
			baked = w.Now()
		}
	}
	require.NoError(t, bounded(t, r, build("b2"), strategy.RedBlack{Bake: 10 * time.Minute}))
	require.Greater(t, clock.sleeps, clock.at)
	require.GreaterOrEqual(t, baked.Sub(began), time.Hour+10*time.Minute, "the bake began anew")
}

func TestBugAReleaseThatNeverHadTrafficMovedIt(t *testing.T) {
	w := older(cluster.Can{})
	r := runner(w, "dies")
	dies, cancel := context.WithCancel(ctx)
	r.Trace = func(e strategy.Event) {
		if wait, ok := e.Step.(strategy.Wait); ok && wait.Why == "web-v002 bakes" {
			cancel()
		}
	}
	_, err := r.Run(dies, "web", build("b2"), strategy.RedBlack{Bake: time.Hour})
	require.ErrorIs(t, err, context.Canceled)

	failing := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Fail, "5xx", nil })
	require.Equal(t, "failed", kind(t, bounded(t, runner(w, "next"), build("b3"), strategy.RedBlack{Before: failing, Drain: -1})))
	require.Equal(t, 3, w.State("web").ReliedOn("web-v002"), "nothing was taken from what served")
	require.Zero(t, w.State("web").ReliedOn("web-v001"))
}

func TestBugAHalfFlippedRevisionThatWasFoundCountedAsGood(t *testing.T) {
	w := older(cluster.Can{})
	w.AddFound("web", cluster.Revision{Name: "web-v002", Seq: 2, Replicas: 3, Template: []byte("half")})
	require.True(t, w.FlipPod("web", "web-v002"))
	require.NoError(t, w.Sleep(ctx, time.Minute))
	failing := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Fail, "5xx", nil })
	require.Equal(t, "failed", kind(t, bounded(t, runner(w, "run"), build("b3"), strategy.RedBlack{After: failing, Drain: -1})))
	require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
	half, _ := w.State("web").Named("web-v002")
	require.Equal(t, cluster.Undecided, half.Outcome.Result)
}

// stopped is a Cluster whose process stands still for an hour, its clock too.
type stopped struct {
	*fake.Cluster
	missed time.Duration
	sleeps int
}

func (s *stopped) Now() time.Time { return s.Cluster.Now().Add(-s.missed) }
func (s *stopped) Sleep(ctx context.Context, d time.Duration) error {
	if s.sleeps++; s.sleeps == 6 {
		s.missed = time.Hour
		return s.Cluster.Sleep(ctx, d+time.Hour)
	}
	return s.Cluster.Sleep(ctx, d)
}

func TestBugAnHourInWhichTheMachineWasStoppedCountedAsWatched(t *testing.T) {
	w := older(cluster.Can{})
	r := runner(w, "run")
	r.Clock = &stopped{Cluster: w}
	began := w.Now()
	require.NoError(t, bounded(t, r, build("b2"), strategy.RedBlack{Bake: 10 * time.Minute}))
	require.GreaterOrEqual(t, w.Now().Sub(began), time.Hour+10*time.Minute, "the bake began anew")
}

// Long after traffic has moved an autoscaler gives the new revision a replica more,
// or a second run of the same release touches it, and a look comes before the
// cluster has taken that up: it was given up at once, for the deadline that it had
// was over long ago. It has as long again, and no longer.
func TestBugARevisionThatSomebodyWroteLateWasGivenUp(t *testing.T) {
	for _, c := range []struct {
		why           string
		behind, lacks time.Duration // an endpoint
		want          []string
	}{
		{"a moment", time.Second, 0, nil},
		{"almost as long as it may", 59 * time.Second, 0, nil},
		{"longer than it may", 61 * time.Second, 0, []string{"put web-v002"}},
		{"a moment, and then an endpoint follows", time.Second, 59 * time.Second, nil},
		{"which takes longer than it may", time.Second, 61 * time.Second, []string{"put web-v002"}},
	} {
		k := standing(byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on)))
		begun := k.now
		k.look = func() error {
			past := k.now.Sub(begun) - 30*time.Minute
			k.state.Revisions[1].Behind = past >= 0 && past < c.behind
			serves := 3
			if past >= 0 && past < c.lacks {
				serves = 2
			}
			k.state.Routes[0].Serving = endpoints{"web-v002": serves}
			if past > 2*time.Minute || len(k.writes) > 0 {
				return cluster.ErrRefused // that is enough
			}
			return nil
		}
		_, err := k.runner().Run(ctx, "web", build("b-v002"), strategy.RedBlack{Ready: time.Minute, Bake: time.Hour})
		require.ErrorIs(t, err, cluster.ErrRefused)
		require.Equal(t, c.want, k.writes, c.why)
	}
}
