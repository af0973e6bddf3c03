// Await: a watch as a hint to look sooner.

package kube

import (
	"context"
	"encoding/json"
	"io"
	"maps"
	"net/http"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
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

// gathering is how long pods that get ready one after the other are waited for. A
// look soon after another is a slow one: the apiserver answers it only when it
// knows that it has missed nothing, and asks for that ten times a second.
const gathering = 250 * time.Millisecond

// A crowd is the pods of an app, as its last look and a watch since have shown
// them.
type crowd struct {
	ready  map[types.UID]bool
	wanted int // replicas of all revisions
}

// Await implements [cluster.Watcher]. It watches the pods, the EndpointSlices and
// cutover's own ReplicaSets from where the last look left off, so that nothing in
// between is missed: a Deployment's pods may be seen before whose they are.
// A watch that is not allowed, or never connects, is as good as none: then d
// passes.
func (c *Cluster) Await(ctx context.Context, app string, d time.Duration) error {
	c.mu.Lock()
	m := c.apps[app]
	var places []place
	var pods crowd
	if m != nil {
		places, pods = m.places, crowd{maps.Clone(m.crowd.ready), m.crowd.wanted}
	}
	c.mu.Unlock()

	waiting, done := context.WithTimeout(ctx, d)
	defer done()
	if m == nil || !m.stir(waiting, c.api, places, pods) {
		<-waiting.Done()
	}
	return ctx.Err()
}

// stir returns true when one of the places has something new and a look is not
// too much, and false when ctx ends.
func (m *memory) stir(ctx context.Context, a *api, places []place, pods crowd) bool {
	watching, done := context.WithCancel(ctx)
	defer done()
	stirred := make(chan bool, len(places))
	open := 0
	for _, p := range places {
		if p.version == "" {
			continue
		}
		open++
		go func() { stirred <- a.stirs(watching, p, pods) }()
	}
	something := false
	for range open {
		if <-stirred && !something {
			something = true
			done() // the others end, and are waited for
		}
	}
	return something && m.pace.Wait(ctx) == nil
}

// stirs returns true when the place has something new that is worth a look, and
// false when the watch ends without.
func (a *api) stirs(ctx context.Context, p place, crowd crowd) bool {
	ctx, done := context.WithCancel(ctx)
	defer done()
	r := a.on(http.MethodGet, p.what, "").Param("watch", "1").Param("resourceVersion", p.version)
	if p.labels != "" {
		r = r.Param("labelSelector", p.labels)
	}
	stream, err := r.Stream(ctx)
	if err != nil {
		return false
	}
	defer stream.Close()
	if p.what == pods {
		return crowd.gathers(stream, func() { time.AfterFunc(gathering, done) })
	}
	n, _ := stream.Read(make([]byte, 1))
	return n > 0
}

// gathers reads a watch of pods and returns true when all that are wanted are
// ready, or when the stream ends after something was seen. It calls first when
// the first thing is.
func (c crowd) gathers(stream io.Reader, first func()) bool {
	events := json.NewDecoder(stream)
	for seen := false; ; seen = true {
		var event struct {
			Type   string     `json:"type"`
			Object corev1.Pod `json:"object"`
		}
		if events.Decode(&event) != nil {
			return seen
		}
		if c.saw(event.Type, &event.Object) {
			return true
		}
		if !seen {
			first()
		}
	}
}

// saw notes one event, and reports whether it is worth a look at once.
func (c crowd) saw(what string, pod *corev1.Pod) bool {
	if what == "ERROR" || what == "DELETED" {
		return true
	}
	c.ready[pod.UID] = ready(pod) && !terminating(pod)
	n := 0
	for _, is := range c.ready {
		if is {
			n++
		}
	}
	return n >= c.wanted
}
