// What each rule says, from a small State a row, with a sentence that says why.

package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// ago is so long before noon.
func ago(d time.Duration) time.Time { return noon.Add(-d) }

// rev is a revision of ours that is dark, and whose pods are all ready.
func rev(seq int64, change ...func(*cluster.Revision)) cluster.Revision {
	name := cluster.RevisionName("web", seq, "")
	r := cluster.Revision{
		Name: name, Release: cluster.RevisionName("b", seq, ""), Seq: seq, Template: []byte("t"), Replicas: 3, Pods: 3, Ready: 3,
		Created: ago(time.Hour), Raised: ago(time.Hour), Since: ago(time.Hour), Moved: ago(time.Hour), UID: "uid-" + name, Version: "1",
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func on(r *cluster.Revision)           { r.Enabled = true }
func isGood(r *cluster.Revision)       { r.Outcome.Result = cluster.Good }
func hasFailed(r *cluster.Revision)    { r.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "5xx"} }
func ofNobody(r *cluster.Revision)     { r.Release = "" }
func anArm(r *cluster.Revision)        { r.Arm, r.Name = "baseline", r.Name+"-baseline" }
func isBehind(r *cluster.Revision)     { r.Behind = true }
func oneUnsettled(r *cluster.Revision) { r.Unsettled = 1 }
func turnedOn(r *cluster.Revision)     { r.Note = "turned on" }

func sized(replicas, ready int) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = replicas, replicas, ready }
}

func ofRelease(release string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Release = release }
}

// times sets all times of a revision.
func times(at time.Time) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Created, r.Raised, r.Since, r.Moved = at, at, at, at }
}

type endpoints = map[string]int

// byLabels is a State in which these revisions have so many endpoints.
func byLabels(serving endpoints, revisions ...cluster.Revision) cluster.State {
	return cluster.State{At: noon, Can: cluster.Can{Enable: true}, Revisions: revisions,
		Routes: []cluster.Route{{Name: "service/web", Serving: serving, Version: "7", Since: ago(time.Hour)}}}
}

// bySelector is a State in which a route names some revisions, that have so many
// endpoints.
func bySelector(names string, serving endpoints, revisions ...cluster.Revision) cluster.State {
	s := byLabels(serving, revisions...)
	s.Can, s.Routes[0].Weights = cluster.Can{Select: true}, endpoints{}
	for _, name := range strings.Fields(names) {
		s.Routes[0].Weights[name] = 100
	}
	return s
}

func with(s cluster.State, change func(*cluster.State)) cluster.State {
	change(&s)
	return s
}

// to asks for a release, in a run that has looked for a minute.
func to(release string, s cluster.State) strategy.Input {
	return strategy.Input{App: "web", Target: cluster.Target{Release: release, Template: []byte("t")}, State: s, Watched: ago(time.Minute)}
}

func asks(in strategy.Input, change func(*strategy.Input)) strategy.Input {
	change(&in)
	return in
}

// A row is what is to be done, and why.
type row struct {
	why  string
	in   strategy.Input
	step string // what the step's text begins with
}

func says(t *testing.T, how strategy.Strategy, rows []row) {
	t.Helper()
	for _, r := range rows {
		step := how.Next(r.in)
		require.Truef(t, strings.HasPrefix(step.String(), r.step), "%s: want %s\n got %s", r.why, r.step, step)
	}
}

// live is what serves in most States below: a good revision with three endpoints.
var live = endpoints{"web-v001": 3}

func TestWhoIsToAct(t *testing.T) {
	nameless := cluster.Target{Template: []byte("t")}.Named().Release
	one, gone := rev(1, on, isGood), sized(0, 0)
	says(t, strategy.RedBlack{}, []row{
		{"its release is the newest", to("b-v002", byLabels(live, one, rev(2))), "put web-v002 x3 on"},
		{"a newer one is there", to("b-v002", byLabels(live, one, rev(2), rev(3))), "abort (superseded): web-v003 is newer"},
		{"a newer one is good", to("b-v002", byLabels(live, one, rev(2), rev(3, isGood))), "abort (superseded): web-v003 is newer"},
		{"of several newer ones the newest is named", to("b-v002", byLabels(live, one, rev(2), rev(3), rev(4))), "abort (superseded): web-v004 is newer"},
		{"a newer one was given up, and it was good", to("b-v001", byLabels(live, one, rev(2, hasFailed, gone))), "done"},
		{"a newer one was given up, and nobody has decided about it", to("b-v002", byLabels(live, one, rev(2), rev(3, hasFailed, gone))),
			"abort (superseded): a newer release was deployed and given up since"},
		{"a newer one was given up, and so was it", to("b-v002", byLabels(live, one, rev(2, hasFailed, gone), rev(3, hasFailed, gone))), "abort (failed): 5xx"},
		{"an arm of a newer one is no newer release", to("b-v002", byLabels(live, one, rev(2), rev(3, anArm))), "put web-v002 x3 on"},
		{"a good one without a name is deployed again", to(nameless, byLabels(endpoints{"web-v002": 3}, rev(1, isGood, ofRelease(nameless)), rev(2, on, isGood))), "create web-v003 x3 off"},
		{"but not one that nobody has decided about", to(nameless, byLabels(live, one, rev(2, ofRelease(nameless)), rev(3))), "abort (superseded): web-v003 is newer"},
		{"nor one that was given up", to(nameless, byLabels(live, one, rev(2, ofRelease(nameless), hasFailed, gone), rev(3))), "abort (superseded): web-v003 is newer"},
		{"nor a good one with a name", to("b-v001", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, isGood))), "abort (superseded): web-v002 is newer"},
		{"a good one without a name that is the newest is there", to(nameless, byLabels(live, rev(1, on, isGood, ofRelease(nameless)))), "done"},
	})
}

func TestCreate(t *testing.T) {
	one := rev(1, on, isGood)
	strays := func(n int, watched time.Duration) strategy.Input {
		in := to("b2", with(byLabels(live, one), func(s *cluster.State) { s.Strays = n }))
		in.Watched = ago(watched)
		return in
	}
	says(t, strategy.RedBlack{}, []row{
		{"as many as serve", to("b2", byLabels(live, one)), "create web-v002 x3 off: release b2"},
		{"as many as the largest that serves", to("b2", byLabels(endpoints{"web-v001": 3, "web-v002": 1}, one, rev(2, on, isGood, sized(5, 5)))), "create web-v003 x5 off"},
		{"not as many as what does not", to("b2", byLabels(live, one, rev(2, sized(5, 5)))), "create web-v003 x3 off"},
		{"as many as are asked for", asks(to("b2", byLabels(live, one)), func(in *strategy.Input) { in.Target.Replicas = 7 }), "create web-v002 x7 off"},
		{"be it one", asks(to("b2", byLabels(live, one)), func(in *strategy.Input) { in.Target.Replicas = 1 }), "create web-v002 x1 off"},
		{"nothing serves, and nobody has said how many", to("b2", byLabels(endpoints{}, rev(1))), "abort (unfit): 0 replicas means as many as serve now"},
		{"there is nothing to make it from", asks(to("b2", byLabels(live, one)), func(in *strategy.Input) { in.Target.Template = nil }), "abort (unfit): the target has no template"},
		{"its name is taken, by another sequence", to("b2", byLabels(live, one, rev(0, ofNobody, func(r *cluster.Revision) { r.Name = "web-v002" }))), "create web-v003 x3 off"},
		{"so is the next", to("b2", byLabels(live, one, rev(0, ofNobody, func(r *cluster.Revision) { r.Name = "web-v002" }),
			rev(0, ofNobody, func(r *cluster.Revision) { r.Name = "web-v003" }))), "create web-v004 x3 off"},
		{"pods of no revision may be about to go", strays(1, 9*time.Second), "wait: 1 pods of no revision"},
		{"and are there to stay after ten seconds", strays(1, 10*time.Second), "abort (unfit): 1 ready endpoints"},
		{"none is none", strays(0, 0), "create web-v002"},
	})
}

func TestSettings(t *testing.T) {
	in := to("b2", byLabels(live, rev(1, on, isGood)))
	for _, c := range []struct {
		rules strategy.Rules
		want  string
	}{
		{strategy.Rules{}, "create"},
		{strategy.Rules{Ready: -1}, "abort (unfit): Ready, Judge and Bake must not be negative"},
		{strategy.Rules{Judge: -1}, "abort (unfit): Ready, Judge and Bake must not be negative"},
		{strategy.Rules{Ready: 1}, "create"},
		{strategy.Rules{Judge: 1}, "create"},
		{strategy.Rules{Bake: 1}, "create"},
		{strategy.Rules{Drain: -1}, "create"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: -1}}, "abort (unfit): no time of a Retention"},
		{strategy.Rules{Keep: strategy.Retention{Destroy: -1}}, "abort (unfit): no time of a Retention"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: 1, ShrinkTo: -1}}, "abort (unfit): no time of a Retention"},
		{strategy.Rules{Keep: strategy.Retention{ShrinkTo: 1}}, "abort (unfit): Retention.ShrinkTo needs Shrink"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: 2, Destroy: 1}}, "abort (unfit): Retention.Destroy must not come before Shrink"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: 2, Destroy: 2}}, "create"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: 2, ShrinkTo: 1}}, "create"},
		{strategy.Rules{Keep: strategy.Retention{Shrink: 2}}, "create"},
		{strategy.Rules{Keep: strategy.Retention{Destroy: 1}}, "create"},
		{strategy.Rules{Keep: strategy.Retention{History: -1}}, "create"},
	} {
		ru := c.rules
		says(t, strategy.Func(func(in strategy.Input) strategy.Step { return ru.Next(in, ru.BringUp, ru.Serve) }), []row{{"Rules", in, c.want}})
		says(t, strategy.RedBlack{Ready: ru.Ready, Judge: ru.Judge, Bake: ru.Bake, Drain: ru.Drain, Keep: ru.Keep}, []row{{"RedBlack", in, strings.Replace(c.want, "(unfit): ", "(unfit): RedBlack: ", 1)}})
		green := to("b2", bySelector("web-v001", live, rev(1, on, isGood)))
		says(t, strategy.BlueGreen{Ready: ru.Ready, Judge: ru.Judge, Bake: ru.Bake, Drain: ru.Drain, Keep: ru.Keep}, []row{{"BlueGreen", green, strings.Replace(c.want, "(unfit): ", "(unfit): BlueGreen: ", 1)}})
	}
}

func TestABakeIsNotNegative(t *testing.T) {
	refused := []row{{"less than no time", to("b2", byLabels(live, rev(1, on, isGood))), "abort (unfit): "}}
	ru := strategy.Rules{Bake: -1}
	says(t, strategy.Func(func(in strategy.Input) strategy.Step { return ru.Next(in, ru.Watch) }), refused)
	says(t, strategy.RedBlack{Bake: -1}, refused)
}

// What 0 stands for, at the second before it is over and at the second that it
// is.
func TestWhatZeroStandsFor(t *testing.T) {
	pending := health.GateFunc(nil)
	answered := func(gate string, s cluster.State) strategy.Input {
		return asks(to("b-v002", s), func(in *strategy.Input) { in.Checked = strategy.Checked{Name: gate, Verdict: health.Pending} })
	}
	booting := func(since time.Duration) strategy.Input {
		return to("b-v002", byLabels(live, rev(1, on, isGood), rev(2, sized(3, 2), times(ago(since)))))
	}
	judged := func(since time.Duration) strategy.Input {
		return answered("before traffic", byLabels(live, rev(1, on, isGood), rev(2, times(ago(since)))))
	}
	draining := func(since time.Duration) strategy.Input {
		return to("b-v002", byLabels(live, rev(1, on, isGood), rev(2, hasFailed, times(ago(since)))))
	}
	says(t, strategy.RedBlack{Before: pending}, []row{
		{"Ready is ten minutes", booting(10*time.Minute - time.Second), "wait: 2 of 3 pods ready"},
		{"and then it is over", booting(10 * time.Minute), "put web-v002 x3 off failed: not ready within 10m0s"},
		{"Judge is ten more", judged(20*time.Minute - time.Second), "wait: gate before traffic is pending"},
		{"and then it is over", judged(20 * time.Minute), "put web-v002 x3 off failed: gate before traffic has not passed in time"},
		{"Drain is half a minute", draining(29 * time.Second), "wait: web-v002 drains"},
		{"and then it is over", draining(30 * time.Second), "put web-v002 x0 off failed"},
	})
	says(t, strategy.RedBlack{Drain: -1}, []row{{"a negative Drain is none, whatever the clocks differ",
		asks(draining(0), func(in *strategy.Input) { in.Skew = time.Minute }), "put web-v002 x0 off failed"}})
	says(t, strategy.RedBlack{Ready: time.Second, Judge: time.Minute, Drain: time.Hour, Before: pending}, []row{
		{"a Ready of one's own", booting(time.Second), "put web-v002 x3 off failed: not ready within 1s"},
		{"a Judge of one's own", judged(60 * time.Second), "wait: gate before traffic is pending"},
		{"and then it is over", judged(61 * time.Second), "put web-v002 x3 off failed: gate before traffic has not passed in time"},
		{"a Drain of one's own", draining(time.Hour - time.Second), "wait: web-v002 drains"},
	})
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
