// Two revisions that share a route, and one that is kept out of it.

package strategy_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A roll by a selector took the last replica of one side while the Service still
// selected both. Once that side slept nothing showed that it did: the Service stayed
// open to every version, and neither an undo nor the next release could be made.
func TestBugARollLeftItsRouteOpenToBoth(t *testing.T) {
	failing := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) { return health.Fail, "5xx", nil })
	stages := []strategy.Stage{{Percent: 30}}
	for name, s := range map[string]strategy.Strategy{
		"rolling":                  strategy.Rolling{},
		"rolling, no surge":        strategy.Rolling{Surge: "0", Unavailable: "1"},
		"canary":                   strategy.Canary{Stages: stages, Drain: -1},
		"rolling, and it fails":    strategy.Rolling{After: failing},
		"rolling, fails half-way":  strategy.Rolling{Between: failing},
		"canary, and it fails":     strategy.Canary{Stages: stages, After: failing, Drain: -1},
		"canary, fails at a stage": strategy.Canary{Stages: []strategy.Stage{{Percent: 30, Gate: failing}}, Drain: -1},
	} {
		t.Run(name, func(t *testing.T) {
			w := older(cluster.Can{Select: true})
			r, shared := runner(w, "run"), false
			r.Trace = func(e strategy.Event) {
				put, ok := e.Step.(strategy.Put)
				for _, route := range e.Input.State.Traffic() {
					_, named := route.Weights[put.Revision.Name]
					shared = shared || len(route.Weights) > 1
					require.False(t, ok && put.Revision.Replicas == 0 && named && len(route.Weights) > 1, "%v, and %s names %v", e, route.Name, route.Weights)
				}
			}
			_ = bounded(t, r, build("b2"), s)
			require.True(t, shared, "they never shared it")
			require.Equal(t, 3, w.State("web").Serving())
			require.Len(t, w.State("web").Routes[0].Weights, 1)
		})
	}
}

// Created without replicas, for it would have been in traffic at once, it was found
// with one: an admission had made that of none. It got all the traffic.
func TestBugOneReplicaOfNoneGotAllTheTraffic(t *testing.T) {
	w := older(cluster.Can{Select: true})
	w.AddFound("web", cluster.Revision{Name: "web-v002", Seq: 2, Release: "b2", Template: []byte("b2"), Replicas: 1, Note: "size 3"})
	require.NoError(t, w.Sleep(ctx, time.Minute))
	put, ok := strategy.BlueGreen{}.Next(strategy.Input{App: "web", Target: build("b2"), State: w.State("web")}).(strategy.Put)
	require.True(t, ok)
	require.Equal(t, 3, put.Revision.Replicas)
}

// Of two that share a route, which a third one would be in as soon as it has a pod,
// one gets all of it before that has any.
func TestWhatTwoShareGoesToOneFirst(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	one := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 1, 1, 1, "size 3" }
	both := func(serving endpoints, revisions ...cluster.Revision) strategy.Input {
		return to("b-v003", bySelector("web-v001 web-v002", serving, revisions...))
	}
	three := endpoints{"web-v001": 3, "web-v002": 3}
	says(t, strategy.BlueGreen{}, []row{
		{"made without pods", both(three, rev(1, on, isGood), rev(2, on)), "create web-v003 x0"},
		{"the one before has failed", both(three, rev(1, on, isGood), rev(2, on), rev(3, none)), "put web-v002 x3 on failed: superseded by web-v003"},
		{"to the good one", both(three, rev(1, on, isGood), rev(2, on, hasFailed), rev(3, none)), "route service/web to web-v001: traffic goes back"},
		{"capacity first", both(endpoints{"web-v001": 1, "web-v002": 3}, rev(1, on, isGood, one), rev(2, on, hasFailed), rev(3, none)), "put web-v001 x3"},
		{"nobody is good: to who serves most", both(endpoints{"web-v001": 1, "web-v002": 3}, rev(1, on, hasFailed, one), rev(2, on, hasFailed), rev(3, none)), "route service/web to web-v002"},
		{"one of them is only a name", both(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, on, hasFailed, none), rev(3, none)), "put web-v003 x3"},
		{"of two alike the older", both(three, rev(1, on, hasFailed), rev(2, on, hasFailed), rev(3, none)), "route service/web to web-v001"},
		{"one of them has only pods that go", both(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, on, hasFailed, going(1, 1, time.Hour)), rev(3, none)), "route service/web to web-v001"},
		{"one of them is to have one pod", both(endpoints{"web-v001": 3}, rev(1, on, isGood), rev(2, on, hasFailed, func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 1, 0, 0 }), rev(3, none)), "route service/web to web-v001"},
		{"it has one pod already", both(three, rev(1, on, isGood), rev(2, on, hasFailed), rev(3, one)), "put web-v003 x3"},
		{"it has pods already", both(three, rev(1, on, isGood), rev(2, on, hasFailed), rev(3)), "route service/web to web-v003: it is ready"},
	})
	says(t, strategy.Rolling{Surge: "1", Unavailable: "0"}, []row{
		{"within the bounds of who gets it", both(endpoints{"web-v001": 1, "web-v002": 3}, rev(1, on, isGood, one), rev(2, on, hasFailed), rev(3, none)), "put web-v002 x2"},
	})
}

// A route of ours that is pinned to the old one stays so until the last pods of what
// was given up are gone: it would bring them traffic.
func TestAPinOutlivesThePodsThatItKeepsOut(t *testing.T) {
	gone := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 0, 0, 0 }
	ready := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Leaving = 0, 1, 1, 1 }
	pinned := func(change func(*cluster.Route), revisions ...cluster.Revision) strategy.Input {
		s := bySelector("web-v001", live, revisions...)
		s.Routes[0].Pinned = true
		change(&s.Routes[0])
		return to("b-v002", s)
	}
	ours, nobodys := func(*cluster.Route) {}, func(r *cluster.Route) { r.Since = time.Time{} }
	const waits, over = "wait: service/web stays pinned until the pods of web-v002 are gone", "abort (failed): 5xx"
	says(t, strategy.BlueGreen{}, []row{
		{"a pod of it still answers", pinned(ours, rev(1, on, isGood), rev(2, hasFailed, ready)), waits},
		{"none does: it comes off", pinned(ours, rev(1, on, isGood), rev(2, hasFailed, gone)), "route service/web to web-v001: nothing else has pods"},
		{"it was pinned by somebody else", pinned(nobodys, rev(1, on, isGood), rev(2, hasFailed, ready)), over},
		{"it is not pinned", pinned(func(r *cluster.Route) { r.Pinned = false }, rev(1, on, isGood), rev(2, hasFailed, ready)), over},
		{"another one is to have pods", pinned(ours, rev(0, sized(1, 1), isGood), rev(1, on, isGood), rev(2, hasFailed, ready)), over},
	})
	second := pinned(nobodys, rev(1, on, isGood), rev(2, hasFailed, ready))
	second.State.Routes = append(second.State.Routes, cluster.Route{Name: "service/admin", Serving: live, Weights: endpoints{"web-v001": 100}, Pinned: true, Since: ago(time.Hour)})
	says(t, strategy.BlueGreen{}, []row{{"the second route is ours", second, "wait: service/admin stays pinned"}})
}
