// Small States, all of them: what the strategy plans from each, and where a run
// that begins there ends.

package strategytest

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"

	"github.com/cutover-dev/cutover/strategy"
)

// states runs every scenario undisturbed, for nothing else is as easy to read if
// that goes wrong; plans from every small State; and runs to the end from every
// one that a world can be in.
func (p *proof) states() (stats Stats, err error) {
	for _, name := range p.names() {
		stats.Runs++
		if _, breach := p.try(Schedule{Scenario: name}, nil); breach != nil {
			return stats, p.explain(breach)
		}
	}
	if stats.Plans, err = p.plans(); err != nil {
		return stats, err
	}
	for n := range p.small() {
		for _, act := range acts {
			stats.States++
			stats.Runs++
			if _, breach := p.try(Schedule{Scenario: fmt.Sprintf("state-%d-%s", n, act)}, nil); breach != nil {
				return stats, p.explain(breach)
			}
		}
	}
	return stats, nil
}

// acts are what is run from a small State: the release that is there, the next
// one, and an undo.
var acts = []string{"same", "next", "undo"}

// stateScenario reads "state-17-next".
func (p *proof) stateScenario(name string) (scenario, bool) {
	words := strings.Split(name, "-")
	if len(words) != 3 || words[0] != "state" {
		return scenario{}, false
	}
	all := p.small()
	n, err := strconv.Atoi(words[1])
	if err != nil || n < 0 || n >= len(all) {
		return scenario{}, false
	}
	jobs := map[string]job{"same": p.deploy("build-2", p.Replicas), "next": p.deploy("build-3", p.Replicas), "undo": p.undo("build-2")}
	j, ok := jobs[words[2]]
	return scenario{name: name, from: &all[n], start: func(*trial) {}, job: j}, ok
}

// small returns the small States that a world can be in: an older revision,
// found or ours, and a newer one of ours, in all ways.
func (p *proof) small() []cluster.State {
	if p.smallStates == nil {
		for _, release := range []string{"", "build-1"} {
			for _, one := range p.sizes("web-v001", 1, release) {
				for _, two := range p.sizes("web-v002", 2, "build-2") {
					p.smallStates = append(p.smallStates, p.state(one, two))
				}
			}
		}
	}
	return p.smallStates
}

var noon = time.Date(2025, time.January, 1, 12, 0, 0, 0, time.UTC)

// sizes returns a revision in every state of traffic, outcome, and size.
func (p *proof) sizes(name string, seq int64, release string) []cluster.Revision {
	var all []cluster.Revision
	n := p.Replicas
	for _, on := range []bool{false, true} {
		for _, result := range []cluster.Result{cluster.Undecided, cluster.Good, cluster.Failed} {
			for _, size := range [][2]int{{n, n}, {n, 1}, {n, 0}, {0, 0}} {
				all = append(all, cluster.Revision{
					Name: name, Release: release, Seq: seq, Template: []byte(name), Replicas: size[0], Pods: size[0], Ready: size[1], Enabled: on,
					Outcome: cluster.Outcome{Result: result}, UID: "uid-" + name, Version: "1",
					Created: noon.Add(-time.Hour), Raised: noon.Add(-time.Hour),
				})
			}
		}
	}
	return all
}

// state is a State of these revisions, in which what is enabled and ready serves.
func (p *proof) state(revisions ...cluster.Revision) cluster.State {
	can := p.World.Can
	if can == (cluster.Can{}) && !p.World.Worker {
		can.Enable = true
	}
	s := cluster.State{At: noon, Can: can, Revisions: revisions}
	if p.World.Worker {
		return s
	}
	route := cluster.Route{Name: "service/" + app, Serving: map[string]int{}, Version: "1"}
	if can.Select || can.Weigh {
		route.Weights = map[string]int{}
	}
	for _, r := range revisions {
		if r.Enabled {
			route.Serving[r.Name] = max(0, r.Ready-r.Unsettled)
			if route.Weights != nil {
				route.Weights[r.Name] = 100
			}
		}
	}
	if len(route.Weights) == 2 && can.Weigh {
		route.Weights[revisions[0].Name], route.Weights[revisions[1].Name] = 70, 30
	}
	s.Routes = append(p.scalers(revisions), route)
	return s
}

// scalers are the autoscalers of the world, which name the oldest revision.
func (p *proof) scalers(revisions []cluster.Revision) []cluster.Route {
	var all []cluster.Route
	for _, route := range p.World.Routes {
		if route.Scaler {
			route.Version, route.Weights = "1", map[string]int{revisions[0].Name: 100}
			all = append(all, route)
		}
	}
	return all
}

// plans plans from more States than a world can be in, twice from each.
func (p *proof) plans() (planned int, err error) {
	for _, one := range p.unsettled(append(p.sizes("web-v001", 1, ""), p.sizes("web-v001", 1, "build-1")...)) {
		for _, two := range p.unsettled(p.sizes("web-v002", 2, "build-2")) {
			for _, to := range []cluster.Target{target("build-2", 0), target("build-3", 0), target("build-3", p.Replicas)} {
				in := strategy.Input{App: app, Target: to, State: p.state(one, two), Watched: noon.Add(-time.Minute)}
				if err := p.pure(in); err != nil {
					return planned, err
				}
				planned++
			}
		}
	}
	return planned, nil
}

// unsettled adds what a revision may be in the midst of.
func (p *proof) unsettled(all []cluster.Revision) []cluster.Revision {
	more := all
	for _, r := range all {
		if r.Ready > 0 && !p.World.Can.Select {
			r.Unsettled = 1
			more = append(more, r)
		}
		r.Unsettled, r.Behind = 0, true
		more = append(more, r)
	}
	return more
}

// pure plans twice, and holds what is planned to what a look can tell.
func (p *proof) pure(in strategy.Input) error {
	before := fmt.Sprint(in)
	step := p.strategy.Next(in)
	after := fmt.Sprint(in)
	breach := &Breach{Law: Purity, Schedule: Schedule{Scenario: "plans"}, Tale: in.Target.Release + " in\n" + describe(in.State)}
	switch again := p.strategy.Next(in); {
	case step == nil:
		breach.Why = "Next returned nil"
	case fmt.Sprint(step) != fmt.Sprint(again):
		breach.Why = fmt.Sprintf("Next says %v, and asked again %v", step, again)
	case after != before || fmt.Sprint(in) != before:
		breach.Why = fmt.Sprintf("Next has changed its Input: it is now\n%v", in)
	default:
		law, why := p.unlawful(in.State, step)
		if why == "" {
			return nil
		}
		breach.Law, breach.Why = law, why
	}
	return breach
}

// unlawful says which law a step would break, by what the look shows.
func (p *proof) unlawful(s cluster.State, step strategy.Step) (law, why string) {
	switch step := step.(type) {
	case strategy.Delete:
		if found, ok := s.Named(step.Revision.Name); ok && !s.Dark(found) {
			return Order, fmt.Sprintf("%v, which is not dark", step)
		}
	case strategy.Put:
		r := step.Revision
		found, ok := s.Named(r.Name)
		switch {
		case ok && r.Version != found.Version:
			return Preconditions, fmt.Sprintf("%v, compared with version %q, and it has %q", step, r.Version, found.Version)
		case ok && r.Replicas < found.Replicas && s.HasTraffic(r.Name) && p.ordered():
			return Order, fmt.Sprintf("%v, which has traffic", step)
		case ok && found.Outcome.Result == cluster.Failed && r.Outcome.Result != cluster.Failed: // no plan is one of a redo
			return Decision, fmt.Sprintf("%v, which had failed", step)
		}
	case strategy.SetRoute:
		for name := range step.Route.Weights {
			if r, ok := s.Named(name); !ok || r.Ready == 0 && !step.Route.Preview && !named(s, step.Route.Name, name) {
				return BlackHole, fmt.Sprintf("%v, which has no ready pod", step)
			}
		}
	}
	return "", ""
}

// named reports whether a route names a revision already.
func named(s cluster.State, route, revision string) bool {
	for _, r := range s.Routes {
		if _, ok := r.Weights[revision]; ok && r.Name == route {
			return true
		}
	}
	return false
}
