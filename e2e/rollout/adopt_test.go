// Taking over from a Deployment and a Service that know nothing of versions: the
// first release, its failures, its undo, and what others do meanwhile.

package rollout_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// plain is what people have who have never heard of versions.
const plain = plainService + plainDeployment

// insider is a second Service that brings the same pods traffic.
var insider = strings.ReplaceAll(plainService, "name: web", "name: insider")

const plainService = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web}
  ports: [{port: 8080}]
---`

const plainDeployment = `
apiVersion: apps/v1
kind: Deployment
metadata: {name: web, labels: {app: web}}
spec:
  replicas: 3
  selector: {matchLabels: {app: web}}
  template:
    metadata:
      labels: {app: web}
      annotations: {cutover.test/ready: slow, cutover.test/ready-after: 200ms}
    spec: {terminationGracePeriodSeconds: 1, containers: [{name: web, image: "example/web:1"}]}
`

// adoptOptions take the Deployment over into revisions of a kind.
func adoptOptions(kind kube.Kind) kube.Options {
	return kube.Options{Kind: kind, Traffic: kube.Selector, Services: []string{"web"}}
}

// kinds are what the Deployment can be taken over into.
var kinds = []kube.Kind{kube.Deployment, kube.ReplicaSet}

func newPlain(t *testing.T, kind kube.Kind) (*world, *kube.Cluster) {
	w := serving(plain, 3, "web")(t)
	o := adoptOptions(kind)
	o.Namespace = w.ns
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(t, err)
	return w, c
}

// adopt deploys the Deployment's own manifest with another image.
func adopt(ctx context.Context, c cluster.Cluster, release string, s strategy.Strategy, trace func(strategy.Event)) error {
	return adoptEdited(ctx, c, release, s, trace, func(*cluster.Target) {})
}

func adoptEdited(ctx context.Context, c cluster.Cluster, release string, s strategy.Strategy, trace func(strategy.Event), edit func(*cluster.Target)) error {
	target, err := kube.Target([]byte(plainDeployment), "web=example/web:"+release)
	if err != nil {
		return err
	}
	target.Release = release
	edit(&target)
	runner := quick(c)
	if trace != nil {
		runner.Trace = trace
	}
	_, err = runner.Run(ctx, "web", target, s)
	return err
}

// warm keeps the old side.
var warm = strategy.BlueGreen{Drain: -1}

const childKind = "CUTOVER_E2E_KIND" // of the revisions to come

func init() {
	child := func(s strategy.Strategy, expects strategy.Kind) func(context.Context, func(kube.Options) (*kube.Cluster, error)) error {
		return func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
			kind := kube.Deployment
			if os.Getenv(childKind) == kube.ReplicaSet.String() {
				kind = kube.ReplicaSet
			}
			c, err := open(adoptOptions(kind))
			if err != nil {
				return err
			}
			err = adopt(ctx, c, "2", s, nil)
			if abort := (*strategy.AbortError)(nil); errors.As(err, &abort) && abort.Kind == expects {
				return nil
			}
			return err
		}
	}
	tasks["adopt"] = child(strategy.BlueGreen{Drain: -1, Keep: strategy.Retention{Shrink: time.Second}}, 0)
	tasks["adopt, unfit"] = child(strategy.BlueGreen{Drain: -1, Before: tested{health.Fail}}, strategy.Failed)
	tasks["adopt, bad"] = child(strategy.BlueGreen{Drain: -1, After: tested{health.Fail}}, strategy.Failed)
}

// sides sees which sides have ready endpoints, at every revision of the Service's
// slices.
type sides struct {
	mu     sync.Mutex
	slices map[string]*discoveryv1.EndpointSlice
	both   []string // endpoints, when there were some of both
}

// watchSides begins to watch.
func (w *world) watchSides() *sides {
	w.t.Helper()
	api := w.client.DiscoveryV1().EndpointSlices(w.ns)
	list, err := api.List(w.t.Context(), metav1.ListOptions{LabelSelector: ofService("web")})
	require.NoError(w.t, err)
	s := &sides{slices: map[string]*discoveryv1.EndpointSlice{}}
	for i := range list.Items {
		s.slices[list.Items[i].Name] = &list.Items[i]
	}
	events, err := api.Watch(w.t.Context(), metav1.ListOptions{LabelSelector: ofService("web"), ResourceVersion: list.ResourceVersion})
	require.NoError(w.t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range events.ResultChan() {
			if slice, ok := event.Object.(*discoveryv1.EndpointSlice); ok {
				s.saw(slice)
			}
		}
	}()
	w.t.Cleanup(func() { events.Stop(); <-ended })
	return s
}

func (s *sides) saw(slice *discoveryv1.EndpointSlice) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.slices[slice.Name] = slice
	count := map[string]int{}
	for _, one := range s.slices {
		for _, e := range one.Endpoints {
			if e.Conditions.Ready == nil || *e.Conditions.Ready {
				count[side(e.TargetRef.Name)]++
			}
		}
	}
	if len(count) > 1 {
		s.both = append(s.both, fmt.Sprint(count))
	}
}

// side is whose a pod is, by its name.
func side(pod string) string {
	if strings.HasPrefix(pod, "web-v0") {
		return "new"
	}
	return "old"
}

// apart requires that the sides have never had endpoints together.
func (s *sides) apart(w *world) {
	w.t.Helper()
	w.held(0) // another watch of the same has caught up
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Empty(w.t, s.both, "endpoints of Service web")
}

// asBefore requires that the Service and its Deployment are as the user made them.
func (w *world) asBefore() {
	w.t.Helper()
	require.Equal(w.t, map[string]string{"app": "web"}, w.selects())
	d, err := w.client.AppsV1().Deployments(w.ns).Get(w.t.Context(), "web", metav1.GetOptions{})
	require.NoError(w.t, err)
	require.Equal(w.t, map[string]string{"app": "web"}, d.Labels)
	require.Equal(w.t, int32(3), *d.Spec.Replicas)
	w.eventually("the old one serves alone", func() bool { return w.endpoints() == 3 && w.podsAt("old") == 3 && w.podsAt("new") == 0 })
}

func (w *world) podsAt(which string) int {
	w.t.Helper()
	n := 0
	for _, line := range w.kubectl("get", "pods", "--no-headers") {
		if side(line) == which {
			n++
		}
	}
	return n
}

// eachKind runs a test with ReplicaSets and with Deployments to come.
func eachKind(t *testing.T, do func(t *testing.T, kind kube.Kind)) {
	t.Parallel()
	for _, kind := range kinds {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			do(t, kind)
		})
	}
}

func TestAdopt(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		both := w.watchSides()
		require.NoError(t, adopt(t.Context(), c, "2", warm, nil))
		plural := kind.String()
		require.Equal(t, map[string]int{
			"create " + strings.ToLower(plural) + "s": 1, "patch services": 2, "patch " + strings.ToLower(plural) + "s": 2,
		}, controlplane.Count(w.mutating()), "create without pods, pin, raise, switch, good")
		require.Equal(t, map[string]string{"app": "web", kube.RevisionLabel: "web-v001"}, w.selects())
		require.Equal(t, 3, w.podsAt("old"), "they stay warm")
		both.apart(w)

		require.NoError(t, adopt(t.Context(), c, "3", strategy.BlueGreen{Drain: -1}, nil))
		require.Equal(t, map[string]string{"app": "web", kube.RevisionLabel: "web-v002"}, w.selects())
		w.eventually("the old Deployment is scaled down like any other revision", func() bool { return w.podsAt("old") == 0 })
		w.held(3)
	})
}

func TestAdoptGivenUpBeforeTraffic(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		both := w.watchSides()
		err := adopt(t.Context(), c, "2", strategy.BlueGreen{Drain: -1, Before: tested{health.Fail}}, nil)
		require.ErrorContains(t, err, "test.sh expects ok")
		w.asBefore()
		both.apart(w)
		w.held(3)

		require.NoError(t, adopt(t.Context(), c, "3", warm, nil), "the next release")
		both.apart(w)
		w.held(3)
	})
}

func TestAdoptGivenUpInTraffic(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		both := w.watchSides()
		err := adopt(t.Context(), c, "2", strategy.BlueGreen{Drain: -1, After: tested{health.Fail}}, nil)
		require.ErrorContains(t, err, "test.sh expects ok")
		w.asBefore()
		both.apart(w)
		w.held(3)
	})
}

// Each of two Services is kept, switched, put back and opened in writes of its own.
func TestAdoptTwoServices(t *testing.T) {
	t.Parallel()
	w := serving(insider+plain, 3, "web", "insider")(t)
	both := w.watchSides()
	o := adoptOptions(kube.ReplicaSet)
	o.Namespace, o.Services = w.ns, w.services
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(t, err)
	err = adopt(t.Context(), c, "2", strategy.BlueGreen{Drain: -1, After: tested{health.Fail}}, nil)
	require.ErrorContains(t, err, "test.sh expects ok")
	require.Equal(t, 8, controlplane.Count(w.mutating())["patch services"])
	w.asBefore()
	both.apart(w)
	w.held(3)
}

func TestAdoptUndone(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		both := w.watchSides()
		require.NoError(t, adopt(t.Context(), c, "2", strategy.BlueGreen{Drain: -1, Keep: strategy.Retention{Shrink: time.Second}}, nil))
		w.eventually("the old one has no pods", func() bool { return w.podsAt("old") == 0 })
		_, err := quick(c).Run(t.Context(), "web", cluster.Target{Release: "2"}, strategy.Undo(warm, "errors"))
		require.NoError(t, err)
		w.asBefore()
		both.apart(w)
		w.held(3)
	})
}

func TestAdoptKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		task     string
		kind     kube.Kind
		old, new int // pods at the end
	}{
		{"adopt", kube.Deployment, 0, 3},
		{"adopt", kube.ReplicaSet, 0, 3},
		{"adopt, unfit", kube.ReplicaSet, 3, 0},
		{"adopt, bad", kube.Deployment, 3, 0},
	} {
		t.Run(c.task+" "+c.kind.String(), func(t *testing.T) {
			errand{
				make: newApart, floor: 3,
				command: func(w *world) func(*controlplane.Proxy) *exec.Cmd {
					return w.childProcess(c.task, childKind+"="+c.kind.String())
				},
				over:  func(w *world) bool { return w.podsAt("old") == c.old && w.podsAt("new") == c.new },
				brief: true,
			}.killedEverywhere(t)
		})
	}
}

// newApart is a world in which no two sides may ever have endpoints together.
func newApart(t *testing.T) *world {
	w := serving(plain, 3, "web")(t)
	both := w.watchSides()
	t.Cleanup(func() {
		both.mu.Lock()
		defer both.mu.Unlock()
		require.Empty(t, both.both, "endpoints of Service web")
	})
	return w
}

// rollOut changes the template of the old Deployment, whose new pods get ready as
// told.
func (w *world) rollOut(image, ready string) {
	w.t.Helper()
	w.kubectl("patch", "deployment", "web", "-p", fmt.Sprintf(`{"spec":{"template":{"metadata":{"annotations":{%q:%q,%q:"2s"}},"spec":{"containers":[{"name":"web","image":%q}]}}}}`,
		controlplane.ReadyAnnotation, ready, controlplane.ReadyAfterAnnotation, image))
}

// after does something once, when a step has been taken.
func after(t *testing.T, step string, do func()) func(strategy.Event) {
	before := ""
	return func(e strategy.Event) {
		t.Log(e)
		if strings.HasPrefix(before, step) && do != nil {
			do()
			do = nil
		}
		if e.Err == nil {
			before = fmt.Sprint(e.Step)
		}
	}
}

// slowly makes the new pods take longer to get ready than a rollout of the old ones.
func slowly(target *cluster.Target) {
	target.Template = []byte(strings.Replace(string(target.Template), "200ms", "20s", 1))
}

// The time that the first new pod takes to get ready is enough to notice, and to open
// the Service again before an old one goes. Left alone, the Service would be empty
// long before the next revision could serve.
func TestAdoptWhileItIsRolledOut(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		for _, step := range []string{"create web-v001", "route service/web to web:", "put web-v001 x3 off:"} {
			t.Run(step, func(t *testing.T) {
				w, c := newPlain(t, kind)
				both := w.watchSides()
				err := adoptEdited(t.Context(), c, "2", warm, after(t, step, func() { w.rollOut("example/web:hotfix", "never") }), slowly)
				w.eventually("the rollout is over", func() bool {
					w.kubectl("annotate", "pods", "--all", "--overwrite", controlplane.ReadyAnnotation+"=now") // no pod of it was before the run had ended
					return slices.Equal(w.kubectl("get", "pods", "--no-headers", "-l", kube.RevisionLabel+"!=web-v001", "-o", "custom-columns=:.spec.containers[0].image"),
						[]string{"example/web:hotfix", "example/web:hotfix", "example/web:hotfix"})
				})
				w.held(3)
				both.apart(w)
				require.Error(t, err)
				w.asBefore()
			})
		}
	})
}

// A rollout that is under way, or stuck, is found before anything is made.
func TestAdoptIsRefusedMidRollout(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		w.rollOut("example/web:stuck", "never")
		w.eventually("a pod of the new template", func() bool { return w.podsAt("old") == 4 })
		err := adopt(t.Context(), c, "2", warm, nil)
		var abort *strategy.AbortError
		require.ErrorAs(t, err, &abort)
		require.Equal(t, strategy.Refused, abort.Kind)
		require.ErrorContains(t, err, "Deployment web: it is being rolled out, and has pods of two templates")
		require.Empty(t, w.mutating())
		w.kubectl("rollout", "undo", "deployment/web")
		w.eventually("it is rolled back", func() bool { return w.podsAt("old") == 3 })
		require.NoError(t, adopt(t.Context(), c, "2", warm, nil))
		w.held(3)
	})
}

// A run that died leaves its pin. Whoever rolls the Deployment out then empties the
// Service: that is what a pin costs. Running the release again mends it at once.
func TestAdoptAfterADeadRunAndARollout(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		for _, p := range []point{{"after", 2}, {"after", 3}} { // the pin; the raise
			t.Run(p.String(), func(t *testing.T) {
				w, c := newPlain(t, kind)
				both := w.watchSides()
				_, reached := w.process(w.childProcess("adopt", childKind+"="+kind.String()), p)
				require.True(t, reached)
				require.NotEmpty(t, w.selects()["pod-template-hash"])
				look, err := c.Observe(t.Context(), "web")
				require.NoError(t, err)
				found := cleanup.Diagnose("web", look, cleanup.Policy{})
				require.Contains(t, found.Findings, cleanup.Pinned)
				require.Contains(t, found.String(), "pinned: service/web: it selects the pods that web has now, and empties if the template of web is changed; "+
					"release 2 is undecided: if its run has died, run it again, or undo it, and the pin goes")

				w.rollOut("example/web:hotfix", "slow")
				w.eventually("the Service is empty", func() bool { return w.endpoints() == 0 })
				w.eventually("the rollout is over", func() bool { return w.podsAt("old") == 3 })
				look, err = c.Observe(t.Context(), "web")
				require.NoError(t, err)
				require.Contains(t, cleanup.Diagnose("web", look, cleanup.Policy{}).String(), "it selects no pod that any revision makes now")

				mended := 0
				require.NoError(t, adopt(t.Context(), c, "2", warm, func(e strategy.Event) {
					if s, ok := e.Step.(strategy.SetRoute); ok && e.Err == nil && s.Route.Weights["web-v001"] > 0 {
						mended = e.Input.State.Serving()
					}
				}))
				require.Equal(t, 3, mended, "endpoints of the old Deployment before traffic moves")
				require.Equal(t, map[string]string{"app": "web", kube.RevisionLabel: "web-v001"}, w.selects())
				both.apart(w)
			})
		}
	})
}

// A tool that keeps the Service elsewhere, and insists, takes the pin off. An
// ordinary kubectl apply leaves it.
func TestAdoptAgainstATool(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		w, c := newPlain(t, kind)
		both := w.watchSides()
		service := w.file(strings.TrimSuffix(plainService, "---"))
		err := adoptEdited(t.Context(), c, "2", warm, after(t, "put web-v001 x3 off:", func() {
			w.kubectl("apply", "-f", service)
			require.NotEmpty(t, w.selects()["pod-template-hash"], "kubectl apply leaves what it does not know")
			w.kubectl("apply", "--server-side", "--force-conflicts", "--field-manager", reverter, "-f", service)
			require.Equal(t, map[string]string{"app": "web"}, w.selects())
		}), slowly)
		require.ErrorContains(t, err, "service/web was kept to web, and somebody has opened it to every revision")
		w.asBefore()
		both.apart(w)
		w.held(3)
		look, err := c.Observe(t.Context(), "web")
		require.NoError(t, err)
		require.Contains(t, strings.Join(look.Warnings, "\n"), "its selector is also written by "+reverter)
	})
}

func TestAdoptWarnsOfAnAutoscaler(t *testing.T) {
	t.Parallel()
	w, c := newPlain(t, kube.Deployment)
	w.kubectl("autoscale", "deployment", "web", "--min=4", "--max=6")
	w.eventually("it is scaled", func() bool { return w.podsAt("old") == 4 })
	look, err := c.Observe(t.Context(), "web")
	require.NoError(t, err)
	require.Contains(t, strings.Join(look.Warnings, "\n"), "Deployment web: an autoscaler writes its replicas")
}

// Nobody has said that the Service brings the app its traffic.
func TestAdoptNeedsADeclaredService(t *testing.T) {
	t.Parallel()
	w, _ := newPlain(t, kube.Deployment)
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns, Kind: kube.Deployment, Traffic: kube.Selector})
	require.NoError(t, err)
	require.ErrorContains(t, adopt(t.Context(), c, "2", warm, nil), "name it in Options.Services")
	require.Empty(t, w.mutating())
}
