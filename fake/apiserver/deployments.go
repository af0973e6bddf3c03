// The controller of Deployments: a ReplicaSet for each template, and replicas
// that move from the old ones to the new one.

package apiserver

import (
	"fmt"
	"hash/fnv"
	"slices"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// StepDeployments lets the controller look at every Deployment once. It makes
// the ReplicaSet of the template as it is now, adopts ReplicaSets that answer the
// selector, moves replicas within maxSurge and maxUnavailable (at once, with
// strategy Recreate only when no old pod is left), and writes the status. It
// keeps old ReplicaSets at 0 for ever, and knows no pause, rollback or deadline.
func (s *Server) StepDeployments() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, d := range all[*appsv1.Deployment](s, "Deployment", "") {
		if d.DeletionTimestamp == nil {
			s.stepDeployment(d)
		}
	}
}

func (s *Server) stepDeployment(d *appsv1.Deployment) {
	current, old := s.setsOf(d)
	if current == nil {
		s.make("ReplicaSet", s.setOf(d))
		current, old = s.setsOf(d)
	}
	if current == nil {
		return
	}
	s.roll(d, current, old)
	current, old = s.setsOf(d)
	s.reportDeployment(d, current, old)
}

// templateHash names a template.
func templateHash(d *appsv1.Deployment) string {
	h := fnv.New32a()
	_, _ = h.Write(encode(d.Spec.Template))
	return fmt.Sprintf("%08x", h.Sum32())
}

// setsOf returns the ReplicaSet of the present template, and the others that the
// Deployment controls. It adopts what answers its selector.
func (s *Server) setsOf(d *appsv1.Deployment) (current *appsv1.ReplicaSet, old []*appsv1.ReplicaSet) {
	selector, err := metav1.LabelSelectorAsSelector(d.Spec.Selector)
	if err != nil {
		return nil, nil
	}
	hash := templateHash(d)
	for _, rs := range all[*appsv1.ReplicaSet](s, "ReplicaSet", d.Namespace) {
		if !selector.Matches(labels.Set(rs.Labels)) || rs.DeletionTimestamp != nil {
			continue
		}
		if metav1.GetControllerOfNoCopy(rs) == nil {
			change(s, "ReplicaSet", rs, "", func(rs *appsv1.ReplicaSet) {
				rs.OwnerReferences = append(rs.OwnerReferences, ownedBy(s.kindOf("Deployment"), d))
			})
			rs = s.store.get(keyOf("ReplicaSet", rs)).(*appsv1.ReplicaSet)
		}
		switch {
		case !controls(d, rs):
		case rs.Labels[appsv1.DefaultDeploymentUniqueLabelKey] == hash:
			current = rs
		default:
			old = append(old, rs)
		}
	}
	return current, old
}

// setOf returns a new ReplicaSet of the present template, with no replicas yet.
func (s *Server) setOf(d *appsv1.Deployment) *appsv1.ReplicaSet {
	hash, none := templateHash(d), int32(0)
	template := d.Spec.Template.DeepCopy()
	template.Labels = labels.Merge(template.Labels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	selector := d.Spec.Selector.DeepCopy()
	selector.MatchLabels = labels.Merge(selector.MatchLabels, labels.Set{appsv1.DefaultDeploymentUniqueLabelKey: hash})
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{
			Name: d.Name + "-" + hash, Namespace: d.Namespace, Labels: labels.Merge(template.Labels, nil),
			OwnerReferences: []metav1.OwnerReference{ownedBy(s.kindOf("Deployment"), d)},
		},
		Spec: appsv1.ReplicaSetSpec{Replicas: &none, MinReadySeconds: d.Spec.MinReadySeconds, Selector: selector, Template: *template},
	}
}

// roll gives the new set what it may have or, if it has that, takes from the old
// ones what may be missed.
func (s *Server) roll(d *appsv1.Deployment, current *appsv1.ReplicaSet, old []*appsv1.ReplicaSet) {
	wanted, now := *d.Spec.Replicas, *current.Spec.Replicas
	surge, missing := allowance(d)
	total, available, oldPods := now, current.Status.AvailableReplicas, int32(0)
	for _, rs := range old {
		total += *rs.Spec.Replicas
		available += rs.Status.AvailableReplicas
		oldPods += max(*rs.Spec.Replicas, rs.Status.Replicas)
	}
	next, least := now, wanted-missing
	switch {
	case now > wanted, oldPods == 0:
		next = wanted
	case d.Spec.Strategy.Type == appsv1.RecreateDeploymentStrategyType:
		least = 0
	case total < wanted+surge:
		next = min(wanted, now+wanted+surge-total)
	}
	if next != now {
		s.resize(current, next)
		return
	}
	s.shrink(old, available-least, total-least-(now-current.Status.AvailableReplicas))
}

// shrink takes pods from the old sets: of those that are not available as many as
// it may take at all, of the others as many as can be spared.
func (s *Server) shrink(old []*appsv1.ReplicaSet, spare, most int32) {
	for _, rs := range old {
		replicas := *rs.Spec.Replicas
		broken := max(0, replicas-rs.Status.AvailableReplicas)
		n := min(replicas, most, broken+max(0, spare))
		if n <= 0 {
			continue
		}
		s.resize(rs, replicas-n)
		most -= n
		spare -= max(0, n-broken)
	}
}

func (s *Server) resize(rs *appsv1.ReplicaSet, n int32) {
	if *rs.Spec.Replicas != n {
		change(s, "ReplicaSet", rs, "", func(rs *appsv1.ReplicaSet) { rs.Spec.Replicas = &n })
	}
}

// allowance is how many pods there may be too many, and too few.
func allowance(d *appsv1.Deployment) (surge, missing int32) {
	if d.Spec.Strategy.RollingUpdate == nil {
		return 0, *d.Spec.Replicas
	}
	replicas := int(*d.Spec.Replicas)
	up, _ := intstr.GetScaledValueFromIntOrPercent(d.Spec.Strategy.RollingUpdate.MaxSurge, replicas, true)
	down, _ := intstr.GetScaledValueFromIntOrPercent(d.Spec.Strategy.RollingUpdate.MaxUnavailable, replicas, false)
	if up == 0 && down == 0 {
		down = 1
	}
	return int32(up), int32(down)
}

// reportDeployment writes the status.
func (s *Server) reportDeployment(d *appsv1.Deployment, current *appsv1.ReplicaSet, old []*appsv1.ReplicaSet) {
	status := appsv1.DeploymentStatus{ObservedGeneration: d.Generation, Conditions: d.Status.Conditions}
	for _, rs := range append(slices.Clone(old), current) {
		status.Replicas += rs.Status.Replicas
		status.ReadyReplicas += rs.Status.ReadyReplicas
		status.AvailableReplicas += rs.Status.AvailableReplicas
	}
	status.UpdatedReplicas = current.Status.Replicas
	status.UnavailableReplicas = max(0, *d.Spec.Replicas-status.AvailableReplicas)
	if !same(d.Status, status) {
		change(s, "Deployment", d, "status", func(d *appsv1.Deployment) { d.Status = status })
	}
}
