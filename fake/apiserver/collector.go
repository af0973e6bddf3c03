// The garbage collector, and the controller that empties namespaces.

package apiserver

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// Collect lets the garbage collector look at every object once. What has lost
// all its owners is deleted; an owner that was deleted in the foreground goes
// once everything that holds it back is gone; one that orphans is forgotten by
// what it owned first. A namespace that was deleted is emptied, and goes when it
// is empty.
func (s *Server) Collect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	present := s.present()
	for _, e := range present {
		s.collect(e, present)
	}
	for _, ns := range all[*corev1.Namespace](s, "Namespace", "") {
		if ns.DeletionTimestamp != nil {
			s.empty(ns)
		}
	}
}

// An entry is one object and of what kind it is.
type entry struct {
	object
	kind *kind
}

// present returns every object, kind by kind.
func (s *Server) present() []entry {
	var found []entry
	for _, k := range s.kinds {
		for _, o := range all[object](s, k.name, "") {
			found = append(found, entry{o, k})
		}
	}
	return found
}

func (s *Server) collect(e entry, present []entry) {
	if e.GetDeletionTimestamp() != nil {
		s.letGo(e, present)
		return
	}
	var solid, waiting, dangling []types.UID
	for _, ref := range e.GetOwnerReferences() {
		i := slices.IndexFunc(present, func(o entry) bool { return o.GetUID() == ref.UID && o.GetNamespace() == e.GetNamespace() })
		switch {
		case i < 0:
			dangling = append(dangling, ref.UID)
		case present[i].GetDeletionTimestamp() != nil && slices.Contains(present[i].GetFinalizers(), metav1.FinalizerDeleteDependents):
			waiting = append(waiting, ref.UID)
		default:
			solid = append(solid, ref.UID)
		}
	}
	switch lost := append(waiting, dangling...); {
	case len(lost) == 0:
	case len(solid) > 0:
		s.edit(e, func(o object) {
			for _, uid := range lost {
				disown(o, uid)
			}
		})
	case len(waiting) > 0 && slices.ContainsFunc(present, func(o entry) bool { return owned(o, e) }):
		s.drop(e.kind.name, e, metav1.DeletePropagationForeground)
	default:
		s.drop(e.kind.name, e, metav1.DeletePropagationBackground)
	}
}

// letGo takes the collector's finalizers off what was deleted, when it is time.
func (s *Server) letGo(e entry, present []entry) {
	switch {
	case slices.Contains(e.GetFinalizers(), metav1.FinalizerOrphanDependents):
		for _, o := range present {
			if owned(o, e) {
				s.edit(o, func(o object) { disown(o, e.GetUID()) })
			}
		}
		s.edit(e, func(o object) { unfinalize(o, metav1.FinalizerOrphanDependents) })
	case slices.Contains(e.GetFinalizers(), metav1.FinalizerDeleteDependents):
		held := slices.ContainsFunc(present, func(o entry) bool { return blocks(o, e) && s.store.get(keyOf(o.kind.name, o)) != nil })
		if !held {
			s.edit(e, func(o object) { unfinalize(o, metav1.FinalizerDeleteDependents) })
		}
	}
}

// owned reports whether o names e as an owner.
func owned(o, e entry) bool {
	return o.GetNamespace() == e.GetNamespace() && slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
		return ref.UID == e.GetUID()
	})
}

// blocks reports whether o holds back the deletion of e.
func blocks(o, e entry) bool {
	return o.GetNamespace() == e.GetNamespace() && slices.ContainsFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool {
		return ref.UID == e.GetUID() && ref.BlockOwnerDeletion != nil && *ref.BlockOwnerDeletion
	})
}

func unfinalize(o object, name string) {
	o.SetFinalizers(slices.DeleteFunc(o.GetFinalizers(), func(f string) bool { return f == name }))
}

func (s *Server) edit(e entry, do func(object)) { change(s, e.kind.name, e.object, "", do) }

// empty deletes what a namespace holds; without a kubelet pods are not waited
// for.
func (s *Server) empty(ns *corev1.Namespace) {
	left := 0
	for _, e := range s.present() {
		if e.GetNamespace() != ns.Name || e.kind.global {
			continue
		}
		left++
		if e.GetDeletionTimestamp() == nil {
			s.drop(e.kind.name, e, metav1.DeletePropagationBackground)
		}
	}
	if left == 0 && len(ns.Finalizers) == 0 {
		s.store.remove(keyOf("Namespace", ns))
	}
}
