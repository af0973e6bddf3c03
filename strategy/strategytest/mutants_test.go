// The mutants of this suite: what a competent person could have written, and
// wrong. Each must die, by the law that the mistake breaks; and what it was made
// from must live, in the same worlds.
//
// The strategies are in mutant_strategies_test.go, those with bounds of their own in
// mutant_bounded_test.go, and so on: weights, engines, guards, cleaners, groups.

package strategytest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

// A mutant is a twin with one mistake in it.
type mutant struct {
	name    string
	mistake string // what is wrong, in a sentence
	like    string // the shape in which people have met it
	law     string // by which it must die
	of      twin
	first   string // the scenario in which faults are tried first; "": as they come

	// What takes the place of the twin's; nil: as the twin has it.
	strategy strategy.Strategy
	engine   Engine
	cleaner  Cleaner
	group    GroupEngine
	waves    WavesEngine
}

// A twin is what mutants are made from. It breaks no law in the schedule that
// kills the mutant; those that twins lists break none in any.
type twin struct {
	name     string
	strategy strategy.Strategy
	cleaner  Cleaner
	options  Options
	joined   func(m mutant) *groupProof // of a group or waves: the proof, with the engine of a mutant; nil: neither
}

var (
	labels   = Options{Replicas: 2}
	careful  = Options{Replicas: 2, Careful: true}
	selector = Options{Replicas: 2, World: fake.World{Can: cluster.Can{Select: true}}}
	scaled   = Options{Replicas: 2, World: fake.World{Routes: []cluster.Route{
		{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v005": 100}}, {Name: "service/web"}}}}
	openly  = Options{Replicas: 2, World: fake.World{Can: cluster.Can{Select: true}, Routes: []cluster.Route{{Name: "service/web", Open: true}}}}
	batched = Options{World: fake.World{Batch: 2}}

	redBlack  = strategy.RedBlack{Before: Gate("before"), After: Gate("after"), Bake: 10 * time.Second, Drain: 15 * time.Second}
	blueGreen = strategy.BlueGreen{Before: Gate("before"), After: Gate("after"), Bake: 10 * time.Second, Drain: 15 * time.Second}
	sweeping  = cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true}}

	ofRedBlack      = twin{name: "RedBlack", strategy: redBlack, options: labels}
	ofBatches       = twin{name: "RedBlack in batches", strategy: redBlack, options: batched} // TestFaults proves it
	ofBlueGreen     = twin{name: "BlueGreen", strategy: blueGreen, options: selector}
	bareLabels      = twin{name: "RedBlack, bare loop", strategy: redBlack, options: with(labels, loop{}.run)}
	bareRoutes      = twin{name: "BlueGreen, bare loop", strategy: blueGreen, options: with(selector, loop{}.run)}
	ofScaled        = twin{name: "RedBlack beside an autoscaler", strategy: redBlack, options: scaled}
	bareScaled      = twin{name: "RedBlack beside an autoscaler, bare loop", strategy: redBlack, options: with(scaled, loop{}.run)}
	ofCleanup       = twin{name: "cleanup", cleaner: sweep(nil, sweeping), options: labels}
	ofScaledCleanup = twin{name: "cleanup beside an autoscaler", cleaner: sweep(nil, sweeping), options: scaled}
	ofPinned        = twin{name: "cleanup of a pin", cleaner: sweep(nil, sweeping), options: openly}
	ofCareful       = twin{name: "careful cleanup", cleaner: sweep(nil, cleanup.Strategy{}), options: careful}
	bareCleanup     = twin{name: "cleanup, bare loop", cleaner: sweep(loop{}.run, sweeping), options: labels}
	overRoutes      = twin{name: "cleanup of routes, bare loop", cleaner: sweep(loop{}.run, sweeping), options: selector}
)

func with(o Options, e Engine) Options {
	o.Engine = e
	return o
}

func twins() []twin {
	return []twin{ofRedBlack, ofBlueGreen, bareRoutes, ofCleanup, ofCareful, overRoutes}
}

func mutants() []mutant {
	return slices.Concat(wrongStrategies(), wrongBounded(), wrongWeights(), wrongEngines(), wrongGuards(), wrongCleaners(), wrongGroups())
}

// A death is how a mutant has died.
type death struct {
	*Breach
	plans, runs int
}

// die proves a mutant until a law is broken: what is shortest to tell
// comes first: plans, then every scenario undisturbed, then faults, and the runs
// from small States at the end.
func (m mutant) die() (d death) {
	if m.of.joined != nil {
		return m.dieJoined()
	}
	o, s, c := m.of.options, m.of.strategy, m.of.cleaner
	if m.strategy != nil {
		s = m.strategy
	}
	if m.engine != nil {
		o.Engine = m.engine
	}
	if m.cleaner != nil {
		c = m.cleaner
	}
	p := newProof(s, c, o)
	broken := func(stats Stats, err error) bool {
		d.plans, d.runs = d.plans+stats.Plans, d.runs+stats.Runs
		return errors.As(err, &d.Breach)
	}
	if c == nil {
		planned, err := p.plans()
		if broken(Stats{Plans: planned}, err) {
			return d
		}
	}
	for _, s := range p.list {
		d.runs++
		if _, breach := p.try(Schedule{Scenario: s.name}, nil); breach != nil {
			d.Breach = breach
			return d
		}
	}
	slices.SortStableFunc(p.list, func(a, b scenario) int {
		switch m.first {
		case a.name:
			return -1
		case b.name:
			return 1
		}
		return 0
	})
	for _, s := range p.list {
		if broken(p.every(s, 0, 1)) {
			return d
		}
	}
	if c == nil {
		_ = broken(p.states())
	}
	return d
}

// survives plays the schedule that has killed a mutant. Plans need no playing:
// the twins that are proved whole have them behind them.
func (w twin) survives(s Schedule) *Breach {
	if w.joined != nil {
		return w.survivesJoined(s)
	}
	if s.Scenario == "plans" {
		return nil
	}
	_, breach := newProof(w.strategy, w.cleaner, w.options).try(s, nil)
	return breach
}

// TestMutants lets every mutant die, and every twin live.
func TestMutants(t *testing.T) {
	all := mutants()
	deaths := make([]death, len(all))
	t.Run("each", func(t *testing.T) {
		for _, twin := range twins() {
			t.Run("twin of "+twin.name, func(t *testing.T) {
				t.Parallel()
				d := mutant{of: twin}.die()
				require.Nil(t, d.Breach, "a mutant that dies because what it was made from is wrong proves nothing")
			})
		}
		for i, m := range all {
			t.Run(m.name, func(t *testing.T) {
				t.Parallel()
				deaths[i] = m.die()
				require.NotNil(t, deaths[i].Breach, "it lives, and it should not: %s (%s)", m.mistake, m.like)
				require.Equal(t, m.law, deaths[i].Law, "%s\n%v", m.mistake, deaths[i].Breach)
				require.Nil(t, m.of.survives(deaths[i].Schedule), "what it was made from dies of the same, so it proves nothing")
			})
		}
	})
	killed := 0
	var events []int
	for i, d := range deaths {
		if d.Breach != nil && d.Law == all[i].law {
			killed++
			events = append(events, d.Events)
		}
	}
	t.Log(table(all, deaths) + fmt.Sprintf("mutants: %d of %d killed", killed, len(all)))
	require.Equal(t, len(all), killed)
	slices.Sort(events)
	require.LessOrEqual(t, events[len(events)/2], 8, "the middle counterexample must be short enough to be read")
}

// table shows how each has died: what was planned and run until then, and how
// many faults it took.
func table(all []mutant, deaths []death) string {
	var b strings.Builder
	row := func(cells ...any) { fmt.Fprintf(&b, "| %-34v | %-15v | %6v | %6v | %6v |\n", cells...) }
	row("mutant", "law", "plans", "runs", "events")
	for i, m := range all {
		d := deaths[i]
		if d.Breach == nil {
			row(m.name, "lives", d.plans, d.runs, "")
			continue
		}
		row(m.name, d.Law, d.plans, d.runs, d.Events)
	}
	return "\n" + b.String()
}

// TestMutantsAreTold holds the list to what makes it of use: a name of its own, a
// mistake, a shape, and no law that is none; and as many of what carries a
// strategy out as of strategies.
func TestMutantsAreTold(t *testing.T) {
	names := map[string]bool{}
	for _, m := range mutants() {
		require.False(t, names[m.name], "%s: two have this name", m.name)
		names[m.name] = true
		require.NotEmpty(t, m.mistake, m.name)
		require.NotEmpty(t, m.like, m.name)
		require.NotContains(t, []string{"", Harness}, m.law, m.name)
	}
	require.GreaterOrEqual(t, len(names), 45)
	require.GreaterOrEqual(t, len(wrongEngines())+len(wrongGuards())+len(wrongCleaners()), len(wrongStrategies()))
}
