// What budgets allow to be evicted of the side that is live.

package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// The figures are those of Kubernetes: of the pods that it selects, ready ones
// above what must stay, of all replicas and rounded up.
func TestWhatABudgetLetsGoOfTheLiveSide(t *testing.T) {
	all := &metav1.LabelSelector{MatchLabels: own}
	lit := &metav1.LabelSelector{MatchLabels: on}
	least := func(figure string) policyv1.PodDisruptionBudgetSpec {
		of := intstr.Parse(figure)
		return policyv1.PodDisruptionBudgetSpec{Selector: all, MinAvailable: &of}
	}
	most := func(figure string) policyv1.PodDisruptionBudgetSpec {
		of := intstr.Parse(figure)
		return policyv1.PodDisruptionBudgetSpec{Selector: all, MaxUnavailable: &of}
	}
	for name, c := range map[string]struct {
		budget     policyv1.PodDisruptionBudgetSpec
		live, dark int
		unready    int // of the dark ones
		says       string
	}{
		"half of both is all of one":         {least("50%"), 10, 10, 0, "of the 10 that serve it lets 10 be evicted at once, where it would let 5 go"},
		"the same, the other way round":      {most("50%"), 10, 10, 0, "of the 10 that serve it lets 10 be evicted at once, where it would let 5 go"},
		"a small dark side":                  {least("50%"), 10, 2, 0, "lets 6 be evicted at once, where it would let 5 go"},
		"rounded up":                         {least("90%"), 3, 3, 0, ""},
		"a number that the dark side fills":  {least("9"), 10, 10, 0, "lets 10 be evicted at once, where it would let 1 go"},
		"so many at once, whoever they are":  {most("1"), 10, 10, 0, ""},
		"none at all":                        {most("0"), 10, 10, 0, ""},
		"all may go anyway":                  {least("0"), 10, 10, 0, ""},
		"the dark side is not ready":         {least("50%"), 10, 10, 10, ""},
		"there is no dark side":              {least("50%"), 10, 0, 0, ""},
		"it selects what is in traffic only": {policyv1.PodDisruptionBudgetSpec{Selector: lit, MinAvailable: least("50%").MinAvailable}, 10, 10, 0, ""},
		"it selects nothing":                 {policyv1.PodDisruptionBudgetSpec{MinAvailable: least("50%").MinAvailable}, 10, 10, 0, ""},
	} {
		t.Run(name, func(t *testing.T) {
			old := set(t, "web-v001", int32(c.live), pairs{"app": "web", "v": "1"}, pairs{"app": "web", "v": "1", "load-balancer-web": "true"})
			next := set(t, "web-v002", int32(c.dark), pairs{"app": "web", "v": "2"}, pairs{"app": "web", "v": "2", "load-balancer-web": "false"})
			var e evidence
			for n := range c.live {
				e.pods = append(e.pods, pod("web-v001", n, old.labels()))
			}
			e.slices = []discoveryv1.EndpointSlice{endpoints("web", e.pods...)}
			for n := range c.dark {
				e.pods = append(e.pods, pod("web-v002", n, next.labels(), func(p *corev1.Pod) {
					if n < c.unready {
						unready(p)
					}
				}))
			}
			e.at = noon
			e.budgets.all = []policyv1.PodDisruptionBudget{{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: c.budget}}
			r, err := enroll("web", Options{Namespace: "shop", Services: []string{"web"}}, []*workload{old, next}, nil, []corev1.Service{service("web", pairs{"load-balancer-web": "true"})})
			require.NoError(t, err)
			s := r.judge(e)
			require.Equal(t, c.live, s.ReliedOn("web-v001"))
			require.False(t, s.Contested, "a budget writes nothing")
			if c.says == "" {
				require.Empty(t, s.Warnings)
				return
			}
			require.Len(t, s.Warnings, 1)
			require.Contains(t, s.Warnings[0], c.says)
			require.Contains(t, s.Warnings[0], `PodDisruptionBudget "web" (`+figures(&e.budgets.all[0])+`)`)
		})
	}
}
