// Each law, by a write that breaks it and one beside it that does not.

package guard_test

import (
	"context"
	"errors"
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
	err   error  // what it answers
	takes func() // lets time pass while it is looked at; nil: none
}

func (s *sent) Observe(context.Context, string) (cluster.State, error) {
	if s.takes != nil {
		s.takes()
	}
	return s.state, s.err
}
func (s *sent) Put(context.Context, string, cluster.Revision) error          { s.n++; return s.err }
func (s *sent) SetRoute(context.Context, string, cluster.Route) error        { s.n++; return s.err }
func (s *sent) Delete(_ context.Context, _ string, _ cluster.Revision) error { s.n++; return s.err }

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

func floor(n int) func() guard.Bounds { return func() guard.Bounds { return guard.Bounds{Floor: n} } }

func TestFloor(t *testing.T) {
	both := state(labels, map[string]int{"v1": 3, "v2": 2}, rev("v1", 1, 3, true), rev("v2", 2, 3, true))
	off := func(r cluster.Revision) cluster.Revision { r.Enabled = false; return r }
	shrunk := func(r cluster.Revision, n int) cluster.Revision { r.Replicas = n; return r }
	extra := rev("v2", 2, 3, true)
	extra.Pods, extra.Ready, extra.Replicas = 4, 4, 2 // two too many: the cluster may take any
	half := rev("v1", 1, 3, false)
	half.Unsettled = 1
	for _, c := range []struct {
		name    string
		state   cluster.State
		rules   guard.Rules
		put     cluster.Revision
		refused bool
	}{
		{"taking the only one off", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true)), guard.Rules{}, off(rev("v1", 1, 3, true)), true},
		{"taking the old one off while the new one is short", both, guard.Rules{Release: "v2"}, off(rev("v1", 1, 3, true)), true},
		{"the same, where two are enough", both, guard.Rules{Bounds: floor(2)}, off(rev("v1", 1, 3, true)), false},
		{"the same, where two are wanted", both, guard.Rules{Replicas: 2}, off(rev("v1", 1, 3, true)), false},
		{"taking the short one off", both, guard.Rules{Release: "v2"}, off(rev("v2", 2, 3, true)), false},
		{"scaling the only one down", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true)), guard.Rules{}, shrunk(rev("v1", 1, 3, true), 2), true},
		{"scaling a dark one down", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false)), guard.Rules{}, shrunk(rev("v2", 2, 3, false), 0), false},
		{"counting on a pod that may go", state(labels, map[string]int{"v1": 3, "v2": 3}, rev("v1", 1, 3, true), extra), guard.Rules{Release: "v2"}, off(rev("v1", 1, 3, true)), true},
		{"below the floor already, and lower", state(labels, map[string]int{"v1": 1}, rev("v1", 1, 3, true)), guard.Rules{Bounds: floor(3)}, off(rev("v1", 1, 3, true)), true},
		{"below the floor already, and no lower", state(labels, map[string]int{"v1": 1}, rev("v1", 1, 3, true), rev("v2", 2, 3, false)), guard.Rules{Bounds: floor(3)}, shrunk(rev("v2", 2, 3, false), 0), false},
		{"nothing, while the cluster may take a pod that is one too many", state(labels, map[string]int{"v2": 3}, extra), guard.Rules{Release: "v2"}, extra, false},
		{"nothing, while what was told to leave leaves", state(labels, map[string]int{"v1": 3, "v2": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false)), guard.Rules{Bounds: floor(6)}, rev("v1", 1, 3, true), false},
		{"turning off the one pod that somebody has turned on", state(labels, map[string]int{"v1": 1}, half), guard.Rules{}, half, true},
		{"touching what leaves, and is still listed", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, false)), guard.Rules{}, rev("v1", 1, 3, false), false},
		{"making it smaller", state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, false)), guard.Rules{}, shrunk(rev("v1", 1, 3, false), 1), true},
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

// verdict is the law that a write after one look breaks, or "".
func verdict(t *testing.T, s cluster.State, rules guard.Rules, write func(*guard.Guard) error) string {
	b := newBench(s, rules)
	b.look(t)
	err := write(b.guard)
	if err == nil {
		require.Equal(t, 1, b.inner.n, "it was not sent")
		return ""
	}
	var refusal *guard.Refusal
	require.ErrorAs(t, err, &refusal)
	require.Zero(t, b.inner.n, "it was sent all the same")
	return refusal.Law
}

func put(r cluster.Revision) func(*guard.Guard) error {
	return func(g *guard.Guard) error { return g.Put(context.Background(), "web", r) }
}

func setRoute(r cluster.Route) func(*guard.Guard) error {
	return func(g *guard.Guard) error { return g.SetRoute(context.Background(), "web", r) }
}

func del(r cluster.Revision) func(*guard.Guard) error {
	return func(g *guard.Guard) error { return g.Delete(context.Background(), "web", r) }
}

// with is a copy of a revision that differs.
func with(r cluster.Revision, change func(*cluster.Revision)) cluster.Revision {
	change(&r)
	return r
}

func off(r cluster.Revision) cluster.Revision {
	return with(r, func(r *cluster.Revision) { r.Enabled = false })
}

func wants(r cluster.Revision, replicas int) cluster.Revision {
	return with(r, func(r *cluster.Revision) { r.Replicas = replicas })
}

var errBlind = errors.New("no answer")

// A look pays for one write: if it succeeded, from when it was asked for, and
// until anything was tried on it.
func TestWhatALookPaysFor(t *testing.T) {
	dark := rev("v2", 2, 3, false)
	s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), dark)

	b := newBench(s, guard.Rules{})
	b.look(t)
	b.now = b.now.Add(30 * time.Second)
	require.NoError(t, put(dark)(b.guard), "a look that is just as old as it may be")

	b = newBench(s, guard.Rules{})
	b.look(t)
	b.inner.err = errBlind
	_, err := b.guard.Observe(context.Background(), "web")
	require.ErrorIs(t, err, errBlind)
	b.refused(t, put(dark)(b.guard), "evidence") // the failed look was the last one

	b = newBench(s, guard.Rules{})
	b.inner.takes = func() { b.now = b.now.Add(31 * time.Second) }
	b.look(t)
	b.refused(t, put(dark)(b.guard), "evidence") // it was old when it arrived

	b = newBench(s, guard.Rules{})
	b.look(t)
	b.refused(t, put(off(rev("v1", 1, 3, true)))(b.guard), "floor")
	b.refused(t, put(dark)(b.guard), "evidence") // what was refused has cost a look, too

	for name, write := range map[string]func(*guard.Guard) error{
		"put": put(dark), "delete": del(dark), "route": setRoute(cluster.Route{Name: "service/web", Version: "7"}),
	} {
		b = newBench(s, guard.Rules{})
		b.look(t)
		require.NoError(t, write(b.guard), name)
		b.inner.n = 0
		b.refused(t, put(dark)(b.guard), "evidence")
	}
}

// What the cluster answers is what the caller is told.
func TestAnErrorOfTheClusterIsPassedOn(t *testing.T) {
	dark := rev("v2", 2, 3, false)
	s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), dark)
	for _, write := range []func(*guard.Guard) error{put(dark), del(dark), setRoute(cluster.Route{Name: "service/web", Version: "7"})} {
		b := newBench(s, guard.Rules{})
		b.look(t)
		b.inner.err = errBlind
		require.ErrorIs(t, write(b.guard), errBlind)
	}
}

// A decision stays, but for a good one that is given up.
func TestWhichDecisionsMayFollowWhich(t *testing.T) {
	results := []cluster.Result{cluster.Undecided, cluster.Good, cluster.Failed}
	for _, from := range results {
		for _, to := range results {
			found := with(rev("v2", 2, 3, false), func(r *cluster.Revision) { r.Outcome.Result = from })
			s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), found)
			want := "order"
			if from == cluster.Undecided || from == to || from == cluster.Good && to == cluster.Failed {
				want = ""
			}
			got := verdict(t, s, guard.Rules{}, put(with(found, func(r *cluster.Revision) { r.Outcome.Result = to })))
			require.Equal(t, want, got, "%s to %s", from, to)
		}
	}
}

// A release is created on top. An arm is created beside its release. Neither is
// born into traffic, unless there is nobody that it could take any from.
func TestWhatIsCreated(t *testing.T) {
	lit := rev("v2", 2, 3, true)
	born := func(name string, seq int64, arm string, on bool) cluster.Revision {
		return cluster.Revision{Name: name, Seq: seq, Arm: arm, Release: "r", Template: []byte("t"), Enabled: on}
	}
	one := state(labels, map[string]int{"v2": 3}, lit)
	none := state(labels, nil)
	for _, c := range []struct {
		name  string
		state cluster.State
		r     cluster.Revision
		law   string
	}{
		{"above the top", one, born("v3", 3, "", false), ""},
		{"far above the top", one, born("v9", 9, "", false), ""},
		{"at the top", one, born("v2b", 2, "", false), "order"},
		{"below the top", one, born("v1", 1, "", false), "order"},
		{"an arm at the top", one, born("v2-baseline", 2, "baseline", false), ""},
		{"into traffic, beside one other", one, born("v3", 3, "", true), "order"},
		{"into traffic, where there is none", none, born("v1", 1, "", true), ""},
		{"dark, where there is none", none, born("v1", 1, "", false), ""},
	} {
		require.Equal(t, c.law, verdict(t, c.state, guard.Rules{}, put(c.r)), c.name)
	}
}

// A write is held to the very object that was looked at.
func TestAWriteIsHeldToItsObject(t *testing.T) {
	dark := rev("v2", 2, 3, false)
	s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), dark)
	s.Routes = append(s.Routes, cluster.Route{Name: "service/admin", Version: "8", Serving: map[string]int{"v1": 3}},
		cluster.Route{Name: "service/all", Version: "9", Fixed: true})
	for _, c := range []struct {
		name  string
		write func(*guard.Guard) error
		law   string
	}{
		{"a delete", del(dark), ""},
		{"a delete of what is not there", del(rev("v9", 9, 3, false)), "preconditions"},
		{"a delete with another version", del(with(dark, func(r *cluster.Revision) { r.Version = "0" })), "preconditions"},
		{"a route", setRoute(cluster.Route{Name: "service/web", Version: "7"}), ""},
		{"another route", setRoute(cluster.Route{Name: "service/admin", Version: "8"}), ""},
		{"a route with the version of another", setRoute(cluster.Route{Name: "service/admin", Version: "7"}), "preconditions"},
		{"a route that is not there", setRoute(cluster.Route{Name: "service/none", Version: "7"}), "preconditions"},
		{"a fixed route", setRoute(cluster.Route{Name: "service/all", Version: "9", Fixed: true}), ""},
		{"a route that is said to be fixed", setRoute(cluster.Route{Name: "service/web", Version: "7", Fixed: true}), "preconditions"},
		{"a fixed route that is said to be none", setRoute(cluster.Route{Name: "service/all", Version: "9"}), "preconditions"},
	} {
		require.Equal(t, c.law, verdict(t, s, guard.Rules{}, c.write), c.name)
	}
}

// Where it is the route that moves traffic, what is put as Enabled takes none
// away; the replicas that are put still do.
func TestEnabledCountsOnlyWhereItMovesTraffic(t *testing.T) {
	lit := rev("v1", 1, 3, true)
	preview := state(cluster.Can{Select: true}, nil, lit) // which is no traffic: a worker
	preview.Routes[0].Preview = true
	for _, c := range []struct {
		name  string
		state cluster.State
		law   string
	}{
		{"labels", state(labels, map[string]int{"v1": 3}, lit), "floor"},
		{"labels and weights", state(cluster.Can{Enable: true, Weigh: true}, map[string]int{"v1": 3}, lit), "floor"},
		{"labels and selector", state(cluster.Can{Enable: true, Select: true}, map[string]int{"v1": 3}, lit), "floor"},
		{"a selector", state(cluster.Can{Select: true}, map[string]int{"v1": 3}, lit), ""},
		{"weights", state(cluster.Can{Weigh: true}, map[string]int{"v1": 3}, lit), ""},
		{"a selector of a preview", preview, ""},
		{"a worker", cluster.State{Revisions: []cluster.Revision{lit}}, "floor"},
	} {
		require.Equal(t, c.law, verdict(t, c.state, guard.Rules{}, put(off(lit))), "off: %s", c.name)
		require.Equal(t, "floor", verdict(t, c.state, guard.Rules{}, put(wants(lit, 2))), "smaller: %s", c.name)
	}
}

// No route is left without a pod that answers. What it names already it may go
// on to name, and a preview may show what is not ready.
func TestWhereARouteMayLead(t *testing.T) {
	dead := with(rev("v3", 3, 3, false), func(r *cluster.Revision) { r.Ready = 0 })
	revisions := []cluster.Revision{rev("v1", 1, 3, true), rev("v2", 2, 3, false), dead}
	type weights = map[string]int
	for _, c := range []struct {
		name    string
		can     cluster.Can
		now, to weights
		preview bool
		allowed bool
	}{
		{name: "to a ready one", can: cluster.Can{Select: true}, now: weights{"v1": 100}, to: weights{"v2": 100}, allowed: true},
		{name: "to one without a ready pod", can: cluster.Can{Select: true}, now: weights{"v1": 100}, to: weights{"v3": 100}},
		{name: "to one without a ready pod, beside the old", can: cluster.Can{Select: true}, now: weights{"v1": 100}, to: weights{"v1": 100, "v3": 100}},
		{name: "where it leads already", can: cluster.Can{Select: true}, now: weights{"v1": 100, "v3": 100}, to: weights{"v1": 50, "v3": 50}, allowed: true},
		{name: "to one that is gone", can: cluster.Can{Select: true}, now: weights{"v1": 100, "v9": 100}, to: weights{"v1": 50, "v9": 50}},
		{name: "to one that is gone, in a preview", can: cluster.Can{Select: true}, to: weights{"v9": 100}, preview: true},
		{name: "to one without a ready pod, in a preview", can: cluster.Can{Select: true}, to: weights{"v3": 100}, preview: true, allowed: true},
		{name: "nowhere", can: cluster.Can{Select: true}, now: weights{"v1": 100}, to: weights{}},
		{name: "nowhere, said with nil", can: cluster.Can{Select: true}, now: weights{"v1": 100}},
		{name: "nowhere, in a preview", can: cluster.Can{Select: true}, now: weights{"v1": 100}, to: weights{}, preview: true, allowed: true},
		{name: "to all that are enabled", can: cluster.Can{Enable: true}, allowed: true},
		{name: "to all that are enabled, where others weigh", can: cluster.Can{Enable: true, Weigh: true}, allowed: true},
		{name: "from one to all that are enabled", can: cluster.Can{Enable: true}, now: weights{"v1": 100}, allowed: true},
		{name: "all of it", can: cluster.Can{Weigh: true}, now: weights{"v1": 100}, to: weights{"v1": 90, "v2": 10}, allowed: true},
		{name: "less than all of it", can: cluster.Can{Weigh: true}, now: weights{"v1": 100}, to: weights{"v1": 90, "v2": 9}},
		{name: "more than all of it", can: cluster.Can{Weigh: true}, now: weights{"v1": 100}, to: weights{"v1": 90, "v2": 11}},
		{name: "less than all of it, in a preview", can: cluster.Can{Weigh: true}, to: weights{"v1": 9}, preview: true, allowed: true},
		{name: "none of it to one without a ready pod", can: cluster.Can{Weigh: true}, now: weights{"v1": 100}, to: weights{"v1": 100, "v3": 0}, allowed: true},
		{name: "the least of it to one without a ready pod", can: cluster.Can{Weigh: true}, now: weights{"v1": 100}, to: weights{"v1": 99, "v3": 1}},
	} {
		s := state(c.can, map[string]int{"v1": 3}, revisions...)
		s.Routes[0].Weights, s.Routes[0].Preview = c.now, c.preview
		got := verdict(t, s, guard.Rules{}, setRoute(cluster.Route{Name: "service/web", Version: "7", Weights: c.to, Preview: c.preview}))
		want := "black hole"
		if c.allowed {
			want = ""
		}
		require.Equal(t, want, got, c.name)
	}
}

// A switch counts on what is ready to serve, and on nothing that gets no weight.
func TestFloorOfASwitch(t *testing.T) {
	short := with(rev("v2", 2, 3, false), func(r *cluster.Revision) { r.Ready = 2 })
	type weights = map[string]int
	for _, c := range []struct {
		name string
		can  cluster.Can
		to   weights
		law  string
	}{
		{"to fewer", cluster.Can{Select: true}, weights{"v2": 100}, "floor"},
		{"to both", cluster.Can{Select: true}, weights{"v1": 100, "v2": 100}, ""},
		{"figures that a selector does not read", cluster.Can{Select: true}, weights{"v1": 0, "v2": 100}, ""},
		{"all weight to fewer", cluster.Can{Weigh: true}, weights{"v1": 0, "v2": 100}, "floor"},
		{"as much weight as they bear", cluster.Can{Weigh: true}, weights{"v1": 33, "v2": 67}, ""},
		{"more than they bear", cluster.Can{Weigh: true}, weights{"v1": 32, "v2": 68}, "share"},
	} {
		s := state(c.can, map[string]int{"v1": 3}, rev("v1", 1, 3, true), short)
		s.Routes[0].Weights = weights{"v1": 100}
		s.Routes = append(s.Routes, cluster.Route{Name: "service/admin", Weights: weights{"v1": 100}, Serving: map[string]int{}})
		to := cluster.Route{Name: "service/web", Version: "7", Weights: c.to}
		require.Equal(t, c.law, verdict(t, s, guard.Rules{}, setRoute(to)), c.name)
	}
}

// A share that stays as it is is nobody's to judge, though pods have failed since it
// was given: what the others divide between them does not make it worse.
func TestAShareThatStaysIsNotJudged(t *testing.T) {
	for law, to := range map[string]map[string]int{"": {"v1": 9, "v2": 90, "v3": 1}, "share": {"v1": 9, "v2": 91}} {
		fails := with(rev("v2", 2, 3, true), func(r *cluster.Revision) { r.Ready = 1 })
		s := state(cluster.Can{Weigh: true}, map[string]int{"v1": 3, "v2": 1}, rev("v1", 1, 3, true), fails, rev("v3", 3, 3, true))
		s.Routes[0].Weights = map[string]int{"v1": 10, "v2": 90}
		require.Equal(t, law, verdict(t, s, guard.Rules{}, setRoute(cluster.Route{Name: "service/web", Version: "7", Weights: to})))
	}
}

// Endpoints of what has no weight are not in anybody's way.
func TestFloorCountsNoEndpointWithoutWeight(t *testing.T) {
	one, two := rev("v1", 1, 3, true), rev("v2", 2, 3, true)
	for _, c := range []struct {
		name    string
		can     cluster.Can
		weights map[string]int
		law     string
	}{
		{"no weight", cluster.Can{Weigh: true}, map[string]int{"v1": 100, "v2": 0}, ""},
		{"a weight", cluster.Can{Weigh: true}, map[string]int{"v1": 99, "v2": 1}, "floor"},
		{"a figure that a selector does not read", cluster.Can{Select: true}, map[string]int{"v1": 100, "v2": 0}, "floor"},
		{"no weights at all", cluster.Can{Weigh: true, Enable: true}, nil, "floor"},
	} {
		s := state(c.can, map[string]int{"v1": 3, "v2": 3}, one, two)
		s.Routes[0].Weights = c.weights
		require.Equal(t, c.law, verdict(t, s, guard.Rules{}, put(wants(two, 0))), c.name)
	}
}

// Nor do they make up for what is taken.
func TestFloorCountsOnNoEndpointWithoutWeight(t *testing.T) {
	one, two := rev("v1", 1, 3, true), rev("v2", 2, 3, true)
	for _, c := range []struct {
		name    string
		weights map[string]int
		law     string
	}{
		{"no weight", map[string]int{"v1": 100, "v2": 0}, "floor"},
		{"a weight", map[string]int{"v1": 34, "v2": 66}, ""},
		{"more than one endpoint bears", map[string]int{"v1": 35, "v2": 65}, "share"},
		{"a part of it goes nowhere", map[string]int{"v1": 35, "v2": 64, "gone": 1}, ""},
	} {
		s := state(cluster.Can{Enable: true, Weigh: true}, map[string]int{"v1": 3, "v2": 3}, one, two)
		s.Routes[0].Weights = c.weights
		require.Equal(t, c.law, verdict(t, s, guard.Rules{Replicas: 3}, put(wants(one, 1))), c.name)
	}
}

// The floor without one of its own: what serves now, up to the replicas that are
// wanted: those that were asked for, else those of the release, else, once that
// was given up or has none, those of what it goes back to.
func TestWhatTheFloorIs(t *testing.T) {
	failed := func(r cluster.Revision) cluster.Revision {
		return with(r, func(r *cluster.Revision) { r.Outcome.Result = cluster.Failed })
	}
	good := func(r cluster.Revision) cluster.Revision {
		return with(r, func(r *cluster.Revision) { r.Outcome.Result = cluster.Good })
	}
	none := with(rev("v2", 2, 0, false), func(r *cluster.Revision) { r.Pods, r.Ready = 0, 0 })
	serves := rev("v3", 3, 6, true) // what is made smaller, down to the floor
	for _, c := range []struct {
		name  string
		rules guard.Rules
		mine  cluster.Revision
		floor int
	}{
		{"nobody knows", guard.Rules{}, rev("v2", 2, 4, false), 6},
		{"asked for", guard.Rules{Replicas: 5}, rev("v2", 2, 4, false), 5},
		{"asked for one", guard.Rules{Replicas: 1}, rev("v2", 2, 4, false), 1},
		{"asked for more than there is", guard.Rules{Replicas: 9}, rev("v2", 2, 4, false), 6},
		{"of the release", guard.Rules{Release: "v2"}, rev("v2", 2, 4, false), 4},
		{"asked for, and the release is there", guard.Rules{Release: "v2", Replicas: 5}, rev("v2", 2, 4, false), 5},
		{"asked for one, and the release is there", guard.Rules{Release: "v2", Replicas: 1}, rev("v2", 2, 4, false), 1},
		{"asked for, but the release was given up", guard.Rules{Release: "v2", Replicas: 5}, failed(rev("v2", 2, 4, false)), 3},
		{"the release was given up", guard.Rules{Release: "v2"}, failed(rev("v2", 2, 4, false)), 3},
		{"the release has no replicas", guard.Rules{Release: "v2", Replicas: 5}, none, 3},
		{"the release has one", guard.Rules{Release: "v2"}, rev("v2", 2, 1, false), 1},
		{"its own, below what is asked for", guard.Rules{Replicas: 5, Bounds: floor(2)}, rev("v2", 2, 4, false), 2},
		{"its own, above what serves", guard.Rules{Replicas: 5, Bounds: floor(7)}, rev("v2", 2, 4, false), 6},
	} {
		s := state(labels, map[string]int{"v3": 6}, good(rev("v1", 1, 3, false)), c.mine, serves)
		for n := range 7 {
			law := ""
			if n < c.floor {
				law = "floor"
			}
			require.Equal(t, law, verdict(t, s, c.rules, put(wants(serves, n))), "%s: down to %d", c.name, n)
		}
	}
}

// Where two share and neither is good, one of them can bear all: the larger. A release
// that was given up is no such one, for it goes back to what is good.
func TestTheFloorWhereNothingIsGood(t *testing.T) {
	none := with(rev("v2", 2, 0, false), func(r *cluster.Revision) { r.Pods, r.Ready = 0, 0 })
	larger, smaller := rev("v3", 3, 4, true), rev("v4", 4, 3, true)
	for _, c := range []struct {
		name  string
		mine  cluster.Revision
		least int // that the larger one may be made
	}{
		{"the release has no replicas yet", none, 1},
		{"it was given up", with(none, func(r *cluster.Revision) { r.Outcome.Result = cluster.Failed }), 4},
	} {
		s := state(labels, map[string]int{"v3": 4, "v4": 3}, rev("v1", 1, 2, false), c.mine, larger, smaller)
		for n := range 5 {
			law := ""
			if n < c.least {
				law = "floor"
			}
			require.Equal(t, law, verdict(t, s, guard.Rules{Release: "v2"}, put(wants(larger, n))), "%s: down to %d", c.name, n)
		}
	}
}

// What was told to leave traffic, and is still listed, is not counted on: it may
// be gone before anything else comes.
func TestFloorCountsOnlyWhatLasts(t *testing.T) {
	for _, c := range []struct {
		name      string
		on        bool
		unsettled int
		law       string
	}{
		{"it stays", true, 0, ""},
		{"a pod of it is told to leave", true, 1, "floor"},
		{"it was told to leave", false, 0, "floor"},
		{"it is to leave, and no pod was told", false, 3, ""},
		{"it is to leave, and one pod was told", false, 2, "floor"},
	} {
		other := with(rev("v2", 2, 3, c.on), func(r *cluster.Revision) { r.Unsettled = c.unsettled })
		s := state(labels, map[string]int{"v1": 3, "v2": 3}, rev("v1", 1, 3, true), other)
		require.Equal(t, c.law, verdict(t, s, guard.Rules{Replicas: 3}, put(off(rev("v1", 1, 3, true)))), c.name)
	}
}

// Two do not write one number: replicas of a revision that an autoscaler names are
// its own.
func TestReplicasThatAnAutoscalerWrites(t *testing.T) {
	hpa := func(of string) cluster.Route {
		return cluster.Route{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{of: 100}, Version: "3"}
	}
	sized := func(s cluster.State, of string) cluster.State {
		s.Routes = append([]cluster.Route{hpa(of)}, s.Routes...)
		return s
	}
	live := func() cluster.State {
		return state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false), rev("v3", 3, 0, false))
	}
	nobody := state(labels, nil, rev("v1", 1, 3, false), rev("v2", 2, 3, false))
	resized := func(name string, seq int64, was, replicas int, on bool) cluster.Revision {
		r := rev(name, seq, was, on)
		r.Replicas = replicas
		return r
	}
	for _, c := range []struct {
		name    string
		state   cluster.State
		put     cluster.Revision
		refused bool
	}{
		{"more, of the one in traffic", sized(live(), "v1"), resized("v1", 1, 3, 5, true), true},
		{"more, of one that it does not name", sized(live(), "v1"), resized("v2", 2, 3, 5, false), false},
		{"fewer, of a dark one", sized(live(), "v2"), resized("v2", 2, 3, 1, false), true},
		{"none, of a dark one, while another has traffic", sized(live(), "v2"), resized("v2", 2, 3, 0, false), true},
		{"one, while nothing has", sized(nobody, "v2"), resized("v2", 2, 3, 1, false), true},
		{"none, while nothing has", sized(nobody, "v2"), resized("v2", 2, 3, 0, false), false},
		{"some, where there are none: it is off", sized(live(), "v3"), resized("v3", 3, 0, 3, false), false},
		{"another outcome, the same replicas", sized(live(), "v1"), rev("v1", 1, 3, true), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(c.state, guard.Rules{})
			b.look(t)
			c.put.Outcome = cluster.Outcome{Result: cluster.Good}
			err := b.guard.Put(context.Background(), "web", c.put)
			if c.refused {
				b.refused(t, err, "order")
				require.ErrorContains(t, err, "horizontalpodautoscaler/web")
				return
			}
			require.NoError(t, err)
		})
	}
}

func TestWhereAnAutoscalerMayBePointed(t *testing.T) {
	s := state(labels, map[string]int{"v1": 3}, rev("v1", 1, 3, true), rev("v2", 2, 3, false), rev("v3", 3, 0, false), rev("v5", 5, 1, false))
	hpa := cluster.Route{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"v1": 100}, Version: "3"}
	off := hpa
	off.Name, off.Weights = "horizontalpodautoscaler/off", map[string]int{"v3": 100}
	s.Routes = append(s.Routes, hpa, off)
	for _, c := range []struct {
		name string
		set  cluster.Route
		to   map[string]int
		law  string
	}{
		{"at another that has replicas", hpa, map[string]int{"v2": 100}, ""},
		{"at another that has one", hpa, map[string]int{"v5": 100}, ""},
		{"at one without", hpa, map[string]int{"v3": 100}, "order"},
		{"at one that is gone", hpa, map[string]int{"v4": 100}, "order"},
		{"at two", hpa, map[string]int{"v1": 100, "v2": 100}, "order"},
		{"at none", hpa, map[string]int{}, "order"},
		{"a touch", hpa, map[string]int{"v1": 100}, ""},
		{"a touch of one that does nothing", off, map[string]int{"v3": 100}, ""},
		{"one that calls itself traffic", cluster.Route{Name: hpa.Name, Version: hpa.Version}, map[string]int{"v2": 100}, "preconditions"},
	} {
		t.Run(c.name, func(t *testing.T) {
			b := newBench(s, guard.Rules{Bounds: floor(3)})
			b.look(t)
			c.set.Weights = c.to
			err := b.guard.SetRoute(context.Background(), "web", c.set)
			if c.law != "" {
				b.refused(t, err, c.law)
				return
			}
			require.NoError(t, err)
		})
	}
}

// What more replicas may be wanted beside: nothing that runs, or may yet, where a
// strategy keeps revisions apart; and no more of all of them than its ceiling.
func TestWhatMoreReplicasMayBeWantedBeside(t *testing.T) {
	other := func(pods, replicas int, behind bool) cluster.Revision {
		return with(rev("v1", 1, replicas, false), func(r *cluster.Revision) { r.Pods, r.Behind = pods, behind })
	}
	mine := rev("v2", 2, 0, false)
	for _, c := range []struct {
		name   string
		found  []cluster.Revision
		bounds guard.Bounds
		law    string
	}{
		{"nothing of another runs", []cluster.Revision{other(0, 0, false), mine}, guard.Bounds{Apart: true}, ""},
		{"its last pod still goes", []cluster.Revision{other(1, 0, false), mine}, guard.Bounds{Apart: true}, "apart"},
		{"one is wanted of it", []cluster.Revision{other(0, 1, false), mine}, guard.Bounds{Apart: true}, "apart"},
		{"its controller may act on what was", []cluster.Revision{other(0, 0, true), mine}, guard.Bounds{Apart: true}, "apart"},
		{"it runs, where that is nothing to anybody", []cluster.Revision{other(1, 1, true), mine}, guard.Bounds{}, ""},
		{"up to the ceiling", []cluster.Revision{mine, other(1, 1, false)}, guard.Bounds{Ceiling: 4}, ""},
		{"above it, with one that comes later", []cluster.Revision{mine, other(1, 1, false)}, guard.Bounds{Ceiling: 3}, "ceiling"},
		{"above a ceiling of one", []cluster.Revision{mine}, guard.Bounds{Ceiling: 1}, "ceiling"},
	} {
		rules := guard.Rules{Bounds: func() guard.Bounds { return c.bounds }}
		require.Equal(t, c.law, verdict(t, state(labels, nil, c.found...), rules, put(wants(mine, 3))), c.name)
	}
}

// Who gets more of what weights divide has the endpoints for it on that route, if
// it is named there; and whoever has a share keeps what it needs for it.
func TestWhatAShareNeeds(t *testing.T) {
	type weights = map[string]int
	weigh := cluster.Can{Weigh: true}
	divided := func(now weights, serving map[string]int, revisions ...cluster.Revision) cluster.State {
		s := state(weigh, serving, revisions...)
		s.Routes[0].Weights = now
		return s
	}
	to := func(w weights) func(*guard.Guard) error {
		return setRoute(cluster.Route{Name: "service/web", Version: "7", Weights: w})
	}
	one, two := rev("v1", 1, 3, true), rev("v2", 2, 3, true)
	over := with(one, func(r *cluster.Revision) { r.Replicas = 1 })          // two pods too many
	short := with(one, func(r *cluster.Revision) { r.Ready, r.Pods = 2, 3 }) // one pod is not ready
	for _, c := range []struct {
		name  string
		state cluster.State
		floor int
		write func(*guard.Guard) error
		law   string
	}{
		{"its first share, and no endpoint that the route has seen", divided(weights{"v1": 100, "v2": 0}, map[string]int{"v1": 3}, one, two), 3, to(weights{"v1": 99, "v2": 1}), "share"},
		{"more, with one endpoint of three pods", divided(weights{"v1": 50, "v2": 50}, map[string]int{"v1": 3, "v2": 1}, one, two), 4, to(weights{"v1": 40, "v2": 60}), "share"},
		{"as much as it has, which it does not bear", divided(weights{"v1": 50, "v2": 50}, map[string]int{"v1": 3, "v2": 1}, one, two), 4, to(weights{"v1": 50, "v2": 50}), ""},
		{"a touch of one with two pods too many", divided(weights{"v1": 60, "v2": 40}, map[string]int{"v1": 3, "v2": 3}, over, two), 4, put(off(over)), ""},
		{"fewer, down to what serves", divided(weights{"v1": 60, "v2": 40}, map[string]int{"v1": 2, "v2": 3}, short, two), 4, put(wants(short, 2)), ""},
		{"fewer than that", divided(weights{"v1": 60, "v2": 40}, map[string]int{"v1": 2, "v2": 3}, short, two), 4, put(wants(short, 1)), "share"},
	} {
		require.Equal(t, c.law, verdict(t, c.state, guard.Rules{Bounds: floor(c.floor)}, c.write), c.name)
	}
}
