// What this suite has found in our own code, each a schedule that once broke a
// law.

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

func TestBugs(t *testing.T) {
	of := map[string]subject{}
	for _, s := range subjects() {
		of[s.name] = s
	}
	for name, bug := range map[string]struct{ subject, schedule string }{
		"a staying run whose revision was deleted returned success":             {"RedBlack", "third F09.0@27"},
		"a staying run whose revision was made anew returned success":           {"RedBlack", "third F09.1@27"},
		"an overlap took the replicas of what still served":                     {"BlueGreen-overlap", "over-created F45.8@26"},
		"an undo left the release of a dead run undecided, so reruns touched":   {"RedBlack", "over-half-on F21.1@2 then undo"},
		"an undo left what an older run had left undecided":                     {"RedBlack", "undo F43.0@1"},
		"a gate's no was lost when somebody else brought traffic":               {"RedBlack", "gate-before-fails F43.5@5"},
		"a cleanup waited without end for endpoints that never follow":          {"Cleanup", "both-live F32.1@1"},
		"a cleanup took the traffic of the one that it had kept":                {"Cleanup", "both-live F36.0@2"},
		"a cleanup counted pods that were only just born with traffic":          {"Cleanup", "both-live F40.0@3"},
		"a cleanup deleted what a route had just left, without draining it":     {"Cleanup-selector", "both-live F36.1@1"},
		"an undo was written on what somebody had half turned off":              {"RedBlack", "undo s31233 F45.2@2 F40.1@2 then undo"},
		"an undo was done, and left the pin of an older run that it gave up":    {"BlueGreen-adopts", "over-half-on F21.1@2 then undo"},
		"a cleanup left an autoscaler that a dead run had not pointed anywhere": {"RedBlack-scaled", "first F21.0@9 then cleanup"},
		"a release that supersedes two that share a Service had no way back":    {"BlueGreen-overlap", "first F43.4@11"},
		"a gate's no was forgotten when somebody else had ended the roll":       {"Rolling-batches", "redo-between-fails F42.2@4"},
		"the guard had other bounds than who gave back what two share":          {"Rolling-batches", "over-both F42.0@2"},
		"a way back was given up because somebody had put its share back":       {"Canary-weights", "upgrade F45.9@23"},
		"a canary had no room beside what a dead one had left dark":             {"Canary-weights", "undo-shrunk F43.4@2"},
		"a share was counted on replicas that were not wanted any more":         {"Canary-weights", "upgrade F42.4@41"},
		"a share could not leave because a name beside it was gone":             {"Canary-weights", "gate-stage-fails F45.4@24"},
		"a redo went into traffic as small as somebody else had made it":        {"RedBlack", "redo F42.3@1"},
		"a redo cost what somebody had half turned off":                         {"Rolling", "redo-warm F43.6@1"},
		"the world refused a release of no pods beside others of none":          {"BlueGreen-adopts", "undo-below F43.7@16"},
		"a canary was taken up again beside a baseline as large as all of it":   {"Canary", "redo-warm F43.7@7"},
	} {
		t.Run(name, func(t *testing.T) {
			s := of[bug.subject]
			replay := func() (string, error) { return strategytest.Replay(s.strategy, s.options, bug.schedule) }
			if s.cleaner != nil {
				replay = func() (string, error) { return strategytest.ReplayCleanup(s.cleaner, s.options, bug.schedule) }
			}
			tale, err := replay()
			require.NoError(t, err)
			require.Regexp(t, "!!|killed", tale, "nothing went wrong in it")
		})
	}
}

// What nothing needed to go wrong for: a redo of what an autoscaler had made smaller
// took what served, and one that failed left it in traffic.
func TestBugsWithoutAFault(t *testing.T) {
	for _, s := range subjects() {
		scenario, ok := map[string]string{"RedBlack-scaled": "redo-warm", "RedBlack": "redo-after-fails"}[s.name]
		if ok {
			_, err := strategytest.Replay(s.strategy, s.options, scenario)
			require.NoError(t, err, s.name)
		}
	}
}

// Two deployers: what the slower one had planned before it knew of the newer one
// landed when that was done, and both were in traffic for ever.
func TestBugAnUndoThatWasOvertakenLandedAfterTheNewerRelease(t *testing.T) {
	s := strategy.RedBlack{Drain: 5 * time.Second}
	_, err := strategytest.CheckInterleavings(s, strategytest.Options{Replicas: 1, Poll: 10 * time.Second}, "a release and an undo")
	require.NoError(t, err)
}

// The found revision had one pod down when its traffic was taken, so it was not
// recorded as good, and there was no way back.
func TestBugARevisionWithOnePodDownWasNoWayBack(t *testing.T) {
	s := cluster.State{Can: cluster.Can{Enable: true}, Revisions: []cluster.Revision{
		{Name: "web-v001", Seq: 1, Replicas: 3, Ready: 2, Pods: 3, Enabled: true},
		{Name: "web-v002", Seq: 2, Replicas: 3, Ready: 3, Pods: 3, Enabled: true, Release: "build-2"},
	}, Routes: []cluster.Route{{Name: "service/web", Serving: map[string]int{"web-v001": 2, "web-v002": 3}}}}
	require.True(t, s.IsGood(s.Revisions[0]))
	s.Revisions[0].Unsettled = 1
	require.False(t, s.IsGood(s.Revisions[0]), "half flipped, it is what a run that died has left")
}

// The fence took a worker, whose pods carry what works, for an app that has no
// traffic to lose: a dead run's late write took the last one that worked.
func TestBugTheFenceLeftWorkersOut(t *testing.T) {
	tale, err := strategytest.Replay(worker{}, strategytest.Options{Replicas: 2, World: fake.World{Worker: true}}, "upgrade F21.2@8 then undo")
	require.NoError(t, err)
	require.Regexp(t, "killed", tale)
}

// worker is every rule there is, over what the cluster can.
type worker struct{}

func (worker) Next(in strategy.Input) strategy.Step {
	var r strategy.Rules
	return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
}

// A panic is a breach with its schedule, like any other.
func TestAPanicIsABreach(t *testing.T) {
	_, err := strategytest.Check(strategy.Func(func(strategy.Input) strategy.Step { panic("oh") }), strategytest.Options{})
	var breach *strategytest.Breach
	require.ErrorAs(t, err, &breach)
	require.Equal(t, strategytest.Termination, breach.Law)
	require.ErrorContains(t, err, "panic: oh")
}

// A drain is no wait for the cluster: it may last longer than the cluster has to
// follow, and what follows it has as long again.
func TestBugADrainThatLastsWasTakenForAClusterThatDoesNotFollow(t *testing.T) {
	after, half := strategytest.Gate("after"), []strategy.Stage{{Percent: 50}}
	const ready, drain = time.Minute, 20 * time.Minute
	for name, s := range map[string]subject{
		"red-black":           {strategy: strategy.RedBlack{After: after, Ready: ready, Drain: drain}},
		"red-black in stages": {strategy: strategy.RedBlack{After: after, Ready: ready, Drain: drain, Stages: half}},
		"canary":              {strategy: strategy.Canary{After: after, Ready: ready, Drain: drain, Stages: half, Baseline: true}},
		"blue-green over both": {strategy: strategy.BlueGreen{After: after, Ready: ready, Drain: drain, Overlap: strategy.Always},
			options: strategytest.Options{World: fake.World{Can: cluster.Can{Select: true}}}},
		"canary by weight": {strategy: strategy.Canary{After: after, Ready: ready, Drain: drain, Stages: half, Baseline: true},
			options: strategytest.Options{World: fake.World{Can: cluster.Can{Weigh: true}}}},
	} {
		for _, scenario := range []string{"upgrade", "gate-after-fails", "undo", "third", "third-after-fails", "over-created", "redo-after-fails"} {
			tale, err := strategytest.Replay(s.strategy, s.options, scenario)
			require.NoError(t, err, name)
			require.NotContains(t, tale, "after 1m0s", name)
		}
	}
}
