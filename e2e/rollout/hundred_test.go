// A hundred apps in one release, in one process: how long they take beside the
// slowest of them alone, how many watches are open, and how much memory it takes.

package rollout_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"path"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/strategy"
)

const hundred = 100

// oneOf is one of a hundred. The next version of each takes longer to get ready
// than that of the one before.
func oneOf(n int) shop {
	return shop{app: fmt.Sprintf("app%d", n), replicas: 1, ready: fmt.Sprintf("%dms", 300*(n+1))}
}

// A meter counts what a client asks for.
type meter struct {
	mu       sync.Mutex
	requests int
	open     map[string]int // watches, by kind
	most     map[string]int // the same, at most at one time
}

func (m *meter) add(kind string, n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.open[kind] += n
	m.most[kind] = max(m.most[kind], m.open[kind])
}

// through counts a request and, for a watch, how long it is open.
func (m *meter) through(r *http.Request, next http.RoundTripper) (*http.Response, error) {
	m.mu.Lock()
	m.requests++
	m.mu.Unlock()
	answer, err := next.RoundTrip(r)
	if err != nil || r.URL.Query().Get("watch") == "" {
		return answer, err
	}
	kind := path.Base(r.URL.Path)
	m.add(kind, 1)
	answer.Body = &counted{ReadCloser: answer.Body, closed: func() { m.add(kind, -1) }}
	return answer, nil
}

type counted struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (c *counted) Close() error {
	c.once.Do(c.closed)
	return c.ReadCloser.Close()
}

// String lists the kinds that were watched.
func (m *meter) String() string {
	var all []string
	for kind, n := range m.most {
		all = append(all, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// peak is the most memory that this process has had, in MiB, as the kernel counts it.
func peak(b *testing.B) (mib int) {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	require.NoError(b, err)
	_, after, found := strings.Cut(string(status), "VmHWM:")
	require.True(b, found, "the kernel does not say")
	var kib int
	_, err = fmt.Sscanf(after, "%d kB", &kib)
	require.NoError(b, err)
	return kib / 1024
}

// spent is how long this process has kept processors busy.
func spent(b *testing.B) time.Duration {
	b.Helper()
	var usage syscall.Rusage
	require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}

// released releases these apps in a namespace of their own, as one group, and returns
// how long that took.
func released(b *testing.B, beside bool, apps ...shop) (time.Duration, *meter) {
	b.Helper()
	client, err := kubernetes.NewForConfig(plane.Config())
	require.NoError(b, err)
	ns := plane.Namespace(b)
	var objects []string
	for _, s := range apps {
		s.ready = "100ms"
		objects = append(objects, s.objects())
	}
	benchApply(b, ns, strings.Join(objects, "\n---"))
	within(b, "all serve", func() bool { return readySlices(b, client, ns) == len(apps) })
	m := &meter{open: map[string]int{}, most: map[string]int{}}
	c, err := kube.New(through(m.through), kube.Options{Namespace: ns})
	require.NoError(b, err)
	g := strategy.Group{}
	for i, s := range apps {
		target, err := s.target("2")
		require.NoError(b, err)
		g.Members = append(g.Members, strategy.Member{App: s.app, Target: target, Strategy: strategy.RedBlack{}, Beside: beside && i > 0})
	}
	began := time.Now()
	require.NoError(b, g.Run(b.Context(), strategy.Runner{Cluster: c, Skew: -1}))
	return time.Since(began), m
}

// BenchmarkGroupOfAHundred releases a hundred apps that are all beside each other,
// and the slowest of them alone.
func BenchmarkGroupOfAHundred(b *testing.B) {
	alone, _ := released(b, false, oneOf(hundred-1))
	before, busy := peak(b), spent(b)
	var apps []shop
	for n := range hundred {
		apps = append(apps, oneOf(n))
	}
	all, m := released(b, true, apps...)
	fmt.Printf("the slowest alone: %.1f s; %d beside each other: %.1f s, ratio %.2f\n", alone.Seconds(), hundred, all.Seconds(), all.Seconds()/alone.Seconds())
	fmt.Printf("watches open at once, by kind: %v; requests: %d\n", m, m.requests)
	fmt.Printf("this process: %.1f s of a processor; peak memory %d MiB, %d MiB before\n", (spent(b) - busy).Seconds(), peak(b), before)
	b.ReportMetric(all.Seconds()/alone.Seconds(), "ratio")
}

// BenchmarkGroupInOrder releases ten apps that are switched one after the other, and
// one alone: the difference is what each further switch takes.
func BenchmarkGroupInOrder(b *testing.B) {
	var apps []shop
	for range 10 {
		apps = append(apps, shop{app: fmt.Sprintf("app%d", len(apps)), replicas: 1, ready: "100ms"})
	}
	alone, _ := released(b, false, apps[0])
	all, _ := released(b, false, apps...)
	each := (all - alone).Seconds() / float64(len(apps)-1)
	fmt.Printf("one: %.1f s; %d one after the other: %.1f s: %.2f s for each further switch\n", alone.Seconds(), len(apps), all.Seconds(), each)
	b.ReportMetric(each, "s/switch")
}

// readySlices counts the ready endpoints in a namespace.
func readySlices(b *testing.B, client kubernetes.Interface, ns string) (n int) {
	b.Helper()
	list, err := client.DiscoveryV1().EndpointSlices(ns).List(b.Context(), metav1.ListOptions{})
	require.NoError(b, err)
	for i := range list.Items {
		n += ready(&list.Items[i])
	}
	return n
}
