// Waves over simulated clusters.

package strategy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// waves makes places of so many to a wave, and the clock over them.
func waves(sizes ...int) (w strategy.Waves, worlds []*fake.Cluster, turns *strategytest.Turns) {
	var boots []time.Duration
	for _, n := range sizes {
		for range n {
			boots = append(boots, time.Duration(1+len(boots))*time.Second)
		}
	}
	worlds, turns = apps(boots...)
	w = strategy.Waves{App: "web", Target: build("build-2"), Strategy: strategy.RedBlack{}}
	next := 0
	for _, n := range sizes {
		var wave strategy.Wave
		for range n {
			wave = append(wave, strategy.Place{Name: fmt.Sprintf("place-%d", next+1), Cluster: worlds[next]})
			next++
		}
		w.Waves = append(w.Waves, wave)
	}
	return w, worlds, turns
}

func count(worlds []*fake.Cluster) (n int) {
	for _, w := range worlds {
		if released(w) {
			n++
		}
	}
	return n
}

func written(worlds []*fake.Cluster) (n int) {
	for _, w := range worlds {
		n += w.Written()
	}
	return n
}

func TestAWaveBeginsWhenTheOneBeforeIsGoodAndJudged(t *testing.T) {
	w, worlds, turns := waves(1, 2, 2)
	var asked []int
	w.Between = health.SetGateFunc(func(_ context.Context, looks []health.Look) (health.Verdict, string, error) {
		asked = append(asked, len(looks), count(worlds))
		for _, look := range looks {
			require.True(t, look.State.HasTraffic(look.Revision.Name))
		}
		if len(asked) == 2 {
			return health.Pending, "not enough requests", nil
		}
		return health.Pass, "", nil
	})
	require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
	require.Equal(t, []int{1, 1, 1, 1, 2, 3}, asked)
	require.Equal(t, 5, count(worlds))

	before := written(worlds)
	require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
	require.Equal(t, before, written(worlds), "a finished wave writes nothing")
	require.Len(t, asked, 6, "nor is the gate before one that has begun asked again")
}

func TestAWaveThatFailsStopsTheRest(t *testing.T) {
	w, worlds, turns := waves(1, 2, 1)
	w.Strategy = strategy.RedBlack{After: health.GateFunc(func(_ context.Context, look health.Look) (health.Verdict, string, error) {
		if worlds[1].State("web").Exposed("web-v002") > 0 && worlds[1].State("web").At.Equal(look.State.At) && look.Revision.UID == uid(worlds[1]) && !released(worlds[1]) && count(worlds[:1]) == 1 {
			return health.Fail, "5xx", nil
		}
		return health.Pass, "", nil
	})}
	err := w.Run(ctx, strategy.Runner{Clock: turns})
	var all *strategy.GroupError
	require.ErrorAs(t, err, &all)
	require.Len(t, all.Members, 2, "the places of the wave that failed")
	require.ErrorContains(t, err, "wave 2 of 3 is not good")
	require.ErrorContains(t, err, "5xx")
	require.True(t, released(worlds[0]), "a wave that is good stays")
	_, begun := worlds[3].State("web").Find("build-2")
	require.False(t, begun)
}

func uid(w *fake.Cluster) string {
	mine, _ := w.State("web").Find("build-2")
	return mine.UID
}

func TestTheGateBetweenWavesStopsThem(t *testing.T) {
	for _, v := range []health.Verdict{health.Fail, health.Pending, health.None} {
		w, worlds, turns := waves(1, 1)
		w.Between, w.Judge = whole(v, "slow"), time.Minute
		began := turns.Now()
		err := w.Run(ctx, strategy.Runner{Clock: turns})
		require.ErrorContains(t, err, "slow")
		require.ErrorContains(t, err, "not begun: place-2")
		require.Less(t, turns.Now().Sub(began), 2*time.Minute)
		require.Equal(t, 1, count(worlds))
	}
}

func TestAnUndoOfWavesTakesAllBack(t *testing.T) {
	w, worlds, turns := waves(1, 2, 1)
	w.Between = whole(health.Fail, "errors")
	require.Error(t, w.Run(ctx, strategy.Runner{Clock: turns}), "one wave of three is done")
	require.NoError(t, w.Undo(ctx, strategy.Runner{Clock: turns}, "errors"))
	for _, world := range worlds {
		require.True(t, world.State("web").HasTraffic("web-v001"))
		require.False(t, world.State("web").HasTraffic("web-v002"))
	}
	before := written(worlds)
	require.NoError(t, w.Undo(ctx, strategy.Runner{Clock: turns}, "errors"))
	require.Equal(t, before, written(worlds))
}

// A name that no place knows is not taken for one that is taken back.
func TestAnUndoOfWavesOfAReleaseThatNobodyKnowsIsRefused(t *testing.T) {
	w, worlds, turns := waves(1, 2)
	require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
	w.Target.Release = "biuld-2"
	before := written(worlds)
	err := w.Undo(ctx, strategy.Runner{Clock: turns}, "errors")
	require.Equal(t, "unfit", kind(t, err))
	require.ErrorContains(t, err, "no place has a revision of this release to undo. Serving now: web-v002 1")
	require.Equal(t, before, written(worlds))
}

// An undo keeps within the bounds of the strategy: a Recreate's has a gap.
func TestAnUndoOfWavesKeepsWithinTheBoundsOfTheStrategy(t *testing.T) {
	w, worlds, turns := waves(1, 1)
	w.Strategy = strategy.Recreate{}
	require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
	require.NoError(t, w.Undo(ctx, strategy.Runner{Clock: turns}, "errors"))
	for _, world := range worlds {
		require.True(t, world.State("web").HasTraffic("web-v001"))
	}
}

// A place that may not be looked at any more stops the waves at once, and the error
// says so: no gate has failed.
func TestAPlaceThatCannotBeLookedAtForTheGateStopsTheWaves(t *testing.T) {
	w, worlds, turns := waves(1, 1)
	w.Between = whole(health.Pass, "")
	place := &refusing{Cluster: worlds[0]}
	w.Waves[0][0].Cluster = place
	began := turns.Now()
	err := w.Run(ctx, strategy.Runner{Clock: turns, Trace: func(e strategy.Event) {
		_, place.refuses = e.Step.(strategy.Done)
	}})
	require.ErrorIs(t, err, cluster.ErrRefused)
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Refused, abort.Kind)
	require.ErrorContains(t, err, "not begun: place-2")
	require.Less(t, turns.Now().Sub(began), time.Minute)
	place.refuses = false
	require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
	require.Equal(t, 2, count(worlds))
}

// refusing is a cluster that refuses looks, if it does.
type refusing struct {
	*fake.Cluster
	refuses bool
}

func (r *refusing) Observe(ctx context.Context, app string) (cluster.State, error) {
	if r.refuses {
		return cluster.State{}, fmt.Errorf("forbidden: %w", cluster.ErrRefused)
	}
	return r.Cluster.Observe(ctx, app)
}

func TestAWaveOfAHundredTakesAsLongAsItsSlowest(t *testing.T) {
	w, worlds, turns := waves(100)
	took := func(w strategy.Waves) time.Duration {
		began := turns.Now()
		require.NoError(t, w.Run(ctx, strategy.Runner{Clock: turns}))
		return turns.Now().Sub(began)
	}
	all := took(w)
	require.Equal(t, 100, count(worlds))

	slowest, _, turns := waves(100)
	began := turns.Now()
	slowest.Waves[0] = slowest.Waves[0][99:]
	require.NoError(t, slowest.Run(ctx, strategy.Runner{Clock: turns}))
	alone := turns.Now().Sub(began)
	require.LessOrEqual(t, all, alone*13/10)
	t.Logf("100 side by side: %v, the slowest alone: %v", all, alone)
}

func TestWavesThatAreNoneAreRefused(t *testing.T) {
	good, worlds, _ := waves(1, 1)
	for what, spoil := range map[string]func(w *strategy.Waves){
		"no strategy":      func(w *strategy.Waves) { w.Strategy = nil },
		"no waves":         func(w *strategy.Waves) { w.Waves = nil },
		"no places":        func(w *strategy.Waves) { w.Waves = append(w.Waves, nil) },
		"no Cluster":       func(w *strategy.Waves) { w.Waves = []strategy.Wave{{{Name: "a"}}} },
		"are called":       func(w *strategy.Waves) { w.Waves = append(w.Waves, w.Waves[0]) },
		"the same place":   func(w *strategy.Waves) { w.Waves = []strategy.Wave{{{"a", worlds[0]}, {"b", worlds[0]}}} },
		"must not be nega": func(w *strategy.Waves) { w.Judge = -1 },
	} {
		w := good
		w.Waves = append([]strategy.Wave{}, good.Waves...)
		spoil(&w)
		var abort *strategy.AbortError
		require.ErrorAs(t, w.Run(ctx, strategy.Runner{}), &abort, what)
		require.Contains(t, abort.Why, what)
	}
	require.Zero(t, count(worlds))
}
