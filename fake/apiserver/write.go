// Making, changing and deleting objects, by requests and by controllers alike.

package apiserver

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// create stores a new object, which is the store's from then on.
func (s *Server) create(kind *kind, o object, dry bool) (object, error) {
	named := o.GetName()
	o.SetManagedFields(nil)
	o.SetDeletionTimestamp(nil)
	o.SetDeletionGracePeriodSeconds(nil)
	o.SetSelfLink("")
	if named == "" && o.GetGenerateName() != "" {
		base := o.GetGenerateName()
		o.SetName(base[:min(len(base), 58)] + s.store.suffix())
	}
	if err := s.open(kind, o.GetNamespace(), o.GetName()); err != nil {
		return nil, err
	}
	kind.defaults(o)
	kind.born(s, o)
	o.SetUID("")
	errs := kind.checkMeta(o)
	if kind.check != nil {
		errs = append(errs, kind.check(o)...)
	}
	if len(errs) == 0 {
		errs = checkSegment(o)
	}
	if len(errs) > 0 {
		return nil, apierrors.NewInvalid(kind.gvk().GroupKind(), o.GetName(), errs)
	}
	if o.GetResourceVersion() != "" && !dry {
		return nil, fmt.Errorf("resourceVersion should not be set on objects to be created")
	}
	k := key{kind.name, o.GetNamespace(), o.GetName()}
	if there := s.store.get(k); there != nil {
		err := apierrors.NewAlreadyExists(kind.resource(), o.GetName())
		if there.GetDeletionTimestamp() != nil {
			err.ErrStatus.Message = "object is being deleted: " + err.ErrStatus.Message
		}
		return nil, err
	}
	o.SetCreationTimestamp(s.now())
	setUID(o, s.store.uid())
	if !dry {
		s.store.put(k, o)
	}
	return o, nil
}

// An edit returns what an object is to be. It is given a copy.
type edit func(now object) (object, error)

// update changes an object. What it returns was stored, or is what there was if
// nothing changed; or it was deleted, for it waited for its last finalizer.
func (s *Server) update(kind *kind, k key, subresource string, dry bool, do edit) (object, error) {
	before := s.store.get(k)
	if before == nil {
		return nil, apierrors.NewNotFound(kind.resource(), k.name)
	}
	next, err := do(before.DeepCopyObject().(object))
	if err != nil {
		return nil, err
	}
	if err := sameVersion(kind, next, before); err != nil {
		return nil, err
	}
	if err := kind.prepare(next, before, subresource); err != nil {
		return nil, err
	}
	if released(next, before) {
		if !dry {
			s.store.remove(k)
		}
		return next, nil
	}
	if bytes.Equal(encode(next), s.store.at(k, s.store.revision).raw) {
		return before, nil
	}
	if !dry {
		s.store.put(k, next)
	}
	return next, nil
}

// sameVersion compares what was sent with what there is; an empty version is any.
func sameVersion(kind *kind, next, before object) error {
	sent := next.GetResourceVersion()
	if sent == "" {
		next.SetResourceVersion(before.GetResourceVersion())
		return nil
	}
	n, err := strconv.ParseUint(sent, 10, 64)
	if err != nil {
		return err
	}
	if n == 0 {
		next.SetResourceVersion(before.GetResourceVersion())
		return nil
	}
	if strconv.FormatUint(n, 10) != before.GetResourceVersion() {
		return apierrors.NewConflict(kind.resource(), next.GetName(),
			fmt.Errorf("the object has been modified; please apply your changes to the latest version and try again"))
	}
	return nil
}

// prepare puts back what cannot be changed, and says what is wrong with the rest.
func (kind *kind) prepare(next, before object, subresource string) error {
	next.SetManagedFields(nil)
	next.SetSelfLink("")
	next.SetGeneration(before.GetGeneration())
	if subresource == "status" {
		kind.reported(next, before)
	} else {
		kind.changed(next, before)
	}
	if next.GetUID() == "" {
		next.SetUID(before.GetUID())
	}
	next.SetCreationTimestamp(before.GetCreationTimestamp())
	if before.GetDeletionTimestamp() != nil {
		next.SetDeletionTimestamp(before.GetDeletionTimestamp())
	}
	if before.GetDeletionGracePeriodSeconds() != nil && next.GetDeletionGracePeriodSeconds() == nil {
		next.SetDeletionGracePeriodSeconds(before.GetDeletionGracePeriodSeconds())
	}
	if errs := kind.checkUpdate(next, before, subresource); len(errs) > 0 {
		return apierrors.NewInvalid(kind.gvk().GroupKind(), next.GetName(), errs)
	}
	return nil
}

func (kind *kind) checkUpdate(next, before object, subresource string) field.ErrorList {
	errs := validation.ValidateObjectMetaAccessorUpdate(next, before, field.NewPath("metadata"))
	errs = append(errs, checkFinalizers(next)...)
	if subresource == "status" {
		if kind.sound != nil {
			errs = append(errs, kind.sound(next)...)
		}
		return errs
	}
	if kind.check != nil {
		errs = append(errs, kind.check(next)...)
	}
	if kind.keeps != nil {
		errs = append(errs, kind.keeps(next, before)...)
	}
	return errs
}

// released reports that an object was deleted and has now lost its last
// finalizer.
func released(next, before object) bool {
	grace := before.GetDeletionGracePeriodSeconds()
	return len(next.GetFinalizers()) == 0 && before.GetDeletionTimestamp() != nil && (grace == nil || *grace == 0)
}

// remove deletes an object, or begins to. gone reports that it is done; what is
// returned is the object as it is, or was in the end.
func (s *Server) remove(kind *kind, k key, o metav1.DeleteOptions) (was object, gone bool, err error) {
	now := s.store.get(k)
	if now == nil {
		return nil, false, apierrors.NewNotFound(kind.resource(), k.name)
	}
	if errs := metavalidation.ValidateDeleteOptions(&o); len(errs) > 0 {
		return nil, false, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	if err := precondition(kind, now, o.Preconditions); err != nil {
		return nil, false, err
	}
	next := now.DeepCopyObject().(object)
	step := s.beginDelete(kind, next, &o)
	if step == pending {
		return now, false, nil
	}
	setFinalizers(next, o)
	wait := len(next.GetFinalizers()) > 0
	if step == atOnce && wait {
		s.mark(next)
	}
	dry := len(o.DryRun) > 0
	if wait || step == gracefully && *o.GracePeriodSeconds > 0 {
		if !dry && !bytes.Equal(encode(next), encode(now)) {
			s.store.put(k, next)
		}
		return next, false, nil
	}
	if step == atOnce {
		next = now // it goes as it is
	}
	if dry && step == atOnce && len(now.GetFinalizers()) > 0 {
		nobody := kind.fresh() // what the real server says: an object without a name
		setReplicas(nobody, 0)
		return nobody, false, nil
	}
	if dry {
		return next, true, nil
	}
	if step == gracefully { // it is written once more before it goes
		s.store.put(k, next)
	}
	return s.store.remove(k), true, nil
}

// precondition compares what a delete is for with what there is.
func precondition(kind *kind, now object, p *metav1.Preconditions) error {
	if p == nil {
		return nil
	}
	conflict := func(what, want, have, since string) error {
		return apierrors.NewConflict(schema.GroupResource{Group: kind.group, Resource: kind.name}, now.GetName(),
			fmt.Errorf("the %s in the precondition (%s) does not match the %s in record (%s). The object might have been %s", what, want, what, have, since))
	}
	if p.UID != nil && *p.UID != now.GetUID() {
		return conflict("UID", string(*p.UID), string(now.GetUID()), "deleted and then recreated")
	}
	if p.ResourceVersion != nil && *p.ResourceVersion != now.GetResourceVersion() {
		return conflict("ResourceVersion", *p.ResourceVersion, now.GetResourceVersion(), "modified")
	}
	return nil
}

// A deletion is how an object goes.
type deletion int

const (
	atOnce     deletion = iota // unless it has finalizers
	gracefully                 // after its time
	pending                    // it is going already, and nothing changes
)

// beginDelete marks what goes gracefully, and fills in its time.
func (s *Server) beginDelete(kind *kind, o object, how *metav1.DeleteOptions) deletion {
	if how.GracePeriodSeconds != nil && *how.GracePeriodSeconds < 0 {
		*how.GracePeriodSeconds = 1
	}
	if !kind.graceful {
		return atOnce
	}
	if o.GetDeletionTimestamp() != nil {
		return hasten(o, how)
	}
	period := gracePeriod(o.(*corev1.Pod), how)
	how.GracePeriodSeconds = &period
	at := metav1.NewTime(s.now().Add(time.Duration(period) * time.Second))
	o.SetDeletionTimestamp(&at)
	o.SetDeletionGracePeriodSeconds(&period)
	if o.GetGeneration() > 0 {
		o.SetGeneration(o.GetGeneration() + 1)
	}
	return gracefully
}

// hasten is a second delete: it can only make the time shorter.
func hasten(o object, how *metav1.DeleteOptions) deletion {
	left := o.GetDeletionGracePeriodSeconds()
	if left == nil || *left == 0 {
		return atOnce
	}
	if how.GracePeriodSeconds == nil || *how.GracePeriodSeconds >= *left {
		return pending
	}
	sooner := time.Duration(*left-*how.GracePeriodSeconds) * time.Second
	at := metav1.NewTime(o.GetDeletionTimestamp().Add(-sooner))
	period := *how.GracePeriodSeconds
	o.SetDeletionTimestamp(&at)
	o.SetDeletionGracePeriodSeconds(&period)
	return gracefully
}

// gracePeriod is how many seconds a pod has to go.
func gracePeriod(pod *corev1.Pod, how *metav1.DeleteOptions) int64 {
	switch {
	case pod.Spec.NodeName == "", pod.Status.Phase == corev1.PodFailed, pod.Status.Phase == corev1.PodSucceeded:
		return 0
	case how.GracePeriodSeconds != nil:
		return *how.GracePeriodSeconds
	case pod.Spec.TerminationGracePeriodSeconds == nil:
		return 0
	case *pod.Spec.TerminationGracePeriodSeconds < 0:
		return 1
	}
	return *pod.Spec.TerminationGracePeriodSeconds
}

// mark says that an object goes as soon as its finalizers let it.
func (s *Server) mark(o object) {
	if o.GetDeletionTimestamp() == nil && o.GetGeneration() > 0 {
		o.SetGeneration(o.GetGeneration() + 1)
	}
	now, zero := s.now(), int64(0)
	if at := o.GetDeletionTimestamp(); at == nil || at.After(now.Time) {
		o.SetDeletionTimestamp(&now)
	}
	o.SetDeletionGracePeriodSeconds(&zero)
}

// setFinalizers leaves to the collector what is to become of what the object
// owns.
func setFinalizers(o object, how metav1.DeleteOptions) {
	had := o.GetFinalizers()
	orphan := slices.Contains(had, metav1.FinalizerOrphanDependents)
	foreground := slices.Contains(had, metav1.FinalizerDeleteDependents)
	switch {
	case how.PropagationPolicy != nil:
		orphan = *how.PropagationPolicy == metav1.DeletePropagationOrphan
		foreground = *how.PropagationPolicy == metav1.DeletePropagationForeground
	//lint:ignore SA1019 clients still send it
	case how.OrphanDependents != nil:
		//lint:ignore SA1019 clients still send it
		orphan, foreground = *how.OrphanDependents, false
	}
	var want []string
	for _, f := range had {
		if f != metav1.FinalizerOrphanDependents && f != metav1.FinalizerDeleteDependents {
			want = append(want, f)
		}
	}
	if orphan {
		want = append(want, metav1.FinalizerOrphanDependents)
	}
	if foreground {
		want = append(want, metav1.FinalizerDeleteDependents)
	}
	if a, b := slices.Sorted(slices.Values(had)), slices.Sorted(slices.Values(want)); !slices.Equal(a, b) {
		o.SetFinalizers(want)
	}
}
