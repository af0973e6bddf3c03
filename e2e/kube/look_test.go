// What a look shows of worlds that somebody else has made.

package kube_test

import (
	"fmt"
	"net/url"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

var (
	app  = map[string]string{"app": "web"}
	live = map[string]string{"app": "web", "load-balancer-web": "true"}
	dark = map[string]string{"app": "web", "load-balancer-web": "false"}
)

func named(t *testing.T, s cluster.State, name string) cluster.Revision {
	t.Helper()
	r, ok := s.Named(name)
	require.True(t, ok, "%s is not in %+v", name, s.Revisions)
	return r
}

// Two versions of seed 000: one selector for both, which is Spinnaker's way.
func TestSpinnakersVersionsAreUnderstood(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	moniker := func(seq string) func(*appsv1.ReplicaSet) {
		return func(rs *appsv1.ReplicaSet) {
			rs.Annotations = map[string]string{
				"moniker.spinnaker.io/cluster": "replicaSet web", "moniker.spinnaker.io/sequence": seq,
				"traffic.spinnaker.io/load-balancers": `["service web"]`,
			}
		}
	}
	w.service("web", map[string]string{"load-balancer-web": "true"})
	w.service("web-metrics", app)
	w.set("web-v009", 2, app, live, moniker("9"))
	w.set("web-v010", 1, app, dark, moniker("10"))
	w.set("web-admin", 1, map[string]string{"app": "admin"}, map[string]string{"app": "admin"})
	c := w.open(kube.Options{})

	s := w.serving(c, "web", "web-v009", 2)
	require.Equal(t, cluster.Can{Enable: true}, s.Can)
	require.Len(t, s.Traffic(), 1, "metrics are no traffic")
	require.Equal(t, "service/web", s.Routes[0].Name)
	require.Nil(t, s.Routes[0].Weights)
	require.Len(t, s.Revisions, 2)
	old, next := s.Revisions[0], s.Revisions[1]
	require.Equal(t, []any{"web-v009", int64(9), true, ""}, []any{old.Name, old.Seq, old.Enabled, old.Release})
	require.Equal(t, []any{"web-v010", int64(10), false, ""}, []any{next.Name, next.Seq, next.Enabled, next.Release})
	require.True(t, s.IsGood(old))
	require.Empty(t, s.Warnings)

	// one pod of the dark one is labelled: a flip that somebody left half-way
	w.eventually("a pod of web-v010", func() bool { return len(w.podsOf("web-v010")) == 1 }, w.describe)
	w.patchPod(w.podsOf("web-v010")[0].Name, `{"metadata":{"labels":{"load-balancer-web":"true"}}}`)
	s = w.serving(c, "web", "web-v010", 1)
	require.Equal(t, 1, named(t, s, "web-v010").Unsettled)
	require.False(t, named(t, s, "web-v010").Enabled)
	require.False(t, s.Dark(named(t, s, "web-v010")))
}

// podsOf returns the pods that a ReplicaSet of this name controls.
func (w *world) podsOf(set string) []corev1.Pod {
	w.t.Helper()
	all, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	var own []corev1.Pod
	for _, p := range all.Items {
		if ref := metav1.GetControllerOf(&p); ref != nil && ref.Name == set {
			own = append(own, p)
		}
	}
	return own
}

func (w *world) describe() string {
	all, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	return fmt.Sprint(all, err)
}

func (w *world) patchPod(name, body string) {
	w.t.Helper()
	_, err := w.client.CoreV1().Pods(w.ns).Patch(w.t.Context(), name, types.StrategicMergePatchType, []byte(body), metav1.PatchOptions{})
	require.NoError(w.t, err)
}

func (w *world) patchService(name, body string) {
	w.t.Helper()
	_, err := w.client.CoreV1().Services(w.ns).Patch(w.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	require.NoError(w.t, err)
}

// An emptied selector leaves endpoints as they were, for ever.
func TestDeletedPodsOfAnEmptiedSelectorDoNotServe(t *testing.T) {
	w := newWorld(t)
	w.service("web", map[string]string{"version": "1"})
	w.set("web", 2, map[string]string{"version": "1"}, map[string]string{"version": "1"})
	c := w.open(kube.Options{Traffic: kube.Selector, Services: []string{"web"}})
	w.serving(c, "web", "web", 2)

	w.patchService("web", `{"spec":{"selector":null}}`)
	_, err := c.Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, `Service "web" has no selector`)

	// the slices still call the deleted pods ready; under a name that matches
	// again before the slices are written anew, they would be believed
	require.NoError(t, plane.Freeze(controlplane.ControllerManager))
	defer func() { require.NoError(t, plane.Thaw(controlplane.ControllerManager)) }()
	w.patchService("web", `{"spec":{"selector":{"version":"1"}}}`)
	for _, p := range w.podsOf("web") {
		w.deletePod(p.Name)
	}
	w.eventually("the pods are gone", func() bool { return len(w.podsOf("web")) == 0 }, w.describe)
	require.GreaterOrEqual(t, w.readyEndpoints("web"), 2, "the slices lie; a mirror of them may, too")
	s := w.look(c, "web")
	require.Equal(t, 0, s.Exposed("web"))
	require.Equal(t, 0, s.ReliedOn("web"))
}

func (w *world) deletePod(name string) {
	w.t.Helper()
	now := int64(0)
	require.NoError(w.t, w.client.CoreV1().Pods(w.ns).Delete(w.t.Context(), name, metav1.DeleteOptions{GracePeriodSeconds: &now}))
}

// readyEndpoints counts what the slices call ready.
func (w *world) readyEndpoints(service string) int {
	w.t.Helper()
	all, err := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	require.NoError(w.t, err)
	n := 0
	for _, s := range all.Items {
		for _, e := range s.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				n++
			}
		}
	}
	return n
}

func TestPublishedAddressesThatAreNotReadyDoNotServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live, func(s *corev1.Service) { s.Spec.PublishNotReadyAddresses = true })
	w.set("web", 2, app, live, annotated(controlplane.ReadyAnnotation, controlplane.Never))
	c := w.open(kube.Options{Services: []string{"web"}})
	w.eventually("the slices lie", func() bool { return w.readyEndpoints("web") == 2 }, w.describe)
	s := w.look(c, "web")
	require.Equal(t, 0, s.Exposed("web"))
	require.Equal(t, 0, named(t, s, "web").Ready)
	require.Equal(t, 2, named(t, s, "web").Pods)
	require.Contains(t, s.Warnings[0], "publishes addresses that are not ready")
}

// Orphans of a revision get traffic and belong to none.
func TestOrphansAreStrays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", map[string]string{"load-balancer-web": "true"})
	own := map[string]string{"app": "web", "version": "1"}
	w.set("web-v001", 2, own, map[string]string{"app": "web", "version": "1", "load-balancer-web": "true"})
	w.set("web-v002", 1, map[string]string{"app": "web", "version": "2"},
		map[string]string{"app": "web", "version": "2", "load-balancer-web": "true"})
	c := w.open(kube.Options{})
	w.serving(c, "web", "web-v001", 2)
	orphan := metav1.DeletePropagationOrphan
	require.NoError(t, w.client.AppsV1().ReplicaSets(w.ns).Delete(t.Context(), "web-v001", metav1.DeleteOptions{PropagationPolicy: &orphan}))
	s := w.until(c, "web", "two strays", func(s cluster.State) bool { return len(s.Revisions) == 1 && s.Strays == 2 })
	require.Equal(t, 1, s.ReliedOn("web-v002"))
}

// A pod counts for who controls it, if it also carries that one's labels.
func TestAnAdoptedReplicaSetIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	c := w.open(kube.Options{})
	require.NoError(t, c.Put(t.Context(), "web", cluster.Revision{
		Name: "web-v001", Release: "1", Seq: 1, Template: template(t, app, "1"), Replicas: 1, Enabled: true,
	}))
	w.serving(c, "web", "web-v001", 1)
	r := w.rested(c, "web", "web-v001")
	// somebody gives the ReplicaSet itself the labels that a Deployment looks for
	_, err := w.client.AppsV1().ReplicaSets(w.ns).Patch(t.Context(), "web-v001", types.MergePatchType,
		[]byte(`{"metadata":{"labels":{"app":"web"}}}`), metav1.PatchOptions{})
	require.NoError(t, err)
	w.deployment("adopter", 0, app, app)
	var last error
	w.eventually("it is adopted", func() bool { _, last = c.Observe(t.Context(), "web"); return last != nil }, w.describe)
	require.ErrorIs(t, last, cluster.ErrRefused)
	require.ErrorContains(t, last, "is now controlled by Deployment adopter")
	require.ErrorIs(t, c.Put(t.Context(), "web", r), cluster.ErrConflict)
}

func TestAReplicaSetOfADeploymentIsLeftAlone(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.deployment("web", 2, app, live)
	c := w.open(kube.Options{Match: app})
	s := w.until(c, "web", "the Deployment's pods are strays", func(s cluster.State) bool { return s.Strays == 2 })
	require.Empty(t, s.Revisions)
	require.Contains(t, s.Warnings[0], "is controlled by Deployment web: left alone")
}

func TestManyEndpointsInTwoSlicesAreCountedOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live, func(s *corev1.Service) {
		both := corev1.IPFamilyPolicyPreferDualStack
		s.Spec.IPFamilyPolicy = &both
	})
	w.set("web", 150, app, live)
	c := w.open(kube.Options{Services: []string{"web"}})
	s := w.serving(c, "web", "web", 150)
	require.Equal(t, 150, named(t, s, "web").Ready)
	require.Equal(t, 150, named(t, s, "web").Pods)
	require.Zero(t, s.Strays)
}

func TestTerminatingPodsExistAndDoNotServe(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 2, app, live, annotated(controlplane.TerminateAnnotation, controlplane.Never))
	c := w.open(kube.Options{})
	w.serving(c, "web", "web", 2)
	r := w.rested(c, "web", "web")
	r.Replicas = 0
	require.NoError(t, c.Put(t.Context(), "web", r))
	s := w.until(c, "web", "two terminating pods", func(s cluster.State) bool {
		r := named(t, s, "web")
		return r.Ready == 0 && !r.Behind
	})
	require.Equal(t, 2, named(t, s, "web").Pods)
	require.Zero(t, named(t, s, "web").Unsettled)
	require.Zero(t, s.Exposed("web"))
	require.Zero(t, s.Strays)
}

// The controller has not yet seen what was written last.
func TestAFrozenControllerLeavesARevisionBehind(t *testing.T) {
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 2, app, live)
	c := w.open(kube.Options{})
	w.serving(c, "web", "web", 2)
	r := w.rested(c, "web", "web")

	require.NoError(t, plane.Freeze(controlplane.ControllerManager))
	thawed := false
	thaw := func() {
		if !thawed {
			require.NoError(t, plane.Thaw(controlplane.ControllerManager))
			thawed = true
		}
	}
	defer thaw()
	r.Enabled, r.Fence = false, "run-1"
	require.NoError(t, c.Put(t.Context(), "web", r))
	r = named(t, w.look(c, "web"), "web")
	require.True(t, r.Behind)
	require.False(t, r.Enabled)
	require.Zero(t, r.Unsettled, "all pods are flipped")
	require.Empty(t, r.Fence, "but one may be born without the fence")
	require.False(t, w.look(c, "web").Dark(r))

	r.Replicas = 5
	require.NoError(t, c.Put(t.Context(), "web", r))
	r = named(t, w.look(c, "web"), "web")
	require.Equal(t, []int{5, 5, 2}, []int{r.Replicas, r.Pods, r.Ready}, "three may yet appear")

	thaw()
	s := w.until(c, "web", "5 dark pods", func(s cluster.State) bool {
		r := named(t, s, "web")
		return r.Ready == 5 && !r.Behind
	})
	r = named(t, s, "web")
	require.Equal(t, "run-1", r.Fence)
	require.Zero(t, r.Unsettled)
}

// A look reads what is the app's, in four requests.
func TestALookReadsLittleOfACrowdedNamespace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.crowd(5000)
	w.service("web", live)
	w.set("web-v001", 5, app, live)
	w.set("web-v002", 5, app, dark)
	c := w.open(kube.Options{})
	w.serving(c, "web", "web-v001", 5)
	w.until(c, "web", "10 pods", func(s cluster.State) bool { return named(t, s, "web-v002").Ready == 5 })

	before := len(w.audit())
	w.look(c, "web")
	asked := w.audit()[before:]
	require.Equal(t, map[string]int{"list replicasets": 1, "list services": 1, "list pods": 1, "list endpointslices": 1}, controlplane.Count(asked))
	read := 0
	for _, e := range asked {
		read += w.objects(e)
	}
	require.LessOrEqual(t, read, 50)
}

// crowd makes pods of nobody, on no node.
func (w *world) crowd(n int) {
	w.t.Helper()
	const workers = 8
	errs := make(chan error, workers)
	for k := range workers {
		go func() {
			var err error
			for i := k; i < n && err == nil; i += workers {
				pod := &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: "foreign-" + strconv.Itoa(i), Labels: map[string]string{"app": "other"}},
					Spec: corev1.PodSpec{
						Containers:    []corev1.Container{{Name: "main", Image: "example/other:1"}},
						SchedulerName: "nobody",
					},
				}
				_, err = w.client.CoreV1().Pods(w.ns).Create(w.t.Context(), pod, metav1.CreateOptions{})
			}
			errs <- err
		}()
	}
	for range workers {
		require.NoError(w.t, <-errs)
	}
}

// objects asks the same again and counts what is in the answer.
func (w *world) objects(e controlplane.Entry) int {
	w.t.Helper()
	u, err := url.Parse(e.URI)
	require.NoError(w.t, err)
	raw, err := w.client.RESTClient().Get().RequestURI(u.String()).DoRaw(w.t.Context())
	require.NoError(w.t, err)
	return countItems(w.t, raw)
}

func TestAToolThatKeepsAFieldIsWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	rs := &appsv1.ReplicaSet{
		TypeMeta:   metav1.TypeMeta{APIVersion: "apps/v1", Kind: "ReplicaSet"},
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       appsv1.ReplicaSetSpec{Selector: &metav1.LabelSelector{MatchLabels: app}, Template: podTemplate(live)},
	}
	one := int32(1)
	rs.Spec.Replicas = &one
	_, err := w.client.AppsV1().ReplicaSets(w.ns).Create(t.Context(), rs, metav1.CreateOptions{FieldManager: "argocd-controller"})
	require.NoError(t, err)
	s := w.look(w.open(kube.Options{}), "web")
	require.Len(t, s.Warnings, 2)
	require.Contains(t, s.Warnings[0], "replicas are also written by argocd-controller")
	require.Contains(t, s.Warnings[1], "template's labels are also written by argocd-controller")
	require.True(t, s.Contested)
}

func TestAHostileSequenceIsIgnoredAndWarnedOf(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, seq := range map[string]string{"web-v001": "-1", "web-v002": "99999999999999999999", "web-v003": "0x10"} {
		w.set(name, 0, map[string]string{"v": name}, map[string]string{"v": name}, func(rs *appsv1.ReplicaSet) {
			rs.Annotations = map[string]string{kube.SequenceAnnotation: seq}
		})
	}
	s := w.look(w.open(kube.Options{}), "web")
	require.Len(t, s.Warnings, 3)
	for i, r := range s.Revisions {
		require.Equal(t, int64(i+1), r.Seq, r.Name)
	}
}
