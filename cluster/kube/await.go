// Await: a watch as a hint to look sooner.

package kube

import (
	"context"
	"net/http"
	"time"
)

// A place is from where on a watch sees what happens to a kind of object.
type place struct {
	what    resource
	labels  string
	version string
}

// A watch asks for at most so many looks at once, and then for one in a while:
// an app whose pods never rest must not make its deployer look without rest.
const (
	burst = 20
	pace  = 500 * time.Millisecond
)

// Await implements [cluster.Watcher]. It watches the pods and EndpointSlices of
// the last look from where that left off, and the ReplicaSets or Deployments
// that cutover made, so that nothing in between is missed. A watch that is not
// allowed, or never connects, is as good as none: then d passes.
func (c *Cluster) Await(ctx context.Context, app string, d time.Duration) error {
	c.mu.Lock()
	m := c.apps[app]
	var places []place
	if m != nil {
		places = m.places
	}
	c.mu.Unlock()

	waiting, done := context.WithTimeout(ctx, d)
	defer done()
	if m == nil || !m.stir(waiting, c.api, places) {
		<-waiting.Done()
	}
	return ctx.Err()
}

// stir returns true when one of the places has something new and a look is not
// too much, and false when ctx ends.
func (m *memory) stir(ctx context.Context, a *api, places []place) bool {
	ctx, done := context.WithCancel(ctx)
	defer done()
	stirred := make(chan bool, len(places))
	watching := 0
	for _, p := range places {
		if p.version == "" {
			continue
		}
		watching++
		go func() { stirred <- a.stirs(ctx, p) }()
	}
	something := false
	for range watching {
		if <-stirred && !something {
			something = true
			done() // the others end, and are waited for
		}
	}
	return something && m.pace.Wait(ctx) == nil
}

// stirs returns true when the place has something new, and false when the watch
// ends without.
func (a *api) stirs(ctx context.Context, p place) bool {
	r := a.on(http.MethodGet, p.what, "").Param("watch", "1").Param("resourceVersion", p.version)
	if p.labels != "" {
		r = r.Param("labelSelector", p.labels)
	}
	stream, err := r.Stream(ctx)
	if err != nil {
		return false
	}
	defer stream.Close()
	n, _ := stream.Read(make([]byte, 1))
	return n > 0
}
