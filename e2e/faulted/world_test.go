// A world: one namespace with the app in it, and a neighbour that nobody must
// touch; the clients that lead to it, and what can be seen of it.

package faulted_test

import (
	"context"
	"fmt"
	"maps"
	"net/http"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
)

const (
	app      = "web"
	old      = "web-v001"
	newer    = "web-v002"
	replicas = 3
	traffic  = "load-balancer-web" // the label by which a pod has traffic, in label mode

	deployer = "deployer under faults" // its user agent

	patience = 40 * time.Second // how long controllers may take for one thing
)

// set is the manifest of a revision, with or without traffic. Only in label mode
// do pods carry the label.
func set(name, version string, mode kube.Mode, on bool) string {
	label := ""
	if mode == kube.Labels {
		label = fmt.Sprintf(`, %s: "%t"`, traffic, on)
	}
	return fmt.Sprintf(`
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: %[1]s}
spec:
  replicas: %[4]d
  selector: {matchLabels: {app: web, version: %[2]q}}
  template:
    metadata: {labels: {app: web, team: shop, version: %[2]q%[3]s}}
    spec: {containers: [{name: main, image: "example/web:%[2]s"}]}
`, name, version, label, replicas)
}

// service is the app's. In selector mode it names the version.
func service(mode kube.Mode) string {
	selector := `{app: web, version: "1"}`
	if mode == kube.Labels {
		selector = `{` + traffic + `: "true"}`
	}
	return "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\nspec: {selector: " + selector + ", ports: [{port: 80}]}\n---"
}

// neighbour is another app, whose names begin like this one's.
const neighbour = `
---
apiVersion: v1
kind: Service
metadata: {name: web-api}
spec: {selector: {app: web-api}, ports: [{port: 80}]}
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: web-api-v001}
spec:
  replicas: 1
  selector: {matchLabels: {app: web-api}}
  template:
    metadata: {labels: {app: web-api, team: shop}}
    spec: {containers: [{name: main, image: "example/web-api:1"}]}
`

type world struct {
	t      *testing.T
	ns     string
	mode   kube.Mode
	client *kubernetes.Clientset
	events *events
	gate   health.Gate // of the release that is deployed, whoever deploys it; nil passes

	mending sync.WaitGroup // what the environment still has to put right
}

// newWorld has three pods of a first version that serve.
func newWorld(t *testing.T, mode kube.Mode) *world {
	t.Helper()
	cfg := plane.Config()
	cfg.UserAgent = "person"
	client, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	w := &world{t: t, ns: plane.Namespace(t), mode: mode, client: client}
	w.apply(service(mode) + set(old, "1", mode, true) + neighbour)
	w.eventually("the first version serves", func() bool { return w.served()[old] == replicas })
	return w
}

// open returns the library's Cluster in this world, over these layers.
func (w *world) open(wrap ...func(http.RoundTripper) http.RoundTripper) *kube.Cluster {
	cfg := plane.Config()
	cfg.UserAgent = deployer
	for _, layer := range wrap {
		cfg.Wrap(layer)
	}
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns, Traffic: w.mode, Services: []string{app}})
	require.NoError(w.t, err)
	return c
}

func (w *world) apply(objects string) {
	w.t.Helper()
	cmd := exec.Command(plane.Kubectl, "--kubeconfig", plane.Kubeconfig(), "-n", w.ns, "create", "-f", "-")
	cmd.Stdin = strings.NewReader(objects)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
}

// patch is what a person changes on one object.
func (w *world) patch(what, name, body string) error {
	rest := w.client.CoreV1().RESTClient()
	if what == "replicasets" {
		rest = w.client.AppsV1().RESTClient()
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return rest.Patch(types.MergePatchType).Namespace(w.ns).Resource(what).Name(name).Body([]byte(body)).Do(ctx).Error()
}

// pods are those of a revision that are not going.
func (w *world) pods(revision string) []string {
	var names []string
	list, err := w.client.CoreV1().Pods(w.ns).List(context.Background(), metav1.ListOptions{})
	if err != nil {
		return nil
	}
	for i := range list.Items {
		pod := &list.Items[i]
		if owner := metav1.GetControllerOf(pod); owner != nil && owner.Name == revision && pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	return names
}

// served counts the app's ready endpoints by revision; "?" is nobody's.
func (w *world) served() map[string]int {
	w.t.Helper()
	found, err := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + app})
	require.NoError(w.t, err)
	pods, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	owner := map[types.UID]string{}
	for i := range pods.Items {
		if ref := metav1.GetControllerOf(&pods.Items[i]); ref != nil {
			owner[pods.Items[i].UID] = ref.Name
		}
	}
	count := map[string]int{}
	for i := range found.Items {
		for _, e := range found.Items[i].Endpoints {
			if !ready(e) {
				continue
			}
			name := "?"
			if e.TargetRef != nil && owner[e.TargetRef.UID] != "" {
				name = owner[e.TargetRef.UID]
			}
			count[name]++
		}
	}
	return count
}

// revisions are the app's ReplicaSets, with their outcomes.
func (w *world) revisions() map[string]string {
	w.t.Helper()
	list, err := w.client.AppsV1().ReplicaSets(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	all := map[string]string{}
	for _, rs := range list.Items {
		if ours("replicasets", rs.Name) {
			all[rs.Name] = rs.Annotations[kube.OutcomeAnnotation]
		}
	}
	return all
}

// eventually waits for something, and fails the run if it does not come.
func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	if !w.comes(ok) {
		w.t.Fatalf("after %v still not: %s; serving: %v; revisions: %v", patience, what, w.served(), w.revisions())
	}
}

func (w *world) comes(ok func() bool) bool { return w.within(patience, ok) }

func (w *world) within(d time.Duration, ok func() bool) bool {
	ctx, cancel := context.WithTimeout(w.t.Context(), d)
	defer cancel()
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return false
		}
	}
	return true
}

// ours reports whether an object of this name may be the app's.
func ours(resource, name string) bool {
	number, found := strings.CutPrefix(name, "web-v")
	switch resource {
	case "services":
		return name == app
	case "replicasets":
		return found && strings.Trim(number, "0123456789") == ""
	case "pods":
		number, _, ok := strings.Cut(number, "-")
		return found && ok && strings.Trim(number, "0123456789") == ""
	}
	return false
}

func ready(e discoveryv1.Endpoint) bool {
	c := e.Conditions
	return c.Ready != nil && *c.Ready && (c.Terminating == nil || !*c.Terminating)
}

func podReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// annotate lets pods be ready, or never: what kwok does of it.
func (w *world) annotate(pods []string, value string) bool {
	done := len(pods) > 0
	for _, name := range pods {
		text := "null"
		if value != "" {
			text = `"` + value + `"`
		}
		done = w.patch("pods", name, fmt.Sprintf(`{"metadata":{"annotations":{%q:%s}}}`, controlplane.ReadyAnnotation, text)) == nil && done
	}
	return done
}

func keys[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
