// How long traffic takes to move once the new version is ready, beside the least
// that any program could take.

package rollout_test

import (
	"context"
	"errors"
	"fmt"
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
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/strategy"
)

const (
	benchPods  = 10
	benchPairs = 15
)

// benchApp is an app of so many pods. Those of the next version take a moment to
// get ready, as real ones do.
const benchApp = `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  selector: {app: web, version: v1}
  ports: [{port: 80}]
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: web-v1}
spec:
  replicas: 10
  selector: {matchLabels: {app: web, version: v1}}
  template:
    metadata: {labels: {app: web, version: v1}}
    spec: {containers: [{name: web, image: "example/web:v1"}]}
`

func benchNext() string {
	next := strings.ReplaceAll(benchApp[strings.Index(benchApp, "---\n")+4:], "v1}", "v2}")
	next = strings.ReplaceAll(next, "web-v1", "web-v2")
	next = strings.ReplaceAll(next, "web:v1", "web:v2")
	next = strings.ReplaceAll(next, "apps/v2", "apps/v1")
	return strings.Replace(next, "metadata: {labels:", "metadata: {annotations: {cutover.test/ready: slow, cutover.test/ready-after: 500ms}, labels:", 1)
}

// An onlooker is the one process that sees both ends: when the last new pod got
// ready, and when the Service had only new pods.
type onlooker struct {
	mu     sync.Mutex
	pods   map[types.UID]bool // new ones, by whether they are ready
	slices map[string]*discoveryv1.EndpointSlice

	ready    time.Time
	switched time.Time
	both     chan struct{} // closed when both were seen
}

// watchSwitch begins to look on; stop ends it.
func watchSwitch(b *testing.B, client kubernetes.Interface, ns string) (o *onlooker, stop func()) {
	b.Helper()
	o = &onlooker{pods: map[types.UID]bool{}, slices: map[string]*discoveryv1.EndpointSlice{}, both: make(chan struct{})}
	podList, err := client.CoreV1().Pods(ns).List(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	pods, err := client.CoreV1().Pods(ns).Watch(b.Context(), metav1.ListOptions{ResourceVersion: podList.ResourceVersion, LabelSelector: "version=v2"})
	require.NoError(b, err)
	sliceList, err := client.DiscoveryV1().EndpointSlices(ns).List(b.Context(), metav1.ListOptions{LabelSelector: ofService("web")})
	require.NoError(b, err)
	for i := range sliceList.Items {
		o.slices[sliceList.Items[i].Name] = &sliceList.Items[i]
	}
	slices, err := client.DiscoveryV1().EndpointSlices(ns).Watch(b.Context(), metav1.ListOptions{ResourceVersion: sliceList.ResourceVersion, LabelSelector: ofService("web")})
	require.NoError(b, err)
	var ended sync.WaitGroup
	ended.Go(func() {
		for event := range pods.ResultChan() {
			o.sawPod(time.Now(), event)
		}
	})
	ended.Go(func() {
		for event := range slices.ResultChan() {
			o.sawSlice(time.Now(), event)
		}
	})
	return o, func() { pods.Stop(); slices.Stop(); ended.Wait() }
}

func (o *onlooker) sawPod(at time.Time, event watch.Event) {
	pod, ok := event.Object.(*corev1.Pod)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.pods[pod.UID] = podReady(pod)
	if o.ready.IsZero() && count(o.pods) == benchPods {
		o.ready = at
	}
	o.check(at)
}

func (o *onlooker) sawSlice(at time.Time, event watch.Event) {
	s, ok := event.Object.(*discoveryv1.EndpointSlice)
	if !ok {
		return
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.slices[s.Name] = s
	if event.Type == watch.Deleted {
		delete(o.slices, s.Name)
	}
	o.check(at)
}

// check notes when all endpoints are new, and all the new ones endpoints.
func (o *onlooker) check(at time.Time) {
	n := 0
	for _, s := range o.slices {
		for _, e := range s.Endpoints {
			if _, isNew := o.pods[e.TargetRef.UID]; !isNew {
				return
			}
		}
		n += ready(s)
	}
	if n == benchPods && !o.ready.IsZero() && o.switched.IsZero() {
		o.switched = at
		close(o.both)
	}
}

func count(set map[types.UID]bool) int {
	n := 0
	for _, in := range set {
		if in {
			n++
		}
	}
	return n
}

// benchWorld makes a namespace in which the old version serves.
func benchWorld(b *testing.B, client kubernetes.Interface) string {
	b.Helper()
	ns := plane.Namespace(b)
	benchApply(b, ns, benchApp)
	within(b, "the old version serves", func() bool {
		list, err := client.DiscoveryV1().EndpointSlices(ns).List(b.Context(), metav1.ListOptions{LabelSelector: ofService("web")})
		require.NoError(b, err)
		n := 0
		for i := range list.Items {
			n += ready(&list.Items[i])
		}
		d, err := client.AppsV1().Deployments(ns).Get(b.Context(), "web-v1", metav1.GetOptions{})
		require.NoError(b, err)
		return n == benchPods && d.Status.AvailableReplicas == benchPods
	})
	return ns
}

// benchApply makes objects.
func benchApply(b *testing.B, ns, objects string) {
	b.Helper()
	cmd := exec.Command(plane.Kubectl, "--kubeconfig", plane.Kubeconfig(), "-n", ns, "create", "-f", "-")
	cmd.Stdin = strings.NewReader(objects)
	if out, err := cmd.CombinedOutput(); err != nil {
		b.Errorf("create objects in %s: %v: %s", ns, err, out)
	}
}

// within waits until something is so.
func within(b *testing.B, what string, ok func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			b.Fatalf("after %v still not: %s", patience, what)
		}
	}
}

// A switcher deploys the new version and moves the traffic. It ends with ctx.
type switcher func(ctx context.Context, b *testing.B, client kubernetes.Interface, ns string) error

// measure lets a switcher do it, and returns how long the traffic took after the
// last pod was ready.
func measure(b *testing.B, client kubernetes.Interface, do switcher) time.Duration {
	b.Helper()
	ns := benchWorld(b, client)
	o, stop := watchSwitch(b, client, ns)
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- do(ctx, b, client, ns) }()
	select {
	case <-o.both:
	case <-time.After(patience):
		b.Errorf("after %v Service web in %s has not only new pods", patience, ns)
	}
	cancel()
	if err := <-ended; err != nil && !errors.Is(err, context.Canceled) {
		b.Errorf("in %s: %v", ns, err)
	}
	stop()
	_ = client.CoreV1().Namespaces().Delete(b.Context(), ns, metav1.DeleteOptions{}) // 20 pods less for those that follow
	if b.Failed() {
		b.FailNow()
	}
	return o.switched.Sub(o.ready)
}

// ours is the library with its own settings.
func ours(ctx context.Context, _ *testing.B, _ kubernetes.Interface, ns string) error {
	c, err := kube.New(plane.Config(), kube.Options{
		Namespace: ns, Kind: kube.Deployment, Traffic: kube.Selector, Services: []string{"web"}, Match: map[string]string{"app": "web"},
	})
	if err != nil {
		return err
	}
	target, err := kube.Target([]byte(benchNext()))
	if err != nil {
		return err
	}
	target.Release = "v2"
	_, err = strategy.Runner{Cluster: c}.Run(ctx, "web", target, strategy.BlueGreen{Overlap: strategy.Never})
	return err
}

// bare is the least that a program can do: it watches the pods, and when the
// last is ready it sends one patch.
func bare(ctx context.Context, b *testing.B, client kubernetes.Interface, ns string) error {
	list, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	if err != nil {
		return err
	}
	pods, err := client.CoreV1().Pods(ns).Watch(ctx, metav1.ListOptions{ResourceVersion: list.ResourceVersion, LabelSelector: "version=v2"})
	if err != nil {
		return err
	}
	defer pods.Stop()
	benchApply(b, ns, benchNext())
	seen := map[types.UID]bool{}
	for event := range pods.ResultChan() {
		if pod, ok := event.Object.(*corev1.Pod); ok {
			seen[pod.UID] = podReady(pod)
		}
		if count(seen) == benchPods {
			_, err := client.CoreV1().Services(ns).Patch(ctx, "web", types.MergePatchType, []byte(`{"spec":{"selector":{"version":"v2"}}}`), metav1.PatchOptions{})
			return err
		}
	}
	return ctx.Err()
}

func median(all []float64) float64 {
	all = slices.Sorted(slices.Values(all))
	n := len(all)
	return (all[(n-1)/2] + all[n/2]) / 2
}

// BenchmarkSwitch compares, in pairs that take turns, how long it takes from the
// last new pod's Ready to a Service that has only new pods.
func BenchmarkSwitch(b *testing.B) {
	client, err := kubernetes.NewForConfig(plane.Config())
	require.NoError(b, err)
	for _, do := range []switcher{ours, bare} {
		measure(b, client, do) // connections and caches
	}
	var ratios, oursAll, bareAll []float64
	for i := range benchPairs {
		took := map[bool]time.Duration{}
		for _, first := range []bool{i%2 == 0, i%2 != 0} {
			do := bare
			if first {
				do = ours
			}
			took[first] = measure(b, client, do)
		}
		ratio := took[true].Seconds() / took[false].Seconds()
		ratios, oursAll, bareAll = append(ratios, ratio), append(oursAll, took[true].Seconds()*1000), append(bareAll, took[false].Seconds()*1000)
		fmt.Printf("pair %2d: ours %5.1f ms, bare limit %5.1f ms, ratio %.2f\n", i+1, oursAll[i], bareAll[i], ratio)
	}
	fmt.Printf("median of %d pairs: ours %.1f ms, bare limit %.1f ms, from the last of %d pods ready to a Service with only new pods\n",
		benchPairs, median(oursAll), median(bareAll), benchPods)
	fmt.Printf("ratio: %.2f\n", median(ratios))
	b.ReportMetric(median(ratios), "ratio")
}
