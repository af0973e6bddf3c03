// What there is to see: Observe, and what a look makes of objects and pods.

package fake

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// Observe returns what there is of the app now.
func (c *Cluster) Observe(ctx context.Context, app string) (cluster.State, error) {
	if err := ctx.Err(); err != nil {
		return cluster.State{}, fmt.Errorf("fake: observe %s: %w", app, err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look(c.app(app), true), nil
}

// State returns what Observe would, seen by nobody: what Observe remembers for
// Moved stays as it was.
func (c *Cluster) State(app string) cluster.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.look(c.app(app), false)
}

// Forget makes the next Observe a first look, as by a process that was
// restarted.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.apps {
		for _, r := range a.revisions {
			r.seen = seen{}
		}
	}
}

// seen is what an observer remembers of a revision.
type seen struct {
	ever    bool
	figures []int // see watched
	moved   time.Time
}

// remember keeps what was seen.
func (s *seen) remember(figures []int, moved time.Time) {
	if !s.ever || !slices.Equal(s.figures, figures) {
		s.figures = append(s.figures[:0], figures...)
	}
	s.ever, s.moved = true, moved
}

// since tells when the figures were last seen to change, this look included.
func (s *seen) since(figures []int, now time.Time) time.Time {
	if s.ever && slices.Equal(s.figures, figures) {
		return s.moved
	}
	return now
}

// watched is what an observer watches of a revision: its Serving by route that
// brings traffic, and where none does, what works. The next call writes over it.
func (c *Cluster) watched(s cluster.State, r cluster.Revision) []int {
	c.figures = c.figures[:0]
	worker := true
	for i := range s.Routes {
		if s.Routes[i].IsTraffic() {
			worker = false
			c.figures = append(c.figures, s.Routes[i].Serving[r.Name])
		}
	}
	if worker {
		working := 0
		if r.Enabled {
			working = r.Ready
		}
		c.figures = append(c.figures, working)
	}
	return c.figures
}

// look makes a State, and remembers it if an observer looks.
func (c *Cluster) look(a *application, observed bool) cluster.State {
	s := c.survey(a)
	for i, r := range a.revisions {
		figures := c.watched(s, s.Revisions[i])
		s.Revisions[i].Moved = r.seen.since(figures, s.At)
		if observed {
			r.seen.remember(figures, s.Revisions[i].Moved)
		}
	}
	if !slices.IsSortedFunc(s.Revisions, byPlace) {
		slices.SortStableFunc(s.Revisions, byPlace)
	}
	return s
}

func byPlace(x, y cluster.Revision) int {
	return cmp.Or(cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Arm, y.Arm))
}

// survey makes a State of everything but Moved, with the revisions in the order
// of their creation.
func (c *Cluster) survey(a *application) cluster.State {
	s := cluster.State{
		At:       c.at(),
		Strays:   a.strays + a.stray(),
		Can:      c.world.Can,
		Warnings: slices.Clone(a.warnings), Contested: a.contested,
	}
	if n := len(a.revisions); n > 0 {
		s.Revisions = make([]cluster.Revision, n)
	}
	for i, r := range a.revisions {
		c.find(a, r, &s.Revisions[i])
	}
	if n := len(a.routes); n > 0 {
		s.Routes = make([]cluster.Route, n)
	}
	for i, r := range a.routes {
		s.Routes[i] = r.Route
		s.Routes[i].Weights = c.weights(a, r)
		s.Routes[i].Serving = a.serving(i, s.Revisions)
	}
	a.cloneTemplates(s.Revisions)
	return s
}

// cloneTemplates gives a State templates of its own, all in one piece of memory.
func (a *application) cloneTemplates(revisions []cluster.Revision) {
	size := 0
	for _, r := range a.revisions {
		size += len(r.Template)
	}
	all := make([]byte, 0, size)
	for i, r := range a.revisions {
		if r.Template != nil {
			from := len(all)
			all = append(all, r.Template...)
			revisions[i].Template = all[from:len(all):len(all)]
		}
	}
}

// find makes of a stored revision and its pods what a look shows.
func (c *Cluster) find(a *application, r *set, f *cluster.Revision) {
	labels := c.labels()
	*f = r.Revision
	f.Enabled = c.enabled(a, r)
	f.Pods, f.Leaving, f.Ready, f.Unsettled = 0, 0, 0, 0
	f.Behind = len(r.coming) > 0 || a.frozen[Status]
	live, unfenced := 0, labels && (f.Behind || r.template.fence != r.Fence)
	for _, p := range r.pods {
		if !p.gone {
			f.Pods++
		}
		if p.leaving {
			if !p.gone {
				f.Leaving++
			}
			continue
		}
		live++
		if p.ready {
			f.Ready++
		}
		if labels && p.enabled != r.Enabled {
			f.Unsettled++
		}
		unfenced = unfenced || labels && p.fence != r.Fence
	}
	f.Pods += max(0, r.most()-live)
	if unfenced {
		f.Fence = ""
	}
	if a.frozen[Status] {
		f.Ready = r.reported
		f.Pods = max(f.Pods, f.Ready)
	}
}

// enabled is wanted where pods carry it, found in the routes elsewhere.
func (c *Cluster) enabled(a *application, r *set) bool {
	if c.labels() {
		return r.Enabled
	}
	for _, route := range a.routes {
		if !route.Preview && !route.Scaler && c.picks(a, route, r.Name) {
			return true
		}
	}
	return false
}

// most returns how many pods there may be before the controller has seen all: one
// at least, for a look cannot tell what it still goes by. Of a revision that is
// being deleted it makes none.
func (r *set) most() int {
	if r.deleting {
		return 0
	}
	most := r.template.replicas
	for i := range r.coming {
		most = max(most, r.coming[i].replicas, 1)
	}
	return most
}

// serving counts what is listed in the i-th route, by revision: pods that this
// look shows ready.
func (a *application) serving(i int, shown []cluster.Revision) map[string]int {
	n := map[string]int{}
	for k, r := range a.revisions {
		serves := 0
		for _, p := range r.pods {
			if p.ends[i].listed && p.ready && !p.leaving {
				serves++
			}
		}
		if serves = min(serves, shown[k].Ready); serves > 0 {
			n[r.Name] = serves
		}
	}
	return n
}

// stray counts what a traffic route still lists and no look shows as a
// revision's: pods of nobody, and pods that are gone.
func (a *application) stray() int {
	n := 0
	for _, r := range a.revisions {
		for _, p := range r.pods {
			if p.gone && a.inTraffic(p) {
				n++
			}
		}
	}
	for _, p := range a.orphans {
		if (p.ready || p.leaving) && a.inTraffic(p) {
			n++
		}
	}
	return n
}

func (a *application) inTraffic(p *pod) bool {
	for i := range p.ends {
		if p.ends[i].listed && a.routes[i].IsTraffic() {
			return true
		}
	}
	return false
}

// weights returns what a route says of the revisions that there are. A selector
// selects nothing of one that is gone, though it may have its name; nor does an
// autoscaler size any.
func (c *Cluster) weights(a *application, r *route) map[string]int {
	switch {
	case r.Open:
		return a.picked()
	case r.Pinned:
		return a.kept(r.pin)
	}
	weights := maps.Clone(r.Weights)
	if !c.world.Can.Weigh || r.Scaler {
		maps.DeleteFunc(weights, func(name string, _ int) bool { return a.revision(name) == nil })
	}
	return weights
}
