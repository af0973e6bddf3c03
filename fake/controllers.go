// What happens by itself: the controllers, each one function that does what is
// due now, and the scheduler that calls them in order.

package fake

import (
	"fmt"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// follow lets every controller do what is due at this instant, until none has
// anything left to do, and tells of each change.
func (c *Cluster) follow() {
	for c.step() {
		c.world.Changed()
	}
}

// step lets the first controller act that has something to do.
func (c *Cluster) step() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.apps {
		if c.replicate(a) || c.boot(a) || c.reap(a) || c.list(a) {
			return true
		}
	}
	return false
}

// advance moves the clock to the next instant at which something is due, but
// not beyond until; it reports whether there is anything to do there.
func (c *Cluster) advance(until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	next := c.next()
	if next.IsZero() || next.After(until) {
		if until.After(c.now) {
			c.now = until
		}
		return false
	}
	c.now = next
	return true
}

// next returns the earliest instant at which something is due; zero: nothing.
func (c *Cluster) next() time.Time {
	var next time.Time
	due := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, a := range c.apps {
		for _, r := range a.revisions {
			if len(r.coming) > 0 {
				due(r.coming[0].at)
			}
		}
		for p := range a.pods() {
			if !p.ready && !p.sick && !p.leaving {
				due(p.readyAt)
			}
			if p.leaving && !p.gone {
				due(p.goneAt)
			}
			for _, e := range p.ends {
				due(e.turnAt)
			}
		}
	}
	return next
}

// due reports whether an instant has come.
func (c *Cluster) due(t time.Time) bool { return !t.IsZero() && !t.After(c.now) }

// replicate is the controller behind a revision: it sees what was put, late,
// and makes as many pods as it has seen.
func (c *Cluster) replicate(a *app) (changed bool) {
	for _, r := range a.revisions {
		for len(r.coming) > 0 && c.due(r.coming[0].at) {
			r.template, r.coming = r.coming[0].birth, r.coming[1:]
			changed = true
		}
		for n := r.live(); n < r.template.replicas; n++ {
			r.pods = append(r.pods, c.born(a, r))
			changed = true
		}
		for n := r.live(); n > r.template.replicas; n-- {
			c.leave(r.dispensable())
			changed = true
		}
	}
	return changed
}

// born makes a pod as the controller's template says.
func (c *Cluster) born(a *app, r *revision) *pod {
	c.serial++
	p := &pod{
		name:    fmt.Sprintf("%s-%d", r.Name, c.serial),
		enabled: r.template.enabled,
		fence:   r.template.fence,
		ends:    make([]endpoint, len(a.routes)),
	}
	if boot, ever := c.world.Ready(slices.Clone(r.Template)); ever {
		p.readyAt = c.now.Add(max(boot, 0))
	}
	return p
}

// leave tells a pod to go.
func (c *Cluster) leave(p *pod) {
	p.leaving, p.goneAt = true, c.now.Add(c.world.Grace)
}

// dispensable returns the live pod that a controller takes first: one that is
// not ready, else the youngest.
func (r *revision) dispensable() *pod {
	var found *pod
	for _, p := range r.pods {
		if !p.leaving && (found == nil || !p.ready || found.ready) {
			found = p
		}
	}
	return found
}

// boot is what makes pods ready.
func (c *Cluster) boot(a *app) (changed bool) {
	for p := range a.pods() {
		if !p.ready && !p.sick && !p.leaving && c.due(p.readyAt) {
			p.ready, changed = true, true
		}
	}
	return changed
}

// reap removes pods whose time to go has passed. One that an endpoint still
// names is kept in mind until that is gone too.
func (c *Cluster) reap(a *app) (changed bool) {
	for p := range a.pods() {
		if p.leaving && !p.gone && c.due(p.goneAt) {
			p.gone, changed = true, true
		}
	}
	forgotten := func(p *pod) bool {
		return p.gone && !slices.ContainsFunc(p.ends, func(e endpoint) bool { return e.listed })
	}
	for _, r := range a.revisions {
		r.pods = slices.DeleteFunc(r.pods, forgotten)
	}
	a.orphans = slices.DeleteFunc(a.orphans, forgotten)
	return changed
}

// list is the endpoint controller: it notices at once what should be listed
// and does it late.
func (c *Cluster) list(a *app) (changed bool) {
	for _, r := range a.revisions {
		for _, p := range r.pods {
			changed = c.turn(a, p, r.Name) || changed
		}
	}
	for _, p := range a.orphans {
		changed = c.turn(a, p, "") || changed
	}
	return changed
}

// turn brings the endpoints of one pod up to date.
func (c *Cluster) turn(a *app, p *pod, revision string) (changed bool) {
	for i := range p.ends {
		e := &p.ends[i]
		wanted := p.ready && !p.leaving && c.chosen(a.routes[i].Route, p, revision)
		switch {
		case e.listed == wanted:
			e.turnAt = time.Time{}
		case e.turnAt.IsZero() && c.world.EndpointLag > 0:
			e.turnAt = c.now.Add(c.world.EndpointLag)
		case e.turnAt.IsZero() || c.due(e.turnAt):
			*e, changed = endpoint{listed: wanted}, true
		}
	}
	return changed
}

// chosen reports whether the route chooses this pod, ready or not.
func (c *Cluster) chosen(r cluster.Route, p *pod, revision string) bool {
	if c.named() && !names(r, revision) {
		return false
	}
	return !c.labels() || p.enabled
}

// names reports whether the route names the revision; without weights it
// means all.
func names(r cluster.Route, revision string) bool {
	_, ok := r.Weights[revision]
	return ok || r.Weights == nil
}

// pods yields every pod of the app, by revision and age, orphans last.
func (a *app) pods() func(yield func(*pod) bool) {
	return func(yield func(*pod) bool) {
		for _, r := range a.revisions {
			for _, p := range r.pods {
				if !yield(p) {
					return
				}
			}
		}
		for _, p := range a.orphans {
			if !yield(p) {
				return
			}
		}
	}
}
