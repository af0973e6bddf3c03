// What happens by itself: the controllers, each one function that does what is
// due now, and the scheduler that calls them in order.

package fake

import (
	"slices"
	"strconv"
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
	if c.settled {
		return false
	}
	if c.evict() {
		return true
	}
	for _, a := range c.apps {
		if c.replicate(a) || c.place(a) || c.boot(a) || c.reap(a) || c.collect(a) || c.list(a) || c.proxy(a) {
			return true
		}
	}
	c.settled, c.nextAt = true, c.next()
	return false
}

// advance moves the clock to the next instant at which something is due, but
// not beyond until; it reports whether there is anything to do there.
func (c *Cluster) advance(until time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.settled {
		return true // somebody has written since
	}
	next := c.nextAt
	for _, a := range c.actors {
		next = earlier(next, a.at)
	}
	if next.IsZero() || next.After(until) {
		if until.After(c.now) {
			c.now = until
		}
		return false
	}
	c.now = next
	c.settled = next.Before(c.nextAt) // nothing but an actor is due
	return true
}

// earlier returns the earlier of two instants, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// next returns the earliest instant to come at which a controller has something
// to do; zero: none. What is due already waits for something else than time.
func (c *Cluster) next() time.Time {
	var next time.Time
	for i := range c.nodes {
		next = c.sooner(next, c.nodes[i].evictAt)
	}
	for _, a := range c.apps {
		for _, r := range a.revisions {
			if len(r.coming) > 0 {
				next = c.sooner(next, r.coming[0].at)
			}
			if r.extra > 0 {
				next = c.sooner(next, r.extraAt)
			}
			for _, p := range r.pods {
				next = c.turnOf(p, next)
			}
		}
		for _, p := range a.orphans {
			next = c.turnOf(p, next)
		}
	}
	return next
}

// turnOf returns next, or when something is due about this pod if that is
// sooner.
func (c *Cluster) turnOf(p *pod, next time.Time) time.Time {
	if p.crashed {
		next = c.sooner(next, p.backAt)
	}
	if !p.ready && !p.sick && !p.leaving {
		next = c.sooner(next, p.readyAt)
	}
	if p.leaving && !p.gone {
		next = c.sooner(next, p.goneAt)
	}
	for i := range p.ends {
		next = c.sooner(next, p.ends[i].turnAt)
		next = c.sooner(next, p.ends[i].heldAt)
	}
	return next
}

// sooner returns at if that is to come, and before next.
func (c *Cluster) sooner(next, at time.Time) time.Time {
	if !at.IsZero() && at.After(c.now) && (next.IsZero() || at.Before(next)) {
		return at
	}
	return next
}

// due reports whether an instant has come.
func (c *Cluster) due(t time.Time) bool { return !t.IsZero() && !t.After(c.now) }

// replicate is the controller behind a revision: it sees what was put, late,
// and makes as many pods as it has seen.
func (c *Cluster) replicate(a *application) (changed bool) {
	if a.frozen[Replication] {
		return false
	}
	for _, r := range a.revisions {
		for len(r.coming) > 0 && c.due(r.coming[0].at) {
			r.template, r.coming = r.coming[0].birth, r.coming[1:]
			changed = true
		}
		changed = c.scale(a, r) || changed
	}
	return changed
}

// scale makes the pods that are missing and takes those too many. Of a revision
// that is being deleted it does neither.
func (c *Cluster) scale(a *application, r *set) (changed bool) {
	if r.deleting {
		return false
	}
	if c.due(r.extraAt) {
		r.extra, r.extraAt = 0, time.Time{}
	}
	if r.rolling() {
		return c.roll(a, r)
	}
	n := r.live()
	for ; n < r.template.replicas && a.admits(); n++ {
		r.pods = append(r.pods, c.born(a, r))
		changed = true
	}
	for ; n > r.template.replicas+r.extra; n-- {
		c.leave(a, r.dispensable())
		changed = true
	}
	return changed
}

// born makes a pod as the controller's template says.
func (c *Cluster) born(a *application, r *set) *pod {
	c.serial++
	p := &pod{
		name:     r.Name + "-" + strconv.Itoa(c.serial),
		serial:   c.serial,
		of:       r.Name,
		enabled:  r.template.enabled,
		fence:    r.template.fence,
		template: r.template.template,
	}
	if p.ends = p.end[:]; len(a.routes) != len(p.end) {
		p.ends = make([]endpoint, len(a.routes))
	}
	c.settle(p, r)
	return p
}

// leave tells a pod to go.
func (c *Cluster) leave(a *application, p *pod) {
	p.leaving, p.goneAt, p.stuck = true, c.now.Add(c.world.Grace), a.stuck
	if p.node != nowhere {
		c.nodes[p.node].live--
	}
}

// dispensable returns the live pod that a controller takes first: one that is
// not ready, else the youngest.
func (r *set) dispensable() *pod {
	var found *pod
	for _, p := range r.pods {
		if !p.leaving && (found == nil || !p.ready || found.ready) {
			found = p
		}
	}
	return found
}

// boot is what makes pods ready.
func (c *Cluster) boot(a *application) (changed bool) {
	if a.frozen[Readiness] {
		return false
	}
	for _, r := range a.revisions {
		for _, p := range r.pods {
			changed = c.wake(p) || changed
		}
	}
	for _, p := range a.orphans {
		changed = c.wake(p) || changed
	}
	return changed
}

// wake makes one pod ready, if its time has come and nothing keeps it from it.
func (c *Cluster) wake(p *pod) bool {
	if p.crashed && c.due(p.backAt) {
		p.crashed = false
	}
	if p.ready || p.leaving || !c.due(p.readyAt) || p.sick || p.crashed || c.lost(p) {
		return false
	}
	p.ready = true
	return true
}

// reap removes pods whose time to go has passed. One that an endpoint or a proxy
// still names is kept in mind until that is gone too.
func (c *Cluster) reap(a *application) (changed bool) {
	for _, r := range a.revisions {
		for _, p := range r.pods {
			changed = c.end(a, p) || changed
		}
	}
	for _, p := range a.orphans {
		changed = c.end(a, p) || changed
	}
	if a.gone > 0 {
		for _, r := range a.revisions {
			r.pods = a.remembered(r.pods)
		}
		a.orphans = a.remembered(a.orphans)
	}
	return changed
}

// end lets one pod be gone, if its time has come and nothing keeps it.
func (c *Cluster) end(a *application, p *pod) bool {
	if !p.leaving || p.gone || p.stuck || !c.due(p.goneAt) || c.lost(p) {
		return false
	}
	p.gone = true
	a.gone++
	return true
}

// remembered drops the pods that are gone and that nothing names any more.
func (a *application) remembered(pods []*pod) []*pod {
	return slices.DeleteFunc(pods, func(p *pod) bool {
		for i := range p.ends {
			if p.ends[i].listed || p.ends[i].held != 0 {
				return false
			}
		}
		if p.gone {
			a.gone--
		}
		return p.gone
	})
}

// collect tells the pods of deleted revisions to go.
func (c *Cluster) collect(a *application) (changed bool) {
	if a.frozen[Collection] {
		return false
	}
	for _, p := range a.orphans {
		if !p.leaving && !p.loose {
			c.leave(a, p)
			changed = true
		}
	}
	return changed
}

// list is the endpoint controller: it notices at once that a route is out of
// date, and late it brings the whole route up to date, as it is by then.
func (c *Cluster) list(a *application) (changed bool) {
	if a.frozen[Endpoints] {
		return false
	}
	for i := range a.routes {
		if c.outdated(a, i) {
			a.every(func(p *pod) {
				e := &p.ends[i]
				wanted := c.listable(a, i, p)
				changed = changed || e.listed != wanted
				e.listed, e.turnAt = wanted, time.Time{}
			})
		}
	}
	return changed
}

// outdated reports whether the i-th route is due to be brought up to date.
func (c *Cluster) outdated(a *application, i int) (due bool) {
	a.every(func(p *pod) {
		e := &p.ends[i]
		switch {
		case e.listed == c.listable(a, i, p):
			e.turnAt = time.Time{}
			return
		case e.turnAt.IsZero():
			e.turnAt = c.now.Add(c.world.EndpointLag)
		}
		due = due || c.due(e.turnAt)
	})
	return due
}

// listable reports whether the i-th route is to list this pod.
func (c *Cluster) listable(a *application, i int, p *pod) bool {
	return p.ready && !p.leaving && c.chosen(a.routes[i], p)
}

// chosen reports whether the route chooses this pod, ready or not.
func (c *Cluster) chosen(r *route, p *pod) bool {
	switch {
	case r.Open:
		return true
	case r.Pinned:
		return p.of == r.pin.revision && p.template == r.pin.template
	case r.Scaler || c.named() && !names(&r.Route, p.of):
		return false
	}
	return !c.labels() || p.enabled
}

// names reports whether the route names the revision; without weights it
// means all.
func names(r *cluster.Route, revision string) bool {
	_, ok := r.Weights[revision]
	return ok || r.Weights == nil
}

// every calls do for every pod of the app, by revision and age, orphans last.
func (a *application) every(do func(p *pod)) {
	for _, r := range a.revisions {
		for _, p := range r.pods {
			do(p)
		}
	}
	for _, p := range a.orphans {
		do(p)
	}
}
