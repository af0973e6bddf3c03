// The laws about autoscalers and pins, over every small State that has some.

package cleanup_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

func hpa(name, of string) cluster.Route {
	r := cluster.Route{Name: "horizontalpodautoscaler/" + name, Scaler: true, Weights: map[string]int{}, Version: "1"}
	if of != "" {
		r.Weights[of] = 100
	}
	return r
}

// named is what an autoscaler scales; "": nothing.
func named(r cluster.Route) string {
	for name := range r.Weights {
		return name
	}
	return ""
}

// everyScaled calls f with every State that everyState has, but for arms and half
// flipped ones, and in each with one
// autoscaler at either revision or at none, and with two, at one or at both.
func everyScaled(f func(cluster.State, cleanup.Policy)) {
	everyState(func(s cluster.State, p cleanup.Policy) {
		if one, two := s.Revisions[0], s.Revisions[1]; one.Arm+two.Arm != "" || one.Unsettled+two.Unsettled > 0 {
			return
		}
		for _, scalers := range [][]cluster.Route{
			{hpa("a", "")}, {hpa("a", "web-v001")}, {hpa("a", "web-v002")},
			{hpa("a", "web-v001"), hpa("b", "web-v002")}, {hpa("a", "web-v002"), hpa("b", "web-v002")}, {hpa("a", "web-v001"), hpa("b", "")},
		} {
			scaled := s
			scaled.Routes = append(scalers, s.Routes[0])
			f(scaled, p)
		}
	})
}

// without takes the autoscalers out of a State.
func without(s cluster.State) cluster.State {
	s.Routes = s.Routes[len(s.Routes)-1:]
	return s
}

// Where no autoscaler names a revision, nothing is decided otherwise for there
// being some. One that is named may only be kept where it would have gone, with
// the autoscaler named in the reason; and it goes only if the autoscaler can follow
// to what is kept: that has all the traffic, and no other autoscaler.
func TestAnAutoscalerKeepsOnlyWhatItNames(t *testing.T) {
	everyScaled(func(s cluster.State, p cleanup.Policy) {
		plain := cleanup.Decide(without(s), p)
		traffic := s.Routes[len(s.Routes)-1]
		names := map[string]int{}
		for _, r := range s.Routes[:len(s.Routes)-1] {
			names[named(r)]++
		}
		for i, d := range cleanup.Decide(s, p) {
			other := s.Revisions[1-i].Name
			follows := names[d.Revision.Name] == 1 && names[other] == 0 && traffic.Serving[other] > 0 && traffic.Serving[d.Revision.Name] == 0
			want, told := plain[i].Verb, true
			if stuck := names[d.Revision.Name] > 0 && !follows; stuck && want == cleanup.Delete {
				want = cleanup.Keep
				told = strings.Contains(d.Why, "horizontalpodautoscaler/")
			}
			if d.Verb != want || !told {
				t.Fatalf("%+v\n%+v\n%v: it should be: %s, and the reason should be told: %t", s, p, d, want, told)
			}
		}
	})
}

// No step of a cleanup leaves an autoscaler pointing at what it deletes; and one is
// pointed at nothing but what alone has traffic, from what goes or is gone.
func TestNoAutoscalerIsLeftPointingAtWhatIsDeleted(t *testing.T) {
	repointed := 0
	everyScaled(func(s cluster.State, p cleanup.Policy) {
		wrong := ""
		step := (cleanup.Strategy{Policy: p}).Next(strategy.Input{App: "web", State: s, Watched: s.At.Add(-5 * time.Minute)})
		verbs := map[string]cleanup.Verb{}
		for _, d := range cleanup.Decide(s, p) {
			verbs[d.Revision.Name] = d.Verb
		}
		switch step := step.(type) {
		case strategy.Delete:
			if _, scaled := s.ScalerOf(step.Revision.Name); scaled {
				wrong = "an autoscaler names what it deletes"
			}
		case strategy.SetRoute:
			repointed++
			to, from := named(step.Route), ""
			for _, r := range s.Routes {
				if r.Name == step.Route.Name {
					from = named(r)
				}
			}
			switch {
			case !step.Route.Scaler:
				wrong = "it writes another route"
			case verbs[to] != cleanup.Keep || !s.HasTraffic(to) || s.Serving() != s.Exposed(to):
				wrong = "it is pointed at what does not alone have traffic"
			case from != "" && verbs[from] != cleanup.Delete:
				wrong = "it is taken from what stays"
			}
		}
		if wrong != "" {
			t.Fatalf("%s\n%+v\n%+v\n%v", wrong, s, p, step)
		}
	})
	require.Positive(t, repointed)
}

// A dark one that an autoscaler names goes in two steps, and the autoscaler is
// written first: it need not wait for the drain.
func TestAnAutoscalerIsPointedAtWhatIsKept(t *testing.T) {
	s := state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 3, false)}, hpa("web", "web-v002"), service("web", serving{"web-v001": 3}))
	to := next(s, cleanup.Policy{}, noon).(strategy.SetRoute)
	require.Equal(t, hpa("web", "web-v001"), to.Route)
	s.Routes[0] = to.Route
	require.IsType(t, strategy.Wait{}, next(s, cleanup.Policy{}, noon))
	require.Equal(t, "web-v002", next(s, cleanup.Policy{}, noon.Add(-time.Hour)).(strategy.Delete).Revision.Name)
}

// One that names nothing any more gets to scale what is kept, once nothing else is to
// be done.
func TestAnAutoscalerThatNamesNothingIsAdopted(t *testing.T) {
	s := state([]cluster.Revision{found(1, 3, 3, true)}, hpa("web", ""), service("web", serving{"web-v001": 3}))
	require.Equal(t, hpa("web", "web-v001"), next(s, cleanup.Policy{}, noon).(strategy.SetRoute).Route)
}

// Replicas that were lent are not given back to what an autoscaler sizes: two would
// pull at them.
func TestReplicasOfAnAutoscalerAreItsOwn(t *testing.T) {
	r := ours(found(1, 2, 2, true), cluster.Good)
	r.Note = "size 3"
	s := state([]cluster.Revision{r}, service("web", serving{"web-v001": 2}))
	require.Equal(t, 3, next(s, cleanup.Policy{}, noon).(strategy.Put).Revision.Replicas)
	s.Routes = append(s.Routes, hpa("web", "web-v001"))
	require.Equal(t, strategy.Done{}, next(s, cleanup.Policy{}, noon))
}

// everyPinned calls f with a Service that is kept to web-v001, which serves, and with
// web-v002 beside it in every state of its pods.
func everyPinned(f func(s cluster.State, pods bool)) {
	for _, mine := range []bool{true, false} {
		for _, result := range []cluster.Result{cluster.Undecided, cluster.Failed} {
			for _, other := range []struct {
				replicas, pods int
				behind         bool
			}{{}, {behind: true}, {pods: 1}, {replicas: 3}, {replicas: 3, pods: 3}} {
				route := service("web", serving{"web-v001": 3})
				route.Weights, route.Pinned = map[string]int{"web-v001": 100}, true
				if mine {
					route.Since = noon.Add(-time.Hour)
				}
				two := ours(found(2, other.replicas, other.pods, false), result)
				two.Pods, two.Behind = other.pods, other.behind
				s := state([]cluster.Revision{found(1, 3, 3, true), two}, route)
				s.Can = cluster.Can{Select: true}
				f(s, other.replicas > 0 || other.pods > 0 || other.behind)
			}
		}
	}
}

// A pin that a run of ours has left is taken off, but not while anything else has
// pods that the route would select then; a pin that somebody else has put on
// stays, whatever there is.
func TestAPinIsTakenOffWhenNothingElseHasPods(t *testing.T) {
	opened := 0
	everyPinned(func(s cluster.State, pods bool) {
		mine := !s.Routes[0].Since.IsZero()
		for _, there := range []bool{true, false} {
			s := s
			if !there {
				s.Revisions, pods = s.Revisions[:1], false
			}
			why := cleanup.Decide(s, cleanup.Policy{RunFailed: true})[0].Why
			switch {
			case !mine:
				require.NotContains(t, why, "pinned")
			case pods:
				require.Contains(t, why, "service/web stays pinned to it as long as web-v002 has pods")
			default:
				require.Contains(t, why, "service/web, which is pinned to it, is opened again")
			}
			step, opens := next(s, cleanup.Policy{}, noon).(strategy.SetRoute)
			require.False(t, opens && (pods || !mine), "%v", s)
			if there && !pods {
				continue // what has none goes first
			}
			require.Equal(t, !there && mine, opens)
			if opens {
				opened++
				require.False(t, step.Route.Pinned)
				require.Equal(t, map[string]int{"web-v001": 100}, step.Route.Weights)
			}
		}
	})
	require.Positive(t, opened)
}

// While its run may be under way a pin is that run's.
func TestAPinOfARunThatMayBeUnderWayStays(t *testing.T) {
	everyPinned(func(s cluster.State, _ bool) {
		if s.Revisions[1].Outcome.Result == cluster.Undecided {
			require.Equal(t, strategy.Done{}, cleanup.Strategy{}.Next(strategy.Input{App: "web", State: s, Watched: noon}))
		}
	})
}

// A person on call is told of both by name.
func TestDiagnoseNamesWhatPointsAtTheWrongOne(t *testing.T) {
	for of, want := range map[string]string{
		"":         "horizontalpodautoscaler/web: it names no revision",
		"web-v001": "",
		"web-v002": "horizontalpodautoscaler/web: it scales web-v002, which has no traffic",
	} {
		route := service("web", serving{"web-v001": 3})
		route.Weights, route.Pinned = map[string]int{"web-v001": 100}, true
		s := state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 3, false)}, hpa("web", of), route)
		d := cleanup.Diagnose("web", s, cleanup.Policy{})
		require.Contains(t, d.Findings, cleanup.Pinned)
		require.Contains(t, d.String(), "pinned: service/web")
		require.Equal(t, want != "", slices.Contains(d.Findings, cleanup.IdleScaler), of)
		require.Contains(t, d.String(), want)
	}
	s := state([]cluster.Revision{found(1, 3, 0, true)}, hpa("web", ""), service("web", nil))
	require.NotContains(t, cleanup.Diagnose("web", s, cleanup.Policy{}).Findings, cleanup.IdleScaler, "where nothing serves there is nothing else to scale")
}
