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
	s := c.look(app)
	for i := range s.Revisions {
		c.remember(s, &s.Revisions[i])
	}
	return s, nil
}

// State returns what Observe would, seen by nobody: what Observe remembers for
// Moved stays as it was.
func (c *Cluster) State(app string) cluster.State {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.look(app)
	for i := range s.Revisions {
		s.Revisions[i].Moved = c.moved(s, s.Revisions[i])
	}
	return s
}

// Forget makes the next Observe a first look, as by a process that was
// restarted.
func (c *Cluster) Forget() {
	c.mu.Lock()
	defer c.mu.Unlock()
	clear(c.seen)
}

// seen is what an observer remembers of a revision.
type seen struct {
	serving []int // by route
	moved   time.Time
}

// remember sets Moved, and what is needed to tell it the next time.
func (c *Cluster) remember(s cluster.State, r *cluster.Revision) {
	r.Moved = c.moved(s, *r)
	c.seen[r.UID] = seen{serving: serving(s, r.Name), moved: r.Moved}
}

// moved tells when Serving was last seen to change, this look included.
func (c *Cluster) moved(s cluster.State, r cluster.Revision) time.Time {
	if last, ok := c.seen[r.UID]; ok && slices.Equal(last.serving, serving(s, r.Name)) {
		return last.moved
	}
	return s.At
}

// serving is what an observer watches of a revision: its Serving by route, and
// where none brings traffic, what works.
func serving(s cluster.State, name string) []int {
	var n []int
	if s.Worker() {
		n = append(n, s.ReliedOn(name))
	}
	for _, r := range s.Routes {
		n = append(n, r.Serving[name])
	}
	return n
}

// look makes a State of everything but Moved.
func (c *Cluster) look(name string) cluster.State {
	a := c.app(name)
	s := cluster.State{
		At:       c.at(),
		Strays:   a.strays + a.stray(),
		Can:      c.world.Can,
		Warnings: slices.Clone(a.warnings),
	}
	for _, r := range a.revisions {
		s.Revisions = append(s.Revisions, c.found(a, r))
	}
	for i, r := range a.routes {
		found := r.Route
		found.Weights = maps.Clone(r.Weights)
		found.Serving = a.serving(i)
		s.Routes = append(s.Routes, found)
	}
	slices.SortStableFunc(s.Revisions, func(x, y cluster.Revision) int {
		return cmp.Or(cmp.Compare(x.Seq, y.Seq), cmp.Compare(x.Arm, y.Arm))
	})
	return s
}

// found makes of a stored revision and its pods what a look shows.
func (c *Cluster) found(a *app, r *revision) cluster.Revision {
	f := r.Revision
	f.Template = slices.Clone(r.Template)
	f.Enabled = c.enabled(a, r)
	f.Pods = r.existing() + max(0, r.most()-r.live())
	f.Ready = r.ready()
	f.Unsettled, f.Behind = 0, len(r.coming) > 0
	if c.labels() {
		f.Unsettled = r.unlike(func(p *pod) bool { return p.enabled != r.Enabled })
		if f.Behind || r.unlike(func(p *pod) bool { return p.fence != r.Fence }) > 0 {
			f.Fence = ""
		}
	}
	return f
}

// enabled is wanted where pods carry it, found in the routes elsewhere.
func (c *Cluster) enabled(a *app, r *revision) bool {
	if c.labels() {
		return r.Enabled
	}
	return slices.ContainsFunc(a.routes, func(route *route) bool {
		return !route.Preview && names(route.Route, r.Name)
	})
}

// existing counts the pods that are there, terminating ones too.
func (r *revision) existing() int {
	n := 0
	for _, p := range r.pods {
		if !p.gone {
			n++
		}
	}
	return n
}

func (r *revision) ready() int {
	n := 0
	for _, p := range r.pods {
		if p.ready && !p.leaving {
			n++
		}
	}
	return n
}

// most returns how many pods there may be before the controller has seen all.
func (r *revision) most() int {
	most := r.template.replicas
	for _, l := range r.coming {
		most = max(most, l.replicas)
	}
	return most
}

// unlike counts the live pods that are not as they should be.
func (r *revision) unlike(wrong func(*pod) bool) int {
	n := 0
	for _, p := range r.pods {
		if !p.leaving && wrong(p) {
			n++
		}
	}
	return n
}

// serving counts what is listed in the i-th route, by revision.
func (a *app) serving(i int) map[string]int {
	n := map[string]int{}
	for _, r := range a.revisions {
		for _, p := range r.pods {
			if p.ends[i].listed && p.ready && !p.leaving {
				n[r.Name]++
			}
		}
	}
	return n
}

// stray counts orphans that a traffic route still lists.
func (a *app) stray() int {
	n := 0
	for _, p := range a.orphans {
		for i, e := range p.ends {
			if e.listed && !a.routes[i].Preview {
				n++
				break
			}
		}
	}
	return n
}
