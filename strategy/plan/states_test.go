// Plans from every small State: each ends, and is what a run from there does.

package plan_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/plan"
)

var noon = time.Date(2025, time.January, 1, 12, 0, 0, 0, time.UTC)

// everySize returns a revision in every state of traffic, outcome, size, and of what
// it may be in the midst of.
func everySize(name string, seq int64, release string, can cluster.Can) []cluster.Revision {
	var all []cluster.Revision
	for _, on := range []bool{false, true} {
		for _, result := range []cluster.Result{cluster.Undecided, cluster.Good, cluster.Failed} {
			for _, size := range [][2]int{{2, 2}, {2, 1}, {2, 0}, {0, 0}} {
				r := cluster.Revision{
					Name: name, Release: release, Seq: seq, Template: []byte(name), Replicas: size[0], Pods: size[0], Ready: size[1], Enabled: on,
					Outcome: cluster.Outcome{Result: result}, UID: "uid-" + name, Version: "1",
					Created: noon.Add(-time.Hour), Raised: noon.Add(-time.Hour),
				}
				all = append(all, r)
				if r.Ready == 2 && can.Enable {
					r.Unsettled = 1
					all = append(all, r)
				}
			}
		}
	}
	return all
}

// small returns the small States: an older revision, found or ours, and a newer
// one of ours, in all ways.
func small(can cluster.Can) []cluster.State {
	var all []cluster.State
	for _, release := range []string{"", "build-1"} {
		for _, one := range everySize("web-v001", 1, release, can) {
			for _, two := range everySize("web-v002", 2, "build-2", can) {
				all = append(all, stateOf(can, one, two))
			}
		}
	}
	return all
}

// stateOf is a State of these revisions, in which what is enabled and ready
// serves.
func stateOf(can cluster.Can, revisions ...cluster.Revision) cluster.State {
	route := cluster.Route{Name: "service/web", Serving: map[string]int{}, Version: "1"}
	if can.Select {
		route.Weights = map[string]int{}
	}
	for _, r := range revisions {
		if !r.Enabled {
			route.Serving[r.Name] = min(r.Unsettled, r.Ready)
			continue
		}
		route.Serving[r.Name] = max(0, r.Ready-r.Unsettled)
		if can.Select {
			route.Weights[r.Name] = 100
		}
	}
	return cluster.State{At: noon, Can: can, Revisions: revisions, Routes: []cluster.Route{route}}
}

// A shown is a Cluster that shows one State, and fails on everything else.
type shown struct {
	watched
	state cluster.State
}

func (s *shown) Observe(context.Context, string) (cluster.State, error) { return s.state, nil }

// From every small State every plan ends: done or with an AbortError, the time
// of it all accounted for, the State as it was, and with nothing but what a run
// in such a world does.
func TestEverySmallState(t *testing.T) {
	sweep := cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true}}
	rb, bg := strategy.RedBlack{Drain: 15 * time.Second}, strategy.BlueGreen{Drain: 15 * time.Second}
	for _, mode := range []struct {
		can cluster.Can
		how strategy.Strategy
	}{{labels, rb}, {selector, bg}} {
		for i, s := range small(mode.can) {
			for _, job := range []struct {
				to  cluster.Target
				how strategy.Strategy
			}{
				{cluster.Target{Release: "build-2", Template: []byte("2")}, mode.how},
				{cluster.Target{Release: "build-3", Template: []byte("3"), Replicas: 2}, mode.how},
				{cluster.Target{Release: "build-2"}, strategy.Undo(mode.how, "by ops")},
				{cluster.Target{Release: "(cleanup)"}, sweep},
			} {
				before := fmt.Sprint(s)
				runner := strategy.Runner{Cluster: &shown{watched: watched{t: t}, state: s}, Poll: 5 * time.Second}
				p, err := plan.Of(context.Background(), runner, "web", job.to, job.how, assumed)
				require.NoError(t, err)
				what := fmt.Sprintf("state %d of %+v, %T, release %s:\n%v", i, mode.can, job.how, job.to.Release, p)
				require.Equal(t, before, fmt.Sprint(s), what)
				require.Equal(t, p.Takes, p.Both+p.One+p.None, what)
				var abort *strategy.AbortError
				if p.Err != nil {
					require.ErrorAs(t, p.Err, &abort, what)
				}
				requireWrites(t, p, fake.From("web", s, world(mode.can)), job.to, job.how, what)
			}
		}
	}
}

// requireWrites runs what was planned, and compares writes and end.
func requireWrites(t *testing.T, p plan.Plan, w *fake.Cluster, to cluster.Target, how strategy.Strategy, what string) {
	_, err := strategy.Runner{Cluster: w, Poll: 5 * time.Second}.Run(context.Background(), "web", to, how)
	require.Equal(t, fmt.Sprint(err), fmt.Sprint(p.Err), what)
	require.Equal(t, seen(w.Writes()), written(p), what)
}
