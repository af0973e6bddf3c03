// What is written: how often, and that nothing can land late.

package kube_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// wrote does something and returns what the library asked to write.
func (w *world) wrote(do func() error) map[string]int {
	w.t.Helper()
	before := len(w.audit())
	require.NoError(w.t, do())
	return w.writes(before)
}

func TestAnUpgradeByLabelsWritesNoMoreThanItMust(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 3, app, live)
	c := w.open(kube.Options{})
	w.serving(c, "web", "web", 3)
	put := func(name string, edit func(*cluster.Revision)) map[string]int {
		r := w.rested(c, "web", name)
		edit(&r)
		return w.wrote(func() error { return c.Put(t.Context(), "web", r) })
	}

	created := w.wrote(func() error {
		return c.Put(t.Context(), "web", cluster.Revision{
			Name: "web-v001", Release: "build-7", Seq: 1, Template: template(t, app, "2"), Replicas: 3, Fence: "run-1",
		})
	})
	require.Equal(t, map[string]int{"create replicasets": 1}, created)
	require.Equal(t, map[string]int{"patch replicasets": 1, "patch pods": 3},
		put("web-v001", func(r *cluster.Revision) { r.Enabled, r.Fence = true, "run-1" }), "on")
	w.serving(c, "web", "web-v001", 3)
	require.Equal(t, map[string]int{"patch replicasets": 1, "patch pods": 3},
		put("web", func(r *cluster.Revision) { r.Enabled, r.Fence = false, "run-1" }), "off")
	s := w.serving(c, "web", "web", 0)
	require.Equal(t, "run-1", named(t, s, "web").Fence)
	require.False(t, named(t, s, "web").Since.IsZero())
	good := cluster.Outcome{Result: cluster.Good, Why: "baked"}
	require.Equal(t, map[string]int{"patch replicasets": 1},
		put("web-v001", func(r *cluster.Revision) { r.Outcome = good }), "outcome")
	require.Equal(t, map[string]int{"patch replicasets": 1},
		put("web", func(r *cluster.Revision) { r.Replicas = 1 }), "replicas")
	require.Empty(t, put("web-v001", func(*cluster.Revision) {}), "nothing differs")

	s = w.look(c, "web")
	require.Equal(t, 3, s.ReliedOn("web-v001"))
	require.Equal(t, good, named(t, s, "web-v001").Outcome)
	require.Zero(t, s.Strays)

	stored := w.get("web-v001")
	require.Equal(t, map[string]string{kube.AppLabel: "web", kube.RevisionLabel: "web-v001"}, stored.Labels, "nothing to be adopted by")
	require.Equal(t, "shop", stored.Annotations["team"])
	require.Equal(t, map[string]string{"app": "web", kube.RevisionLabel: "web-v001"}, stored.Spec.Selector.MatchLabels)
}

func (w *world) get(name string) *appsv1.ReplicaSet {
	w.t.Helper()
	rs, err := w.client.AppsV1().ReplicaSets(w.ns).Get(w.t.Context(), name, metav1.GetOptions{})
	require.NoError(w.t, err)
	return rs
}

// A switch-off by value or by absence, as the label's own value asks.
func TestBothStylesOfDisablingAreWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", map[string]string{"lb": "web", "load-balancer-web": "true"})
	w.set("web", 1, app, map[string]string{"app": "web", "lb": "web", "load-balancer-web": "true"})
	c := w.open(kube.Options{Services: []string{"web"}})
	w.serving(c, "web", "web", 1)
	r := w.rested(c, "web", "web")
	r.Enabled = false
	require.NoError(t, c.Put(t.Context(), "web", r))
	w.serving(c, "web", "web", 0)
	require.Equal(t, map[string]string{"app": "web", "lb": "web", "load-balancer-web": "false"}, w.podsOf("web")[0].Labels,
		"what all pods had beside the switch says whose they are")

	w.service("api", map[string]string{"lb": "api"})
	w.set("api", 1, map[string]string{"app": "api"}, map[string]string{"app": "api", "lb": "api"})
	c = w.open(kube.Options{Services: []string{"api"}})
	w.serving(c, "api", "api", 1)
	r = w.rested(c, "api", "api")
	r.Enabled = false
	require.NoError(t, c.Put(t.Context(), "api", r))
	w.serving(c, "api", "api", 0)
	require.Equal(t, map[string]string{"app": "api"}, w.podsOf("api")[0].Labels)
	require.False(t, named(t, w.look(c, "api"), "api").Enabled)
}

// Put leaves what is more than a batch for the next one.
func TestABatchIsNotExceeded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 5, app, live)
	c := w.open(kube.Options{Batch: 2})
	w.serving(c, "web", "web", 5)
	for _, left := range []int{3, 1, 0} {
		r := w.rested(c, "web", "web")
		r.Enabled = false
		wrote := w.wrote(func() error { return c.Put(t.Context(), "web", r) })
		require.LessOrEqual(t, wrote["patch pods"], 2)
		require.Equal(t, left, named(t, w.look(c, "web"), "web").Unsettled)
	}
}

// The patch that a run sent before it died must not land when a newer run has
// touched the pod: neither the one that flips it, nor one that only fences it.
func TestALatePodPatchCannotLand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 1, app, dark)
	caught := make(chan caughtPatch, 10)
	late := w.intercepted(caught)
	first := w.rested(late, "web", "web")
	first.Enabled, first.Fence = true, "run-1"
	require.Error(t, late.Put(t.Context(), "web", first), "its pod patch is on its way, its template is written")
	patch := <-caught

	// a newer run turns the template back and touches the pod, which is as wanted
	c := w.open(kube.Options{})
	r := w.rested(c, "web", "web")
	require.True(t, r.Enabled)
	require.Equal(t, 1, r.Unsettled)
	r.Enabled, r.Fence = false, "run-2"
	require.NoError(t, c.Put(t.Context(), "web", r))
	r = named(t, w.until(c, "web", "the touch", func(s cluster.State) bool { return named(t, s, "web").Fence == "run-2" }), "web")
	require.Zero(t, r.Unsettled)

	_, err := w.client.CoreV1().Pods(w.ns).Patch(t.Context(), patch.pod, types.JSONPatchType, patch.body, metav1.PatchOptions{})
	require.True(t, apierrors.IsInvalid(err), "the late patch landed: %v", err)
	require.Equal(t, "false", w.podsOf("web")[0].Labels["load-balancer-web"])
}

// caughtPatch is a write that has left its sender.
type caughtPatch struct {
	pod  string
	body []byte
}

// intercepted opens a Cluster whose pod patches never arrive.
func (w *world) intercepted(caught chan<- caughtPatch) *kube.Cluster {
	cfg := w.config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if pod, ok := podPatched(r); ok {
				caught <- caughtPatch{pod, read(r)}
				return nil, errLost
			}
			return next.RoundTrip(r)
		})
	})
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
	require.NoError(w.t, err)
	return c
}

// A pod that goes between the list and the patch is as wanted; any other failure
// is told after all pods were tried.
func TestOnePodDoesNotKeepTheOthers(t *testing.T) {
	t.Parallel()
	for _, fate := range []string{"gone", "relabelled"} {
		t.Run(fate, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.service("web", live)
			w.set("web", 3, app, live, annotated(controlplane.TerminateAnnotation, controlplane.Slow))
			meddled := false
			cfg := w.config()
			cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
				return roundTripper(func(r *http.Request) (*http.Response, error) {
					if pod, ok := podPatched(r); ok && !meddled {
						meddled = true
						if fate == "gone" {
							w.deletePod(pod)
						} else {
							w.patchPod(pod, `{"metadata":{"labels":{"load-balancer-web":"maybe"}}}`)
						}
					}
					return next.RoundTrip(r)
				})
			})
			c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
			require.NoError(t, err)
			w.serving(c, "web", "web", 3)
			r := w.rested(c, "web", "web")
			r.Enabled = false
			err = c.Put(t.Context(), "web", r)
			if fate == "gone" {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "1 of 3 failed")
				require.NotErrorIs(t, err, cluster.ErrConflict)
				require.NotErrorIs(t, err, cluster.ErrRefused)
			}
			w.serving(c, "web", "web", 0)
		})
	}
}

// The endpoints of one revision are taken over by the other's in one write.
func TestASwitchBySelectorIsOneWrite(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("busybox", map[string]string{"deployment": "busybox", "version": "1.10"})
	w.set("busybox-1.10", 2, map[string]string{"deployment": "busybox", "version": "1.10"}, map[string]string{"deployment": "busybox", "version": "1.10"})
	c := w.open(kube.Options{Traffic: kube.Selector, Match: map[string]string{"deployment": "busybox"}})
	s := w.serving(c, "busybox", "busybox-1.10", 2)
	require.Equal(t, cluster.Can{Select: true}, s.Can)
	require.Contains(t, s.Routes[0].Weights, "busybox-1.10")
	require.True(t, named(t, s, "busybox-1.10").Enabled)

	r := cluster.Revision{Name: "busybox-v001", Release: "1.11", Seq: 1, Replicas: 2,
		Template: template(t, map[string]string{"deployment": "busybox", "version": "1.10"}, "1.11")}
	err := c.Put(t.Context(), "busybox", r)
	require.ErrorIs(t, err, cluster.ErrRefused, "it would get traffic at once")
	require.ErrorContains(t, err, `Service "busybox" selects every version`)
	r.Template = template(t, map[string]string{"deployment": "busybox", "version": "1.11"}, "1.11")
	require.NoError(t, c.Put(t.Context(), "busybox", r))
	s = w.until(c, "busybox", "ready and dark", func(s cluster.State) bool { return named(t, s, "busybox-v001").Ready == 2 })
	require.Zero(t, s.Exposed("busybox-v001"))

	point := func(name string, want map[string]string) {
		route := w.look(c, "busybox").Routes[0]
		route.Weights, route.Fence, route.From = map[string]int{name: 100}, "run-1", "busybox-1.10"
		require.Equal(t, map[string]int{"patch services": 1}, w.wrote(func() error { return c.SetRoute(t.Context(), "busybox", route) }))
		svc, err := w.client.CoreV1().Services(w.ns).Get(t.Context(), "busybox", metav1.GetOptions{})
		require.NoError(t, err)
		require.Equal(t, want, svc.Spec.Selector)
		w.serving(c, "busybox", name, 2)
	}
	point("busybox-v001", map[string]string{"deployment": "busybox", "version": "1.11", kube.RevisionLabel: "busybox-v001"})
	point("busybox-1.10", map[string]string{"deployment": "busybox", "version": "1.10"})
	route := w.look(c, "busybox").Routes[0]
	require.Empty(t, w.wrote(func() error { return c.SetRoute(t.Context(), "busybox", route) }), "nothing differs")
	route.Weights = map[string]int{}
	require.ErrorIs(t, c.SetRoute(t.Context(), "busybox", route), cluster.ErrRefused)
}

// For a moment both, and then one; never a third version that is kept.
func TestASwitchOverBoth(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	v := func(version string) map[string]string {
		return map[string]string{"deployment": "shop", "version": version}
	}
	w.service("shop", v("2"))
	w.set("shop-2", 1, v("2"), v("2"))
	w.set("shop-3", 2, v("3"), v("3"))
	w.set("shop-1", 1, v("1"), v("1"))
	c := w.open(kube.Options{Traffic: kube.Selector, Match: map[string]string{"deployment": "shop"}})
	w.serving(c, "shop", "shop-2", 1)
	set := func(names ...string) error {
		route := w.look(c, "shop").Routes[0]
		route.Weights = map[string]int{}
		for _, name := range names {
			route.Weights[name] = 100
		}
		return c.SetRoute(t.Context(), "shop", route)
	}
	w.eventually("the third version's pod", func() bool { return len(w.podsOf("shop-1")) == 1 }, w.describe)
	err := set("shop-2", "shop-3")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "would also select 1 other pods, such as shop-1-")
	require.ErrorIs(t, set("shop-1", "shop-2", "shop-3"), cluster.ErrUnsupported)

	third := w.rested(c, "shop", "shop-1")
	third.Replicas = 0
	require.NoError(t, c.Put(t.Context(), "shop", third))
	w.eventually("it is gone", func() bool { return len(w.podsOf("shop-1")) == 0 }, w.describe)
	require.Equal(t, map[string]int{"patch services": 1}, w.wrote(func() error { return set("shop-2", "shop-3") }))
	w.serving(c, "shop", "shop-2", 1)
	w.serving(c, "shop", "shop-3", 2)
	require.NoError(t, set("shop-3"))
	s := w.serving(c, "shop", "shop-2", 0)
	require.Equal(t, 2, s.ReliedOn("shop-3"))
	require.Equal(t, map[string]int{"shop-3": 100}, s.Routes[0].Weights)
}

// A Service that keeps its pods' address families apart shows a pod in two
// slices.
func TestAPodInTwoAddressFamiliesIsOneEndpoint(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	w.set("web", 1, app, live)
	c := w.open(kube.Options{})
	w.serving(c, "web", "web", 1)
	w.mirrorSlice("web")
	require.Equal(t, 1, w.look(c, "web").Exposed("web"))
}
