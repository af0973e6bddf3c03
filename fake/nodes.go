// Nodes: where pods run, and what becomes of them when a node is drained, lost
// or mended.

package fake

import (
	"slices"
	"time"
)

const (
	mostNodes = 64
	nowhere   = -1 // the node of a pod that waits for one
)

// A node runs pods, and has a proxy.
type node struct {
	live    int  // pods on it that are not told to go
	drained bool // takes no new pods
	lost    bool
	evictAt time.Time // when the pods of a lost node are given up; zero: they have been
	frozen  bool      // its proxy, see FreezeProxy
}

// DrainNode evicts the live pods of node n, by app, revision and age, as far as
// Budget lets, and keeps new pods from it until MendNode. It returns how many it
// evicted; those that a budget kept stay, and another DrainNode tries again.
// Nodes are counted from 0; one that is not there has nothing to evict.
func (c *Cluster) DrainNode(n int) int {
	evicted := 0
	if !c.onNode(n, func() bool {
		fresh := !c.nodes[n].drained
		c.nodes[n].drained = true
		for _, a := range c.apps {
			evicted += c.drain(a, n)
		}
		return fresh || evicted > 0
	}) {
		return 0
	}
	return evicted
}

// drain evicts the pods of one app from a node.
func (c *Cluster) drain(a *application, n int) (evicted int) {
	ready := 0
	a.every(func(p *pod) {
		if p.ready && !p.leaving {
			ready++
		}
	})
	a.every(func(p *pod) {
		left := ready
		if p.ready {
			left--
		}
		if p.node != n || p.leaving || left < a.budget {
			return
		}
		c.leave(a, p)
		ready = left
		evicted++
	})
	return evicted
}

// LoseNode cuts node n off: its pods are not ready from now on, its proxy stands
// still, and it takes no new pods. After World.Lag its pods are told to go, which
// they never do, and are replaced elsewhere.
func (c *Cluster) LoseNode(n int) {
	c.onNode(n, func() bool {
		if c.nodes[n].lost {
			return false
		}
		c.nodes[n].lost, c.nodes[n].evictAt = true, c.now.Add(c.world.Lag)
		for _, a := range c.apps {
			a.every(func(p *pod) { p.ready = p.ready && p.node != n })
		}
		return true
	})
}

// MendNode lets node n take pods again. If it was lost, its proxy follows again,
// the pods that were told to go begin their Grace, and the others are ready
// again.
func (c *Cluster) MendNode(n int) {
	c.onNode(n, func() bool { return c.mend(n) })
}

func (c *Cluster) mend(n int) (changed bool) {
	node := &c.nodes[n]
	if !node.drained && !node.lost {
		return false
	}
	for _, a := range c.apps {
		a.every(func(p *pod) {
			if node.lost && p.node == n && p.leaving && !p.gone {
				p.goneAt = c.now.Add(c.world.Grace)
			}
		})
	}
	node.drained, node.lost, node.evictAt = false, false, time.Time{}
	return true
}

// Budget is how many ready pods of the app a drained node must leave, wherever
// they are; 0: none, as in the beginning. Nothing but DrainNode heeds it.
func (c *Cluster) Budget(app string, min int) {
	c.disturb(app, func(a *application) bool {
		changed := a.budget != min
		a.budget = min
		return changed
	})
}

// onNode does something to node n, if it is there, which is a change if do says
// so.
func (c *Cluster) onNode(n int, do func() bool) bool {
	c.mu.Lock()
	changed := n >= 0 && n < len(c.nodes) && do()
	c.mu.Unlock()
	if changed {
		c.committed()
	}
	return changed
}

// lost reports whether the pod's node is.
func (c *Cluster) lost(p *pod) bool { return p.node != nowhere && c.nodes[p.node].lost }

// evict gives up the pods of nodes that have been lost for long enough.
func (c *Cluster) evict() (changed bool) {
	for n := range c.nodes {
		if !c.due(c.nodes[n].evictAt) {
			continue
		}
		c.nodes[n].evictAt, changed = time.Time{}, true
		for _, a := range c.apps {
			a.every(func(p *pod) {
				if p.node == n && !p.leaving {
					c.leave(a, p)
				}
			})
		}
	}
	return changed
}

// place gives pods that wait for a node one, if there is one.
func (c *Cluster) place(a *application) (changed bool) {
	if !c.unplaced || c.emptiest() == nowhere {
		return false
	}
	for _, r := range a.revisions {
		for _, p := range r.pods {
			if p.node == nowhere && !p.leaving {
				changed = c.settle(p, r) || changed
			}
		}
	}
	return changed
}

// emptiest returns the node that has the fewest live pods of those that take
// any, of several the lowest; nowhere: there is none.
func (c *Cluster) emptiest() int {
	best := nowhere
	for n := range c.nodes {
		if !c.nodes[n].drained && !c.nodes[n].lost && (best == nowhere || c.nodes[n].live < c.nodes[best].live) {
			best = n
		}
	}
	return best
}

// settle puts a pod on the emptiest node and lets it boot there. It reports
// whether there was a node; if not, the pod waits for one.
func (c *Cluster) settle(p *pod, r *set) bool {
	if p.node = c.emptiest(); p.node == nowhere {
		c.unplaced = true
		return false
	}
	c.nodes[p.node].live++
	boot, ever := c.world.Boot, true
	if c.world.Ready != nil {
		boot, ever = c.world.Ready(slices.Clone(r.Template))
	}
	if ever {
		p.readyAt = c.now.Add(max(boot, 0))
	}
	return true
}
