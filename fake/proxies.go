// Proxies: what every node's proxy holds of the endpoints, which is what
// requests from that node really reach.

package fake

import (
	"math/bits"
	"time"
)

// A nodeSet is a set of nodes, by number.
type nodeSet uint64

func (s nodeSet) has(n int) bool { return s&(1<<n) != 0 }

// everywhere is the set of all nodes.
func (c *Cluster) everywhere() nodeSet { return 1<<len(c.nodes) - 1 }

// following is the set of the nodes whose proxies follow the endpoints.
func (c *Cluster) following() nodeSet {
	s := c.everywhere()
	for n := range c.nodes {
		if c.nodes[n].frozen || c.nodes[n].lost {
			s &^= 1 << n
		}
	}
	return s
}

// FreezeProxy lets the proxy of node n stand still: what it holds it holds until
// ThawProxy. Nodes are counted from 0; one that is not there has no proxy.
func (c *Cluster) FreezeProxy(n int) {
	c.onNode(n, func() bool {
		changed := !c.nodes[n].frozen
		c.beginHolding()
		c.nodes[n].frozen = true
		return changed
	})
}

// ThawProxy lets the proxy of node n follow again, as all others do.
func (c *Cluster) ThawProxy(n int) {
	c.onNode(n, func() bool {
		changed := c.nodes[n].frozen
		c.nodes[n].frozen = false
		return changed
	})
}

// Unreachable returns the nodes, by rising number, from which requests over one
// of the app's traffic routes fail for certain: their proxy holds nothing but
// pods that accept no more, or nothing where it once held something. A pod
// accepts while it is ready and was not told to go. Weights are not looked at. It
// is nil as long as World.ProxyLag is 0 and no proxy stands still, or stood.
func (c *Cluster) Unreachable(app string) []int {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.proxied {
		return nil
	}
	a := c.app(app)
	var fails nodeSet
	for i, r := range a.routes {
		if r.IsTraffic() {
			fails |= r.met &^ a.reach(i)
		}
	}
	var nodes []int
	for n := range c.nodes {
		if fails.has(n) {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// reach is the set of the nodes from which the i-th route reaches a pod that
// accepts.
func (a *application) reach(i int) (reached nodeSet) {
	a.every(func(p *pod) {
		if p.ready && !p.leaving {
			reached |= p.ends[i].held
		}
	})
	return reached
}

// Held returns in how many views a pod of this revision, or of one that had its
// name, is still held: each node's proxy has a view of each traffic route of the
// app. A pod that Orphan left and that lives is nobody's, and does not
// count. While proxies follow at once their views are the endpoints.
func (c *Cluster) Held(app, revision string) int {
	return c.views(app, func(p *pod) bool { return p.of == revision && (!p.loose || p.leaving) })
}

// Reached is Held, but only of pods that accept requests: ready, and not told to
// go. They are lost when the revision loses its replicas.
func (c *Cluster) Reached(app, revision string) int {
	return c.views(app, func(p *pod) bool { return p.of == revision && !p.loose && p.ready && !p.leaving })
}

// views counts those that hold a pod of these.
func (c *Cluster) views(app string, these func(*pod) bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	a, n := c.app(app), 0
	for i, route := range a.routes {
		if !route.IsTraffic() {
			continue
		}
		var held nodeSet
		a.every(func(p *pod) {
			switch {
			case !these(p):
			case c.proxied:
				held |= p.ends[i].held
			case p.ends[i].listed:
				held = c.everywhere()
			}
		})
		n += bits.OnesCount64(uint64(held))
	}
	return n
}

// beginHolding keeps what proxies hold from now on: as yet, what is listed.
func (c *Cluster) beginHolding() {
	if c.proxied {
		return
	}
	c.proxied = true
	for _, a := range c.apps {
		a.every(func(p *pod) {
			for i := range p.ends {
				if p.ends[i].listed {
					p.ends[i].held, a.routes[i].met = c.everywhere(), c.everywhere()
				}
			}
		})
	}
}

// proxy is every node's proxy: it notices at once what it should hold and does
// it late.
func (c *Cluster) proxy(a *application) (changed bool) {
	if !c.proxied {
		return false
	}
	following := c.following()
	a.every(func(p *pod) {
		for i := range p.ends {
			if c.hold(&p.ends[i], following) {
				a.routes[i].met |= p.ends[i].held
				changed = true
			}
		}
	})
	return changed
}

// hold brings the proxies that follow up to date with one endpoint.
func (c *Cluster) hold(e *endpoint, following nodeSet) (changed bool) {
	wanted := e.held &^ following
	if e.listed {
		wanted |= following
	}
	switch {
	case e.held == wanted:
		e.heldAt = time.Time{}
	case e.heldAt.IsZero() && c.world.ProxyLag > 0:
		e.heldAt = c.now.Add(c.world.ProxyLag)
	case e.heldAt.IsZero() || c.due(e.heldAt):
		e.held, e.heldAt, changed = wanted, time.Time{}, true
	}
	return changed
}
