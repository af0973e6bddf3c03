// Groups over simulated clusters: what is theirs beside the laws that package
// strategytest proves.

package strategy_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// apps makes clusters, each with one app that serves and whose new pods boot for so
// long.
func apps(boots ...time.Duration) (worlds []*fake.Cluster, turns *strategytest.Turns) {
	for _, boot := range boots {
		w := fake.New(fake.World{Boot: boot})
		w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 1, Enabled: true, Template: []byte("old")})
		_ = w.Sleep(ctx, time.Hour)
		worlds = append(worlds, w)
	}
	return worlds, strategytest.InTurn(worlds...)
}

func group(worlds []*fake.Cluster, s strategy.Strategy) (g strategy.Group) {
	for _, w := range worlds {
		g.Members = append(g.Members, strategy.Member{App: "web", Cluster: w, Target: build("build-2"), Strategy: s})
	}
	return g
}

func released(w *fake.Cluster) bool {
	s := w.State("web")
	mine, ok := s.Find("build-2")
	return ok && s.HasTraffic(mine.Name) && mine.Outcome.Result == cluster.Good
}

// whole is a gate over the set that says the same every time.
func whole(v health.Verdict, why string) health.SetGate {
	return health.SetGateFunc(func(_ context.Context, looks []health.Look) (health.Verdict, string, error) { return v, why, nil })
}

func TestTheGateOfAGroupSeesTheWholeSetReady(t *testing.T) {
	worlds, turns := apps(time.Second, 20*time.Second)
	g := group(worlds, strategy.RedBlack{})
	asked := 0
	g.Before = health.SetGateFunc(func(_ context.Context, looks []health.Look) (health.Verdict, string, error) {
		asked++
		require.Len(t, looks, 2)
		for _, look := range looks {
			require.Equal(t, 1, look.Revision.Ready)
			require.Equal(t, "web-v001", look.Baseline.Name)
			require.False(t, look.State.HasTraffic(look.Revision.Name))
		}
		return health.Pass, "", nil
	})
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	require.Equal(t, 1, asked)
	require.True(t, released(worlds[0]) && released(worlds[1]))
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	require.Equal(t, 1, asked, "what is done is not judged again")
}

func TestAGroupThatItsGateRefusesIsGivenUp(t *testing.T) {
	for _, gate := range []health.SetGate{whole(health.Fail, "no quorum"), whole(health.Pending, "no quorum"), whole(health.None, "no quorum")} {
		worlds, turns := apps(time.Second, 5*time.Second)
		g := group(worlds, strategy.RedBlack{})
		g.Before, g.Judge = gate, time.Minute
		err := g.Run(ctx, strategy.Runner{Clock: turns})
		var abort *strategy.AbortError
		require.ErrorAs(t, err, &abort)
		require.Equal(t, strategy.Failed, abort.Kind)
		require.Contains(t, abort.Why, "no quorum")
		for _, w := range worlds {
			require.True(t, w.State("web").HasTraffic("web-v001"))
			require.False(t, w.State("web").HasTraffic("web-v002"))
		}
	}
}

func TestTheErrorOfAGroupHoldsAllAndTheFirstFirst(t *testing.T) {
	worlds, turns := apps(time.Second, time.Second, time.Second)
	g := group(worlds, strategy.RedBlack{})
	g.Members[1].Strategy = strategy.RedBlack{Before: health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		return health.Fail, "5xx", nil
	})}
	err := g.Run(ctx, strategy.Runner{Clock: turns})
	var all *strategy.GroupError
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Members, 3)
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, "gate before traffic failed: 5xx", abort.Why)
	for _, m := range all.Members {
		require.ErrorAs(t, m.Err, &abort)
		require.Equal(t, strategy.Failed, abort.Kind)
		require.Equal(t, "web-v001 1", m.Serving)
		require.Contains(t, err.Error(), "\n  "+m.Name+": ")
	}
	require.Equal(t, 2, strings.Count(err.Error(), "with its group: web (member 2): gate before traffic failed: 5xx"))
	require.Contains(t, err.Error(), "To do: mend web (member 2) and deploy the group as a new release")
}

func TestAfterTheLastSwitchNothingIsGivenBackAndARerunMayPass(t *testing.T) {
	worlds, turns := apps(time.Second, time.Second)
	g := group(worlds, nil)
	sick, began := true, turns.Now()
	after := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		if sick && turns.Now().Sub(began) > 40*time.Second { // by then both were seen switched
			return health.Fail, "5xx", nil
		}
		return health.Pass, "", nil
	})
	g.Members[0].Strategy = strategy.RedBlack{Bake: time.Minute, After: after}
	g.Members[1].Strategy = strategy.RedBlack{Bake: time.Minute}
	err := g.Run(ctx, strategy.Runner{Clock: turns})
	require.ErrorContains(t, err, "nothing was given back")
	require.ErrorContains(t, err, "run the same group again, which asks it anew; else deploy a new release of the group, or undo the group")
	require.NotContains(t, err.Error(), "no older", "there is something older, and an undo goes back to it")
	abort := (*strategy.AbortError)(nil)
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Stranded, abort.Kind)
	require.NotContains(t, abort.Error(), "no older")
	for _, w := range worlds {
		s := w.State("web")
		mine, _ := s.Find("build-2")
		require.True(t, s.HasTraffic(mine.Name))
		require.Equal(t, cluster.Undecided, mine.Outcome.Result)
	}
	sick = false
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	require.True(t, released(worlds[0]) && released(worlds[1]))
}

// Where it has stopped after the last switch, and no gate has failed, a rerun goes on.
func TestAGroupThatHasStoppedAfterTheLastSwitchSaysToRunItAgain(t *testing.T) {
	worlds, turns := apps(-1, -1)
	g := group(worlds, strategy.RedBlack{Bake: time.Minute})
	stop, cancel := context.WithCancel(ctx)
	bakes := 0
	err := g.Run(stop, strategy.Runner{Clock: turns, Trace: func(e strategy.Event) {
		s := worlds[1].State("web")
		if s.HasTraffic("web-v002") && !s.HasTraffic("web-v001") && e.Step != nil && strings.Contains(e.Step.String(), "bakes") {
			bakes++
		}
		if bakes == 4 { // by then both were seen to
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.ErrorContains(t, err, "every member was switched")
	require.ErrorContains(t, err, "To do: run the same group again, it goes on from there; or undo the group")
	require.NoError(t, g.Undo(ctx, strategy.Runner{Clock: turns}, "errors"), "as it says")
	for _, w := range worlds {
		require.True(t, w.State("web").HasTraffic("web-v001"))
	}
}

func TestAnUndoOfAGroupRefusesBeforeAnyWrite(t *testing.T) {
	worlds, turns := apps(time.Second, time.Second)
	g := group(worlds, strategy.RedBlack{})
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	old, _ := worlds[0].State("web").Named("web-v001")
	require.NoError(t, worlds[0].Delete(ctx, "web", old))
	written := worlds[1].Written()
	err := g.Undo(ctx, strategy.Runner{Clock: turns}, "errors")
	require.ErrorContains(t, err, "no older revision is good")
	require.ErrorContains(t, err, "nothing was taken back")
	require.Equal(t, written, worlds[1].Written())
	require.True(t, released(worlds[0]) && released(worlds[1]))
}

// Nobody is given up where one member's strategy does not fit, and it is that member
// that is named.
func TestAnUndoOfAGroupThatDoesNotFitDecidesNothing(t *testing.T) {
	worlds, turns := apps(time.Second, time.Second)
	g := group(worlds, strategy.RedBlack{})
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	g.Members[1].Strategy = strategy.BlueGreen{}
	before := written(worlds)
	err := g.Undo(ctx, strategy.Runner{Clock: turns}, "errors")
	require.ErrorContains(t, err, "nothing was taken back, because of web (member 2)")
	require.ErrorContains(t, err, "To do: mend what is named of web (member 2)")
	require.Equal(t, before, written(worlds))
}

func TestAGroupThatIsNoneIsRefused(t *testing.T) {
	w := older(cluster.Can{Enable: true})
	for _, g := range []strategy.Group{
		{},
		group([]*fake.Cluster{w, w}, strategy.RedBlack{}),
		{Judge: -1, Members: group([]*fake.Cluster{w}, strategy.RedBlack{}).Members},
		{Members: []strategy.Member{{App: "web", Cluster: w, Target: build("build-2"), Strategy: strategy.RedBlack{}, Beside: true}}},
	} {
		var abort *strategy.AbortError
		require.ErrorAs(t, g.Run(ctx, strategy.Runner{}), &abort)
		require.Equal(t, strategy.Unfit, abort.Kind)
	}
	require.Empty(t, w.Writes())
	require.EqualError(t, strategy.Group{}.Run(ctx, strategy.Runner{}),
		"cutover: unfit: the group has no members. Serving now: unknown, for no look has succeeded. To do: mend the input; nothing was written.")
}

// The release to undo has to be named, of every member, and it is said of which it
// is not.
func TestAnUndoOfAGroupNamesTheMemberWithoutARelease(t *testing.T) {
	w := older(cluster.Can{Enable: true})
	g := strategy.Group{Members: []strategy.Member{
		{App: "web", Cluster: w, Target: build("build-2"), Strategy: strategy.RedBlack{}},
		{App: "workers", Cluster: w, Target: cluster.Target{Template: []byte("t")}, Strategy: strategy.RedBlack{}},
	}}
	var abort *strategy.AbortError
	require.ErrorAs(t, g.Undo(ctx, strategy.Runner{Clock: w}, "errors"), &abort)
	require.Equal(t, strategy.Unfit, abort.Kind)
	require.Contains(t, abort.Error(), "cutover web, workers: unfit: the Target of workers has no Release")
	require.Empty(t, w.Writes())
}

// goroutines waits until there are no more of them than before.
func goroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; runtime.Gosched() {
		require.True(t, time.Now().Before(end), "%d goroutines, and there were %d", runtime.NumGoroutine(), before)
	}
}

// Side by side, by the machine's clock: nobody waits in turn here.
func TestMembersThatFailPanicOrLeaveEndTheGroup(t *testing.T) {
	gate := func(do func()) strategy.Strategy {
		return strategy.RedBlack{Before: health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
			do()
			return health.Pass, "", nil
		})}
	}
	boom := errors.New("boom")
	run := func(bad strategy.Strategy) (panicked any, err error) {
		worlds, _ := apps(-1, -1, -1)
		g := group(worlds, strategy.RedBlack{})
		g.Members[1].Strategy = bad
		defer func() { panicked = recover() }()
		return nil, g.Run(ctx, strategy.Runner{Poll: time.Millisecond, Trace: func(strategy.Event) {}})
	}
	before := runtime.NumGoroutine()

	panicked, _ := run(gate(func() { panic(boom) }))
	require.ErrorIs(t, panicked.(error), boom)
	goroutines(t, before)

	_, err := run(gate(runtime.Goexit))
	require.ErrorContains(t, err, "ended from within")
	goroutines(t, before)

	_, err = run(nil)
	require.ErrorContains(t, err, "there is no strategy")
	goroutines(t, before)
}

func TestMembersMayShareACluster(t *testing.T) {
	w := older(cluster.Can{Enable: true})
	w.AddFound("worker", cluster.Revision{Name: "worker-v001", Seq: 1, Replicas: 2, Enabled: true, Template: []byte("old")})
	turns := strategytest.InTurn(w)
	g := strategy.Group{Members: []strategy.Member{
		{App: "web", Target: build("build-2"), Strategy: strategy.RedBlack{}},
		{App: "worker", Target: build("bad"), Strategy: strategy.RedBlack{Ready: time.Minute}},
	}}
	r := strategy.Runner{Cluster: w, Clock: turns}
	require.ErrorContains(t, g.Run(ctx, r), "mend worker and deploy the group as a new release")
	require.True(t, w.State("web").HasTraffic("web-v001"))

	g.Members[0].Target, g.Members[1].Target = build("build-3"), build("build-3")
	require.NoError(t, g.Run(ctx, r))
	for _, app := range []string{"web", "worker"} {
		require.True(t, w.State(app).HasTraffic(app+"-v003"), app)
	}
}

func TestAGroupThatIsCanceledStopsAndGoesOn(t *testing.T) {
	worlds, turns := apps(time.Second, 30*time.Second)
	g := group(worlds, strategy.RedBlack{})
	stop, cancel := context.WithCancel(ctx)
	err := g.Run(stop, strategy.Runner{Clock: turns, Trace: func(e strategy.Event) {
		if e.Turn == 5 {
			cancel()
		}
	}})
	require.ErrorIs(t, err, context.Canceled)
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns}))
	require.True(t, released(worlds[0]) && released(worlds[1]))
}

// A strategy without a dark side: the old capacity goes before the new comes.
type recreate struct{}

func (recreate) Next(in strategy.Input) strategy.Step {
	mine, found := in.Mine()
	old, _ := in.State.NewestGood(mine)
	if !found {
		old, _ = in.State.Named("web-v001")
	}
	switch {
	case mine.Outcome.Result == cluster.Good:
		return strategy.Done{}
	case old.Replicas > 0:
		old.Replicas, old.Outcome.Result = 0, cluster.Good
		return strategy.Put{Revision: old, Why: "room first"}
	case old.Pods > 0:
		return strategy.Wait{Why: "old pods go"}
	case !found:
		return strategy.Put{Revision: cluster.Revision{Name: "web-v002", Release: in.Target.Release, Seq: 2, Replicas: 1, Template: []byte("2")}}
	case !mine.Enabled:
		mine.Enabled = true
		return strategy.Put{Revision: mine}
	case in.State.ReliedOn(mine.Name) < 1:
		return strategy.Wait{Why: "new pods come"}
	}
	mine.Outcome.Result = cluster.Good
	return strategy.Put{Revision: mine}
}

func (recreate) Bounds(strategy.Input) (strategy.Bounds, bool) { return strategy.Bounds{}, true }

func TestAMemberWithoutADarkSideWaitsWithItsFirstStep(t *testing.T) {
	worlds, turns := apps(time.Second, time.Second, 20*time.Second)
	g := group(worlds, strategy.RedBlack{})
	g.Members[1].Strategy = recreate{}
	var told []string
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns, Trace: func(e strategy.Event) {
		if s := fmt.Sprint(e.Step); strings.Contains(s, "room first") {
			told = append(told, s)
			require.Zero(t, worlds[0].State("web").Exposed("web-v001"), "its turn comes after the first member's")
			mine, _ := worlds[2].State("web").Named("web-v002")
			require.Equal(t, 1, mine.Ready, "and when all are prepared")
		}
	}}))
	require.Len(t, told, 1)
}

// What is side by side takes as long as its slowest part: all of it where members
// are beside each other, getting ready where they come one after the other.
func TestAHundredTakeAsLongAsTheSlowest(t *testing.T) {
	var boots []time.Duration
	for i := range 100 {
		boots = append(boots, time.Duration(i+1)*time.Second)
	}
	took := func(beside bool, boots ...time.Duration) (first, all time.Duration) {
		worlds, turns := apps(boots...)
		g := group(worlds, strategy.RedBlack{})
		for i := range g.Members[1:] {
			g.Members[1+i].Beside = beside
		}
		began := turns.Now()
		require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns, Trace: func(e strategy.Event) {
			if put, is := e.Step.(strategy.Put); is && put.Revision.Enabled && first == 0 {
				first = turns.Now().Sub(began)
			}
		}}))
		return first, turns.Now().Sub(began)
	}
	_, alone := took(false, boots[99])
	_, beside := took(true, boots...)
	first, after := took(false, boots...)
	t.Logf("the slowest alone: %v; 100 beside each other: %v; one after the other: %v, of which %v until the first switch", alone, beside, after, first)
	require.LessOrEqual(t, beside, alone*13/10)
	require.LessOrEqual(t, first, alone*13/10)
}

// Whoever waits for another member is woken, and need not wait for its own next
// look: when the last one has passed, all are recorded as good at that moment.
func TestAMemberIsWokenWhenItNeedNotWaitAnyMore(t *testing.T) {
	worlds, turns := apps(-1, -1, -1)
	g := group(worlds, strategy.RedBlack{})
	var good []time.Time
	require.NoError(t, g.Run(ctx, strategy.Runner{Clock: turns, Poll: time.Minute, Trace: func(e strategy.Event) {
		mine, _ := e.Input.Mine()
		if put, is := e.Step.(strategy.Put); is && put.Revision.UID == mine.UID && put.Revision.Outcome.Result == cluster.Good {
			good = append(good, turns.Now())
		}
	}}))
	require.Len(t, good, 3)
	require.Equal(t, good[0], good[1])
	require.Equal(t, good[0], good[2])
}
