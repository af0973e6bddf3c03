// When an undo begins, and when it is done.

package strategy_test

import (
	"testing"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

func TestUndoBegins(t *testing.T) {
	one, two := rev(1, isGood), rev(2, on, isGood)
	serves := endpoints{"web-v002": 3}
	nameless := cluster.Target{Template: []byte("t")}.Named().Release
	says(t, strategy.Undo(strategy.RedBlack{}, "by ops"), []row{
		{"the release is given up first", to("b-v002", byLabels(serves, one, two)), "put web-v002 x3 on failed: undone: by ops"},
		{"then traffic goes back", to("b-v002", byLabels(serves, one, rev(2, on, hasFailed))), "put web-v001 x3 on good: traffic goes back"},
		{"it is not there", to("b9", byLabels(serves, one, two)), "abort (unfit): there is no revision of this release"},
		{"it has no name", to(nameless, byLabels(serves, one, rev(2, on, isGood, ofRelease(nameless)))), "abort (unfit): an undo needs the name of the release"},
		{"a newer one is there", to("b-v001", byLabels(serves, one, two)), "abort (superseded): web-v002 is newer"},
		{"nothing older is good", to("b-v002", byLabels(serves, rev(1), two)), "abort (unfit): no older revision is good"},
	})
	says(t, strategy.Undo(nil, "by ops"), []row{{"in no way", to("b-v002", byLabels(serves, one, two)), "abort (unfit): Undo was given no strategy"}})
}

// An undo is done when the strategy says that the release has failed, something
// serves, and it is not that release.
func TestUndoIsDone(t *testing.T) {
	ends := func(kind strategy.Kind) strategy.Strategy {
		return strategy.Undo(strategy.Func(func(strategy.Input) strategy.Step { return strategy.Abort{Kind: kind, Why: "x"} }), "by ops")
	}
	undone := func(serving endpoints) strategy.Input {
		return to("b-v002", byLabels(serving, rev(1, on, isGood), rev(2, hasFailed)))
	}
	says(t, ends(strategy.Failed), []row{
		{"the older one serves", undone(live), "done"},
		{"with one endpoint", undone(endpoints{"web-v001": 1}), "done"},
		{"nothing serves", undone(endpoints{}), "abort (failed)"},
		{"it still has traffic", undone(endpoints{"web-v001": 3, "web-v002": 1}), "abort (failed)"},
	})
	says(t, ends(strategy.Stranded), []row{{"the strategy has come to another end", undone(live), "abort (stranded)"}})
	says(t, strategy.Undo(strategy.Func(func(strategy.Input) strategy.Step { return strategy.Wait{Why: "x"} }), ""), []row{{"it has come to none", undone(live), "wait: x"}})
}
