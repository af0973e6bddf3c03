// The controller of ReplicaSets: as many pods as are wanted, and a status.

package apiserver

import (
	"cmp"
	"slices"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
)

// StepReplicaSets lets the controller look at every ReplicaSet once: it adopts
// pods that answer a selector and have no controller, lets go of its own that do
// not, makes the pods that are missing from the template as it is now, deletes
// those that are too many, and writes the status.
func (s *Server) StepReplicaSets() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, rs := range all[*appsv1.ReplicaSet](s, "ReplicaSet", "") {
		s.stepReplicaSet(rs)
	}
}

func (s *Server) stepReplicaSet(rs *appsv1.ReplicaSet) {
	selector, err := metav1.LabelSelectorAsSelector(rs.Spec.Selector)
	if err != nil {
		return
	}
	pods := s.claim(rs, selector)
	if rs.DeletionTimestamp == nil {
		s.follow(rs, pods)
	}
	s.report(rs, pods)
}

// claim adopts and lets go, and returns the living pods that are the set's.
func (s *Server) claim(rs *appsv1.ReplicaSet, selector labels.Selector) []*corev1.Pod {
	var mine []*corev1.Pod
	for _, pod := range all[*corev1.Pod](s, "Pod", rs.Namespace) {
		answers, owned := selector.Matches(labels.Set(pod.Labels)), controls(rs, pod)
		switch {
		case !living(pod):
		case owned && answers:
			mine = append(mine, pod)
		case owned && rs.DeletionTimestamp == nil:
			change(s, "Pod", pod, "", func(pod *corev1.Pod) { disown(pod, rs.UID) })
		case answers && metav1.GetControllerOfNoCopy(pod) == nil && rs.DeletionTimestamp == nil:
			change(s, "Pod", pod, "", func(pod *corev1.Pod) {
				pod.OwnerReferences = append(pod.OwnerReferences, ownedBy(s.kindOf("ReplicaSet"), rs))
			})
			mine = append(mine, pod)
		}
	}
	return mine
}

// follow makes and deletes pods.
func (s *Server) follow(rs *appsv1.ReplicaSet, pods []*corev1.Pod) {
	wanted := int(*rs.Spec.Replicas)
	for range wanted - len(pods) {
		s.make("Pod", s.podOf(rs))
	}
	if len(pods) > wanted {
		slices.SortStableFunc(pods, cheaper)
		for _, pod := range pods[:len(pods)-wanted] {
			s.drop("Pod", pod, metav1.DeletePropagationBackground)
		}
	}
}

// podOf returns a pod as the set's template has it.
func (s *Server) podOf(rs *appsv1.ReplicaSet) *corev1.Pod {
	template := rs.Spec.Template.DeepCopy()
	return &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: rs.Name + "-", Namespace: rs.Namespace,
			Labels: template.Labels, Annotations: template.Annotations, Finalizers: template.Finalizers,
			OwnerReferences: []metav1.OwnerReference{ownedBy(s.kindOf("ReplicaSet"), rs)},
		},
		Spec: template.Spec,
	}
}

// cheaper orders pods by how little is lost with them: without a node before
// those with one, not ready before ready, young before old.
func cheaper(a, b *corev1.Pod) int {
	since, readyA := readySince(a)
	other, readyB := readySince(b)
	return cmp.Or(
		falseFirst(a.Spec.NodeName != "", b.Spec.NodeName != ""),
		falseFirst(a.Status.Phase == corev1.PodRunning, b.Status.Phase == corev1.PodRunning),
		falseFirst(readyA, readyB),
		other.Compare(since.Time),
		b.CreationTimestamp.Compare(a.CreationTimestamp.Time),
	)
}

func falseFirst(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	}
	return 1
}

// report writes the status, of the pods as they were found.
func (s *Server) report(rs *appsv1.ReplicaSet, pods []*corev1.Pod) {
	status := appsv1.ReplicaSetStatus{
		Replicas: int32(len(pods)), ObservedGeneration: rs.Generation, Conditions: rs.Status.Conditions,
	}
	full := labels.SelectorFromSet(rs.Spec.Template.Labels)
	for _, pod := range pods {
		if full.Matches(labels.Set(pod.Labels)) {
			status.FullyLabeledReplicas++
		}
		if since, ok := readySince(pod); ok {
			status.ReadyReplicas++
			if !since.Add(time.Duration(rs.Spec.MinReadySeconds) * time.Second).After(s.clock()) {
				status.AvailableReplicas++
			}
		}
	}
	if !same(rs.Status, status) {
		change(s, "ReplicaSet", rs, "status", func(rs *appsv1.ReplicaSet) { rs.Status = status })
	}
}
