// Bugs that were found, each by the state or the events that showed it.

package strategy_test

import (
	"context"
	"errors"
	"strings"
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

// An Undo or a Redo whose strategy does not fit recorded its decision, and then gave
// nothing back.
func TestBugADecisionThatNobodyCarriesOutWasWritten(t *testing.T) {
	for why, how := range map[string]strategy.Strategy{
		"another cluster's": strategy.BlueGreen{},
		"a wrong setting":   strategy.RedBlack{Bake: -1},
	} {
		w := older(cluster.Can{Enable: true})
		require.NoError(t, bounded(t, runner(w, "a"), build("build-2"), strategy.RedBlack{}))
		before := w.Written()
		refused := func(err error) {
			t.Helper()
			require.Equal(t, "unfit", kind(t, err), why)
			require.ErrorContains(t, err, "nothing was written", why)
			require.Equal(t, before, w.Written(), why)
		}
		refused(bounded(t, runner(w, "b"), cluster.Target{Release: "build-2"}, strategy.Undo(how, "errors")))
		require.NoError(t, bounded(t, runner(w, "c"), cluster.Target{Release: "build-2"}, strategy.Undo(strategy.RedBlack{}, "errors")))
		before = w.Written()
		refused(bounded(t, runner(w, "d"), cluster.Target{Release: "build-2"}, strategy.Redo(how, "it was not the app")))
	}
}

// A release below one that was given up could be redone, and then nothing could be
// done with it any more; and one that nobody had decided about could not be undone.
func TestBugBelowAReleaseThatWasGivenUp(t *testing.T) {
	bad := cluster.Target{Release: "build-3", Template: []byte("bad")}
	fails := strategy.RedBlack{Ready: time.Minute}

	w := older(cluster.Can{Enable: true})
	require.NoError(t, bounded(t, runner(w, "a"), build("build-2"), strategy.RedBlack{}))
	require.Equal(t, "failed", kind(t, bounded(t, runner(w, "b"), bad, fails)))
	require.NoError(t, bounded(t, runner(w, "c"), cluster.Target{Release: "build-2"}, strategy.Undo(strategy.RedBlack{}, "errors")))
	before := w.Written()
	err := bounded(t, runner(w, "d"), cluster.Target{Release: "build-2"}, strategy.Redo(strategy.RedBlack{}, "it was not the app"))
	require.Equal(t, "superseded", kind(t, err))
	require.ErrorContains(t, err, "To do: deploy it as a new release")
	require.Equal(t, before, w.Written())

	w = older(cluster.Can{Enable: true})
	ctx, cancel := context.WithCancel(ctx)
	dies := runner(w, "a")
	dies.Trace = func(e strategy.Event) {
		if strings.HasSuffix(e.Step.String(), "alone in traffic, and passed") {
			cancel()
		}
	}
	_, err = dies.Run(ctx, "web", build("build-2"), strategy.RedBlack{})
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, "failed", kind(t, bounded(t, runner(w, "b"), bad, fails)))
	two, _ := w.State("web").Find("build-2")
	require.Equal(t, cluster.Undecided, two.Outcome.Result)
	require.True(t, w.State("web").HasTraffic(two.Name))
	require.NoError(t, bounded(t, runner(w, "c"), cluster.Target{Release: "build-2"}, strategy.Undo(strategy.RedBlack{}, "errors")))
	require.True(t, w.State("web").HasTraffic("web-v001"))
	require.False(t, w.State("web").HasTraffic(two.Name))
}

// The bake counted from the write that took the old traffic, and was over when
// endpoints that follow late had only just shown the new revision alone.
func TestBugTheBakeBeganBeforeItWasAlone(t *testing.T) {
	for name, how := range map[string]strategy.Strategy{
		"red-black":  strategy.RedBlack{Bake: 40 * time.Second},
		"blue-green": strategy.BlueGreen{Bake: 40 * time.Second},
	} {
		w := fake.New(fake.World{Can: cluster.Can{Enable: name == "red-black", Select: name == "blue-green"}, EndpointLag: 50 * time.Second})
		w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
		var alone, good time.Time
		r := runner(w, "a")
		r.Trace = func(e strategy.Event) {
			s := e.Input.State
			switch mine, _ := e.Input.Mine(); {
			case good.IsZero() && mine.Outcome.Result == cluster.Good:
				good = s.At
			case alone.IsZero() && s.HasTraffic("web-v002") && !s.HasTraffic("web-v001"):
				alone = s.At
			}
		}
		require.NoError(t, bounded(t, r, build("build-2"), how))
		require.GreaterOrEqual(t, good.Sub(alone), 40*time.Second, name)
	}
}

// What was left to do with the old side waited without end for a cluster that did not
// follow.
func TestBugALeftoverWasWaitedForWithoutEnd(t *testing.T) {
	w := older(cluster.Can{Select: true})
	how := strategy.BlueGreen{Ready: time.Minute, Keep: strategy.Retention{Destroy: time.Minute}}
	require.NoError(t, bounded(t, runner(w, "a"), build("build-2"), how))
	require.NoError(t, w.Sleep(ctx, time.Hour))
	w.Freeze("web", fake.Status)
	old, _ := w.State("web").Named("web-v001")
	old.Note = "somebody's"
	require.NoError(t, w.Put(ctx, "web", old))
	err := bounded(t, runner(w, "b"), build("build-2"), how)
	require.Equal(t, "unsafe", kind(t, err))
	require.ErrorContains(t, err, "web-v002 is good, and what is left of the others stays")
}

// A floor that no release can keep was found out with both versions in traffic.
func TestBugAFloorThatCannotBeKeptWasFoundOutHalfWay(t *testing.T) {
	for name, c := range map[string]struct {
		floor int
		how   strategy.Strategy
		why   string
	}{
		"more than there will be": {10, strategy.RedBlack{}, "the Runner's Floor is 10, and the release is to have 3 replicas"},
		"where there is a gap":    {1, strategy.Recreate{}, "there is a gap: leave Floor out"},
		"just enough":             {3, strategy.RedBlack{}, ""},
	} {
		w := older(cluster.Can{Enable: true})
		r := runner(w, "a")
		r.Floor = c.floor
		before := w.Written()
		err := bounded(t, r, build("build-2"), c.how)
		if c.why == "" {
			require.NoError(t, err, name)
			continue
		}
		require.Equal(t, "unfit", kind(t, err), name)
		require.ErrorContains(t, err, c.why, name)
		require.Equal(t, before, w.Written(), name)
	}
}

// Rules wrote labels where a router divides the traffic, and said then that somebody
// else undoes what they write.
func TestBugRulesDidNotRefuseWeights(t *testing.T) {
	w := older(cluster.Can{Weigh: true})
	before := w.Written()
	err := bounded(t, runner(w, "a"), build("build-2"), strategy.Func(func(in strategy.Input) strategy.Step {
		r := strategy.Rules{}
		return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
	}))
	require.Equal(t, "unfit", kind(t, err))
	require.ErrorContains(t, err, "which Rules do not move: use Canary")
	require.Equal(t, before, w.Written())
}
