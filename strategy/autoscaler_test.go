// Beside an autoscaler: it follows the traffic, nobody pulls at the replicas that
// it writes, and what serves is never less for it.

package strategy_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

const scaler = "horizontalpodautoscaler/web"

// scaled is a world with web-v001 in traffic and an autoscaler that names it. It
// scales by load alone, at once, and is as hasty as one can be set: who has all the
// traffic gets load pods, who has half of it half of them, and who has none one.
type scaled struct {
	*fake.Cluster
	t     *testing.T
	load  int
	floor int // endpoints that there must always be
}

func newScaled(t *testing.T, can cluster.Can, edit ...func(*fake.World)) *scaled {
	s := &scaled{t: t, load: 3}
	world := fake.World{Can: can, Routes: []cluster.Route{
		{Name: scaler, Scaler: true, Weights: map[string]int{"web-v001": 100}},
		{Name: "service/web"},
	}}
	if can.Select {
		world.Routes[1].Weights = map[string]int{}
	}
	world.Changed = func() {
		if n := s.Endpoints("web"); s.floor > 0 && n < s.floor {
			t.Fatalf("%d endpoints serve, and the floor is %d: %+v", n, s.floor, s.State("web"))
		}
	}
	for _, e := range edit {
		e(&world)
	}
	s.Cluster = fake.New(world)
	s.Scale("web", scaler, func(r cluster.Revision) int {
		mine, all := s.State("web").Exposed(r.Name), s.State("web").Serving()
		return max(1, (s.load*mine+all-1)/max(1, all))
	}, time.Second)
	return s
}

func (s *scaled) old() {
	s.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
}

// sizes returns the revision that the autoscaler names; "" if there is none.
func (s *scaled) sizes() string {
	for _, r := range s.State("web").Revisions {
		if _, ok := s.State("web").ScalerOf(r.Name); ok {
			return r.Name
		}
	}
	return ""
}

func (s *scaled) replicas(name string) int {
	r, _ := s.State("web").Named(name)
	return r.Replicas
}

// run runs, and judges each step as it is taken.
func (s *scaled) run(id string, target cluster.Target, what strategy.Strategy, see func(strategy.Event)) error {
	r := runner(s.Cluster, id)
	r.Trace = func(e strategy.Event) {
		s.judge(e)
		if see != nil && e.Err == nil {
			see(e)
		}
	}
	return bounded(s.t, r, target, what)
}

// judge is the law: replicas that an autoscaler writes are written by nobody else,
// unless they are none, or become none where nothing else has traffic.
func (s *scaled) judge(e strategy.Event) {
	put, ok := e.Step.(strategy.Put)
	if !ok {
		return
	}
	found, _ := e.Input.State.Named(put.Revision.Name)
	by, sized := e.Input.State.ScalerOf(found.Name)
	if alone := e.Input.State.Serving() == 0; sized && found.Replicas > 0 && put.Revision.Replicas != found.Replicas {
		require.True(s.t, alone && put.Revision.Replicas == 0, "%v, and %s writes its %d replicas", put, by.Name, found.Replicas)
	}
}

// both are the ways to move traffic, with the strategy for each.
var both = map[string]struct {
	can  cluster.Can
	with strategy.Strategy
}{
	"labels":   {cluster.Can{Enable: true}, strategy.RedBlack{Drain: -1, Bake: 10 * time.Second}},
	"selector": {cluster.Can{Select: true}, strategy.BlueGreen{Drain: -1, Bake: 10 * time.Second}},
}

// each tries a law in both ways.
func each(t *testing.T, law func(t *testing.T, s *scaled, with strategy.Strategy)) {
	for name, way := range both {
		t.Run(name, func(t *testing.T) {
			s := newScaled(t, way.can)
			s.old()
			law(t, s, way.with)
		})
	}
}

// beside adds an autoscaler that names a revision.
func beside(in strategy.Input, name string) strategy.Input {
	in.State.Routes = append(in.State.Routes, cluster.Route{Name: scaler, Scaler: true, Weights: endpoints{name: 100}})
	return in
}

// A dark revision that has to grow is not measured meanwhile: the autoscaler that names
// it is pointed at who has most of the traffic, and has replicas to scale.
func TestWhoIsScaledUntilTrafficIsBack(t *testing.T) {
	small := rev(4, size(1), noted("size 3"))
	named := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return beside(to("b-v004", byLabels(serving, revisions...)), "web-v004")
	}
	asked := beside(to("b-v004", byLabels(live, rev(1, on, isGood), rev(4, size(1)))), "web-v001")
	larger := asked
	asked.Target.Replicas = 1
	says(t, strategy.RedBlack{}, []row{
		{"as large as an autoscaler has made what serves", larger, "put web-v004 x3 off: an autoscaler has made what serves that large"},
		{"as large as the target says", asked, "put web-v004 x1 on: it is ready"},
		{"who has most", named(endpoints{"web-v001": 1, "web-v002": 3}, rev(1, on, isGood, size(1)), rev(2, on, isGood), small), "route horizontalpodautoscaler/web to web-v002: web-v004 has to grow before it gets traffic"},
		{"of two that have as much, the older", named(endpoints{"web-v001": 1, "web-v002": 1}, rev(1, on, isGood, size(1)), rev(2, on, isGood, size(1)), small), "route horizontalpodautoscaler/web to web-v001"},
		{"who has none left is not", named(endpoints{"web-v001": 3, "web-v002": 1}, rev(1, on, isGood, size(0)), rev(2, on, isGood, size(1)), small), "route horizontalpodautoscaler/web to web-v002"},
		{"nor is it itself, which is on its way out", named(endpoints{"web-v001": 1, "web-v004": 3}, rev(1, on, isGood, size(1)), rev(4, size(2), noted("size 3"))), "route horizontalpodautoscaler/web to web-v001"},
		{"nobody has", named(nil, rev(1, isGood), small), "put"},
	})
}

func TestAnAutoscalerFollowsTheTraffic(t *testing.T) {
	each(t, func(t *testing.T, s *scaled, with strategy.Strategy) {
		s.floor = 3
		moved := 0
		require.NoError(t, s.run("run", build("build-2"), with, func(e strategy.Event) {
			if to, ok := e.Step.(strategy.SetRoute); ok && to.Route.Name == scaler {
				moved++
				mine, _ := e.Input.Mine()
				require.Equal(t, cluster.Undecided, mine.Outcome.Result, "before it bakes")
				require.Equal(t, e.Input.State.Serving(), e.Input.State.ReliedOn(mine.Name), "alone in traffic")
				require.Equal(t, map[string]int{mine.Name: 100}, to.Route.Weights)
			}
		}))
		require.Equal(t, 1, moved)
		require.Equal(t, "web-v002", s.sizes())
		s.load = 5
		require.NoError(t, s.Sleep(ctx, 10*time.Second))
		require.Equal(t, 5, s.replicas("web-v002"))
		writes := s.Written()
		require.NoError(t, s.run("rerun", build("build-2"), with, nil))
		require.Equal(t, writes, s.Written(), "run again, it writes nothing")
	})
}

// What the autoscaler adds while the new revision comes up, that one gets, too,
// before its traffic. A number that was asked for is what was asked for.
func TestTheNewRevisionGrowsWithTheOld(t *testing.T) {
	each(t, func(t *testing.T, s *scaled, with strategy.Strategy) {
		large := build("build-2")
		large.Replicas = 4
		for target, want := range map[*cluster.Target]int{{Release: "build-3", Template: []byte("new")}: 6, &large: 4} {
			s := newScaled(t, s.State("web").Can)
			s.old()
			atTraffic := 0
			require.NoError(t, s.run("run", *target, with, func(e strategy.Event) {
				mine, found := e.Input.Mine()
				if found && !mine.Enabled {
					s.load = 6
					atTraffic = mine.Replicas
				}
			}))
			require.Equal(t, want, atTraffic, "replicas of the new one when it gets traffic")
		}
	})
}

func TestTheWayBackIsAsLargeAsTheAutoscalerMadeTheOther(t *testing.T) {
	each(t, func(t *testing.T, s *scaled, with strategy.Strategy) {
		require.NoError(t, s.run("run", build("build-2"), with, nil))
		s.load = 7
		require.NoError(t, s.Sleep(ctx, 20*time.Second))
		require.Equal(t, 7, s.replicas("web-v002"))
		s.floor = 7
		require.NoError(t, s.run("undo", build("build-2"), strategy.Undo(with, "errors"), nil))
		require.Equal(t, "web-v001", s.sizes())
		require.Equal(t, 0, s.replicas("web-v002"))
		require.NoError(t, s.Sleep(ctx, 20*time.Second))
		require.Equal(t, 7, s.State("web").ReliedOn("web-v001"))
	})
}

// A run died when it had moved the traffic and not yet the autoscaler, which has
// taken the pods of the old one since, and would take them again.
func TestTheWayBackGrowsAlthoughAnAutoscalerHoldsItSmall(t *testing.T) {
	each(t, func(t *testing.T, s *scaled, with strategy.Strategy) {
		died := errors.New("died")
		require.ErrorIs(t, s.dies(build("build-2"), with, died), died)
		require.NoError(t, s.Sleep(ctx, time.Hour))
		require.Equal(t, 1, s.replicas("web-v001"))
		require.Equal(t, "web-v001", s.sizes())
		s.floor = 3
		require.NoError(t, s.run("undo", build("build-2"), strategy.Undo(with, "errors"), nil))
		require.Equal(t, "web-v001", s.sizes())
		require.Equal(t, 0, s.replicas("web-v002"))
		require.NoError(t, s.Sleep(ctx, time.Minute))
		require.Equal(t, 3, s.State("web").ReliedOn("web-v001"))
	})
}

// dies runs until the autoscaler would be written.
func (s *scaled) dies(target cluster.Target, with strategy.Strategy, died error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err, _ = p.(error)
		}
	}()
	return s.run("dead", target, with, func(e strategy.Event) {
		if to, ok := e.Step.(strategy.SetRoute); ok && to.Route.Name == scaler {
			panic(died)
		}
	})
}

// Where nothing else has traffic the autoscaler stays where it is: no replicas
// turn it off.
func TestAFirstReleaseThatFailsIsTakenFromItsAutoscaler(t *testing.T) {
	for name, way := range both {
		t.Run(name, func(t *testing.T) {
			s := newScaled(t, way.can, func(w *fake.World) {
				w.Ready = func([]byte) (time.Duration, bool) { return time.Second, false }
			})
			target := build("build-1")
			target.Replicas = 3
			var abort *strategy.AbortError
			require.ErrorAs(t, s.run("run", target, way.with, nil), &abort)
			require.Equal(t, strategy.Failed, abort.Kind)
			require.Equal(t, 0, s.replicas("web-v001"))
			require.NoError(t, s.Sleep(ctx, time.Minute))
			require.Equal(t, 0, s.replicas("web-v001"))
		})
	}
}

// Somebody has pointed the autoscaler at the new revision too early, and it is
// given up before it had traffic: what serves gets the autoscaler, good or not.
func TestAnAutoscalerIsTakenFromWhatWasGivenUp(t *testing.T) {
	for name, way := range both {
		t.Run(name, func(t *testing.T) {
			s := newScaled(t, way.can, func(w *fake.World) {
				w.Ready = func(template []byte) (time.Duration, bool) { return time.Second, string(template) != "build-2" }
			})
			s.AddFound("web", cluster.Revision{Name: "web-v001", Release: "build-1", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
			s.floor = 3
			var abort *strategy.AbortError
			require.ErrorAs(t, s.run("run", build("build-2"), way.with, func(e strategy.Event) {
				if _, found := e.Input.Mine(); found && e.Input.State.At.Sub(e.Input.Watched) < time.Minute {
					s.EditRoute("web", scaler, func(r *cluster.Route) { r.Weights = map[string]int{"web-v002": 100} })
				}
			}), &abort)
			require.Equal(t, strategy.Failed, abort.Kind, abort)
			require.Equal(t, "web-v001", s.sizes())
			require.Equal(t, 0, s.replicas("web-v002"))
		})
	}
}

// An overlap needs the third revision gone, and a run that died has left the
// autoscaler there.
func TestAThirdIsClearedAlthoughAnAutoscalerNamesIt(t *testing.T) {
	s := newScaled(t, cluster.Can{Select: true})
	s.old()
	died := errors.New("died")
	require.ErrorIs(t, s.dies(build("build-2"), strategy.BlueGreen{Drain: -1}, died), died)
	s.floor = 3
	require.NoError(t, s.run("run", build("build-3"), strategy.BlueGreen{Drain: -1, Overlap: strategy.Always}, nil))
	require.Equal(t, "web-v003", s.sizes())
	require.Equal(t, 0, s.replicas("web-v001"))
}

// Only who writes the same fields may put a route back; what else a person is
// warned of takes no time.
func TestOnlyContestedRoutesAreWatchedForLong(t *testing.T) {
	took := func(edit func(*fake.Cluster)) time.Duration {
		w := older(cluster.Can{Select: true})
		edit(w)
		began := w.Now()
		require.NoError(t, bounded(t, runner(w, "run"), build("build-2"), strategy.BlueGreen{Drain: -1}))
		return w.Now().Sub(began)
	}
	require.Less(t, took(func(w *fake.Cluster) { w.Warn("web", "a budget over both sides") }), time.Minute)
	require.GreaterOrEqual(t, took(func(w *fake.Cluster) { w.Contest("web", true) }), 5*time.Minute)
}

// Autoscalers follow the traffic, be it of one replica.
func TestAnAutoscalerFollowsOneReplica(t *testing.T) {
	s := with(byLabels(endpoints{"web-v002": 1}, rev(1, isGood, size(1)), rev(2, on, size(1))), func(s *cluster.State) {
		s.Routes = append([]cluster.Route{{Name: scaler, Scaler: true, Version: "7", Weights: endpoints{"web-v001": 100}}}, s.Routes...)
	})
	says(t, strategy.RedBlack{}, []row{{"one", to("b-v002", s), "route " + scaler + " to web-v002"}})
}
