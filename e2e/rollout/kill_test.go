// The deploying process is killed before and after each write, and at one read
// between two writes, and run again.

package rollout_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// A point is where the process is killed.
type point struct {
	kind string // "before", "after" or "between"
	nth  int    // write; between: at the first read after it
}

func (p point) String() string { return fmt.Sprintf("%s write %d", p.kind, p.nth) }

var errKilled = errors.New("killed here")

// tool is examples/redblack, told to deploy the tutorial's second version.
func (w *world) tool(proxy *controlplane.Proxy) *exec.Cmd {
	return exec.Command(tool, "-kubeconfig", proxy.Kubeconfig(), "-namespace", w.ns, "-app", app, "-manifest", w.file(second),
		"-release", "release-2", "-poll", "20ms", "-skew", "-1ns", "-bake", "0", "-drain", "-1ns", "-shrink", "1s", "-shrink-to", "1", "-stay")
}

// process runs a command against a proxy, which kills it at a point, if that has
// a kind. It reports the requests seen, a letter each, and whether the point was
// reached.
func (w *world) process(command func(*controlplane.Proxy) *exec.Cmd, p point) (string, bool) {
	w.t.Helper()
	proxy := plane.Proxy(w.t)
	cmd := command(proxy)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out

	var mu sync.Mutex // the proxy may still be at a request when the process is gone
	requests, reached, writes := "", false, 0
	kill := func(here bool) error {
		if !here || reached {
			return nil
		}
		reached = true
		_ = cmd.Process.Kill()
		return errKilled
	}
	proxy.Before(func(r *http.Request) error {
		mu.Lock()
		defer mu.Unlock()
		if strings.Contains(r.URL.Path, "subjectaccessreviews") {
			return nil
		}
		if r.Method == http.MethodGet {
			requests += "r"
			return kill(p.kind == "between" && writes == p.nth)
		}
		requests += "W"
		writes++
		return kill(p.kind == "before" && writes == p.nth)
	})
	proxy.After(func(r *http.Request, _ int) error {
		mu.Lock()
		defer mu.Unlock()
		return kill(r.Method != http.MethodGet && p.kind == "after" && writes == p.nth)
	})
	mu.Lock() // the hooks may kill it as soon as it is there
	err := cmd.Start()
	mu.Unlock()
	require.NoError(w.t, err)
	err = cmd.Wait()
	mu.Lock()
	seen, was := requests, reached
	mu.Unlock()
	if !was {
		require.NoError(w.t, err, "%s", out.String())
	}
	return seen, was
}

// end is what counts of the end: names, sequences, replicas, labels, outcomes,
// selectors, and whose pods there are.
func (w *world) end() []string {
	w.t.Helper()
	var lines []string
	object := func(name string, replicas int32, labels, annotations map[string]string) {
		lines = append(lines, fmt.Sprintf("%s seq=%s release=%s outcome=%s x%d %v", name, annotations[kube.SequenceAnnotation],
			annotations[kube.ReleaseAnnotation], annotations[kube.OutcomeAnnotation], replicas, labels))
	}
	deployments, err := w.client.AppsV1().Deployments(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, d := range deployments.Items {
		object("deployment "+d.Name, *d.Spec.Replicas, d.Spec.Template.Labels, d.Annotations)
	}
	sets, err := w.client.AppsV1().ReplicaSets(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, rs := range sets.Items {
		if metav1.GetControllerOf(&rs) == nil {
			object("replicaset "+rs.Name, *rs.Spec.Replicas, rs.Spec.Template.Labels, rs.Annotations)
		}
	}
	services, err := w.client.CoreV1().Services(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	for _, s := range services.Items {
		lines = append(lines, fmt.Sprintf("service %s selects %v", s.Name, s.Spec.Selector))
	}
	pods, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	count := map[string]int{}
	for _, pod := range pods.Items {
		if pod.DeletionTimestamp == nil {
			delete(pod.Labels, "pod-template-hash")
			count[fmt.Sprint(pod.Labels)]++
		}
	}
	for labels, n := range count {
		lines = append(lines, fmt.Sprintf("%d pods with %s", n, labels))
	}
	slices.Sort(lines)
	return lines
}

// creates counts what cutover has created here.
func (w *world) creates() int {
	w.t.Helper()
	n := 0
	for _, e := range w.mutating() {
		if e.Verb == "create" && e.Code == http.StatusCreated {
			n++
		}
	}
	return n
}

// mutating returns the writes of cutover in this namespace.
func (w *world) mutating() []controlplane.Entry {
	w.t.Helper()
	entries, err := plane.Audit("")
	require.NoError(w.t, err)
	var ours []controlplane.Entry
	for _, e := range controlplane.Mutating(entries) {
		if e.Namespace == w.ns && strings.HasSuffix(e.UserAgent, "/cutover") {
			ours = append(ours, e)
		}
	}
	return ours
}

// An errand is something that a process does in a world, which is killed at
// every point of it.
type errand struct {
	make    func(*testing.T) *world // the world it begins in, which is watched
	floor   int
	command func(*world) func(*controlplane.Proxy) *exec.Cmd
	over    func(*world) bool // controllers have followed the end
	brief   bool              // only after each write, which nobody has answered; at every point with LONG=1
}

// serving makes a world of objects whose Services serve with so many endpoints.
func serving(objects string, n int, services ...string) func(*testing.T) *world {
	return func(t *testing.T) *world {
		w := newWorld(t, objects)
		w.services = services
		w.serve(n)
		return w
	}
}

// undisturbed runs the errand until nobody was in its way: a controller that
// writes a status between a read and a write of ours makes a conflict, and so a
// run with more writes than any other.
func (e errand) undisturbed(t *testing.T) (w *world, requests string) {
	for range 10 {
		w = e.make(t)
		requests, _ = w.process(e.command(w), point{})
		if !slices.ContainsFunc(w.mutating(), func(e controlplane.Entry) bool { return e.Code >= 300 }) {
			return w, requests
		}
	}
	t.Fatal("ten runs, and a conflict in each")
	return nil, ""
}

// killedEverywhere runs the errand once, and then once for each point: killed
// there, run again, and at the same end.
func (e errand) killedEverywhere(t *testing.T) {
	reference, requests := e.undisturbed(t)
	reference.held(e.floor)
	reference.eventually("controllers have followed", func() bool { return e.over(reference) })
	want, creates := reference.end(), reference.creates()

	audited := len(reference.mutating())
	points, gaps := points(requests)
	require.Equal(t, audited, strings.Count(requests, "W"), "the proxy and the audit log count the same writes")
	require.Equal(t, 2*audited+gaps, len(points))
	require.NotEmpty(t, points)
	t.Logf("%d points: before and after %d writes, and in %d gaps with reads; the reference ends as\n%s",
		len(points), audited, gaps, strings.Join(want, "\n"))

	for _, p := range points {
		if e.brief && p.kind != "after" && os.Getenv("LONG") == "" {
			continue
		}
		t.Run(p.String(), func(t *testing.T) {
			t.Parallel()
			w := e.killed(t, p)
			again, _ := w.process(e.command(w), point{})
			w.held(e.floor)
			var end []string
			w.eventually("the end of the reference run", func() bool { end = w.end(); return slices.Equal(want, end) })
			require.Equal(t, creates, w.creates(), "nothing is created twice")
			t.Logf("the second run made %d writes", strings.Count(again, "W"))
		})
	}
}

// killed makes a world in which the errand was killed at a point. Every run has all
// the writes; whether one reads between two of them depends on when the controllers
// follow, and so that is tried more than once.
func (e errand) killed(t *testing.T, p point) *world {
	for range 10 {
		w := e.make(t)
		_, reached := w.process(e.command(w), p)
		if reached {
			return w
		}
		require.Equal(t, "between", p.kind, "the process was never there")
	}
	t.Fatal("ten runs, and no read between these writes in any")
	return nil
}

func TestRedBlackKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: serving(tutorial, 2, app), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.tool },
		over:    func(w *world) bool { return w.pods()["imageresizer-v001"] == 1 },
	}.killedEverywhere(t)
}

// points lists where to kill, and counts the gaps between writes that have a
// read in them.
func points(requests string) (all []point, gaps int) {
	runs := strings.Split(requests, "W")
	writes := len(runs) - 1
	for n := 1; n <= writes; n++ {
		all = append(all, point{"before", n}, point{"after", n})
		if n < writes && runs[n] != "" {
			all = append(all, point{"between", n})
			gaps++
		}
	}
	return all, gaps
}
