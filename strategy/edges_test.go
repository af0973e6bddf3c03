// What many rules share, at its edges: one replica, one stage, what was half turned
// off, and who is asked for how many.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

func TestRedBlackInStages(t *testing.T) {
	half := strategy.RedBlack{Stages: []strategy.Stage{{Percent: 50}}}
	four := rev(1, on, isGood, size(4))
	mine := func(replicas int, change ...func(*cluster.Revision)) cluster.Revision {
		return rev(2, append([]func(*cluster.Revision){on, size(replicas), noted("stage 1; size 4")}, change...)...)
	}
	says(t, half, []row{
		{"it begins with the first", to("b2", byLabels(endpoints{"web-v001": 4}, four)), "create web-v002 x2 off"},
		{"one stage is one", to("b-v002", byLabels(endpoints{"web-v001": 4, "web-v002": 2}, four, mine(2))), "put web-v002 x4 on: it has passed all its stages"},
		{"all of it gets ready", to("b-v002", byLabels(endpoints{"web-v001": 4, "web-v002": 3}, four, mine(4, noted("stage passed"), sized(4, 3)))), "wait: 3 of 4 pods ready"},
		{"a release that is good is left alone", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, isGood, sized(4, 3), noted("stage passed")))), "done"},
		{"two that are one, when it is decided", to("b-v002", byLabels(endpoints{"web-v002": 1}, rev(1, isGood), rev(2, on, isGood, size(1)))), "done"},
	})
	says(t, strategy.RedBlack{}, []row{
		{"no stages, and one is not ready any more", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, sized(3, 2)))), "put web-v002 x3 on good: alone in traffic, and passed"},
	})
	says(t, strategy.RedBlack{Stages: []strategy.Stage{{Percent: 40}, {Percent: 50}}}, []row{
		{"two that are one", to("b2", byLabels(endpoints{"web-v001": 4}, four)), "abort (unfit): RedBlack: 40 % and 50 % of 4 replicas are both 2"},
		{"of a release that is good", to("b-v002", byLabels(endpoints{"web-v002": 4}, rev(1, isGood), rev(2, on, isGood, size(4)))), "done"},
	})
	says(t, strategy.RedBlack{Stages: []strategy.Stage{{}}}, []row{{"no share", to("b2", byLabels(endpoints{"web-v001": 4}, four)), "abort (unfit): RedBlack: stage 1 has 0 %"}})
	says(t, strategy.RedBlack{Highlander: true, Keep: strategy.Retention{History: 1}}, []row{
		{"it keeps nothing", to("b2", byLabels(endpoints{"web-v001": 4}, four)), "abort (unfit): RedBlack: with Highlander nothing is kept: leave Keep alone"},
	})
	says(t, strategy.RedBlack{Highlander: true}, []row{
		{"the other one drains", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood, times(ago(29*time.Second))), rev(2, on, isGood))), "wait: web-v001 drains"},
		{"and has", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood, times(ago(30*time.Second))), rev(2, on, isGood))), "delete web-v001: there can be only one"},
		{"without a pod it has nothing to drain", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood, size(0), times(ago(time.Second))), rev(2, on, isGood))), "delete web-v001"},
		{"it was written a moment ago", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood, size(0), isBehind), rev(2, on, isGood))), "wait: the cluster has not taken up"},
	})
	weighed := with(byLabels(live, rev(1, on, isGood)), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true} })
	says(t, strategy.RedBlack{}, []row{{"a router", to("b2", weighed), "abort (unfit): RedBlack turns traffic on and off by pod labels, and a route here divides it by weight"}})
	says(t, strategy.BlueGreen{}, []row{{"a router", to("b2", weighed), "abort (unfit): BlueGreen: it switches a Service's selector, and a route here divides traffic by weight"}})
	both := with(bySelector("web-v001", live, rev(1, on, isGood), rev(2)), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true, Select: true} })
	says(t, strategy.BlueGreen{}, []row{{"a router beside a selector", to("b-v002", both), "route service/web to web-v002"}})
}

// To give a release up costs no traffic: what somebody has half turned off, and
// serves alone, is turned on until there is somewhere to go.
func TestWhatIsGivenUpServesUntilThereIsSomewhereToGo(t *testing.T) {
	given := func(serving endpoints, mine cluster.Revision) cluster.Revision {
		in := to("b-v002", byLabels(serving, rev(1, isGood), mine))
		in.Checked = strategy.Checked{Name: "in traffic", Verdict: health.Fail, Why: "5xx"}
		return put(t, strategy.RedBlack{}, in)
	}
	require.True(t, given(endpoints{"web-v002": 2}, rev(2, oneUnsettled)).Enabled, "it serves alone")
	require.False(t, given(endpoints{"web-v001": 3, "web-v002": 2}, rev(2, oneUnsettled)).Enabled, "another one serves")
	require.False(t, given(endpoints{"web-v002": 3}, rev(2)).Enabled, "nothing of it was half turned off")
	require.True(t, given(endpoints{"web-v001": 3, "web-v002": 3}, rev(2, on)).Enabled, "it is on")
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

// How many a run is about: those of its own revision or, when it goes back, of that.
func TestHowManyARunIsAbout(t *testing.T) {
	how := strategy.Rolling{Surge: "1", Unavailable: "0"}
	of := func(in strategy.Input) int {
		bounds, ok := how.Bounds(in)
		require.True(t, ok)
		return bounds.Floor
	}
	five := rev(1, on, isGood, size(2), noted("size 5"))
	require.Equal(t, 3, of(to("b-v002", byLabels(live, five, rev(2, on)))), "its own")
	require.Equal(t, 5, of(to("b-v002", byLabels(live, five, rev(2, on, hasFailed)))), "what it goes back to")
	require.Equal(t, 3, of(to("b-v002", byLabels(live, rev(2, on, hasFailed)))), "there is nothing to go back to")
	shared := func(mine cluster.Revision) strategy.Input {
		return to("b-v003", bySelector("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 6}, rev(1, on, isGood), rev(2, on, hasFailed, size(6)), mine))
	}
	require.Equal(t, 6, of(shared(rev(3, size(0), noted("size 2")))), "what two share goes to one first, all of it")
	require.Equal(t, 2, of(shared(rev(3, size(1), noted("size 2")))), "it has pods already")
	unborn := to("b3", bySelector("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 6}, rev(1, on, isGood), rev(2, on, hasFailed, size(6))))
	unborn.Target.Replicas = 4
	require.Equal(t, 4, of(unborn), "it is not there yet")
}

// What a run goes back to was not put back by somebody else, whatever a route notes.
func TestOnlyWhatARunDeploysWasPutBack(t *testing.T) {
	second := func(s cluster.State, names endpoints) cluster.State {
		s.Routes = append(s.Routes, cluster.Route{Name: "service/zweb", Version: "7", Note: "to web-v001 uid-web-v001", Weights: names, Serving: names})
		return s
	}
	three := endpoints{"web-v001": 3, "web-v002": 3}
	says(t, strategy.BlueGreen{}, []row{
		{"it goes back", to("b-v002", second(bySelector("web-v001", three, rev(1, on, isGood), rev(2, on, hasFailed)), endpoints{"web-v002": 3})), "route service/zweb to web-v001: traffic goes back to it"},
		{"before it begins", to("b-v003", second(bySelector("web-v001 web-v002", three, rev(1, on, isGood), rev(2, on, hasFailed), rev(3, size(0), noted("size 3"))), endpoints{"web-v002": 3})),
			"route service/zweb to web-v001: traffic goes back to it"},
	})
}

// A roll is refused where nothing tells revisions apart, unless this run's own switch
// from one to the other is under way; and where an autoscaler writes replicas.
func TestWhatNoRollCanDo(t *testing.T) {
	open := func(r *cluster.Route) { r.Open = true }
	says(t, strategy.Rolling{Surge: "1", Unavailable: "0"}, []row{
		{"from one to the other", to("b-v002", routed("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 1}, open, rev(1, on, isGood), rev(2, on, size(1), noted("size 3")))), "put web-v001 x2 on good"},
		{"an autoscaler", to("b2", with(byLabels(live, rev(1, on, isGood)), func(s *cluster.State) {
			s.Routes = append([]cluster.Route{{Name: scaler, Scaler: true, Weights: endpoints{"web-v001": 100}}}, s.Routes...)
		})), "abort (unfit): Rolling: it takes replicas bit by bit, and"},
	})
}

// Autoscalers follow the traffic, be it of one replica.
func TestAnAutoscalerFollowsOneReplica(t *testing.T) {
	s := with(byLabels(endpoints{"web-v002": 1}, rev(1, isGood, size(1)), rev(2, on, size(1))), func(s *cluster.State) {
		s.Routes = append([]cluster.Route{{Name: scaler, Scaler: true, Version: "7", Weights: endpoints{"web-v001": 100}}}, s.Routes...)
	})
	says(t, strategy.RedBlack{}, []row{{"one", to("b-v002", s), "route " + scaler + " to web-v002"}})
}

// What a gate is asked about is compared with the baseline, where there is one.
func TestWhatAGateIsAskedAbout(t *testing.T) {
	compared := strategy.Canary{Stages: []strategy.Stage{{Percent: 20, Gate: pass}}, Baseline: true}
	ask := func(revisions ...cluster.Revision) strategy.Check {
		step := compared.Next(to("b-v002", byLabels(endpoints{"web-v001": 10, "web-v002": 2, "web-v002-baseline": 2}, revisions...)))
		require.IsType(t, strategy.Check{}, step, "%v", step)
		return step.(strategy.Check)
	}
	require.Equal(t, "web-v002-baseline", ask(ten, at(2, "1", 2), rev(2, anArm, on, size(2))).Baseline.Name)
	compared.Baseline = false
	require.Equal(t, "web-v001", ask(ten, at(2, "1", 2)).Baseline.Name)
}
