// The cleanup that a well-known post asks for: three apps in one namespace, and
// the three ways in which their deployment can die. Each half-state is made the
// way it comes about, by a deployer that stops there.

package rollout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// gusto is the three apps; workers have no Service.
var gusto = []string{"webapp", "stream-consumer", "workers"}

const gustoPods = 3

// gustoSet is a version of an app as Spinnaker deploys it.
func gustoSet(name, version string, traffic bool, ready string) string {
	label := ""
	if traffic && name != "workers" {
		label = fmt.Sprintf(", lb-%s: in", name)
	}
	balancers := fmt.Sprintf(`'["service %s"]'`, name)
	if name == "workers" {
		balancers = `'[]'`
	}
	return fmt.Sprintf(`
---
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: %[1]s-%[2]s
  labels: {app.kubernetes.io/managed-by: spinnaker, app.kubernetes.io/name: gusto}
  annotations: {moniker.spinnaker.io/application: gusto, moniker.spinnaker.io/cluster: replicaSet %[1]s, artifact.spinnaker.io/version: %[2]s,
    artifact.spinnaker.io/name: %[1]s, traffic.spinnaker.io/load-balancers: %[4]s}
spec:
  replicas: %[6]d
  selector: {matchLabels: {app: %[1]s, version: %[2]s}}
  template:
    metadata:
      labels: {app: %[1]s, version: %[2]s%[3]s}
      annotations: {cutover.test/ready: %[5]q}
    spec: {containers: [{name: main, image: "example/%[1]s:%[2]s"}]}
`, name, version, label, balancers, ready, gustoPods)
}

func gustoObjects() string {
	var b strings.Builder
	for _, name := range gusto {
		if name != "workers" {
			fmt.Fprintf(&b, "\n---\napiVersion: v1\nkind: Service\nmetadata: {name: %[1]s}\nspec: {selector: {lb-%[1]s: in}, ports: [{port: 80}]}\n", name)
		}
		b.WriteString(gustoSet(name, "v001", true, "fast"))
	}
	return b.String()
}

// enable turns the traffic of a version on as Spinnaker does, and dies after so
// many pods.
func (w *world) enable(name, version string, pods int) { w.flip(name, version, "in", pods) }

// disable turns it off, and dies because a pod has vanished between its list and
// its patch, as all of this name after so many do.
func (w *world) disable(name, version string, pods int) {
	w.flip(name, version, "", pods)
	list := w.podsOf(name, version)
	require.NoError(w.t, w.client.CoreV1().Pods(w.ns).Delete(w.t.Context(), list[pods], metav1.DeleteOptions{}))
	_, err := w.client.CoreV1().Pods(w.ns).Patch(w.t.Context(), list[pods], types.JSONPatchType, []byte(`[{"op":"remove","path":"/metadata/labels/lb-`+name+`"}]`), metav1.PatchOptions{})
	w.t.Logf("the disable dies of: %v", err)
}

// flip writes the template, and then so many pods.
func (w *world) flip(name, version, value string, pods int) {
	w.t.Helper()
	if name == "workers" {
		return
	}
	operation := fmt.Sprintf(`{"op":"add","path":"/metadata/labels/lb-%s","value":%q}`, name, value)
	if value == "" {
		operation = fmt.Sprintf(`{"op":"remove","path":"/metadata/labels/lb-%s"}`, name)
	}
	_, err := w.client.AppsV1().ReplicaSets(w.ns).Patch(w.t.Context(), name+"-"+version, types.JSONPatchType,
		[]byte("["+strings.Replace(operation, "/metadata", "/spec/template/metadata", 1)+"]"), metav1.PatchOptions{})
	require.NoError(w.t, err)
	for _, pod := range w.podsOf(name, version)[:pods] {
		_, err := w.client.CoreV1().Pods(w.ns).Patch(w.t.Context(), pod, types.JSONPatchType, []byte("["+operation+"]"), metav1.PatchOptions{})
		require.NoError(w.t, err)
	}
}

func (w *world) podsOf(name, version string) []string {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name + ",version=" + version})
	require.NoError(w.t, err)
	var names []string
	for _, pod := range list.Items {
		if pod.DeletionTimestamp == nil {
			names = append(names, pod.Name)
		}
	}
	return names
}

// deployed waits until the pods of a version are there, and ready if they ever are.
func (w *world) deployed(version, ready string) {
	w.t.Helper()
	for _, name := range gusto {
		w.apply(gustoSet(name, version, false, ready))
	}
	for _, name := range gusto {
		w.eventually(name+" is deployed", func() bool {
			rs, err := w.client.AppsV1().ReplicaSets(w.ns).Get(w.t.Context(), name+"-"+version, metav1.GetOptions{})
			require.NoError(w.t, err)
			return len(w.podsOf(name, version)) == gustoPods && (ready == "never" || rs.Status.ReadyReplicas == gustoPods)
		})
	}
}

// A failure is one of the post's scenarios.
type failure struct {
	name  string
	leave func(*world)
	keeps string // the version that is left
	stays string // what Decide says without being told that the run failed; "": it is all the same
}

func failures() []failure {
	return []failure{
		{"the deploy is stuck", func(w *world) { w.deployed("v002", "never") }, "v001", "say that it failed"},
		{"the enable dies", func(w *world) {
			w.deployed("v002", "fast")
			for _, name := range gusto {
				w.enable(name, "v002", 1)
			}
		}, "v001", "say that it failed"},
		{"the disable dies", func(w *world) {
			w.deployed("v002", "fast")
			for _, name := range gusto {
				w.enable(name, "v002", gustoPods)
			}
			for _, name := range gusto[:2] {
				w.eventually("both serve", func() bool { return w.endpointsOf(name) == 2*gustoPods })
				w.disable(name, "v001", 1)
			}
		}, "v002", ""},
	}
}

func (f failure) world(t *testing.T) *world {
	w := newWorld(t, gustoObjects())
	w.services = gusto[:2]
	w.serve(gustoPods)
	f.leave(w)
	return w
}

func cleanGusto(ctx context.Context, open func(kube.Options) (*kube.Cluster, error), p cleanup.Policy) error {
	c, err := open(kube.Options{})
	if err != nil {
		return err
	}
	p.Drain = -1
	for _, name := range gusto {
		if name == "workers" && p.RunFailed {
			// they work as soon as they are ready, whatever the run came to: say which
			p.Keep = name + "-" + os.Getenv(childKeeps)
		}
		decisions, err := cleanup.Run(ctx, quick(c), name, p)
		for _, d := range decisions {
			fmt.Println(d)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func init() {
	tasks["cleanup"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		return cleanGusto(ctx, open, cleanup.Policy{RunFailed: true})
	}
	tasks["careful cleanup"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		return cleanGusto(ctx, open, cleanup.Policy{})
	}
}

// alone requires that this version is all that is left, and serves.
func (w *world) alone(version string) {
	w.t.Helper()
	w.eventually("only "+version+" is left", func() bool {
		for _, line := range append(w.kubectl("get", "rs", "--no-headers"), w.kubectl("get", "pods", "--no-headers")...) {
			if !strings.Contains(line, "-"+version) {
				return false
			}
		}
		return true
	})
	require.Len(w.t, w.kubectl("get", "rs", "--no-headers"), len(gusto))
	for _, s := range w.services {
		w.eventually(s+" serves", func() bool { return w.endpointsOf(s) == gustoPods })
	}
	w.held(gustoPods)
}

func TestCleanup(t *testing.T) {
	t.Parallel()
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			w := f.world(t)
			w.process(w.childProcess("cleanup", childKeeps+"="+f.keeps), point{})
			w.alone(f.keeps)
			deletes := 0
			for _, e := range w.mutating() {
				if e.Verb == "delete" {
					deletes++
				}
			}
			require.Equal(t, len(gusto), deletes)
		})
	}
}

// Without being told that the run failed, nothing newer is touched.
func TestCarefulCleanupLeavesWhatIsNewer(t *testing.T) {
	t.Parallel()
	for _, f := range failures()[:1] {
		w := f.world(t)
		w.process(w.childProcess("careful cleanup"), point{})
		require.Empty(t, w.mutating())
		require.Len(t, w.kubectl("get", "rs", "--no-headers"), 2*len(gusto))
		w.held(gustoPods)
	}
}

func TestCleanupKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, f := range failures() {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			errand{
				make: f.world, floor: gustoPods,
				command: func(w *world) func(*controlplane.Proxy) *exec.Cmd {
					return w.childProcess("cleanup", childKeeps+"="+f.keeps)
				},
				over: func(w *world) bool { return len(w.kubectl("get", "pods", "--no-headers")) == len(gusto)*gustoPods },
			}.killedEverywhere(t)
		})
	}
}
