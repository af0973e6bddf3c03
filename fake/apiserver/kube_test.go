// The laws of a Cluster, over the real client and the simulated server.

package apiserver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/clustertest"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake/apiserver"
)

// A world is a server, its controllers, and a clock that moves in Sleep only.
type world struct {
	*apiserver.Server
	kubelet apiserver.Kubelet

	mu  sync.Mutex
	now time.Time
}

func newWorld() *world {
	w := &world{now: time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC), kubelet: apiserver.Kubelet{Boot: time.Second, Stop: time.Second}}
	w.Server = apiserver.New(w.clock)
	return w
}

func (w *world) clock() time.Time {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.now
}

func (w *world) pass(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.now = w.now.Add(d)
}

// beat is how often the controllers look.
const beat = 250 * time.Millisecond

// sleep lets time pass, beat by beat.
func (w *world) sleep(ctx context.Context, d time.Duration) error {
	for ; d > 0; d -= beat {
		if err := ctx.Err(); err != nil {
			return err
		}
		w.pass(min(d, beat))
		w.step()
	}
	return ctx.Err()
}

// step lets every controller look once.
func (w *world) step() {
	w.StepDeployments()
	w.StepReplicaSets()
	w.StepPods(w.kubelet)
	w.StepEndpointSlices()
	w.Collect()
}

// send makes a request and returns the answer's code and body.
func (w *world) send(t *testing.T, method, path, contentType, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://simulated"+path, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", contentType)
	answer, err := w.RoundTrip(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var object map[string]any
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&object))
	return answer.StatusCode, object
}

// post makes an object in the namespace default.
func (w *world) post(t *testing.T, path, body string) map[string]any {
	t.Helper()
	code, object := w.send(t, http.MethodPost, path, "application/json", body)
	require.Equal(t, http.StatusCreated, code, "%v", object)
	return object
}

func (w *world) service(t *testing.T, name, key, value string) {
	t.Helper()
	w.post(t, "/api/v1/namespaces/default/services",
		fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"selector":{%q:%q},"ports":[{"port":80}]}}`, name, key, value))
}

func template(t *testing.T, tag string) []byte {
	t.Helper()
	target, err := kube.Target(fmt.Appendf(nil, `
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: ignored}
spec:
  selector: {matchLabels: {tier: shop}}
  template:
    metadata: {labels: {tier: shop}}
    spec:
      containers: [{name: main, image: "example/web:%s"}]
`, tag))
	require.NoError(t, err)
	return target.Template
}

// opener opens worlds with two apps, whose Services have such selectors.
func opener(o kube.Options, selector func(app string) (key, value string)) func(*testing.T) clustertest.World {
	return func(t *testing.T) clustertest.World {
		w := newWorld()
		for _, app := range []string{"web", "api"} {
			if selector != nil {
				key, value := selector(app)
				w.service(t, app, key, value)
			}
		}
		o.Namespace = "default"
		c, err := kube.New(&rest.Config{Host: "http://simulated", Transport: w}, o)
		require.NoError(t, err)
		return clustertest.World{
			Cluster: c, App: "web", Other: "api",
			Template: func(tag string) []byte { return template(t, tag) },
			Sleep:    w.sleep,
		}
	}
}

func byLabel(app string) (key, value string)    { return "load-balancer-" + app, "true" }
func bySelector(app string) (key, value string) { return kube.RevisionLabel, app + "-v000" }

// The same suite is run over a real control plane elsewhere.
func TestKubeOverTheSimulatedAPIServer(t *testing.T) {
	for _, mode := range []struct {
		name     string
		options  kube.Options
		selector func(string) (string, string)
		can      cluster.Can
	}{
		{"labels", kube.Options{}, byLabel, cluster.Can{Enable: true}},
		{"selector", kube.Options{Traffic: kube.Selector}, bySelector, cluster.Can{Select: true}},
		{"deployments", kube.Options{Traffic: kube.Selector, Kind: kube.Deployment}, bySelector, cluster.Can{Select: true}},
		{"worker", kube.Options{}, nil, cluster.Can{}},
	} {
		t.Run(mode.name, func(t *testing.T) {
			clustertest.TestCluster(t, opener(mode.options, mode.selector), mode.can)
		})
	}
}
