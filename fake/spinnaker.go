// Spinnaker's operations, as it carries them out: pod by pod, without comparing
// and without looking back.

package fake

import (
	"slices"
)

// SpinnakerDisable takes a revision out of traffic as Spinnaker does: first the
// template that pods are born from, then one by one the pods that it had at that
// moment. It stops after dieAfter writes, the template counted, if that is not
// negative. It reports whether it wrote anything. Where no Enabled is kept on
// pods it has nothing to write.
func (c *Cluster) SpinnakerDisable(app, revision string, dieAfter int) bool {
	return c.spinnaker(app, revision, false, dieAfter)
}

// SpinnakerEnable is the reverse of SpinnakerDisable, in the same order.
func (c *Cluster) SpinnakerEnable(app, revision string, dieAfter int) bool {
	return c.spinnaker(app, revision, true, dieAfter)
}

func (c *Cluster) spinnaker(app, revision string, enabled bool, dieAfter int) bool {
	written := 0
	write := func(do func(r *set) bool) {
		if written != dieAfter && c.disturbRevision(app, revision, func(_ *application, r *set) bool { return c.labels() && do(r) }) {
			written++
		}
	}
	var pods []*pod
	write(func(r *set) bool {
		pods = slices.Clone(r.pods)
		to := r.Revision
		to.Enabled = enabled
		return c.edit(r, to)
	})
	for _, p := range pods {
		write(func(*set) bool {
			changed := p.enabled != enabled && !p.gone
			p.enabled = enabled
			return changed
		})
	}
	return written > 0
}

// SpinnakerHistory deletes the oldest revisions by creation until keep are left,
// whatever serves; it returns how many it deleted.
func (c *Cluster) SpinnakerHistory(app string, keep int) (deleted int) {
	for _, name := range c.surplus(app, keep) {
		if c.Remove(app, name) {
			deleted++
		}
	}
	return deleted
}

// surplus returns the names of all but the keep youngest revisions, oldest first.
func (c *Cluster) surplus(app string, keep int) (names []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.app(app).revisions)
	slices.SortStableFunc(all, func(x, y *set) int { return x.Created.Compare(y.Created) })
	for _, r := range all[:max(0, len(all)-max(0, keep))] {
		names = append(names, r.Name)
	}
	return names
}
