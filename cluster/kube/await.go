// Await: watches as a hint to look sooner, and which of what they show is worth a
// look at an app.

package kube

import (
	"context"
	"maps"
	"math"
	"strconv"
	"time"

	corev1 "k8s.io/api/core/v1"
	labelset "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// A place is from where on a watch sees what happens to a kind of object.
type place struct {
	what    resource
	labels  string // of those that concern the app
	version string // "": they are not watched
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
//
// It watches what concerns the app; while several apps wait, one watch of each
// kind shows all of the namespace to all of them. None is open when nobody waits.
// A watch that is not allowed, or never connects, is as good as none: then d passes,
// unless another Await gets it through.
func (c *Cluster) Await(ctx context.Context, app string, d time.Duration) error {
	c.mu.Lock()
	m := c.apps[app]
	var w *waiter
	if m != nil {
		w = newWaiter(m.places, m.crowd)
	}
	c.mu.Unlock()

	waiting, done := context.WithTimeout(ctx, d)
	defer done()
	if m == nil || !c.hub.stirs(waiting, w) || m.pace.Wait(waiting) != nil {
		<-waiting.Done()
	}
	return ctx.Err()
}

// A waiter is one who waits for something new about an app.
type waiter struct {
	places []spot
	crowd  crowd
	seen   chan struct{} // something is new, and soon worth a look
	woken  chan struct{} // it is now
}

// A spot is a place of which events tell what is new there.
type spot struct {
	place
	after uint64 // the version from which on it is known
	mine  labelset.Selector
}

func newWaiter(places []place, pods crowd) *waiter {
	w := &waiter{
		crowd: crowd{maps.Clone(pods.ready), pods.wanted},
		seen:  make(chan struct{}, 1), woken: make(chan struct{}, 1),
	}
	for _, p := range places {
		mine, err := labelset.Parse(p.labels)
		if p.version == "" || err != nil {
			continue
		}
		w.places = append(w.places, spot{place: p, after: numeral(p.version), mine: mine})
	}
	return w
}

// unknown stands for a resourceVersion that is no number, and cannot be compared.
const unknown = math.MaxUint64

// numeral is a resourceVersion as a number.
func numeral(version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return unknown
	}
	return n
}

// at returns the waiter's place of a kind.
func (w *waiter) at(what resource) (spot, bool) {
	for _, p := range w.places {
		if p.what == what {
			return p, true
		}
	}
	return spot{}, false
}

// rests returns true when a look is worth it, and false when ctx ends.
func (w *waiter) rests(ctx context.Context) bool {
	var gathered <-chan time.Time
	for {
		select {
		case <-w.woken:
			return true
		case <-gathered:
			return true
		case <-w.seen:
			if gathered == nil {
				timer := time.NewTimer(gathering)
				defer timer.Stop()
				gathered = timer.C
			}
		case <-ctx.Done():
			return false
		}
	}
}

// wake ends the waiting.
func (w *waiter) wake() { ring(w.woken) }

func ring(bell chan struct{}) {
	select {
	case bell <- struct{}{}:
	default: // it has rung
	}
}

// saw is told of what is new in a place of the waiter's.
func (w *waiter) saw(p spot, e event) {
	o, known := &e.object, false
	if p.what == pods {
		_, known = w.crowd.ready[o.Metadata.UID]
	}
	switch mine := p.mine.Matches(labelset.Set(o.Metadata.Labels)); {
	case e.version <= p.after, !mine && !known:
	case p.what != pods, !mine, e.what == deleted, w.crowd.saw(o.Metadata.UID, o.ready()):
		w.wake()
	default:
		ring(w.seen)
	}
}

// saw notes that a pod is ready or not, and reports whether as many are as are
// wanted.
func (c crowd) saw(pod types.UID, ready bool) bool {
	c.ready[pod] = ready
	n := 0
	for _, is := range c.ready {
		if is {
			n++
		}
	}
	return n >= c.wanted
}

// ready reports whether a pod is, and stays.
func (o *object) ready() bool {
	pod := corev1.Pod{Status: corev1.PodStatus{Phase: o.Status.Phase, Conditions: o.Status.Conditions}}
	return ready(&pod) && o.Metadata.DeletionTimestamp == nil
}
