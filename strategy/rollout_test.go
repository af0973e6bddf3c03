// What the rules of a rollout say, on the way forth and on the way back, from a
// small State a row.

package strategy_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// Rules of one's own move traffic as the cluster can.
func TestTrafficIsMovedAsTheClusterCan(t *testing.T) {
	own := strategy.Func(func(in strategy.Input) strategy.Step {
		ru := strategy.Rules{}
		return ru.Next(in, ru.BringUp)
	})
	can := func(can cluster.Can) strategy.Input {
		return to("b-v002", with(bySelector("web-v001", live, rev(1, on, isGood), rev(2)), func(s *cluster.State) { s.Can = can }))
	}
	says(t, own, []row{
		{"by a selector", can(cluster.Can{Select: true}), "route service/web to web-v002"},
		{"by labels", can(cluster.Can{Enable: true}), "put web-v002 x3 on"},
		{"by labels, where it could do both", can(cluster.Can{Enable: true, Select: true}), "put web-v002 x3 on"},
		{"a worker by what its pods are told", to("b-v002", with(byLabels(live, rev(1, on, isGood), rev(2)), func(s *cluster.State) { s.Routes = nil })), "put web-v002 x3 on"},
	})
}

// A rule stands for itself: what its zeros stand for does not depend on who asks.
func TestARuleIsAskedAlone(t *testing.T) {
	baking := byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, turnedOn, times(ago(time.Minute))))
	baking.Routes[0].Since = time.Time{}
	in := to("b-v002", baking)
	in.Watched = ago(time.Minute)
	in.Checked = strategy.Checked{Name: "in traffic", Verdict: health.Pending}
	mine, _ := in.Mine()
	step := strategy.Rules{After: health.GateFunc(nil)}.Watch(in, mine)
	require.IsType(t, strategy.Wait{}, step, "Judge is ten minutes, and one is over: %v", step)
}

func TestBringUp(t *testing.T) {
	one, gate := rev(1, on, isGood), health.GateFunc(nil)
	both := endpoints{"web-v001": 3, "web-v002": 3}
	pass := func(in strategy.Input) strategy.Input {
		in.Checked = strategy.Checked{Name: "before traffic", Verdict: health.Pass}
		return in
	}
	says(t, strategy.RedBlack{}, []row{
		{"scaled to 0, and nothing serves", to("b-v001", byLabels(endpoints{}, rev(1, sized(0, 0)))), "abort (unfit): web-v001 was scaled to 0"},
		{"scaled to 0, and one serves", to("b-v002", byLabels(endpoints{"web-v001": 1}, rev(1, on, isGood, sized(1, 1)), rev(2, sized(0, 0)))), "put web-v002 x1 off: it has 0 of 1 replicas"},
		{"more are wanted than it has", asks(to("b-v002", byLabels(live, one, rev(2))), func(in *strategy.Input) { in.Target.Replicas = 4 }), "put web-v002 x4 off: the target wants more"},
		{"fewer are wanted than it has", asks(to("b-v002", byLabels(live, one, rev(2))), func(in *strategy.Input) { in.Target.Replicas = 2 }), "put web-v002 x3 on"},
		{"not all are ready", to("b-v002", byLabels(live, one, rev(2, sized(3, 2), times(noon)))), "wait: 2 of 3 pods ready"},
	})
	says(t, strategy.RedBlack{Before: gate}, []row{
		{"dark: it is judged", to("b-v002", byLabels(live, one, rev(2))), "check web-v002: before traffic"},
		{"and goes on when it has passed", pass(to("b-v002", byLabels(live, one, rev(2)))), "put web-v002 x3 on: it is ready"},
		{"somebody else has turned it on: it is judged, too", to("b-v002", byLabels(both, one, rev(2, on))), "check web-v002: before traffic"},
		{"and noted as judged when it has passed", pass(to("b-v002", byLabels(both, one, rev(2, on)))), "put web-v002 x3 on: somebody else has turned it on"},
		{"it was turned on by a rule: it was judged", to("b-v002", byLabels(both, one, rev(2, on, turnedOn))), "put web-v001 x3 off good: web-v002 serves"},
		{"it is good: it was judged, whoever turns it on", to("b-v002", byLabels(both, rev(1, isGood), rev(2, on, isGood))), "wait: 3 endpoints of web-v001"},
	})
	says(t, strategy.RedBlack{}, []row{
		{"somebody else has turned it on, and nobody judges", to("b-v002", byLabels(both, one, rev(2, on))), "put web-v001 x3 off good: web-v002 serves"},
	})
	says(t, strategy.BlueGreen{Before: gate}, []row{
		{"somebody else has switched a route to it: it is judged", to("b-v002", bySelector("web-v002", both, rev(1, isGood), rev(2, on))), "check web-v002: before traffic"},
		{"and noted as judged when it has passed", pass(to("b-v002", bySelector("web-v002", both, rev(1, isGood), rev(2, on)))), "route service/web to web-v002: somebody else has switched it"},
		{"where no route names it, none is to be noted", to("b-v002", bySelector("web-v001", live, one, rev(2, on))), "route service/web to web-v002: it is ready"},
	})
}

// What somebody else has brought traffic to is noted once.
func TestItIsClaimedOnce(t *testing.T) {
	judged := strategy.Checked{Name: "before traffic", Verdict: health.Pass}
	both := endpoints{"web-v001": 3, "web-v002": 3}

	in := to("b-v002", byLabels(both, rev(1, on, isGood), rev(2, on)))
	in.Checked = judged
	put, ok := strategy.RedBlack{Before: health.GateFunc(nil)}.Next(in).(strategy.Put)
	require.True(t, ok)
	in.State.Revisions[1] = put.Revision
	require.Contains(t, strategy.RedBlack{Before: health.GateFunc(nil)}.Next(in).String(), "put web-v001 x3 off")

	in = to("b-v002", bySelector("web-v002", both, rev(1, isGood), rev(2, on)))
	in.Checked = judged
	set, ok := strategy.BlueGreen{Before: health.GateFunc(nil)}.Next(in).(strategy.SetRoute)
	require.True(t, ok)
	in.State.Routes[0] = set.Route
	require.Contains(t, strategy.BlueGreen{Before: health.GateFunc(nil)}.Next(in).String(), "wait: 3 endpoints of web-v001")
}

func TestServe(t *testing.T) {
	serves := func(n int, change func(*cluster.Revision), since time.Duration) strategy.Input {
		s := byLabels(endpoints{"web-v002": n}, rev(1, isGood), rev(2, on, turnedOn, times(ago(since)), change))
		s.Routes[0].Since = time.Time{}
		return asks(to("b-v002", s), func(in *strategy.Input) { in.Watched = ago(since) })
	}
	undecided := func(*cluster.Revision) {}
	says(t, strategy.RedBlack{}, []row{
		{"all of it serves", serves(3, undecided, time.Minute), "put web-v002 x3 on good"},
		{"not all of it serves yet", serves(2, undecided, time.Minute), "wait: 2 of 3 endpoints serve"},
		{"nothing of it serves yet", serves(0, undecided, time.Minute), "wait: 0 of 3 endpoints serve"},
		{"it has not come to serve in time", serves(2, undecided, 10*time.Minute), "put web-v002 x3 on failed: not in traffic: 2 of 3 endpoints serve, after 10m0s"},
		{"a good one is done if it serves at all", serves(1, isGood, time.Minute), "done"},
		{"a good one that does not may yet", serves(0, isGood, time.Minute), "wait: 0 of 3 endpoints serve"},
		{"a good one is not given up", serves(0, isGood, 10*time.Minute), "abort (stranded): web-v002 is good, but only 0 of 3 endpoints serve"},
	})
}

func TestAlone(t *testing.T) {
	strays := func(n int, since time.Duration) strategy.Input {
		s := byLabels(endpoints{"web-v002": 3}, rev(1, isGood, times(ago(since))), rev(2, on, turnedOn, times(ago(since))))
		s.Strays, s.Routes[0].Since = n, ago(since)
		return asks(to("b-v002", s), func(in *strategy.Input) { in.Watched = ago(since) })
	}
	says(t, strategy.RedBlack{}, []row{
		{"it is", strays(0, time.Minute), "put web-v002 x3 on good"},
		{"one pod of nobody is beside it", strays(1, time.Minute), "wait: 1 pods of no revision of this app are in traffic"},
		{"and stays", strays(1, 10*time.Minute), "abort (unsafe): web-v002 is not alone in traffic: 1 pods of no revision"},
		{"the other comes first", to("b-v002", with(byLabels(endpoints{"web-v001": 3, "web-v002": 3}, rev(1, on, isGood), rev(2, on, turnedOn)),
			func(s *cluster.State) { s.Strays = 1 })), "put web-v001 x3 off good"},
	})
}

// A bake counts from the last time that anything moved: a revision, a route, or
// this run's own looks.
func TestABakeCountsFromWhatMovedLast(t *testing.T) {
	for _, c := range []struct {
		what                        string
		mine, other, route, watched time.Duration
	}{
		{"the revision", 4, 60, 60, 60}, {"the other one", 60, 4, 60, 60}, {"a route", 60, 60, 4, 60}, {"the looks", 60, 60, 60, 4},
	} {
		s := bySelector("web-v002", endpoints{"web-v002": 3}, rev(1, isGood, times(ago(c.other*time.Second))), rev(2, on, times(ago(c.mine*time.Second))))
		s.Routes[0].Since = ago(c.route * time.Second)
		in := to("b-v002", s)
		in.Watched = ago(c.watched * time.Second)
		says(t, strategy.BlueGreen{Bake: 5 * time.Second}, []row{{c.what + " has just moved", in, "wait: web-v002 bakes"}})
		says(t, strategy.BlueGreen{Bake: 4 * time.Second}, []row{{c.what + " moved as long ago", in, "put web-v002 x3 on good"}})
	}
}

// What is given back when a release was given up.
func TestGiveBack(t *testing.T) {
	one, none := rev(1, on, isGood), sized(0, 0)
	failed := func(change ...func(*cluster.Revision)) cluster.Revision { return rev(2, append(change, hasFailed)...) }
	both := func(first, second int) endpoints { return endpoints{"web-v001": first, "web-v002": second} }
	says(t, strategy.RedBlack{Drain: -1}, []row{
		{"it was never in anybody's way", to("b-v002", byLabels(live, one, failed())), "put web-v002 x0 off failed: it was given up"},
		{"be it as small as one", to("b-v002", byLabels(live, one, failed(sized(1, 1)))), "put web-v002 x0 off failed: it was given up"},
		{"and it is gone", to("b-v002", byLabels(live, one, failed(none))), "abort (failed): 5xx"},
		{"it may still be born of what was before", to("b-v002", byLabels(live, one, failed(isBehind))), "wait: the cluster has not taken up"},

		{"traffic goes back first", to("b-v002", byLabels(both(0, 3), rev(1, isGood), failed(on))), "put web-v001 x3 on good: traffic goes back to it"},
		{"after capacity", to("b-v002", byLabels(both(0, 3), rev(1, isGood, sized(1, 1)), failed(on))), "put web-v001 x3 off good: capacity first"},
		{"as much of it as takes the traffic, not as is there", to("b-v002", byLabels(both(2, 0), one, failed(sized(5, 5)))), "put web-v002 x0 off failed"},
		{"one pod, where nothing serves and nothing is to", to("b-v002", byLabels(both(0, 0), rev(1, isGood, none), failed(none))), "put web-v001 x1 off good: capacity first"},
		{"and no more than one", to("b-v002", byLabels(both(0, 0), rev(1, isGood, sized(1, 1)), failed(none))), "put web-v001 x1 on good: traffic goes back"},
		{"until it serves, the bad one does", to("b-v002", byLabels(both(2, 3), one, failed(on))), "wait: 2 of 3 endpoints of web-v001 are back"},
		{"though it be with one endpoint", to("b-v002", byLabels(both(2, 1), one, failed(on))), "wait: 2 of 3 endpoints of web-v001 are back"},
		{"and then it loses its own", to("b-v002", byLabels(both(3, 3), one, failed(on))), "put web-v002 x3 off failed: traffic goes back"},
		{"be it one for one", to("b-v002", byLabels(both(1, 1), rev(1, on, isGood, sized(1, 1)), failed(on, sized(1, 1)))), "put web-v002 x1 off failed: traffic goes back"},
		{"what does not serve is not waited for", to("b-v002", byLabels(both(1, 0), one, failed(on))), "put web-v002 x3 off failed: traffic goes back"},
	})
}

// With no older good one there is nothing to give traffic to.
func TestGiveBackToNobody(t *testing.T) {
	failed := func(change ...func(*cluster.Revision)) cluster.Revision { return rev(1, append(change, hasFailed)...) }
	says(t, strategy.RedBlack{Drain: -1}, []row{
		{"it serves: it is left", to("b-v001", byLabels(endpoints{"web-v001": 1}, failed(on))), "abort (stranded): 5xx; no older revision is good, so it was left in traffic"},
		{"it does not serve: it shall not", to("b-v001", byLabels(endpoints{}, failed(on))), "put web-v001 x3 off failed: it was given up"},
		{"nor a pod of it", to("b-v001", byLabels(endpoints{}, failed(oneUnsettled))), "put web-v001 x3 off failed: it was given up"},
		{"it was told, and the cluster has not followed", to("b-v001", byLabels(endpoints{}, failed(isBehind))), "wait: the cluster has not taken up"},
		{"it is dark", to("b-v001", byLabels(endpoints{}, failed())), "put web-v001 x0 off failed: it was given up"},
	})
	says(t, strategy.BlueGreen{Drain: -1}, []row{
		{"a route names it, and there is no other name to give", to("b-v001", bySelector("web-v001", endpoints{}, failed(on))), "abort (stranded): 5xx; traffic does not go back: no older revision is good"},
		{"no route names it, and the cluster has not followed", to("b-v001", bySelector("", endpoints{}, failed(isBehind))), "wait: the cluster has not taken up"},
		{"it is dark", to("b-v001", bySelector("", endpoints{}, failed())), "put web-v001 x0 off failed: it was given up"},
	})
}

// Nothing is taken from one revision that has all the traffic, and all of its
// own, whoever it is: a release that never had traffic has moved none.
func TestWhatServesAloneIsLeftAlone(t *testing.T) {
	bad := rev(3, hasFailed)
	serves := func(n int, change ...func(*cluster.Revision)) strategy.Input {
		return to("b-v003", byLabels(endpoints{"web-v002": n}, rev(1, isGood), rev(2, change...), bad))
	}
	left, taken := "put web-v003 x0 off failed: it was given up", "put web-v001 x3 on good: traffic goes back"
	says(t, strategy.RedBlack{Drain: -1}, []row{
		{"all of three", serves(3, on), left},
		{"all of one", serves(1, on, sized(1, 1)), left},
		{"two of three", serves(2, on), taken},
		{"none of three", serves(0, on), taken},
		{"none of none", serves(0, on, sized(0, 0)), taken},
		{"nobody serves", serves(0), taken},
		{"two of them serve", to("b-v003", byLabels(endpoints{"web-v001": 3, "web-v002": 3}, rev(1, on, isGood), rev(2, on), bad)), "put web-v002 x3 off: traffic goes back"},
		{"another is to serve", to("b-v003", byLabels(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, on), bad)), "put web-v002 x3 off: traffic goes back"},
		{"a pod of another is", to("b-v003", byLabels(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, oneUnsettled), bad)), "put web-v002 x3 off: traffic goes back"},
		{"an endpoint of another is there still", to("b-v003", byLabels(endpoints{"web-v001": 3, "web-v002": 1}, rev(1, on, isGood), rev(2), bad)), "wait: 1 endpoints of web-v002 are still in traffic"},
	})
}

// When a release was given up and given back, what dead runs have left is given
// up, too, where nobody else will.
func TestLeftovers(t *testing.T) {
	none, named := sized(0, 0), func(name string) func(*cluster.Revision) { return func(r *cluster.Revision) { r.Name = name } }
	one, bad := rev(1, on, isGood), rev(3, hasFailed, none)
	left := func(middle ...cluster.Revision) strategy.Input {
		return to("b-v003", byLabels(live, append(append([]cluster.Revision{one}, middle...), bad)...))
	}
	recent := times(ago(20 * time.Second))
	ends := "abort (failed): 5xx"
	says(t, strategy.RedBlack{}, []row{
		{"nothing was left", left(), ends},
		{"one that nobody has decided about", left(rev(2)), "put web-v002 x3 off failed: superseded by web-v003"},
		{"though it has no replicas", left(rev(2, none)), "put web-v002 x0 off failed: superseded by web-v003"},
		{"one behind another that is not", left(rev(2, anArm, none), rev(2)), "put web-v002 x3 off failed: superseded by web-v003"},
		{"one that is not ours", left(rev(2, ofNobody)), ends},
		{"an arm", left(rev(2, anArm)), ends},
		{"one of the same sequence is not below it", left(rev(3, named("web-x"), ofRelease("x"))), ends},
		{"one that was given up has replicas still", left(rev(2, hasFailed)), "put web-v002 x0 off failed: it was given up"},
		{"be it one", left(rev(2, hasFailed, sized(1, 1))), "put web-v002 x0 off failed: it was given up"},
		{"which drains first", left(rev(2, hasFailed, recent)), "wait: web-v002 drains"},
		{"one that was given up and is gone", left(rev(2, hasFailed, none)), ends},
		{"one above it is not its concern", to("b-v003", byLabels(live, one, bad, rev(4, hasFailed))), ends},
		{"nor one below what was gone back to", to("b-v003", byLabels(endpoints{"web-v002": 3}, rev(1, hasFailed), rev(2, on, isGood), bad)), ends},
		{"nor one beside that", to("b-v003", byLabels(endpoints{"web-v002": 3}, rev(2, hasFailed, named("web-x")), rev(2, on, isGood), bad)), ends},
		{"nor the way back", to("b-v003", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on, isGood), bad)), ends},
		{"one that serves, alone", to("b-v003", byLabels(endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on), bad)), ends},
	})
}

// An undisturbed run writes what its doc says and no more.
func TestWritesOfAnUndisturbedRun(t *testing.T) {
	for _, n := range []int{1, 3, 10} {
		w := fake.New(fake.World{})
		w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: n, Enabled: true, Template: []byte("old")})
		before := len(w.Writes())
		_, err := strategy.Runner{Cluster: w, Clock: w, ID: "run", Stay: true}.Run(context.Background(), "web",
			cluster.Target{Release: "build-2", Template: []byte("t")}, strategy.RedBlack{Keep: strategy.Retention{Shrink: time.Minute}})
		require.NoError(t, err)
		const create, good, shrink = 1, 1, 1
		require.Len(t, w.Writes()[before:], create+(1+n)+(1+n)+good+shrink, "%v", w.Writes()[before:])
	}
}
