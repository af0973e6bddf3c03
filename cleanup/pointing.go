// What points at a revision beside its traffic: an autoscaler, which is left
// pointing at nothing if that is deleted, and a pin, which empties a route if that
// is changed. A cleanup leaves neither behind.

package cleanup

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// stuckWith says why a dark revision must stay because of an autoscaler that names
// it: one is pointed at nothing but what has all the traffic, for it scales by the
// load that it measures there.
func stuckWith(s cluster.State, r cluster.Revision, kept *cluster.Revision) string {
	scaler, named := s.ScalerOf(r.Name)
	switch {
	case !named:
		return ""
	case kept == nil:
		return scaler.Name + " names it, and nothing serves that it could be pointed at: point it at a revision that is to stay"
	}
	if why := unready(s, *kept); why != "" {
		return fmt.Sprintf("%s names it, and cannot be pointed at %s: %s", scaler.Name, kept.Name, why)
	}
	if others := scalersOf(s, r.Name); len(others) > 1 {
		return fmt.Sprintf("%s and %s both name it, and of two that name one revision neither scales it: delete one of them", others[0].Name, others[1].Name)
	}
	return ""
}

// unready says why an autoscaler is not to be pointed at the kept revision now.
func unready(s cluster.State, kept cluster.Revision) string {
	for _, other := range s.Revisions {
		if other.Name != kept.Name && s.Exposed(other.Name) > 0 {
			return other.Name + " has traffic, too"
		}
	}
	if others := scalersOf(s, kept.Name); len(others) > 0 {
		return others[0].Name + " names that already, and of two that name one revision neither scales it: delete one of them"
	}
	return ""
}

// scalersOf returns the autoscalers that name a revision or, for "", none.
func scalersOf(s cluster.State, name string) []cluster.Route {
	var all []cluster.Route
	for _, route := range s.Routes {
		_, named := route.Weights[name]
		if route.Scaler && (named || name == "" && len(route.Weights) == 0) {
			all = append(all, route)
		}
	}
	return all
}

// repoint points the autoscaler that names a revision at the kept one, before it
// would name nothing. Decide has said that this may be.
func repoint(s cluster.State, r, kept cluster.Revision) strategy.Step {
	return pointed(scalersOf(s, r.Name), kept, fmt.Sprintf("%s has all the traffic, and %s goes", kept.Name, r.Name))
}

// adopt points the one autoscaler that names nothing any more at the kept one:
// what it named was deleted by a run that did not get so far.
func adopt(s cluster.State, kept cluster.Revision) strategy.Step {
	if unready(s, kept) != "" {
		return nil
	}
	return pointed(scalersOf(s, ""), kept, kept.Name+" has all the traffic, and what it named is gone")
}

func pointed(scalers []cluster.Route, kept cluster.Revision, why string) strategy.Step {
	if len(scalers) != 1 {
		return nil
	}
	scaler := scalers[0]
	scaler.Weights = map[string]int{kept.Name: 100}
	return strategy.SetRoute{Route: scaler, Why: why}
}

// pinTo returns the route that an earlier run has kept to pods of this revision, and
// that nobody has opened again. A pin that cutover did not write is somebody's wish.
func pinTo(s cluster.State, r cluster.Revision) (cluster.Route, bool) {
	for _, route := range s.Traffic() {
		if _, named := route.Weights[r.Name]; route.Pinned && named && !route.Since.IsZero() {
			return route, true
		}
	}
	return cluster.Route{}, false
}

// beside names a revision whose pods a route would select if it were not kept to
// another one; "": there is none.
func beside(s cluster.State, but cluster.Revision) string {
	for _, r := range s.Revisions {
		if r.Name != but.Name && (r.Replicas > 0 || r.Pods > 0 || r.Behind) {
			return r.Name
		}
	}
	return ""
}

// pinned says what becomes of the pin to the kept revision, as the end of a
// sentence.
func pinned(s cluster.State, kept cluster.Revision) string {
	route, ok := pinTo(s, kept)
	if !ok {
		return ""
	}
	if other := beside(s, kept); other != "" {
		return fmt.Sprintf("; %s stays pinned to it as long as %s has pods, which it would select", route.Name, other)
	}
	return fmt.Sprintf("; %s, which is pinned to it, is opened again", route.Name)
}

// open takes the pin off a route, if nothing but the kept revision has pods.
func open(s cluster.State, kept cluster.Revision) strategy.Step {
	route, ok := pinTo(s, kept)
	if !ok || beside(s, kept) != "" {
		return nil
	}
	route.Weights, route.Pinned = map[string]int{kept.Name: 100}, false
	return strategy.SetRoute{Route: route, Why: "nothing else has pods that it would select"}
}
