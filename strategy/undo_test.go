// When an undo begins, and when it is done.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

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
		{"it has no name", to(nameless, byLabels(serves, one, rev(2, on, isGood, ofRelease(nameless)))), "abort (unfit): the name of the release to undo is needed"},
		{"a newer one is there", to("b-v001", byLabels(serves, one, two)), "abort (superseded): web-v002 is newer"},
		{"nothing older is good", to("b-v002", byLabels(serves, rev(1), two)), "abort (unfit): no older revision is good"},
	})
	says(t, strategy.Undo(nil, "by ops"), []row{{"in no way", to("b-v002", byLabels(serves, one, two)), "abort (unfit): Undo was given no strategy"}})
}

// A redo takes back what a person has said, and nothing that was found.
func TestRedoBegins(t *testing.T) {
	undone := func(why string) func(*cluster.Revision) {
		return func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Failed, Why: why} }
	}
	one, serves := rev(1, on, isGood), endpoints{"web-v001": 3}
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 0, 0, 0 }
	staged := func(r *cluster.Revision) { r.Note = "stage passed; size 3" }
	redo := strategy.Redo(strategy.RedBlack{}, "it was the database")
	says(t, redo, []row{
		{"it is undecided again", to("b-v002", byLabels(serves, one, rev(2, undone("undone: by ops")))), "put web-v002 x3 off: redone: it was the database"},
		{"for no reason", to("b-v002", byLabels(serves, one, rev(2, undone("undone")))), "put web-v002 x3 off: redone: it was the database"},
		{"then traffic comes back", to("b-v002", byLabels(serves, one, rev(2))), "put web-v002 x3 on: it is ready"},
		{"a gate has said no", to("b-v002", byLabels(serves, one, rev(2, hasFailed, none))), "abort (failed)"},
		{"a gate has said no after the redo", to("b-v002", byLabels(live, one, rev(2, on, hasFailed))), "put web-v002 x3 off failed: traffic goes back"},
		{"a gate's reason begins alike", to("b-v002", byLabels(serves, one, rev(2, none, undone("undone migrations")))), "abort (failed): undone migrations"},
		{"a newer one is there", to("b-v001", byLabels(endpoints{"web-v002": 3}, rev(1, undone("undone")), rev(2, on, isGood))), "abort (superseded)"},
		{"it is not there", to("b9", byLabels(serves, one)), "abort (unfit): there is no revision of this release to redo"},
	})
	says(t, strategy.Redo(nil, ""), []row{{"in no way", to("b-v001", byLabels(serves, one)), "abort (unfit): Redo was given no strategy"}})
	step := redo.Next(to("b-v002", byLabels(serves, one, rev(2, undone("undone"), staged))))
	require.Equal(t, "size 3; stage 1", step.(strategy.Put).Revision.Note, "its stages begin anew")
}

// Whoever deploys an undone release again is told how to take the undo back.
func TestAnUndoneReleaseThatIsDeployedAgainSaysHowToRedoIt(t *testing.T) {
	failed := strategy.AbortError{App: "web", Kind: strategy.Failed, Why: "undone: by ops"}
	require.ErrorContains(t, &failed, "take the undo back with Redo")
	failed.Why = "gate in traffic failed"
	require.ErrorContains(t, &failed, "mend the app and deploy it as a new release")
}

// The undo that was taken back stops, and one that begins later does not.
func TestAnUndoThatWasRedoneStops(t *testing.T) {
	redone := func(r *cluster.Revision) {
		r.Outcome, r.Since = cluster.Outcome{Why: "redone: it was the database"}, noon.Add(-time.Minute)
	}
	in := to("b-v002", byLabels(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, redone)))
	in.Watched = noon.Add(-2 * time.Minute)
	undo := strategy.Undo(strategy.RedBlack{}, "by ops")
	says(t, undo, []row{{"it has looked before", in, "abort (superseded): web-v002 was redone: it was the database"}})
	in.Watched = noon.Add(-time.Minute)
	says(t, undo, []row{{"it looks since", in, "put web-v002 x3 off failed: undone: by ops"}})
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

// A redo costs none either, and only what is dark begins its stages anew.
func TestARedoCostsNoTraffic(t *testing.T) {
	undone := func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "undone"} }
	staged := noted("stage passed; size 3")
	redone := func(serving endpoints, change ...func(*cluster.Revision)) cluster.Revision {
		return put(t, strategy.Redo(strategy.RedBlack{}, ""), to("b-v002", byLabels(serving, rev(1, on, isGood), rev(2, append(change, undone)...))))
	}
	both := endpoints{"web-v001": 3, "web-v002": 3}
	require.True(t, redone(both, oneUnsettled).Enabled, "half turned off, it serves")
	require.False(t, redone(live, oneUnsettled).Enabled, "half turned off, nothing of it serves")
	require.False(t, redone(both).Enabled, "it was told to leave")
	require.True(t, redone(both, on).Enabled)
	require.Equal(t, "stage passed; size 3", redone(both, on, staged).Note, "it is in traffic")
	require.Equal(t, "size 3; stage 1", redone(live, staged).Note)
	require.Empty(t, redone(live).Note, "it has no stages")
}
