// Hand-made worlds: objects as people, Spinnaker and other tools leave them.

package kube_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// patience is how long controllers may take for one thing.
const patience = 30 * time.Second

// A world is one namespace, and a hand in it that is not the library's.
type world struct {
	t      *testing.T
	client *kubernetes.Clientset
	ns     string
	agent  string // the library's user agent begins with it
}

func newWorld(t *testing.T) *world {
	t.Helper()
	client, err := kubernetes.NewForConfig(plane.Config())
	require.NoError(t, err)
	return &world{t: t, client: client, ns: plane.Namespace(t), agent: strings.ReplaceAll(t.Name(), "/", "_")}
}

// config is the library's, told apart in the audit log.
func (w *world) config() *rest.Config {
	cfg := plane.Config()
	cfg.UserAgent = w.agent
	return cfg
}

// open returns the library's Cluster in this world.
func (w *world) open(o kube.Options) *kube.Cluster {
	w.t.Helper()
	o.Namespace = w.ns
	c, err := kube.New(w.config(), o)
	require.NoError(w.t, err)
	return c
}

// set makes a ReplicaSet.
func (w *world) set(name string, replicas int32, match, template map[string]string, edit ...func(*appsv1.ReplicaSet)) *appsv1.ReplicaSet {
	w.t.Helper()
	rs := &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: match},
			Template: podTemplate(template),
		},
	}
	for _, e := range edit {
		e(rs)
	}
	rs, err := w.client.AppsV1().ReplicaSets(w.ns).Create(w.t.Context(), rs, metav1.CreateOptions{})
	require.NoError(w.t, err)
	return rs
}

// deployment makes a Deployment.
func (w *world) deployment(name string, replicas int32, match, template map[string]string) *appsv1.Deployment {
	w.t.Helper()
	d, err := w.client.AppsV1().Deployments(w.ns).Create(w.t.Context(), &appsv1.Deployment{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec: appsv1.DeploymentSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: match},
			Template: podTemplate(template),
		},
	}, metav1.CreateOptions{})
	require.NoError(w.t, err)
	return d
}

func podTemplate(labels map[string]string) corev1.PodTemplateSpec {
	return corev1.PodTemplateSpec{
		ObjectMeta: metav1.ObjectMeta{Labels: labels},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "example/web:1"}}},
	}
}

// annotated puts an annotation on a ReplicaSet's pods.
func annotated(key, value string) func(*appsv1.ReplicaSet) {
	return func(rs *appsv1.ReplicaSet) {
		rs.Spec.Template.Annotations = map[string]string{key: value}
	}
}

// service makes a Service.
func (w *world) service(name string, selector map[string]string, edit ...func(*corev1.Service)) *corev1.Service {
	w.t.Helper()
	s := &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Spec:       corev1.ServiceSpec{Selector: selector, Ports: []corev1.ServicePort{{Port: 80}}},
	}
	for _, e := range edit {
		e(s)
	}
	s, err := w.client.CoreV1().Services(w.ns).Create(w.t.Context(), s, metav1.CreateOptions{})
	require.NoError(w.t, err)
	return s
}

// look looks once.
func (w *world) look(c cluster.Cluster, app string) cluster.State {
	w.t.Helper()
	s, err := c.Observe(w.t.Context(), app)
	require.NoError(w.t, err)
	return s
}

// until looks until ok.
func (w *world) until(c cluster.Cluster, app, what string, ok func(cluster.State) bool) cluster.State {
	w.t.Helper()
	var s cluster.State
	w.eventually(what, func() bool {
		s = w.look(c, app)
		return ok(s)
	}, func() string { return fmt.Sprintf("%+v", s) })
	return s
}

// eventually polls until ok.
func (w *world) eventually(what string, ok func() bool, last func() string) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("after %v still not: %s; last: %s", patience, what, last())
		}
	}
}

// serving waits until a revision serves with so many endpoints on every route.
func (w *world) serving(c cluster.Cluster, app, name string, n int) cluster.State {
	w.t.Helper()
	return w.until(c, app, fmt.Sprintf("%d endpoints of %s", n, name), func(s cluster.State) bool {
		return s.ReliedOn(name) == n && s.Exposed(name) == n
	})
}

// rested waits until the revision is as wanted and its Version rests.
func (w *world) rested(c cluster.Cluster, app, name string) cluster.Revision {
	w.t.Helper()
	version := ""
	s := w.until(c, app, name+" rests", func(s cluster.State) bool {
		r, _ := s.Named(name)
		rests := r.Version == version && r.UID != ""
		version = r.Version
		return rests && r.Pods == r.Replicas && r.Ready == r.Replicas && !r.Behind
	})
	r, _ := s.Named(name)
	return r
}

// audit returns what the library has asked since n requests ago, and how many
// there are now.
func (w *world) audit() []controlplane.Entry {
	w.t.Helper()
	entries, err := plane.Audit(w.agent)
	require.NoError(w.t, err)
	return entries
}

// writes returns what the library asked for since the entries before.
func (w *world) writes(before int) map[string]int {
	w.t.Helper()
	return controlplane.Count(controlplane.Mutating(w.audit()[before:]))
}

// manifest is a ReplicaSet as people write it.
func manifest(labels map[string]string, tag string) []byte {
	var pairs []string
	for k, v := range labels {
		pairs = append(pairs, fmt.Sprintf("%s: %q", k, v))
	}
	set := "{" + strings.Join(pairs, ", ") + "}"
	return fmt.Appendf(nil, `
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: ignored
  labels: %[1]s
  annotations: {team: shop}
spec:
  replicas: 2
  selector: {matchLabels: %[1]s}
  template:
    metadata: {labels: %[1]s}
    spec:
      containers:
      - {name: main, image: "example/web:%[2]s", env: [{name: TOKEN, value: hush}]}
`, set, tag)
}

// template is what a Target made of it holds.
func template(t *testing.T, labels map[string]string, tag string) []byte {
	t.Helper()
	target, err := kube.Target(manifest(labels, tag))
	require.NoError(t, err)
	return target.Template
}

// countItems counts the objects of a list.
func countItems(t *testing.T, raw []byte) int {
	t.Helper()
	var page struct {
		Items []json.RawMessage `json:"items"`
	}
	require.NoError(t, json.Unmarshal(raw, &page))
	return len(page.Items)
}
