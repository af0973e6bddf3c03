// Shares of a router: who gets them, from whom, and who keeps the endpoints for
// them.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// byShares is a State in which a router divides the traffic.
func byShares(weights map[string]int, serving endpoints, revisions ...cluster.Revision) cluster.State {
	s := byLabels(serving, revisions...)
	s.Can, s.Routes[0].Weights = cluster.Can{Weigh: true}, weights
	for i, r := range s.Revisions {
		_, s.Revisions[i].Enabled = weights[r.Name]
	}
	return s
}

func noted(text string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Note = text }
}

func size(replicas int) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = replicas, replicas, replicas }
}

// weightsOf is what a step writes to a route.
func weightsOf(t *testing.T, s strategy.Strategy, in strategy.Input) map[string]int {
	t.Helper()
	step := s.Next(in)
	require.IsType(t, strategy.SetRoute{}, step, "%v", step)
	return step.(strategy.SetRoute).Route.Weights
}

var proving = strategy.Canary{Stages: []strategy.Stage{{Percent: 5}, {Percent: 20}}, Drain: time.Minute}

// A share comes after the endpoints for it, from whom traffic is not to go back to
// first, and all of them make 100.
func TestWhoGetsAShare(t *testing.T) {
	old, stage := rev(1, on, isGood, size(10)), func(n string) func(*cluster.Revision) { return noted("stage " + n + "; size 10") }
	type shares = map[string]int
	for _, c := range []struct {
		name string
		in   cluster.State
		want shares
	}{
		{"named at none first", byShares(shares{"web-v001": 100}, endpoints{"web-v001": 10}, old, rev(2, size(1), stage("1"))), shares{"web-v001": 100, "web-v002": 0}},
		{"the first stage", byShares(shares{"web-v001": 100, "web-v002": 0}, endpoints{"web-v001": 10, "web-v002": 1}, old, rev(2, size(1), stage("1"))), shares{"web-v001": 95, "web-v002": 5}},
		{"the second", byShares(shares{"web-v001": 95, "web-v002": 5}, endpoints{"web-v001": 10, "web-v002": 2}, old, rev(2, size(2), stage("2"))), shares{"web-v001": 80, "web-v002": 20}},
		{"as much as is there of it", byShares(shares{"web-v001": 80, "web-v002": 20}, endpoints{"web-v001": 10, "web-v002": 5}, old, rev(2, size(5), stage("passed"))), shares{"web-v001": 50, "web-v002": 50}},
		{"what a name had that is gone", byShares(shares{"web-v001": 50, "gone": 50}, endpoints{"web-v001": 10}, old, rev(2, size(1), stage("1"))), shares{"web-v001": 100, "web-v002": 0}},
		{"nothing else serves", byShares(shares{}, endpoints{}, rev(2, size(10), stage("passed"))), shares{"web-v002": 100}},
	} {
		require.Equal(t, c.want, weightsOf(t, proving, to("b-v002", c.in)), c.name)
	}
}

func TestNobodyGetsAShareThatItCannotBear(t *testing.T) {
	old := rev(1, on, isGood, size(10))
	three := rev(2, size(3), noted("stage 2; size 10"))
	says(t, proving, []row{
		{"its endpoints have yet to come", to("b-v002", byShares(map[string]int{"web-v001": 95, "web-v002": 5}, endpoints{"web-v001": 10, "web-v002": 1}, old, three)),
			"wait: 1 of 3 endpoints of web-v002 serve at stage 2 of 2"},
		{"endpoints that nobody wants any more bear nothing: it grows first", to("b-v002", byShares(map[string]int{"web-v001": 80, "web-v002": 20}, endpoints{"web-v001": 10, "web-v002": 3}, old,
			rev(2, size(3), noted("stage passed; size 10"), func(r *cluster.Revision) { r.Ready, r.Replicas = 3, 1 }))), "put web-v002 x3 on: web-v002 has 3 of 10 pods ready"},
	})
}

// What somebody has put back is given up: of a revision that this run deploys, not of
// what it goes back to.
func TestAShareThatWasPutBack(t *testing.T) {
	old, mine := rev(1, on, isGood, size(10)), rev(2, size(2), noted("stage 2; size 10"))
	put := func(note string, weights map[string]int) cluster.State {
		return with(byShares(weights, endpoints{"web-v001": 10, "web-v002": 2}, old, mine), func(s *cluster.State) { s.Routes[0].Note = note })
	}
	back := map[string]int{"web-v001": 100, "web-v002": 0}
	says(t, proving, []row{
		{"it was given", to("b-v002", put("to web-v002 uid-web-v002 at 20", back)), "put web-v002 x2 on failed: service/web gave it 20 % of the traffic, and somebody has put that back to 0 %"},
		{"it never was", to("b-v002", put("to web-v001 uid-web-v001 at 80", back)), "route service/web to web-v001 80 %, web-v002 20 %"},
		{"another of that name was", to("b-v002", put("to web-v002 another at 20", back)), "route service/web to web-v001 80 %, web-v002 20 %"},
	})
}

// What its share of the traffic no longer needs goes, when the router has had the
// drain to follow.
func TestWhatAShareNoLongerNeedsGoes(t *testing.T) {
	mine := rev(2, size(5), noted("stage passed; size 10"))
	at := func(ago time.Duration) strategy.Input {
		s := byShares(map[string]int{"web-v001": 50, "web-v002": 50}, endpoints{"web-v001": 10, "web-v002": 5}, rev(1, on, isGood, size(10)), mine)
		s.Routes[0].Since = noon.Add(-ago)
		return to("b-v002", s)
	}
	says(t, proving, []row{
		{"it may not have followed", at(30 * time.Second), "wait: web-v001 drains"},
		{"it has had the time", at(2 * time.Minute), "put web-v001 x5"},
	})
}

// A route remembers what each was given, of this very object: of whoever gets a share
// now, and of those of whom that was remembered.
func TestWhatARouteRemembers(t *testing.T) {
	old, mine := rev(1, on, isGood, size(10)), rev(2, size(2), noted("stage 2; size 10"))
	shares := func(note string) strategy.Input {
		s := byShares(map[string]int{"web-v001": 95, "web-v002": 5}, endpoints{"web-v001": 10, "web-v002": 2}, old, mine)
		s.Routes[0].Note = note
		return to("b-v002", s)
	}
	for note, want := range map[string]string{
		"":                               "to web-v002 uid-web-v002 at 20",
		"to web-v001 uid-web-v001 at 95": "to web-v001 uid-web-v001 at 80; to web-v002 uid-web-v002 at 20",
		"to web-v001 another at 95":      "to web-v002 uid-web-v002 at 20",
	} {
		step := proving.Next(shares(note))
		require.IsType(t, strategy.SetRoute{}, step, "%v", step)
		require.Equal(t, want, step.(strategy.SetRoute).Route.Note)
	}
}

// A share that somebody else has given is judged before it counts: it is this run's
// when the route says so.
func TestBugAShareThatSomebodyElseGaveWasNotJudged(t *testing.T) {
	asked := proving
	asked.Before = pass
	old, mine := rev(1, on, isGood, size(10)), rev(2, size(1), noted("stage 1; size 10"))
	given := func(note string, share int, change ...func(*strategy.Input)) strategy.Input {
		s := byShares(map[string]int{"web-v001": 100 - share, "web-v002": share}, endpoints{"web-v001": 10, "web-v002": 1}, old, mine)
		s.Routes[0].Note = note
		in := to("b-v002", s)
		for _, c := range change {
			c(&in)
		}
		return in
	}
	passed := func(in *strategy.Input) {
		in.Checked = strategy.Checked{Name: "before traffic", Verdict: health.Pass}
	}
	bad := func(in *strategy.Input) {
		in.Checked = strategy.Checked{Name: "before traffic", Verdict: health.Fail, Why: "5xx"}
	}
	says(t, asked, []row{
		{"by somebody", given("", 5), "check web-v002: before traffic"},
		{"which has only named it yet", given("", 0), "check web-v002: before traffic"},
		{"by a run before, to another of that name", given("to web-v002 another at 5", 5), "check web-v002: before traffic"},
		{"it has passed", given("", 5, passed), "route service/web to web-v001 95 %, web-v002 5 %: somebody else has given it 5 %, and it may have a share"},
		{"it has failed", given("", 5, bad), "put web-v002 x1 on failed: gate before traffic failed: 5xx"},
		{"by this release", given("to web-v002 uid-web-v002 at 5", 5), "put web-v002 x2 on: it has passed stage 1 of 2"},
	})
	claimed := asked.Next(given("to web-v001 uid-web-v001 at 95", 5, passed)).(strategy.SetRoute).Route
	require.Equal(t, "to web-v001 uid-web-v001 at 95; to web-v002 uid-web-v002 at 5", claimed.Note)
	says(t, proving, []row{{"nobody has to judge it", given("", 5), "put web-v002 x2 on: it has passed stage 1 of 2"}})
}

// What a share is taken from: those first that lose traffic first, and what is left
// over goes to whom of those who have some loses it last.
func TestWhoLosesAShare(t *testing.T) {
	type shares = map[string]int
	old, older := rev(1, on, isGood, size(10)), rev(0, on, isGood, size(10))
	mine := func(replicas int, change ...func(*cluster.Revision)) cluster.Revision {
		return rev(2, append([]func(*cluster.Revision){size(replicas), noted("stage passed; size 10")}, change...)...)
	}
	all := endpoints{"web-v000": 10, "web-v001": 10, "web-v002": 5, "web-v003": 5}
	for _, c := range []struct {
		name string
		in   strategy.Input
		want shares
	}{
		{"the older one before the way back", to("b-v002", byShares(shares{"web-v002": 20, "web-v001": 40, "web-v000": 40}, all, older, old, mine(5))), shares{"web-v002": 50, "web-v001": 40, "web-v000": 10}},
		{"what a name had that is gone: to the way back", to("b-v002", byShares(shares{"web-v002": 20, "web-v001": 20, "web-v000": 10, "gone": 50}, all, older, old, mine(5))), shares{"web-v002": 50, "web-v001": 40, "web-v000": 10}},
		{"be it to one that has a single percent", to("b-v002", byShares(shares{"web-v002": 20, "web-v001": 1, "web-v000": 29, "gone": 50}, all, older, old, mine(5))), shares{"web-v002": 50, "web-v001": 21, "web-v000": 29}},
		{"but not to one that has none", to("b-v002", byShares(shares{"web-v002": 20, "web-v001": 0, "web-v000": 30, "gone": 50}, all, older, old, mine(5))), shares{"web-v002": 50, "web-v001": 0, "web-v000": 50}},
		{"an arm that somebody has left before what was given up", to("b-v003", byShares(shares{"web-v001": 30, "web-v002": 20, "web-v002-baseline": 10, "web-v003": 40}, all,
			old, rev(2, hasFailed, size(5)), rev(2, anArm, size(1)), rev(3, size(5), noted("stage passed; size 10")))), shares{"web-v001": 30, "web-v002": 20, "web-v002-baseline": 0, "web-v003": 50}},
	} {
		require.Equal(t, c.want, weightsOf(t, proving, c.in), c.name)
	}
}

// A revision bears as much as it has endpoints of those that it has when it has all;
// and it keeps as many as its share needs.
func TestWhatAShareIsInEndpoints(t *testing.T) {
	type shares = map[string]int
	long := func(in strategy.Input) strategy.Input {
		in.State.Routes[0].Since = ago(time.Hour)
		return in
	}
	one := to("b-v002", byShares(shares{"web-v001": 50, "web-v002": 50}, endpoints{"web-v001": 1, "web-v002": 1}, rev(1, on, isGood, size(1)), rev(2, size(1), noted("stage passed; size 1"))))
	require.Equal(t, shares{"web-v001": 0, "web-v002": 100}, weightsOf(t, proving, one), "one of one bears all")
	three := to("b-v002", byShares(shares{"web-v001": 80, "web-v002": 20}, endpoints{"web-v001": 6, "web-v002": 1}, rev(1, on, isGood, size(6)), rev(2, size(1), noted("stage passed; size 3"))))
	three.Target.Replicas = 3
	require.Equal(t, shares{"web-v001": 66, "web-v002": 34}, weightsOf(t, proving, three), "one of three bears a third, rounded up")
	four := byShares(shares{"web-v001": 51, "web-v002": 49}, endpoints{"web-v001": 10, "web-v002": 4}, rev(1, on, isGood, size(10)), rev(2, size(4), noted("stage passed; size 10")))
	says(t, strategy.Canary{Stages: proving.Stages, Surge: "0", Drain: time.Minute}, []row{
		{"51 % of ten are six", long(to("b-v002", four)), "put web-v001 x6 on good"},
	})
}

// The share of who leaves goes to the good one, if it can bear it, else to who has
// most endpoints.
func TestAShareThatLeaves(t *testing.T) {
	type shares = map[string]int
	compared := proving
	compared.Baseline = true
	leaves := func(one, two int) strategy.Input {
		return to("b-v002", byShares(shares{"web-v001": 40, "web-v002": 50, "web-v002-baseline": 10}, endpoints{"web-v001": one, "web-v002": two, "web-v002-baseline": 1},
			rev(1, on, isGood, size(one), noted("size 10")), rev(2, size(two), noted("stage passed; size 10")), rev(2, anArm, size(1))))
	}
	require.Equal(t, shares{"web-v001": 50, "web-v002": 50}, weightsOf(t, compared, leaves(10, 5)), "the good one bears it")
	require.Equal(t, shares{"web-v001": 50, "web-v002": 50}, weightsOf(t, compared, leaves(5, 6)), "as much as it can")
	require.Equal(t, shares{"web-v001": 40, "web-v002": 60}, weightsOf(t, compared, leaves(4, 5)), "it cannot, and the other one has more")
	require.Equal(t, shares{"web-v001": 50, "web-v002": 50}, weightsOf(t, compared, leaves(4, 4)), "nobody has more")

	noteOf := func(how strategy.Strategy, in strategy.Input) string {
		step := how.Next(in)
		require.IsType(t, strategy.SetRoute{}, step, "%v", step)
		return step.(strategy.SetRoute).Route.Note
	}
	in := leaves(10, 5)
	in.State.Routes[0].Note = "to web-v002 uid-web-v002 at 50; to web-v002-baseline uid-web-v002-baseline at 10"
	require.Equal(t, "to web-v001 uid-web-v001 at 50; to web-v002 uid-web-v002 at 50", noteOf(compared, in))
	alone := to("b-v002", byShares(shares{"web-v001": 0, "web-v002": 100}, endpoints{"web-v002": 10}, rev(1, isGood, size(0), noted("size 10")), rev(2, size(10), noted("stage passed"))))
	alone.State.Routes[0].Note = "to web-v001 uid-web-v001 at 0"
	require.Equal(t, shares{"web-v002": 100}, weightsOf(t, proving, alone))
	require.Equal(t, "to web-v002 uid-web-v002 at 100", noteOf(proving, alone))
}

// With the first write to a route goes which revision it was given to before.
func TestFromWhomARouteComes(t *testing.T) {
	for _, c := range []struct {
		from  string
		since time.Time
		want  string
	}{
		{"", time.Time{}, "web-v001"},
		{"web-v000", time.Time{}, "web-v000"},
		{"", noon.Add(-time.Hour), ""},
		{"web-v000", noon.Add(-time.Hour), "web-v000"},
	} {
		s := byShares(map[string]int{"web-v001": 100}, endpoints{"web-v001": 10}, rev(1, on, isGood, size(10)), rev(2, size(1), noted("stage 1; size 10")))
		s.Routes[0].From, s.Routes[0].Since = c.from, c.since
		step := proving.Next(to("b-v002", s))
		require.IsType(t, strategy.SetRoute{}, step, "%v", step)
		require.Equal(t, c.want, step.(strategy.SetRoute).Route.From)
	}
}

// A second route is given no more than what is ready.
func TestASecondRouteWaitsForPods(t *testing.T) {
	s := byShares(map[string]int{"web-v001": 100, "web-v002": 0}, endpoints{"web-v001": 10, "web-v002": 1}, rev(1, on, isGood, size(10)), rev(2, sized(2, 1), noted("stage 1; size 10")))
	s.Routes = append(s.Routes, cluster.Route{Name: "service/zweb", Weights: map[string]int{"web-v001": 100}, Serving: endpoints{"web-v001": 10}})
	says(t, proving, []row{{"one is not ready", to("b-v002", s), "wait: 1 of 2 pods of web-v002 ready"}})
}

// What is compared with each other has the shares of the stage; who serves beside it
// has what these leave.
func TestSharesOfAStage(t *testing.T) {
	type shares = map[string]int
	compared := proving
	compared.Baseline = true
	old, mine := rev(1, on, isGood, size(10)), rev(2, size(2), noted("stage 2; size 10"))
	both := to("b-v002", byShares(shares{"web-v001": 75, "web-v002": 20, "web-v002-baseline": 5}, endpoints{"web-v001": 10, "web-v002": 2, "web-v002-baseline": 2}, old, mine, rev(2, anArm, size(2))))
	require.Equal(t, shares{"web-v001": 60, "web-v002": 20, "web-v002-baseline": 20}, weightsOf(t, compared, both), "the baseline as much as the canary")
	over := to("b-v003", byShares(shares{"web-v001": 75, "web-v002": 20, "web-v003": 5}, endpoints{"web-v001": 10, "web-v002": 2, "web-v003": 1},
		old, rev(2, hasFailed, size(2)), rev(3, size(1), noted("stage 1; size 10"))))
	require.Equal(t, shares{"web-v001": 95, "web-v002": 0, "web-v003": 5}, weightsOf(t, proving, over), "what was given up gives to the good one, not the canary")
	only := to("b-v002", byShares(shares{"web-v002": 50, "gone": 50}, endpoints{"web-v002": 10}, rev(2, size(10), noted("stage 1; size 10"))))
	require.Equal(t, shares{"web-v002": 100}, weightsOf(t, proving, only), "there is nobody to compare it with")
}

// When all is there, and the rest has gone, the roll is over, whatever is not ready
// any more.
func TestARollByWeightIsOver(t *testing.T) {
	s := byShares(map[string]int{"web-v001": 0, "web-v002": 100}, endpoints{"web-v002": 10}, rev(1, isGood, size(0), noted("size 10")), rev(2, sized(10, 9), noted("stage passed")))
	says(t, proving, []row{{"one is not ready any more", to("b-v002", s), "route service/web to web-v002: web-v002 serves"}})
}
