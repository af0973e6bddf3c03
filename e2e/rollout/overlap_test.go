// Blue-green with overlap: for a moment the Service selects both versions, and
// never a third. And what becomes of a switch that somebody else takes back.

package rollout_test

import (
	"context"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
	applycorev1 "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// overlapping is the demonstration's pipeline, over both versions.
func overlapping() strategy.BlueGreen {
	s := pipeline(health.Pass)
	s.Overlap = strategy.Always
	return s
}

func init() {
	tasks["blue-green, overlap"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		c, err := open(busyboxOptions)
		if err != nil {
			return err
		}
		return deployBusybox(ctx, c, overlapping())
	}
}

// older is a version of the demonstration that is kept, with pods.
func older() string {
	manifest := busybox[strings.LastIndex(busybox, "---\n"):]
	return strings.ReplaceAll(manifest, "1.10", "1.9")
}

// secondService brings the same versions traffic under another name.
func secondService() string {
	manifest := busybox[:strings.Index(busybox, "---\n")]
	return "---\n" + strings.ReplaceAll(manifest, "busybox1", "busybox2")
}

// A membersWatch sees which pods are in a Service's EndpointSlices, at every
// revision of them.
type membersWatch struct {
	service string
	stop    func()
	ended   chan struct{}

	mu     sync.Mutex
	slices map[string]*discoveryv1.EndpointSlice
	seen   []map[string]int // endpoints by version, ready or not; each differs from the one before
}

func (w *world) watchMembers(service string) *membersWatch {
	w.t.Helper()
	api := w.client.DiscoveryV1().EndpointSlices(w.ns)
	list, err := api.List(w.t.Context(), metav1.ListOptions{LabelSelector: ofService(service)})
	require.NoError(w.t, err)
	m := &membersWatch{service: service, ended: make(chan struct{}), slices: map[string]*discoveryv1.EndpointSlice{}}
	for i := range list.Items {
		m.slices[list.Items[i].Name] = &list.Items[i]
	}
	m.note()
	events, err := api.Watch(w.t.Context(), metav1.ListOptions{LabelSelector: ofService(service), ResourceVersion: list.ResourceVersion})
	require.NoError(w.t, err)
	m.stop = events.Stop
	go func() {
		defer close(m.ended)
		for event := range events.ResultChan() {
			m.saw(event)
		}
	}()
	w.t.Cleanup(func() { m.stop(); <-m.ended })
	return m
}

func (m *membersWatch) saw(event watch.Event) {
	s, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.slices[s.Name] = s
	if event.Type == watch.Deleted {
		delete(m.slices, s.Name)
	}
	m.note()
}

// note keeps what there is now, if it is new.
func (m *membersWatch) note() {
	now := map[string]int{}
	for _, s := range m.slices {
		for _, e := range s.Endpoints {
			now[versionOf(e)]++
		}
	}
	if n := len(m.seen); n == 0 || !maps.Equal(m.seen[n-1], now) {
		m.seen = append(m.seen, now)
	}
}

// versionOf is the name of the workload whose pod is behind an endpoint.
func versionOf(e discoveryv1.Endpoint) string {
	if e.TargetRef == nil {
		return "nobody"
	}
	parts := strings.Split(e.TargetRef.Name, "-")
	return strings.Join(parts[:max(1, len(parts)-2)], "-") // without the ReplicaSet's hash and the pod's own
}

// all returns what was seen, once it ends like this.
func (m *membersWatch) all(w *world, last map[string]int) []map[string]int {
	w.t.Helper()
	var seen []map[string]int
	w.eventually(fmt.Sprintf("the endpoints of Service %s are %v", m.service, last), func() bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		seen = slices.Clone(m.seen)
		return maps.Equal(last, seen[len(seen)-1])
	})
	return seen
}

// deployTraced deploys the demonstration's next version, and returns the steps
// of the run that wrote.
func (w *world) deployTraced(c cluster.Cluster, s strategy.Strategy, actor func(strategy.Event)) (writes []string, err error) {
	w.t.Helper()
	target, err := kube.Target(busybox11())
	require.NoError(w.t, err)
	target.Release = "1.11"
	return w.traced(c, target, s, actor)
}

func (w *world) traced(c cluster.Cluster, target cluster.Target, s strategy.Strategy, actor func(strategy.Event)) (writes []string, err error) {
	w.t.Helper()
	runner := quick(c)
	runner.Trace = func(e strategy.Event) {
		w.t.Log(e)
		switch e.Step.(type) {
		case strategy.Put, strategy.SetRoute, strategy.Delete:
			if e.Err == nil {
				step, _, _ := strings.Cut(e.Step.String(), ": ")
				writes = append(writes, step)
			}
		}
		if actor != nil {
			actor(e)
		}
	}
	_, err = runner.Run(w.t.Context(), "busybox", target, s)
	return writes, err
}

// openBusybox returns a Cluster of the demonstration with these traffic Services.
func (w *world) openBusybox(services ...string) *kube.Cluster {
	w.t.Helper()
	o := busyboxOptions
	o.Namespace, o.Services = w.ns, services
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(w.t, err)
	return c
}

// newVersion is what cutover calls the version that it makes.
const newVersion = "busybox-v001"

func TestOverlap(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	members := w.watchMembers("busybox1")
	writes, err := w.deployTraced(c, overlapping(), nil)
	require.NoError(t, err)
	require.Equal(t, []string{
		"create " + newVersion + " x2 off",
		"route service/busybox1 to busybox-1.10, " + newVersion,
		"route service/busybox1 to " + newVersion,
		"put " + newVersion + " x2 on good",
		"put busybox-1.10 x0 off",
	}, writes)
	require.Equal(t, map[string]int{"create deployments": 1, "patch services": 2, "patch deployments": 2}, controlplane.Count(w.mutating()))
	seen := members.all(w, map[string]int{newVersion: 2})
	require.Contains(t, seen, map[string]int{"busybox-1.10": 2, newVersion: 2}, "both serve for a moment")
	w.eventually("the old one has no pods", func() bool { return len(w.kubectl("get", "pods", "--no-headers")) == 2 })
	w.held(2)
}

// Whoever reads the Service knows the version by it, whichever way it was
// switched.
func TestOverlapLeavesTheVersionInTheSelector(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	_, err := w.deployTraced(c, strategy.BlueGreen{Overlap: strategy.Always, Drain: -1}, nil)
	require.NoError(t, err)
	require.Equal(t, "1.11", w.selects()["version"], "label version in the selector of Service busybox1: %v", w.selects())
	w.held(2)
}

// A third version that is kept with pods would be selected with the two: it is
// scaled away before, and gets no request.
func TestOverlapClearsAThird(t *testing.T) {
	t.Parallel()
	w := newWorld(t, busybox+older())
	w.services = []string{"busybox1"}
	w.serve(2)
	w.eventually("the third has its pods", func() bool {
		return slices.Contains(w.kubectl("get", "deployments", "--no-headers", "-o", "custom-columns=:.metadata.name,:.status.readyReplicas"), "busybox-1.9 2")
	})
	members := w.watchMembers("busybox1")
	thirds := -1 // pods of the third when both are selected
	writes, err := w.deployTraced(w.openBusybox("busybox1"), overlapping(), func(e strategy.Event) {
		if s, ok := e.Step.(strategy.SetRoute); ok && len(s.Route.Weights) == 2 && e.Err == nil {
			third, _ := e.Input.State.Named("busybox-1.9")
			thirds = third.Pods
			w.eventually("no pod of the third is listed", func() bool {
				return len(w.kubectl("get", "pods", "--no-headers", "-l", "version=1.9")) == 0
			})
		}
	})
	require.NoError(t, err)
	require.Equal(t, 0, thirds, "pods of busybox-1.9 when both others are selected")
	require.Equal(t, []string{
		"create " + newVersion + " x2 off",
		"put busybox-1.9 x0 off",
		"route service/busybox1 to busybox-1.10, " + newVersion,
		"route service/busybox1 to " + newVersion,
		"put " + newVersion + " x2 on good",
		"put busybox-1.10 x0 off",
	}, writes)
	for i, now := range members.all(w, map[string]int{newVersion: 2}) {
		require.NotContains(t, now, "busybox-1.9", "revision %d of the endpoints of Service busybox1: %v", i, now)
		require.NotContains(t, now, "nobody", "revision %d of the endpoints of Service busybox1: %v", i, now)
	}
	w.held(2)
}

func TestOverlapUndone(t *testing.T) {
	t.Parallel()
	w, c := newBusybox(t)
	keeps := strategy.BlueGreen{Drain: -1, Overlap: strategy.Always}
	_, err := w.deployTraced(c, keeps, nil)
	require.NoError(t, err)
	members := w.watchMembers("busybox1")
	before := len(w.mutating())
	writes, err := w.traced(c, cluster.Target{Release: "1.11"}, strategy.Undo(keeps, "errors"), nil)
	require.NoError(t, err)
	require.Equal(t, []string{
		"put " + newVersion + " x2 on failed",
		"put busybox-1.10 x2 off", // a touch
		"route service/busybox1 to busybox-1.10, " + newVersion,
		"route service/busybox1 to busybox-1.10",
		"put " + newVersion + " x0 off failed",
	}, writes)
	require.Equal(t, map[string]int{"patch services": 2, "patch deployments": 3}, controlplane.Count(w.mutating()[before:]))
	require.Equal(t, "1.10", w.selects()["version"])
	seen := members.all(w, map[string]int{"busybox-1.10": 2})
	require.Contains(t, seen, map[string]int{"busybox-1.10": 2, newVersion: 2}, "both serve for a moment")
	w.held(2)
}

// Of two Services each is switched in writes of its own, a look apart, and both
// versions keep their capacity until the last has moved.
func TestOverlapOfTwoServices(t *testing.T) {
	t.Parallel()
	w := newWorld(t, busybox+secondService())
	w.services = []string{"busybox1", "busybox2"}
	w.serve(2)
	members := []*membersWatch{w.watchMembers("busybox1"), w.watchMembers("busybox2")}
	turns := map[int]bool{}
	writes, err := w.deployTraced(w.openBusybox("busybox1", "busybox2"), overlapping(), func(e strategy.Event) {
		if s, ok := e.Step.(strategy.SetRoute); ok {
			require.False(t, turns[e.Turn], "Service %s is switched in the look of another", s.Route.Name)
			turns[e.Turn] = true
			require.GreaterOrEqual(t, e.Input.State.Serving(), 2)
			old, _ := e.Input.State.Named("busybox-1.10")
			require.Equal(t, 2, old.Replicas, "replicas of busybox-1.10 when %s", e)
		}
	})
	require.NoError(t, err)
	require.Equal(t, []string{
		"create " + newVersion + " x2 off",
		"route service/busybox1 to busybox-1.10, " + newVersion,
		"route service/busybox2 to busybox-1.10, " + newVersion,
		"route service/busybox1 to " + newVersion,
		"route service/busybox2 to " + newVersion,
		"put " + newVersion + " x2 on good",
		"put busybox-1.10 x0 off",
	}, writes)
	require.Equal(t, map[string]int{"create deployments": 1, "patch services": 4, "patch deployments": 2}, controlplane.Count(w.mutating()))
	for _, m := range members {
		seen := m.all(w, map[string]int{newVersion: 2})
		require.Contains(t, seen, map[string]int{"busybox-1.10": 2, newVersion: 2}, "Service %s has both for a moment", m.service)
	}
	w.held(2)
}

func TestOverlapKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: serving(busybox, 2, "busybox1"), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.childProcess("blue-green, overlap") },
		over:    func(w *world) bool { return len(w.kubectl("get", "pods", "--no-headers")) == 2 },
	}.killedEverywhere(t)
}

const reverter = "argocd-controller"

// putBack applies the Service's selector as a GitOps tool has it.
func (w *world) putBack() {
	w.t.Helper()
	_, err := w.client.CoreV1().Services(w.ns).Apply(w.t.Context(), applycorev1.Service("busybox1", w.ns).
		WithSpec(applycorev1.ServiceSpec().WithSelector(map[string]string{"deployment": "busybox", "version": "1.10"})),
		metav1.ApplyOptions{FieldManager: reverter, Force: true})
	require.NoError(w.t, err)
}

// A GitOps tool that puts the selector back once has the last word: the release
// is given up, and what served before keeps all that it has.
func TestSwitchIsPutBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		overlap strategy.Overlap
		after   int           // that many writes to the Service
		known   bool          // it has written the selector before
		settle  time.Duration // 0: because it was seen
	}{
		{"one write", strategy.Never, 1, true, 0},
		{"after both were selected", strategy.Always, 1, true, 0},
		{"after the new one was selected", strategy.Always, 2, true, 0},
		{"by somebody not seen before, after both were selected", strategy.Always, 1, false, 0},
		{"by somebody not seen before, one write", strategy.Never, 1, false, time.Minute},
		{"by somebody not seen before, after the new one was selected", strategy.Always, 2, false, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w, cl := newBusybox(t)
			if c.known {
				w.putBack()
			}
			s := strategy.BlueGreen{Overlap: c.overlap, Settle: c.settle, Drain: -1, Keep: strategy.Retention{Shrink: time.Second}}
			var warnings []string
			switched, back := 0, false
			writes, err := w.deployTraced(cl, s, func(e strategy.Event) {
				warnings = e.Input.State.Warnings
				if switched == c.after && !back {
					w.putBack()
					back = true
				}
				if _, ok := e.Step.(strategy.SetRoute); ok && e.Err == nil {
					switched++
				}
			})
			require.True(t, back, "the selector of Service busybox1 was put back")
			var abort *strategy.AbortError
			require.ErrorAs(t, err, &abort)
			require.Equal(t, strategy.Failed.String(), abort.Kind.String(), err)
			require.ErrorContains(t, err, "somebody has put it back to busybox-1.10")
			require.Contains(t, writes, "put "+newVersion+" x0 off failed")
			require.Equal(t, map[string]string{"deployment": "busybox", "version": "1.10"}, w.selects(), "selector of Service busybox1")
			require.Contains(t, strings.Join(warnings, "\n"), reverter)
			old, err := w.client.AppsV1().Deployments(w.ns).Get(t.Context(), "busybox-1.10", metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, int32(2), *old.Spec.Replicas, "replicas of Deployment busybox-1.10")
			w.eventually("only the old one has pods", func() bool {
				return w.endpoints() == 2 && len(w.kubectl("get", "pods", "--no-headers")) == 2
			})
			w.held(2)
		})
	}
}
