// The group of this project, proved.

package strategytest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// sides are a web app, the consumer of a stream behind a selector, and a worker.
func sides() []strategytest.Side {
	before, after := strategytest.Gate("before"), strategytest.Gate("after")
	return []strategytest.Side{
		{Name: "web", World: fake.World{Batch: 2},
			Strategy: strategy.RedBlack{Ready: time.Minute, Before: before, After: after, Bake: 10 * time.Second, Drain: 15 * time.Second}},
		{Name: "consumer", World: fake.World{Can: cluster.Can{Select: true}},
			Strategy: strategy.BlueGreen{Ready: time.Minute, Before: before, After: after, Drain: 15 * time.Second}},
		{Name: "worker", World: fake.World{Worker: true, Boot: 6 * time.Second}, Strategy: hasty{}},
	}
}

// besides are three of which the last two are switched together: a failure of one
// may come while the other one's switch is under way.
func besides() []strategytest.Side {
	return []strategytest.Side{
		{Name: "consumer", World: fake.World{Can: cluster.Can{Select: true}}, Strategy: strategy.BlueGreen{Ready: time.Minute, Drain: 5 * time.Second}},
		{Name: "web", World: fake.World{Batch: 2}, Strategy: strategy.RedBlack{Ready: time.Minute, After: strategytest.Gate("after"), Drain: 5 * time.Second}},
		{Name: "worker", World: fake.World{Worker: true}, Strategy: hasty{}, Beside: true},
	}
}

// hasty is a worker that does not wait for long.
type hasty struct{}

func (hasty) Next(in strategy.Input) strategy.Step {
	r := strategy.Rules{Ready: time.Minute, Drain: 5 * time.Second, Before: strategytest.Gate("before"), After: strategytest.Gate("after")}
	return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
}

// sailing is what waves deploy with.
var sailing = strategy.RedBlack{Ready: time.Minute, After: strategytest.Gate("after"), Drain: 5 * time.Second}

// groupOptions are small: what there is to find is between members, not in their
// size.
var (
	groupOptions = strategytest.GroupOptions{Replicas: 2, Poll: 10 * time.Second}
	waveOptions  = strategytest.WavesOptions{Replicas: 2, Poll: 10 * time.Second}
)

// What this suite has found in our own group, each a schedule that once broke a
// law.
func TestGroupBugs(t *testing.T) {
	for name, token := range map[string]string{
		"members that had only asked their gates waited for each other":   "upgrade 1:F21.1@9",
		"one gave back while the switch of another was not known yet":     "gate-after-2 2:F27.0@21",
		"one gave back although another, which was to be first, had died": "undo 2:F27.0@2",
		"what the last switch came to was not waited for":                 "gate-after-3 1:F27.0@29",
		"the last switch was not known, and the others gave back":         "gate-after-3 3:F27.0@24",
		"a gate was asked without end, and said nothing new":              "upgrade 1:F43.3@29",
		"one was good, and a gate of another said no at that moment":      "upgrade 2:F47.3@29",
		"a rerun asked gates of what was decided":                         "upgrade 1:F21.1@34",
	} {
		t.Run(name, func(t *testing.T) {
			tale, err := strategytest.ReplayGroup(sides(), strategytest.GroupOptions{}, token)
			require.NoError(t, err)
			require.Regexp(t, "!!|killed|injected", tale, "nothing went wrong in it")
		})
	}
}

// What this suite has found in our own waves.
func TestWavesBugs(t *testing.T) {
	for name, token := range map[string]string{
		"a place that was refused a look was waited for, and then said to be good": "upgrade 1:F27.1@15",
	} {
		t.Run(name, func(t *testing.T) {
			tale, err := strategytest.ReplayWaves(sailing, waveOptions, token)
			require.NoError(t, err)
			require.Regexp(t, "injected", tale, "nothing went wrong in it")
		})
	}
}

func TestTheSameTokenMakesTheSameTaleOfAGroup(t *testing.T) {
	first, err := strategytest.ReplayGroup(sides(), groupOptions, "upgrade 2:F21.1@9 then undo")
	require.NoError(t, err)
	for range 3 {
		again, err := strategytest.ReplayGroup(sides(), groupOptions, "upgrade 2:F21.1@9 then undo")
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
}
