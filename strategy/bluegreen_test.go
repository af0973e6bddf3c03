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
	})
}
