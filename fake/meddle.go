// What somebody or something else does: the ways in which a world changes
// without a write of its caller. Another writer is none of these: it calls Put
// like anybody.

package fake

// KillPod makes the oldest live pod of the revision terminate, as an eviction
// would; its controller replaces it. It reports whether there was one.
func (c *Cluster) KillPod(app, revision string) bool {
	killed := c.meddle(app, revision, func(live []*pod) bool {
		if len(live) > 0 {
			c.leave(c.app(app), live[0])
		}
		return len(live) > 0
	})
	return killed
}

// SetReady lets the n oldest live pods of the revision be ready and keeps the
// others from it, until it is called again. Pods that are born later are not
// held back. A template whose pods never get ready is World's Ready.
func (c *Cluster) SetReady(app, revision string, n int) {
	c.meddle(app, revision, func(live []*pod) bool {
		for i, p := range live {
			p.sick = i >= n
			p.ready = p.ready && !p.sick
		}
		return true
	})
}

// FlipPod turns the traffic of one live pod, the oldest that is as the
// revision's Enabled says, as somebody would with a label. It reports whether
// there was one.
func (c *Cluster) FlipPod(app, revision string) bool {
	return c.meddle(app, revision, func(live []*pod) bool {
		r := c.app(app).revision(revision)
		for _, p := range live {
			if p.enabled == r.Enabled {
				p.enabled = !p.enabled
				return true
			}
		}
		return false
	})
}

// SetStrays sets how many ready endpoints of the traffic routes belong to no
// revision, besides those that deleted revisions leave for a while.
func (c *Cluster) SetStrays(app string, n int) {
	c.mu.Lock()
	c.app(app).strays = n
	c.mu.Unlock()
	c.committed()
}

// Contest sets whether the next looks show the app's objects as Contested.
func (c *Cluster) Contest(app string, contested bool) {
	c.disturb(app, func(a *application) bool {
		changed := a.contested != contested
		a.contested = contested
		return changed
	})
}

// Warn sets the Warnings that the next looks show.
func (c *Cluster) Warn(app string, warnings ...string) {
	c.mu.Lock()
	c.app(app).warnings = warnings
	c.mu.Unlock()
	c.committed()
}

// meddle does something to the live pods of a revision, which is a change if
// do says so.
func (c *Cluster) meddle(app, revision string, do func(live []*pod) bool) bool {
	c.mu.Lock()
	var live []*pod
	if r := c.app(app).revision(revision); r != nil {
		for _, p := range r.pods {
			if !p.leaving {
				live = append(live, p)
			}
		}
	}
	changed := len(live) > 0 && do(live)
	c.mu.Unlock()
	if changed {
		c.committed()
	}
	return changed
}
