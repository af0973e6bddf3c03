// SetRoute: one write to one Service. That to an autoscaler has its own file.

package kube

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// SetRoute implements [cluster.Cluster]. Weights name the revision that the
// Service is to select, or the two while traffic moves from one to the other; of
// an autoscaler the revision that it is to scale.
//
// A Deployment that others made has no label of its own. The Service is kept to
// it by its pod-template-hash, which is refused while it is being rolled out.
// Opened again, the Service selects as it did before, which is refused while
// anything else has pods that it would select.
func (c *Cluster) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	if err := start(ctx, app); err != nil {
		return err
	}
	known, err := c.known(ctx, app)
	if err != nil {
		return err
	}
	if strings.HasPrefix(r.Name, scalerPrefix) {
		return c.setScaler(ctx, known, r)
	}
	i := slices.IndexFunc(known.routes, func(t route) bool { return t.name() == r.Name })
	if i < 0 {
		return refused("app %q: set route %q: the last look showed no such route", app, r.Name)
	}
	if known.routes[i].fixed {
		return refused("app %q: set route %q: it selects every revision: name the Services that bring traffic", app, r.Name)
	}
	if c.options.Traffic != Selector && r.Weights != nil && !known.routes[i].preview {
		return fmt.Errorf("kube: app %q: set route %q: traffic is moved by pod labels here, with Put (Options.Traffic): %w",
			app, r.Name, cluster.ErrUnsupported)
	}
	now := known.routes[i].Service
	if serviceVersion(now) != r.Version {
		return conflict("set route %q of app %q: the last look showed it as %s, this is compared with %q", r.Name, app, serviceVersion(now), r.Version)
	}
	change, want, err := known.steer(now, r, c.api.clock.now())
	if err != nil || change == nil {
		return err
	}
	if len(r.Weights) > 1 && !maps.Equal(want, now.Spec.Selector) {
		if err := c.checkSpan(ctx, known, now.Name, want, sorted(r.Weights)); err != nil {
			return err
		}
	}
	if hasPin(now.Spec.Selector) && !hasPin(want) && len(r.Weights) == 1 && want[RevisionLabel] == "" {
		if err := c.checkOpen(ctx, known, now, want, sorted(r.Weights)[0]); err != nil {
			return err
		}
	}
	change.set(string(now.UID), "metadata", "uid")
	change.set(now.ResourceVersion, "metadata", "resourceVersion")
	doing := fmt.Sprintf("patch Service %s in namespace %s", now.Name, c.options.Namespace)
	err = c.api.patch(ctx, services, now.Name, types.MergePatchType, asJSON(change))
	if apierrors.IsNotFound(err) {
		return conflict("%s: it is gone: %w", doing, err)
	}
	if err != nil {
		return explain(err, doing)
	}
	return nil
}

// steer returns the patch that makes the Service be as r says, nil if it is, and
// the selector that it has then.
func (known *roster) steer(s *corev1.Service, r cluster.Route, now time.Time) (to change, want map[string]string, err error) {
	to = change{}
	if want, err = known.aim(s, r); err != nil {
		return nil, nil, err
	}
	if !maps.Equal(want, s.Spec.Selector) {
		for k := range s.Spec.Selector {
			if _, ok := want[k]; !ok {
				to.set(nil, "spec", "selector", k)
			}
		}
		for k, v := range want {
			to.set(v, "spec", "selector", k)
		}
		to.note(s.Annotations, SinceAnnotation, stamp(now))
		// This write takes the field from whoever applied it: remember who that was,
		// until the switch after this one. A pin is none.
		next := r.Note != s.Annotations[NoteAnnotation] && !hasPin(want) && !hasPin(s.Spec.Selector)
		if k := keeper(s.ManagedFields, "spec", "selector"); k != "" || next {
			to.note(s.Annotations, KeeperAnnotation, k)
		}
	}
	for key, value := range map[string]string{NoteAnnotation: r.Note, FenceAnnotation: r.Fence, FromAnnotation: r.From} {
		if value != "" {
			to.note(s.Annotations, key, value)
		}
	}
	if len(to) == 0 {
		return nil, want, nil
	}
	return to, want, nil
}

// aim returns the selector that selects the pods of the revisions named in
// Weights, and of no other.
func (known *roster) aim(s *corev1.Service, r cluster.Route) (map[string]string, error) {
	names := sorted(r.Weights)
	switch {
	case r.Weights == nil && !known.can.Select:
		return s.Spec.Selector, nil
	case r.Weights == nil:
		return nil, fmt.Errorf("kube: set Service %s: Weights is nil, all enabled revisions: a selector must name one: %w", s.Name, cluster.ErrUnsupported)
	case slices.Equal(names, sorted(known.selected(s.Spec.Selector))) && !known.repins(s, r):
		return s.Spec.Selector, nil
	case len(names) == 0:
		return nil, refused("set Service %s: Weights names no revision: a Service that selects nothing serves nobody", s.Name)
	case len(names) > 2:
		return nil, fmt.Errorf("kube: set Service %s: Weights names %s: a selector picks one revision, or two for a moment: %w",
			s.Name, strings.Join(names, ", "), cluster.ErrUnsupported)
	}
	var picked []*workload
	for _, name := range names {
		w := known.named(name)
		if w == nil {
			return nil, refused("set Service %s: app %q has no revision %q", s.Name, known.app, name)
		}
		picked = append(picked, w)
	}
	switch {
	case len(picked) == 2:
		return known.span(s, picked)
	case hasPin(s.Spec.Selector) && !r.Pinned:
		return known.unpinned(s, picked[0])
	}
	return known.point(s, picked[0], r.Pinned && known.open(route{Service: s}))
}

// repins reports whether the Service's pin is to be put on or taken off, while
// what it selects stays.
func (known *roster) repins(s *corev1.Service, r cluster.Route) bool {
	if hasPin(s.Spec.Selector) {
		return !r.Pinned
	}
	return r.Pinned && known.open(route{Service: s})
}

func hasPin(selector map[string]string) bool { return selector[templateHash] != "" }

// span returns the Service's selector without the pairs that tell revisions
// apart, so that it selects both. If nothing is left, it is what both have in
// their own selectors.
func (known *roster) span(s *corev1.Service, both []*workload) (map[string]string, error) {
	shared := func(from map[string]string) map[string]string {
		want := map[string]string{}
		for k, v := range from {
			if selectsAll(map[string]string{k: v}, both) && !tells(k, v, both) {
				want[k] = v
			}
		}
		return want
	}
	want := shared(s.Spec.Selector)
	if len(want) == 0 {
		want = shared(both[0].own())
	}
	if len(want) == 0 {
		return nil, refused("set Service %s: no label is common to the pods of %s and %s, so that no selector selects both", s.Name, both[0], both[1])
	}
	return want, nil
}

// checkSpan refuses a selector that selects pods beside those of the revisions
// named: dropping the version label pulls in every other version, too.
func (c *Cluster) checkSpan(ctx context.Context, fresh *roster, service string, selector map[string]string, names []string) error {
	others, err := c.others(ctx, fresh, selector, names)
	if err != nil || len(others) == 0 {
		return err
	}
	return refused("set Service %s: a selector for both %s (%s) would also select %d other pods, such as %s: scale those down or relabel them first",
		service, strings.Join(names, " and "), written(selector), len(others), others[0])
}

// point returns the Service's selector with the pairs that tell revisions apart
// exchanged for those of w. Where w has no such pair, or a pin is asked for, it is
// the hash of w's pods.
func (known *roster) point(s *corev1.Service, w *workload, pin bool) (map[string]string, error) {
	want := map[string]string{}
	for k, v := range s.Spec.Selector {
		switch own, ok := w.labels()[k]; {
		case k == RevisionLabel, k == templateHash, known.outlived(k, v):
		case tells(k, v, known.revisions):
			if ok { // its own value: whoever reads the Service knows the version by it
				want[k] = own
			}
		case !ok || own != v:
			return nil, refused("set Service %s: it asks for %s=%s, which the pods of %s do not have", s.Name, k, v, w)
		default:
			want[k] = v
		}
	}
	if own := w.labels()[RevisionLabel]; own != "" {
		want[RevisionLabel] = own
		if len(known.selected(s.Spec.Selector)) > 1 { // an overlap has dropped what people know the version by
			for k, v := range w.own() {
				if tells(k, v, known.revisions) {
					want[k] = v
				}
			}
		}
	} else if !known.only(want, w) {
		for k, v := range w.labels() {
			if !selectsAll(map[string]string{k: v}, known.revisions) {
				want[k] = v
			}
		}
	}
	if own := w.labels()[RevisionLabel]; own == "" && w.hash != "" && len(want) > 0 && (pin || !known.only(want, w)) {
		hash, err := known.pin(s, w)
		if err != nil {
			return nil, err
		}
		want[templateHash] = hash
		return want, nil // no pod of another revision has it
	}
	if len(want) == 0 || !known.only(want, w) {
		return nil, refused("set Service %s: no label tells the pods of %s from those of all other revisions: (%s) selects them too",
			s.Name, w, written(want))
	}
	return want, nil
}

// outlived reports whether a pair of a selector told a revision that is gone
// from others: no pods that any revision makes have the label. Nothing serves
// then, and a switch must not be refused for it.
func (known *roster) outlived(key, value string) bool {
	if slices.ContainsFunc(known.revisions, func(w *workload) bool { _, ok := w.labels()[key]; return ok }) {
		return false
	}
	return slices.Contains(versionKeys, key) || numbered(known.app, value)
}

// only reports whether a selector selects the pods of w and of no other revision.
func (known *roster) only(selector map[string]string, w *workload) bool {
	for _, other := range known.revisions {
		if other.selectedBy(selector) != (other == w) {
			return false
		}
	}
	return true
}
