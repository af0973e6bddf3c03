// What RedBlack says in stages, as Highlander, and where it refuses.

package strategy_test

import (
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

func TestRedBlack(t *testing.T) {
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
	small := func(change ...func(*cluster.Revision)) strategy.Input {
		return to("b-v002", byLabels(live, rev(1, on, isGood), rev(2, append(change, size(1))...)))
	}
	says(t, strategy.RedBlack{}, []row{
		{"somebody has made it smaller", small(), "put web-v002 x1 on: it is ready"},
		{"but it is to be larger", small(on, noted("size 3")), "put web-v002 x3 on: it has 1 of 3 replicas"},
		{"none are too few", to("b-v002", byLabels(live, rev(1, on, isGood), rev(2, on, size(0)))), "put web-v002 x3 on: it has 0 of 3 replicas"},
	})
	weighed := with(byLabels(live, rev(1, on, isGood)), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true} })
	says(t, strategy.RedBlack{}, []row{{"a router", to("b2", weighed), "abort (unfit): RedBlack turns traffic on and off by pod labels, and a route here divides it by weight"}})
	says(t, strategy.BlueGreen{}, []row{{"a router", to("b2", weighed), "abort (unfit): BlueGreen: it switches a Service's selector, and a route here divides traffic by weight"}})
	both := with(bySelector("web-v001", live, rev(1, on, isGood), rev(2)), func(s *cluster.State) { s.Can = cluster.Can{Weigh: true, Select: true} })
	says(t, strategy.BlueGreen{}, []row{{"a router beside a selector", to("b-v002", both), "route service/web to web-v002"}})
}
