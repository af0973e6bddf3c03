// Looks that come together share a round, and none gets an older one.

package kube

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"path"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake/apiserver"
)

// A gateway stands before a simulated apiserver. It counts what is asked for, and
// can keep answers back.
type gateway struct {
	*apiserver.Server

	mu    sync.Mutex
	asked map[string]int             // by kind, or name
	held  map[string]<-chan struct{} // answers to what is asked for wait for this
}

func newGateway() *gateway {
	now := time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)
	return &gateway{Server: apiserver.New(func() time.Time { return now }), asked: map[string]int{}, held: map[string]<-chan struct{}{}}
}

func (g *gateway) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := g.Server.RoundTrip(r)
	kind := path.Base(r.URL.Path)
	if r.URL.Query().Get("watch") != "" {
		kind = "watch " + kind
	}
	g.mu.Lock()
	g.asked[kind]++
	held := g.held[kind]
	g.mu.Unlock()
	if held == nil {
		return answer, err
	}
	select {
	case <-held:
		return answer, err
	case <-r.Context().Done():
		return nil, context.Cause(r.Context())
	}
}

// count returns how often a kind, or name, was asked for.
func (g *gateway) count(kind string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.asked[kind]
}

// hold keeps back the answers about a kind, or name, that are asked for from now on, until
// the returned func is called.
func (g *gateway) hold(kind string) (release func()) {
	until := make(chan struct{})
	g.mu.Lock()
	defer g.mu.Unlock()
	g.held[kind] = until
	return func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		if g.held[kind] == until {
			delete(g.held, kind)
		}
		close(until)
	}
}

// open returns a Cluster in the namespace default that has passed its preflight.
func (g *gateway) open(t *testing.T, o Options) *Cluster {
	t.Helper()
	o.Namespace = "default"
	c, err := New(&rest.Config{Host: "http://simulated", Transport: g}, o)
	require.NoError(t, err)
	_, err = c.Observe(t.Context(), "nobody")
	require.NoError(t, err)
	return c
}

// send makes a request as somebody else would.
func (g *gateway) send(t *testing.T, method, path, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://simulated"+path, bytes.NewReader([]byte(body)))
	require.NoError(t, err)
	r.Header.Set("Content-Type", "application/json")
	if method == http.MethodPatch {
		r.Header.Set("Content-Type", "application/merge-patch+json")
	}
	answer, err := g.Server.RoundTrip(r)
	require.NoError(t, err)
	defer answer.Body.Close()
	var said json.RawMessage
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&said))
	require.Less(t, answer.StatusCode, 300, "%s", said)
}

const (
	setsPath        = "/apis/apps/v1/namespaces/default/replicasets"
	deploymentsPath = "/apis/apps/v1/namespaces/default/deployments"
	servicesPath    = "/api/v1/namespaces/default/services"
)

// workload makes a ReplicaSet or a Deployment of one pod.
func (g *gateway) workload(t *testing.T, path, name string) {
	t.Helper()
	g.send(t, http.MethodPost, path, fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"replicas":1,"selector":{"matchLabels":{"app":%[1]q}},
		"template":{"metadata":{"labels":{"app":%[1]q,"tier":"shop","load-balancer-%[1]s":"true"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`, name))
}

// service makes one that selects pods by these labels.
func (g *gateway) service(t *testing.T, name string, selector pairs) {
	t.Helper()
	g.send(t, http.MethodPost, servicesPath, fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"selector":%s,"ports":[{"port":80}]}}`, name, asJSON(selector)))
}

// step lets every controller look once.
func (g *gateway) step() {
	g.StepDeployments()
	g.StepReplicaSets()
	g.StepPods(apiserver.Kubelet{})
	g.StepEndpointSlices()
}

// looks begins one look at each app and returns what comes of them, by app.
func looks(ctx context.Context, c *Cluster, apps ...string) map[string]<-chan looked {
	all := map[string]<-chan looked{}
	for _, app := range apps {
		told := make(chan looked, 1)
		all[app] = told
		go func() {
			s, err := c.Observe(ctx, app)
			told <- looked{s, err}
		}()
	}
	return all
}

type looked struct {
	state cluster.State
	err   error
}

func some(n int) (apps []string) {
	for i := range n {
		apps = append(apps, fmt.Sprintf("app%d", i))
	}
	return apps
}

// However many look while a first round is being read: they share the next one,
// which has in it what was written before they asked.
func TestLooksShareTheNextFirstRound(t *testing.T) {
	g := newGateway()
	c := g.open(t, Options{})
	before := g.count("replicasets")
	release := g.hold("services")
	first := looks(t.Context(), c, "early")["early"]
	eventually(t, "the ReplicaSets are read, the Services on their way", func() bool { return g.count("replicasets") == before+1 })

	apps := some(20)
	for _, app := range append(apps, "early") {
		g.workload(t, setsPath, app)
		g.service(t, app, pairs{"load-balancer-" + app: "true"})
	}
	others := looks(t.Context(), c, apps...)
	eventually(t, "all wait", func() bool { return c.firsts.waiting() == len(apps) })
	release()
	require.Empty(t, (<-first).state.Revisions)
	for app, told := range others {
		got := <-told
		require.NoError(t, got.err)
		require.Len(t, got.state.Revisions, 1)
		require.Equal(t, app, got.state.Revisions[0].Name)
		require.Len(t, got.state.Routes, 1, "what was written before the look is in it")
		require.Equal(t, "service/"+app, got.state.Routes[0].Name)
	}
	require.Equal(t, before+2, g.count("replicasets"))
	require.Equal(t, g.count("replicasets"), g.count("services"))
}

// The first looks ask together what is allowed, and all are told what is not.
func TestTheFirstLooksShareThePreflight(t *testing.T) {
	for name, denied := range map[string]bool{"allowed": false, "denied": true} {
		t.Run(name, func(t *testing.T) {
			g := newGateway()
			g.Allow(func(r apiserver.Review) bool { return !denied || r.Resource != "services" })
			c, err := New(&rest.Config{Host: "http://simulated", Transport: g}, Options{Namespace: "default"})
			require.NoError(t, err)
			release := g.hold("default")
			all := looks(t.Context(), c, "early")
			eventually(t, "the namespace is read", func() bool { return g.count("default") == 1 })
			others := some(20)
			for app, told := range looks(t.Context(), c, others...) {
				all[app] = told
			}
			eventually(t, "all wait", func() bool { return c.preflights.waiting() == len(others) })
			release()
			for _, told := range all {
				got := <-told
				if denied {
					require.ErrorIs(t, got.err, cluster.ErrRefused)
					require.ErrorContains(t, got.err, "list services")
				} else {
					require.NoError(t, got.err)
				}
			}
			rounds := 1 // nobody asks for what is known
			if denied {
				rounds = 2 // for it may have been granted
			}
			require.Equal(t, rounds*len(c.options.needs()), g.count("selfsubjectaccessreviews"))
		})
	}
}

func TestALookThatIsCanceledDisturbsNoOther(t *testing.T) {
	g := newGateway()
	c := g.open(t, Options{})
	g.workload(t, setsPath, "web")
	before := g.count("services")
	release := g.hold("services")
	first := looks(t.Context(), c, "early")["early"]
	eventually(t, "a round is being read", func() bool { return g.count("services") == before+1 })
	ctx, cancel := context.WithCancel(t.Context())
	canceled := looks(ctx, c, "api")["api"]
	eventually(t, "it waits for the next round", func() bool { return c.firsts.waiting() == 1 })
	other := looks(t.Context(), c, "web")["web"]
	eventually(t, "both wait", func() bool { return c.firsts.waiting() == 2 })
	again := g.hold("services")
	release()
	require.NoError(t, (<-first).err)
	eventually(t, "the next round is being read", func() bool { return g.count("services") == before+2 })
	cancel()
	got := <-canceled
	require.ErrorIs(t, got.err, context.Canceled)
	require.ErrorContains(t, got.err, `app "api": list what is in namespace default`)
	again()
	got = <-other
	require.NoError(t, got.err)
	require.Len(t, got.state.Revisions, 1)
}

// What looks share is the same for each of them, alone or not: one Deployment may
// be a revision of several apps.
func TestLooksThatShareChangeNothing(t *testing.T) {
	for name, o := range map[string]Options{
		"Deployments":        {Kind: Deployment, Traffic: Selector, Match: pairs{"tier": "shop"}, Services: []string{"web"}},
		"a Deployment found": {Traffic: Selector, Match: pairs{"tier": "shop"}, Services: []string{"web"}},
		"ReplicaSets":        {Match: pairs{"tier": "shop"}},
	} {
		t.Run(name, func(t *testing.T) {
			g := newGateway()
			g.service(t, "web", pairs{"app": "web"})
			kind := deploymentsPath
			if name == "ReplicaSets" {
				kind = setsPath
			}
			g.workload(t, kind, "web")
			for range 3 {
				g.step()
			}
			c := g.open(t, o)
			apps := append(some(8), "web")
			alone := map[string]cluster.State{}
			for _, app := range apps {
				s, err := c.Observe(t.Context(), app)
				require.NoError(t, err)
				require.Len(t, s.Revisions, 1)
				alone[app] = s
			}
			before := g.count("services")
			release := g.hold("services")
			first := looks(t.Context(), c, "early")["early"]
			eventually(t, "a round is being read", func() bool { return g.count("services") == before+1 })
			together := looks(t.Context(), c, apps...)
			eventually(t, "all wait", func() bool { return c.firsts.waiting() == len(apps) })
			release()
			require.NoError(t, (<-first).err)
			for _, app := range apps {
				got := <-together[app]
				require.NoError(t, got.err)
				require.Equal(t, alone[app], got.state)
				r, err := c.known(t.Context(), app)
				require.NoError(t, err)
				w := r.named("web")
				require.Subset(t, []int32{0, 1}, slices.Collect(maps.Values(w.ready)), "its pods are counted once")
			}
		})
	}
}

// An autoscaler of a workload that is there, but another app's, is not taken for one
// that is left over, which would be pointed at a revision of this app.
func TestBugAnotherAppsAutoscalerWasTaken(t *testing.T) {
	for kind, path := range map[Kind]string{ReplicaSet: setsPath, Deployment: deploymentsPath} {
		t.Run(kind.String(), func(t *testing.T) {
			g := newGateway()
			g.workload(t, path, "web-v001")
			g.send(t, http.MethodPost, path, `{"metadata":{"name":"web-v002","labels":{"cutover.dev/app":"api"}},"spec":{"selector":{"matchLabels":{"app":"api"}},
				"template":{"metadata":{"labels":{"app":"api"}},"spec":{"containers":[{"name":"c","image":"i"}]}}}}`)
			for _, of := range []string{"web-v001", "web-v002", "web-v003"} {
				g.send(t, http.MethodPost, "/apis/autoscaling/v2/namespaces/default/horizontalpodautoscalers",
					fmt.Sprintf(`{"metadata":{"name":"of-%[1]s"},"spec":{"maxReplicas":3,"scaleTargetRef":{"apiVersion":"apps/v1","kind":%[2]q,"name":%[1]q}}}`, of, kind))
			}
			s, err := g.open(t, Options{Kind: kind, Traffic: Selector, Autoscalers: true}).Observe(t.Context(), "web")
			require.NoError(t, err)
			require.Len(t, s.Routes, 2, "its own, and the one that is left over: %+v", s.Routes)
			require.Equal(t, scalerPrefix+"of-web-v001", s.Routes[0].Name)
			require.Equal(t, scalerPrefix+"of-web-v003", s.Routes[1].Name)
		})
	}
}
