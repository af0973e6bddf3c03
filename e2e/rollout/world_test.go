// The tutorial's objects, and what can be seen of them.

package rollout_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/kube"
)

const app = "imageresizer"

// patience is how long controllers may take for one thing.
const patience = 30 * time.Second

// tutorial is what the tutorial starts from: a Service that selects by a label
// of its own, and two pods of a first version that carry it.
const tutorial = `
apiVersion: v1
kind: Service
metadata: {name: imageresizer}
spec:
  selector: {load-balancer-imageresizer: "true"}
  ports: [{name: http, port: 8080, targetPort: 8080}]
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: imageresizer-v001}
spec:
  replicas: 2
  selector: {matchLabels: {replication-controller: imageresizer-v001}}
  template:
    metadata: {labels: {replication-controller: imageresizer-v001, load-balancer-imageresizer: "true"}}
    spec: {containers: [{name: imageresizer, image: "example/imageresizer:release-1"}]}
`

// second is the manifest of the next version. Its pods take a moment to get
// ready, so that this can be seen.
const second = `
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: imageresizer, labels: {team: images}}
spec:
  replicas: 2
  selector: {matchLabels: {app: imageresizer}}
  template:
    metadata:
      labels: {app: imageresizer, load-balancer-imageresizer: "true"}
      annotations: {cutover.test/ready: slow, cutover.test/ready-after: 1s}
    spec: {containers: [{name: imageresizer, image: "example/imageresizer:release-2"}]}
`

// A world is one namespace with the tutorial in it.
type world struct {
	t        *testing.T
	ns       string
	client   *kubernetes.Clientset
	services []string               // whose endpoints are watched
	floors   map[string]*floorWatch // by Service
}

func newWorld(t *testing.T, objects string) *world {
	t.Helper()
	client, err := kubernetes.NewForConfig(plane.Config())
	require.NoError(t, err)
	w := &world{t: t, ns: plane.Namespace(t), client: client, services: []string{app}, floors: map[string]*floorWatch{}}
	w.apply(objects)
	return w
}

// serve waits until every Service has so many endpoints, and watches them from
// then on.
func (w *world) serve(n int) {
	w.t.Helper()
	for _, s := range w.services {
		w.eventually(fmt.Sprintf("%d endpoints of %s", n, s), func() bool { return w.endpointsOf(s) >= n })
		w.floors[s] = watchFloor(w.t, w.client, w.ns, s, n)
	}
}

// apply makes objects the way the tutorial's reader would.
func (w *world) apply(objects string) {
	w.t.Helper()
	cmd := exec.Command(plane.Kubectl, "--kubeconfig", plane.Kubeconfig(), "-n", w.ns, "create", "-f", "-")
	cmd.Stdin = strings.NewReader(objects)
	out, err := cmd.CombinedOutput()
	require.NoError(w.t, err, "%s", out)
}

// file writes a manifest.
func (w *world) file(manifest string) string {
	w.t.Helper()
	path := filepath.Join(w.t.TempDir(), "manifest.yaml")
	require.NoError(w.t, os.WriteFile(path, []byte(manifest), 0o600))
	return path
}

// open returns the library's Cluster in this world.
func (w *world) open() *kube.Cluster {
	w.t.Helper()
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
	require.NoError(w.t, err)
	return c
}

// replicaSets is what kubectl get rs shows: name, desired, current, ready.
func (w *world) replicaSets() []string {
	w.t.Helper()
	return w.kubectl("get", "rs", "--no-headers", "-o", "custom-columns=:.metadata.name,:.spec.replicas,:.status.replicas,:.status.readyReplicas")
}

// pods is what kubectl get pods shows, by version: how many there are.
func (w *world) pods() map[string]int {
	w.t.Helper()
	count := map[string]int{}
	for _, line := range w.kubectl("get", "pods", "--no-headers") {
		name, _, _ := strings.Cut(line, " ")
		count[name[:strings.LastIndex(name, "-")]]++
	}
	return count
}

func (w *world) kubectl(args ...string) []string {
	w.t.Helper()
	out, err := exec.Command(plane.Kubectl, append([]string{"--kubeconfig", plane.Kubeconfig(), "-n", w.ns}, args...)...).Output()
	require.NoError(w.t, err)
	var lines []string
	for _, line := range strings.Split(strings.TrimSpace(string(out)), "\n") {
		if line != "" {
			lines = append(lines, strings.Join(strings.Fields(line), " "))
		}
	}
	return lines
}

// endpoints counts the ready ones of the Service, or of the first of several.
func (w *world) endpoints() int { w.t.Helper(); return w.endpointsOf(w.services[0]) }

func (w *world) endpointsOf(service string) int {
	w.t.Helper()
	list, err := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: ofService(service)})
	require.NoError(w.t, err)
	n := 0
	for i := range list.Items {
		n += ready(&list.Items[i])
	}
	return n
}

// traffic is how many pods of each version carry each value of the label.
func (w *world) traffic() map[string]int {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	count := map[string]int{}
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			count[metav1.GetControllerOf(&pod).Name+" "+pod.Labels["load-balancer-imageresizer"]]++
		}
	}
	return count
}

func (w *world) eventually(what string, ok func() bool) {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			w.t.Fatalf("after %v still not: %s; replica sets: %v; endpoints: %d", patience, what, w.replicaSets(), w.endpoints())
		}
	}
}

func ofService(name string) string { return discoveryv1.LabelServiceName + "=" + name }

// ready counts the endpoints of a slice that get requests.
func ready(s *discoveryv1.EndpointSlice) int {
	n := 0
	for _, e := range s.Endpoints {
		if c := e.Conditions; c.Ready != nil && *c.Ready && (c.Terminating == nil || !*c.Terminating) {
			n++
		}
	}
	return n
}

// A floorWatch sees every revision of the Service's EndpointSlices.
type floorWatch struct {
	stop  func()
	ended chan struct{}

	mu     sync.Mutex
	slices map[string]*discoveryv1.EndpointSlice
	least  int
}

// watchFloor begins to watch at the slices that there are now.
func watchFloor(t *testing.T, client *kubernetes.Clientset, ns, service string, n int) *floorWatch {
	t.Helper()
	api := client.DiscoveryV1().EndpointSlices(ns)
	list, err := api.List(t.Context(), metav1.ListOptions{LabelSelector: ofService(service)})
	require.NoError(t, err)
	f := &floorWatch{ended: make(chan struct{}), slices: map[string]*discoveryv1.EndpointSlice{}, least: n}
	for i := range list.Items {
		f.slices[list.Items[i].Name] = &list.Items[i]
	}
	w, err := api.Watch(t.Context(), metav1.ListOptions{LabelSelector: ofService(service), ResourceVersion: list.ResourceVersion})
	require.NoError(t, err)
	f.stop = w.Stop
	go func() {
		defer close(f.ended)
		for event := range w.ResultChan() {
			f.saw(event)
		}
	}()
	t.Cleanup(func() { f.stop(); <-f.ended })
	return f
}

func (f *floorWatch) saw(event watch.Event) {
	s, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.slices[s.Name] = s
	if event.Type == watch.Deleted {
		delete(f.slices, s.Name)
	}
	n := 0
	for _, s := range f.slices {
		n += ready(s)
	}
	f.least = min(f.least, n)
}

// held waits until each watch has seen what there is now, and requires that there
// never were fewer than floor endpoints.
func (w *world) held(floor int) {
	w.t.Helper()
	require.NotEmpty(w.t, w.floors, "nothing was watched")
	for service, f := range w.floors {
		w.eventually("the watch has caught up", func() bool {
			list, err := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: ofService(service)})
			require.NoError(w.t, err)
			now := map[string]string{}
			for _, s := range list.Items {
				now[s.Name] = s.ResourceVersion
			}
			return maps.Equal(now, f.versions())
		})
		require.GreaterOrEqual(w.t, f.least, floor, "endpoints of Service %s, at every revision", service)
	}
}

func (f *floorWatch) versions() map[string]string {
	f.mu.Lock()
	defer f.mu.Unlock()
	seen := map[string]string{}
	for _, s := range f.slices {
		seen[s.Name] = s.ResourceVersion
	}
	return seen
}
