// The cleanup where apps are laid out in other ways than in the post: Services
// over every version, previews, no Service at all, one pod, an autoscaler, and a
// rollback that died.

package rollout_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/util/retry"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

const webapp = "webapp"

// webappSet is a version of the post's first app, of n pods.
func webappSet(version string, n int, traffic bool, ready string) string {
	return sized(gustoSet(webapp, version, traffic, ready), n)
}

func sized(objects string, n int) string {
	return strings.ReplaceAll(objects, fmt.Sprintf("replicas: %d\n", gustoPods), fmt.Sprintf("replicas: %d\n", n))
}

// service is a Service that selects so. more is what else its spec has.
func service(name, selector, more string) string {
	return fmt.Sprintf("\n---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {selector: {%s}, ports: [{port: 80}]%s}\n", name, selector, more)
}

// started waits until a version has n pods: ready, or crashing, or neither.
func (w *world) started(name, version, ready string, n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("%s-%s has %d pods (ready: %s)", name, version, n, ready), func() bool {
		list, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: "app=" + name + ",version=" + version})
		require.NoError(w.t, err)
		as := 0
		for _, pod := range list.Items {
			if pod.DeletionTimestamp == nil && behaves(&pod, ready) {
				as++
			}
		}
		return as == n
	})
}

// behaves reports whether a pod has come to what its annotation asks for.
func behaves(pod *corev1.Pod, ready string) bool {
	switch ready {
	case "fast":
		return podReady(pod)
	case "crash":
		return slices.ContainsFunc(pod.Status.ContainerStatuses, func(c corev1.ContainerStatus) bool {
			return c.State.Waiting != nil && c.State.Waiting.Reason == "CrashLoopBackOff"
		})
	}
	return pod.Status.Phase == corev1.PodRunning
}

func podReady(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

// candidate deploys a version that gets no traffic yet.
func candidate(version, ready string, n int) func(*world) {
	return func(w *world) {
		w.apply(webappSet(version, n, false, ready))
		w.started(webapp, version, ready, n)
	}
}

// lit deploys a version, and turns on the traffic of so many of its n pods.
func lit(version string, n, on int) func(*world) {
	return func(w *world) {
		candidate(version, "fast", n)(w)
		w.enable(webapp, version, on)
		w.eventually(version+" serves", func() bool { return w.endpoints() >= n+on })
	}
}

// unlit deploys a second version with traffic, and dies of a pod that has gone
// while it takes that of the first.
func unlit(n, off int) func(*world) {
	return func(w *world) {
		lit("v002", n, n)(w)
		w.disable(webapp, "v001", off)
	}
}

// dark waits until controllers have followed a version that lost its traffic.
func (w *world) dark(version string) {
	w.t.Helper()
	w.eventually(version+" is dark", func() bool {
		rs, err := w.client.AppsV1().ReplicaSets(w.ns).Get(w.t.Context(), webapp+"-"+version, metav1.GetOptions{})
		require.NoError(w.t, err)
		return rs.Status.ObservedGeneration == rs.Generation && w.endpoints() == gustoPods
	})
}

// A variant is a half-state of the one app, and what a cleanup makes of it.
type variant struct {
	name    string
	pods    int    // of each version; 0: 3
	more    string // of the traffic Service's spec
	objects string // beside it and the first version
	leave   func(*world)
	options kube.Options
	policy  cleanup.Policy
	watched []string // Services beside the app's own
	actor   func(*world, strategy.Event)
	deletes []string // in this order; nil: nothing is written
	lit     int      // how many of them are in traffic
	keeps   string
	says    string // of the newest version, where nothing is deleted
	sized   int32  // what is kept, at the end; 0: as it was
}

func variants() []variant {
	metrics := service("metrics", "app: "+webapp, "")
	preview := service("webapp-preview", "app: webapp, version: v002", "")
	failed := cleanup.Policy{RunFailed: true}
	declared := kube.Options{Services: []string{webapp}}
	return []variant{
		{name: "metrics over all pods, and the traffic Service is named", objects: metrics, watched: []string{"metrics"},
			leave: candidate("v002", "fast", gustoPods), options: declared, policy: failed, deletes: []string{"webapp-v002"}, keeps: "v001"},
		{name: "metrics over all pods, nothing is named", objects: metrics, watched: []string{"metrics"},
			leave: candidate("v002", "fast", gustoPods), policy: failed, keeps: "v001", says: "name the Services"},
		{name: "metrics over all pods, named, the enable died", objects: metrics, watched: []string{"metrics"},
			leave: lit("v002", gustoPods, 1), options: declared, policy: failed, deletes: []string{"webapp-v002"}, lit: 1, keeps: "v001"},
		{name: "a preview shows the dark one", objects: preview, options: kube.Options{Previews: []string{"webapp-preview"}},
			leave: func(w *world) {
				candidate("v002", "fast", gustoPods)(w)
				w.eventually("the preview shows it", func() bool { return w.endpointsOf("webapp-preview") == gustoPods })
			}, policy: failed, deletes: []string{"webapp-v002"}, keeps: "v001"},
		{name: "a headless Service, the deploy is stuck", more: ", clusterIP: None", leave: candidate("v002", "never", gustoPods), policy: failed,
			deletes: []string{"webapp-v002"}, keeps: "v001"},
		{name: "a headless Service, the enable died", more: ", clusterIP: None", leave: lit("v002", gustoPods, 1), policy: failed,
			deletes: []string{"webapp-v002"}, lit: 1, keeps: "v001"},
		{name: "a headless Service, the disable died", more: ", clusterIP: None", leave: unlit(gustoPods, 1),
			deletes: []string{"webapp-v001"}, lit: 1, keeps: "v002"},
		{name: "one pod, the deploy is stuck", pods: 1, leave: candidate("v002", "never", 1), policy: failed, deletes: []string{"webapp-v002"}, keeps: "v001"},
		{name: "one pod, the disable died", pods: 1, leave: unlit(1, 0), deletes: []string{"webapp-v001"}, lit: 1, keeps: "v002"},
		{name: "a rollback died, and the older one is named", leave: lit("v002", gustoPods, gustoPods),
			policy: cleanup.Policy{RunFailed: true, Keep: "webapp-v001"}, deletes: []string{"webapp-v002"}, lit: 1, keeps: "v001"},
		{name: "an autoscaler, the enable died", leave: lit("v002", gustoPods, 1), policy: failed, actor: autoscaler("v001"),
			deletes: []string{"webapp-v002"}, lit: 1, keeps: "v001", sized: autoscaled},
		{name: "an autoscaler, many have piled up", leave: func(w *world) {
			candidate("v002", "fast", gustoPods)(w)
			lit("v003", gustoPods, gustoPods)(w)
			w.flip(webapp, "v001", "", gustoPods)
			w.dark("v001")
			candidate("v004", "never", gustoPods)(w)
		}, policy: failed, actor: autoscaler("v003"), deletes: []string{"webapp-v001", "webapp-v002", "webapp-v004"}, keeps: "v003", sized: autoscaled},
	}
}

// autoscaled is what the autoscaler wants in the end.
const autoscaled = 4

// autoscaler changes the replicas of a version at every turn of the run, between
// its look and its step, and then between two others.
func autoscaler(version string) func(*world, strategy.Event) {
	sizes := []int32{5, 4, 6, 3, 5, autoscaled}
	return func(w *world, e strategy.Event) {
		size := int32(autoscaled)
		if e.Turn <= len(sizes) {
			size = sizes[e.Turn-1]
		}
		sets := w.client.AppsV1().ReplicaSets(w.ns)
		if _, ends := e.Step.(strategy.Done); ends {
			size = autoscaled
		}
		require.NoError(w.t, retry.RetryOnConflict(retry.DefaultBackoff, func() error { // status moves the version, too
			scale, err := sets.GetScale(w.t.Context(), webapp+"-"+version, metav1.GetOptions{})
			if err != nil || scale.Spec.Replicas == size {
				return err
			}
			scale.Spec.Replicas = size
			_, err = sets.UpdateScale(w.t.Context(), webapp+"-"+version, scale, metav1.UpdateOptions{})
			return err
		}))
	}
}

// clean runs a cleanup, and returns what its trace says of deletes.
func (w *world) clean(name string, o kube.Options, p cleanup.Policy, actor func(*world, strategy.Event)) (deletes []string, decisions []cleanup.Decision, err error) {
	w.t.Helper()
	o.Namespace = w.ns
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(w.t, err)
	runner := quick(c)
	runner.Trace = func(e strategy.Event) {
		w.t.Log(e)
		if d, ok := e.Step.(strategy.Delete); ok && e.Err == nil && !slices.Contains(deletes, d.Revision.Name) {
			require.NotEmpty(w.t, d.Why, "why %s is deleted", d.Revision.Name)
			deletes = append(deletes, d.Revision.Name)
		}
		if actor != nil {
			actor(w, e)
		}
	}
	p.Drain = -1
	decisions, err = cleanup.Run(w.t.Context(), runner, name, p)
	return deletes, decisions, err
}

// deleted names the objects that the audit log has a successful delete of ours of.
func (w *world) deleted() []string {
	w.t.Helper()
	var names []string
	for _, e := range w.mutating() {
		if strings.HasPrefix(e.Verb, "delete") && e.Code < 300 {
			names = append(names, e.Name)
		}
	}
	return names
}

// only waits until there is one ReplicaSet, and no pod but its n.
func (w *world) only(name string, n int) {
	w.t.Helper()
	w.eventually(fmt.Sprintf("only %s with %d pods is left", name, n), func() bool {
		sets := w.replicaSets()
		return len(sets) == 1 && strings.HasPrefix(sets[0], name+" ") && maps.Equal(w.pods(), map[string]int{name: n})
	})
}

func TestCleanupVariants(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			v.test(t)
		})
	}
}

// size is how many pods each version has.
func (v variant) size() int {
	if v.pods > 0 {
		return v.pods
	}
	return gustoPods
}

// world leaves the half-state behind.
func (v variant) world(t *testing.T) *world {
	w := newWorld(t, service(webapp, "lb-webapp: in", v.more)+v.objects+webappSet("v001", v.size(), true, "fast"))
	w.services = append([]string{webapp}, v.watched...)
	w.serve(v.size())
	v.leave(w)
	return w
}

func init() {
	tasks["cleanup variant"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		for _, v := range variants() {
			if v.name != os.Getenv(childVariant) {
				continue
			}
			c, err := open(v.options)
			if err != nil {
				return err
			}
			v.policy.Drain = -1
			_, err = cleanup.Run(ctx, quick(c), webapp, v.policy)
			return err
		}
		return fmt.Errorf("there is no variant %q", os.Getenv(childVariant))
	}
}

// The same with the process killed before and after each write, and between them.
// What an autoscaler does comes from the test's own process, so that is left out;
// and where nothing is written there is nowhere to be killed.
func TestCleanupVariantsKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, v := range variants() {
		if v.actor != nil || v.deletes == nil {
			continue
		}
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			errand{
				make: v.world, floor: v.size(),
				command: func(w *world) func(*controlplane.Proxy) *exec.Cmd {
					return w.childProcess("cleanup variant", childVariant+"="+v.name)
				},
				over: func(w *world) bool { return maps.Equal(w.pods(), map[string]int{webapp + "-" + v.keeps: v.size()}) },
			}.killedEverywhere(t)
		})
	}
}

func (v variant) test(t *testing.T) {
	n := v.size()
	w := v.world(t)
	before := w.replicaSets()
	deletes, decisions, err := w.clean(webapp, v.options, v.policy, v.actor)
	require.NoError(t, err)
	require.Equal(t, v.deletes, deletes, "what the trace says was deleted")
	require.Equal(t, v.deletes, w.deleted(), "what the audit log says was deleted")
	if v.deletes == nil {
		newest := decisions[len(decisions)-1]
		require.Equal(t, cleanup.Keep, newest.Verb, newest.String())
		require.Contains(t, newest.Why, v.says)
		require.Empty(t, w.mutating(), "writes to %s", newest.Revision.Name)
		require.Equal(t, before, w.replicaSets())
		w.held(n)
		return
	}
	require.Len(t, decisions, 1)
	require.Equal(t, webapp+"-"+v.keeps, decisions[0].Revision.Name)
	writes := slices.DeleteFunc(w.mutating(), func(e controlplane.Entry) bool { return e.Code >= 300 })
	most := len(v.deletes) + v.lit*(1+n) // a delete each, and the disable of what is in traffic
	require.LessOrEqual(t, len(writes), most, "%v", writes)
	left := n
	if v.sized > 0 {
		left = int(v.sized)
		for _, e := range w.mutating() {
			require.NotEqual(t, webapp+"-"+v.keeps, e.Name, "the autoscaler's version is written: %s", e)
		}
	}
	w.only(webapp+"-"+v.keeps, left)
	for _, s := range w.services {
		w.eventually(fmt.Sprintf("%s has %d endpoints", s, left), func() bool { return w.endpointsOf(s) == left })
	}
	w.held(n)
}

// A worker has no Service that tells which version serves: the newer one that
// never works goes, and only if its run is said to have failed.
func TestCleanupOfWorkers(t *testing.T) {
	t.Parallel()
	const workers = "workers"
	for _, ready := range []string{"crash", "never"} {
		for _, failed := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, run failed %t", ready, failed), func(t *testing.T) {
				t.Parallel()
				w := newWorld(t, gustoSet(workers, "v001", true, "fast"))
				w.started(workers, "v001", "fast", gustoPods)
				w.apply(gustoSet(workers, "v002", true, ready))
				w.started(workers, "v002", ready, gustoPods)
				older := w.podsOf(workers, "v001")
				deletes, decisions, err := w.clean(workers, kube.Options{}, cleanup.Policy{RunFailed: failed}, nil)
				require.NoError(t, err)
				if failed {
					require.Equal(t, []string{"workers-v002"}, deletes)
					require.Equal(t, deletes, w.deleted())
					w.only("workers-v001", gustoPods)
				} else {
					require.Empty(t, w.mutating(), "writes")
					require.Contains(t, decisions[1].Why, "say that it failed")
					require.Len(t, w.podsOf(workers, "v002"), gustoPods)
				}
				require.Equal(t, older, w.podsOf(workers, "v001"), "the pods of the older version")
			})
		}
	}
}
