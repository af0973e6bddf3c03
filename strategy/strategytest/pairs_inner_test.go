// What the pairs leave out, checked where it can be seen.

package strategytest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

// Reset stands for the mere faults: after each of them everything is as it is after
// Reset, whatever the call.
func TestMereFaultsAreOne(t *testing.T) {
	p := newProof(strategy.RedBlack{Drain: 15 * time.Second}, nil, Options{Replicas: 1, Poll: 10 * time.Second})
	undisturbed, breach := p.try(Schedule{Scenario: "upgrade"}, nil)
	require.Nil(t, breach)
	after := func(e fault.Event) []place {
		places, r, breach := p.probe(Schedule{Scenario: "upgrade", Faults: fault.Plan{e}})
		require.Nil(t, breach)
		require.Equal(t, 1, r.fired)
		return places
	}
	compared := 0
	for i, kind := range undisturbed.calls {
		reset := after(fault.Event{Call: i + 1, Fault: fault.Reset})
		for _, f := range mere {
			if fault.Skip(f, kind) == "" {
				require.Equal(t, reset, after(fault.Event{Call: i + 1, Fault: f}), "%v at call %d", f, i+1)
				compared++
			}
		}
	}
	require.Greater(t, compared, 2*len(undisturbed.calls))
}
