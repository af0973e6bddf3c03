// Which objects are touched, and when: those that a write which was sent before
// could still hit.

package strategy_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// fenced is a revision that has a fence.
func fenced(fence string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Fence = fence }
}

// keeping is a still that keeps what is put and routed, with its fence.
type keeping struct{ *still }

func (k keeping) Put(ctx context.Context, app string, r cluster.Revision) error {
	k.put = func(r cluster.Revision) {
		k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
		for i := range k.state.Revisions {
			if k.state.Revisions[i].Name == r.Name {
				r.Version += "+"
				k.state.Revisions[i] = r
			}
		}
	}
	return k.still.Put(ctx, app, r)
}

func (k keeping) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	err := k.still.SetRoute(ctx, app, r)
	if err == nil {
		k.state.Routes = append([]cluster.Route{}, k.state.Routes...)
		for i := range k.state.Routes {
			if k.state.Routes[i].Name == r.Name {
				r.Version += "+"
				k.state.Routes[i] = r
			}
		}
	}
	return err
}

// touches runs a strategy on a State, in which something happens before the
// second look, and returns what was written.
func touches(t *testing.T, s cluster.State, release string, happens func(*cluster.State), steps ...strategy.Step) []string {
	t.Helper()
	k := keeping{standing(s)}
	k.look = func() error {
		if k.looks == 2 && happens != nil {
			k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
			k.state.Routes = append([]cluster.Route{}, k.state.Routes...)
			happens(&k.state)
		}
		return nil
	}
	n := 0
	how := strategy.Func(func(strategy.Input) strategy.Step {
		if n++; n > len(steps) {
			return strategy.Done{}
		}
		return steps[n-1]
	})
	r := k.runner()
	r.Cluster = k
	_, err := r.Run(ctx, "web", build(release), how)
	require.NoError(t, err)
	return k.writes
}

// What a run that may have died a moment ago has sent can still land: before a
// run is done, all that it could hit is touched.
func TestWhatARunThatDiedMayHaveSentIsKeptOut(t *testing.T) {
	one, none := rev(1, on, isGood), sized(0, 0)
	for _, c := range []struct {
		why  string
		s    cluster.State
		want []string
	}{
		{"nothing is under way", decided(), nil},
		{"nobody has decided about one of ours", quiet(), []string{"put web-v001", "put web-v002"}},
		{"what was found needs no decision", byLabels(live, rev(1, on, ofNobody), rev(2, isGood)), nil},
		{"one was given up, and has gone", byLabels(live, one, rev(2, hasFailed, none)), nil},
		{"one was given up, and has replicas still", byLabels(live, one, rev(2, hasFailed)), []string{"put web-v001", "put web-v002"}},
		{"one was given up, and is not dark", byLabels(live, one, rev(2, hasFailed, none, on)), []string{"put web-v001"}},
		{"be it one", byLabels(live, one, rev(2, hasFailed, sized(1, 1))), []string{"put web-v001", "put web-v002"}},
		{"an older one was given up, and has replicas still", byLabels(endpoints{"web-v002": 3}, rev(1, hasFailed), rev(2, on, isGood)), nil},
		{"nor is it one of the same sequence", byLabels(endpoints{"web-v002": 3}, rev(2, hasFailed, ofRelease("x"), func(r *cluster.Revision) { r.Name = "web-x" }), rev(2, on, isGood)), nil},
		{"one that is not there can be hit nowhere", byLabels(live, one, rev(2, none)), []string{"put web-v001"}},
		{"one without pods will have some", byLabels(live, one, rev(2, func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 1, 0, 0 })), []string{"put web-v001", "put web-v002"}},
		{"one without replicas has pods still", byLabels(live, one, rev(2, func(r *cluster.Revision) { r.Replicas, r.Pods, r.Ready = 0, 1, 0 })), []string{"put web-v001", "put web-v002"}},
		{"where a selector moves traffic, the route", bySelector("web-v001", live, one, rev(2)), []string{"route service/web"}},
		{"where weights do, both", with(bySelector("web-v001", live, one, rev(2)), func(s *cluster.State) { s.Can = cluster.Can{Enable: true, Weigh: true} }),
			[]string{"put web-v001", "put web-v002", "route service/web"}},
		{"of a worker, what works", with(quiet(), func(s *cluster.State) { s.Routes, s.Can = nil, cluster.Can{} }), []string{"put web-v001", "put web-v002"}},
		{"of a worker that has routes elsewhere, nothing", with(quiet(), func(s *cluster.State) { s.Routes, s.Can = nil, cluster.Can{Select: true} }), nil},
		{"be it by weight", with(quiet(), func(s *cluster.State) { s.Routes, s.Can = nil, cluster.Can{Weigh: true} }), nil},
		{"where nothing can be moved, nothing", with(quiet(), func(s *cluster.State) { s.Can = cluster.Can{} }), nil},
		{"what carries this run's fence cannot be hit", byLabels(live, rev(1, on, isGood, fenced("run.2")), rev(2)), []string{"put web-v002"}},
		{"but for an older one of it", byLabels(live, rev(1, on, isGood, fenced("run.0")), rev(2)), []string{"put web-v001", "put web-v002"}},
		{"nor for another run's", byLabels(live, rev(1, on, isGood, fenced("other.9")), rev(2)), []string{"put web-v001", "put web-v002"}},
		{"nor for a number alone", byLabels(live, rev(1, on, isGood, fenced("9")), rev(2)), []string{"put web-v001", "put web-v002"}},
		{"nor for none", byLabels(live, rev(1, on, isGood, fenced("run.")), rev(2)), []string{"put web-v001", "put web-v002"}},
	} {
		require.Equal(t, c.want, touches(t, c.s, "b-v002", nil), c.why)
	}
	require.Nil(t, touches(t, quiet(), "b9", nil), "a run that has no revision has brought nothing")
}

// Somebody else may have touched it since, in the same doubt.
func TestWhatSomebodyElseHasTouchedIsNot(t *testing.T) {
	becomes := func(fence string) func(*cluster.State) {
		return func(s *cluster.State) { s.Revisions[0].Fence = fence }
	}
	both := []string{"put web-v001", "put web-v002"}
	s := byLabels(live, rev(1, on, isGood, fenced("dead.0")), rev(2))
	require.Equal(t, both, touches(t, s, "b-v002", becomes("dead.0"), strategy.Wait{}), "nobody has")
	require.Equal(t, both[1:], touches(t, s, "b-v002", becomes("other.0"), strategy.Wait{}), "another run has")
	require.Equal(t, both, touches(t, s, "b-v002", becomes(""), strategy.Wait{}), "its pods differ: another run is about to")
	s.Revisions[0].Behind = true
	settles := func(s *cluster.State) { s.Revisions[0].Behind, s.Revisions[0].Fence = false, "other.0" }
	require.Equal(t, both, touches(t, s, "b-v002", settles, strategy.Wait{}), "nobody knows what its pods had")

	routed := bySelector("web-v001", live, rev(1, on, isGood), rev(2))
	require.Equal(t, []string{"route service/web"}, touches(t, routed, "b-v002", nil, strategy.Wait{}))
	require.Nil(t, touches(t, routed, "b-v002", func(s *cluster.State) { s.Routes[0].Version = "8" }, strategy.Wait{}), "a write is compared with a version that is gone")
}

// A write whose answer was lost can land later, whatever fence the object had:
// the touch is newer than that.
func TestAWriteWithoutAnAnswerIsKeptOut(t *testing.T) {
	for _, c := range []struct {
		s    cluster.State
		step strategy.Step
		want []string
	}{
		{byLabels(live, rev(1, on, isGood), rev(2, isGood, fenced("run.0"))), strategy.Put{Revision: rev(2, on, isGood, fenced("run.0"))}, []string{"put web-v002", "put web-v002"}},
		{bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood, fenced("run.0"))),
			strategy.SetRoute{Route: cluster.Route{Name: "service/web", Version: "7", Weights: endpoints{"web-v001": 100, "web-v002": 100}}}, []string{"route service/web", "route service/web"}},
	} {
		k := keeping{standing(c.s)}
		var fences []string
		k.write = func(string) error {
			if len(k.writes) == 1 {
				return errReset
			}
			return nil
		}
		r := k.runner()
		r.Cluster = k
		_, err := r.Run(ctx, "web", build("b-v002"), inTurn(c.step))
		require.NoError(t, err)
		require.Equal(t, c.want, k.writes)
		fences = append(fences, k.state.Revisions[1].Fence, k.state.Routes[0].Fence)
		require.Contains(t, fences, "run.1")
	}
}

// A release that takes over from one that is not done keeps out what that one sends
// until it can see that it is superseded: not what it may have sent before the first
// look, which nothing is known of any more when the revision could only be made
// after a minute.
func TestBugATakeoverThatTookAMinuteKeptNothingOut(t *testing.T) {
	for _, c := range []struct {
		why  string
		s    cluster.State
		want []string
	}{
		{"the older release is under way", quiet(), []string{"put web-v003", "put web-v001", "put web-v002"}},
		{"nothing else is", decided(), []string{"put web-v003"}},
	} {
		k := keeping{standing(c.s)}
		k.write = func(what string) error {
			if what == "put web-v003" {
				k.now = k.now.Add(time.Minute)
				k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
				k.state.Revisions = append(k.state.Revisions, rev(3, ofRelease("b3")))
			}
			return nil
		}
		r := k.runner()
		r.Cluster = k
		_, err := r.Run(ctx, "web", build("b3"), inTurn(strategy.Put{Revision: cluster.Revision{Name: "web-v003", Seq: 3, Release: "b3", Template: []byte("b3"), Replicas: 3}}))
		require.NoError(t, err, c.why)
		require.Equal(t, c.want, k.writes, c.why)
	}
}

// Once the longest time has passed for which a write may be under way, nothing
// is left to keep out.
func TestNothingIsKeptOutForEver(t *testing.T) {
	for _, c := range []struct {
		s    cluster.State
		wait time.Duration
		want []string
	}{
		{quiet(), 59 * time.Second, []string{"put web-v001", "put web-v002"}},
		{quiet(), time.Minute, nil},
		{bySelector("web-v001", live, rev(1, on, isGood), rev(2)), 59 * time.Second, []string{"route service/web"}},
		{bySelector("web-v001", live, rev(1, on, isGood), rev(2)), time.Minute, nil},
	} {
		k := keeping{standing(c.s)}
		k.sleep = func(time.Duration) error { k.now = k.now.Add(c.wait); return nil }
		r := k.runner()
		r.Cluster = k
		_, err := r.Run(ctx, "web", build("b-v002"), inTurn(strategy.Wait{}))
		require.NoError(t, err)
		require.Equal(t, c.want, k.writes, "%v", c.wait)
	}
}

// Whoever else decides something, or moves traffic, may have sent more.
func TestWhatSomebodyElseDecidesIsNews(t *testing.T) {
	all := []string{"put web-v001", "put web-v002"}
	route := []string{"route service/web"}
	labels, routed := decided(), bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood))
	for _, c := range []struct {
		why     string
		s       cluster.State
		happens func(*cluster.State)
		want    []string
	}{
		{"nothing", labels, nil, nil},
		{"it is turned on", labels, func(s *cluster.State) { s.Revisions[1].Enabled = true }, all},
		{"it is given up", labels, func(s *cluster.State) { s.Revisions[0].Outcome = cluster.Outcome{Result: cluster.Failed} }, all},
		{"it is another object", labels, func(s *cluster.State) { s.Revisions[0].Enabled, s.Revisions[0].UID = false, "another" }, nil},
		{"it was not there", labels, func(s *cluster.State) { s.Revisions = append(s.Revisions, rev(3, on, isGood)) }, nil},
		{"it is scaled", labels, func(s *cluster.State) { s.Revisions[0].Replicas = 4 }, nil},
		{"something is noted on it", labels, func(s *cluster.State) { s.Revisions[1].Note = "stage 2" }, all},
		{"it is touched", labels, func(s *cluster.State) { s.Revisions[0].Fence = "other.1" }, nil},
		{"something is noted on its route", routed, func(s *cluster.State) { s.Routes[0].Note = "to web-v002 uid-web-v002" }, route},
		{"a selector has taken it up, which the route tells", routed, func(s *cluster.State) { s.Revisions[1].Enabled = true }, nil},
		{"a route is given to it", routed, func(s *cluster.State) { s.Routes[0].Weights = endpoints{"web-v001": 100, "web-v002": 100} }, route},
		{"a route is taken from it", bySelector("web-v001 web-v002", live, rev(1, on, isGood), rev(2, isGood)), func(s *cluster.State) { s.Routes[0].Weights = endpoints{"web-v001": 100} }, route},
		{"a route's figures change", routed, func(s *cluster.State) { s.Routes[0].Weights = endpoints{"web-v001": 50} }, route},
		{"a route names what was not there", routed, func(s *cluster.State) {
			s.Revisions = append(s.Revisions, rev(3, isGood))
			s.Routes[0].Weights = endpoints{"web-v001": 100, "web-v003": 100}
		}, nil},
		{"a route leaves what is another object now", bySelector("web-v001 web-v002", live, rev(1, on, isGood), rev(2, isGood)), func(s *cluster.State) {
			s.Revisions[0].UID = "another"
			s.Routes[0].Weights = endpoints{"web-v002": 100}
		}, nil},
		{"a route was not there", routed, func(s *cluster.State) {
			s.Routes = append(s.Routes, cluster.Route{Name: "service/zweb", Weights: endpoints{"web-v002": 100}})
		}, nil},
		{"nor before the others", routed, func(s *cluster.State) {
			s.Routes = append([]cluster.Route{{Name: "service/admin", Weights: endpoints{"web-v002": 100}}}, s.Routes...)
		}, nil},
	} {
		require.Equal(t, c.want, touches(t, c.s, "b-v002", c.happens, strategy.Wait{}), c.why)
	}
}

// Two runs of one release: what the other one had planned when this one saw it act
// landed a minute after this run had begun, and took what it had gone back to. News
// is news again, however soon after other news.
func TestBugOnlyTheFirstNewsCounted(t *testing.T) {
	k := keeping{standing(decided())}
	k.sleep = func(d time.Duration) error { k.now = k.now.Add(50 * time.Second); return nil }
	k.look = func() error {
		k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
		k.state.Revisions[1].Note = fmt.Sprintf("stage %d", min(k.looks, 3))
		return nil
	}
	r := k.runner()
	r.Cluster = k
	_, err := r.Run(ctx, "web", build("b-v002"), inTurn(strategy.Wait{}, strategy.Wait{}, strategy.Wait{}))
	require.NoError(t, err)
	require.Equal(t, []string{"put web-v001", "put web-v002"}, k.writes, "seen at 50 s and at 100 s, and done at 150 s")
}

// A run that gives its release up keeps out what another run of it has planned, which
// can see that only now: if there may be one, that is, for it costs a write.
func TestBugARunThatGaveUpDidNotThinkOfItsTwin(t *testing.T) {
	one := rev(1, on, isGood)
	begun := func(change ...func(*cluster.Revision)) cluster.State {
		return byLabels(endpoints{"web-v001": 3, "web-v002": 3}, rev(1, append(change, on, isGood)...), rev(2, on))
	}
	creates := strategy.Put{Revision: cluster.Revision{Name: "web-v002", Seq: 2, Release: "b-v002", Template: []byte("b-v002"), Replicas: 3}}
	gives := strategy.Put{Revision: rev(2, on, hasFailed)}
	for _, c := range []struct {
		why   string
		looks []cluster.State // one after the other, and the last one for good
		steps []strategy.Step
		want  []string
	}{
		{"somebody has begun it", []cluster.State{begun()}, []strategy.Step{strategy.Wait{}, strategy.Wait{}, gives}, []string{"put web-v002", "put web-v001", "put web-v002"}},
		{"somebody else was faster", []cluster.State{byLabels(live, one), begun()}, []strategy.Step{strategy.Wait{}, strategy.Wait{}, gives}, []string{"put web-v002", "put web-v001", "put web-v002"}},
		{"this run has", []cluster.State{byLabels(live, one), begun()}, []strategy.Step{creates, strategy.Wait{}, gives}, []string{"put web-v002", "put web-v002"}},
		{"and another one has touched something", []cluster.State{byLabels(live, one), begun(), begun(fenced("other.1"))}, []strategy.Step{creates, strategy.Wait{}, strategy.Wait{}, gives},
			[]string{"put web-v002", "put web-v002", "put web-v001", "put web-v002"}},
		{"or was it this one", []cluster.State{byLabels(live, one), begun(), begun(fenced("run.1"))}, []strategy.Step{creates, strategy.Wait{}, strategy.Wait{}, gives}, []string{"put web-v002", "put web-v002"}},
	} {
		k := keeping{standing(c.looks[0])}
		k.look = func() error {
			if k.looks > 1 && k.looks <= len(c.looks) {
				k.state.Revisions, k.state.Routes = c.looks[k.looks-1].Revisions, c.looks[k.looks-1].Routes
			}
			return nil
		}
		k.sleep = func(time.Duration) error { k.now = k.now.Add(time.Minute); return nil }
		r := k.runner()
		r.Cluster, r.Poll = k, time.Minute
		_, err := r.Run(ctx, "web", build("b-v002"), inTurn(c.steps...))
		require.NoError(t, err)
		require.Equal(t, c.want, k.writes, c.why)
	}
}

// The same, if nobody has answered it, and it lands a look later.
func TestBugGivingUpUnansweredKeptNobodyOut(t *testing.T) {
	for _, late := range []int{0, 1} {
		k := keeping{standing(byLabels(endpoints{"web-v001": 3, "web-v002": 3}, rev(1, on, isGood), rev(2, on)))}
		lands := -1
		k.look = func() error {
			if lands == 0 {
				k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
				k.state.Revisions[1].Outcome = cluster.Outcome{Result: cluster.Failed, Why: "5xx"}
				k.state.Revisions[1].Version += "+"
			}
			lands--
			return nil
		}
		k.write = func(string) error {
			if len(k.writes) == 1 {
				lands = late
				return errReset
			}
			return nil
		}
		k.sleep = func(time.Duration) error { k.now = k.now.Add(30 * time.Second); return nil }
		r := k.runner()
		r.Cluster, r.Poll = k, 30*time.Second
		steps := []strategy.Step{strategy.Wait{}, strategy.Wait{}, strategy.Wait{}, strategy.Put{Revision: rev(2, on, hasFailed)}}
		if late == 1 {
			steps = append(steps, strategy.Wait{})
		}
		_, err := r.Run(ctx, "web", build("b-v002"), inTurn(steps...))
		require.NoError(t, err)
		require.Equal(t, []string{"put web-v002", "put web-v001", "put web-v002"}, k.writes, "%d looks late", late)
	}
}

// Whoever touches what this run has written since its last look is seen, too.
func TestBugATouchRightAfterOnesOwnWriteWasNotSeen(t *testing.T) {
	for _, at := range []int{4, 5} { // the third write is seen at the fourth look
		k := keeping{standing(byLabels(live, rev(1, on, isGood)))}
		k.look = func() error {
			k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
			if k.looks == 2 {
				k.state.Revisions = append(k.state.Revisions, rev(2))
			}
			if k.looks == at {
				k.state.Revisions[1].Fence = "other.1"
			}
			return nil
		}
		k.sleep = func(time.Duration) error { k.now = k.now.Add(time.Minute); return nil }
		r := k.runner()
		r.Cluster, r.Poll = k, time.Minute
		n := 0
		_, err := r.Run(ctx, "web", build("b-v002"), strategy.Func(func(in strategy.Input) strategy.Step {
			mine, _ := in.Mine()
			switch n++; n {
			case 1:
				return strategy.Put{Revision: cluster.Revision{Name: "web-v002", Seq: 2, Release: "b-v002", Template: []byte("b-v002"), Replicas: 3}}
			case 3:
				mine.Note = "stage 2"
				return strategy.Put{Revision: mine}
			case 6:
				mine.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "5xx"}
				return strategy.Put{Revision: mine}
			case 2, 4, 5:
				return strategy.Wait{}
			}
			return strategy.Done{}
		}))
		require.NoError(t, err)
		require.Equal(t, []string{"put web-v002", "put web-v002", "put web-v002", "put web-v001", "put web-v002"}, k.writes, "seen at look %d", at)
	}
}

// A touch of a route is no write that somebody else undoes: there is one for each
// piece of news.
func TestBugFiveTouchesOfARouteEndedARun(t *testing.T) {
	k := keeping{standing(bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood)))}
	k.sleep = func(time.Duration) error { k.now = k.now.Add(time.Hour); return nil }
	k.look = func() error {
		k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
		if k.looks%3 == 2 {
			k.state.Revisions[0].Note = fmt.Sprint("stage ", k.looks)
		}
		return nil
	}
	r := k.runner()
	r.Cluster, r.Poll = k, time.Hour
	looks := 0
	_, err := r.Run(ctx, "web", build("b-v002"), strategy.Func(func(strategy.Input) strategy.Step {
		switch looks++; {
		case looks > 40:
			return strategy.Done{}
		case k.looks%3 == 2:
			return strategy.Delete{Revision: rev(2), Why: fmt.Sprint(looks)}
		}
		return strategy.Wait{}
	}))
	require.NoError(t, err)
	require.Greater(t, len(k.writes), 10)
}

// Somebody else has written what a write of this run was compared with: that is news
// of what this run has just tried to write, too.
func TestAConflictIsNews(t *testing.T) {
	k := keeping{standing(decided())}
	k.write = func(what string) error {
		if len(k.writes) > 1 {
			return nil
		}
		k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
		k.state.Revisions[1].Note = "stage 2"
		return cluster.ErrConflict
	}
	r := k.runner()
	r.Cluster = k
	_, err := r.Run(ctx, "web", build("b-v002"), inTurn(strategy.Put{Revision: rev(2, on, isGood)}))
	require.NoError(t, err)
	require.Equal(t, []string{"put web-v002", "put web-v001", "put web-v002"}, k.writes)
}

// Where routes move traffic a decision is news, too, when the routes have been
// touched already.
func TestADecisionIsNewsAfterATouch(t *testing.T) {
	k := keeping{standing(bySelector("web-v001", live, rev(1, on, isGood), rev(2)))}
	k.look = func() error {
		if len(k.writes) == 2 {
			k.state.Revisions = append([]cluster.Revision{}, k.state.Revisions...)
			k.state.Revisions[0].Outcome = cluster.Outcome{Result: cluster.Failed}
		}
		return nil
	}
	r := k.runner()
	r.Cluster = k
	_, err := r.Run(ctx, "web", build("b-v002"), strategy.Func(func(in strategy.Input) strategy.Step {
		mine, _ := in.Mine()
		if mine.Replicas == 2 {
			return strategy.Done{}
		}
		mine.Replicas = 2
		return strategy.Put{Revision: mine}
	}))
	require.NoError(t, err)
	require.Equal(t, []string{"route service/web", "put web-v002", "route service/web"}, k.writes)
}

// What the run itself has written is no news.
func TestOnesOwnWriteIsNoNews(t *testing.T) {
	s := byLabels(live, rev(1, on, isGood), rev(2, isGood))
	require.Equal(t, []string{"put web-v002"}, touches(t, s, "b-v002", nil, strategy.Put{Revision: rev(2, on, isGood)}))
	routed := bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood, fenced("run.0")))
	to := routed.Routes[0]
	to.Weights = endpoints{"web-v001": 100, "web-v002": 100}
	require.Equal(t, []string{"route service/web"}, touches(t, routed, "b-v002", nil, strategy.SetRoute{Route: to}))
}

// A route is given only to what nobody can still take replicas from.
func TestWhatARouteIsGivenToIsTouchedFirst(t *testing.T) {
	for _, c := range []struct {
		why     string
		fence   string
		names   string
		weights endpoints
		preview bool
		want    []string
	}{
		{"it was written by another run", "other.0", "web-v001", endpoints{"web-v001": 100, "web-v002": 100}, false, []string{"put web-v002"}},
		{"it was written by this run", "run.0", "web-v001", endpoints{"web-v001": 100, "web-v002": 100}, false, []string{"route service/web"}},
		{"the route has it already", "other.0", "web-v001 web-v002", endpoints{"web-v001": 50, "web-v002": 50}, false, []string{"route service/web"}},
		{"it is left alone with the route", "other.0", "web-v001 web-v002", endpoints{"web-v002": 100}, false, []string{"put web-v002"}},
		{"it is given the least of it", "other.0", "web-v001", endpoints{"web-v001": 99, "web-v002": 1}, false, []string{"put web-v002"}},
		{"it is given none of it", "other.0", "web-v001", endpoints{"web-v001": 100, "web-v002": 0}, false, []string{"route service/web"}},
		{"a preview is no traffic", "other.0", "web-v001", endpoints{"web-v002": 100}, true, []string{"route service/web"}},
	} {
		s := bySelector(c.names, live, rev(1, on, isGood), rev(2, isGood, fenced(c.fence)))
		s.Routes[0].Preview = c.preview
		s.Can.Weigh = c.weights["web-v001"]+c.weights["web-v002"] == 100
		if c.preview {
			s.Routes = append(s.Routes, cluster.Route{Name: "service/zweb", Version: "1", Weights: endpoints{"web-v001": 100}, Serving: live})
		}
		to := s.Routes[0]
		to.Weights = c.weights
		require.Equal(t, c.want, touches(t, s, "b9", nil, strategy.SetRoute{Route: to}), c.why)
	}
	behind := bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood, isBehind, fenced("other.0")))
	to := behind.Routes[0]
	to.Weights = endpoints{"web-v001": 100, "web-v002": 100}
	require.Nil(t, touches(t, behind, "b9", nil, strategy.SetRoute{Route: to}), "pods may be born without the touch: it waits")
}

// Another run that touches in turn does not keep this one from it for ever: two in a
// row that were answered are enough, and each step that is none begins the row anew.
func TestTouchesInTurnEnd(t *testing.T) {
	to := bySelector("web-v001", live, rev(1, on, isGood), rev(2, isGood, fenced("other.0")))
	route := to.Routes[0]
	route.Weights = endpoints{"web-v001": 100, "web-v002": 100}
	step := strategy.SetRoute{Route: route}
	for why, c := range map[string]struct {
		fails func(nth int) error
		steps []strategy.Step
		want  []string
	}{
		"the other one touches after each": {nil, []strategy.Step{step, step, step}, []string{"put web-v002", "put web-v002", "route service/web"}},
		"one was not answered": {func(nth int) error {
			if nth == 2 {
				return cluster.ErrConflict
			}
			return nil
		}, []strategy.Step{step, step, step, step}, []string{"put web-v002", "put web-v002", "put web-v002", "route service/web"}},
		"something else comes between": {nil, []strategy.Step{step, strategy.Wait{Why: "x"}, step, step, step},
			[]string{"put web-v002", "put web-v002", "put web-v002", "route service/web"}},
	} {
		s := standing(to)
		s.write = func(string) error {
			s.state.Revisions[1].Version += "'" // a touch is never fruitless
			s.state.Revisions[1].Fence = "other." + s.state.Revisions[1].Version
			if c.fails == nil {
				return nil
			}
			return c.fails(len(s.writes))
		}
		_, err := s.runner().Run(ctx, "web", cluster.Target{Release: "b9"}, inTurn(c.steps...))
		require.NoError(t, err, why)
		require.Equal(t, c.want, s.writes, why)
	}
}

// The steps before which late writes must be out: those that take capacity or
// traffic away, that say that a release is good, and the ends that promise
// something.
func TestBeforeWhatLateWritesMustBeOut(t *testing.T) {
	one, two := rev(1, on, isGood), rev(2)
	off := func(r cluster.Revision) cluster.Revision { r.Enabled = false; return r }
	smaller := func(r cluster.Revision, n int) cluster.Revision { r.Replicas = n; return r }
	decides := rev(2, on, isGood)
	s := byLabels(endpoints{"web-v001": 3, "web-v002": 3}, one, rev(2, on))
	for _, c := range []struct {
		why  string
		s    cluster.State
		step strategy.Step
		want string // the first write
	}{
		{"it is turned on", quiet(), strategy.Put{Revision: rev(2, on)}, "put web-v002"},
		{"it grows", quiet(), strategy.Put{Revision: smaller(two, 4)}, "put web-v002"},
		{"it is turned off: the other one first", s, strategy.Put{Revision: off(rev(2, on))}, "put web-v001"},
		{"a pod of it is", byLabels(live, one, rev(2, oneUnsettled)), strategy.Put{Revision: rev(2, oneUnsettled)}, "put web-v001"},
		{"it is off already", quiet(), strategy.Put{Revision: rev(2, func(r *cluster.Revision) { r.Note = "x" })}, "put web-v002"},
		{"it shrinks: the other one first", quiet(), strategy.Put{Revision: smaller(two, 2)}, "put web-v001"},
		{"it is deleted: the other one first", quiet(), strategy.Delete{Revision: two}, "put web-v001"},
		{"it is good", s, strategy.Put{Revision: decides}, "put web-v001"},
		{"it was", byLabels(endpoints{"web-v001": 3, "web-v002": 3}, one, decides, rev(3)), strategy.Put{Revision: rev(2, on, isGood, func(r *cluster.Revision) { r.Note = "x" })}, "put web-v002"},
		{"it is to be good, and is dark", quiet(), strategy.Put{Revision: rev(2, isGood)}, "put web-v002"},
		{"it ends as failed", quiet(), strategy.Abort{Kind: strategy.Failed}, "put web-v001"},
		{"it ends as stranded", quiet(), strategy.Abort{Kind: strategy.Stranded}, "put web-v001"},
		{"it ends as unfit", quiet(), strategy.Abort{Kind: strategy.Unfit}, ""},
		{"it ends as superseded", quiet(), strategy.Abort{Kind: strategy.Superseded}, ""},
		{"it is done", quiet(), strategy.Done{}, "put web-v001"},
	} {
		st := standing(c.s)
		st.write = func(string) error { return fmt.Errorf("%w: enough", cluster.ErrRefused) }
		_, _ = st.runner().Run(ctx, "web", build("b-v002"), always(c.step))
		first := append(st.writes, "")[0]
		require.Equal(t, c.want, first, c.why)
	}
}

// A write that creates a revision, or moves its traffic, carries the run's fence;
// every other leaves what is there.
func TestWhichWritesCarryAFence(t *testing.T) {
	for _, c := range []struct {
		why   string
		found cluster.Revision
		put   func(*cluster.Revision)
		want  string
	}{
		{"it is turned on", rev(2, isGood, fenced("other.3")), on, "run.0"},
		{"pods of it are still to be", rev(2, on, isGood, oneUnsettled, fenced("other.3")), on, "run.0"},
		{"it grows", rev(2, isGood, fenced("other.3")), sized(4, 3), "other.3"},
		{"it has this run's already", rev(2, isGood, fenced("run.7")), on, "run.7"},
	} {
		s := standing(byLabels(live, rev(1, on, isGood), c.found))
		got := ""
		s.put = func(r cluster.Revision) { got = r.Fence }
		put := c.found
		c.put(&put)
		_, err := s.runner().Run(ctx, "web", build("b9"), inTurn(strategy.Put{Revision: put}))
		require.NoError(t, err, c.why)
		require.Equal(t, c.want, got, c.why)
	}
	s := standing(byLabels(live, rev(1, on, isGood)))
	got := ""
	s.put = func(r cluster.Revision) { got = r.Fence }
	made := rev(2)
	made.Version, made.UID = "", ""
	_, err := s.runner().Run(ctx, "web", build("b9"), inTurn(strategy.Put{Revision: made}))
	require.NoError(t, err)
	require.Equal(t, "run.0", got, "it is made")
}
