// What a State answers, question by question: a small State a row, and a sentence
// that says why.

package cluster_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
)

// at is a State with one route over some revisions.
func at(can cluster.Can, route cluster.Route, revisions ...cluster.Revision) cluster.State {
	route.Name, route.Version = "service/web", "1"
	return cluster.State{At: noon, Can: can, Revisions: revisions, Routes: []cluster.Route{route}}
}

// worker is a State without a route.
func worker(revisions ...cluster.Revision) cluster.State {
	return cluster.State{At: noon, Revisions: revisions}
}

func anArm(r *cluster.Revision)        { r.Arm, r.Name = "baseline", r.Name+"-baseline" }
func ofNobody(r *cluster.Revision)     { r.Release = "" }
func oneUnsettled(r *cluster.Revision) { r.Unsettled = 1 }
func isBehind(r *cluster.Revision)     { r.Behind = true }
func ready(n int) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Ready = n }
}
func pods(n int) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Pods = n }
}
func ofRelease(release string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Release = release }
}
func named(name string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Name = name }
}

func TestFind(t *testing.T) {
	build := ofRelease("build")
	for _, c := range []struct {
		why       string
		release   string
		revisions []cluster.Revision
		want      string // "": none
	}{
		{"the one there is", "build", []cluster.Revision{rev(1, 1, build)}, "web-v001"},
		{"no release of that name", "other", []cluster.Revision{rev(1, 1, build)}, ""},
		{"of several the highest, be it the last", "build", []cluster.Revision{rev(1, 1, build), rev(2, 1, build)}, "web-v002"},
		{"be it the first", "build", []cluster.Revision{rev(2, 1, build), rev(1, 1, build)}, "web-v002"},
		{"be it between", "build", []cluster.Revision{rev(1, 1, build), rev(3, 1, build), rev(2, 1, build)}, "web-v003"},
		{"of two with one sequence the last, as it is for NewestGood", "build", []cluster.Revision{rev(1, 1, build), rev(1, 1, build, named("web"))}, "web"},
		{"one without a sequence, too", "build", []cluster.Revision{rev(0, 1, build, named("web"))}, "web"},
		{"an arm is not the release", "build", []cluster.Revision{rev(1, 1, build), rev(2, 1, build, anArm)}, "web-v001"},
		{"nothing finds nothing", "", []cluster.Revision{rev(1, 1, ofNobody)}, ""},
	} {
		got, ok := worker(c.revisions...).Find(c.release)
		require.Equal(t, c.want, got.Name, c.why)
		require.Equal(t, c.want != "", ok, c.why)
	}
}

func TestNamed(t *testing.T) {
	s := worker(rev(1, 1), rev(2, 2))
	got, ok := s.Named("web-v002")
	require.True(t, ok)
	require.Equal(t, s.Revisions[1], got)
	got, ok = s.Named("web-v003")
	require.False(t, ok)
	require.Zero(t, got, "and nothing beside it that could be taken for one")
}

func TestTraffic(t *testing.T) {
	web, admin := cluster.Route{Name: "service/web"}, cluster.Route{Name: "service/admin"}
	preview, fixed := cluster.Route{Name: "service/next", Preview: true}, cluster.Route{Name: "service/metrics", Fixed: true}
	both := cluster.Route{Name: "service/both", Preview: true, Fixed: true}
	for _, c := range []struct{ routes, want []cluster.Route }{
		{[]cluster.Route{admin, web}, []cluster.Route{admin, web}},
		{[]cluster.Route{preview, web, fixed, admin}, []cluster.Route{web, admin}},
		{[]cluster.Route{web, both}, []cluster.Route{web}},
		{[]cluster.Route{preview, fixed, both}, nil},
		{nil, nil},
	} {
		s := cluster.State{Routes: c.routes}
		require.Equal(t, c.want, s.Traffic())
		require.Equal(t, len(c.want) == 0, s.Worker())
	}
	s := cluster.State{Routes: []cluster.Route{admin, web}}
	_ = append(s.Traffic()[:1], fixed)
	_ = append(s.Traffic(), fixed)
	require.Len(t, s.Routes, 2)
}

// Over several routes, what can be relied on is what the worst of them has, and
// what somebody may be using is what the best of them has.
func TestOverSeveralRoutes(t *testing.T) {
	over := func(first, second int) cluster.State {
		return cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 9, on)}, Routes: []cluster.Route{
			service("admin", serving{"web-v001": first}), service("web", serving{"web-v001": second}),
			{Name: "service/zpreview", Preview: true, Serving: serving{"web-v001": 9}},
		}}
	}
	for _, c := range []struct{ first, second, least, most int }{
		{3, 3, 3, 3}, {3, 2, 2, 3}, {2, 3, 2, 3}, {3, 0, 0, 3}, {0, 3, 0, 3}, {1, 3, 1, 3}, {0, 0, 0, 0},
	} {
		s := over(c.first, c.second)
		require.Equal(t, c.least, s.ReliedOn("web-v001"), "relied on: %+v", c)
		require.Equal(t, c.least, s.Lasting("web-v001"), "lasting: %+v", c)
		require.Equal(t, c.least, s.Serving(), "serving: %+v", c)
		require.Equal(t, c.most, s.Exposed("web-v001"), "exposed: %+v", c)
		require.Equal(t, c.most > 0, s.HasTraffic("web-v001"), "has traffic: %+v", c)
	}
}

func TestServingIsTheSumOfAllRevisions(t *testing.T) {
	s := at(labels, cluster.Route{Serving: serving{"web-v001": 2, "web-v002": 1}}, rev(1, 3, on), rev(2, 3, on))
	require.Equal(t, 3, s.Serving())
	require.Zero(t, at(labels, cluster.Route{Serving: serving{}}, rev(1, 3, on)).Serving())
	require.Equal(t, 5, worker(rev(1, 3, on), rev(2, 2, on), rev(3, 4)).Serving(), "a worker's are its ready pods that are on")
	require.Zero(t, worker().Serving())
}

// A worker works if it is on, with every pod that is ready.
func TestWorker(t *testing.T) {
	s := worker(rev(1, 3, on, ready(2)), rev(2, 3), rev(3, 3, on, ready(0)), rev(4, 3, on, ready(1)))
	for name, works := range map[string]int{"web-v001": 2, "web-v002": 0, "web-v003": 0, "web-v004": 1, "web-v009": 0} {
		require.Equal(t, works, s.ReliedOn(name), name)
		require.Equal(t, works, s.Exposed(name), name)
		require.Equal(t, works, s.Lasting(name), name)
		require.Equal(t, works > 0, s.HasTraffic(name), name)
	}
	unsettled := worker(rev(1, 3, on, oneUnsettled))
	require.Equal(t, 2, unsettled.Lasting("web-v001"), "one of its pods was told to stop already")
}

func TestHasTraffic(t *testing.T) {
	for _, c := range []struct {
		why    string
		can    cluster.Can
		route  cluster.Route
		wanted bool
	}{
		{"one endpoint is traffic", labels, cluster.Route{Serving: serving{"web-v001": 1}}, true},
		{"none is none", labels, cluster.Route{Serving: serving{}}, false},
		{"a selector's figures say nothing", selects, cluster.Route{Weights: serving{"web-v001": 0}, Serving: serving{"web-v001": 1}}, true},
		{"endpoints that follow late are traffic", selects, cluster.Route{Weights: serving{"web-v002": 100}, Serving: serving{"web-v001": 1}}, true},
		{"one percent is traffic", weighs, cluster.Route{Weights: serving{"web-v001": 1}, Serving: serving{"web-v001": 1}}, true},
		{"none percent is none", weighs, cluster.Route{Weights: serving{"web-v001": 0}, Serving: serving{"web-v001": 1}}, false},
		{"nor is not to be named", weighs, cluster.Route{Weights: serving{"web-v002": 100}, Serving: serving{"web-v001": 1}}, false},
		{"a weight without an endpoint is none", weighs, cluster.Route{Weights: serving{"web-v001": 100}, Serving: serving{}}, false},
		{"without weights all share", weighs, cluster.Route{Serving: serving{"web-v001": 1}}, true},
	} {
		require.Equal(t, c.wanted, at(c.can, c.route, rev(1, 1, on)).HasTraffic("web-v001"), c.why)
	}
	half := at(weighs, cluster.Route{Weights: serving{"web-v001": 0}, Serving: serving{"web-v001": 1}}, rev(1, 1, on))
	half.Routes = append(half.Routes, service("zweb", serving{"web-v001": 1}))
	require.True(t, half.HasTraffic("web-v001"), "one route is enough")
}

func TestDark(t *testing.T) {
	none := cluster.Route{Serving: serving{}}
	for _, c := range []struct {
		why  string
		s    cluster.State
		dark bool
	}{
		{"off, and served by nothing", at(labels, none, rev(1, 3)), true},
		{"one endpoint", at(labels, cluster.Route{Serving: serving{"web-v001": 1}}, rev(1, 3)), false},
		{"on", at(labels, none, rev(1, 3, on)), false},
		{"a pod that is not as it says", at(labels, none, rev(1, 3, oneUnsettled)), false},
		{"a pod may yet be born on", at(labels, none, rev(1, 3, isBehind)), false},
		{"a weight of one, with no endpoint yet", at(weighs, cluster.Route{Weights: serving{"web-v001": 1}}, rev(1, 3)), false},
		{"a weight of none", at(weighs, cluster.Route{Weights: serving{"web-v001": 0, "web-v002": 100}}, rev(1, 3)), true},
		{"a worker that is off", worker(rev(1, 3)), true},
		{"a worker that is on", worker(rev(1, 3, on)), false},
		{"a worker that is on and not ready", worker(rev(1, 3, on, ready(0))), false},
	} {
		require.Equal(t, c.dark, c.s.Dark(c.s.Revisions[0]), c.why)
	}
}

// What lasts is what serves, less what was told to leave.
func TestLasting(t *testing.T) {
	three := cluster.Route{Serving: serving{"web-v001": 3}}
	for _, c := range []struct {
		why   string
		can   cluster.Can
		route cluster.Route
		r     cluster.Revision
		lasts int
	}{
		{"on, and settled", labels, three, rev(1, 3, on), 3},
		{"on, and one pod is off already", labels, three, rev(1, 3, on, oneUnsettled), 2},
		{"on, and the one that is off was never listed", labels, cluster.Route{Serving: serving{"web-v001": 2}}, rev(1, 3, on, oneUnsettled), 2},
		{"on, and endpoints are more than ready pods: the list is older", labels, three, rev(1, 3, on, oneUnsettled, ready(1)), 2},
		{"on, and nothing is left of it", labels, three, rev(1, 3, on, func(r *cluster.Revision) { r.Unsettled = 4 }), 0},
		{"off: all of it leaves", labels, three, rev(1, 3), 0},
		{"off, but one pod has not been told", labels, three, rev(1, 3, oneUnsettled), 1},
		{"off, and more are listed than there are", labels, three, rev(1, 3, pods(2), oneUnsettled), 2},
		{"off, and none has been told", labels, three, rev(1, 3, func(r *cluster.Revision) { r.Unsettled = 4 }), 3},
		{"by a selector it lasts while it is named, on or off", selects, cluster.Route{Weights: serving{"web-v001": 100}, Serving: three.Serving}, rev(1, 3), 3},
		{"its unsettled pods are none where no pod is told", selects, cluster.Route{Weights: serving{"web-v001": 100}, Serving: three.Serving}, rev(1, 3, on, oneUnsettled), 3},
		{"and not when the selector has left it", selects, cluster.Route{Weights: serving{"web-v002": 100}, Serving: three.Serving}, rev(1, 3, on), 0},
		{"nor when it has left all", selects, cluster.Route{Weights: serving{}, Serving: three.Serving}, rev(1, 3, on), 0},
		{"a weight of none is named", weighs, cluster.Route{Weights: serving{"web-v001": 0}, Serving: three.Serving}, rev(1, 3, on), 3},
	} {
		require.Equal(t, c.lasts, at(c.can, c.route, c.r).Lasting("web-v001"), c.why)
	}
}

func TestIsGood(t *testing.T) {
	route := func(n, others int) cluster.Route {
		return cluster.Route{Serving: serving{"web-v001": n, "web-v002": others}}
	}
	from := route(0, 3)
	from.From = "web-v001"
	big := func(serves, others int, change ...func(*cluster.Revision)) cluster.State {
		return at(labels, route(serves, others), rev(1, 10, change...), rev(2, 10, on))
	}
	for _, c := range []struct {
		why  string
		s    cluster.State
		good bool
	}{
		{"it was decided so", at(labels, route(0, 3), rev(1, 3, isGood)), true},
		{"it was given up, and serves", at(labels, route(3, 0), rev(1, 3, on, hasFail, ofNobody)), false},
		{"it was given up, and a route came from it", at(labels, from, rev(1, 3, on, hasFail)), false},
		{"an arm that was decided", at(labels, route(3, 0), rev(1, 3, on, isGood, func(r *cluster.Revision) { r.Arm = "baseline" })), false},
		{"an arm that was found serving", at(labels, route(3, 0), rev(1, 3, on, ofNobody, func(r *cluster.Revision) { r.Arm = "baseline" })), false},
		{"a route came from it", at(selects, from, rev(1, 3)), true},
		{"ours, and undecided, though it serves alone", at(labels, route(3, 0), rev(1, 3, on)), false},
		{"found, and serving alone", at(labels, route(3, 0), rev(1, 3, on, ofNobody)), true},
		{"found, and serving nowhere", at(labels, route(0, 0), rev(1, 3, on, ofNobody)), false},
		{"found, on, and of no size", at(labels, route(0, 0), rev(1, 0, on, ofNobody)), false},
		{"found with one endpoint", at(labels, route(1, 0), rev(1, 1, on, ofNobody)), true},

		{"whole: on, settled, half of it serves", big(5, 10, on, ofNobody), true},
		{"less than half", big(4, 10, on, ofNobody), false},
		{"half, but one pod has not its traffic", big(5, 10, on, ofNobody, oneUnsettled), false},
		{"half, but it is off", big(5, 10, ofNobody), false},
		{"half, off, and unsettled", big(5, 10, ofNobody, oneUnsettled), false},
		{"nine of ten that the largest serves with, whatever else", big(9, 10, ofNobody, oneUnsettled), true},
		{"eight of ten", big(8, 10, ofNobody, oneUnsettled), false},
		{"nineteen of twenty-one", big(19, 21, ofNobody, oneUnsettled), true},
		{"eighteen of twenty-one", big(18, 21, ofNobody, oneUnsettled), false},
	} {
		require.Equal(t, c.good, c.s.IsGood(c.s.Revisions[0]), c.why)
	}
}

func TestAPreviewMakesNothingGood(t *testing.T) {
	s := at(selects, cluster.Route{Weights: serving{"web-v002": 100}, Serving: serving{"web-v002": 3}}, rev(1, 3), rev(2, 3, on))
	s.Routes = append(s.Routes, cluster.Route{Name: "service/zpreview", Preview: true, From: "web-v001"})
	require.False(t, s.IsGood(s.Revisions[0]))
}

func TestNewestGood(t *testing.T) {
	for _, c := range []struct {
		why       string
		revisions []cluster.Revision
		below     cluster.Revision
		want      string
	}{
		{"the highest below", []cluster.Revision{rev(1, 1, isGood), rev(2, 1, isGood), rev(3, 1)}, rev(3, 1), "web-v002"},
		{"not what is above", []cluster.Revision{rev(1, 1, isGood), rev(2, 1), rev(3, 1, isGood)}, rev(2, 1), "web-v001"},
		{"not itself", []cluster.Revision{rev(1, 1, isGood), rev(2, 1, isGood)}, rev(2, 1), "web-v001"},
		{"the last, for what is not there", []cluster.Revision{rev(1, 1, isGood), rev(2, 1, isGood)}, rev(3, 1), "web-v002"},
		{"one with the same sequence", []cluster.Revision{rev(2, 1, isGood, named("web")), rev(2, 1)}, rev(2, 1), "web"},
		{"of two with one sequence the last", []cluster.Revision{rev(1, 1, isGood), rev(1, 1, isGood, named("web")), rev(2, 1)}, rev(2, 1), "web"},
		{"the first of all", []cluster.Revision{rev(1, 1, isGood), rev(2, 1, hasFail), rev(3, 1)}, rev(3, 1), "web-v001"},
		{"none", []cluster.Revision{rev(1, 1, hasFail), rev(2, 1)}, rev(2, 1), ""},
	} {
		got, ok := worker(c.revisions...).NewestGood(c.below)
		require.Equal(t, c.want, got.Name, c.why)
		require.Equal(t, c.want != "", ok, c.why)
	}
}

func TestNextSeq(t *testing.T) {
	require.EqualValues(t, 1, worker().NextSeq())
	require.EqualValues(t, 1, worker(rev(0, 1)).NextSeq(), "what was found without one is below all")
	require.EqualValues(t, 8, worker(rev(7, 1), rev(2, 1)).NextSeq())
	require.EqualValues(t, 8, worker(rev(2, 1), rev(7, 1, anArm)).NextSeq(), "an arm stands at its release's")
}

func TestRevisionName(t *testing.T) {
	require.Equal(t, "web-v007", cluster.RevisionName("web", 7, ""))
	require.Equal(t, "web-v007-baseline", cluster.RevisionName("web", 7, "baseline"))
	require.Equal(t, "web-v1234", cluster.RevisionName("web", 1234, ""))
}

func TestATargetIsNamedByItsTemplateOrByItsCaller(t *testing.T) {
	mine, other := cluster.Target{Template: []byte("a")}, cluster.Target{Template: []byte("b")}
	require.Equal(t, mine.Named(), mine.Named().Named())
	require.NotEqual(t, mine.Named().Release, other.Named().Release)
	require.True(t, mine.Unnamed())
	require.True(t, mine.Named().Unnamed())

	given := cluster.Target{Release: "build-7", Template: []byte("a")}
	require.Equal(t, given, given.Named())
	require.False(t, given.Unnamed())
	require.False(t, cluster.Target{Release: mine.Named().Release, Template: []byte("b")}.Unnamed(), "another template's hash is a name")
}
