// The group of this project, proved.

package strategytest_test

import (
	"context"
	"errors"
	"slices"
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

// hasty is a worker that does not wait for long.
type hasty struct{}

func (hasty) Next(in strategy.Input) strategy.Step {
	r := strategy.Rules{Ready: time.Minute, Drain: 5 * time.Second, Before: strategytest.Gate("before"), After: strategytest.Gate("after")}
	return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
}

// groupOptions are small: what there is to find is between members, not in their
// size.
var groupOptions = strategytest.GroupOptions{Replicas: 2, Poll: 10 * time.Second}

// What this suite has found in our own group, each a schedule that once broke a
// law.
func TestGroupBugs(t *testing.T) {
	for name, token := range map[string]string{
		"members that had only asked their gates waited for each other":   "upgrade 1:F21.1@9",
		"one gave back while the switch of another was not known yet":     "gate-after-2 2:F27.0@21",
		"one gave back although another, which was to be first, had died": "undo 2:F27.0@2",
		"what the last switch came to was not waited for":                 "gate-after-3 1:F27.0@34",
		"the last switch was not known, and the others gave back":         "gate-after-3 3:F27.0@30",
		"a gate was asked without end, and said nothing new":              "upgrade 1:F43.3@34",
		"one was good, and a gate of another said no at that moment":      "upgrade 2:F47.3@32",
		"a rerun asked gates of what was decided":                         "upgrade 1:F21.1@39",
	} {
		t.Run(name, func(t *testing.T) {
			tale, err := strategytest.ReplayGroup(sides(), strategytest.GroupOptions{}, token)
			require.NoError(t, err)
			require.Regexp(t, "!!|killed|injected", tale, "nothing went wrong in it")
		})
	}
}

// The laws of a group are laws: engines that do without them break them.
func TestWrongGroupsDie(t *testing.T) {
	alone := func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
		for i := range g.Members { // one after the other, as scripts do
			if err := (strategy.Group{Members: g.Members[i : i+1]}).Run(ctx, r); err != nil {
				return &strategy.GroupError{What: err.Error(), Members: make([]strategy.MemberResult, len(g.Members))}
			}
		}
		return nil
	}
	reversed := func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
		slices.Reverse(g.Members)
		err := g.Run(ctx, r)
		var all *strategy.GroupError
		if errors.As(err, &all) {
			slices.Reverse(all.Members)
		}
		return err
	}
	undoes := func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
		err := g.Run(ctx, r)
		if err != nil && ctx.Err() == nil { // takes what was switched back, whatever the error says
			_ = r.Clock.Sleep(ctx, time.Minute)
			_ = g.Undo(ctx, r, "it failed")
		}
		return err
	}
	inOrder := func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
		stop, cancel := context.WithCancel(ctx)
		defer cancel()
		trace := r.Trace
		r.Trace = func(e strategy.Event) {
			trace(e)
			if mine, _ := e.Input.Mine(); e.Input.State.Can.Select && e.Input.State.HasTraffic(mine.Name) {
				cancel() // the second one is switched
			}
		}
		err := g.Run(stop, r)
		r.Trace = trace
		for i := range g.Members { // the first one first
			_ = (strategy.Group{Members: g.Members[i : i+1]}).Undo(ctx, r, "it stopped")
		}
		return err
	}
	for _, c := range []struct {
		law    string
		engine strategytest.GroupEngine
		token  string
	}{
		{strategytest.Together, alone, "upgrade"},
		{strategytest.InOrder, reversed, "upgrade"},
		{strategytest.Reverse, inOrder, "upgrade"},
		{strategytest.Forward, undoes, "gate-after-3"},
	} {
		t.Run(c.law, func(t *testing.T) {
			o := groupOptions
			o.Engine = c.engine
			_, err := strategytest.ReplayGroup(sides(), o, c.token)
			var breach *strategytest.Breach
			require.ErrorAs(t, err, &breach)
			require.Equal(t, c.law, breach.Law, "%v", err)
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
