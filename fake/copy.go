// A world that goes on twice.

package fake

import (
	"maps"
	"slices"
)

// Copy returns a world that is as this one is now, its time and its log of writes
// included. What is done to the one does nothing to the other. The copy calls changed
// where this one calls World.Changed; nil: nobody. Whatever acts by itself, see Every
// and Scale, acts in this one only.
func (c *Cluster) Copy(changed func()) *Cluster {
	c.mu.Lock()
	defer c.mu.Unlock()
	if changed == nil {
		changed = func() {}
	}
	to := &Cluster{
		world: c.world, now: c.now, ahead: c.ahead, serial: c.serial, used: maps.Clone(c.used), writes: slices.Clip(c.writes),
		settled: c.settled, nextAt: c.nextAt, nodes: slices.Clone(c.nodes), unplaced: c.unplaced, proxied: c.proxied,
	}
	to.world.Changed = changed
	for _, a := range c.apps {
		to.apps = append(to.apps, a.copied())
	}
	return to
}

func (a *application) copied() *application {
	to := *a
	to.revisions, to.routes, to.orphans = slices.Clone(a.revisions), slices.Clone(a.routes), copied(a.orphans)
	to.warnings = slices.Clip(a.warnings)
	for i, r := range a.revisions {
		s := *r
		s.coming, s.pods = slices.Clone(r.coming), copied(r.pods)
		s.seen.figures = slices.Clone(r.seen.figures)
		to.revisions[i] = &s
	}
	for i, r := range a.routes {
		s := *r
		s.Weights = maps.Clone(r.Weights)
		to.routes[i] = &s
	}
	return &to
}

func copied(pods []*pod) []*pod {
	all := make([]pod, len(pods))
	to := make([]*pod, len(pods))
	for i, p := range pods {
		all[i] = *p
		if all[i].ends = all[i].end[:]; len(p.ends) != len(p.end) {
			all[i].ends = slices.Clone(p.ends)
		}
		to[i] = &all[i]
	}
	return to
}
