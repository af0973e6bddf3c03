// Package guard is the one door through which a run reads and writes its
// cluster. It remembers the last look, judges each write against it, and
// refuses what breaks a law, whatever the strategy said. It is always on.
//
// It judges what a State shows: floor, black hole, evidence, order and the
// preconditions. What needs labels, owners or single pods is refused by the
// Cluster itself.
package guard

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A Refusal is a write that was not sent because it would break a law.
type Refusal struct {
	Law   string // "floor", "ceiling", "apart", "share", "black hole", "evidence", "order" or "preconditions"
	Write string // what was to be written
	Why   string
}

// Error says which law, which write, and what was found.
func (r *Refusal) Error() string {
	return fmt.Sprintf("%s was not sent, it would break the law of %s: %s", r.Write, r.Law, r.Why)
}

// Rules are what a Guard judges by.
type Rules struct {
	Release  string           // of the run: its revision's replicas are the wanted ones
	Replicas int              // wanted; 0: as many as the release's revision has
	Bounds   func() Bounds    // at the last look; nil: what serves
	MaxAge   time.Duration    // a look older than this justifies nothing
	Now      func() time.Time // only differences are used
}

// Bounds are what no write may go beyond, see strategy.Bounds.
type Bounds struct {
	Floor   int // or WhatServes
	Ceiling int
	Apart   bool
}

// WhatServes is the floor of what serves now, up to the wanted replicas.
const WhatServes = -1

// A Guard is a Cluster over another one. It belongs to one run, and to one
// goroutine.
type Guard struct {
	inner  cluster.Cluster
	rules  Rules
	state  cluster.State
	looked time.Time
	fresh  bool // one look pays for one write
}

// Over returns a Guard over a cluster.
func Over(c cluster.Cluster, rules Rules) *Guard { return &Guard{inner: c, rules: rules} }

// Observe implements cluster.Cluster. The look counts from before it was asked
// for.
func (g *Guard) Observe(ctx context.Context, app string) (cluster.State, error) {
	g.fresh = false
	began := g.rules.Now()
	state, err := g.inner.Observe(ctx, app)
	if err != nil {
		return cluster.State{}, err
	}
	g.state, g.looked, g.fresh = state, began, true
	return state, nil
}

// Put implements cluster.Cluster.
func (g *Guard) Put(ctx context.Context, app string, r cluster.Revision) error {
	err := g.spend("put "+r.Name, func() (string, string) { return g.judgePut(r) })
	if err != nil {
		return err
	}
	return g.inner.Put(ctx, app, r)
}

// SetRoute implements cluster.Cluster.
func (g *Guard) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	err := g.spend("route "+r.Name, func() (string, string) { return g.judgeRoute(r) })
	if err != nil {
		return err
	}
	return g.inner.SetRoute(ctx, app, r)
}

// Delete implements cluster.Cluster.
func (g *Guard) Delete(ctx context.Context, app string, r cluster.Revision) error {
	err := g.spend("delete "+r.Name, func() (string, string) { return g.judgeDelete(r) })
	if err != nil {
		return err
	}
	return g.inner.Delete(ctx, app, r)
}

// spend uses up the look for one write, if the write breaks no law.
func (g *Guard) spend(write string, judge func() (law, why string)) error {
	law, why := "evidence", ""
	switch age := g.rules.Now().Sub(g.looked); {
	case !g.fresh:
		why = "nothing was looked at since the last write"
	case age > g.rules.MaxAge:
		why = fmt.Sprintf("the last look is %v old", age)
	default:
		law, why = judge()
	}
	g.fresh = false
	if why != "" {
		return &Refusal{Law: law, Write: write, Why: why}
	}
	return nil
}

func (g *Guard) judgePut(r cluster.Revision) (law, why string) {
	found, exists := g.state.Named(r.Name)
	if r.Version == "" {
		switch {
		case exists:
			return "preconditions", "it exists already"
		case r.Release == "" || len(r.Template) == 0:
			return "preconditions", "a new revision needs a release and a template"
		case r.Arm == "" && r.Seq < g.state.NextSeq():
			return "order", fmt.Sprintf("its sequence %d is not above all others", r.Seq)
		case r.Enabled && len(g.state.Revisions) > 0:
			return "order", "it would get traffic before it was seen ready"
		}
		return g.raise(r, 0)
	}
	if law, why := same(r, found, exists); why != "" {
		return law, why
	}
	if !follows(found.Outcome, r.Outcome) {
		return "order", fmt.Sprintf("%s was decided: a decision is taken back only by giving a good one up, or by redoing what was undone", found.Outcome.Result)
	}
	if law, why := g.raise(r, found.Replicas); why != "" {
		return law, why
	}
	after := found
	after.Replicas, after.Enabled = r.Replicas, r.Enabled
	if g.state.Can.Select && !g.state.Can.Enable {
		after.Enabled = found.Enabled // found, not wanted
	}
	if law, why := g.sized(found, r.Replicas); why != "" {
		return law, why
	}
	if off := !after.Enabled && (found.Enabled || found.Unsettled > 0); !off && after.Replicas >= found.Replicas {
		return "", "" // it takes nothing
	}
	if law, why := g.floor(after, nil); why != "" {
		return law, why
	}
	return g.judgeCut(r, found.Replicas)
}

// follows reports whether one outcome may follow another.
func follows(was, is cluster.Outcome) bool {
	switch {
	case was.Result == cluster.Undecided, was.Result == is.Result:
		return true
	case was.Result == cluster.Good:
		return is.Result == cluster.Failed
	}
	return was.Undone() && is.Result == cluster.Undecided
}

// raise judges what more replicas may be wanted beside.
func (g *Guard) raise(r cluster.Revision, from int) (law, why string) {
	if r.Replicas <= from {
		return "", ""
	}
	bounds, sum := g.bounds(), r.Replicas
	for _, other := range g.state.Revisions {
		if other.Name == r.Name {
			continue
		}
		sum += other.Replicas
		if bounds.Apart && (other.Pods > 0 || other.Replicas > 0 || other.Behind) {
			return "apart", fmt.Sprintf("%d pods of %s still run, and %d are wanted", other.Pods, other.Name, other.Replicas)
		}
	}
	if bounds.Ceiling > 0 && sum > bounds.Ceiling {
		return "ceiling", fmt.Sprintf("%d replicas of all revisions would be wanted, and at most %d may be", sum, bounds.Ceiling)
	}
	return "", ""
}

func (g *Guard) bounds() Bounds {
	if g.rules.Bounds == nil {
		return Bounds{Floor: WhatServes}
	}
	return g.rules.Bounds()
}

func (g *Guard) judgeRoute(r cluster.Route) (law, why string) {
	sum := 0
	var found cluster.Route
	for _, route := range g.state.Routes {
		if route.Name == r.Name {
			found = route
		}
	}
	if found.Version != r.Version || found.Preview != r.Preview || found.Fixed != r.Fixed || found.Scaler != r.Scaler {
		return "preconditions", "it is not the one that was looked at"
	}
	if (r.Weights == nil) == (found.Weights == nil) && maps.Equal(r.Weights, found.Weights) {
		return "", "" // it moves nothing
	}
	if r.Scaler {
		return g.judgeScaler(r)
	}
	for name, weight := range r.Weights {
		rev, ok := g.state.Named(name)
		if !ok {
			return "black hole", name + " does not exist"
		}
		if _, had := found.Weights[name]; !had && weight > 0 && rev.Ready == 0 && !r.Preview {
			return "black hole", name + " has no ready pod"
		}
		sum += weight
	}
	if r.Preview || r.Fixed {
		return "", ""
	}
	if len(r.Weights) == 0 && !g.state.Can.Enable {
		return "black hole", "it would select nothing"
	}
	if g.state.Can.Weigh && r.Weights != nil && sum != 100 {
		return "black hole", fmt.Sprintf("its weights sum to %d, not 100", sum)
	}
	if law, why := g.floor(cluster.Revision{}, &r); why != "" {
		return law, why
	}
	return g.judgeShares(found, r)
}

// judgeScaler lets an autoscaler be pointed at a revision that has replicas. At
// any other it does nothing: no replicas turn it off.
func (g *Guard) judgeScaler(r cluster.Route) (law, why string) {
	for name := range r.Weights {
		if rev, ok := g.state.Named(name); len(r.Weights) == 1 && ok && rev.Replicas > 0 {
			return "", ""
		}
	}
	return "order", "an autoscaler is to name one revision, and one that has replicas"
}

// sized keeps a number of replicas out of the hands of two. Those of a revision
// that an autoscaler names are its own, unless they are 0, which turns it off. To
// 0 they go only if nothing else has traffic, that it could be pointed at.
func (g *Guard) sized(found cluster.Revision, replicas int) (law, why string) {
	scaler, ok := g.state.ScalerOf(found.Name)
	if !ok || found.Replicas == 0 || replicas == found.Replicas {
		return "", ""
	}
	if replicas > 0 {
		return "order", fmt.Sprintf("%s writes its replicas (%d), and two would pull at them", scaler.Name, found.Replicas)
	}
	for _, other := range g.state.Revisions {
		if other.Name != found.Name && g.state.HasTraffic(other.Name) {
			return "order", fmt.Sprintf("%s names it, and %s has traffic: that is to be named first", scaler.Name, other.Name)
		}
	}
	return "", ""
}

func (g *Guard) judgeDelete(r cluster.Revision) (law, why string) {
	found, exists := g.state.Named(r.Name)
	if law, why := same(r, found, exists); why != "" {
		return law, why
	}
	if !g.state.Dark(found) {
		return "order", fmt.Sprintf("it is not dark: %d endpoints, enabled %t, %d pods unsettled",
			g.state.Exposed(r.Name), found.Enabled, found.Unsettled)
	}
	return "", ""
}

// same holds a write to the object that was looked at.
func same(r, found cluster.Revision, exists bool) (law, why string) {
	if !exists || r.UID != found.UID || r.Version != found.Version || r.Version == "" {
		return "preconditions", "it is not the one that was looked at"
	}
	return "", ""
}

// floor judges availability, on each traffic route: a write may not turn the
// worst case from at or above the floor to below it, nor lower it further.
// Either one revision is as after says, or one route.
func (g *Guard) floor(after cluster.Revision, route *cluster.Route) (law, why string) {
	routes := g.state.Traffic()
	if len(routes) == 0 {
		routes = []cluster.Route{g.worker()}
	}
	for _, r := range routes {
		now, before, then := 0, 0, 0
		for _, found := range g.state.Revisions {
			now += r.Serving[found.Name]
			if found.Name == after.Name {
				before += g.weighed(found, r) // what it may lose, at the most
			} else {
				before += g.worst(found, found.Replicas, r)
			}
			switch {
			case route != nil && route.Name == r.Name:
				then += g.routed(found, r, *route)
			case found.Name != after.Name:
				then += g.worst(found, found.Replicas, r)
			case after.Enabled || (!g.state.Can.Enable && !g.state.Worker()):
				then += g.worst(found, after.Replicas, r)
			}
		}
		if floor := g.least(now); then < floor && then < before {
			return "floor", fmt.Sprintf("on %s it could leave %d of %d endpoints, and the floor is %d", r.Name, then, now, floor)
		}
	}
	return "", ""
}

// worst is how many of a revision's endpoints on a route remain if nobody writes
// any more and the cluster removes the pods above the wanted replicas: those that
// are not ready first, as the controllers do, then any.
func (g *Guard) worst(found cluster.Revision, replicas int, r cluster.Route) int {
	if g.weighed(found, r) == 0 {
		return 0
	}
	lasting := g.state.LastingOn(r, found.Name)
	return max(0, lasting-max(0, max(found.Ready, lasting)-replicas))
}

// weighed is how many endpoints of a revision on a route get requests.
func (g *Guard) weighed(found cluster.Revision, r cluster.Route) int {
	if r.Weights != nil && g.state.Can.Weigh && r.Weights[found.Name] == 0 {
		return 0
	}
	return r.Serving[found.Name]
}

// routed is how many endpoints a revision has on a route once that is as
// wanted: what serves already, or what is ready to.
func (g *Guard) routed(found cluster.Revision, now, wanted cluster.Route) int {
	if wanted.Weights == nil {
		return g.worst(found, found.Replicas, now)
	}
	if _, named := wanted.Weights[found.Name]; !named || (g.state.Can.Weigh && wanted.Weights[found.Name] == 0) {
		return 0
	}
	return found.Ready
}

// worker is the route that an app without routes is judged by.
func (g *Guard) worker() cluster.Route {
	r := cluster.Route{Name: "the app's enabled workers", Serving: map[string]int{}}
	for _, found := range g.state.Revisions {
		r.Serving[found.Name] = g.state.ReliedOn(found.Name)
	}
	return r
}

// least is the floor of a route on which so many endpoints serve now.
func (g *Guard) least(now int) int {
	if floor := g.bounds().Floor; floor != WhatServes {
		return floor
	}
	if wanted := g.wanted(); wanted > 0 {
		return min(now, wanted)
	}
	return now
}

// largest is how many replicas the largest revision has that serves: what two share,
// of which neither is good, one of them can bear.
func (g *Guard) largest() int {
	most := 0
	for _, r := range g.state.Revisions {
		if g.state.HasTraffic(r.Name) {
			most = max(most, r.Replicas)
		}
	}
	return most
}

// wanted is how many replicas the run is about: those of its revision or, once
// that was given up or while it has none, those of what it goes back to. 0: nobody
// knows.
func (g *Guard) wanted() int {
	mine, ok := g.state.Find(g.rules.Release)
	if ok && (mine.Outcome.Result == cluster.Failed || mine.Replicas == 0) {
		back, good := g.state.NewestGood(mine)
		if !good && mine.Outcome.Result == cluster.Undecided {
			return g.largest()
		}
		return back.Replicas
	}
	if g.rules.Replicas > 0 || !ok {
		return g.rules.Replicas
	}
	return mine.Replicas
}
