// The controllers' environment: what keeps controllers and pods from doing what
// they do by themselves, and the end of all that.

package fake

import (
	"slices"
	"time"
)

// A Controller is one that can be frozen.
type Controller int

// The controllers that Freeze stops.
const (
	Replication Controller = iota // makes and takes pods as a revision says
	Readiness                     // makes pods ready
	Endpoints                     // lists pods in routes
	Collection                    // tells the pods of deleted revisions to go: until then they stay, and are Strays where traffic still lists them
	Status                        // tells what controllers have done: looks show Behind, and Ready as it was
	controllers = iota
)

// Freeze stops one controller of the app: it does nothing until Thaw. A
// revision that is new while Status is frozen shows no pod Ready, and no look
// shows more Serving than Ready.
func (c *Cluster) Freeze(app string, what Controller) {
	c.disturb(app, func(a *application) bool {
		if a.frozen[what] {
			return false
		}
		a.frozen[what] = true
		for _, r := range a.revisions {
			if what == Status {
				r.reported = r.ready()
			}
		}
		return true
	})
}

// Thaw lets a frozen controller of the app go on: it catches up.
func (c *Cluster) Thaw(app string, what Controller) {
	c.disturb(app, func(a *application) bool {
		changed := a.frozen[what]
		a.frozen[what] = false
		return changed
	})
}

// Frozen reports whether a controller of the app stands still.
func (c *Cluster) Frozen(app string, what Controller) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, a := range c.apps {
		if a.name == app {
			return a.frozen[what]
		}
	}
	return false
}

// Quota keeps controllers from making pods while so many of the app exist,
// terminating ones and those of deleted revisions too; negative: no limit, as in
// the beginning. A quota below what there is takes nothing away.
func (c *Cluster) Quota(app string, pods int) {
	c.disturb(app, func(a *application) bool {
		a.limited, a.quota = pods >= 0, pods
		return true
	})
}

// admits reports whether the quota leaves room for a pod.
func (a *application) admits() bool {
	if !a.limited {
		return true
	}
	n := 0
	a.every(func(p *pod) {
		if !p.gone {
			n++
		}
	})
	return n < a.quota
}

// OverCreate lets the revision's controller make n pods more than it wants, as
// one with a stale cache does. It notices after World.Lag and takes as many
// back: those that are not ready first, then the youngest. It reports whether
// any pod was made: a quota, or a frozen controller, keeps it from it.
func (c *Cluster) OverCreate(app, revision string, n int) bool {
	return c.disturbRevision(app, revision, func(a *application, r *set) bool {
		if a.frozen[Replication] || r.deleting {
			return false
		}
		made := 0
		for ; made < n && a.admits(); made++ {
			r.pods = append(r.pods, c.born(a, r))
		}
		if made > 0 {
			r.extra, r.extraAt = r.extra+made, c.now.Add(c.world.Lag)
		}
		return made > 0
	})
}

// Crash makes the n oldest live pods of the revision not ready. They are ready
// again after back, if they would be by then, or never if back is negative. Pods
// that are born later are not meant. It reports whether there was one.
func (c *Cluster) Crash(app, revision string, n int, back time.Duration) bool {
	return c.meddle(app, revision, func(live []*pod) bool {
		live = live[:max(0, min(n, len(live)))]
		for _, p := range live {
			p.ready, p.crashed, p.backAt = false, true, time.Time{}
			if back >= 0 {
				p.backAt = c.now.Add(back)
			}
		}
		return len(live) > 0
	})
}

// Hold keeps the revision's object from being gone, as a finalizer would that is
// there from the start: its Version stays. Delete is answered with nil, and
// the object stays as it was but for its Version and for Behind. It is refused
// every Put, its controller neither makes nor takes pods, and its pods stay until
// LetGo.
func (c *Cluster) Hold(app, revision string) {
	c.disturbRevision(app, revision, func(_ *application, r *set) bool {
		changed := !r.held
		r.held = true
		return changed
	})
}

// LetGo ends a Hold. If the revision was deleted meanwhile, it is gone now.
func (c *Cluster) LetGo(app, revision string) {
	c.disturbRevision(app, revision, c.letGo)
}

func (c *Cluster) letGo(a *application, r *set) bool {
	changed := r.held
	r.held = false
	if r.deleting {
		c.erase(a, r)
	}
	return changed
}

// Stick keeps the pods of the app that are told to go from now on from going:
// their Grace does not end before Unstick.
func (c *Cluster) Stick(app string) {
	c.disturb(app, func(a *application) bool {
		changed := !a.stuck
		a.stuck = true
		return changed
	})
}

// Unstick ends Stick: pods whose Grace has passed are gone at once.
func (c *Cluster) Unstick(app string) { c.disturb(app, unstick) }

func unstick(a *application) bool {
	changed := a.stuck
	a.stuck = false
	a.every(func(p *pod) {
		changed = changed || p.stuck
		p.stuck = false
	})
	return changed
}

// Heal ends everything that this package lets go wrong and that would last:
// quotas, budgets, frozen controllers and proxies, holds, stuck pods, crashes,
// SetReady, drained and lost nodes, pods of nobody, strays, and actors. From here on the
// world is as quick and well-behaved as World says. What was written, and what
// is gone, stays so, and what Contest, Warn and SetClock were told.
func (c *Cluster) Heal() {
	c.mu.Lock()
	c.actors = nil
	for n := range c.nodes {
		c.mend(n)
		c.nodes[n].frozen = false
	}
	for _, a := range c.apps {
		c.heal(a)
	}
	c.mu.Unlock()
	c.committed()
}

func (c *Cluster) heal(a *application) {
	a.frozen = [controllers]bool{}
	a.limited, a.budget, a.strays = false, 0, 0
	unstick(a)
	for _, r := range slices.Clone(a.revisions) {
		c.letGo(a, r)
	}
	a.every(func(p *pod) { p.sick, p.crashed = false, false })
	c.collectLoose(a)
}

// disturb does something to an app, which is a change if do says so.
func (c *Cluster) disturb(app string, do func(*application) bool) bool {
	c.mu.Lock()
	changed := do(c.app(app))
	c.mu.Unlock()
	if changed {
		c.committed()
	}
	return changed
}

// disturbRevision does something to a revision, if it is there.
func (c *Cluster) disturbRevision(app, revision string, do func(*application, *set) bool) bool {
	return c.disturb(app, func(a *application) bool {
		r := a.revision(revision)
		return r != nil && do(a, r)
	})
}
