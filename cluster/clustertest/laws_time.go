// Laws of times. All are told by the cluster's clock, in steps of a second:
// that a time moved is seen only after a tick.

package clustertest

import (
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// clock: nor does it stand still.
func clock(t *trial) {
	first := t.look().At
	if first.IsZero() {
		t.breach("a look has no time")
	}
	last := first
	for i := range 8 {
		if i == 4 {
			t.create(t.revision(1, 0))
		}
		t.sleep(tick / 4)
		at := t.look().At
		if at.Before(last) {
			t.breach("a look at %v was followed by one at %v", last, at)
		}
		last = at
	}
	if !last.After(first) {
		t.breach("%v after the first look it was still %v", 2*tick, last)
	}
}

func times(t *trial) {
	r := t.create(t.revision(1, 1))
	t.change(r.Name, func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Good} })
	for range 3 {
		s := t.look()
		r := t.in(s, r.Name)
		for name, at := range map[string]time.Time{"created": r.Created, "raised": r.Raised, "since": r.Since, "moved": r.Moved} {
			if at.IsZero() || at.After(s.At) {
				t.breach("at %v, %s is %v", s.At, name, at)
			}
		}
		for _, route := range s.Routes {
			if route.Since.After(s.At) {
				t.breach("at %v, since of %s is %v", s.At, route.Name, route.Since)
			}
		}
		t.sleep(poll)
	}
}

// step is one change, and whether a time moves by it.
type step struct {
	what  string
	moves bool
	edit  func(*cluster.Revision)
}

// walk does the steps a tick apart, and looks at a time after each.
func (t *trial) walk(name string, steps []step, of func(cluster.Revision) time.Time) {
	was := of(t.found(name))
	for _, s := range steps {
		t.sleep(tick)
		is := of(t.change(name, s.edit))
		if s.moves && !is.After(was) {
			t.breach("%s: it was %v and is %v", s.what, was, is)
		}
		if !s.moves && !is.Equal(was) {
			t.breach("%s: it went from %v to %v", s.what, was, is)
		}
		was = is
	}
}

// raised: by a writer. It is not asked what happens when another than Put
// scales.
func raised(t *trial) {
	r := t.create(t.revision(1, 1))
	if r.Raised.IsZero() {
		t.breach("created with one replica, raised is zero")
	}
	t.walk(r.Name, []step{
		{"a note", false, func(r *cluster.Revision) { r.Note = "a note" }},
		{"from 1 to 2", true, func(r *cluster.Revision) { r.Replicas = 2 }},
		{"from 2 to 0", false, func(r *cluster.Revision) { r.Replicas = 0 }},
		{"an outcome", false, func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Good} }},
		{"from 0 to 1", true, func(r *cluster.Revision) { r.Replicas = 1 }},
	}, func(r cluster.Revision) time.Time { return r.Raised })
}

// since: what it is right after the create is not asked.
func since(t *trial) {
	r := t.create(t.revision(1, 1))
	by := labels(t.can) // elsewhere Enabled is found, no writer changes it
	t.walk(r.Name, []step{
		{"replicas and a note", false, func(r *cluster.Revision) { r.Replicas, r.Note = 2, "a note" }},
		{"disabled", by, func(r *cluster.Revision) { r.Enabled = false }},
		{"good", true, func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Good, Why: "baked"} }},
		{"fewer replicas", false, func(r *cluster.Revision) { r.Replicas = 1 }},
		{"enabled", by, func(r *cluster.Revision) { r.Enabled = true }},
	}, func(r cluster.Revision) time.Time { return r.Since })
}

func routeSince(t *trial) {
	first, second := t.ready(t.revision(1, 1)), t.ready(t.revision(2, 1))
	t.serve(first.Name)
	name := t.route().Name
	was := t.routeNamed(name).Since
	t.sleep(tick)
	if is := t.set(name, func(r *cluster.Route) { r.Note, r.Fence = "a note", "run-2" }).Since; !is.Equal(was) {
		t.breach("by a note it went from %v to %v", was, is)
	}
	weights := map[string]int{second.Name: 100}
	if is := t.set(name, func(r *cluster.Route) { r.Weights = weights }).Since; !is.After(was) {
		t.breach("by new weights it went from %v to %v", was, is)
	}
}
