// The kinds that stand beside workloads: who scales them, who may evict their
// pods, and who has reserved them. They are stored like all others; nobody acts on
// them, and their fields are neither filled in nor checked.

package apiserver

import (
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/validation"
)

func autoscalerKind() *kind {
	return &kind{
		group: "autoscaling", version: "v2", plural: "horizontalpodautoscalers", name: "HorizontalPodAutoscaler",
		fresh:    func() object { return &autoscalingv2.HorizontalPodAutoscaler{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: func(object) {},
		born: func(_ *Server, o object) {
			o.(*autoscalingv2.HorizontalPodAutoscaler).Status = autoscalingv2.HorizontalPodAutoscalerStatus{}
		},
		changed: onBoth(func(next, before *autoscalingv2.HorizontalPodAutoscaler) { next.Status = before.Status }),
	}
}

func budgetKind() *kind {
	return &kind{
		group: "policy", version: "v1", plural: "poddisruptionbudgets", name: "PodDisruptionBudget",
		fresh:    func() object { return &policyv1.PodDisruptionBudget{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: func(object) {},
		born: func(_ *Server, o object) {
			o.(*policyv1.PodDisruptionBudget).Status = policyv1.PodDisruptionBudgetStatus{}
			o.SetGeneration(1)
		},
		changed: onBoth(func(next, before *policyv1.PodDisruptionBudget) { next.Status = before.Status }),
	}
}

func leaseKind() *kind {
	return &kind{
		group: "coordination.k8s.io", version: "v1", plural: "leases", name: "Lease",
		fresh:    func() object { return &coordinationv1.Lease{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: func(object) {},
		born:     func(*Server, object) {},
		changed:  func(next, before object) {},
	}
}
