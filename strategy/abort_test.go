// What an error says to the person on call.

package strategy_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// Each kind says what to do, and each says something else.
func TestWhatAKindAdvises(t *testing.T) {
	for _, c := range []struct {
		kind  strategy.Kind
		wrote bool
		name  string
		todo  string
	}{
		{strategy.Unfit, false, "unfit", "mend the input; nothing was written"},
		{strategy.Unfit, true, "unfit", "mend the input, then run the same release again"},
		{strategy.Superseded, true, "superseded", "nothing, if the newer one is meant"},
		{strategy.Failed, true, "failed", "mend the app and deploy it as a new release"},
		{strategy.Stranded, true, "stranded", "deploy a release that works"},
		{strategy.Refused, true, "refused", "mend what was refused"},
		{strategy.Unsafe, true, "unsafe", "mend what is named"},
	} {
		cause := errors.New("the cause")
		err := &strategy.AbortError{App: "web", Release: "b2", Revision: "web-v002", Kind: c.kind, Why: "it is so.", Serving: "web-v001 3", Wrote: c.wrote, Err: cause}
		require.ErrorContains(t, err, "cutover web: release b2 (web-v002): "+c.name+": it is so. Serving now: web-v001 3. To do: "+c.todo)
		require.ErrorIs(t, err, cause)
		err.Revision = ""
		require.ErrorContains(t, err, "release b2: "+c.name)
	}
}

// What is superseded by nothing that is there is told what to do all the same.
func TestWhatIsAdvisedWhereNothingIsNewer(t *testing.T) {
	err := &strategy.AbortError{App: "web", Kind: strategy.Superseded, Why: "somebody has deleted its revision"}
	require.ErrorContains(t, err, "To do: run the same release again")
	err.Why = "a newer release was deployed and given up since"
	require.ErrorContains(t, err, "To do: deploy it as a new release")
	found := rev(2, on)
	found.Release = ""
	says(t, strategy.RedBlack{}, []row{{"nobody's release is newer", to("b-v001", byLabels(live, rev(1, on), found)), "abort (superseded): web-v002 is newer (of no release, "}})
}

func TestWhatServesNow(t *testing.T) {
	says := func(s cluster.State) string {
		_, err := standing(s).runner().Run(ctx, "web", build("b9"), always(strategy.Abort{Kind: strategy.Unfit, Why: "x"}))
		var abort *strategy.AbortError
		require.ErrorAs(t, err, &abort)
		return abort.Serving
	}
	one, two := rev(1, on, isGood), rev(2, on, isGood)
	require.Equal(t, "web-v001 3", says(byLabels(live, one, two)))
	require.Equal(t, "web-v001 3, web-v002 1", says(byLabels(endpoints{"web-v001": 3, "web-v002": 1}, one, two)))
	require.Equal(t, "nothing", says(byLabels(endpoints{}, one, two)))
	strays := byLabels(live, one)
	strays.Strays = 1
	require.Equal(t, "web-v001 3, 1 pods of no revision", says(strays))

	_, err := strategy.Runner{}.Run(ctx, "web", build("b9"), always(strategy.Done{}))
	require.ErrorContains(t, err, "Serving now: unknown, for no look has succeeded")
}
