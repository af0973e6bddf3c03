// What can be written: Put, SetRoute and Delete, and the log of what was.

package fake

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A Write is one request that changed an object, as an apiserver would count
// it: a Put that writes a revision and three of its pods is four.
type Write struct {
	At     time.Time
	App    string
	Verb   string // "create", "update" or "delete"
	Kind   string // "revision", "pod" or "route"
	Object string // its name
}

// String returns the write as "update pod web-v001-4".
func (w Write) String() string { return w.Verb + " " + w.Kind + " " + w.Object }

// Writes returns every write so far, in order.
func (c *Cluster) Writes() []Write {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.writes)
}

func (c *Cluster) wrote(app, verb, kind, object string) {
	c.writes = append(c.writes, Write{At: c.now, App: app, Verb: verb, Kind: kind, Object: object})
}

// committed tells of a write, and lets what is due at once follow it.
func (c *Cluster) committed() {
	c.mu.Lock()
	c.settled = false
	c.mu.Unlock()
	c.world.Changed()
	c.follow()
}

// Put makes the revision be as r says: the object in one write, then, where
// Enabled is kept on pods, up to Batch of them in a write each.
func (c *Cluster) Put(ctx context.Context, app string, r cluster.Revision) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fake: put %s: %w", r.Name, err)
	}
	wrote, err := c.putObject(app, r)
	if err != nil {
		return fmt.Errorf("fake: put %s: %w", r.Name, err)
	}
	if wrote {
		c.committed()
	}
	for _, name := range c.unlike(app, r) {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("fake: put %s: before pod %s: %w", r.Name, name, err)
		}
		if c.putPod(app, name, r) {
			c.committed()
		}
	}
	return nil
}

// putObject writes the revision itself, if it differs.
func (c *Cluster) putObject(app string, r cluster.Revision) (wrote bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	a := c.app(app)
	stored := a.revision(r.Name)
	switch {
	case r.Name == "":
		return false, fmt.Errorf("the name is empty: %w", cluster.ErrRefused)
	case r.Replicas < 0:
		return false, fmt.Errorf("%d replicas are wanted: %w", r.Replicas, cluster.ErrRefused)
	case r.Version == "" && stored != nil:
		return false, fmt.Errorf("create: it exists, with version %s: %w", stored.Version, cluster.ErrConflict)
	case r.Version == "":
		if err := c.raises(a, r, 0, true); err != nil {
			return false, err
		}
		c.create(a, r)
		return true, nil
	}
	if err := compare(stored, r); err != nil {
		return false, err
	}
	if stored.deleting {
		return false, fmt.Errorf("somebody has deleted it: %w", cluster.ErrRefused)
	}
	if err := c.raises(a, r, stored.Replicas, false); err != nil {
		return false, err
	}
	return c.update(a, stored, r), nil
}

// compare returns an error unless r names the stored revision and its version.
func compare(stored *set, r cluster.Revision) error {
	switch {
	case stored == nil:
		return fmt.Errorf("it is gone: %w", cluster.ErrConflict)
	case stored.UID != r.UID:
		return fmt.Errorf("compared with uid %q, found %s: %w", r.UID, stored.UID, cluster.ErrConflict)
	case stored.Version != r.Version:
		return fmt.Errorf("compared with version %s, found %s: %w", r.Version, stored.Version, cluster.ErrConflict)
	}
	return nil
}

// create stores a new revision. Its controller has yet to see it.
func (c *Cluster) create(a *application, r cluster.Revision) {
	stored := &set{Revision: cluster.Revision{
		Name: r.Name, Release: r.Release, Arm: r.Arm, Seq: r.Seq, Template: slices.Clone(r.Template),
		Created: c.at(), UID: c.fresh("uid-"),
	}}
	a.revisions = append(a.revisions, stored)
	c.store(stored, r, r.Fence)
	stored.Raised = stored.Created
	c.wrote(a.name, "create", "revision", r.Name)
}

// update stores what differs, if anything does.
func (c *Cluster) update(a *application, stored *set, r cluster.Revision) bool {
	was, fence := stored.Revision, r.Fence
	r = c.wanted(was, r)
	if was.Replicas == r.Replicas && was.Enabled == r.Enabled && was.Outcome == r.Outcome &&
		was.Note == r.Note && was.Fence == r.Fence {
		return false
	}
	c.store(stored, r, fence)
	c.wrote(a.name, "update", "revision", r.Name)
	return true
}

// wanted fills in what r leaves as it is stored.
func (c *Cluster) wanted(stored, r cluster.Revision) cluster.Revision {
	if r.Note == "" {
		r.Note = stored.Note
	}
	if r.Fence == "" {
		r.Fence = stored.Fence
	}
	if !c.labels() {
		r.Enabled = stored.Enabled
	}
	return r
}

// store writes the wanted fields and the times that go with them, and puts
// what pods are born from on its way to the controller. An empty fence leaves
// that of pods.
func (c *Cluster) store(stored *set, r cluster.Revision, fence string) {
	enabled := r.Enabled && c.labels()
	if r.Replicas > stored.Replicas {
		stored.Raised = c.at()
	}
	if enabled != stored.Enabled || r.Outcome != stored.Outcome {
		stored.Since = c.at()
	}
	stored.Replicas, stored.Enabled, stored.Outcome = r.Replicas, enabled, r.Outcome
	stored.Note, stored.Fence = r.Note, r.Fence
	stored.Version = c.fresh("")

	b := birth{replicas: r.Replicas, enabled: enabled, template: stored.last().template}
	if b.fence = fence; fence == "" {
		b.fence = stored.last().fence
	}
	if !c.labels() {
		b.fence = ""
	}
	c.send(stored, b)
}

// send puts what pods are born from on its way to the controller, if it differs.
func (c *Cluster) send(stored *set, b birth) {
	if stored.last() != b {
		stored.coming = append(stored.coming, late{b, c.now.Add(c.world.Lag)})
	}
}

// unlike returns the pods that Put is to write, at most a batch of them: those
// with the wrong traffic first, then those with another fence.
func (c *Cluster) unlike(app string, r cluster.Revision) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored := c.app(app).revision(r.Name)
	if stored == nil || !c.labels() {
		return nil
	}
	var turned, others []string
	for _, p := range stored.pods {
		switch {
		case !p.differs(r):
		case p.enabled != r.Enabled:
			turned = append(turned, p.name)
		default:
			others = append(others, p.name)
		}
	}
	names := append(turned, others...)
	if c.world.Batch > 0 {
		names = names[:min(len(names), c.world.Batch)]
	}
	return names
}

// differs reports whether Put has to write this pod.
func (p *pod) differs(r cluster.Revision) bool {
	return !p.leaving && (p.enabled != r.Enabled || r.Fence != "" && p.fence != r.Fence)
}

// putPod writes one pod, if it still is there and differs.
func (c *Cluster) putPod(app, name string, r cluster.Revision) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored := c.app(app).revision(r.Name)
	if stored == nil {
		return false
	}
	for _, p := range stored.pods {
		if p.name == name && p.differs(r) {
			p.enabled = r.Enabled
			if r.Fence != "" {
				p.fence = r.Fence
			}
			c.wrote(app, "update", "pod", name)
			return true
		}
	}
	return false
}

// SetRoute makes the route be as r says, in one write.
func (c *Cluster) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fake: set %s: %w", r.Name, err)
	}
	wrote, err := c.setRoute(app, r)
	if err != nil {
		return fmt.Errorf("fake: set %s: %w", r.Name, err)
	}
	if wrote {
		c.committed()
	}
	return nil
}

func (c *Cluster) setRoute(app string, r cluster.Route) (wrote bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	stored := c.app(app).route(r.Name)
	switch {
	case stored == nil:
		return false, fmt.Errorf("the app has no such route: %w", cluster.ErrRefused)
	case r.Weights != nil && !c.named() && !stored.Scaler, stored.Scaler && (r.Weights == nil || len(r.Weights) > 1):
		return false, fmt.Errorf("it takes no such weights: %w", cluster.ErrUnsupported)
	case stored.Version != r.Version:
		return false, fmt.Errorf("compared with version %s, found %s: %w", r.Version, stored.Version, cluster.ErrConflict)
	case stored.Scaler && len(r.Weights) == 0 && len(c.weights(c.app(app), stored)) > 0:
		return false, fmt.Errorf("an autoscaler names one revision, this names none: %w", cluster.ErrRefused)
	}
	for _, name := range slices.Sorted(maps.Keys(r.Weights)) {
		if weight := r.Weights[name]; weight < 0 {
			return false, fmt.Errorf("%d percent for %s: %w", weight, name, cluster.ErrRefused)
		}
	}
	changed := false
	if stored.bare {
		to, err := c.aim(c.app(app), stored, r)
		if err != nil {
			return false, err
		}
		if changed = to.Open != stored.Open || to.Pinned != stored.Pinned || to.pin != stored.pin || !maps.Equal(to.Weights, stored.Weights); changed {
			to.Since = c.at()
		}
		*stored, r.Weights = *to, to.Weights
	}
	if !stored.set(r, c.at()) && !changed {
		return false, nil
	}
	stored.Version = c.fresh("")
	c.wrote(app, "update", "route", r.Name)
	return true, nil
}

// set stores what differs and reports whether anything did.
func (s *route) set(r cluster.Route, at time.Time) (changed bool) {
	for _, f := range []struct{ stored, wanted *string }{
		{&s.Note, &r.Note}, {&s.Fence, &r.Fence}, {&s.From, &r.From},
	} {
		if *f.wanted != "" && *f.wanted != *f.stored {
			*f.stored, changed = *f.wanted, true
		}
	}
	if (r.Weights == nil) != (s.Weights == nil) || !maps.Equal(r.Weights, s.Weights) {
		s.Weights, s.Since, changed = maps.Clone(r.Weights), at, true
	}
	return changed
}

// Delete removes the revision at once; its pods take their Grace.
func (c *Cluster) Delete(ctx context.Context, app string, r cluster.Revision) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("fake: delete %s: %w", r.Name, err)
	}
	wrote, err := c.remove(app, r)
	if err != nil {
		return fmt.Errorf("fake: delete %s: %w", r.Name, err)
	}
	if wrote {
		c.committed()
	}
	return nil
}

func (c *Cluster) remove(app string, r cluster.Revision) (wrote bool, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if r.UID == "" || r.Version == "" {
		return false, fmt.Errorf("it has no uid or no version: %w", cluster.ErrRefused)
	}
	a := c.app(app)
	stored := a.revision(r.Name)
	if stored == nil {
		return false, nil
	}
	if err := compare(stored, r); err != nil {
		return false, err
	}
	if !c.drop(a, stored) {
		return false, nil
	}
	c.wrote(app, "delete", "revision", r.Name)
	return true, nil
}

// drop deletes the object, or marks it if it is held, and reports whether that
// changed anything. A mark is a change that the controller has yet to see.
func (c *Cluster) drop(a *application, r *set) bool {
	switch {
	case !r.held:
		c.erase(a, r)
	case r.deleting:
		return false
	default:
		r.deleting, r.Version = true, c.fresh("")
		r.coming = append(r.coming, late{r.last(), c.now.Add(c.world.Lag)})
	}
	return true
}

// erase removes the object; its pods will be collected.
func (c *Cluster) erase(a *application, r *set) {
	a.orphans = append(a.orphans, r.pods...)
	a.revisions = slices.DeleteFunc(a.revisions, func(other *set) bool { return other == r })
}
