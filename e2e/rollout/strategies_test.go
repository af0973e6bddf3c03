// Strategies that replace, roll and climb: upgrade, both ways back, and a newer
// release half-way, on a real control plane. What they promise is judged at every
// revision of every object.

package rollout_test

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// frontage is the Service of an app, by the label that its pods carry in traffic.
const frontage = `
apiVersion: v1
kind: Service
metadata: {name: APP}
spec:
  selector: {SELECTS}
  ports: [{port: 8080}]
---`

// stock is a version of an app. Its pods take a moment to get ready, and another
// one to go.
const stock = `
apiVersion: apps/v1
kind: KIND
metadata: {name: APP-v001}
spec:
  replicas: REPLICAS
  selector: {matchLabels: {app: APP, version: "1"}}
  template:
    metadata:
      labels: {LABELS}
      annotations: {cutover.test/ready: slow, cutover.test/ready-after: READY, cutover.test/terminate: slow, cutover.test/terminate-after: 300ms}
    spec: {containers: [{name: main, image: "example/APP:1"}]}
`

// A shop is how an app is laid out before it is deployed to.
type shop struct {
	app      string
	kind     kube.Kind
	traffic  kube.Mode
	replicas int
	ready    string // how long its pods take to get ready
	worker   bool   // no Service
}

func (s shop) options() kube.Options {
	o := kube.Options{Kind: s.kind, Traffic: s.traffic}
	if s.traffic == kube.Selector {
		o.Services = []string{s.app}
	}
	return o
}

func (s shop) objects() string {
	if s.worker {
		return s.manifest("1")
	}
	return s.filled(frontage) + s.manifest("1")
}

// manifest is that of one version.
func (s shop) manifest(version string) string {
	return strings.NewReplacer(`version: "1"`, `version: "`+version+`"`, s.app+":1", s.app+":"+version).Replace(s.filled(stock))
}

func (s shop) filled(text string) string {
	labels := fmt.Sprintf(`app: %s, version: "1"`, s.app)
	selects := labels
	if s.traffic == kube.Labels {
		selects = "load-balancer-" + s.app + `: "true"`
		if !s.worker {
			labels += ", " + selects
		}
	}
	return strings.NewReplacer("KIND", s.kind.String(), "REPLICAS", fmt.Sprint(s.replicas), "READY", s.ready,
		"LABELS", labels, "SELECTS", selects, "APP:1", s.app+":1", "APP", s.app).Replace(text)
}

// target is the release of one version, sized by what serves.
func (s shop) target(version string) (cluster.Target, error) {
	target, err := kube.Target([]byte(s.manifest(version)))
	target.Release, target.Replicas = version, 0
	return target, err
}

// A promise is what a run keeps at every moment.
type promise struct {
	floor   int  // endpoints
	ceiling int  // replicas wanted of all revisions together; 0: any number
	apart   bool // no pods of two versions, terminating ones counted
}

// A way is a strategy, and what it promises for four replicas.
type way struct {
	name    string
	with    func(during, after health.Gate) strategy.Strategy // asked half-way, and at the end
	kind    kube.Kind
	traffic kube.Mode
	promise
	third int  // the ceiling while a third release takes over from a second one half-way; 0: any
	warm  int  // pods of the old version that stay
	final bool // there is no way back from a good release
}

func rolling(surge, unavailable strategy.Amount) func(during, after health.Gate) strategy.Strategy {
	return func(during, after health.Gate) strategy.Strategy {
		return strategy.Rolling{Surge: surge, Unavailable: unavailable, Between: during, After: after}
	}
}

func canary(during, after health.Gate) strategy.Strategy {
	return strategy.Canary{Stages: climbs(beside{during}), Baseline: true, After: after, Drain: -1}
}

// lonely is a canary without a baseline: where a Service selects by the version's
// labels, it would select one.
func lonely(during, after health.Gate) strategy.Strategy {
	return strategy.Canary{Stages: climbs(during), After: after, Drain: -1}
}

func climbs(during health.Gate) []strategy.Stage {
	return []strategy.Stage{{Percent: 25}, {Percent: 50, Gate: during}}
}

var ways = []way{
	{name: "recreate", promise: promise{floor: 0, ceiling: 4, apart: true}, third: 4,
		with: func(during, after health.Gate) strategy.Strategy {
			return strategy.Recreate{Before: during, After: after}
		}},
	{name: "recreate, Deployments", kind: kube.Deployment, traffic: kube.Selector,
		promise: promise{floor: 0, ceiling: 4, apart: true}, third: 4,
		with: func(during, after health.Gate) strategy.Strategy {
			return strategy.Recreate{Before: during, After: after}
		}},
	{name: "rolling", promise: promise{floor: 3, ceiling: 5}, third: 5, with: rolling("", "")},
	{name: "rolling, no surge", promise: promise{floor: 2, ceiling: 4}, third: 4, with: rolling("0", "50%")},
	{name: "rolling, by a selector", traffic: kube.Selector, promise: promise{floor: 3, ceiling: 5}, third: 5, with: rolling("", "")},
	{name: "rolling, Deployments", kind: kube.Deployment, traffic: kube.Selector, promise: promise{floor: 4, ceiling: 5}, third: 5, with: rolling("1", "0")},
	{name: "canary", promise: promise{floor: 3, ceiling: 4 + 2 + 2}, third: 4 + 2 + 2 + 2, with: canary},
	{name: "canary, by a selector", traffic: kube.Selector, promise: promise{floor: 3, ceiling: 4 + 2}, third: 4 + 2, with: lonely},
	{name: "canary, Deployments", kind: kube.Deployment, traffic: kube.Selector, promise: promise{floor: 3, ceiling: 4 + 2}, third: 4 + 2, with: lonely},
	{name: "red-black in stages", promise: promise{floor: 4, ceiling: 4 + 4}, warm: 4,
		with: func(during, after health.Gate) strategy.Strategy {
			return strategy.RedBlack{Stages: climbs(during), After: after, Drain: -1}
		}},
	{name: "red-black in stages, highlander", promise: promise{floor: 4, ceiling: 4 + 4}, final: true,
		with: func(during, after health.Gate) strategy.Strategy {
			return strategy.RedBlack{Stages: climbs(during), After: after, Drain: -1, Highlander: true}
		}},
}

// halfway is a gate that has nothing against a revision until so many pods of it
// are ready, and then says what it is to say.
type halfway struct {
	pods    int
	verdict health.Verdict
	asked   chan struct{} // has one when it was asked there

	served int // endpoints of the revision at the first such question
}

func at(pods int, verdict health.Verdict) *halfway {
	return &halfway{pods: pods, verdict: verdict, asked: make(chan struct{}, 1)}
}

func (h *halfway) Check(_ context.Context, look health.Look) (health.Verdict, string, error) {
	if max(look.Revision.Ready, look.State.ReliedOn(look.Revision.Name)) < h.pods { // a status may lag behind endpoints
		return health.Pass, "", nil
	}
	select {
	case h.asked <- struct{}{}:
		h.served = look.State.ReliedOn(look.Revision.Name)
	default:
	}
	return h.verdict, "too many errors", nil
}

// beside is a gate that fails a canary with no baseline of its size in traffic.
type beside struct{ then health.Gate }

func (b beside) Check(ctx context.Context, look health.Look) (health.Verdict, string, error) {
	if n := look.State.ReliedOn(look.Baseline.Name); n != look.Revision.Replicas || look.Baseline.Arm == "" {
		return health.Fail, fmt.Sprintf("%d endpoints of a baseline beside %d of the canary", n, look.Revision.Replicas), nil
	}
	if b.then == nil {
		return health.Pass, "", nil
	}
	return b.then.Check(ctx, look)
}

// A ledger sees every revision of the objects of one kind.
type ledger struct {
	what string
	list func() (runtime.Object, error)
	law  func(now map[string]runtime.Object) (figure int, broken string)

	mu     sync.Mutex
	now    map[string]runtime.Object
	most   int      // of the law's figure
	broken []string // what the law was broken by
}

// keep begins a ledger, whose law is judged until the test ends.
func (w *world) keep(l *ledger, watching func(rv string) (watch.Interface, error)) {
	w.t.Helper()
	list, err := l.list()
	require.NoError(w.t, err)
	l.now = map[string]runtime.Object{}
	objects, err := meta.ExtractList(list)
	require.NoError(w.t, err)
	for _, o := range objects {
		object, err := meta.Accessor(o)
		require.NoError(w.t, err)
		l.now[object.GetName()] = o
	}
	l.judge()
	of, err := meta.ListAccessor(list)
	require.NoError(w.t, err)
	events, err := watching(of.GetResourceVersion())
	require.NoError(w.t, err)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for event := range events.ResultChan() {
			l.saw(event)
		}
	}()
	w.t.Cleanup(func() { events.Stop(); <-ended })
}

func (l *ledger) saw(event watch.Event) {
	object, err := meta.Accessor(event.Object)
	if err != nil {
		return // the watch has ended; it will not catch up
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.now[object.GetName()] = event.Object
	if event.Type == watch.Deleted {
		delete(l.now, object.GetName())
	}
	l.judge()
}

// judge asks the law about what there is.
func (l *ledger) judge() {
	n, broken := l.law(l.now)
	l.most = max(l.most, n)
	if broken != "" {
		l.broken = append(l.broken, broken)
	}
}

// caughtUp reports that the ledger has seen what there is.
func (l *ledger) caughtUp(t *testing.T) bool {
	list, err := l.list()
	require.NoError(t, err)
	objects, err := meta.ExtractList(list)
	require.NoError(t, err)
	l.mu.Lock()
	defer l.mu.Unlock()
	return maps.Equal(versions(t, objects), versions(t, mapValues(l.now)))
}

func mapValues(now map[string]runtime.Object) (all []runtime.Object) {
	for _, o := range now {
		all = append(all, o)
	}
	return all
}

func versions(t *testing.T, objects []runtime.Object) map[string]string {
	seen := map[string]string{}
	for _, o := range objects {
		object, err := meta.Accessor(o)
		require.NoError(t, err)
		seen[object.GetName()] = object.GetResourceVersion()
	}
	return seen
}

// kept waits until the ledgers have caught up, and requires that no law was broken.
func (w *world) kept(ledgers []*ledger) {
	w.t.Helper()
	for _, l := range ledgers {
		w.eventually("the watch of "+l.what+" has caught up", func() bool { return l.caughtUp(w.t) })
		l.mu.Lock()
		require.Empty(w.t, l.broken, "%s, at every revision", l.what)
		w.t.Logf("%s: %d at most", l.what, l.most)
		l.mu.Unlock()
	}
}

// replicasOf sums the replicas that are wanted of an app.
func (w *world) replicasOf(s shop, ceiling int) *ledger {
	ctx := context.WithoutCancel(w.t.Context())
	sets, deployments := w.client.AppsV1().ReplicaSets(w.ns), w.client.AppsV1().Deployments(w.ns)
	l := &ledger{what: "replicas wanted of " + s.app}
	l.law = func(now map[string]runtime.Object) (int, string) {
		sum, by := 0, []string{}
		for name, o := range now {
			if n := wanted(o); strings.HasPrefix(name, s.app+"-") && n > 0 {
				sum += n
				by = append(by, fmt.Sprintf("%s x%d", name, n))
			}
		}
		if ceiling > 0 && sum > ceiling {
			return sum, fmt.Sprintf("%d: %v", sum, by)
		}
		return sum, ""
	}
	if s.kind == kube.Deployment {
		l.list = func() (runtime.Object, error) { return deployments.List(ctx, metav1.ListOptions{}) }
		w.keep(l, func(rv string) (watch.Interface, error) {
			return deployments.Watch(ctx, metav1.ListOptions{ResourceVersion: rv})
		})
		return l
	}
	l.list = func() (runtime.Object, error) { return sets.List(ctx, metav1.ListOptions{}) }
	w.keep(l, func(rv string) (watch.Interface, error) {
		return sets.Watch(ctx, metav1.ListOptions{ResourceVersion: rv})
	})
	return l
}

func wanted(o runtime.Object) int {
	switch o := o.(type) {
	case *appsv1.ReplicaSet:
		return int(*o.Spec.Replicas)
	case *appsv1.Deployment:
		return int(*o.Spec.Replicas)
	}
	panic(fmt.Sprintf("%T has no replicas", o))
}

// versionsOf sees the pods of an app: how many versions have some, and how many are
// ready.
func (w *world) versionsOf(s shop, p promise) *ledger {
	ctx := context.WithoutCancel(w.t.Context())
	pods := w.client.CoreV1().Pods(w.ns)
	l := &ledger{what: "versions of " + s.app + " with pods"}
	l.list = func() (runtime.Object, error) { return pods.List(ctx, metav1.ListOptions{}) }
	l.law = func(now map[string]runtime.Object) (int, string) {
		by, ready := map[string]int{}, 0
		for name, o := range now {
			if pod := o.(*corev1.Pod); strings.HasPrefix(name, s.app+"-") {
				by[pod.Spec.Containers[0].Image]++
				ready += readyPod(pod)
			}
		}
		switch {
		case p.apart && len(by) > 1:
			return len(by), fmt.Sprintf("pods side by side: %v", by)
		case s.worker && ready < p.floor:
			return len(by), fmt.Sprintf("%d ready pods: %v", ready, by)
		}
		return len(by), ""
	}
	w.keep(l, func(rv string) (watch.Interface, error) {
		return pods.Watch(ctx, metav1.ListOptions{ResourceVersion: rv})
	})
	return l
}

func readyPod(pod *corev1.Pod) int {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue && pod.DeletionTimestamp == nil {
			return 1
		}
	}
	return 0
}

// premises are a shop that serves, and is judged.
type premises struct {
	*world
	shop
	promise
	cluster *kube.Cluster
	ledgers []*ledger
}

func open(t *testing.T, s shop, p promise) *premises {
	t.Helper()
	w := serving(s.objects(), s.replicas, s.app)(t)
	o := s.options()
	o.Namespace = w.ns
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(t, err)
	return &premises{w, s, p, c, []*ledger{w.replicasOf(s, p.ceiling), w.versionsOf(s, p)}}
}

func (w way) open(t *testing.T) *premises {
	t.Helper()
	return open(t, shop{app: "shop", kind: w.kind, traffic: w.traffic, replicas: 4, ready: "200ms"}, w.promise)
}

// runner logs each line once.
func (w *world) runner(c cluster.Cluster) strategy.Runner {
	r := quick(c)
	last := ""
	r.Trace = func(e strategy.Event) {
		if line := e.App + ": " + e.String(); line != last {
			w.t.Log(line)
			last = line
		}
	}
	return r
}

func (p *premises) deploy(version string, s strategy.Strategy) error {
	p.t.Helper()
	target, err := p.target(version)
	require.NoError(p.t, err)
	_, err = p.runner(p.cluster).Run(p.t.Context(), p.app, target, s)
	return err
}

// images counts pods that are not terminating, or ready endpoints, by version.
func (w *world) images(s shop) (pods, serve map[string]int) {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{})
	require.NoError(w.t, err)
	pods, serve = map[string]int{}, map[string]int{}
	version := map[string]string{}
	for _, pod := range list.Items {
		if image, of := strings.CutPrefix(pod.Spec.Containers[0].Image, "example/"+s.app+":"); of {
			pods[image]++
			version[pod.Name] = image
			if s.worker {
				serve[image] += readyPod(&pod)
			}
		}
	}
	if s.worker {
		return pods, serve
	}
	slices, err := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: ofService(s.app)})
	require.NoError(w.t, err)
	for _, slice := range slices.Items {
		for _, e := range slice.Endpoints {
			if *e.Conditions.Ready {
				serve[version[e.TargetRef.Name]]++
			}
		}
	}
	return pods, serve
}

// servesAlone waits until one version serves with all that is wanted, and until there are
// so many pods of another one left.
func (w *world) servesAlone(s shop, version, other string, left int) {
	w.t.Helper()
	expects := map[string]int{version: s.replicas}
	if left > 0 {
		expects[other] = left
	}
	w.eventually(fmt.Sprintf("version %s of %s serves alone, and %d pods of %s are left", version, s.app, left, other), func() bool {
		pods, serve := w.images(s)
		return maps.Equal(expects, pods) && maps.Equal(map[string]int{version: s.replicas}, serve)
	})
}

// judged requires that what was promised was kept.
func (p *premises) judged() {
	p.t.Helper()
	p.held(p.floor)
	p.kept(p.ledgers)
}

func eachWay(t *testing.T, do func(t *testing.T, way way)) {
	t.Parallel()
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			t.Parallel()
			do(t, way)
		})
	}
}

func TestStrategiesUpgrade(t *testing.T) {
	eachWay(t, func(t *testing.T, way way) {
		p := way.open(t)
		s := way.with(nil, nil)
		if b, ok := s.(strategy.Bounder); ok {
			way.declares(t, p, b)
		}
		require.NoError(t, p.deploy("2", s))
		p.servesAlone(p.shop, "2", "1", way.warm)
		p.judged()
		writes := len(p.mutating())
		require.NoError(t, p.deploy("2", s), "run again")
		require.Len(t, p.mutating(), writes, "there is nothing left to write")
	})
}

// declares requires that the strategy says of itself what it is judged by.
func (w way) declares(t *testing.T, p *premises, b strategy.Bounder) {
	look, err := p.cluster.Observe(t.Context(), p.app)
	require.NoError(t, err)
	target, err := p.target("2")
	require.NoError(t, err)
	bounds, ok := b.Bounds(strategy.Input{App: p.app, Target: target, State: look})
	require.True(t, ok)
	require.Equal(t, w.floor, bounds.Floor)
	require.Equal(t, w.apart, bounds.Apart)
	if !w.apart {
		require.Equal(t, w.ceiling, bounds.Ceiling)
	}
}

func TestStrategiesGiveUp(t *testing.T) {
	eachWay(t, func(t *testing.T, way way) {
		for name, gates := range map[string]func(bad *halfway) (pods int, during, after health.Gate){
			"half-way": func(bad *halfway) (int, health.Gate, health.Gate) { return 2, bad, nil },
			"at last":  func(bad *halfway) (int, health.Gate, health.Gate) { return 4, nil, bad },
		} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := way.open(t)
				bad := at(0, health.Fail)
				pods, during, after := gates(bad)
				bad.pods = pods
				err := p.deploy("2", way.with(during, after))
				p.servesAlone(p.shop, "1", "2", 0)
				p.judged()
				abort := (*strategy.AbortError)(nil)
				require.ErrorAs(t, err, &abort)
				require.Equal(t, strategy.Failed, abort.Kind)
				require.ErrorContains(t, err, "too many errors")
				if dark := way.apart && during != nil; !dark {
					require.GreaterOrEqual(t, bad.served, pods, "traffic had moved")
				}
			})
		}
	})
}

func TestStrategiesUndone(t *testing.T) {
	eachWay(t, func(t *testing.T, way way) {
		p := way.open(t)
		s := way.with(nil, nil)
		require.NoError(t, p.deploy("2", s))
		p.servesAlone(p.shop, "2", "1", way.warm)
		writes := len(p.mutating())
		_, err := p.runner(p.cluster).Run(t.Context(), p.app, cluster.Target{Release: "2"}, strategy.Undo(s, "errors"))
		if way.final {
			require.ErrorContains(t, err, "no older revision is good")
			require.Len(t, p.mutating(), writes, "refused before any write")
			p.servesAlone(p.shop, "2", "1", 0)
		} else {
			require.NoError(t, err)
			p.servesAlone(p.shop, "1", "2", 0)
		}
		p.judged()
	})
}

// A newer release comes while an older one is half-way, and lives.
func TestStrategiesSuperseded(t *testing.T) {
	eachWay(t, func(t *testing.T, way way) {
		way.ceiling = way.third
		p := way.open(t)
		slow := at(2, health.Pending)
		ended := make(chan error, 1)
		target, err := p.target("2")
		require.NoError(t, err)
		second := p.runner(p.cluster)
		go func() {
			_, err := second.Run(t.Context(), p.app, target, way.with(slow, nil))
			ended <- err
		}()
		select {
		case <-slow.asked:
		case err := <-ended:
			t.Fatalf("the second release was never half-way: %v", err)
		}
		third, err := p.target("3")
		require.NoError(t, err)
		third.Replicas = p.replicas // in the gap of a Recreate nothing serves that it could be as large as
		_, err = p.runner(p.cluster).Run(t.Context(), p.app, third, way.with(nil, nil))
		require.NoError(t, err)
		requireAbort(t, strategy.Superseded, <-ended)
		p.servesAlone(p.shop, "3", "1", way.warm)
		p.judged()
	})
}

func requireAbort(t *testing.T, kind strategy.Kind, err error) {
	t.Helper()
	abort := (*strategy.AbortError)(nil)
	require.ErrorAs(t, err, &abort)
	require.Equal(t, kind, abort.Kind)
}

// deaths are strategies whose runs write the same each time: two replicas, one
// after the other, each of which takes longer to get ready than a look.
var deaths = map[string]struct {
	strategy strategy.Strategy
	shop     shop
	promise
	long bool
}{
	"recreate": {strategy.Recreate{}, small(kube.ReplicaSet, kube.Labels), promise{ceiling: 2, apart: true}, false},
	"rolling":  {strategy.Rolling{Surge: "1", Unavailable: "0"}, small(kube.ReplicaSet, kube.Labels), promise{floor: 2, ceiling: 3}, false},
	"canary": {strategy.Canary{Stages: []strategy.Stage{{Percent: 50, Gate: beside{}}}, Baseline: true, Surge: "1", Unavailable: "0", Drain: -1},
		small(kube.ReplicaSet, kube.Labels), promise{floor: 2, ceiling: 4}, true},
	"red-black in stages": {strategy.RedBlack{Stages: []strategy.Stage{{Percent: 50}}, Drain: -1, Highlander: true},
		small(kube.ReplicaSet, kube.Labels), promise{floor: 2, ceiling: 4}, true},
}

func small(kind kube.Kind, traffic kube.Mode) shop {
	return shop{app: "shop", kind: kind, traffic: traffic, replicas: 2, ready: "1s"}
}

func init() {
	for name, d := range deaths {
		tasks["strategies: "+name] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
			c, err := open(d.shop.options())
			if err != nil {
				return err
			}
			target, err := d.shop.target("2")
			if err != nil {
				return err
			}
			_, err = quick(c).Run(ctx, d.shop.app, target, d.strategy)
			return err
		}
	}
}

func TestStrategiesKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	for name, d := range deaths {
		if d.long && os.Getenv("LONG") == "" {
			continue // some forty deaths each: by hand
		}
		t.Run(name, func(t *testing.T) {
			errand{
				make:  func(t *testing.T) *world { return open(t, d.shop, d.promise).judgedInTheEnd() },
				floor: d.floor,
				command: func(w *world) func(*controlplane.Proxy) *exec.Cmd {
					return w.childProcess("strategies: " + name)
				},
				over: func(w *world) bool {
					pods, serve := w.images(d.shop)
					return maps.Equal(map[string]int{"2": 2}, pods) && maps.Equal(pods, serve)
				},
				brief: true,
			}.killedEverywhere(t)
		})
	}
}

// judgedInTheEnd lets the laws be judged when the test is over.
func (p *premises) judgedInTheEnd() *world {
	p.t.Cleanup(func() {
		for _, l := range p.ledgers {
			l.mu.Lock()
			require.Empty(p.t, l.broken, "%s, at every revision", l.what)
			l.mu.Unlock()
		}
	})
	return p.world
}
