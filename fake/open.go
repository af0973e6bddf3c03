// Routes in which nothing tells revisions apart: open ones, and pinned ones. A
// world that moves traffic by selectors has such a route where World's Routes, or
// the State that it is made from, say Open or Pinned.

package fake

import (
	"fmt"
	"maps"
	"slices"

	"github.com/cutover-dev/cutover/cluster"
)

// A pin keeps a route to the pods that a revision made of one template.
type pin struct {
	revision string
	template int
}

// pinOf returns the pin of a route as a look shows it: one that is lost names
// nothing, and no template is what it was.
func pinOf(r cluster.Route) pin {
	for name := range r.Weights {
		return pin{name, 0}
	}
	return pin{r.From, -1}
}

// picks reports whether the route selects what a revision makes now.
func (c *Cluster) picks(a *application, r *route, name string) bool {
	if r.Open || r.Pinned {
		_, named := c.weights(a, r)[name]
		return named
	}
	return names(&r.Route, name)
}

// picked are the Weights of an open route: the revisions that have pods or are to
// have some or, if none is, all.
func (a *application) picked() map[string]int {
	all, awake := map[string]int{}, map[string]int{}
	for _, r := range a.revisions {
		if all[r.Name] = 100; !r.asleep() {
			awake[r.Name] = 100
		}
	}
	if len(awake) > 0 {
		return awake
	}
	return all
}

// asleep reports that a revision has no pods, and is to have none.
func (r *set) asleep() bool { return r.Replicas == 0 && len(r.coming) == 0 && r.live() == 0 }

// rolling reports whether a revision has pods of two templates.
func (r *set) rolling() bool {
	for _, p := range r.pods {
		if !p.leaving && p.template != r.template.template {
			return true
		}
	}
	return false
}

// kept are the Weights of a pinned route: of whom its pods are, as long as that one
// makes such pods.
func (a *application) kept(p pin) map[string]int {
	if r := a.revision(p.revision); r != nil && r.template.template == p.template {
		return map[string]int{r.Name: 100}
	}
	return map[string]int{}
}

// aim returns what a bare route is as wanted.
func (c *Cluster) aim(a *application, stored *route, r cluster.Route) (*route, error) {
	to := *stored
	to.bare = true
	now, names := c.weights(a, stored), slices.Sorted(maps.Keys(r.Weights))
	repins := stored.Pinned && !r.Pinned || stored.Open && r.Pinned
	switch {
	case slices.Equal(names, slices.Sorted(maps.Keys(now))) && !repins:
		return &to, nil
	case len(names) == 0:
		return nil, fmt.Errorf("it would select nothing: %w", cluster.ErrRefused)
	case len(names) > 2:
		return nil, fmt.Errorf("a selector picks one revision, or two for a moment, not %v: %w", names, cluster.ErrUnsupported)
	}
	for _, name := range names {
		if a.revision(name) == nil {
			return nil, fmt.Errorf("there is no %s: %w", name, cluster.ErrRefused)
		}
	}
	to.Weights = map[string]int{}
	one := a.revision(names[0])
	switch alone := len(a.revisions) == 1; {
	case len(names) == 2, stored.Pinned && !r.Pinned:
		to.Open, to.Pinned = true, false
		return &to, a.others(names)
	case one.Release != "":
		to.Open, to.Pinned, to.Weights = false, false, maps.Clone(r.Weights)
		return &to, nil
	case alone && !r.Pinned:
		to.Open, to.Pinned = true, false
		return &to, nil
	}
	to.Open, to.Pinned = false, true
	at, err := one.pinnable(stored)
	to.pin = pin{one.Name, at}
	return &to, err
}

// others refuses to open a route beside pods that are not of those named.
func (a *application) others(names []string) error {
	for _, r := range a.revisions {
		switch {
		case slices.Contains(names, r.Name) || r.asleep():
		case r.Replicas == 0:
			return fmt.Errorf("pods of %s would be selected, too, which has just lost its replicas: %w", r.Name, cluster.ErrConflict)
		default:
			return fmt.Errorf("pods of %s would be selected, too: %w", r.Name, cluster.ErrRefused)
		}
	}
	return nil
}

// pinnable returns the template by whose pods a route is kept to a revision. A
// route that is losing them by a rollout is kept to the template with more.
func (r *set) pinnable(was *route) (template int, err error) {
	switch losing := was.Pinned && was.pin.revision == r.Name && r.rolling(); {
	case losing && r.readyOf(was.pin.template) >= r.readyOf(r.template.template):
		return was.pin.template, nil
	case losing:
		return r.template.template, nil
	case r.rolling():
		return 0, fmt.Errorf("%s is being rolled out, and has pods of two templates: %w", r.Name, cluster.ErrRefused)
	case len(r.coming) > 0:
		return 0, fmt.Errorf("the controller of %s has not yet seen what was last wanted: %w", r.Name, cluster.ErrConflict)
	}
	return r.template.template, nil
}

func (r *set) readyOf(template int) int {
	n := 0
	for _, p := range r.pods {
		if p.ready && !p.leaving && p.template == template {
			n++
		}
	}
	return n
}

// raises refuses to give pods to a revision that an open route would bring traffic
// at once, beside what has it; and to make one at all that it could not be kept
// from.
func (c *Cluster) raises(a *application, r cluster.Revision, from int, creates bool) error {
	for _, route := range a.routes {
		if !route.Open || !route.IsTraffic() {
			continue
		}
		now := slices.Sorted(maps.Keys(c.weights(a, route)))
		switch {
		case len(now) == 0 || slices.Contains(now, r.Name) || creates && r.Replicas == 0 && a.sleeps():
		case from == 0 && r.Replicas > 0:
			return fmt.Errorf("%s would select its pods as soon as they are ready, beside those of %v: %w", route.Name, now, cluster.ErrRefused)
		case creates && len(now) > 1 && a.wantedOf(now) == 1:
			return fmt.Errorf("%s selects the pods of %v, and those that have just lost their replicas have yet to go: %w", route.Name, now, cluster.ErrConflict)
		case creates && (len(now) > 1 || a.revision(now[0]).rolling()):
			return fmt.Errorf("%s would select its pods as soon as it has some, and cannot be kept to %v: %w", route.Name, now, cluster.ErrRefused)
		}
	}
	return nil
}

// sleeps reports whether nothing has pods, or is to have some.
func (a *application) sleeps() bool {
	return !slices.ContainsFunc(a.revisions, func(r *set) bool { return !r.asleep() })
}

// wantedOf counts the revisions among some that are to have pods.
func (a *application) wantedOf(names []string) int {
	n := 0
	for _, name := range names {
		if a.revision(name).Replicas > 0 {
			n++
		}
	}
	return n
}

// RollOut changes the template of a revision, as a person does with a Deployment:
// its pods are replaced by new ones, one more at a time than it has replicas, and
// none is taken before another is ready. A route that is pinned to its old pods
// empties as they go. It reports whether there is such a revision.
func (c *Cluster) RollOut(app, revision string, template []byte) bool {
	return c.disturbRevision(app, revision, func(_ *application, r *set) bool {
		r.Template, r.Version = slices.Clone(template), c.fresh("")
		next := r.last()
		next.template++
		c.send(r, next)
		return true
	})
}

// roll replaces pods of an older template. It reports whether it changed anything.
func (c *Cluster) roll(a *application, r *set) (changed bool) {
	fresh, ready := 0, r.ready()
	for _, p := range r.pods {
		if !p.leaving && p.template == r.template.template {
			fresh++
		}
	}
	for _, p := range r.pods {
		if p.leaving || p.template == r.template.template {
			continue
		}
		if !p.ready || ready > r.template.replicas {
			if p.ready {
				ready--
			}
			c.leave(a, p)
			changed = true
		}
	}
	if fresh < r.template.replicas && r.live() <= r.template.replicas && a.admits() {
		r.pods = append(r.pods, c.born(a, r))
		changed = true
	}
	return changed
}
