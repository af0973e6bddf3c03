// Blue-green: the new revision comes up dark beside the old one, and one write
// to a Service's selector moves all traffic to it. The old one stays warm.

package strategy

import (
	"fmt"
	"maps"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// BlueGreen moves traffic by the selector of a Service, in one write. The
// fault-free sequence is
//
//  1. create the new revision with all its replicas, dark
//  2. wait until they are ready; ask Before
//  3. switch each traffic route to it, one after the other, each in one write
//  4. wait until it serves on every route, and the old one on none
//  5. ask After for as long as Bake
//  6. record the new revision as good; the old one stays warm, see Keep
//
// With Overlap step 3 first selects both revisions, and the new one alone once
// it serves. If Before or After fails, or a deadline passes, the new revision is
// recorded as failed, the newest good one gets its capacity back, then the
// routes, and the new one drains and loses its replicas.
//
// If somebody else puts a route back after it was switched, the release is given
// up: two that pull at one field do not agree by pulling.
//
// Where nothing in a route tells revisions apart ([cluster.Route.Open]), the new
// revision would be in traffic as soon as it has a ready pod. There step 1 is three
// writes: create it without replicas, keep each such route to what it serves, and
// raise it. Killed before the pin, nothing has changed; killed after it, there is a
// release, undecided, that says whose pin it is, and running it again goes on, while
// an undo takes the pin off. So does a release that is given up, once its pods are
// gone. If the template of what serves is changed while a route is kept to its pods,
// the release is given up at once, for the route is losing its endpoints.
//
// The zero value is safe: no gates, no bake, and the old side stays.
type BlueGreen struct {
	Ready   time.Duration // to get ready and, later, to serve within; 0: 10m
	Before  health.Gate   // asked when the new revision is ready and dark; nil passes
	After   health.Gate   // asked while it bakes, at every look; nil passes
	Judge   time.Duration // a gate that has not passed so long after Ready was over, or the bake, has failed; 0: 10m
	Bake    time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Drain   time.Duration // between the last traffic of a revision and the loss of its replicas; 0: 30s, negative: none
	Settle  time.Duration // how long a route must be seen unchanged before it is good; 0: 5m where its objects are Contested, else none
	Overlap Overlap       // whether both revisions are selected for a moment
	Keep    Retention     // how long the old side stays
}

// Overlap says whether a switch goes over both revisions.
type Overlap int

const (
	// WhereNeeded: where one slice of endpoints does not hold all (above 100
	// pods), or a load balancer outside the cluster follows later. A switch of
	// 150 endpoints without it was seen to dip to 100 for some milliseconds.
	WhereNeeded Overlap = iota
	Always              // both serve for a moment: the versions must be able to
	Never               // one write
)

// Next implements Strategy.
func (bg BlueGreen) Next(in Input) Step {
	ru := Rules{Ready: bg.Ready, Before: bg.Before, After: bg.After, Judge: bg.Judge, Bake: bg.bake(in), Drain: bg.Drain, Keep: bg.Keep}
	ru.move = bySelector{overlap: bg.Overlap, drain: ru.withDefaults(in).Drain}
	why := ru.unfit()
	switch {
	case why != "":
	case bg.Settle < 0 || bg.Overlap < WhereNeeded || bg.Overlap > Never:
		why = "Settle must not be negative, and Overlap one of its constants"
	case in.State.Worker():
		why = "it moves traffic, and no route brings any to this app: name its Service; or, if it is a worker, use Rolling or Recreate"
	case in.State.Can.Weigh && !in.State.Can.Select:
		why = "it switches a Service's selector, and a route here divides traffic by weight: use Canary"
	case !in.State.Can.Select:
		why = "it switches a Service's selector, and this cluster cannot for this app: use RedBlack, which turns pod labels on and off"
	}
	if why != "" {
		return Abort{Unfit, "BlueGreen: " + why}
	}
	return ru.Next(in, ru.BringUp, ru.Serve, Supersede, ru.Alone, ru.Watch)
}

// bake is how long it is alone in traffic before it is good. A negative Bake stays
// one, and is refused.
func (bg BlueGreen) bake(in Input) time.Duration {
	if bg.Bake < 0 {
		return bg.Bake
	}
	return max(bg.Bake, bg.settle(in))
}

// settle is how long nobody must have put a route back.
func (bg BlueGreen) settle(in Input) time.Duration {
	if bg.Settle == 0 && in.State.Contested {
		return 5 * time.Minute
	}
	return bg.Settle
}

// bySelectorAlone reports whether nothing but the selectors of routes moves traffic.
func bySelectorAlone(s cluster.State) bool { return s.Can.Select && !s.Can.Enable }

// bySelector moves traffic by SetRoute.
type bySelector struct {
	overlap Overlap
	drain   time.Duration
	beside  bool // others keep a route as long as they have replicas, ready or not
}

// switchedTo is the Note of a route that was switched to a revision: to this
// object, for names are used again.
func switchedTo(r cluster.Revision) string { return "to " + r.Name + " " + r.UID }

// heldFor is the Note of a route that was kept to what it serves while a revision
// gets ready: by this run, or the one that this one resumes. A pin of another's
// is written again, so that nothing that was sent before can still take it off.
func heldFor(r cluster.Revision) string { return "held for " + r.Name + " " + r.UID }

// Notes of a route that was pinned.
const (
	released = "released"       // it is as it was before
	losing   = "losing its pin" // it is written so that no late write can get in the way of mending it
)

// hold pins every route in which nothing tells revisions apart. It is done when
// the new revision is there and has no pods: earlier, nobody might be left to take
// the pin off; later, they could be in traffic.
func (m bySelector) hold(in Input, mine cluster.Revision) Step {
	if mine.Outcome.Result != cluster.Undecided {
		return nil
	}
	for _, route := range in.State.Traffic() {
		_, named := route.Weights[mine.Name]
		held := route.Note == heldFor(mine)
		switch old, ok := keptTo(in.State, route); {
		case !route.Open && !route.Pinned, named && !held, !ok:
			continue // it tells them apart, or brings it traffic already
		case route.Open && mine.Replicas > 0 && held:
			return fail(in, mine, fmt.Sprintf("%s was kept to %s, and somebody has opened it to every revision", route.Name, old.Name))
		case lost(route) && old.Behind:
			return behind(old)
		case lost(route) && whole(old):
			return m.pin(in, route, old, mine, "its pods are of a new template, all of them")
		case lost(route) && mine.Replicas > 0:
			return fail(in, mine, fmt.Sprintf("the template of %s was changed, while %s was kept to its pods", old.Name, route.Name))
		case lost(route):
			return m.open(route, old, "its pods are being replaced by those of another template")
		case mine.Replicas == 0 && (route.Open || !held || old.Behind):
			return m.pin(in, route, old, mine, mine.Name+" has no pods yet, and its route would bring them traffic")
		}
	}
	return nil
}

// keptTo returns the revision that a route brings traffic to, or did before its pin
// was lost.
func keptTo(s cluster.State, route cluster.Route) (cluster.Revision, bool) {
	for _, r := range s.Revisions {
		if _, named := route.Weights[r.Name]; named || len(route.Weights) == 0 && route.Serving[r.Name] > 0 {
			return r, true
		}
	}
	return s.Named(route.From)
}

// lost reports whether a pinned route empties, for what it was pinned to makes
// pods of another template now.
func lost(route cluster.Route) bool { return route.Pinned && len(route.Weights) == 0 }

// whole reports whether a revision has all its pods, ready, and no other.
func whole(r cluster.Revision) bool {
	return r.Replicas > 0 && r.Ready == r.Replicas && r.Pods == r.Replicas && !r.Behind
}

func (m bySelector) pin(in Input, route cluster.Route, old, mine cluster.Revision, why string) Step {
	if old.Behind {
		return behind(old)
	}
	if route.From == "" && route.Since.IsZero() {
		route.From = newestServed(in.State, route)
	}
	route.Weights, route.Pinned, route.Note = map[string]int{old.Name: 100}, true, heldFor(mine)
	return SetRoute{route, why}
}

func (m bySelector) open(route cluster.Route, old cluster.Revision, why string) Step {
	route.Weights, route.Pinned, route.Note = map[string]int{old.Name: 100}, false, released
	return SetRoute{route, why}
}

// release opens the routes that hold, or an undo, has pinned. A pin that is lost
// costs endpoints with every pod that is replaced: then the bad revision, which has
// no traffic, loses its pods at once.
func (m bySelector) release(in Input, bad cluster.Revision) Step {
	for _, route := range in.State.Traffic() {
		old, ok := keptTo(in.State, route)
		if !ok || !route.Pinned || route.Since.IsZero() {
			continue // there is no pin, or it is not ours
		}
		switch others := alive(in.State, old); {
		case len(others) == 0:
			return m.open(route, old, "nothing else has pods")
		case !lost(route) || len(others) > 1 || others[0].Name != bad.Name:
		case bad.Replicas > 0 && route.Note != losing:
			route.Weights, route.Note = map[string]int{old.Name: 100}, losing
			return SetRoute{route, "kept to whichever of its templates has more pods"}
		case bad.Replicas > 0:
			return scale(bad, 0, route.Name+" has to be opened")
		default:
			return Wait{Why: bad.Name + " still has pods"}
		}
	}
	return nil
}

// alive returns every revision but one that may have a ready pod, or get one.
func alive(s cluster.State, but cluster.Revision) []cluster.Revision {
	var all []cluster.Revision
	for _, r := range s.Revisions {
		if r.Name != but.Name && (r.Replicas > 0 || r.Ready > 0 || r.Behind) {
			all = append(all, r)
		}
	}
	return all
}

func (m bySelector) claim(in Input, r cluster.Revision) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[r.Name]; named && route.Note != switchedTo(r) {
			route.Note = switchedTo(r)
			return SetRoute{route, "somebody else has switched it, and it may be"}
		}
	}
	return nil
}

func (m bySelector) to(in Input, r cluster.Revision, why string) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[r.Name]; named {
			if len(route.Weights) > 1 && route.Serving[r.Name] < r.Replicas {
				return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s on %s", route.Serving[r.Name], r.Replicas, r.Name, route.Name)}
			}
			continue
		}
		if route.Note == switchedTo(r) && in.deploys(r) {
			return fail(in, r, fmt.Sprintf("%s was switched to it, and somebody has put it back to %s", route.Name, named(route.Weights)))
		}
		return m.switchTo(in, route, r, why)
	}
	return nil
}

// switchTo writes one route: to the new revision alone, or to both.
func (m bySelector) switchTo(in Input, route cluster.Route, r cluster.Revision, why string) Step {
	if r.Ready < r.Replicas {
		return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready: traffic moves when all are", r.Ready, r.Replicas, r.Name)}
	}
	if route.From == "" && route.Since.IsZero() {
		route.From = newestServed(in.State, route)
	}
	both := m.both(in, route, r)
	if both {
		if step := m.clearThird(in, route, r); step != nil {
			return step
		}
	}
	weights := map[string]int{r.Name: 100}
	for name := range route.Weights {
		if both && (route.Serving[name] > 0 || m.stays(in, name)) {
			weights[name] = 100
		}
	}
	route.Weights, route.Note = weights, switchedTo(r)
	return SetRoute{route, why}
}

// newestServed returns the revision that a route brings traffic to, the newest
// of several.
func newestServed(s cluster.State, route cluster.Route) string {
	newest := ""
	for _, r := range s.Revisions {
		if _, named := route.Weights[r.Name]; named && route.Serving[r.Name] > 0 {
			newest = r.Name
		}
	}
	return newest
}

// both reports whether the switch of a route goes over both revisions.
func (m bySelector) both(in Input, route cluster.Route, r cluster.Revision) bool {
	const oneSlice = 100
	served := 0
	for _, n := range route.Serving {
		served += n
	}
	for name := range route.Weights {
		if m.stays(in, name) {
			return true
		}
	}
	needed := m.overlap == WhereNeeded && (r.Replicas > oneSlice || served > oneSlice || route.External)
	return served > 0 && len(route.Weights) > 0 && (needed || m.overlap == Always)
}

// stays reports whether a revision keeps a route beside the one that gets it.
func (m bySelector) stays(in Input, name string) bool {
	r, _ := in.State.Named(name)
	return m.beside && r.Replicas > 0
}

// clearThird takes the pods of every revision but the two that a route is to
// select together: whatever selects these selects those as well.
func (m bySelector) clearThird(in Input, route cluster.Route, r cluster.Revision) Step {
	for _, third := range in.State.Revisions {
		if _, selected := route.Weights[third.Name]; selected || third.Name == r.Name || third.Pods == 0 {
			continue
		}
		served, _ := in.State.Named(newestServed(in.State, route))
		step := size(in, served, "it serves, and "+third.Name+" does not")
		switch n := in.State.Exposed(third.Name); {
		case n > 0: // somebody has moved a route, and its endpoints have yet to follow
			return Wait{Why: fmt.Sprintf("%d endpoints of %s are still in traffic", n, third.Name)}
		case in.sizes(third) && step != nil: // a run that died has left its autoscaler there
			return step
		case third.Replicas > 0 && !in.Held(in.OutSince(third), m.drain):
			return Wait{Why: third.Name + " drains", Until: in.Until(in.OutSince(third), m.drain)}
		case third.Replicas > 0:
			return scale(third, 0, "while two revisions are selected, a third would be too")
		}
		return Wait{Why: fmt.Sprintf("%d pods of %s have to go first", third.Pods, third.Name)}
	}
	return nil
}

func (m bySelector) leave(in Input, r, keep cluster.Revision) Step {
	for _, route := range in.State.Traffic() {
		if _, has := route.Weights[r.Name]; has {
			route.Weights = maps.Clone(route.Weights)
			if delete(route.Weights, r.Name); len(route.Weights) == 0 {
				route.Weights[keep.Name] = 100
			}
			return SetRoute{route, r.Name + " leaves traffic"}
		}
	}
	return gone(in, r)
}

// gone waits until no route shows an endpoint of a revision.
func gone(in Input, r cluster.Revision) Step {
	if n := in.State.Exposed(r.Name); n > 0 {
		return Wait{Why: fmt.Sprintf("%d endpoints of %s are still in traffic", n, r.Name)}
	}
	return nil
}

// allGone waits until no route shows an endpoint of any other one.
func allGone(in Input, keep cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Name != keep.Name {
			if step := gone(in, r); step != nil {
				return step
			}
		}
	}
	return nil
}

func (m bySelector) off(in Input, keep cluster.Revision, why string) Step {
	for _, route := range in.State.Traffic() {
		if _, named := route.Weights[keep.Name]; named && len(route.Weights) > 1 {
			route.Weights = map[string]int{keep.Name: 100}
			return SetRoute{route, why}
		}
	}
	return allGone(in, keep)
}

// named lists the revisions that weights name.
func named(weights map[string]int) string {
	var names []string
	for name := range weights {
		names = append(names, name)
	}
	return sorted(names)
}
