// Who is woken by what, over how many watches.

package kube

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
)

// long is how long nobody waits here, if all is well.
const long = time.Hour

// A watchtower counts the watches that are open, and can refuse them.
type watchtower struct {
	*gateway

	mu     sync.Mutex
	open   map[string]int
	most   map[string]int
	refuse bool
	bodies []*closing
}

func newWatchtower() *watchtower {
	return &watchtower{gateway: newGateway(), open: map[string]int{}, most: map[string]int{}}
}

func (w *watchtower) RoundTrip(r *http.Request) (*http.Response, error) {
	kind := path.Base(r.URL.Path)
	w.mu.Lock()
	refuse := w.refuse
	w.mu.Unlock()
	if r.URL.Query().Get("watch") == "" {
		return w.gateway.RoundTrip(r)
	}
	if refuse {
		return nil, errors.New("no watch gets through here")
	}
	answer, err := w.gateway.RoundTrip(r)
	if err == nil {
		w.add(kind, 1)
		body := &closing{ReadCloser: answer.Body, closed: func() { w.add(kind, -1) }}
		answer.Body = body
		w.mu.Lock()
		defer w.mu.Unlock()
		w.bodies = append(w.bodies, body)
	}
	return answer, err
}

func (w *watchtower) add(kind string, n int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open[kind] += n
	w.most[kind] = max(w.most[kind], w.open[kind])
}

// now returns how many watches are open, and how many were at most of one kind.
func (w *watchtower) now() (open, most int) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for kind := range w.most {
		open += w.open[kind]
		most = max(most, w.most[kind])
	}
	return open, most
}

func (w *watchtower) refuses(yes bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuse = yes
}

// cut ends all watches that were ever open, and returns how many those are.
func (w *watchtower) cut() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, body := range w.bodies {
		_ = body.ReadCloser.Close()
	}
	return len(w.bodies)
}

type closing struct {
	io.ReadCloser
	once   sync.Once
	closed func()
}

func (c *closing) Close() error {
	c.once.Do(c.closed)
	return c.ReadCloser.Close()
}

// see returns a Cluster through the tower, with so many apps that serve.
func (w *watchtower) see(t *testing.T, apps ...string) *Cluster {
	t.Helper()
	for _, app := range apps {
		w.send(t, http.MethodPost, setsPath, fmt.Sprintf(`{"metadata":{"name":"%[1]s-v001","labels":{"cutover.dev/app":%[1]q,"cutover.dev/revision":"%[1]s-v001"}},
			"spec":{"replicas":1,"selector":{"matchLabels":{"app":%[1]q}},
			"template":{"metadata":{"labels":{"app":%[1]q,"load-balancer-%[1]s":"true"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`, app))
		w.service(t, app, pairs{"load-balancer-" + app: "true"})
	}
	for range 3 {
		w.step()
	}
	c, err := New(&rest.Config{Host: "http://simulated", Transport: w}, Options{Namespace: "default"})
	require.NoError(t, err)
	for _, app := range apps {
		s, err := c.Observe(t.Context(), app)
		require.NoError(t, err)
		require.Equal(t, 1, s.ReliedOn(app+"-v001"))
	}
	return c
}

// waiters is how many wait.
func (h *hub) waiters() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.waiting)
}

// await begins to wait for an app, and waits or has been told when it returns.
func await(ctx context.Context, t *testing.T, c *Cluster, app string) <-chan error {
	t.Helper()
	before, told := c.hub.waiters(), make(chan error, 1)
	go func() { told <- c.Await(ctx, app, long) }()
	eventually(t, app+" waits", func() bool { return c.hub.waiters() > before || len(told) > 0 })
	return told
}

// told requires that a wait ends without an error.
func told(t *testing.T, waits <-chan error) {
	t.Helper()
	select {
	case err := <-waits:
		require.NoError(t, err)
	case <-time.After(patience):
		require.Fail(t, "it was not woken")
	}
}

// change changes something about an app: of a ReplicaSet, a pod or a slice.
func (w *watchtower) change(t *testing.T, what resource, app string) {
	t.Helper()
	const body = `{"metadata":{"annotations":{"changed":%q}}}`
	w.send(t, http.MethodPatch, what.prefix+"/namespaces/default/"+what.plural+"/"+w.name(t, what, app), fmt.Sprintf(body, strconv.FormatInt(w.Revision(), 10)))
}

// name returns the name of the one object of a kind that is an app's. Lists of the
// test's own are not counted.
func (w *watchtower) name(t *testing.T, what resource, app string) string {
	t.Helper()
	a, err := newAPI(&rest.Config{Host: "http://simulated", Transport: w.Server}, "default")
	require.NoError(t, err)
	query := map[resource]string{replicaSets: AppLabel + "=", pods: "app=", endpointSlices: "kubernetes.io/service-name="}[what]
	found, err := list[metav1.PartialObjectMetadata](t.Context(), a, what, query+app, nil)
	require.NoError(t, err)
	require.Len(t, found, 1)
	return found[0].Name
}

func TestEachIsWokenByWhatConcernsIt(t *testing.T) {
	for _, what := range []resource{replicaSets, pods, endpointSlices} {
		t.Run(what.kind, func(t *testing.T) {
			w := newWatchtower()
			apps := some(12)
			c := w.see(t, apps...)
			waits := map[string]<-chan error{}
			for _, app := range apps {
				waits[app] = await(t.Context(), t, c, app)
			}
			for i, app := range apps {
				w.change(t, what, app)
				told(t, waits[app])
				for _, other := range apps[i+1:] {
					require.Empty(t, waits[other], "what concerns %s is nothing to %s", app, other)
				}
			}
			open, most := w.now()
			require.Zero(t, open, "watches that nobody waits for")
			require.Equal(t, 1, most, "watches of one kind at one time")
		})
	}
}

// What was new before one began to wait is not missed, however far the watches of
// those who wait already have come.
func TestNothingIsMissedBetweenLookAndWait(t *testing.T) {
	for _, what := range []resource{replicaSets, pods, endpointSlices} {
		for name, c := range map[string]struct{ before, after int }{
			"nobody waits":                           {0, 0},
			"one waits":                              {1, 0},
			"others wait":                            {2, 0},
			"one looks later, and waits":             {0, 1},
			"others look later, and wait":            {0, 2},
			"others wait, and others come and do so": {2, 2},
		} {
			t.Run(what.kind+"/"+name, func(t *testing.T) {
				w := newWatchtower()
				apps := some(5)
				see, late := w.see(t, apps...), apps[4]
				for _, app := range apps[:c.before] {
					await(t.Context(), t, see, app)
				}
				w.change(t, what, late)
				for _, app := range apps[2 : 2+c.after] {
					_, err := see.Observe(t.Context(), app)
					require.NoError(t, err)
					await(t.Context(), t, see, app)
				}
				if c.before > 1 {
					eventually(t, "the watch has shown it", func() bool { return see.hub.shown(what) == uint64(w.Revision()) })
				}
				told(t, await(t.Context(), t, see, late))
			})
		}
	}
}

// shown is how far the watch of a kind is.
func (h *hub) shown(what resource) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	f := h.feeds[what]
	if len(f.shown) == 0 {
		return 0
	}
	return f.shown[len(f.shown)-1].version
}

// A feed that has forgotten what a waiter may have missed wakes it.
func TestWhatIsForgottenIsNotMissed(t *testing.T) {
	var h hub
	f := &feed{what: pods, since: 10}
	h.feeds = map[resource]*feed{pods: f}
	for version := range uint64(10 * remembered) {
		e := event{what: "MODIFIED", version: 11 + version}
		e.object.Metadata.Labels = pairs{"app": "other"}
		h.show(f, e)
		require.Less(t, len(f.shown), 2*remembered)
	}
	woken := func(version uint64) bool {
		w := newWaiter([]place{{pods, "app=web", strconv.FormatUint(version, 10)}}, crowd{})
		h.join(t.Context(), w)
		return len(w.woken) > 0
	}
	require.True(t, woken(10))
	require.True(t, woken(f.since-1))
	require.False(t, woken(f.since), "everything newer is remembered")
	require.GreaterOrEqual(t, f.shown[len(f.shown)-1].version-f.since, uint64(remembered))
}

func TestAVersionThatIsNoNumberWakesAtOnce(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, "web")
	waiter := newWaiter([]place{{pods, "app=web", "opaque"}}, crowd{})
	require.True(t, c.hub.stirs(t.Context(), waiter))
	open, _ := w.now()
	require.Zero(t, open)
}

// Pods that get ready one after the other are worth one look, unless one goes.
func TestACrowdIsWaitedFor(t *testing.T) {
	for name, c := range map[string]struct {
		says        string
		labels      pairs
		pod         types.UID
		ready       bool
		seen, woken bool
	}{
		"one of two is ready":           {"MODIFIED", pairs{"app": "web"}, "b", true, true, false},
		"all are":                       {"MODIFIED", pairs{"app": "web"}, "c", true, false, true},
		"one is not any more":           {"MODIFIED", pairs{"app": "web"}, "a", false, true, false},
		"one is new":                    {"ADDED", pairs{"app": "web"}, "d", false, true, false},
		"one is gone":                   {"DELETED", pairs{"app": "web"}, "b", false, false, true},
		"one is the app's no more":      {"MODIFIED", pairs{"app": "api"}, "b", true, false, true},
		"one that never was the app's":  {"MODIFIED", pairs{"app": "api"}, "x", true, false, false},
		"one that never was it is gone": {"DELETED", pairs{"app": "api"}, "x", true, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			have := crowd{map[types.UID]bool{"a": true, "b": false, "c": false}, 2}
			if name == "one of two is ready" {
				have.wanted = 3
			}
			w := newWaiter([]place{{pods, "app=web", "10"}}, have)
			e := event{what: c.says, version: 11}
			e.object.Metadata.UID, e.object.Metadata.Labels = c.pod, c.labels
			if c.ready {
				e.object.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
			}
			old := e
			old.version = 10
			w.saw(w.places[0], old)
			require.False(t, len(w.seen)+len(w.woken) > 0, "what the last look has seen is nothing new")
			w.saw(w.places[0], e)
			require.Equal(t, []bool{c.seen, c.woken}, []bool{len(w.seen) > 0, len(w.woken) > 0})
			require.False(t, have.ready["b"] || have.ready["c"], "what the last look has seen stays as it was")
			if c.seen {
				require.True(t, w.rests(t.Context()), "it does not wait for the others for ever")
			}
		})
	}
}

// While a watch is refused, d passes; the next to wait tries again, for all.
func TestARefusedWatchIsAsGoodAsNone(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, "web", "api")
	w.refuses(true)
	began := time.Now()
	require.NoError(t, c.Await(t.Context(), "web", 50*time.Millisecond))
	require.GreaterOrEqual(t, time.Since(began), 50*time.Millisecond)

	waits := await(t.Context(), t, c, "web")
	eventually(t, "all its watches are over", func() bool {
		c.hub.mu.Lock()
		defer c.hub.mu.Unlock()
		return len(c.hub.feeds) == 3 && c.hub.feeds[pods].over && c.hub.feeds[replicaSets].over && c.hub.feeds[endpointSlices].over
	})
	w.refuses(false)
	w.change(t, pods, "web")
	_, err := c.Observe(t.Context(), "api") // which has seen more than web has
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	go func() { _ = c.Await(ctx, "api", long) }()
	told(t, waits)
}

// A watch that has lasted, and then ends, is opened again from where it was.
func TestAWatchThatEndsIsOpenedAgain(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, "web")
	began := time.Now()
	waits := await(t.Context(), t, c, "web")
	eventually(t, "they are open, and have lasted", func() bool { open, _ := w.now(); return open == 3 && time.Since(began) > 2*pace })
	w.refuses(true)
	require.Equal(t, 3, w.cut())
	eventually(t, "nothing is open", func() bool { open, _ := w.now(); return open == 0 })
	require.Empty(t, waits, "their end is nothing new")

	w.refuses(false)
	waits = await(t.Context(), t, c, "web")
	began = time.Now()
	eventually(t, "they are open, and have lasted", func() bool { open, _ := w.now(); return open == 3 && time.Since(began) > 2*pace })
	require.Equal(t, 6, w.cut())
	w.change(t, replicaSets, "web")
	told(t, waits)
}

// What the server has forgotten may have been worth a look.
func TestATooOldWatchWakes(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, "web")
	w.service(t, "other", pairs{"app": "other"})
	w.Compact()
	told(t, await(t.Context(), t, c, "web"))
}

func TestAWaitThatIsCanceledDisturbsNoOther(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, some(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	canceled := []<-chan error{await(ctx, t, c, "app0"), await(ctx, t, c, "app1")} // the watches are theirs
	waits := await(t.Context(), t, c, "app2")
	cancel()
	for _, one := range canceled {
		require.ErrorIs(t, <-one, context.Canceled)
	}
	w.change(t, endpointSlices, "app2")
	told(t, waits)
	open, _ := w.now()
	require.Zero(t, open)
}

// One app alone is shown its own objects only, as far as labels can tell.
func TestOneAppAloneWatchesItsOwn(t *testing.T) {
	w := newWatchtower()
	c := w.see(t, "web", "api")
	waits := await(t.Context(), t, c, "web")
	c.hub.mu.Lock()
	for what, f := range c.hub.feeds {
		require.NotEmpty(t, f.labels, what.kind)
	}
	c.hub.mu.Unlock()
	w.change(t, pods, "web")
	told(t, waits)
}

// Whoever looks and waits by turns, while much happens, comes to see the last of it
// without a look that nothing asked for.
func TestLooksAndWaitsSeeTheLastChange(t *testing.T) {
	const changes = 8
	w := newWatchtower()
	apps := some(10)
	c := w.see(t, apps...)
	last := cluster.Outcome{Result: cluster.Good, Why: strconv.Itoa(changes)}
	ended := make(chan error, len(apps))
	for _, app := range apps {
		go func() {
			for {
				s, err := c.Observe(t.Context(), app)
				if err != nil || s.Revisions[0].Outcome == last {
					ended <- err
					return
				}
				if err := c.Await(t.Context(), app, long); err != nil {
					ended <- err
					return
				}
			}
		}()
	}
	for n := range changes {
		for _, app := range apps {
			w.send(t, http.MethodPatch, setsPath+"/"+app+"-v001",
				fmt.Sprintf(`{"metadata":{"annotations":{%q:"good",%q:"%d"}}}`, OutcomeAnnotation, WhyAnnotation, n+1))
		}
	}
	for range apps {
		told(t, ended)
	}
	open, _ := w.now()
	require.Zero(t, open)
}
