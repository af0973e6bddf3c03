// Each law, by a write that breaks it and one beside it that does not.

package guard_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/internal/guard"
)

// sent is a Cluster that shows a State and counts what it is sent.
type sent struct {
	state cluster.State
	n     int
}

func (s *sent) Observe(context.Context, string) (cluster.State, error)       { return s.state, nil }
func (s *sent) Put(context.Context, string, cluster.Revision) error          { s.n++; return nil }
func (s *sent) SetRoute(context.Context, string, cluster.Route) error        { s.n++; return nil }
func (s *sent) Delete(_ context.Context, _ string, _ cluster.Revision) error { s.n++; return nil }

type bench struct {
	inner *sent
	guard *guard.Guard
	now   time.Time
}

func newBench(state cluster.State, rules guard.Rules) *bench {
	b := &bench{inner: &sent{state: state}, now: time.Unix(1000, 0)}
	rules.MaxAge, rules.Now = 30*time.Second, func() time.Time { return b.now }
	b.guard = guard.Over(b.inner, rules)
	return b
}

func (b *bench) look(t *testing.T) {
	_, err := b.guard.Observe(context.Background(), "web")
	require.NoError(t, err)
}

func (b *bench) refused(t *testing.T, err error, law string) {
	var refusal *guard.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Equal(t, law, refusal.Law, refusal.Why)
	require.Zero(t, b.inner.n, "it was sent all the same")
}

func rev(name string, seq int64, replicas int, on bool) cluster.Revision {
	return cluster.Revision{Name: name, Release: name, Seq: seq, Template: []byte("t"), Replicas: replicas, Pods: replicas,
		Ready: replicas, Enabled: on, UID: "uid-" + name, Version: "1"}
}

func state(can cluster.Can, serving map[string]int, revisions ...cluster.Revision) cluster.State {
	return cluster.State{Can: can, Revisions: revisions, Routes: []cluster.Route{{Name: "service/web", Serving: serving, Version: "7"}}}
}

var labels = cluster.Can{Enable: true}

func floor(n int) func(cluster.State) int { return func(cluster.State) int { return n } }

func TestFloor(t *testing.T) {
	both := state(labels, map[string]int{"v1": 3, "v2": 2}, rev("v1", 1, 3, true), rev("v2", 2, 3, true))
	off := func(r cluster.Revision) cluster.Revision { r.Enabled = false; return r }
	shrunk := func(r cluster.Revision, n int) cluster.Revision { r.Replicas = n; return r }
	extra := rev("v2", 2, 3, true)
	extra.Pods = 4 // one too many: the cluster may take any
	for _, c := range []struct {
		name    string
		state   cluster.State
		rules   guard.Rules
		put     cluster.Revision
		refused bool
	}{
		{"taking the only one off", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true)), guard.Rules{}, off(rev("v1", 1, 3, true)), true},
		{"taking the old one off while the new one is short", both, guard.Rules{Release: "v2"}, off(rev("v1", 1, 3, true)), true},
		{"the same, where two are enough", both, guard.Rules{Floor: floor(2)}, off(rev("v1", 1, 3, true)), false},
		{"the same, where two are wanted", both, guard.Rules{Replicas: 2}, off(rev("v1", 1, 3, true)), false},
		{"taking the short one off", both, guard.Rules{Release: "v2"}, off(rev("v2", 2, 3, true)), false},
		{"scaling the only one down", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true)), guard.Rules{}, shrunk(rev("v1", 1, 3, true), 2), true},
		{"scaling a dark one down", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false)), guard.Rules{}, shrunk(rev("v2", 2, 3, false), 0), false},
		{"counting on a pod that may go", state(labels, map[string]int{"v1": 3, "v2": 3}, rev("v1", 1, 3, true), extra), guard.Rules{Release: "v2"}, off(rev("v1", 1, 3, true)), true},
		{"below the floor already, and lower", state(labels, map[string]int{"v1": 1}, rev("v1", 1, 3, true)), guard.Rules{Floor: floor(3)}, off(rev("v1", 1, 3, true)), true},
		{"below the floor already, and no lower", state(labels, map[string]int{"v1": 1}, rev("v1", 1, 3, true), rev("v2", 2, 3, false)), guard.Rules{Floor: floor(3)}, shrunk(rev("v2", 2, 3, false), 0), false},
		{"stopping the only worker", cluster.State{Revisions: []cluster.Revision{rev("v1", 1, 3, true)}}, guard.Rules{}, shrunk(rev("v1", 1, 3, true), 0), true},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(c.state, c.rules)
			b.look(t)
			err := b.guard.Put(context.Background(), "web", c.put)
			if c.refused {
				b.refused(t, err, "floor")
				return
			}
			require.NoError(t, err)
			require.Equal(t, 1, b.inner.n)
		})
	}
}

func TestFloorIsJudgedOnEveryRoute(t *testing.T) {
	s := state(labels, map[string]int{"v1": 3, "v2": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, true))
	s.Routes = append(s.Routes, cluster.Route{Name: "service/admin", Serving: map[string]int{"v1": 3}},
		cluster.Route{Name: "service/preview", Preview: true, Serving: map[string]int{"v1": 3}})
	off := rev("v1", 1, 3, true)
	off.Enabled = false

	b := newBench(s, guard.Rules{Release: "v2"})
	b.look(t)
	b.refused(t, b.guard.Put(context.Background(), "web", off), "floor")

	s.Routes[1].Serving["v2"] = 3
	b = newBench(s, guard.Rules{Release: "v2"})
	b.look(t)
	require.NoError(t, b.guard.Put(context.Background(), "web", off), "a preview is no traffic")
}

func TestBlackHole(t *testing.T) {
	selects := cluster.Can{Select: true}
	empty := rev("v3", 3, 3, false)
	empty.Ready = 0
	s := state(selects, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false), empty)
	s.Routes[0].Weights = map[string]int{"v1": 100}
	to := func(weights map[string]int) cluster.Route {
		return cluster.Route{Name: "service/web", Version: "7", Weights: weights}
	}
	for name, weights := range map[string]map[string]int{
		"no ready pod": {"v3": 100}, "no such revision": {"v9": 100}, "nothing": {}, "one of two has no ready pod": {"v1": 50, "v3": 50},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBench(s, guard.Rules{})
			b.look(t)
			b.refused(t, b.guard.SetRoute(context.Background(), "web", to(weights)), "black hole")
		})
	}
	b := newBench(s, guard.Rules{})
	b.look(t)
	require.NoError(t, b.guard.SetRoute(context.Background(), "web", to(map[string]int{"v2": 100})))

	disguised := to(map[string]int{"v3": 100})
	disguised.Preview = true
	b = newBench(s, guard.Rules{})
	b.look(t)
	b.refused(t, b.guard.SetRoute(context.Background(), "web", disguised), "preconditions")

	s.Can = cluster.Can{Weigh: true}
	b = newBench(s, guard.Rules{})
	b.look(t)
	b.refused(t, b.guard.SetRoute(context.Background(), "web", to(map[string]int{"v1": 60, "v2": 30})), "black hole")
}

func TestEvidence(t *testing.T) {
	s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false))
	put := func(b *bench) error { return b.guard.Put(context.Background(), "web", rev("v2", 2, 3, true)) }

	b := newBench(s, guard.Rules{})
	b.refused(t, put(b), "evidence") // nothing was looked at

	b.look(t)
	b.now = b.now.Add(31 * time.Second)
	b.refused(t, put(b), "evidence") // too old

	b.look(t)
	require.NoError(t, put(b))
	b.inner.n = 0
	b.refused(t, put(b), "evidence") // one look pays for one write
}

func TestPreconditionsAndOrder(t *testing.T) {
	lit := rev("v1", 1, 3, true)
	dark := rev("v2", 2, 3, false)
	decided := rev("v3", 3, 0, false)
	decided.Outcome.Result = cluster.Failed
	s := state(labels, map[string]int{"v1": 3}, lit, dark, decided)
	change := func(r cluster.Revision, f func(*cluster.Revision)) cluster.Revision { f(&r); return r }
	put := func(g *guard.Guard, r cluster.Revision) error { return g.Put(context.Background(), "web", r) }
	del := func(g *guard.Guard, r cluster.Revision) error { return g.Delete(context.Background(), "web", r) }
	for _, c := range []struct {
		name string
		do   func(*guard.Guard, cluster.Revision) error
		r    cluster.Revision
		law  string // "": allowed
	}{
		{"a put with another version", put, change(dark, func(r *cluster.Revision) { r.Version = "0" }), "preconditions"},
		{"a put of another object", put, change(dark, func(r *cluster.Revision) { r.UID = "x" }), "preconditions"},
		{"a put of what is not there", put, rev("v9", 9, 1, false), "preconditions"},
		{"creating what is there", put, change(dark, func(r *cluster.Revision) { r.Version = "" }), "preconditions"},
		{"creating without a release", put, cluster.Revision{Name: "v4", Seq: 4, Template: []byte("t")}, "preconditions"},
		{"creating without a template", put, cluster.Revision{Name: "v4", Seq: 4, Release: "r"}, "preconditions"},
		{"creating below the top", put, cluster.Revision{Name: "v0", Seq: 3, Release: "r", Template: []byte("t")}, "order"},
		{"creating in traffic", put, cluster.Revision{Name: "v4", Seq: 4, Release: "r", Template: []byte("t"), Enabled: true}, "order"},
		{"creating on top, dark", put, cluster.Revision{Name: "v4", Seq: 4, Release: "r", Template: []byte("t")}, ""},
		{"taking a failure back", put, change(decided, func(r *cluster.Revision) { r.Outcome.Result = cluster.Good }), "order"},
		{"giving up what was undecided", put, change(dark, func(r *cluster.Revision) { r.Outcome.Result = cluster.Failed }), ""},
		{"deleting what serves", del, lit, "order"},
		{"deleting a dark one", del, dark, ""},
		{"deleting without a version", del, change(dark, func(r *cluster.Revision) { r.Version = "" }), "preconditions"},
		{"deleting a namesake", del, change(dark, func(r *cluster.Revision) { r.UID = "x" }), "preconditions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(s, guard.Rules{})
			b.look(t)
			err := c.do(b.guard, c.r)
			if c.law == "" {
				require.NoError(t, err)
				return
			}
			b.refused(t, err, c.law)
		})
	}
}
