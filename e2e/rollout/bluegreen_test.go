// Blue-green as a well-known demonstration has it: a Deployment per version, a
// Service that selects one of them, health check, switch, tests, and then
// approval or the way back.

package rollout_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

const busybox = `
apiVersion: v1
kind: Service
metadata: {name: busybox1, labels: {run: busybox1}}
spec:
  selector: {deployment: busybox, version: "1.10"}
  ports: [{port: 8080, protocol: TCP, targetPort: 8080}]
---
apiVersion: v1
kind: Service
metadata: {name: busybox1-preview, labels: {run: busybox1}}
spec:
  selector: {deployment: busybox, version: "1.11"}
  ports: [{port: 8080, protocol: TCP, targetPort: 8080}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: busybox-1.10, labels: {run: busybox}}
spec:
  replicas: 2
  selector: {matchLabels: {deployment: busybox, version: "1.10"}}
  strategy: {type: RollingUpdate, rollingUpdate: {maxSurge: 1, maxUnavailable: 1}}
  template:
    metadata: {labels: {deployment: busybox, version: "1.10"}}
    spec: {terminationGracePeriodSeconds: 30, containers: [{name: busybox2, image: "example/busybox:1.10", ports: [{containerPort: 8080}]}]}
`

// busybox11 is the manifest of the next version.
func busybox11() []byte {
	manifest := busybox[strings.LastIndex(busybox, "---\n")+4:]
	return []byte(strings.ReplaceAll(manifest, "1.10", "1.11"))
}

// busyboxOptions say how the demonstration lays out its app.
var busyboxOptions = kube.Options{
	Kind: kube.Deployment, Traffic: kube.Selector, Services: []string{"busybox1"}, Previews: []string{"busybox1-preview"},
	Match: map[string]string{"deployment": "busybox"},
}

// pipeline is the demonstration's: a health check before the switch, tests after
// it, and the old one is removed when they were good.
func pipeline(tests health.Verdict) strategy.BlueGreen {
	return strategy.BlueGreen{
		Before: previewed{}, After: tested{tests}, Drain: -1,
		Keep: strategy.Retention{Shrink: time.Second},
	}
}

// previewed is the health check: every pod is seen through the preview.
type previewed struct{}

func (previewed) Check(_ context.Context, look health.Look) (health.Verdict, string, error) {
	for _, route := range look.State.Routes {
		if route.Preview && route.Serving[look.Revision.Name] == look.Revision.Replicas {
			return health.Pass, "", nil
		}
	}
	return health.Pending, "not in the preview yet", nil
}

// tested is what the tests say that run once the traffic has moved.
type tested struct{ verdict health.Verdict }

func (t tested) Check(context.Context, health.Look) (health.Verdict, string, error) {
	return t.verdict, "test.sh expects ok", nil
}

func deployBusybox(ctx context.Context, c cluster.Cluster, s strategy.Strategy) error {
	target, err := kube.Target(busybox11())
	if err != nil {
		return err
	}
	target.Release = "1.11"
	_, err = quick(c).Run(ctx, "busybox", target, s)
	return err
}

func init() {
	tasks["blue-green"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		c, err := open(busyboxOptions)
		if err != nil {
			return err
		}
		return deployBusybox(ctx, c, pipeline(health.Pass))
	}
}

func newBusybox(t *testing.T) (*world, *kube.Cluster) {
	w := newWorld(t, busybox)
	w.services = []string{"busybox1"}
	w.serve(2)
	o := busyboxOptions
	o.Namespace = w.ns
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(t, err)
	return w, c
}

// selects is the Service's selector now.
func (w *world) selects() map[string]string {
	w.t.Helper()
	s, err := w.client.CoreV1().Services(w.ns).Get(w.t.Context(), w.services[0], metav1.GetOptions{})
	require.NoError(w.t, err)
	return s.Spec.Selector
}

func TestBlueGreenApproved(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	require.NoError(t, deployBusybox(t.Context(), c, pipeline(health.Pass)))
	require.Equal(t, "busybox", w.selects()["deployment"])
	require.Equal(t, "1.11", w.selects()["version"])
	w.eventually("the old one has no pods", func() bool { return w.endpoints() == 2 && len(w.kubectl("get", "pods", "--no-headers")) == 2 })
	require.Equal(t, map[string]int{"create deployments": 1, "patch services": 1, "patch deployments": 2}, controlplane.Count(w.mutating()),
		"create, switch, good, shrink")
	w.held(2)
}

func TestBlueGreenReverted(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	err := deployBusybox(t.Context(), c, pipeline(health.Fail))
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Failed, abort.Kind)
	require.Contains(t, err.Error(), "test.sh expects ok")
	require.Equal(t, "1.10", w.selects()["version"])
	w.eventually("the new one has no pods", func() bool { return w.endpoints() == 2 && len(w.kubectl("get", "pods", "--no-headers")) == 2 })
	w.held(2)
}

func TestBlueGreenUndone(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	keeps := strategy.BlueGreen{Drain: -1}
	require.NoError(t, deployBusybox(t.Context(), c, keeps))
	before := len(w.mutating())
	_, err := quick(c).Run(t.Context(), "busybox", cluster.Target{Release: "1.11"}, strategy.Undo(keeps, "errors"))
	require.NoError(t, err)
	require.Equal(t, "1.10", w.selects()["version"])
	require.Equal(t, map[string]int{"patch services": 1, "patch deployments": 3}, controlplane.Count(w.mutating()[before:]),
		"given up, touched, one write moves the traffic, scaled down")
	w.held(2)
}

func TestBlueGreenKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: serving(busybox, 2, "busybox1"), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.childProcess("blue-green") },
		over:    func(w *world) bool { return len(w.kubectl("get", "pods", "--no-headers")) == 2 },
	}.killedEverywhere(t)
}
