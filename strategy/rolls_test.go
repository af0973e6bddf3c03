// What Rolling and Recreate say, from a small State a row; the bounds of a roll; and
// what is noted with replicas.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// Amounts are rounded as Kubernetes rounds those of a Deployment, and one of the two
// is at least 1.
func TestAmountsAreThoseOfKubernetes(t *testing.T) {
	scaled := func(a strategy.Amount, n int, up bool) int {
		if a == "" {
			a = "25%"
		}
		value := intstr.Parse(string(a))
		scaled, err := intstr.GetScaledValueFromIntOrPercent(&value, n, up)
		require.NoError(t, err)
		return scaled
	}
	amounts := []strategy.Amount{"", "0", "1", "3", "100", "0%", "1%", "25%", "33%", "50%", "99%", "100%"}
	for n := 1; n <= 20; n++ {
		for _, surge := range amounts {
			for _, unavailable := range amounts {
				more, less := scaled(surge, n, true), min(n, scaled(unavailable, n, false))
				if more == 0 && less == 0 {
					less = 1
				}
				in := to("b2", byLabels(live, rev(1, on, isGood)))
				in.Target.Replicas = n
				bounds, ok := strategy.Rolling{Surge: surge, Unavailable: unavailable}.Bounds(in)
				require.True(t, ok)
				require.Equal(t, strategy.Bounds{Floor: n - less, Ceiling: n + more}, bounds, "%q and %q of %d", surge, unavailable, n)
			}
		}
	}
	_, ok := strategy.Rolling{}.Bounds(to("b2", byLabels(nil, rev(1))))
	require.False(t, ok, "nobody knows of how many")
}

func TestAmountsThatAreNone(t *testing.T) {
	in := to("b2", byLabels(live, rev(1, on, isGood)))
	for _, a := range []strategy.Amount{"-1", "x", "1.5", "+2", "+2%", "-5%", "101%", "%", "25 %"} {
		for _, how := range []strategy.Strategy{
			strategy.Rolling{Surge: a}, strategy.Rolling{Unavailable: a},
			strategy.Canary{Stages: []strategy.Stage{{Percent: 10}}, Surge: a},
		} {
			require.Contains(t, how.Next(in).String(), "neither a number of replicas", "%T %q", how, a)
		}
	}
	for _, a := range []strategy.Amount{"0", "7", "0%", "100%", "101"} {
		require.NotContains(t, strategy.Rolling{Surge: a}.Next(in).String(), "unfit", a)
	}
}

// How many a revision has when it has all is noted with the write that takes some.
func TestSizeIsReadFromTheNote(t *testing.T) {
	for note, want := range map[string]int{
		"": 2, "size 3": 3, "size 1": 1, "turned on; size 4": 4, "size 4; stage 2": 4, "size as wanted": 2,
		"size 0": 2, "size -2": 2, "size 0; size 3": 3, "size -2; size 3": 3, "size x; size 3": 3, "sizes 3": 2,
	} {
		require.Equal(t, want, strategy.Size(cluster.Revision{Replicas: 2, Note: note}), "%q", note)
	}
}

// put is the step, which must be one.
func put(t *testing.T, how strategy.Strategy, in strategy.Input) cluster.Revision {
	t.Helper()
	step, ok := how.Next(in).(strategy.Put)
	require.True(t, ok, "%v", how.Next(in))
	return step.Revision
}

// What is written beside replicas: how many it has when it has all, that what was
// found serving may be gone back to, and no traffic that it did not have.
func TestWhatIsWrittenWithReplicas(t *testing.T) {
	taking := func(change ...func(*cluster.Revision)) cluster.Revision {
		return put(t, strategy.Recreate{}, to("b-v002", byLabels(live, rev(1, change...), rev(2, sized(0, 0), noted("size 3")))))
	}
	require.Equal(t, "size 3", taking(on, isGood).Note)
	require.Equal(t, "turned on; size 5", taking(on, isGood, noted("turned on; size 5")).Note)
	because := func(why string) func(*cluster.Revision) {
		return func(r *cluster.Revision) { r.Outcome.Why = why }
	}
	require.Equal(t, cluster.Outcome{Result: cluster.Good, Why: "had traffic before"}, taking(on, ofNobody).Outcome)
	require.Equal(t, "bake", taking(on, ofNobody, isGood, because("bake")).Outcome.Why)
	require.Equal(t, "bake", taking(on, isGood, because("bake")).Outcome.Why)

	require.True(t, taking(on, isGood).Enabled)
	require.True(t, taking(isGood, oneUnsettled).Enabled, "somebody has half turned it off")
	require.False(t, taking(isGood).Enabled, "it was told to leave")
	dark := put(t, strategy.Recreate{}, to("b-v002", byLabels(nil, rev(1, isGood, oneUnsettled), rev(2, sized(0, 0), noted("size 3")))))
	require.False(t, dark.Enabled, "nothing of it is in traffic")

	all := put(t, strategy.Recreate{}, to("b-v002", byLabels(nil, rev(1, isGood, sized(0, 0)), rev(2, sized(0, 0), noted("size 3")))))
	require.Equal(t, 3, all.Replicas)
	require.Equal(t, "size as wanted", all.Note)
	none := put(t, strategy.Recreate{}, asks(to("b-v002", byLabels(nil, rev(1, isGood, sized(0, 0)), rev(2, sized(0, 0)))),
		func(in *strategy.Input) { in.Target.Replicas = 3 }))
	require.Empty(t, none.Note, "nothing was noted, and nothing is")
}

// going has no replicas any more, and so many pods, of which some were told to go.
func going(pods, leaving int, since time.Duration) func(*cluster.Revision) {
	return func(r *cluster.Revision) {
		r.Replicas, r.Pods, r.Ready, r.Leaving, r.Moved = 0, pods, 0, leaving, ago(since)
	}
}

func TestRecreate(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	one := rev(1, on, isGood)
	gone := rev(1, on, isGood, none)
	says(t, strategy.Recreate{}, []row{
		{"it is made without pods", to("b2", byLabels(live, one)), "create web-v002 x0 off"},
		{"the old one makes room", to("b-v002", byLabels(live, one, rev(2, none))), "put web-v001 x0 on good: it makes room for web-v002"},
		{"be it one pod", to("b-v002", byLabels(live, rev(1, on, isGood, sized(1, 1)), rev(2, none))), "put web-v001 x0 on good: it makes room for web-v002"},
		{"an older release that nobody has decided about first", to("b-v003", byLabels(live, one, rev(2), rev(3, none))), "put web-v002 x3 off failed: superseded by web-v003"},
		{"pods still run", to("b-v002", byLabels(nil, rev(1, on, isGood, going(3, 3, time.Hour)), rev(2, none))), "wait: 3 pods of web-v001 still run"},
		{"the last one still runs", to("b-v002", byLabels(nil, rev(1, on, isGood, going(1, 1, time.Hour)), rev(2, none))), "wait: 1 pods of web-v001 still run"},
		{"nobody has seen what was written", to("b-v002", byLabels(nil, rev(1, on, isGood, none, isBehind), rev(2, none))), "wait: the cluster has not taken up"},
		{"nothing runs", to("b-v002", byLabels(nil, gone, rev(2, none))), "put web-v002 x3 off: no pod of another revision runs"},
		{"be it one that is wanted", to("b-v002", byLabels(nil, gone, rev(2, none, noted("size 1")))), "put web-v002 x1 off: no pod of another revision runs"},
		{"nobody knows how many", to("b-v002", byLabels(nil, rev(1, hasFailed, sized(0, 0)), rev(2, sized(0, 0)))), "abort (unfit): web-v002 was scaled to 0"},
		{"somebody has given it replicas too early", to("b-v002", byLabels(live, one, rev(2))), "put web-v002 x0 off: pods of another revision still run"},
		{"be it one", to("b-v002", byLabels(live, one, rev(2, sized(1, 1)))), "put web-v002 x0 off: pods of another revision still run"},
		{"it is in traffic, and so is the old one", to("b-v002", byLabels(endpoints{"web-v001": 3, "web-v002": 3}, one, rev(2, on))), "put web-v001 x0 on good"},
		{"it is good: what is left of the old one is for Keep", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, isGood))), "done"},
	})
	says(t, strategy.Recreate{Abandon: -1}, []row{{"a setting", to("b2", byLabels(live, one)), "abort (unfit): Recreate: Abandon must not be negative"}})
	weighed := with(byLabels(live, one), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true} })
	says(t, strategy.Recreate{}, []row{{"a router", to("b2", weighed), "abort (unfit): Recreate: a route here divides traffic by weight"}})
}

// Pods of a lost node are waited for, unless a setting says for how long.
func TestRecreateAbandonsLostPods(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	for _, c := range []struct {
		why     string
		abandon time.Duration
		old     func(*cluster.Revision)
		lost    bool
	}{
		{"nobody says for how long", 0, going(2, 2, time.Hour), false},
		{"long enough", time.Minute, going(2, 2, time.Minute), true},
		{"not yet", time.Minute, going(2, 2, time.Minute-1), false},
		{"one was not told to go", time.Minute, going(2, 1, time.Hour), false},
		{"the shortest time there is", 1, going(1, 1, 1), true},
	} {
		how := strategy.Recreate{Abandon: c.abandon}
		in := to("b-v002", byLabels(nil, rev(1, on, isGood, c.old), rev(2, none)))
		in.Watched = ago(time.Hour)
		step, bounds := how.Next(in).String(), apart(t, how, in)
		if c.lost {
			require.Contains(t, step, "put web-v002 x3 off", c.why)
			require.False(t, bounds, c.why)
		} else {
			require.Contains(t, step, "of web-v001 still run", c.why)
			require.True(t, bounds, c.why)
		}
	}
	nothing := to("b-v002", byLabels(nil, rev(1, on, isGood, none), rev(2, none)))
	require.True(t, apart(t, strategy.Recreate{}, nothing))
	patient := strategy.Recreate{Abandon: time.Minute}
	require.False(t, apart(t, patient, nothing), "no pod is left at all")
	require.True(t, apart(t, patient, to("b-v002", byLabels(nil, rev(1, on, isGood, going(1, 0, time.Hour)), rev(2, none)))), "one is left")
	require.False(t, apart(t, patient, to("b-v002", byLabels(live, rev(1, on, isGood), rev(2, none)))), "nothing is to go yet")
}

func apart(t *testing.T, how strategy.Bounder, in strategy.Input) bool {
	bounds, ok := how.Bounds(in)
	require.True(t, ok)
	return bounds.Apart
}

// It goes back the way it came: what failed goes, then what it replaced comes.
func TestRecreateGoesBack(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	back := func(serving endpoints, old, bad cluster.Revision) strategy.Input {
		return to("b-v002", byLabels(serving, old, bad))
	}
	says(t, strategy.Recreate{}, []row{
		{"it makes room", back(endpoints{"web-v002": 3}, rev(1, on, isGood, none), rev(2, on, hasFailed)), "put web-v002 x0 on failed: it makes room for web-v001"},
		{"its pods still run", back(nil, rev(1, on, isGood, none), rev(2, on, hasFailed, going(3, 3, time.Hour))), "wait: 3 pods of web-v002 still run"},
		{"nothing runs", back(nil, rev(1, on, isGood, none), rev(2, on, hasFailed, none)), "put web-v001 x3 on good: traffic goes back to it"},
		{"it gets ready", back(nil, rev(1, on, isGood, sized(3, 2)), rev(2, hasFailed, none)), "wait: 2 of 3 pods of web-v001 ready"},
		{"it was turned off", back(nil, rev(1, isGood), rev(2, hasFailed, none)), "put web-v001 x3 on good: traffic goes back to it"},
		{"not all of it serves", back(endpoints{"web-v001": 2}, rev(1, on, isGood), rev(2, hasFailed, none)), "wait: 2 of 3 endpoints of web-v001 are back"},
		{"all of it serves", back(live, rev(1, on, isGood), rev(2, hasFailed, none)), "abort (failed): 5xx"},
		{"it serves, and somebody has given replicas to what failed", back(live, rev(1, on, isGood), rev(2, hasFailed)), "put web-v002 x0 off failed: it was given up"},
		{"be it one of one", back(endpoints{"web-v001": 1}, rev(1, on, isGood, sized(1, 1)), rev(2, hasFailed, sized(1, 1))), "put web-v002 x0 off failed: it was given up"},
		{"it serves, not all of it, and somebody has given replicas to what failed", back(endpoints{"web-v001": 2}, rev(1, on, isGood, sized(3, 2)), rev(2, hasFailed, sized(1, 1))), "put web-v002 x0 off failed: it was given up"},
		{"it does not serve yet: what failed is not touched", back(nil, rev(1, on, isGood, sized(3, 2)), rev(2, hasFailed, sized(1, 1))), "wait: 2 of 3 pods of web-v001 ready"},
		{"one that has just failed, of one", back(endpoints{"web-v001": 1}, rev(1, on, isGood, sized(1, 0)), rev(2, hasFailed, sized(1, 1))), "put web-v002 x0 off failed: it was given up"},
		{"what failed serves alone", back(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, hasFailed)), "put web-v001 x3 on good: traffic goes back to it"},
		{"and goes on until the other one does", back(endpoints{"web-v002": 3}, rev(1, on, isGood), rev(2, on, hasFailed)), "wait: 0 of 3 endpoints of web-v001 are back"},
	})
}

func TestRolling(t *testing.T) {
	one, all := rev(1, on, isGood), endpoints{"web-v001": 3, "web-v002": 3}
	batch := func(replicas, ready int) cluster.Revision { return rev(2, on, sized(replicas, ready), noted("size 3")) }
	bySteps := strategy.Rolling{Surge: "1", Unavailable: "0"}
	says(t, bySteps, []row{
		{"the first batch", to("b2", byLabels(live, one)), "create web-v002 x1 off"},
		{"it serves: one of the old goes", to("b-v002", byLabels(endpoints{"web-v001": 3, "web-v002": 1}, one, batch(1, 1))), "put web-v001 x2 on good"},
		{"room for the next", to("b-v002", byLabels(endpoints{"web-v001": 2, "web-v002": 1}, rev(1, on, isGood, sized(2, 2), noted("size 3")), batch(1, 1))), "put web-v002 x2 on"},
		{"it is good: what is left of the old one is for Keep", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, isGood))), "done"},
		{"it is all there: the old one is taken off", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, on, isGood, sized(0, 0)), rev(2, on))), "put web-v001 x0 off good"},
	})
	says(t, strategy.Rolling{Surge: "1", Unavailable: "0", Pause: time.Minute}, []row{
		{"a batch proves itself", to("b-v002", byLabels(endpoints{"web-v001": 2, "web-v002": 1}, rev(1, on, isGood, sized(2, 2), noted("size 3")),
			rev(2, on, sized(1, 1), noted("size 3"), times(ago(59*time.Second))))), "wait: the batch is left to prove itself"},
		{"and has", to("b-v002", byLabels(endpoints{"web-v001": 2, "web-v002": 1}, rev(1, on, isGood, sized(2, 2), noted("size 3")),
			rev(2, on, sized(1, 1), noted("size 3"), times(ago(60*time.Second))))), "put web-v002 x2 on"},
		{"not all of it serves", to("b-v002", byLabels(endpoints{"web-v001": 2}, rev(1, on, isGood, sized(2, 2), noted("size 3")), batch(1, 1))), "wait: 0 of 1 endpoints of the batch serve"},
		{"the last is no batch between others", to("b-v002", byLabels(endpoints{"web-v002": 3}, rev(1, isGood, sized(0, 0)), rev(2, on, times(ago(time.Second))))), "put web-v002 x3 on good: alone in traffic, and passed"},
	})
	slow := strategy.Rolling{Surge: "1", Unavailable: "0", Pause: 30 * time.Minute, Between: pass}
	paused := func(verdict health.Verdict) strategy.Input {
		in := to("b-v002", byLabels(endpoints{"web-v001": 2, "web-v002": 1}, rev(1, on, isGood, sized(2, 2), noted("size 3"), times(ago(12*time.Minute))),
			rev(2, on, sized(1, 1), noted("size 3"), times(ago(12*time.Minute)))))
		in.State.Routes[0].Since, in.Watched = ago(12*time.Minute), ago(time.Hour)
		in.Checked = strategy.Checked{Name: "between batches", Verdict: verdict}
		return in
	}
	says(t, slow, []row{
		{"a pause may last longer than Ready", paused(health.Pass), "wait: the batch is left to prove itself"},
		{"whatever its gate says meanwhile", paused(health.Pending), "wait: gate between batches is pending"},
	})
	gated := bySteps
	gated.Between = pass
	says(t, gated, []row{
		{"a gate between", to("b-v002", byLabels(endpoints{"web-v001": 2, "web-v002": 1}, rev(1, on, isGood, sized(2, 2), noted("size 3")), batch(1, 1))), "check web-v002: between batches"},
	})
	says(t, bySteps, []row{
		{"nobody knows how many", to("b-v002", byLabels(nil, rev(1, hasFailed, sized(0, 0)), rev(2, sized(0, 0)))), "abort (unfit): web-v002 was scaled to 0"},
		{"be it one", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, sized(1, 1)), rev(2, sized(0, 0), noted("size 1")))), "put web-v002 x1 off"},
	})
	says(t, strategy.Rolling{Surge: "0", Unavailable: "2"}, []row{
		{"without a surge, one at first", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, size(1), noted("size 3")), rev(2, size(0), noted("size 3")))), "put web-v002 x1 off"},
		{"and one on the way back", to("b-v002", byLabels(endpoints{"web-v002": 1}, rev(1, isGood, size(0), noted("size 3")), rev(2, on, hasFailed, size(1), noted("size 3")))), "put web-v001 x1 off good"},
	})
	says(t, strategy.Rolling{Surge: "1", Unavailable: "0", Pause: 1}, []row{
		{"the shortest pause there is", to("b-v002", byLabels(endpoints{"web-v001": 2}, rev(1, on, isGood, sized(2, 2), noted("size 3")), batch(1, 1))), "wait: 0 of 1 endpoints of the batch serve"},
	})
	pinned := with(bySelector("web-v001", live, one), func(s *cluster.State) { s.Routes[0].Pinned = true })
	says(t, strategy.Rolling{}, []row{{"pinned", to("b2", pinned), "abort (unfit): Rolling: service/web does not tell revisions apart"}})
	says(t, strategy.Recreate{}, []row{{"pinned", to("b2", pinned), "abort (unfit): Recreate: service/web does not tell revisions apart"}})
	weighed := with(byLabels(all, one), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true} })
	says(t, strategy.Rolling{}, []row{{"a router", to("b2", weighed), "abort (unfit): Rolling: it divides traffic by replicas"}})
	says(t, strategy.Rolling{Pause: -1}, []row{{"a setting", to("b2", byLabels(live, one)), "abort (unfit): Rolling: Pause must not be negative"}})
	says(t, strategy.Rolling{Bake: -1}, []row{{"a setting of all", to("b2", byLabels(live, one)), "abort (unfit): Ready, Judge and Bake must not be negative"}})
}

// Replicas go from one to the other within the bounds: what does not serve first,
// what traffic may go back to last.
func TestWhatARollTakes(t *testing.T) {
	steps := strategy.Rolling{Surge: "1", Unavailable: "0"}
	first := rev(2, on, size(1), noted("size 3"))
	old := func(change ...func(*cluster.Revision)) cluster.Revision {
		return rev(1, append([]func(*cluster.Revision){on, isGood}, change...)...)
	}
	in := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", byLabels(serving, revisions...))
	}
	leaves := func(r *cluster.Revision) { r.Leaving, r.Ready = 1, 2 }
	says(t, steps, []row{
		{"a pod that is not ready", in(endpoints{"web-v001": 2, "web-v002": 1}, old(sized(3, 2)), first), "put web-v001 x2 on good"},
		{"but none that goes already", in(endpoints{"web-v001": 2, "web-v002": 1}, old(leaves), first), "wait: 1 of 3 pods of web-v002 ready, 3 replicas of others left"},
		{"all of what is dark", in(live, rev(0, hasFailed), old(), first), "put web-v000 x0 off failed"},
		{"what failed before what is good, and older", to("b-v003", byLabels(endpoints{"web-v001": 2, "web-v002": 2, "web-v003": 1}, old(size(2)), rev(2, on, hasFailed, size(2)), rev(3, on, size(1), noted("size 3")))), "put web-v002 x0 on failed"},
		{"what failed before what is good", in(endpoints{"web-v000": 2, "web-v001": 2, "web-v002": 1}, rev(0, on, hasFailed, size(2)), old(size(2)), first), "put web-v000 x0 on failed"},
		{"an older good one before the way back", in(endpoints{"web-v000": 2, "web-v001": 1, "web-v002": 1}, rev(0, on, isGood, size(2)), old(size(1)), first), "put web-v000 x1 on good"},
		{"nothing below the floor", in(endpoints{"web-v001": 2, "web-v002": 1}, old(), first), "wait: 1 of 3 pods of web-v002 ready, 3 replicas of others left"},
		{"nothing is left to take", in(endpoints{"web-v002": 2}, old(size(0)), rev(2, on, sized(3, 2))), "wait: 2 of 3 pods of web-v002 ready, 0 replicas of others left"},
		{"pods that are too many, and not ready, count for nothing", in(endpoints{"web-v001": 2, "web-v002": 2}, old(sized(2, 3), noted("size 3")), rev(2, on, size(2), noted("size 3"))), "wait: 2 of 3 pods of web-v002 ready, 2 replicas of others left"},
		{"all of what is dark, below the floor", in(endpoints{"web-v001": 2}, rev(0, hasFailed, size(2)), old(), first), "put web-v000 x0 off failed"},
		{"all of what has no endpoint, if the floor is held without", in(endpoints{"web-v002": 3}, old(), rev(2, on, size(3))), "put web-v001 x0 on good"},
		{"but not below the floor", in(endpoints{"web-v002": 2}, old(), rev(2, on, size(3))), "wait: 3 of 3 pods of web-v002 ready, 3 replicas of others left"},
		{"what failed before an older good one", to("b-v003", byLabels(endpoints{"web-v000": 1, "web-v001": 1, "web-v002": 1, "web-v003": 1},
			rev(0, on, isGood, size(1)), old(size(1)), rev(2, on, hasFailed, size(1)), rev(3, on, size(1), noted("size 3")))), "put web-v002 x0 on failed"},
		{"half turned off, it is needed", in(endpoints{"web-v001": 1, "web-v002": 2}, old(off, oneUnsettled), rev(2, on, size(2), noted("size 3"))), "put web-v001 x3 on good: every pod of it serves until it goes"},
		{"half turned on, and given up, it is not: the good one serves", to("b-v003", byLabels(endpoints{"web-v001": 1, "web-v002": 1, "web-v003": 1},
			old(size(1)), rev(2, hasFailed, size(1), oneUnsettled), rev(3, on, sized(2, 1), noted("size 3")))), "wait: 1 of 3 pods of web-v003 ready"},
		{"but it is if nobody good does", to("b-v003", byLabels(endpoints{"web-v002": 1, "web-v003": 1},
			rev(1, isGood, size(0)), rev(2, hasFailed, size(1), oneUnsettled), rev(3, on, sized(3, 1)))), "put web-v002 x1 on failed: every pod of it serves until it goes"},
		{"room for a first one", in(endpoints{"web-v001": 4}, old(size(4)), rev(2, size(0), noted("size 3"))), "put web-v001 x3 on good: room for web-v002"},
		{"there is none", in(live, old(size(4)), rev(2, size(0), noted("size 3"))), "wait: there is no room for a first replica of web-v002"},
	})
}

// The way back is the same, the other way.
func TestARollGoesBack(t *testing.T) {
	steps := strategy.Rolling{Surge: "1", Unavailable: "0"}
	back := func(replicas, ready int) cluster.Revision {
		return rev(1, on, isGood, sized(replicas, ready), noted("size 3"))
	}
	bad := func(replicas int) cluster.Revision { return rev(2, on, hasFailed, size(replicas), noted("size 3")) }
	in := func(one, two int, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", byLabels(endpoints{"web-v001": one, "web-v002": two}, revisions...))
	}
	says(t, steps, []row{
		{"as far as there is room", in(1, 2, back(1, 1), bad(2)), "put web-v001 x2 on good: traffic goes back to web-v001"},
		{"it gets ready", in(1, 2, back(2, 1), bad(2)), "wait: 1 of 3 pods of web-v001 ready, 2 replicas of others left"},
		{"it serves: one of the bad goes", in(2, 2, back(2, 2), bad(2)), "put web-v002 x1 on failed"},
		{"from none", in(0, 3, back(0, 0), bad(3)), "put web-v001 x1 on good: traffic goes back to web-v001"},
		{"from none, and dark", in(0, 3, rev(1, isGood, size(0), noted("size 3")), bad(3)), "put web-v001 x1 off good: traffic goes back to it"},
		{"not all of it serves", in(2, 0, back(3, 3), bad(0)), "wait: 2 of 3 endpoints of web-v001 are back"},
		{"it all does", in(3, 0, back(3, 3), rev(2, hasFailed, size(0))), "abort (failed): 5xx"},
		{"the bad one is larger", in(1, 5, back(1, 1), bad(5)), "put web-v001 x1 on good: so many are to serve when traffic is back"},
		{"nobody knows how large it was", in(0, 0, rev(1, on, isGood, size(0)), rev(2, hasFailed, size(3))), "put web-v001 x0 on good: so many are to serve when traffic is back"},
		{"nothing was taken", in(3, 0, back(3, 3), rev(2, hasFailed, size(1))), "put web-v002 x0 off failed: it was given up"},
		{"it is to be two", in(1, 2, rev(1, on, isGood, size(1)), rev(2, on, hasFailed, size(2))), "put web-v001 x1 on good: so many are to serve when traffic is back"},
		{"be it one that it never had", in(0, 1, rev(1, isGood, size(0)), rev(2, on, hasFailed, size(1))), "put web-v001 x1 off good: traffic goes back to it"},
		{"more pods than wanted are no reason to wait", in(3, 0, rev(1, on, isGood, sized(3, 4)), bad(0)), "put web-v002 x0 off failed: traffic goes back"},
		{"an older one that was given up goes as well", to("b-v003", byLabels(live, rev(1, on, isGood), rev(2, hasFailed, size(2)), rev(3, hasFailed, size(0)))), "put web-v002 x0 off failed"},
		{"nothing is good, and it has no endpoint", to("b-v002", byLabels(nil, rev(2, on, hasFailed, size(3)))), "put web-v002 x3 off failed"},
		{"there is nothing to go back to", in(0, 3, bad(3)), "abort (stranded): 5xx; no older revision is good, so it was left in traffic"},
	})
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

// A roll is refused where nothing tells revisions apart, unless this run's own switch
// from one to the other is under way; and where an autoscaler writes replicas.
func TestWhatNoRollCanDo(t *testing.T) {
	says(t, strategy.Rolling{Surge: "some", Pause: -1}, []row{{"two settings are wrong", to("b2", byLabels(live, rev(1, on, isGood))), `abort (unfit): Rolling: "some" is neither`}})
	open := func(r *cluster.Route) { r.Open = true }
	says(t, strategy.Rolling{Surge: "1", Unavailable: "0"}, []row{
		{"from one to the other", to("b-v002", routed("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 1}, open, rev(1, on, isGood), rev(2, on, size(1), noted("size 3")))), "put web-v001 x2 on good"},
		{"what two share goes to one first", to("b-v003", bySelector("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 6}, rev(1, on, isGood), rev(2, on, hasFailed, size(6)), rev(3, size(0), noted("size 2")))), "put web-v001 x3 on good: so many are to serve when traffic is back"},
		{"an autoscaler", to("b2", with(byLabels(live, rev(1, on, isGood)), func(s *cluster.State) {
			s.Routes = append([]cluster.Route{{Name: scaler, Scaler: true, Weights: endpoints{"web-v001": 100}}}, s.Routes...)
		})), "abort (unfit): Rolling: it takes replicas bit by bit, and"},
	})
}
