// What blue-green says where it differs: how a route is moved, and when over two
// revisions.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

func TestWhatBlueGreenRefuses(t *testing.T) {
	selects := bySelector("web-v001", live, rev(1, on, isGood), rev(2))
	worker := with(selects, func(s *cluster.State) { s.Routes = nil })
	labels := with(selects, func(s *cluster.State) { s.Can = cluster.Can{Enable: true} })
	for _, c := range []struct {
		settings strategy.BlueGreen
		state    cluster.State
		want     string
	}{
		{strategy.BlueGreen{}, selects, "route service/web to web-v002"},
		{strategy.BlueGreen{Settle: 1}, selects, "route service/web to web-v002"},
		{strategy.BlueGreen{Settle: -1}, selects, "abort (unfit): BlueGreen: Settle must not be negative"},
		{strategy.BlueGreen{Overlap: strategy.WhereNeeded - 1}, selects, "abort (unfit): BlueGreen: Settle must not be negative, and Overlap one of its constants"},
		{strategy.BlueGreen{Overlap: strategy.Never}, selects, "route service/web to web-v002"},
		{strategy.BlueGreen{Overlap: strategy.Never + 1}, selects, "abort (unfit): BlueGreen: Settle must not be negative, and Overlap one of its constants"},
		{strategy.BlueGreen{}, worker, "abort (unfit): BlueGreen: it moves traffic, and no route brings any to this app"},
		{strategy.BlueGreen{}, labels, "abort (unfit): BlueGreen: it switches a Service's selector, and this cluster cannot"},
		{strategy.BlueGreen{Bake: -1}, selects, "abort (unfit): BlueGreen: Ready, Judge and Bake must not be negative"},
		{strategy.BlueGreen{Bake: -1, Settle: time.Minute}, selects, "abort (unfit): BlueGreen: Ready, Judge and Bake must not be negative"},
		{strategy.BlueGreen{Ready: -1}, worker, "abort (unfit): BlueGreen: Ready, Judge and Bake must not be negative"},
	} {
		says(t, c.settings, []row{{"settings before the cluster", to("b-v002", c.state), c.want}})
	}
}

// Where somebody else manages the objects too, a route must stay for five
// minutes before the release is good; a Settle or a longer Bake is taken as it
// is.
func TestSettle(t *testing.T) {
	baking := func(since time.Duration, warnings ...string) strategy.Input {
		s := bySelector("web-v002", endpoints{"web-v002": 3}, rev(1, isGood), rev(2, on))
		s.Routes[0].Since, s.Warnings, s.Contested = ago(since), warnings, len(warnings) > 0
		return asks(to("b-v002", s), func(in *strategy.Input) { in.Watched = ago(time.Hour) })
	}
	const foreign = "service/web: the field spec.selector is managed by helm"
	bakes, good := "wait: web-v002 bakes", "put web-v002 x3 on good"
	says(t, strategy.BlueGreen{}, []row{
		{"nobody else", baking(0), good},
		{"somebody else", baking(5*time.Minute-time.Second, foreign), bakes},
		{"and it has stayed", baking(5*time.Minute, foreign), good},
	})
	says(t, strategy.BlueGreen{Settle: time.Minute}, []row{
		{"nobody else", baking(59 * time.Second), bakes},
		{"a Settle is taken as it is", baking(time.Minute, foreign), good},
	})
	says(t, strategy.BlueGreen{Bake: time.Minute}, []row{
		{"a Bake that is longer", baking(59 * time.Second), bakes},
		{"or shorter", baking(time.Minute, foreign), bakes},
	})
}

// A switch notes where a route came from, once, and only if nobody has moved it
// before: that is what is gone back to.
func TestWhereARouteCameFrom(t *testing.T) {
	for _, c := range []struct {
		why     string
		names   string
		serving endpoints
		from    string
		since   time.Time
		want    string
	}{
		{"what it served", "web-v001", live, "", time.Time{}, "web-v001"},
		{"be it with one endpoint", "web-v001", endpoints{"web-v001": 1}, "", time.Time{}, "web-v001"},
		{"of two the newest", "web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 3}, "", time.Time{}, "web-v002"},
		{"of two the one that serves", "web-v001 web-v002", live, "", time.Time{}, "web-v001"},
		{"not what it has just left", "web-v001", endpoints{"web-v001": 3, "web-v002": 3}, "", time.Time{}, "web-v001"},
		{"nothing, if nothing served", "web-v001", endpoints{}, "", time.Time{}, ""},
		{"it is noted already", "web-v002", endpoints{"web-v002": 3}, "web-v001", time.Time{}, "web-v001"},
		{"it was moved before", "web-v001", live, "", ago(time.Minute), ""},
	} {
		s := bySelector(c.names, c.serving, rev(1, ofNobody), rev(2, ofNobody), rev(3))
		s.Routes[0].From, s.Routes[0].Since = c.from, c.since
		step, ok := strategy.BlueGreen{}.Next(to("b-v003", s)).(strategy.SetRoute)
		require.True(t, ok, c.why)
		require.Equal(t, c.want, step.Route.From, c.why)
		require.Equal(t, map[string]int{"web-v003": 100}, step.Route.Weights, c.why)
	}
}

func TestOverlap(t *testing.T) {
	size := func(n int) func(*cluster.Revision) { return sized(n, n) }
	switching := func(served, wanted int, external bool) strategy.Input {
		s := bySelector("web-v001", endpoints{"web-v001": served}, rev(1, on, isGood, size(served)), rev(2, size(wanted)))
		s.Routes[0].External = external
		return to("b-v002", s)
	}
	one, both := "route service/web to web-v002:", "route service/web to web-v001, web-v002:"
	says(t, strategy.BlueGreen{}, []row{
		{"a hundred are in one slice", switching(100, 100, false), one},
		{"a hundred and one serve", switching(101, 100, false), both},
		{"a hundred and one are to", switching(100, 101, false), both},
		{"a load balancer outside follows later", switching(1, 1, true), both},
	})
	says(t, strategy.BlueGreen{Overlap: strategy.Never}, []row{{"never", switching(101, 101, true), one}})
	says(t, strategy.BlueGreen{Overlap: strategy.Always}, []row{
		{"always", switching(1, 1, false), both},
		{"but with nothing that does not serve", switching(0, 1, false), one},
		{"nor will it wait for less", to("b-v003", bySelector("web-v001", endpoints{}, rev(1, on, isGood), rev(2, isGood), rev(3))), "route service/web to web-v003:"},
		{"nor for what the route has left already", to("b-v003", bySelector("", live, rev(1, on, isGood), rev(2, isGood), rev(3))), "route service/web to web-v003:"},
		{"of two that are selected, with the one that serves", to("b-v003", bySelector("web-v001 web-v002", endpoints{"web-v001": 1}, rev(1, on, isGood), rev(2, on), rev(3))),
			"route service/web to web-v001, web-v003:"},
		{"until the new one serves both stay", to("b-v002", bySelector("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 2}, rev(1, on, isGood), rev(2, on))), "wait: 2 of 3 endpoints of web-v002"},
		{"and then it stays alone", to("b-v002", bySelector("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 3}, rev(1, on, isGood), rev(2, on))), "route service/web to web-v002:"},
		{"and waits for the last of the other", to("b-v002", bySelector("web-v002", endpoints{"web-v001": 1, "web-v002": 3}, rev(1, isGood), rev(2, on))), "wait: 1 endpoints of web-v001"},
	})
}

// A selector that brings traffic to two revisions would bring it to a third:
// that has no pods then.
func TestAThirdIsGoneBeforeTwoAreSelected(t *testing.T) {
	third := func(serves int, change ...func(*cluster.Revision)) strategy.Input {
		s := bySelector("web-v001", endpoints{"web-v001": 3, "web-v002": serves}, rev(1, on, isGood), rev(2, append(change, hasFailed)...), rev(3))
		return to("b-v003", s)
	}
	left := func(n int) func(*cluster.Revision) {
		return func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 0, n, 0 }
	}
	recent := times(ago(29 * time.Second))
	says(t, strategy.BlueGreen{Overlap: strategy.Always}, []row{
		{"it has none", third(0, left(0)), "route service/web to web-v001, web-v003:"},
		{"it has some", third(0), "put web-v002 x0 off failed: while two revisions are selected"},
		{"be it one", third(0, sized(1, 1)), "put web-v002 x0 off failed: while two revisions are selected"},
		{"it drains first", third(0, recent), "wait: web-v002 drains"},
		{"be it one", third(0, sized(1, 1), recent), "wait: web-v002 drains"},
		{"it is about to have none", third(0, left(1)), "wait: 1 pods of web-v002 have to go first"},
		{"which is not to drain", third(0, left(1), recent), "wait: 1 pods of web-v002 have to go first"},
		{"somebody may be using it", third(1), "wait: 1 endpoints of web-v002 are still in traffic"},
		{"an autoscaler writes its replicas", beside(third(0), "web-v002"), "route horizontalpodautoscaler/web to web-v001: it serves, and web-v002 does not"},
		{"and of another one", beside(third(0), "web-v003"), "put web-v002 x0 off failed: while two revisions are selected"},
	})
}

// A wait for pods to go begins when they have drained, not when somebody decided it.
func TestPodsThatDrainAreWaitedForAfterwards(t *testing.T) {
	third := func(moved time.Duration) strategy.Input {
		left := rev(2, hasFailed, func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Moved = 0, 1, 0, ago(moved) })
		in := to("b-v003", bySelector("web-v001", live, rev(1, on, isGood), left, rev(3)))
		in.Watched = ago(time.Hour)
		return in
	}
	says(t, strategy.BlueGreen{Overlap: strategy.Always, Drain: 5 * time.Minute, Ready: 10 * time.Minute}, []row{
		{"ten minutes after it drained", third(15 * time.Minute), "put web-v003 x3 off failed: 1 pods of web-v002 have to go first, after 10m0s"},
		{"a second earlier", third(15*time.Minute - time.Second), "wait: 1 pods of web-v002 have to go first"},
	})
}

// routed is a State by selector, with a change of its route.
func routed(names string, serving endpoints, change func(*cluster.Route), revisions ...cluster.Revision) cluster.State {
	return with(bySelector(names, serving, revisions...), func(s *cluster.State) { change(&s.Routes[0]) })
}

const held = "held for web-v002 uid-web-v002"

// A route in which nothing tells revisions apart is kept to what it serves, before
// the new one has a pod; what it is kept to may change under it.
func TestARouteIsPinned(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	opened := func(note string) func(*cluster.Route) {
		return func(r *cluster.Route) { r.Open, r.Note = true, note }
	}
	pinned := func(note string) func(*cluster.Route) {
		return func(r *cluster.Route) { r.Pinned, r.Note = true, note }
	}
	old, mine := rev(1, on, isGood), rev(2, none)
	one := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 1, 1, 1 }
	pins, behind := "route service/web to web-v001: web-v002 has no pods yet", "wait: the cluster has not taken up what was last wanted of web-v001"
	says(t, strategy.BlueGreen{}, []row{
		{"it is open", to("b-v002", routed("web-v001", live, opened(""), old, mine)), pins},
		{"and the old one was written a moment ago", to("b-v002", routed("web-v001", live, opened(""), rev(1, on, isGood, isBehind), mine)), behind},
		{"it is pinned for this one", to("b-v002", routed("web-v001", live, pinned(held), old, mine)), "put web-v002 x3"},
		{"and the old one was written since", to("b-v002", routed("web-v001", live, pinned(held), rev(1, on, isGood, isBehind), mine)), behind},
		{"it is pinned for another one", to("b-v002", routed("web-v001", live, pinned("held for web-v002 another"), old, mine)), pins},
		{"somebody has opened it again, early", to("b-v002", routed("web-v001", live, opened(held), old, mine)), pins},
		{"and when there were pods", to("b-v002", routed("web-v001", live, opened(held), old, rev(2))), "put web-v002 x3 off failed: service/web was kept to web-v001, and somebody has opened it to every revision"},
		{"be it one", to("b-v002", routed("web-v001", live, opened(held), old, rev(2, one))), "put web-v002 x1 off failed: service/web was kept to web-v001, and somebody has opened it"},
		{"it brings the new one traffic already, which is seen first", to("b-v002", routed("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 3}, opened(""), old, rev(2, on))), "route service/web to web-v002: web-v002 serves"},
		{"and has not one pod of it", to("b-v002", routed("web-v002", live, opened(""), old, mine)), "put web-v002 x3 off"},
		{"and somebody has opened it again", to("b-v002", routed("web-v001 web-v002", endpoints{"web-v001": 3, "web-v002": 3}, opened(held), old, rev(2, on))), "put web-v002 x3 on failed: service/web was kept to web-v001, and somebody has opened it"},
		{"the new one is good, and traffic is not with it", to("b-v002", routed("web-v001", live, opened(held), old, rev(2, isGood))), "route service/web to web-v002: it is ready"},
		{"nothing was kept of it", to("b-v002", routed("web-v001", live, opened(""), old, rev(2))), "route service/web to web-v002: it is ready"},
		{"the new one is good", to("b-v002", routed("web-v002", endpoints{"web-v002": 3}, opened(""), rev(1, isGood), rev(2, on, isGood))), "done"},
	})
	second := to("b-v002", routed("web-v001", live, func(*cluster.Route) {}, old, mine))
	second.State.Routes = append(second.State.Routes, cluster.Route{Name: "service/zweb", Open: true, Serving: live, Weights: endpoints{"web-v001": 100}, Version: "7"})
	says(t, strategy.BlueGreen{}, []row{{"the second one is open", second, "route service/zweb to web-v001: web-v002 has no pods yet"}})

	for _, c := range []struct {
		from  string
		since time.Time
		want  string
	}{{"", time.Time{}, "web-v001"}, {"web-v000", time.Time{}, "web-v000"}, {"", ago(time.Hour), ""}, {"web-v000", ago(time.Hour), "web-v000"}} {
		in := to("b-v002", routed("web-v001", live, opened(""), old, mine))
		in.State.Routes[0].From, in.State.Routes[0].Since = c.from, c.since
		pin := strategy.BlueGreen{}.Next(in).(strategy.SetRoute).Route
		require.Equal(t, c.want, pin.From)
		require.True(t, pin.Pinned)
		require.Equal(t, held, pin.Note)
	}
}

// What a route is pinned to makes pods of another template: the route empties.
func TestAPinIsLost(t *testing.T) {
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Note = 0, 0, 0, "size 3" }
	lost := func(serving endpoints, from string, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", routed("", serving, func(r *cluster.Route) { r.Pinned, r.Note, r.From, r.Since = true, held, from, ago(time.Hour) }, revisions...))
	}
	mine, two := rev(2, none), endpoints{"web-v001": 2}
	again := "route service/web to web-v001: its pods are of a new template, all of them"
	opens := "route service/web to web-v001: its pods are being replaced by those of another template"
	says(t, strategy.BlueGreen{}, []row{
		{"the old one is about to", lost(two, "", rev(1, on, isGood, isBehind), mine), "wait: the cluster has not taken up what was last wanted of web-v001"},
		{"it has, with all its pods", lost(live, "", rev(1, on, isGood), mine), again},
		{"be it one", lost(endpoints{"web-v001": 1}, "", rev(1, on, isGood, sized(1, 1)), mine), again},
		{"one is not ready", lost(two, "", rev(1, on, isGood, sized(3, 2)), mine), opens},
		{"one is too many", lost(live, "", rev(1, on, isGood, func(r *cluster.Revision) { r.Pods = 4 }), mine), opens},
		{"it has none any more", lost(nil, "web-v001", rev(1, isGood, sized(0, 0)), mine), opens},
		{"the new one has pods, which would be in traffic", lost(two, "", rev(1, on, isGood, sized(3, 2)), rev(2)), "put web-v002 x3 off failed: the template of web-v001 was changed, while service/web was kept to its pods"},
		{"be it one", lost(two, "", rev(1, on, isGood, sized(3, 2)), rev(2, sized(1, 1))), "put web-v002 x1 off failed: the template of web-v001 was changed"},
		{"whoever serves it was pinned to", lost(endpoints{"web-v001": 2}, "web-v000", rev(0, isGood), rev(1, on, isGood, sized(3, 2)), mine), opens},
		{"if nobody does, where it came from", lost(nil, "web-v000", rev(0, isGood, sized(3, 2)), rev(1, on, isGood), mine), "route service/web to web-v000"},
	})
	open := strategy.BlueGreen{}.Next(lost(two, "", rev(1, on, isGood, sized(3, 2)), mine)).(strategy.SetRoute).Route
	require.False(t, open.Pinned)
	require.Equal(t, "released", open.Note)
	require.Equal(t, map[string]int{"web-v001": 100}, open.Weights)
}

// A pin comes off when nothing else has pods; where it is lost, what was given up goes
// at once, and the route is written before, so that nothing late gets in the way.
func TestAPinComesOff(t *testing.T) {
	ready := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready, r.Leaving = 0, 1, 1, 1 }
	none := func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 0, 0, 0 }
	of := func(names, note string, revisions ...cluster.Revision) strategy.Input {
		return to("b-v002", routed(names, live, func(r *cluster.Route) { r.Pinned, r.Note, r.Since = true, note, ago(time.Hour) }, revisions...))
	}
	old := rev(1, on, isGood)
	const losing = "losing its pin"
	says(t, strategy.BlueGreen{Drain: -1}, []row{
		{"one is to have a pod", of("web-v001", held, old, rev(2, hasFailed, sized(1, 0))), "put web-v002 x0 off failed: it was given up"},
		{"lost, and it has pods", of("", held, old, rev(2, hasFailed)), "route service/web to web-v001: kept to whichever of its templates has more pods"},
		{"be it one", of("", held, old, rev(2, hasFailed, sized(1, 1))), "route service/web to web-v001: kept to whichever of its templates has more pods"},
		{"which was written", of("", losing, old, rev(2, hasFailed)), "put web-v002 x0 off failed: service/web has to be opened"},
		{"be it one", of("", losing, old, rev(2, hasFailed, sized(1, 1))), "put web-v002 x0 off failed: service/web has to be opened"},
		{"its last pods go", of("", losing, old, rev(2, hasFailed, ready)), "wait: web-v002 still has pods"},
		{"be it before that was written", of("", held, old, rev(2, hasFailed, ready)), "wait: web-v002 still has pods"},
		{"nothing has any", of("", losing, old, rev(2, hasFailed, none)), "route service/web to web-v001: nothing else has pods"},
		{"a third one has pods: it is opened for none of them", of("", held, rev(0, isGood), old, rev(2, hasFailed)), "route service/web to web-v001: traffic goes back to it"},
		{"another one has", of("", held, rev(0, isGood), old, rev(2, hasFailed, none)), "route service/web to web-v001: traffic goes back to it"},
	})
	keeps := strategy.BlueGreen{}.Next(of("", held, old, rev(2, hasFailed))).(strategy.SetRoute).Route
	require.Equal(t, losing, keeps.Note)
	second := of("web-v001", "", old, rev(2, hasFailed, none))
	second.State.Routes[0].Pinned = false
	second.State.Routes = append(second.State.Routes, cluster.Route{Name: "service/zweb", Serving: live, Weights: endpoints{"web-v001": 100}, Pinned: true, Since: ago(time.Hour), Version: "7"})
	says(t, strategy.BlueGreen{}, []row{{"of the second route", second, "route service/zweb to web-v001: nothing else has pods"}})
}

// A roll by selector keeps who is to have pods in the route, ready or not; and what
// leaves it leaves it to another one.
func TestARollBySelectorKeepsWhoHasReplicas(t *testing.T) {
	first := rev(2, size(1), noted("size 3"))
	moves := func(old ...func(*cluster.Revision)) strategy.Input {
		return to("b-v002", bySelector("web-v001", nil, rev(1, append(old, on, isGood)...), first))
	}
	both := map[string]int{"web-v001": 100, "web-v002": 100}
	require.Equal(t, both, weightsOf(t, strategy.Rolling{}, moves(sized(3, 0))))
	require.Equal(t, both, weightsOf(t, strategy.Rolling{}, moves(sized(1, 0))))
	require.Equal(t, map[string]int{"web-v002": 100}, weightsOf(t, strategy.Rolling{}, moves(sized(0, 0))))

	last := to("b-v002", bySelector("web-v001 web-v002", endpoints{"web-v001": 1, "web-v002": 3}, rev(1, on, isGood, size(1), noted("size 3")), rev(2, on)))
	require.Equal(t, map[string]int{"web-v002": 100}, weightsOf(t, strategy.Rolling{}, last), "the last replica goes after its share of the route")
	require.Equal(t, both, last.State.Routes[0].Weights, "a look is nobody's to change")
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
