// Pins: how a Service that selects by labels which all versions have is kept to
// the pods of one found Deployment, while a new revision gets ready.
//
// The pods of a Deployment's ReplicaSet have a label of their own, its
// pod-template-hash. Added to the Service's selector it changes no endpoint now,
// and keeps out every other pod with the same labels. It is a pin: once the
// Deployment's template changes, its new pods have another hash, and the Service
// empties as the old ones go. So it is put on late and taken off early, and never
// while the Deployment has pods of two templates.

package kube

import (
	"context"
	"maps"
	"slices"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// deploymentRevision is how a Deployment and its newest ReplicaSet are known to
// belong together.
const deploymentRevision = deploymentPrefix + "revision"

// hashes tells each Deployment among the revisions, from the ReplicaSets of the
// namespace, what hash its pods are born with, and whether pods of two are there.
// While the Deployment is behind, the hash is that of the template before.
func (r *roster) hashes(sets []*workload) {
	for _, set := range sets {
		owner, _ := set.owner()
		w := r.owners[string(owner.UID)]
		if w == nil || w.kind != Deployment {
			continue
		}
		if w.ready == nil {
			w.ready = map[string]int32{}
		}
		w.ready[set.Metadata.Labels[templateHash]] += set.Status.ReadyReplicas
		if newest := w.annotation(deploymentRevision); newest != "" && set.annotation(deploymentRevision) == newest {
			w.hash = set.Metadata.Labels[templateHash]
		} else if set.replicas() > 0 || set.Status.Replicas > 0 {
			w.rolling = true
		}
	}
}

// open reports whether nothing in the Service's selector tells revisions apart,
// of which one is a Deployment that others made.
func (r *roster) open(t route) bool {
	if !r.can.Select || t.preview || t.fixed {
		return false
	}
	for k, v := range t.Spec.Selector {
		if r.parts(k, v) {
			return false
		}
	}
	return slices.ContainsFunc(r.revisions, func(w *workload) bool {
		return w.kind == Deployment && w.labels()[RevisionLabel] == "" && w.selectedBy(t.Spec.Selector)
	})
}

// parts reports whether a pair of a selector tells revisions apart. Of a single one
// that is only guessed, by keys that are used for nothing else: label release, say, is
// as often the name of an installation, which the next revision has as well.
func (r *roster) parts(key, value string) bool {
	if len(r.revisions) > 1 || key == RevisionLabel || key == templateHash {
		return tells(key, value, r.revisions)
	}
	return key != "release" && slices.Contains(versionKeys, key)
}

// pinnable returns the revision that the Service can be kept to, or why there is
// none.
func (r *roster) pinnable(s *corev1.Service) (*workload, error) {
	names := sorted(r.selected(s.Spec.Selector))
	if wanted := slices.DeleteFunc(slices.Clone(names), func(name string) bool { return r.named(name).replicas() == 0 }); len(names) > 1 && len(wanted) == 1 {
		return nil, conflict("keep Service %s to %s: it (%s) selects the pods of %q, and those that have just lost their replicas have yet to go",
			s.Name, wanted[0], written(s.Spec.Selector), names)
	}
	if len(names) != 1 {
		return nil, refused("keep Service %s to one revision: it (%s) selects the pods of %q", s.Name, written(s.Spec.Selector), names)
	}
	w := r.named(names[0])
	return w, r.checkPin(s, w)
}

func (r *roster) named(name string) *workload {
	i := slices.IndexFunc(r.revisions, func(w *workload) bool { return w.Metadata.Name == name })
	if i < 0 {
		return nil
	}
	return r.revisions[i]
}

// pin returns the hash by which the Service is kept to w. A Service that is pinned to
// w already, and is losing its endpoints by a rollout, is kept to the template that
// has more of them.
func (r *roster) pin(s *corev1.Service, w *workload) (string, error) {
	now := s.Spec.Selector[templateHash]
	if _, was := w.ready[now]; !was || !w.rolling {
		return w.hash, r.checkPin(s, w)
	}
	if w.ready[w.hash] > w.ready[now] {
		return w.hash, nil
	}
	return now, nil
}

// checkPin refuses a pin that would take endpoints away, now or soon.
func (r *roster) checkPin(s *corev1.Service, w *workload) error {
	switch {
	case w.kind != Deployment:
		return refused("keep Service %s to %s: no label of its pods is theirs alone: "+
			"give the Service's selector a label that only the present version has", s.Name, w)
	case w.rolling:
		return refused("keep Service %s to %s: it is being rolled out, and has pods of two templates, of which a selector can name only one: "+
			"let the rollout end, or roll it back, and run the same release again", s.Name, w)
	case w.behind(), w.hash == "":
		return conflict("keep Service %s to %s: its controller has not yet acted on what was last wanted of it", s.Name, w)
	}
	return nil
}

// unpinned is the selector without the pin, if no other revision would get
// traffic by it.
func (r *roster) unpinned(s *corev1.Service, w *workload) (map[string]string, error) {
	want := maps.Clone(s.Spec.Selector)
	delete(want, templateHash)
	if len(want) == 0 || !w.selectedBy(want) {
		return nil, refused("open Service %s again: without %s its selector (%s) is not one for the pods of %s", s.Name, templateHash, written(want), w)
	}
	for _, other := range r.revisions {
		if other == w || other.asleep() || !other.selectedBy(want) {
			continue
		}
		if other.replicas() == 0 {
			return nil, conflict("open Service %s again: (%s) would also select the pods of %s, and its status still shows some", s.Name, written(want), other)
		}
		return nil, refused("open Service %s again: (%s) would also select the pods of %s: scale that to 0 first", s.Name, written(want), other)
	}
	return want, nil
}

// checkOpen returns ErrConflict while pods of anything but w would get traffic:
// those of a revision that was just scaled to 0, say.
func (c *Cluster) checkOpen(ctx context.Context, fresh *roster, s *corev1.Service, selector map[string]string, name string) error {
	others, err := c.others(ctx, fresh, selector, []string{name})
	if err != nil || len(others) == 0 {
		return err
	}
	return conflict("open Service %s again: (%s) would also select %d pods that are not of %s, such as %s",
		s.Name, written(selector), len(others), name, others[0])
}

// others returns the names of the pods that a selector selects, of all but the
// revisions named.
func (c *Cluster) others(ctx context.Context, fresh *roster, selector map[string]string, names []string) ([]string, error) {
	found, err := list[corev1.Pod](ctx, c.api, pods, labels.SelectorFromSet(selector).String(), nil)
	if err != nil {
		return nil, err
	}
	whose := fresh.count(found).owner
	var others []string
	for i := range found {
		w := whose[found[i].UID]
		if writable(&found[i]) && (w == nil || !slices.Contains(names, w.Metadata.Name)) {
			others = append(others, found[i].Name)
		}
	}
	return others, nil
}

// checkRaise refuses to give pods to a revision that a Service would bring
// traffic at once, beside what has it.
func (known *roster) checkRaise(w *workload, replicas int) error {
	if !known.can.Select || w.replicas() > 0 || replicas == 0 {
		return nil
	}
	for _, t := range known.traffic() {
		if _, named := known.selected(t.Spec.Selector)[w.Metadata.Name]; !named && w.selectedBy(t.Spec.Selector) {
			return refused("put %s: Service %q (%s) would select its pods as soon as they are ready, beside those of %q: "+
				"keep the Service to one revision first", w, t.Name, written(t.Spec.Selector), sorted(known.selected(t.Spec.Selector)))
		}
	}
	return nil
}

// mayAdopt reports whether a Deployment can be a revision beside ReplicaSets: the
// one that a declared Service selects.
func (o Options) mayAdopt() bool {
	return o.Kind == ReplicaSet && o.Traffic == Selector && len(o.Services) > 0
}

// candidates returns the workloads of the namespace that may be revisions. Each
// Deployment among them is a copy, which is then told what its ReplicaSets show:
// looks at other apps may have it, too.
func (o Options) candidates(app string, sets, deployments []*workload, found []corev1.Service) []*workload {
	var all []*workload
	if o.Kind == ReplicaSet {
		all = slices.Clone(sets)
	}
	for _, d := range deployments {
		if o.Kind == Deployment || o.mayAdopt() && o.adopts(app, d, found) {
			own := *d
			all = append(all, &own)
		}
	}
	return all
}

// adopted reports whether a revision is of another kind than those to come.
func (r *roster) adopted() bool {
	return slices.ContainsFunc(r.revisions, func(w *workload) bool { return w.kind != r.options.Kind })
}

// adopts reports whether a Deployment takes part where revisions are ReplicaSets:
// a declared Service selects its pods, or did before cutover moved it.
func (o Options) adopts(app string, d *workload, found []corev1.Service) bool {
	if _, owned := d.owner(); owned || !d.belongs(app, o.Match) {
		return false
	}
	return slices.ContainsFunc(found, func(s corev1.Service) bool {
		selector := maps.Clone(s.Spec.Selector)
		delete(selector, RevisionLabel)
		delete(selector, templateHash)
		return slices.Contains(o.Services, s.Name) && len(selector) > 0 && carries(d.labels(), selector)
	})
}
