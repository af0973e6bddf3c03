// Worlds that do not begin empty: as a State shows, or with a revision that
// cutover never wrote.

package fake

import (
	"maps"
	"slices"

	"github.com/cutover-dev/cutover/cluster"
)

// From returns a cluster in which the app is as s shows: the way to try out
// what a run would do. The first look gives s back, unless s says what no look
// can (fewer Pods than Replicas, say); from there on things go as w's
// durations say. World's Start, Worker and Can are taken from s.
func From(app string, s cluster.State, w World) *Cluster {
	w.Start, w.Can, w.Worker = s.At, s.Can, s.Worker()
	c := New(w)
	c.used = map[string]bool{}
	for _, r := range s.Revisions {
		c.used[r.UID], c.used[r.Version] = true, true
	}
	for _, r := range s.Routes {
		c.used[r.Version] = true
	}
	a := c.newApp(app, s.Routes)
	a.strays, a.warnings, a.contested = s.Strays, slices.Clone(s.Warnings), s.Contested
	for _, r := range a.routes {
		if r.Version == "" {
			r.Version = c.fresh("")
		}
	}
	for _, r := range s.Revisions {
		stored := c.placed(a, s, r)
		a.revisions = append(a.revisions, stored)
	}
	now := c.survey(a)
	for i, r := range a.revisions {
		r.seen.remember(c.watched(now, now.Revisions[i]), s.Revisions[i].Moved)
	}
	return c
}

// AddFound adds a revision that is just there, as one that somebody else
// deployed long ago: as many pods as Replicas, all ready and, if Enabled,
// serving. Give it no Release to be one that cutover did not create.
func (c *Cluster) AddFound(app string, r cluster.Revision) {
	c.addFound(app, r)
	c.committed()
}

func (c *Cluster) addFound(app string, r cluster.Revision) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.app(app)
	if r.Created.IsZero() {
		r.Created = c.at()
	}
	if r.Raised.IsZero() {
		r.Raised = r.Created
	}
	r.Pods, r.Ready, r.Unsettled, r.Behind = r.Replicas, r.Replicas, 0, false
	s := cluster.State{}
	for _, route := range a.routes {
		if r.Enabled && c.named() && !route.Preview && !route.Scaler && !route.bare && route.Weights != nil {
			c.entitle(&route.Route, r.Name)
			route.Version = c.fresh("")
		}
		n := 0
		if (route.Open || c.picks(a, route, r.Name)) && (r.Enabled || !c.labels()) {
			n = r.Ready
		}
		s.Routes = append(s.Routes, cluster.Route{Name: route.Name, Serving: map[string]int{r.Name: n}})
	}
	a.revisions = append(a.revisions, c.placed(a, s, r))
}

// entitle lets a route name a revision. A router that has named others divides
// its traffic evenly between all of them.
func (c *Cluster) entitle(route *cluster.Route, name string) {
	route.Weights[name] = 100
	if !c.world.Can.Weigh {
		return
	}
	rest, left := 100, len(route.Weights)
	for _, name := range slices.Sorted(maps.Keys(route.Weights)) {
		route.Weights[name] = rest / left
		rest, left = rest-rest/left, left-1
	}
}

// placed makes a revision with pods such that a look shows r and s.Routes.
func (c *Cluster) placed(a *application, s cluster.State, r cluster.Revision) *set {
	stored := &set{Revision: r}
	stored.Template = slices.Clone(r.Template)
	if r.UID == "" {
		stored.UID = c.fresh("uid-")
	}
	if r.Version == "" {
		stored.Version = c.fresh("")
	}
	if !c.labels() {
		stored.Enabled = false
	}
	now := birth{replicas: r.Replicas, enabled: stored.Enabled}
	if c.labels() {
		now.fence = r.Fence
	}
	stored.template = now

	live := max(r.Ready, min(r.Pods, r.Replicas))
	leaving := max(0, r.Pods-max(live, r.Replicas))
	for i := range live + leaving {
		p := c.born(a, stored)
		if i < r.Ready || i >= live {
			p.ready, p.readyAt = true, c.now
		}
		if i >= live {
			c.leave(a, p)
		}
		stored.pods = append(stored.pods, p)
	}
	c.unsettle(stored, live)
	for i, route := range a.routes {
		c.serve(stored, route, i, shown(s, route.Name).Serving[r.Name])
	}
	return stored
}

func shown(s cluster.State, name string) cluster.Route {
	for _, r := range s.Routes {
		if r.Name == name {
			return r
		}
	}
	return cluster.Route{}
}

// unsettle makes the controller be behind, and pods be otherwise than Enabled
// says, where the look showed that.
func (c *Cluster) unsettle(r *set, live int) {
	was := r.template
	if live > was.replicas {
		was.replicas = live // told to shrink, not done yet
	}
	if c.labels() && r.Unsettled > 0 {
		for i := range min(r.Unsettled, live) {
			p := r.pods[i] // those that serve come first, so: wrongly on
			if r.Enabled {
				p = r.pods[live-1-i]
			}
			p.enabled = !r.Enabled
		}
	}
	if r.Behind && c.labels() {
		was.enabled = !r.Enabled
	}
	if was != r.template || r.Behind {
		r.coming = []late{{r.template, c.now.Add(c.world.Lag)}}
		r.template = was
	}
}

// serve lists n pods in the i-th route: ready ones, then terminating ones. Every
// proxy has followed.
func (c *Cluster) serve(r *set, route *route, i, n int) {
	for _, p := range r.pods {
		if n > 0 && p.ready {
			e := &p.ends[i]
			e.listed = true
			if c.proxied {
				e.held, route.met = c.everywhere(), c.everywhere()
			}
			n--
		}
	}
}
