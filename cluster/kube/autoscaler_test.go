// Whose an autoscaler is, and how it is pointed at another revision.

package kube

import (
	"testing"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
)

// hpa is an autoscaler of something.
func hpa(name, version, kind, of string, edit ...func(*autoscalingv2.HorizontalPodAutoscaler)) autoscalingv2.HorizontalPodAutoscaler {
	h := autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: "uid-" + "hpa", ResourceVersion: "9"},
		Spec:       autoscalingv2.HorizontalPodAutoscalerSpec{ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: version, Kind: kind, Name: of}},
	}
	for _, e := range edit {
		e(&h)
	}
	return h
}

// Which autoscalers are an app's: the group and the kind must be right, as for
// their own controller, and the name one of its revisions, there or gone.
func TestWhoseAnAutoscalerIs(t *testing.T) {
	old := set(t, "web-v001", 3, own, on)
	found := set(t, "classic", 3, pairs{"app": "classic"}, pairs{"app": "classic", "tier": "shop"})
	other := set(t, "web-v002", 3, pairs{"app": "api"}, pairs{"app": "api"}, func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "api"} })
	argo := func(h *autoscalingv2.HorizontalPodAutoscaler) {
		h.ManagedFields = []metav1.ManagedFieldsEntry{{Manager: "argocd-controller", FieldsV1: &metav1.FieldsV1{Raw: []byte(`{"f:spec":{"f:scaleTargetRef":{}}}`)}}}
	}
	for name, c := range map[string]struct {
		hpas      []autoscalingv2.HorizontalPodAutoscaler
		want      []string // what each of the app's names
		says      []string
		contested bool
	}{
		"a revision":                    {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "web-v001")}, want: []string{"web-v001"}},
		"one that others have made":     {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "classic")}, want: []string{"classic"}},
		"by an older version":           {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1beta2", "ReplicaSet", "web-v001")}, want: []string{"web-v001"}},
		"a group that has no such kind": {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "extensions/v1beta1", "ReplicaSet", "web-v001")}},
		"another kind of that name":     {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "Deployment", "web-v001")}},
		"another app's":                 {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "web-v002")}},
		"nobody's":                      {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "gone")}},
		"a revision that is gone": {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "web-v007")}, want: []string{""},
			says: []string{`HorizontalPodAutoscaler "a" names ReplicaSet web-v007, which is gone`}},
		"two": {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("b", "apps/v1", "ReplicaSet", "web-v001"), hpa("a", "apps/v1", "ReplicaSet", "classic")}, want: []string{"classic", "web-v001"},
			says: []string{`HorizontalPodAutoscalers "a", "b" are all about app "web"`}},
		"kept by a tool": {hpas: []autoscalingv2.HorizontalPodAutoscaler{hpa("a", "apps/v1", "ReplicaSet", "web-v001", argo)}, want: []string{"web-v001"},
			says: []string{`also written by argocd-controller`}, contested: true},
	} {
		t.Run(name, func(t *testing.T) {
			all := []*workload{old, found, other}
			r, err := enroll("web", Options{Namespace: "shop", Match: pairs{"tier": "shop"}}, all, nil, []corev1.Service{service("web", pairs{"load-balancer-web": "true"})})
			require.NoError(t, err)
			r.recruit(c.hpas, all)
			s := r.judge(evidence{at: noon})
			var names []string
			for _, route := range s.Routes {
				if route.Scaler {
					names = append(names, "")
					for of := range route.Weights {
						names[len(names)-1] = of
					}
				}
			}
			require.Equal(t, c.want, names)
			require.Len(t, s.Traffic(), 1)
			require.Len(t, s.Warnings, len(c.says))
			for i, says := range c.says {
				require.Contains(t, s.Warnings[i], says)
			}
			require.Equal(t, c.contested, s.Contested)
		})
	}
}

func TestPointingAnAutoscaler(t *testing.T) {
	all := []*workload{set(t, "web-v001", 3, pairs{"v": "1"}, pairs{"v": "1"}), set(t, "web-v002", 3, pairs{"v": "2"}, pairs{"v": "2"})}
	r, err := enroll("web", Options{Namespace: "shop"}, all, nil, nil)
	require.NoError(t, err)
	r.recruit([]autoscalingv2.HorizontalPodAutoscaler{hpa("gone", "apps/v1", "ReplicaSet", "web-v009"), hpa("web", "apps/v1beta2", "ReplicaSet", "web-v001")}, all)
	gone, web := r.scalers[0], r.scalers[1]
	for name, c := range map[string]struct {
		scaler scaler
		to     cluster.Route
		want   string
		is     error
	}{
		"at another": {web, cluster.Route{Weights: map[string]int{"web-v002": 100}},
			`{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-v002"}},"metadata":{"annotations":{"cutover.dev/since":"2026-01-02T12:00:00Z"}}}`, nil},
		"where it is": {web, cluster.Route{Weights: map[string]int{"web-v001": 100}}, `{}`, nil},
		"a touch": {web, cluster.Route{Weights: map[string]int{"web-v001": 100}, Fence: "run-1"},
			`{"metadata":{"annotations":{"cutover.dev/fence":"run-1"}}}`, nil},
		"from one that is gone": {gone, cluster.Route{Weights: map[string]int{"web-v002": 100}},
			`{"spec":{"scaleTargetRef":{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-v002"}},"metadata":{"annotations":{"cutover.dev/since":"2026-01-02T12:00:00Z"}}}`, nil},
		"one that is gone stays so": {gone, cluster.Route{Weights: map[string]int{}}, `{}`, nil},
		"at one that is gone":       {web, cluster.Route{Weights: map[string]int{"web-v009": 100}}, "", cluster.ErrRefused},
		"at none":                   {web, cluster.Route{Weights: map[string]int{}}, "", cluster.ErrRefused},
		"at two":                    {web, cluster.Route{Weights: map[string]int{"web-v001": 50, "web-v002": 50}}, "", cluster.ErrUnsupported},
		"at all":                    {web, cluster.Route{}, "", cluster.ErrUnsupported},
	} {
		t.Run(name, func(t *testing.T) {
			change, err := r.size(c.scaler, c.to, noon)
			require.ErrorIs(t, err, c.is)
			if c.is == nil {
				require.JSONEq(t, c.want, string(asJSON(change)))
			}
		})
	}
}
