// Pure questions about a State: who is who, who has traffic, who is good, and
// what the next revision is called.

package cluster

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
)

// Named returns the revision with this name.
func (s State) Named(name string) (Revision, bool) {
	for _, r := range s.Revisions {
		if r.Name == name {
			return r, true
		}
	}
	return Revision{}, false
}

// Find returns the revision of a release: of several, the one with the highest
// Seq. Arms are not found, and "" finds nothing.
func (s State) Find(release string) (Revision, bool) {
	var found Revision
	ok := false
	for _, r := range s.Revisions {
		if release != "" && r.Release == release && r.Arm == "" && (!ok || r.Seq >= found.Seq) {
			found, ok = r, true
		}
	}
	return found, ok
}

// IsTraffic reports whether the route counts as traffic: it is no preview, not
// fixed to every revision, and no autoscaler.
func (r Route) IsTraffic() bool { return !r.Preview && !r.Fixed && !r.Scaler }

// Traffic returns the routes that count as traffic.
func (s State) Traffic() []Route {
	all, traffic := len(s.Routes), 0
	for i := range s.Routes {
		if s.Routes[i].IsTraffic() {
			traffic++
		}
	}
	if traffic == all {
		return s.Routes[:all:all] // as nearly always: nothing to copy
	}
	var routes []Route
	for i := range s.Routes {
		if s.Routes[i].IsTraffic() {
			routes = append(routes, s.Routes[i])
		}
	}
	return routes
}

// ScalerOf returns the autoscaler that names the revision, the first of several.
// While it does, and the revision has replicas, their number is its business.
func (s State) ScalerOf(name string) (scaler Route, ok bool) {
	for _, route := range s.Routes {
		if _, named := route.Weights[name]; route.Scaler && named {
			return route, true
		}
	}
	return Route{}, false
}

// Worker reports that no route brings traffic to this app.
func (s State) Worker() bool { return len(s.Traffic()) == 0 }

// ReliedOn returns how many endpoints of the revision can be relied on: the
// minimum of its Serving over the traffic routes. A worker has no route to be
// seen by: there it is Ready if Enabled.
func (s State) ReliedOn(name string) int {
	if s.Worker() {
		return s.working(name)
	}
	least := -1
	for _, route := range s.Traffic() {
		if n := route.Serving[name]; least < 0 || n < least {
			least = n
		}
	}
	return least
}

// Lasting returns how many endpoints of the revision will still serve if nobody
// writes any more: what ReliedOn counts, less what was told to leave traffic and
// is there only because endpoints follow late.
func (s State) Lasting(name string) int {
	if s.Worker() {
		return s.LastingOn(Route{Serving: map[string]int{name: s.working(name)}}, name)
	}
	least := -1
	for _, route := range s.Traffic() {
		if n := s.LastingOn(route, name); least < 0 || n < least {
			least = n
		}
	}
	return least
}

// LastingOn is Lasting on one route.
func (s State) LastingOn(route Route, name string) int {
	r, _ := s.Named(name)
	n := route.Serving[name]
	if _, named := route.Weights[name]; !named && route.Weights != nil {
		return 0
	}
	switch {
	case !s.Can.Enable && !s.Worker():
		return n
	case r.Enabled:
		return max(0, min(n, max(r.Ready, n)-r.Unsettled)) // the unsettled ones are off already
	}
	return max(0, n-max(0, r.Pods-r.Leaving-r.Unsettled)) // all but the unsettled ones are, and may be what is listed
}

// Exposed returns how many endpoints of the revision somebody may be using:
// the maximum of its Serving over the traffic routes, whatever the weight. For
// a worker it is Ready if Enabled.
func (s State) Exposed(name string) int {
	if s.Worker() {
		return s.working(name)
	}
	most := 0
	for _, route := range s.Traffic() {
		most = max(most, route.Serving[name])
	}
	return most
}

func (s State) working(name string) int {
	if r, ok := s.Named(name); ok && r.Enabled {
		return r.Ready
	}
	return 0
}

// HasTraffic reports whether requests may reach the revision: it has ready
// endpoints on a traffic route and, where that route has weights, a weight
// above zero.
func (s State) HasTraffic(name string) bool {
	if s.Worker() {
		return s.working(name) > 0
	}
	for _, route := range s.Traffic() {
		if route.Serving[name] > 0 && (!s.Can.Weigh || route.Weights == nil || route.Weights[name] > 0) {
			return true
		}
	}
	return false
}

// Dark reports that the revision gets no traffic and that nothing says it
// should or might: not one endpoint, not enabled, no pod unsettled or about to
// be born so, no weight.
func (s State) Dark(r Revision) bool {
	for _, route := range s.Traffic() {
		if route.Weights[r.Name] > 0 {
			return false
		}
	}
	return s.Exposed(r.Name) == 0 && !r.Enabled && r.Unsettled == 0 && !r.Behind
}

// Serving returns how many endpoints serve, all revisions together, by the
// traffic route that has the fewest.
func (s State) Serving() int {
	least := -1
	for _, route := range s.Traffic() {
		sum := 0
		for _, r := range s.Revisions {
			sum += route.Serving[r.Name]
		}
		if least < 0 || sum < least {
			least = sum
		}
	}
	if least < 0 {
		least = 0
		for _, r := range s.Revisions {
			least += s.working(r.Name)
		}
	}
	return least
}

// IsGood reports whether traffic may go back to the revision: its Outcome is
// good, or it had traffic before cutover ever wrote it: a Route's From says so,
// or it was found serving, and not as what a run that died has left. That is, it
// serves with at least 90 % of the most that one revision serves with, or every
// pod of it has its traffic and half of its replicas serve. Arms are never good.
func (s State) IsGood(r Revision) bool {
	if r.Arm != "" || r.Outcome.Result == Failed {
		return false
	}
	if r.Outcome.Result == Good {
		return true
	}
	for _, route := range s.Traffic() {
		if route.From == r.Name {
			return true
		}
	}
	most := 0
	for _, other := range s.Revisions {
		most = max(most, s.Exposed(other.Name))
	}
	serves := s.Exposed(r.Name)
	whole := r.Enabled && r.Unsettled == 0 && serves*2 >= r.Replicas
	return r.Release == "" && serves > 0 && (whole || serves*10 >= most*9)
}

// NewestGood returns the good revision with the highest place in the order
// below r: what r replaces, and what traffic goes back to if r fails.
func (s State) NewestGood(below Revision) (Revision, bool) {
	for i := len(s.Revisions) - 1; i >= 0; i-- {
		if r := s.Revisions[i]; r.Name != below.Name && r.Seq <= below.Seq && s.IsGood(r) {
			return r, true
		}
	}
	return Revision{}, false
}

// NextSeq returns the sequence that a new release gets: one above the highest.
func (s State) NextSeq() int64 {
	var top int64
	for _, r := range s.Revisions {
		top = max(top, r.Seq)
	}
	return top + 1
}

// RevisionName returns the name of an app's revision: "web-v007", and
// "web-v007-baseline" for an arm of it.
func RevisionName(app string, seq int64, arm string) string {
	name := fmt.Sprintf("%s-v%03d", app, seq)
	if arm != "" {
		name += "-" + arm
	}
	return name
}

// Named returns the target with a Release: its own, or one made from a hash of
// the Template.
func (t Target) Named() Target {
	if t.Release == "" {
		t.Release = t.hash()
	}
	return t
}

func (t Target) hash() string {
	sum := sha256.Sum256(t.Template)
	return "template-" + hex.EncodeToString(sum[:8])
}

// Unnamed reports whether the Release was made from the Template rather than
// given by the caller.
func (t Target) Unnamed() bool { return t.Release == "" || t.Release == t.hash() }
