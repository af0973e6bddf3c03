// People and other programs, who write what they like: unconditionally, past
// Put, and without a word of it in Writes, which is the log of the Cluster's
// callers. Each of their writes makes a new Version. They do not know what cutover keeps on
// objects, so Raised and Since stay as they are.

package fake

import (
	"maps"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// Edit writes the object of a revision as change leaves it: its Replicas,
// Enabled, Outcome, Note, Fence, Release and Seq; whatever else change sets is
// ignored. Enabled is edited in what pods are born from: those that exist keep
// theirs. A Fence is edited on the object alone, and so is none any more for a
// look. Edit reports whether anything differs; negative Replicas, which no
// apiserver takes, are no edit.
func (c *Cluster) Edit(app, revision string, change func(*cluster.Revision)) bool {
	return c.disturbRevision(app, revision, func(_ *application, r *set) bool {
		to := r.Revision
		change(&to)
		return c.edit(r, to)
	})
}

func (c *Cluster) edit(r *set, to cluster.Revision) bool {
	is := &r.Revision
	to.Enabled = to.Enabled && c.labels()
	if to.Replicas < 0 || to.Replicas == is.Replicas && to.Enabled == is.Enabled && to.Outcome == is.Outcome &&
		to.Note == is.Note && to.Fence == is.Fence && to.Release == is.Release && to.Seq == is.Seq {
		return false
	}
	is.Replicas, is.Enabled, is.Outcome = to.Replicas, to.Enabled, to.Outcome
	is.Note, is.Fence, is.Release, is.Seq = to.Note, to.Fence, to.Release, to.Seq
	is.Version = c.fresh("")
	c.send(r, birth{is.Replicas, is.Enabled, r.last().fence, r.last().template})
	return true
}

// EditRoute writes a route as change leaves it: its Note, Fence, From and, where
// a route takes any, its Weights; whatever else change sets is ignored. It
// reports whether anything differs.
func (c *Cluster) EditRoute(app, route string, change func(*cluster.Route)) bool {
	return c.disturb(app, func(a *application) bool {
		r := a.route(route)
		if r == nil {
			return false
		}
		to := r.Route
		to.Weights = maps.Clone(to.Weights)
		change(&to)
		if !c.named() && !r.Scaler {
			to.Weights = r.Weights
		}
		if to.Note == r.Note && to.Fence == r.Fence && to.From == r.From && sameWeights(to.Weights, r.Weights) {
			return false
		}
		r.Weights, r.Note, r.Fence, r.From = maps.Clone(to.Weights), to.Note, to.Fence, to.From
		r.Version = c.fresh("")
		return true
	})
}

// sameWeights reports whether two routes choose the same; none is not empty.
func sameWeights(a, b map[string]int) bool { return (a == nil) == (b == nil) && maps.Equal(a, b) }

// Remove deletes a revision, and its pods follow as after Delete. It reports
// whether there was one that was not being deleted already.
func (c *Cluster) Remove(app, revision string) bool {
	return c.disturbRevision(app, revision, c.drop)
}

// Recreate deletes a revision and creates the same again at once: what it says
// stays, even when Replicas were raised, and UID, Version, Created and pods are
// new. The old pods go. One that is held is only deleted: its name is still
// taken.
func (c *Cluster) Recreate(app, revision string) bool {
	return c.disturbRevision(app, revision, func(a *application, r *set) bool {
		if r.held {
			return c.drop(a, r)
		}
		again, b := &set{Revision: r.Revision}, r.last()
		again.UID, again.Version, again.Created = c.fresh("uid-"), c.fresh(""), c.at()
		if r.Raised.Equal(r.Created) {
			again.Raised = again.Created // it was never raised since
		}
		c.drop(a, r)
		c.send(again, b)
		a.revisions = append(a.revisions, again)
		return true
	})
}

// Orphan takes the oldest live pod from its revision, as an edit of a label does
// that its controller goes by. It stays as it is, ready and in traffic if it was,
// but it is a Stray, and the controller makes another. Orphan reports whether
// there was one.
func (c *Cluster) Orphan(app, revision string) bool {
	return c.disturbRevision(app, revision, func(a *application, r *set) bool {
		i := slices.IndexFunc(r.pods, func(p *pod) bool { return !p.leaving })
		if i < 0 {
			return false
		}
		r.pods[i].loose = true
		a.orphans = append(a.orphans, r.pods[i])
		r.pods = slices.Delete(r.pods, i, i+1)
		return true
	})
}

// Collect tells all pods of the app to go that Orphan has left.
func (c *Cluster) Collect(app string) { c.disturb(app, c.collectLoose) }

func (c *Cluster) collectLoose(a *application) (changed bool) {
	for _, p := range a.orphans {
		if p.loose && !p.leaving {
			c.leave(a, p)
			changed = true
		}
	}
	return changed
}

// Adopt deletes revision from so that its pods stay, and the controller of
// revision to, which selects the same, adopts those that live: it then has too
// many and takes the surplus, pods that are not ready first, then the youngest,
// whosever they were. It reports whether there are two such revisions, of which
// neither is held or being deleted.
func (c *Cluster) Adopt(app, from, to string) bool {
	return c.disturbRevision(app, from, func(a *application, parent *set) bool {
		heir := a.revision(to)
		if heir == nil || heir == parent || parent.held || heir.deleting {
			return false
		}
		kept := parent.pods[:0:0]
		for _, p := range parent.pods {
			if p.leaving {
				kept = append(kept, p)
			} else {
				heir.pods = append(heir.pods, p)
			}
		}
		slices.SortStableFunc(heir.pods, func(x, y *pod) int { return x.serial - y.serial })
		parent.pods = kept
		return c.drop(a, parent)
	})
}

// An actor is a program that does something again and again.
type actor struct {
	every time.Duration
	at    time.Time
	do    func() bool
}

// Every lets act be called every d of simulated time, the first time after d,
// until stop is called or the world is healed. What controllers do at the same
// instant they do first; actors act in the order in which they came. They may
// call every method but Sleep. act reports whether it changed anything: then
// World's Changed is called once more, when it is done. A d below a millisecond
// is one.
func (c *Cluster) Every(d time.Duration, act func() bool) (stop func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	d = max(d, time.Millisecond)
	mine := &actor{every: d, at: c.now.Add(d), do: act}
	c.actors = append(c.actors, mine)
	return func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.actors = slices.DeleteFunc(c.actors, func(a *actor) bool { return a == mine })
	}
}

// act lets the first actor act whose time has come; it reports whether there was
// one.
func (c *Cluster) act() bool {
	c.mu.Lock()
	var due *actor
	for _, a := range c.actors {
		if c.due(a.at) {
			due = a
			break
		}
	}
	if due != nil {
		due.at = due.at.Add(due.every)
	}
	c.mu.Unlock()
	if due == nil {
		return false
	}
	if due.do() {
		c.committed()
	}
	return true
}

// Revert is a program that puts the Weights of a route back to what they are in
// to, again and again.
func (c *Cluster) Revert(app, route string, to cluster.Route, every time.Duration) (stop func()) {
	return c.Every(every, func() bool {
		return c.EditRoute(app, route, func(r *cluster.Route) { r.Weights = to.Weights })
	})
}

// Autoscale is a program that sets the Replicas of a revision, again and again,
// to what replicas makes of those it has.
func (c *Cluster) Autoscale(app, revision string, replicas func(now int) int, every time.Duration) (stop func()) {
	return c.Every(every, func() bool {
		return c.Edit(app, revision, func(r *cluster.Revision) { r.Replicas = replicas(r.Replicas) })
	})
}

// Scale is the program behind an autoscaler, a route that is a Scaler: it sets the
// Replicas of the revision that this names, again and again, to what replicas
// makes of that one. One that has none, or is gone, it leaves alone.
func (c *Cluster) Scale(app, scaler string, replicas func(cluster.Revision) int, every time.Duration) (stop func()) {
	return c.Every(every, func() bool {
		s := c.State(app)
		for _, r := range s.Revisions {
			if _, named := shown(s, scaler).Weights[r.Name]; named && r.Replicas > 0 {
				n := replicas(r)
				return c.Edit(app, r.Name, func(r *cluster.Revision) { r.Replicas = n })
			}
		}
		return false
	})
}

// Seize is a Deployment that has adopted a revision: it scales it to 0, again and
// again.
func (c *Cluster) Seize(app, revision string, every time.Duration) (stop func()) {
	return c.Autoscale(app, revision, func(int) int { return 0 }, every)
}
