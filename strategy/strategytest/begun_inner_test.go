// What a play takes up is what it would have come to by itself.

package strategytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

func TestAPlayThatTakesUpAWorldIsThatPlay(t *testing.T) {
	selects := Options{World: fake.World{Can: cluster.Can{Select: true}}}
	weighs := Options{World: fake.World{Can: cluster.Can{Weigh: true}}}
	canary := strategy.Canary{Stages: []strategy.Stage{{Percent: 20, Gate: Gate("stage")}}, Baseline: true, Drain: 5 * time.Second}
	scenarios := 0
	for name, p := range map[string]*proof{
		"RedBlack":       newProof(strategy.RedBlack{After: Gate("after"), Drain: 15 * time.Second}, nil, Options{}),
		"BlueGreen":      newProof(strategy.BlueGreen{After: Gate("after"), Drain: 15 * time.Second}, nil, selects),
		"Recreate":       newProof(strategy.Recreate{}, nil, Options{}),
		"Canary-weights": newProof(canary, nil, weighs),
	} {
		for _, scenario := range p.names() {
			for _, plan := range []fault.Plan{nil, {{Call: 4, Fault: fault.Crash}}, {{Call: 6, Fault: fault.Late}}} {
				s := Schedule{Scenario: scenario, Faults: plan, Then: Again}
				p.begun.Clear()
				places, r, breach := p.probe(s)
				require.Nil(t, breach)
				_, kept := p.begun.Load(scenario)
				require.True(t, kept, "%s/%s", name, scenario)
				for range 2 {
					samePlaces, same, breach := p.probe(s)
					require.Nil(t, breach)
					require.Equal(t, places, samePlaces, "%s/%v", name, s)
					require.Equal(t, r, same, "%s/%v", name, s)
				}
				scenarios++
			}
		}
	}
	require.Greater(t, scenarios, 100)
}
