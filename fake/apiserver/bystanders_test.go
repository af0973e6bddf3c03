// Autoscalers, budgets and reservations, over the real client and the simulated
// server.

package apiserver_test

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake/apiserver"
	"github.com/cutover-dev/cutover/strategy"
)

const (
	hpas    = "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers"
	budgets = "/apis/policy/v1/namespaces/default/poddisruptionbudgets"
	leases  = "/apis/coordination.k8s.io/v1/namespaces/default/leases"
)

// client is one of its own, as another process would.
func (w *world) client(t *testing.T, o kube.Options) *kube.Cluster {
	t.Helper()
	o.Namespace = "default"
	c, err := kube.New(&rest.Config{Host: "http://simulated", Transport: w}, o)
	require.NoError(t, err)
	return c
}

// clocked is a Clock of the simulated world.
type clocked struct{ *world }

func (c clocked) Now() time.Time                                   { return c.clock() }
func (c clocked) Sleep(ctx context.Context, d time.Duration) error { return c.sleep(ctx, d) }

// deploy deploys a release of web, with as many replicas as it says.
func (w *world) deploy(t *testing.T, c *kube.Cluster, release string, replicas int, s strategy.Strategy) error {
	_, err := strategy.Runner{Cluster: c, Clock: clocked{w}, ID: release, Skew: -1}.
		Run(t.Context(), "web", cluster.Target{Release: release, Template: template(t, release), Replicas: replicas}, s)
	return err
}

// target is what the autoscaler names now.
func (w *world) target(t *testing.T, name string) string {
	t.Helper()
	code, object := w.send(t, http.MethodGet, hpas+"/"+name, "", "")
	require.Equal(t, http.StatusOK, code)
	ref := object["spec"].(map[string]any)["scaleTargetRef"].(map[string]any)
	return fmt.Sprint(ref["apiVersion"], " ", ref["kind"], " ", ref["name"])
}

func TestAnAutoscalerIsPointedThereAndBack(t *testing.T) {
	for name, way := range map[string]struct {
		options kube.Options
		service [2]string
		with    strategy.Strategy
	}{
		"labels":      {kube.Options{}, [2]string{"load-balancer-web", "true"}, strategy.RedBlack{Drain: -1}},
		"deployments": {kube.Options{Kind: kube.Deployment, Traffic: kube.Selector}, [2]string{kube.RevisionLabel, "web-v000"}, strategy.BlueGreen{Drain: -1}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			w.service(t, "web", way.service[0], way.service[1])
			kind := way.options.Kind.String()
			w.post(t, hpas, fmt.Sprintf(`{"metadata":{"name":"web"},"spec":{"maxReplicas":9,"scaleTargetRef":{"apiVersion":"apps/v1","kind":%q,"name":"web-v001"}}}`, kind))
			way.options.Autoscalers = true
			c := w.client(t, way.options)
			require.NoError(t, w.deploy(t, c, "one", 2, way.with))
			require.Equal(t, "apps/v1 "+kind+" web-v001", w.target(t, "web"))
			require.NoError(t, w.deploy(t, c, "two", 0, way.with))
			require.Equal(t, "apps/v1 "+kind+" web-v002", w.target(t, "web"))
			require.NoError(t, w.deploy(t, w.client(t, way.options), "two", 0, strategy.Undo(way.with, "errors")))
			require.Equal(t, "apps/v1 "+kind+" web-v001", w.target(t, "web"))
		})
	}
}

// A drain counts from when Moved says, and an autoscaler that comes is no move.
func TestAnAutoscalerMovesNothing(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "load-balancer-web", "true")
	c := w.client(t, kube.Options{Autoscalers: true})
	require.NoError(t, w.deploy(t, c, "one", 2, strategy.RedBlack{Drain: -1}))
	look := func() cluster.State {
		w.pass(time.Minute)
		s, err := c.Observe(t.Context(), "web")
		require.NoError(t, err)
		return s
	}
	before := look()
	w.post(t, hpas, `{"metadata":{"name":"web"},"spec":{"maxReplicas":9,"scaleTargetRef":{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"web-v001"}}}`)
	after := look()
	require.Len(t, after.Routes, len(before.Routes)+1)
	require.Equal(t, before.Revisions[0].Moved, after.Revisions[0].Moved)
}

// Nothing is asked for that the options do not name, and what they name is asked
// for before the first look.
func TestAutoscalersNeedLeave(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "load-balancer-web", "true")
	asked := false
	w.Allow(func(r apiserver.Review) bool {
		asked = asked || r.Resource == "horizontalpodautoscalers"
		return r.Resource != "horizontalpodautoscalers" || r.Verb != "patch"
	})
	_, err := w.client(t, kube.Options{}).Observe(t.Context(), "web")
	require.NoError(t, err)
	require.False(t, asked)
	_, err = w.client(t, kube.Options{Autoscalers: true}).Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "patch horizontalpodautoscalers.autoscaling")
}

// Budgets are read at the first look and once a minute after, and nothing depends
// on it.
func TestBudgetsAreReadRarely(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "load-balancer-web", "true")
	w.post(t, budgets, `{"metadata":{"name":"web"},"spec":{"minAvailable":"50%","selector":{"matchLabels":{"tier":"shop"}}}}`)
	reads, allowed := 0, true
	w.Allow(func(r apiserver.Review) bool {
		if r.Resource != "poddisruptionbudgets" {
			return true
		}
		reads++
		return allowed
	})
	silent := w.client(t, kube.Options{})
	require.NoError(t, w.deploy(t, silent, "one", 10, strategy.RedBlack{Drain: -1}))
	require.NoError(t, w.deploy(t, silent, "two", 10, strategy.RedBlack{Drain: -1}))
	require.Zero(t, reads)

	c := w.client(t, kube.Options{Budgets: true})
	look := func() []string {
		s, err := c.Observe(t.Context(), "web")
		require.NoError(t, err)
		return s.Warnings
	}
	for range 59 {
		warnings := look()
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], `PodDisruptionBudget "web" (minAvailable 50%) selects pods of web-v002 (10 ready), in traffic, and of web-v001 (10 ready), not in traffic: of the 10 that serve it lets 10 be evicted`)
		w.pass(time.Second)
	}
	require.Equal(t, 1, reads)
	allowed = false
	w.pass(time.Second)
	for range 10 {
		warnings := look()
		require.Len(t, warnings, 1)
		require.Contains(t, warnings[0], "PodDisruptionBudgets could not be read")
		w.pass(time.Second)
	}
	require.Equal(t, 2, reads)
}

// A reservation is held while its holder looks, refused to others, and free a
// minute after the last look, at once if it is released.
func TestAReservation(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "load-balancer-web", "true")
	one, two := w.client(t, kube.Options{}), w.client(t, kube.Options{})
	looks := func(c *kube.Cluster, n int) {
		for range n {
			_, err := c.Observe(t.Context(), "web")
			require.NoError(t, err)
			w.pass(10 * time.Second)
		}
	}
	since := w.clock()
	first, err := one.Reserve(t.Context(), "web", "build 7", 0)
	require.NoError(t, err)
	looks(one, 30) // five minutes

	refused := func(c *kube.Cluster, by, holder string, since time.Time) {
		t.Helper()
		_, err := c.Reserve(t.Context(), "web", by, 0)
		var held *kube.HeldError
		require.ErrorAs(t, err, &held)
		require.Equal(t, holder, held.By)
		require.Equal(t, since, held.Since.UTC())
		require.ErrorContains(t, err, `app "web" is reserved by `+holder+` since `+since.Format(time.RFC3339))
	}
	refused(two, "build 8", "build 7", since)
	_, err = two.Reserve(t.Context(), "api", "build 8", 0)
	require.NoError(t, err, "another app")
	again, err := w.client(t, kube.Options{}).Reserve(t.Context(), "web", "build 7", 0)
	require.NoError(t, err, "its process was restarted")
	refused(two, "build 8", "build 7", since)

	w.pass(2 * time.Minute) // it looks no more
	since = w.clock()
	second, err := two.Reserve(t.Context(), "web", "build 8", 0)
	require.NoError(t, err)
	looks(one, 3) // whose it was before: it is not taken back
	refused(one, "build 7", "build 8", since)
	require.NoError(t, again.Release(t.Context()), "it was lost: there is nothing to free")
	refused(one, "build 7", "build 8", since)

	require.NoError(t, second.Release(t.Context()))
	require.NoError(t, second.Release(t.Context()))
	code, _ := w.send(t, http.MethodGet, leases+"/cutover-web", "", "")
	require.Equal(t, http.StatusNotFound, code)
	looks(one, 5) // nor does who has lost it, or given it back, take it again
	looks(two, 5)
	code, _ = w.send(t, http.MethodGet, leases+"/cutover-web", "", "")
	require.Equal(t, http.StatusNotFound, code)
	require.NoError(t, first.Release(t.Context()))
	_, err = one.Reserve(t.Context(), "web", "build 9", 0)
	require.NoError(t, err)
}

// What cannot be reserved is refused, and a look does not depend on it.
func TestAReservationIsNoCondition(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "load-balancer-web", "true")
	c := w.client(t, kube.Options{})
	for app, by := range map[string]string{"web": "", "No App": "build 7", strings.Repeat("a", 64): "build 7"} {
		_, err := c.Reserve(t.Context(), app, by, 0)
		require.ErrorIs(t, err, cluster.ErrRefused)
	}
	longest := strings.Repeat("a.b", 21)
	r, err := c.Reserve(t.Context(), longest, "build 7", 0)
	require.NoError(t, err, "every app can be reserved")
	require.NoError(t, r.Release(t.Context()))

	_, err = c.Reserve(t.Context(), "web", "build 7", 0)
	require.NoError(t, err)
	tries := 0
	w.Allow(func(r apiserver.Review) bool {
		if r.Resource == "leases" {
			tries++
		}
		return r.Resource != "leases"
	})
	for range 60 {
		_, err := c.Observe(t.Context(), "web")
		require.NoError(t, err)
		w.pass(time.Second)
	}
	require.Equal(t, 2, tries, "three times a minute, and not at every look")
	_, err = w.client(t, kube.Options{}).Reserve(t.Context(), "web", "build 8", time.Hour)
	require.ErrorIs(t, err, cluster.ErrRefused, "who may not is not kept waiting")
}
