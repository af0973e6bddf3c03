// What Canary says, from a small State a row: ten replicas, and two stages.

package strategy_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

var twoStages = strategy.Canary{Stages: []strategy.Stage{{Percent: 20, Hold: time.Minute}, {Percent: 60}}, Drain: time.Minute}

// at is a revision in traffic that has so many of ten replicas at a stage.
func at(seq int64, stage string, replicas int, change ...func(*cluster.Revision)) cluster.Revision {
	return rev(seq, append([]func(*cluster.Revision){on, size(replicas), noted("stage " + stage + "; size 10")}, change...)...)
}

// ten is what serves: a good revision with ten endpoints.
var ten = rev(1, on, isGood, size(10))

func off(r *cluster.Revision) { r.Enabled = false }

func tenWanted(in strategy.Input) strategy.Input {
	in.Target.Replicas = 10
	return in
}

func TestCanary(t *testing.T) {
	all := endpoints{"web-v001": 10}
	serving := func(n int) endpoints { return endpoints{"web-v001": 10, "web-v002": n} }
	says(t, twoStages, []row{
		{"made with as many as the first stage", to("b2", byLabels(all, ten)), "create web-v002 x2 off"},
		{"it gets ready", to("b-v002", byLabels(all, ten, at(2, "1", 2, off, sized(2, 1)))), "wait: 1 of 2 pods of web-v002 ready"},
		{"it is", to("b-v002", byLabels(all, ten, at(2, "1", 2, off))), "put web-v002 x2 on: its first stage is ready"},
		{"not all of it serves", to("b-v002", byLabels(serving(1), ten, at(2, "1", 2))), "wait: 1 of 2 endpoints of web-v002 serve at stage 1 of 2"},
		{"it holds", to("b-v002", byLabels(serving(2), ten, at(2, "1", 2, times(ago(59*time.Second))))), "wait: web-v002 serves at stage 1 of 2"},
		{"long enough", to("b-v002", byLabels(serving(2), ten, at(2, "1", 2, times(ago(60*time.Second))))), "put web-v002 x6 on: it has passed stage 1 of 2"},
		{"somebody has taken some of the stage's", to("b-v002", byLabels(serving(4), ten, at(2, "2", 4))), "put web-v002 x6 on: so many it has at stage 2 of 2"},
		{"somebody has wiped the stage", to("b-v002", byLabels(serving(2), ten, at(2, "1", 2, noted("size 10"), times(ago(time.Second))))), "wait: web-v002 serves at stage 1 of 2"},
		{"a stage that there is not", to("b-v002", byLabels(serving(6), ten, at(2, "7", 6))), "put web-v002 x6 on: it has passed all its stages"},
		{"the last one", to("b-v002", byLabels(serving(6), ten, at(2, "2", 6))), "put web-v002 x6 on: it has passed all its stages"},
		{"it is promoted within the bounds", to("b-v002", byLabels(serving(6), ten, at(2, "passed", 6))), "put web-v001 x2 on good"},
		{"it has all", to("b-v002", byLabels(endpoints{"web-v002": 10}, rev(1, on, isGood, size(0)), at(2, "passed", 10))), "put web-v001 x0 off good: web-v002 serves"},
		{"it is good", to("b-v002", byLabels(endpoints{"web-v002": 10}, rev(1, isGood), at(2, "passed", 10, isGood))), "done"},
		{"scaled to none, of ten", to("b-v002", byLabels(all, ten, at(2, "1", 0, off))), "put web-v002 x2 off"},
	})
}

// The stage is noted with the replicas that are its; and a part of a replica is one.
func TestAStageIsStored(t *testing.T) {
	passed := put(t, twoStages, to("b-v002", byLabels(endpoints{"web-v001": 10, "web-v002": 2}, ten, at(2, "1", 2))))
	require.ElementsMatch(t, []string{"size 10", "stage 2"}, strings.Split(passed.Note, "; "))
	in := to("b2", byLabels(endpoints{"web-v001": 101}, rev(1, on, isGood, size(101))))
	require.Equal(t, 2, put(t, strategy.Canary{Stages: []strategy.Stage{{Percent: 1}}}, in).Replicas)
}

// Its bounds are those of the roll; above, there is room for what stands beside all
// that serves, or is to serve again; below, no more is asked of an old version than
// it has when it has all.
func TestBoundsOfACanary(t *testing.T) {
	for _, c := range []struct {
		why            string
		in             strategy.Input
		floor, ceiling int
	}{
		{"ten, and six beside", to("b-v002", byLabels(endpoints{"web-v001": 10}, ten, at(2, "1", 2))), 8, 16},
		{"half promoted", to("b-v002", byLabels(endpoints{"web-v001": 4}, rev(1, on, isGood, size(4), noted("size 10")), at(2, "passed", 8))), 8, 16},
		{"the old version is smaller", to("b-v002", byLabels(endpoints{"web-v001": 4}, rev(1, on, isGood, size(4)), at(2, "1", 2))), 3, 16},
		{"it has none left", to("b-v002", byLabels(endpoints{"web-v002": 10}, rev(1, on, isGood, size(0)), at(2, "passed", 10))), 8, 16},
		{"it has one left", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1)), at(2, "1", 2))), 1, 16},
		{"it is dark", to("b-v002", byLabels(endpoints{"web-v002": 10}, rev(1, isGood, size(4)), at(2, "passed", 10))), 8, 16},
		{"the release is not there yet", tenWanted(to("b2", byLabels(endpoints{"web-v001": 4}, rev(1, on, isGood, size(4))))), 3, 16},
		{"somebody has made what is superseded larger", to("b-v003", byLabels(endpoints{"web-v002": 12}, rev(1, isGood, size(0), noted("size 10")), at(2, "passed", 12, hasFailed), at(3, "1", 2, off))), 8, 30},
	} {
		bounds, ok := twoStages.Bounds(c.in)
		require.True(t, ok)
		require.Equal(t, strategy.Bounds{Floor: c.floor, Ceiling: c.ceiling}, bounds, c.why)
	}
	_, ok := twoStages.Bounds(to("b2", byLabels(nil, rev(1))))
	require.False(t, ok, "nobody knows of how many")
	one := to("b2", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1))))
	_, ok = twoStages.Bounds(one)
	require.True(t, ok)
}

// What an older canary has left is put away before the new one begins.
func TestCanaryMakesRoom(t *testing.T) {
	mine := rev(3, size(2), noted("stage 1; size 10"))
	over := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return to("b-v003", byLabels(serving, append(revisions, mine)...))
	}
	both := endpoints{"web-v001": 10, "web-v002": 2}
	failed := at(2, "1", 2, hasFailed)
	short := rev(1, on, isGood, size(8), noted("size 10"))
	says(t, twoStages, []row{
		{"it is given up", over(both, ten, at(2, "1", 2)), "put web-v002 x2 on failed: superseded by web-v003"},
		{"it leaves traffic", over(both, ten, failed), "put web-v002 x2 off failed: web-v002 leaves traffic"},
		{"it drains", over(endpoints{"web-v001": 10}, ten, at(2, "1", 2, hasFailed, off, times(ago(59*time.Second)))), "wait: web-v002 drains"},
		{"and has", over(endpoints{"web-v001": 10}, ten, at(2, "1", 2, hasFailed, off, times(ago(60*time.Second)))), "put web-v002 x0 off failed: it is put away"},
		{"what it had taken over goes back first", over(endpoints{"web-v001": 8, "web-v002": 2}, short, failed), "put web-v001 x10 on good: it serves in place of web-v002"},
		{"and gets ready", over(both, rev(1, on, isGood, sized(10, 9)), failed), "wait: 9 of 10 pods of web-v001 ready, which serves in place of web-v002"},
		{"and serves", over(endpoints{"web-v001": 9, "web-v002": 2}, ten, failed), "wait: 9 of 10 endpoints of web-v001 serve in place of web-v002"},
		{"it was turned off", over(endpoints{"web-v002": 2}, rev(1, isGood, size(10)), failed), "put web-v001 x10 on good: it serves in place of web-v002"},
		{"its baseline, too", over(endpoints{"web-v001": 10, "web-v002-baseline": 2}, ten, rev(2, anArm, on, size(2))), "put web-v002-baseline x2 off"},
		{"which is deleted when it has drained", over(endpoints{"web-v001": 10}, ten, rev(2, anArm, size(2))), "delete web-v002-baseline"},
		{"what is dark comes before what serves", over(both, rev(1, on, isGood, size(10)), failed, rev(0, hasFailed, size(2))), "put web-v000 x0 off failed: it is put away"},
		{"what serves is made whole", over(endpoints{"web-v001": 8}, short), "put web-v001 x10 on good: it serves until web-v003 has proved itself"},
	})
	says(t, twoStages, []row{
		{"taken up again, it begins small", to("b-v003", byLabels(endpoints{"web-v001": 10}, ten, rev(3, size(10), noted("stage 1; size 10")))), "put web-v003 x2 off: it proves itself first"},
	})
}

// The baseline is as large as the canary, as old and in the same traffic, and goes
// when nothing is compared with it any more.
func TestBaseline(t *testing.T) {
	compared := twoStages
	compared.Baseline = true
	base := func(replicas int, change ...func(*cluster.Revision)) cluster.Revision {
		return rev(2, append([]func(*cluster.Revision){anArm, size(replicas)}, change...)...)
	}
	of := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", byLabels(serving, revisions...))
	}
	all := endpoints{"web-v001": 10}
	three := endpoints{"web-v001": 10, "web-v002": 2, "web-v002-baseline": 2}
	says(t, compared, []row{
		{"it is made of the old version", of(all, ten, at(2, "1", 2, off)), "create web-v002-baseline x2 off: what web-v002 is compared with: web-v001, made anew"},
		{"not beside nothing", of(nil, at(2, "passed", 10, off)), "put web-v002 x10 on"},
		{"as large", of(all, ten, at(2, "1", 2, off), base(1)), "put web-v002-baseline x2 off: as many as web-v002"},
		{"it gets ready", of(all, ten, at(2, "1", 2, off), base(2, sized(2, 1))), "wait: 1 of 2 pods of web-v002-baseline ready"},
		{"the canary first", of(all, ten, at(2, "1", 2, off), base(2)), "put web-v002 x2 on: its first stage is ready"},
		{"and it beside that", of(endpoints{"web-v001": 10, "web-v002": 2}, ten, at(2, "1", 2), base(2)), "put web-v002-baseline x2 on: it serves beside web-v002"},
		{"not all of it serves", of(endpoints{"web-v001": 10, "web-v002": 2, "web-v002-baseline": 1}, ten, at(2, "1", 2), base(2, on)), "wait: 1 of 2 endpoints of web-v002-baseline serve"},
		{"both have held", of(three, ten, at(2, "1", 2), base(2, on)), "put web-v002 x6 on: it has passed stage 1 of 2"},
		{"the stages are passed", of(three, ten, at(2, "passed", 2), base(2, on)), "put web-v002-baseline x2 off"},
		{"it drains", of(endpoints{"web-v001": 10, "web-v002": 2}, ten, at(2, "passed", 2), base(2, times(ago(59*time.Second)))), "wait: web-v002-baseline drains"},
		{"and has", of(endpoints{"web-v001": 10, "web-v002": 2}, ten, at(2, "passed", 2), base(2, times(ago(60*time.Second)))), "delete web-v002-baseline"},
		{"the floor cannot spare it yet", of(endpoints{"web-v001": 4, "web-v002": 3, "web-v002-baseline": 2}, rev(1, on, isGood, size(4), noted("size 10")), at(2, "passed", 3), base(2, on)),
			"put web-v002 x10 on: web-v002 has 3 of 10 pods ready"},
		{"just enough without it", of(endpoints{"web-v001": 4, "web-v002": 4, "web-v002-baseline": 2}, rev(1, on, isGood, size(4), noted("size 10")), at(2, "passed", 4), base(2, on)),
			"put web-v002-baseline x2 off"},
	})
}

// A canary that is given up leaves traffic and goes, and so does its baseline; what it
// has taken over rolls back.
func TestCanaryGoesBack(t *testing.T) {
	compared := twoStages
	compared.Baseline = true
	of := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", byLabels(serving, revisions...))
	}
	base, all := rev(2, anArm, on, size(2)), endpoints{"web-v001": 10}
	three := endpoints{"web-v001": 10, "web-v002": 2, "web-v002-baseline": 2}
	says(t, compared, []row{
		{"it leaves traffic", of(three, ten, at(2, "1", 2, hasFailed), base), "put web-v002 x2 off failed"},
		{"it drains", of(all, ten, at(2, "1", 2, hasFailed, off, times(ago(59*time.Second))), base), "wait: web-v002 drains"},
		{"and goes", of(all, ten, at(2, "1", 2, hasFailed, off), base), "put web-v002 x0 off failed"},
		{"then its baseline leaves", of(endpoints{"web-v001": 10, "web-v002-baseline": 2}, ten, at(2, "1", 0, hasFailed, off), base), "put web-v002-baseline x2 off"},
		{"and is deleted", of(all, ten, at(2, "1", 0, hasFailed, off), rev(2, anArm, size(2))), "delete web-v002-baseline"},
		{"which was all", of(all, ten, at(2, "1", 0, hasFailed, off)), "abort (failed): 5xx"},
	})
	says(t, twoStages, []row{
		{"after it was promoted half-way", of(endpoints{"web-v001": 4, "web-v002": 8}, rev(1, on, isGood, size(4), noted("size 10")), at(2, "passed", 8, hasFailed)),
			"put web-v001 x8 on good: traffic goes back to web-v001"},
		{"there is nothing to go back to", of(endpoints{"web-v002": 10}, at(2, "passed", 10, hasFailed)), "abort (stranded): 5xx; no older revision is good, so it was left in traffic"},
	})
}

func TestCanaryIsRefused(t *testing.T) {
	some := func(percents ...int) (ca strategy.Canary) {
		for _, p := range percents {
			ca.Stages = append(ca.Stages, strategy.Stage{Percent: p})
		}
		return ca
	}
	baseline := func(ca strategy.Canary) strategy.Canary { ca.Baseline = true; return ca }
	all := byLabels(endpoints{"web-v001": 10}, ten)
	weighed := func(can cluster.Can) cluster.State {
		return with(byLabels(endpoints{"web-v001": 10}, ten), func(s *cluster.State) { s.Can = can })
	}
	for _, c := range []struct {
		why  string
		how  strategy.Canary
		s    cluster.State
		step string
	}{
		{"no stages", some(), all, "abort (unfit): Canary: it has no Stages"},
		{"nothing at a stage", some(0), all, "abort (unfit): Canary: stage 1 has 0 %"},
		{"all at a stage", some(20, 100), all, "abort (unfit): Canary: stage 2 has 100 %"},
		{"the same twice", some(20, 20), all, "abort (unfit): Canary: stage 2 has 20 %"},
		{"falling", some(60, 20), all, "abort (unfit): Canary: stage 2 has 20 %"},
		{"the least and the most", some(1, 99), all, "create web-v002 x1 off"},
		{"a hold below none", strategy.Canary{Stages: []strategy.Stage{{Percent: 20}, {Percent: 30, Hold: -1}}}, all, "abort (unfit): Canary: stage 2: Hold must not be negative"},
		{"two that are one", some(11, 20), all, "abort (unfit): Canary: 11 % and 20 % of 10 replicas are both 2"},
		{"which a router tells apart", some(11, 20), weighed(cluster.Can{Weigh: true}), "create web-v002"},
		{"a router and labels", some(20), weighed(cluster.Can{Weigh: true, Enable: true}), "abort (unfit): Canary: traffic here is divided by weight and moved"},
		{"a router and a selector", some(20), weighed(cluster.Can{Weigh: true, Select: true}), "abort (unfit): Canary: traffic here is divided by weight and moved"},
		{"a baseline of more than half", baseline(some(20, 51)), weighed(cluster.Can{Weigh: true}), "abort (unfit): Canary: a Baseline gets as much"},
		{"of half", baseline(some(20, 50)), weighed(cluster.Can{Weigh: true}), "create web-v002"},
		{"of more than half, by replicas", baseline(some(20, 60)), all, "create web-v002"},
		{"a baseline by selector", baseline(some(20)), bySelector("web-v001", endpoints{"web-v001": 10}, ten), "abort (unfit): Canary: a baseline has the labels of the old version"},
		{"pinned", some(20), with(bySelector("web-v001", endpoints{"web-v001": 10}, ten), func(s *cluster.State) { s.Routes[0].Pinned = true }),
			"abort (unfit): Canary: service/web does not tell revisions apart"},
	} {
		says(t, c.how, []row{{c.why, to("b2", c.s), c.step}})
	}
	says(t, some(11, 20), []row{
		{"a release that is decided is not refused any more", to("b-v002", byLabels(endpoints{"web-v002": 10}, rev(1, isGood), rev(2, on, isGood, size(10)))), "done"},
	})
}

// Where nobody else is in traffic, there is nothing to be compared with: it begins
// with all.
func TestCanaryBesideNobody(t *testing.T) {
	none := endpoints{}
	one := strategy.Canary{Stages: []strategy.Stage{{Percent: 50}}}
	says(t, twoStages, []row{
		{"the old one is dark", tenWanted(to("b2", byLabels(none, rev(1, isGood, size(10))))), "create web-v002 x6 off"},
		{"it is to have traffic, and no endpoint yet", tenWanted(to("b2", byLabels(none, rev(1, on, isGood, size(10))))), "create web-v002 x2 off"},
		{"another one is dark", to("b2", byLabels(endpoints{"web-v002": 10}, rev(1, isGood, size(0)), rev(2, on, isGood, size(10)))), "create web-v003 x2 off"},
		{"by weight, it has a share, and no endpoint", tenWanted(to("b2", byShares(map[string]int{"web-v001": 100}, none, rev(1, on, isGood, size(0), noted("size 10"))))), "create web-v002 x10 off"},
		{"there is no room for one", to("b2", byLabels(endpoints{"web-v001": 10}, ten, rev(2, hasFailed, size(10)))), "create web-v003 x0 off"},
		{"nothing is good: what is dark is put away", to("b-v003", byLabels(none, rev(2, hasFailed, size(2)), rev(3, size(2), noted("stage 1; size 10")))), "put web-v002 x0 off failed: it is put away"},
		{"nor is what serves, which stays", to("b-v003", byLabels(endpoints{"web-v002": 2}, at(2, "1", 2, hasFailed), rev(3, size(2), noted("stage 1; size 10")))), "put web-v003 x2 on: its first stage is ready"},
		{"the way back is dark, and stays as it is", to("b-v003", byLabels(none, rev(1, isGood, size(8), noted("size 10")), rev(3, size(2), noted("stage 1; size 10")))), "put web-v003 x2 on"},
		{"20 % and 60 % of one", to("b2", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1)))), "abort (unfit): Canary: 20 % and 60 % of 1 replicas are both 1"},
		{"nobody knows of how many", to("b-v002", byLabels(none, rev(1, hasFailed, size(0)), rev(2, size(0)))), "abort (unfit): web-v002 was scaled to 0"},
		{"nor of how many it will be", to("b2", byLabels(none, rev(1, hasFailed, size(0)))), "abort (unfit): 0 replicas means as many as serve now"},
	})
	says(t, one, []row{
		{"one of one", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1)), rev(2, size(1), noted("stage 1; size 1")))), "put web-v002 x1 on: its first stage is ready"},
		{"of one, taken up again", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1)), rev(2, size(2), noted("stage 1; size 1")))), "put web-v002 x1 off: it proves itself first"},
	})
	says(t, twoStages, []row{
		{"promoted, and one is not ready any more", to("b-v002", byLabels(endpoints{"web-v002": 9}, rev(1, isGood, size(0)), at(2, "passed", 10, sized(10, 9)))),
			"wait: 9 of 10 pods of web-v002 ready, 0 replicas of others left"},
	})
	compared := twoStages
	compared.Baseline = true
	says(t, compared, []row{
		{"a dark baseline is of no use to the floor", to("b-v002", byLabels(endpoints{"web-v001": 4, "web-v002": 3}, rev(1, on, isGood, size(4), noted("size 10")), at(2, "passed", 3), rev(2, anArm, size(2)))),
			"delete web-v002-baseline"},
	})
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
