// What Decide and Diagnose say of States, one literal a case.

package cleanup_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// found is a revision that Spinnaker made, say.
func found(seq int64, replicas, ready int, enabled bool) cluster.Revision {
	name := cluster.RevisionName("web", seq, "")
	return cluster.Revision{Name: name, Seq: seq, Template: []byte("t"), Replicas: replicas, Pods: replicas, Ready: ready, Enabled: enabled,
		Created: noon.Add(-time.Duration(10-seq) * time.Hour), UID: "uid-" + name, Version: "1"}
}

func ours(r cluster.Revision, result cluster.Result) cluster.Revision {
	r.Release, r.Outcome.Result = "build-"+r.Name, result
	return r
}

type serving = map[string]int

func service(name string, s serving) cluster.Route {
	return cluster.Route{Name: "service/" + name, Serving: s, Version: "1"}
}

func state(revisions []cluster.Revision, routes ...cluster.Route) cluster.State {
	return cluster.State{At: noon, Can: cluster.Can{Enable: len(routes) > 0}, Revisions: revisions, Routes: routes}
}

func TestDecide(t *testing.T) {
	failed := cleanup.Policy{RunFailed: true}
	two := func(oldReady int, oldOn bool, newReady int, newOn bool) []cluster.Revision {
		return []cluster.Revision{found(1, 3, oldReady, oldOn), found(2, 3, newReady, newOn)}
	}
	for _, c := range []struct {
		name   string
		state  cluster.State
		policy cleanup.Policy
		want   []cleanup.Verb
		why    string // of the last decision
	}{
		{"one that serves", state([]cluster.Revision{found(1, 3, 3, true)}, service("web", serving{"web-v001": 3})), failed,
			[]cleanup.Verb{cleanup.Keep}, "the newest that really serves"},
		{"scenario 1: the deploy was stuck before it was enabled", state(two(3, true, 0, false), service("web", serving{"web-v001": 3})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Delete}, "dark, and web-v001 serves"},
		{"scenario 1, but nobody says that the run failed", state(two(3, true, 0, false), service("web", serving{"web-v001": 3})), cleanup.Policy{},
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "newer than what serves, and its run may be under way: say that it failed, and it goes"},
		{"scenario 2: the enable died after one of three pods", state(two(3, true, 3, true), service("web", serving{"web-v001": 3, "web-v002": 1})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"scenario 2, when the enable had come to an end", state(two(3, true, 3, true), service("web", serving{"web-v001": 3, "web-v002": 3})), failed,
			[]cleanup.Verb{cleanup.Disable, cleanup.Keep}, "the newest that really serves"},
		{"scenario 3: the disable died after two of three pods", state(two(3, false, 3, true), service("web", serving{"web-v001": 1, "web-v002": 3})), cleanup.Policy{},
			[]cleanup.Verb{cleanup.Disable, cleanup.Keep}, "the newest that really serves"},
		{"the failed run was a rollback, and the caller knows", state(two(3, true, 3, true), service("web", serving{"web-v001": 3, "web-v002": 3})),
			cleanup.Policy{RunFailed: true, Keep: "web-v001"}, []cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"the failed run was ours, and has given the newer one up", state([]cluster.Revision{ours(found(1, 3, 3, true), cluster.Good), ours(found(2, 3, 3, true), cluster.Failed)},
			service("web", serving{"web-v001": 3, "web-v002": 3})), cleanup.Policy{}, []cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"only one that was given up serves", state([]cluster.Revision{found(1, 3, 3, false), ours(found(2, 3, 3, true), cluster.Failed)}, service("web", serving{"web-v002": 3})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "no revision serves with 3 endpoints on every traffic route, so none may be the only one"},
		{"nothing serves", state(two(0, true, 0, true), service("web", serving{})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "no revision serves with 1 endpoints on every traffic route, so none may be the only one"},
		{"nothing serves, accepted by name", state(two(0, false, 0, false), service("web", serving{})), cleanup.Policy{RunFailed: true, NoFloor: true},
			[]cleanup.Verb{cleanup.Delete, cleanup.Delete}, "nothing serves, which was accepted by name, and it is dark"},
		{"ninety percent is enough", state([]cluster.Revision{found(1, 10, 10, true), found(2, 10, 9, true)}, service("web", serving{"web-v001": 10, "web-v002": 9})), failed,
			[]cleanup.Verb{cleanup.Disable, cleanup.Keep}, "the newest that really serves"},
		{"less is not", state([]cluster.Revision{found(1, 10, 10, true), found(2, 10, 8, true)}, service("web", serving{"web-v001": 10, "web-v002": 8})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"a metrics Service over all pods, not known as one", state(two(3, true, 3, false), service("metrics", serving{"web-v001": 3, "web-v002": 3}), service("web", serving{"web-v001": 3})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"two Services, half switched: neither serves on both", state(two(3, true, 3, true), service("admin", serving{"web-v001": 3}), service("web", serving{"web-v002": 3})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "no revision serves with 1 endpoints on every traffic route, so none may be the only one (service/admin, service/web): if some of these bring no traffic, name those that do"},
		{"a crash-looping newer worker", cluster.State{At: noon, Revisions: two(3, true, 0, true)}, failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Disable}, "web-v001 serves, and this one must not serve beside it"},
		{"a preview Service on the dark side", state(two(3, true, 3, false), service("web", serving{"web-v001": 3}),
			cluster.Route{Name: "service/preview", Preview: true, Serving: serving{"web-v002": 3}}), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Delete}, "dark, and web-v001 serves"},
		{"one replica", state([]cluster.Revision{found(1, 1, 1, true), found(2, 1, 0, false)}, service("web", serving{"web-v001": 1})), failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Delete}, "dark, and web-v001 serves"},
		{"strays", cluster.State{At: noon, Can: cluster.Can{Enable: true}, Strays: 1, Revisions: two(3, true, 0, false), Routes: []cluster.Route{service("web", serving{"web-v001": 3})}}, failed,
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "nothing is decided while 1 pods of no revision are in traffic: whose they are is for a person to say"},
		{"what is to be kept does not serve", state(two(3, true, 3, false), service("web", serving{"web-v001": 3})), cleanup.Policy{RunFailed: true, Keep: "web-v002"},
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "web-v002, which is to be kept, does not serve with 3 endpoints on every traffic route"},
		{"what is to be kept is not there", state(two(3, true, 3, false), service("web", serving{"web-v001": 3})), cleanup.Policy{RunFailed: true, Keep: "web-v999"},
			[]cleanup.Verb{cleanup.Keep, cleanup.Keep}, "there is no web-v999, which is to be kept"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var got []cleanup.Verb
			decisions := cleanup.Decide(c.state, c.policy)
			for _, d := range decisions {
				got = append(got, d.Verb)
				require.NotEmpty(t, d.Why)
				require.NotEmpty(t, d.Evidence)
			}
			require.Equal(t, c.want, got, "%v", decisions)
			require.Equal(t, c.why, decisions[len(decisions)-1].Why)
		})
	}
}

func TestDiagnose(t *testing.T) {
	half := found(2, 3, 3, true)
	half.Unsettled = 2
	s := state([]cluster.Revision{found(1, 3, 3, true), half}, service("web", serving{"web-v001": 3, "web-v002": 1}))
	s.Warnings, s.Contested = []string{"service/web: its selector is managed by helm"}, true
	require.Equal(t, `web: both live, partial flip, foreign
REVISION  AGE  READY  SERVES         OUTCOME    VERDICT  WHY
web-v001  9h   3/3    service/web 3  undecided  keep     the newest that really serves
web-v002  8h   3/3    service/web 1  undecided  disable  web-v001 serves, and this one must not serve beside it
warning: service/web: its selector is managed by helm
`, cleanup.Diagnose("web", s, cleanup.Policy{RunFailed: true}).String())

	for _, c := range []struct {
		name  string
		state cluster.State
		want  []cleanup.Finding
	}{
		{"clean", state([]cluster.Revision{found(1, 3, 3, false), found(2, 3, 3, true)}, service("web", serving{"web-v002": 3})), []cleanup.Finding{cleanup.Clean}},
		{"nothing", state(nil, service("web", serving{})), []cleanup.Finding{cleanup.Nothing}},
		{"dark candidate", state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 0, false)}, service("web", serving{"web-v001": 3})), []cleanup.Finding{cleanup.DarkCandidate}},
		{"black hole", state([]cluster.Revision{found(1, 3, 3, false)}, service("web", serving{})), []cleanup.Finding{cleanup.BlackHole}},
		{"strays", cluster.State{Can: cluster.Can{Enable: true}, Strays: 1, Revisions: []cluster.Revision{found(1, 3, 3, true)}, Routes: []cluster.Route{service("web", serving{"web-v001": 3})}}, []cleanup.Finding{cleanup.Strays}},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, cleanup.Diagnose("web", c.state, cleanup.Policy{}).Findings)
		})
	}
}
