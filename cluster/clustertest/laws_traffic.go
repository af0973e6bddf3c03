// Laws of traffic: Enabled, Moved and SetRoute.

package clustertest

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cutover-dev/cutover/cluster"
)

// enabled: on every traffic route, and the other revision is left alone. How
// soon endpoints follow, and how many pods one Put writes, is the cluster's
// own.
func enabled(t *trial) {
	r, other := t.ready(t.revision(1, 2)), t.ready(t.revision(2, 1))
	if named(t.can) {
		for _, route := range t.look().Traffic() {
			t.set(route.Name, func(route *cluster.Route) {
				route.Weights = map[string]int{r.Name: 50, other.Name: 50}
			})
		}
	}
	for _, on := range []bool{true, false, true} {
		t.driven(r.Name, func(r *cluster.Revision) { r.Enabled = on })
		t.until(fmt.Sprintf("enabled %v, and so on every route", on), func(s cluster.State) bool {
			r := t.in(s, r.Name)
			if !on {
				return !r.Enabled && s.Exposed(r.Name) == 0 && still(r)
			}
			return r.Enabled && s.ReliedOn(r.Name) == 2 && still(r)
		})
		t.until("the other serves", func(s cluster.State) bool { return s.ReliedOn(other.Name) == 1 })
	}
}

// unsettled: once no pod is unsettled and the revision is not behind, traffic
// follows by itself and stays so. Replicas are raised right before, so that a
// slow cluster has births to come from what was put first; that pods which die
// in between are replaced from it too is not tried. How a cluster counts on
// the way is its own.
func unsettled(t *trial) {
	r := t.ready(t.revision(1, 2))
	t.serve(r.Name)
	for i, on := range []bool{false, true} {
		n := 3 + i
		t.change(r.Name, func(r *cluster.Revision) { r.Replicas = n })
		t.sleep(poll)
		t.driven(r.Name, func(r *cluster.Revision) { r.Enabled = on })
		followed := func(s cluster.State) bool {
			if on {
				return s.ReliedOn(r.Name) == n
			}
			return s.Exposed(r.Name) == 0
		}
		t.until(fmt.Sprintf("enabled %v, still, and all traffic so", on), followed)
		for range 4 {
			t.sleep(tick)
			if s := t.look(); !followed(s) || !still(t.in(s, r.Name)) {
				t.breach("enabled %v, still and followed, then: %s", on, describe(s))
			}
		}
	}
}

// moved: an observer's own memory. Between the look before and the look that
// shows the change it may tell any time.
func moved(t *trial) {
	r := t.create(t.revision(1, 1))
	before := t.look()
	if got := t.in(before, r.Name).Moved; got.IsZero() || got.After(before.At) {
		t.breach("at the first looks, at %v, moved is %v", before.At, got)
	}
	t.watch(before, r.Name, 3)
	before = t.watch(t.serve(r.Name), r.Name, 3)
	t.change(r.Name, func(r *cluster.Revision) { r.Replicas = 2 })
	for range t.turns() {
		if before = t.watch(before, r.Name, 1); before.ReliedOn(r.Name) == 2 {
			t.watch(before, r.Name, 3)
			return
		}
	}
	t.breach("2 replicas never serve: %s", describe(before))
}

// watch looks n times, a tick apart, checks Moved against what is seen between
// each two looks, and returns the last.
func (t *trial) watch(before cluster.State, name string, n int) cluster.State {
	for range n {
		t.sleep(tick)
		now := t.look()
		was, is := t.in(before, name).Moved, t.in(now, name).Moved
		from, to := servingOf(before, name), servingOf(now, name)
		switch {
		case from == to && !is.Equal(was):
			t.breach("serving stayed %s, moved went from %v to %v", to, was, is)
		case from != to && (is.Before(before.At) || is.After(now.At)):
			t.breach("serving went from %s to %s between the looks at %v and %v, moved says %v",
				from, to, before.At, now.At, is)
		}
		before = now
	}
	return before
}

// servingOf says how the revision serves, by route that brings traffic.
func servingOf(s cluster.State, name string) string {
	all := map[string]int{}
	for _, r := range s.Traffic() {
		all[r.Name] = r.Serving[name]
	}
	return fmt.Sprint(all)
}

func unknownRoute(t *trial) {
	r := t.route()
	was := slices.Clone(t.look().Routes)
	r.Name, r.Note = "service/"+t.App+"-unknown", "unknown"
	t.mustBe(t.Cluster.SetRoute(t.ctx, t.App, r), cluster.ErrRefused, "set %s", r.Name)
	if now := t.look().Routes; len(now) != len(was) {
		t.breach("%d routes before, %d after", len(was), len(now))
	}
}

func staleRoute(t *trial) {
	stale := t.route()
	was := t.set(stale.Name, func(r *cluster.Route) { r.Note = "newer" })
	stale.Note, stale.Fence = "stale", "stale"
	t.mustBe(t.Cluster.SetRoute(t.ctx, t.App, stale), cluster.ErrConflict, "set with version %s", stale.Version)
	t.unmoved(was, "a stale write")
}

// carried: of Weights the names, and the figures where they count. A selector
// is not asked for two names at once: that one can is not in the contract.
func carried(t *trial) {
	first, second := t.ready(t.revision(1, 1)), t.ready(t.revision(2, 1))
	var weights map[string]int
	switch {
	case t.can.Weigh:
		weights = map[string]int{first.Name: 70, second.Name: 30}
	case t.can.Select:
		weights = map[string]int{second.Name: 100}
	}
	for _, text := range []string{"a step", unusual} {
		got := t.set(t.route().Name, func(r *cluster.Route) {
			r.Note, r.Fence, r.From = text, "run-1", first.Name
			if weights != nil {
				r.Weights = weights
			}
		})
		if got.Note != text || got.Fence != "run-1" || got.From != first.Name {
			t.breach("set note %q, fence run-1, from %s; found note %q, fence %s, from %s",
				text, first.Name, got.Note, got.Fence, got.From)
		}
		if !t.sameWeights(weights, got.Weights) {
			t.breach("set weights %v, found %v", weights, got.Weights)
		}
	}
}

func (t *trial) sameWeights(x, y map[string]int) bool {
	if t.can.Weigh {
		return maps.Equal(x, y)
	}
	return maps.EqualFunc(x, y, func(int, int) bool { return true })
}

func emptyLeavesRoute(t *trial) {
	r := t.ready(t.revision(1, 1))
	t.serve(r.Name)
	was := t.set(t.route().Name, func(route *cluster.Route) {
		route.Note, route.Fence, route.From = "the note", "the fence", r.Name
	})
	for _, edit := range []func(*cluster.Route){
		func(r *cluster.Route) { r.Note = "" },
		func(r *cluster.Route) { r.Fence = "" },
		func(r *cluster.Route) { r.From = "" },
	} {
		t.set(was.Name, edit)
		t.unmoved(was, "a write with an empty field")
	}
}

func noWeights(t *trial) {
	r := t.ready(t.revision(1, 1))
	was := t.route()
	set := was
	set.Weights, set.Note = map[string]int{r.Name: 100}, "weighed"
	t.mustBe(t.Cluster.SetRoute(t.ctx, t.App, set), cluster.ErrUnsupported, "set weights on %s", set.Name)
	t.unmoved(was, "a write that is not supported")
}

// chosen: there and back. Where Weights count, that traffic is split as they
// say is not seen from here.
func chosen(t *trial) {
	first, second := t.ready(t.revision(1, 2)), t.ready(t.revision(2, 1))
	for _, on := range []struct{ named, other cluster.Revision }{{first, second}, {second, first}, {first, second}} {
		t.serve(on.named.Name)
		s := t.until(on.other.Name+" stops", func(s cluster.State) bool {
			return s.Exposed(on.other.Name) == 0 && !s.HasTraffic(on.other.Name)
		})
		if !s.HasTraffic(on.named.Name) {
			t.breach("%s is named and has no traffic: %s", on.named.Name, describe(s))
		}
		if t.can.Select && !t.can.Enable && (!t.in(s, on.named.Name).Enabled || t.in(s, on.other.Name).Enabled) {
			t.breach("%s alone is named: %s", on.named.Name, describe(s))
		}
	}
}
