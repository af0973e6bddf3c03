// What a judge asks of the world after every change: cheap, and of what is, not
// of what a look shows.

package fake

import "time"

// Written returns how many writes there were so far: the length of Writes.
func (c *Cluster) Written() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.writes)
}

// Endpoints returns how many endpoints serve now, by the traffic route that has
// the fewest: State's Serving. For a worker it is the enabled pods that are
// ready.
func (c *Cluster) Endpoints(app string) int {
	return c.least(app, func(r *set, p *pod, route int) bool { return route < 0 || p.ends[route].listed }, false)
}

// Lasting returns how many endpoints will still serve, by the traffic route that
// has the fewest, if nobody writes any more and nothing fails: pods that are
// ready and chosen and, where pods carry what is Enabled, listed already; less
// those that a controller will still take because there are more than wanted,
// and not enough that are not ready to take first.
func (c *Cluster) Lasting(app string) int {
	return c.least(app, func(r *set, p *pod, route int) bool {
		return route < 0 || c.chosen(c.app(app).routes[route], p) && (p.ends[route].listed || !c.labels())
	}, true)
}

// least counts, on each traffic route, the pods that are ready and that count,
// and returns the least. A worker has one route, -1.
func (c *Cluster) least(app string, counts func(*set, *pod, int) bool, worst bool) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.app(app)
	least, routes := -1, 0
	for i, route := range a.routes {
		if !route.IsTraffic() {
			continue
		}
		routes++
		if n := c.sum(a, i, counts, worst); least < 0 || n < least {
			least = n
		}
	}
	if routes == 0 {
		return c.sum(a, -1, counts, worst)
	}
	return least
}

func (c *Cluster) sum(a *application, route int, counts func(*set, *pod, int) bool, worst bool) int {
	sum := 0
	for _, r := range a.revisions {
		if route >= 0 && c.world.Can.Weigh && a.routes[route].Weights != nil && a.routes[route].Weights[r.Name] == 0 {
			continue
		}
		n, live, idle := 0, 0, 0
		for _, p := range r.pods {
			if p.leaving {
				continue
			}
			live++
			if !p.ready {
				idle++
			}
			if p.ready && (route >= 0 || p.enabled) && counts(r, p, route) {
				n++
			}
		}
		if surplus := live - idle - r.Replicas; worst && surplus > 0 {
			n -= surplus
		}
		sum += max(0, n)
	}
	return sum
}

// SetClock lets the cluster's clock, as looks show it and objects carry it, be
// ahead of the time that passes.
func (c *Cluster) SetClock(ahead time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead = ahead
}
