// Waits of several apps over one Cluster, on watches of a real apiserver.

package kube_test

import (
	"fmt"
	"net/http"
	"path"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster/kube"
)

// opened counts the watches that are asked for, by kind.
type opened struct {
	mu sync.Mutex
	of map[string]int
}

func (o *opened) count(kind string) int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.of[kind]
}

// Several apps look and wait by turns, with nothing but watches to wake them: each
// comes to see what was done to its own pods, whoever of them waits first.
func TestAwaitWakesEachOfSeveralApps(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var apps []string
	for n := range 5 {
		name := fmt.Sprintf("app%d", n)
		apps = append(apps, name)
		on := map[string]string{"app": name, "load-balancer-" + name: "true"}
		w.service(name, map[string]string{"load-balancer-" + name: "true"})
		w.set(name, 1, map[string]string{"app": name}, on)
	}
	watches := &opened{of: map[string]int{}}
	cfg := w.config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) {
			if r.URL.Query().Get("watch") != "" {
				watches.mu.Lock()
				watches.of[path.Base(r.URL.Path)]++
				watches.mu.Unlock()
			}
			return next.RoundTrip(r)
		})
	})
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
	require.NoError(t, err)
	for _, app := range apps {
		w.serving(c, app, app, 1)
	}

	seen := make(chan error, len(apps))
	for _, app := range apps {
		go func() { seen <- unsettled(t, c, app) }()
	}
	w.eventually("pods are watched", func() bool { return watches.count("pods") > 0 }, func() string { return "" })
	for i := range apps {
		app := apps[len(apps)-1-i] // the last one is not the first that waits
		w.patchPod(w.podsOf(app)[0].Name, fmt.Sprintf(`{"metadata":{"labels":{"load-balancer-%s":"false"}}}`, app))
	}
	for range apps {
		select {
		case err := <-seen:
			require.NoError(t, err)
		case <-time.After(patience):
			require.Fail(t, "one was not woken")
		}
	}
}

// unsettled looks and waits by turns until a pod's traffic is not as it should be.
func unsettled(t *testing.T, c *kube.Cluster, app string) error {
	for {
		s, err := c.Observe(t.Context(), app)
		if err != nil || s.Revisions[0].Unsettled == 1 {
			return err
		}
		if err := c.Await(t.Context(), app, time.Hour); err != nil {
			return err
		}
	}
}
