// What controllers are made of: reading and writing the store, and whose an
// object is.

package apiserver

import (
	"fmt"
	"slices"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// all returns the present objects of a kind, in every namespace or in one. They
// are the store's: not to be changed.
func all[T object](s *Server, kind, namespace string) []T {
	var found []T
	for _, l := range s.store.list(kind, namespace, s.store.revision) {
		found = append(found, l.object.(T))
	}
	return found
}

// change writes what edit makes of an object. One that is gone meanwhile, or
// that may not be so, is left: a controller tries again with its next step.
func change[T object](s *Server, kind string, o T, subresource string, edit func(T)) {
	_, err := s.update(s.kindOf(kind), keyOf(kind, o), subresource, false, func(now object) (object, error) {
		edit(now.(T))
		return now, nil
	})
	s.expect(err, "change", kind, o)
}

// make writes a new object.
func (s *Server) make(kind string, o object) {
	_, err := s.create(s.kindOf(kind), o, false)
	s.expect(err, "create", kind, o)
}

// drop deletes an object as its owner does.
func (s *Server) drop(kind string, o object, policy metav1.DeletionPropagation) {
	uid := o.GetUID()
	_, _, err := s.remove(s.kindOf(kind), keyOf(kind, o), metav1.DeleteOptions{
		Preconditions: &metav1.Preconditions{UID: &uid}, PropagationPolicy: &policy,
	})
	s.expect(err, "delete", kind, o)
}

// expect panics on what no step of a controller can meet: between two requests
// nothing else happens.
func (s *Server) expect(err error, doing, kind string, o object) {
	if err == nil || apierrors.IsInvalid(err) || apierrors.IsNotFound(err) || apierrors.IsForbidden(err) {
		return
	}
	panic(fmt.Sprintf("apiserver: a controller could not %s %s %s/%s%s: %v", doing, kind, o.GetNamespace(), o.GetName(), o.GetGenerateName(), err))
}

func keyOf(kind string, o object) key { return key{kind, o.GetNamespace(), o.GetName()} }

// ownedBy makes the reference of a controller.
func ownedBy(kind *kind, owner object) metav1.OwnerReference {
	return *metav1.NewControllerRef(owner, kind.gvk())
}

// controls reports whether owner is the controller of o.
func controls(owner, o object) bool {
	ref := metav1.GetControllerOfNoCopy(o)
	return ref != nil && ref.UID == owner.GetUID()
}

// disown takes an owner's reference off.
func disown(o object, owner types.UID) {
	o.SetOwnerReferences(slices.DeleteFunc(o.GetOwnerReferences(), func(ref metav1.OwnerReference) bool { return ref.UID == owner }))
}

// living reports whether a pod runs, or may.
func living(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded
}

// readySince returns since when a pod is ready, if it is.
func readySince(pod *corev1.Pod) (metav1.Time, bool) {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return c.LastTransitionTime, true
		}
	}
	return metav1.Time{}, false
}

// setCondition makes a pod's condition be so, from now on if it was not.
func setCondition(pod *corev1.Pod, what corev1.PodConditionType, is bool, now metav1.Time) {
	status := corev1.ConditionFalse
	if is {
		status = corev1.ConditionTrue
	}
	for i := range pod.Status.Conditions {
		if c := &pod.Status.Conditions[i]; c.Type == what {
			if c.Status != status {
				c.Status, c.LastTransitionTime = status, now
			}
			return
		}
	}
	pod.Status.Conditions = append(pod.Status.Conditions, corev1.PodCondition{Type: what, Status: status, LastTransitionTime: now})
}
