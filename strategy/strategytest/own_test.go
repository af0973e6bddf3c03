// The strategies of this project, proved.

package strategytest_test

import (
	"context"
	"os"
	"runtime/debug"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

var keep = strategy.Retention{Shrink: 20 * time.Second, ShrinkTo: 1, Destroy: 40 * time.Second}

// TestMain lets garbage wait: the heap is a few megabytes, and a third of the
// time went to collecting them.
func TestMain(m *testing.M) {
	debug.SetGCPercent(1000)
	os.Exit(m.Run())
}

// A subject is a strategy or a cleaner of ours, and the world it is proved in.
type subject struct {
	name     string
	strategy strategy.Strategy
	cleaner  strategytest.Cleaner
	group    []strategytest.Side
	waves    bool
	options  strategytest.Options
}

// sweep is our cleanup.
func sweep(p cleanup.Policy) strategytest.Cleaner {
	return func(ctx context.Context, r strategy.Runner, app string) error {
		_, err := cleanup.Run(ctx, r, app, p)
		return err
	}
}

func subjects() []subject {
	before, between, after := strategytest.Gate("before"), strategytest.Gate("between"), strategytest.Gate("after")
	stage := strategytest.Gate("stage")
	labels := strategytest.Options{World: fake.World{Batch: 2}}
	selector := strategytest.Options{World: fake.World{Can: cluster.Can{Select: true}}}
	weights := strategytest.Options{World: fake.World{Can: cluster.Can{Weigh: true}}}
	hpa := cluster.Route{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v005": 100}}
	sized, sizedSelector := labels, selector
	sized.World.Routes = []cluster.Route{hpa, {Name: "service/web"}}
	sizedSelector.World.Routes = []cluster.Route{hpa, {Name: "service/web", Weights: map[string]int{}}}
	open := selector
	open.World.Routes = []cluster.Route{{Name: "service/web", Open: true}}
	careful := labels
	careful.Careful = true
	return []subject{
		{name: "RedBlack", options: labels,
			strategy: strategy.RedBlack{Before: before, After: after, Bake: 10 * time.Second, Drain: 15 * time.Second, Keep: keep}},
		{name: "RedBlack-rolling", options: labels,
			strategy: strategy.RedBlack{Stages: []strategy.Stage{{Percent: 30, Gate: stage}, {Percent: 60, Hold: 10 * time.Second}}, Drain: 15 * time.Second, Highlander: true}},
		{name: "BlueGreen", options: selector,
			strategy: strategy.BlueGreen{Before: before, After: after, Bake: 10 * time.Second, Drain: 15 * time.Second, Keep: keep}},
		{name: "BlueGreen-overlap", options: selector,
			strategy: strategy.BlueGreen{Before: before, After: after, Drain: 15 * time.Second, Overlap: strategy.Always}},
		{name: "RedBlack-scaled", options: sized,
			strategy: strategy.RedBlack{After: after, Bake: 10 * time.Second, Drain: 15 * time.Second, Keep: keep}},
		{name: "BlueGreen-scaled", options: sizedSelector,
			strategy: strategy.BlueGreen{After: after, Bake: 10 * time.Second, Drain: 15 * time.Second, Keep: keep}},
		{name: "BlueGreen-adopts", options: open, strategy: strategy.BlueGreen{Before: before, After: after, Drain: 15 * time.Second}},
		{name: "Rolling", options: labels, strategy: strategy.Rolling{Before: before, After: after}},
		{name: "Rolling-batches", options: selector, strategy: strategy.Rolling{Surge: "1", Unavailable: "0", Between: between, Pause: 5 * time.Second}},
		{name: "Recreate", options: labels, strategy: strategy.Recreate{Before: before, After: after}},
		{name: "Recreate-selector", options: selector, strategy: strategy.Recreate{}},
		{name: "Canary", options: labels, strategy: strategy.Canary{Stages: []strategy.Stage{{Percent: 20, Gate: stage}, {Percent: 60}},
			Baseline: true, Ready: 2 * time.Minute, Drain: 5 * time.Second}},
		{name: "Canary-weights", options: weights, strategy: strategy.Canary{Stages: []strategy.Stage{{Percent: 5, Gate: stage}, {Percent: 20}},
			Baseline: true, Before: before, Ready: 2 * time.Minute, Drain: 5 * time.Second}},
		{name: "Cleanup", options: labels, cleaner: sweep(cleanup.Policy{RunFailed: true})},
		{name: "Cleanup-careful", options: careful, cleaner: sweep(cleanup.Policy{})},
		{name: "Cleanup-selector", options: selector, cleaner: sweep(cleanup.Policy{RunFailed: true})},
		{name: "Cleanup-scaled", options: sized, cleaner: sweep(cleanup.Policy{RunFailed: true})},
		{name: "Cleanup-scaled-selector", options: sizedSelector, cleaner: sweep(cleanup.Policy{RunFailed: true})},
		{name: "Cleanup-pinned", options: open, cleaner: sweep(cleanup.Policy{RunFailed: true})},
		{name: "Group", group: sides()},
		{name: "Group-beside", group: besides()},
		{name: "Waves", waves: true, strategy: sailing},
	}
}

// TestFaults is modes 1 to 3 for all of ours.
func TestFaults(t *testing.T) {
	var all strategytest.Stats
	for _, s := range subjects() {
		t.Run(s.name, func(t *testing.T) {
			began := time.Now()
			var stats strategytest.Stats
			switch {
			case s.group != nil:
				stats = strategytest.TestGroup(t, s.group, groupOptions)
			case s.waves:
				stats = strategytest.TestWaves(t, s.strategy, waveOptions)
			case s.cleaner != nil:
				stats = strategytest.TestCleanup(t, s.cleaner, s.options)
			default:
				stats = strategytest.TestStrategy(t, s.strategy, s.options)
			}
			t.Logf("%s: %d scenarios, %d states, %d plans, %d runs, %d points: %d fired, %d skipped, %.1f s", s.name, stats.Scenarios, stats.States, stats.Plans,
				stats.Runs, stats.Points, stats.Fired, stats.Skipped, time.Since(began).Seconds())
			all.Add(stats)
		})
	}
	t.Logf("faults: %d runs, %d points, %d fired, %d skipped, %d breaches", all.Runs, all.Points, all.Fired, all.Skipped, all.Breaches)
}
