// The proof of OfficeHours, in one line of a test.

package main

import (
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// The proof: every fault at every call of every scenario, and every small state.
// The worlds begin on a Wednesday, just before the office opens.
func TestOfficeHours(t *testing.T) {
	early := time.Date(2025, time.January, 1, 8, 59, 45, 0, time.UTC)
	mine := OfficeHours{Open: 9, Close: 16, Bake: 10 * time.Second, After: strategytest.Gate("errors")}
	strategytest.TestStrategy(t, mine, strategytest.Options{Replicas: 2, Poll: 20 * time.Second, World: fake.World{Start: early}})
}

// When the rule has something to say, and when it leaves all to those after it.
func TestWait(t *testing.T) {
	const friday, saturday, monday = 3, 4, 6
	at := func(day, hour int) time.Time { return time.Date(2025, time.January, day, hour, 0, 0, 0, time.UTC) }
	ready := cluster.Revision{Name: "web-v002", Replicas: 2, Ready: 2}
	half, on := ready, ready
	half.Ready, on.Enabled = 1, true
	tokyo := time.FixedZone("Tokyo", 9*60*60)
	for _, c := range []struct {
		name   string
		at     time.Time
		mine   cluster.Revision
		serves int
		zone   *time.Location
		until  time.Time // zero: it says nothing
	}{
		{name: "open", at: at(friday, 9), mine: ready, serves: 2},
		{name: "the last minute", at: at(friday, 16).Add(-time.Minute), mine: ready, serves: 2},
		{name: "closed", at: at(friday, 16), mine: ready, serves: 2, until: at(monday, 9)},
		{name: "weekend", at: at(saturday, 12), mine: ready, serves: 2, until: at(monday, 9)},
		{name: "early", at: at(monday, 8).Add(59 * time.Minute), mine: ready, serves: 2, until: at(monday, 9)},
		{name: "elsewhere", at: at(monday, 0), mine: ready, serves: 2, zone: tokyo},
		{name: "night elsewhere", at: at(monday, 9), mine: ready, serves: 2, zone: tokyo, until: at(monday+1, 0)},
		{name: "half ready", at: at(saturday, 12), mine: half, serves: 2, until: at(monday, 9)},
		{name: "it was begun", at: at(saturday, 12), mine: on, serves: 2},
		{name: "nothing serves", at: at(saturday, 12), mine: ready},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := cluster.State{At: c.at, Can: cluster.Can{Enable: true}, Revisions: []cluster.Revision{{Name: "web-v001"}, c.mine},
				Routes: []cluster.Route{{Name: "service/web", Serving: map[string]int{"web-v001": c.serves}}}}
			step := OfficeHours{Open: 9, Close: 16, Zone: c.zone}.wait(strategy.Input{State: s}, c.mine)
			if c.until.IsZero() {
				require.Nil(t, step)
				return
			}
			require.IsType(t, strategy.Wait{}, step)
			require.WithinDuration(t, c.until, step.(strategy.Wait).Until, 0)
		})
	}
}

// Hours in which no office is open are refused before anything is written.
func TestNeverOpen(t *testing.T) {
	for _, o := range []OfficeHours{{}, {Open: 16, Close: 9}, {Open: -1, Close: 9}, {Open: 9, Close: 25}} {
		step, ok := o.Next(strategy.Input{}).(strategy.Abort)
		require.True(t, ok)
		require.Equal(t, strategy.Unfit, step.Kind)
	}
}

// The story ends as it should.
func TestShow(t *testing.T) {
	require.NoError(t, show(io.Discard))
}
