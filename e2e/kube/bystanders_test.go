// Who stands beside a rollout: autoscalers, budgets, and other deployers.

package kube_test

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/intstr"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/strategy"
)

// autoscaler makes one. There are no metrics here: its controller keeps what it
// names between least and most, and is otherwise content.
func (w *world) autoscaler(name, kind, of string, least, most int32) {
	w.t.Helper()
	_, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns).Create(w.t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kind, Name: of},
			MinReplicas:    &least, MaxReplicas: most,
		},
	}, metav1.CreateOptions{})
	require.NoError(w.t, err)
}

func (w *world) scaler(name string) *autoscalingv2.HorizontalPodAutoscaler {
	w.t.Helper()
	h, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns).Get(w.t.Context(), name, metav1.GetOptions{})
	require.NoError(w.t, err)
	return h
}

// bound changes between what it keeps what it names.
func (w *world) bound(name, body string) {
	w.t.Helper()
	_, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns).Patch(w.t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	require.NoError(w.t, err)
}

// told waits until the autoscaler's controller says so of what it names.
func (w *world) told(name, reason string) {
	w.t.Helper()
	w.eventually(name+": "+reason, func() bool {
		for _, c := range w.scaler(name).Status.Conditions {
			if c.Reason == reason {
				return true
			}
		}
		return false
	}, func() string { return string(mustJSON(w.t, w.scaler(name).Status)) })
}

func mustJSON(t *testing.T, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

// deploy deploys a release of the app web, without a bake.
func (w *world) deploy(c cluster.Cluster, release string, replicas int, s strategy.Strategy) error {
	_, err := strategy.Runner{Cluster: c, Skew: -1, Poll: 100 * time.Millisecond}.
		Run(w.t.Context(), "web", cluster.Target{Release: release, Template: template(w.t, map[string]string{"tier": "shop"}, release), Replicas: replicas}, s)
	return err
}

func (w *world) sized(c cluster.Cluster, name string, n int) {
	w.t.Helper()
	w.until(c, "web", name+" is scaled", func(s cluster.State) bool { return named(w.t, s, name).Ready == n })
}

// What this relies on: no replicas turn an autoscaler off, one whose revision is
// gone does nothing, and of two with one revision not both do.
func TestWhatAnAutoscalerDoes(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, replicas := range map[string]int32{"web-v001": 1, "web-v002": 0, "web-v003": 1} {
		v := map[string]string{"v": name}
		w.set(name, replicas, v, v)
	}
	w.autoscaler("raises", "ReplicaSet", "web-v001", 2, 4)
	w.autoscaler("off", "ReplicaSet", "web-v002", 2, 4)
	w.autoscaler("gone", "ReplicaSet", "web-v009", 2, 4)
	w.autoscaler("twice-a", "ReplicaSet", "web-v003", 1, 4)
	w.autoscaler("twice-b", "ReplicaSet", "web-v003", 1, 4)
	c := w.open(kube.Options{Autoscalers: true})
	w.sized(c, "web-v001", 2)
	w.told("off", "ScalingDisabled")
	w.told("gone", "FailedGetScale")
	w.eventually("one of two is ambiguous", func() bool {
		for _, name := range []string{"twice-a", "twice-b"} {
			for _, c := range w.scaler(name).Status.Conditions {
				if c.Reason == "AmbiguousSelector" {
					return true
				}
			}
		}
		return false
	}, w.describe)
	s := w.look(c, "web")
	require.Equal(t, 0, named(t, s, "web-v002").Replicas)
	at := map[string]map[string]int{}
	for _, route := range s.Routes {
		require.True(t, route.Scaler)
		at[route.Name] = route.Weights
	}
	require.Equal(t, map[string]map[string]int{
		"horizontalpodautoscaler/gone": {}, "horizontalpodautoscaler/off": {"web-v002": 100}, "horizontalpodautoscaler/raises": {"web-v001": 100},
		"horizontalpodautoscaler/twice-a": {"web-v003": 100}, "horizontalpodautoscaler/twice-b": {"web-v003": 100},
	}, at)
	require.True(t, s.Worker(), "none of them is traffic")
	require.Len(t, s.Warnings, 2)
	require.Contains(t, s.Warnings[0], `"gone" names ReplicaSet web-v009, which is gone`)
	require.Contains(t, s.Warnings[1], "AmbiguousSelector")
}

// There and back, with the autoscaler's own controller behind it.
func TestARealAutoscalerFollowsTheTraffic(t *testing.T) {
	t.Parallel()
	for name, way := range map[string]struct {
		options  kube.Options
		selector map[string]string
		with     strategy.Strategy
	}{
		"ReplicaSet": {kube.Options{}, map[string]string{"load-balancer-web": "true"}, strategy.RedBlack{Drain: -1}},
		"Deployment": {kube.Options{Kind: kube.Deployment, Traffic: kube.Selector}, map[string]string{kube.RevisionLabel: "web-v000"}, strategy.BlueGreen{Drain: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.service("web", way.selector)
			way.options.Autoscalers = true
			c := w.open(way.options)
			require.NoError(t, w.deploy(c, "one", 1, way.with))
			w.autoscaler("web", name, "web-v001", 3, 9)
			w.sized(c, "web-v001", 3)

			require.NoError(t, w.deploy(c, "two", 0, way.with))
			s := w.look(c, "web")
			require.Equal(t, 3, named(t, s, "web-v002").Replicas, "as many as serve now")
			require.Equal(t, "web-v002", w.scaler("web").Spec.ScaleTargetRef.Name)
			w.bound("web", `{"spec":{"minReplicas":4}}`)
			w.sized(c, "web-v002", 4)
			require.Equal(t, 3, named(t, w.look(c, "web"), "web-v001").Replicas, "the old one is nobody's to scale now")

			before := len(w.audit())
			require.NoError(t, w.deploy(c, "two", 0, strategy.Undo(way.with, "errors")))
			require.Equal(t, "web-v001", w.scaler("web").Spec.ScaleTargetRef.Name)
			require.Equal(t, 1, w.writes(before)["patch horizontalpodautoscalers"])
			s = w.look(c, "web")
			require.Equal(t, 4, named(t, s, "web-v001").Replicas, "capacity first: as many as it takes over from")
			require.Equal(t, 0, named(t, s, "web-v002").Replicas)
			w.bound("web", `{"spec":{"minReplicas":5}}`)
			w.sized(c, "web-v001", 5)
			require.Equal(t, 0, named(t, w.look(c, "web"), "web-v002").Replicas)
		})
	}
}

// A write that is compared with an older version is a conflict, and one that takes
// the field from a tool remembers whose it was.
func TestAnAutoscalerIsComparedAndItsKeeperRemembered(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for _, name := range []string{"web-v001", "web-v002"} {
		w.set(name, 1, map[string]string{"v": name}, map[string]string{"v": name})
	}
	_, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns).Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MaxReplicas: 3,
			ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: "ReplicaSet", Name: "web-v001"}},
	}, metav1.CreateOptions{FieldManager: "helm"})
	require.NoError(t, err)
	c := w.open(kube.Options{Autoscalers: true})
	stale := w.look(c, "web").Routes[0]
	w.bound("web", `{"metadata":{"annotations":{"by":"somebody"}}}`)
	stale.Weights = map[string]int{"web-v002": 100}
	require.ErrorIs(t, c.SetRoute(t.Context(), "web", stale), cluster.ErrConflict)
	require.Equal(t, "web-v001", w.scaler("web").Spec.ScaleTargetRef.Name)

	// its controller writes its status four times a minute: a conflict is tried again
	w.eventually("it is pointed at the other", func() bool {
		r := w.look(c, "web").Routes[0]
		r.Weights, r.Note = map[string]int{"web-v002": 100}, "a step"
		return c.SetRoute(t.Context(), "web", r) == nil
	}, w.describe)
	s := w.look(c, "web")
	require.Equal(t, map[string]int{"web-v002": 100}, s.Routes[0].Weights)
	require.Equal(t, "a step", s.Routes[0].Note)
	require.False(t, s.Routes[0].Since.IsZero())
	require.True(t, s.Contested)
	require.Contains(t, s.Warnings[0], "also written by helm", "who has lost the field to this write may want it back")
}

// What the warning says is what the budget does.
func TestABudgetOverTwoRevisions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", map[string]string{"load-balancer-web": "true"})
	for name, lit := range map[string]string{"web-v001": "true", "web-v002": "false"} {
		own := map[string]string{"app": "web", "v": name}
		w.set(name, 4, own, map[string]string{"app": "web", "v": name, "load-balancer-web": lit})
	}
	half := intstr.FromString("50%")
	_, err := w.client.PolicyV1().PodDisruptionBudgets(w.ns).Create(t.Context(), &policyv1.PodDisruptionBudget{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       policyv1.PodDisruptionBudgetSpec{MinAvailable: &half, Selector: &metav1.LabelSelector{MatchLabels: app}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	require.Empty(t, w.look(w.open(kube.Options{}), "web").Warnings, "nobody asked")

	c := w.open(kube.Options{Budgets: true})
	s := w.until(c, "web", "both are ready", func(s cluster.State) bool {
		return s.ReliedOn("web-v001") == 4 && named(t, s, "web-v002").Ready == 4
	})
	require.Len(t, s.Warnings, 1)
	require.Contains(t, s.Warnings[0], "of the 4 that serve it lets 4 be evicted at once, where it would let 2 go")
	w.eventually("the budget has counted", func() bool {
		b, err := w.client.PolicyV1().PodDisruptionBudgets(w.ns).Get(t.Context(), "web", metav1.GetOptions{})
		require.NoError(t, err)
		return b.Status.DisruptionsAllowed == 4
	}, w.describe)
	for _, pod := range w.podsOf("web-v001") {
		require.NoError(t, w.client.PolicyV1().Evictions(w.ns).Evict(t.Context(), &policyv1.Eviction{ObjectMeta: metav1.ObjectMeta{Name: pod.Name, Namespace: w.ns}}))
	}
}

// Each option says what it needs, and needs nothing else.
func TestRightsOfTheOptions(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	for _, name := range []string{"web-v001", "web-v002"} {
		w.set(name, 1, map[string]string{"v": name}, map[string]string{"v": name})
	}
	w.autoscaler("web", "ReplicaSet", "web-v001", 1, 4)
	w.grant("deployer", []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get", "list", "create", "patch", "delete"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "patch"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
	})
	allowed := func(o kube.Options) *kube.Cluster {
		o.Namespace = w.ns
		c, err := kube.New(plane.UserConfig(t, "deployer-"+w.ns), o)
		require.NoError(t, err)
		w.eventually("the grant is known", func() bool { _, err = c.Observe(t.Context(), "web"); return err == nil }, func() string { return err.Error() })
		return c
	}
	c := allowed(kube.Options{Budgets: true})
	s := w.look(c, "web")
	require.Len(t, s.Warnings, 1, "%v", s.Warnings)
	require.Contains(t, s.Warnings[0], "PodDisruptionBudgets could not be read")
	require.Contains(t, s.Warnings[0], "forbidden")
	_, err := c.Reserve(t.Context(), "web", "build 7", time.Hour)
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "get Lease cutover-web")
	without, err := kube.New(plane.UserConfig(t, "deployer-"+w.ns), kube.Options{Namespace: w.ns, Autoscalers: true})
	require.NoError(t, err)
	_, err = without.Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, ": list horizontalpodautoscalers.autoscaling, patch horizontalpodautoscalers.autoscaling: grant it")

	w.grant("more", []rbacv1.PolicyRule{
		{APIGroups: []string{"autoscaling"}, Resources: []string{"horizontalpodautoscalers"}, Verbs: []string{"list", "patch"}},
		{APIGroups: []string{"policy"}, Resources: []string{"poddisruptionbudgets"}, Verbs: []string{"list"}},
		{APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"get", "create", "patch", "delete"}},
	})
	c = allowed(kube.Options{Autoscalers: true, Budgets: true})
	require.Empty(t, w.look(c, "web").Warnings)
	w.eventually("it is pointed at the other", func() bool {
		r := w.look(c, "web").Routes[0]
		r.Weights = map[string]int{"web-v002": 100}
		return c.SetRoute(t.Context(), "web", r) == nil
	}, w.describe)
	for range 2 {
		r, err := c.Reserve(t.Context(), "web", "build 7", 0)
		require.NoError(t, err)
		_, err = c.Reserve(t.Context(), "web", "build 7", 0)
		require.NoError(t, err, "its own")
		require.NoError(t, r.Release(t.Context()))
	}
}

// Who waits gets the app when it is released; of many who reserve it at once one
// does.
func TestAReservationHasOneHolder(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var all sync.WaitGroup
	won := make(chan *kube.Reservation, 8)
	for n := range cap(won) {
		all.Add(1)
		go func() {
			defer all.Done()
			if r, err := w.open(kube.Options{}).Reserve(t.Context(), "web", string(rune('a'+n)), 0); err == nil {
				won <- r
			}
		}()
	}
	all.Wait()
	require.Len(t, won, 1)
	first := <-won

	type result struct {
		r   *kube.Reservation
		err error
	}
	waits := make(chan result, 1)
	go func() {
		r, err := w.open(kube.Options{}).Reserve(t.Context(), "web", "who waits", 20*time.Second)
		waits <- result{r, err}
	}()
	c := w.open(kube.Options{})
	_, err := c.Reserve(t.Context(), "web", "who waits less", time.Second)
	var held *kube.HeldError
	require.ErrorAs(t, err, &held)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = c.Reserve(gone, "web", "who is gone", time.Hour)
	require.ErrorIs(t, err, context.Canceled)

	require.NoError(t, first.Release(t.Context()))
	got := <-waits
	require.NoError(t, got.err)
	lease, err := w.client.CoordinationV1().Leases(w.ns).Get(t.Context(), "cutover-web", metav1.GetOptions{})
	require.NoError(t, err)
	require.Equal(t, "who waits", *lease.Spec.HolderIdentity)
	require.NoError(t, got.r.Release(t.Context()))
}
