// The hub: one watch of each kind for all who wait.

package kube

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A hub has at most one watch of each kind open, and none when nobody waits.
type hub struct {
	api *api

	mu      sync.Mutex // guards what follows, and the waiters' crowds
	waiting []*waiter
	feeds   map[resource]*feed // the last of each kind
}

// A feed is one watch, and what it has shown lately: whoever comes later may have
// looked before.
type feed struct {
	what   resource
	labels string // of those that it shows; "": all of the namespace
	since  uint64 // the resourceVersion after which it shows, or remembers, everything
	shown  []event

	over  bool // nothing comes any more
	end   context.CancelFunc
	ended chan struct{}
}

// remembered is how many events a feed remembers at least: many times as many as
// come between a look and the wait after it.
const remembered = 1000

// An event is what a watch says of one object.
type event struct {
	what    string
	version uint64
	object  object
}

// What a watch calls an object that is gone, or does not have the labels any more,
// and its own last word if that is a bad one.
const (
	deleted = "DELETED"
	failed  = "ERROR"
)

// An object is one of any kind, as far as must be known to tell whom it concerns;
// Status is a pod's.
type object struct {
	Metadata struct {
		UID               types.UID         `json:"uid"`
		ResourceVersion   string            `json:"resourceVersion"`
		Labels            map[string]string `json:"labels"`
		DeletionTimestamp *metav1.Time      `json:"deletionTimestamp"`
	} `json:"metadata"`
	Status struct {
		Phase      corev1.PodPhase       `json:"phase"`
		Conditions []corev1.PodCondition `json:"conditions"`
	} `json:"status"`
}

// stirs returns true when one of the waiter's places has something new that is
// worth a look, and false when ctx ends.
func (h *hub) stirs(ctx context.Context, w *waiter) bool {
	h.join(ctx, w)
	defer h.leave(w)
	return w.rests(ctx)
}

// join lets the waiter see what has been new since its last look, and what will be.
func (h *hub) join(ctx context.Context, w *waiter) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.waiting = append(h.waiting, w)
	for _, p := range w.places {
		f := h.feeds[p.what]
		switch {
		case p.after == unknown:
			w.wake()
		case f == nil || f.over || f.labels != "" && f.labels != p.labels:
			h.open(ctx, p.what)
		case p.after < f.since:
			w.wake() // it may have missed something
		default:
			f.recall(w, p)
		}
	}
}

// recall tells the waiter what the feed has shown since its last look.
func (f *feed) recall(w *waiter, p spot) {
	newer, _ := slices.BinarySearchFunc(f.shown, p.after, func(e event, seen uint64) int {
		if e.version <= seen {
			return -1
		}
		return 1
	})
	for _, e := range f.shown[newer:] {
		w.saw(p, e)
	}
}

// leave ends what nobody waits for any more, and waits for its end.
func (h *hub) leave(w *waiter) {
	h.mu.Lock()
	h.waiting = slices.DeleteFunc(h.waiting, func(other *waiter) bool { return other == w })
	var ending []*feed
	if len(h.waiting) == 0 {
		for _, f := range h.feeds {
			f.close()
			ending = append(ending, f)
		}
	}
	h.mu.Unlock()
	for _, f := range ending {
		<-f.ended
	}
}

// close makes the feed end soon, and be forgotten.
func (f *feed) close() {
	f.over, f.shown = true, nil
	f.end()
}

// open watches a kind for all who wait, in place of the watch that there is.
func (h *hub) open(ctx context.Context, what resource) {
	ctx, end := context.WithCancel(context.WithoutCancel(ctx))
	f := &feed{what: what, end: end, ended: make(chan struct{})}
	f.labels, f.since = h.wanted(what)
	before := h.feeds[what]
	if before != nil {
		before.close()
	}
	if h.feeds == nil {
		h.feeds = map[resource]*feed{}
	}
	h.feeds[what] = f
	go func() {
		defer close(f.ended)
		defer end()
		if before != nil {
			<-before.ended
		}
		for h.follow(ctx, f) {
		}
		h.lose(f)
	}()
}

// wanted returns which objects of a kind must be watched for all who wait to be
// shown theirs, and since when: the oldest of their last looks.
func (h *hub) wanted(what resource) (labels string, since uint64) {
	since = unknown
	for _, w := range h.waiting {
		p, ok := w.at(what)
		switch {
		case !ok || p.after == unknown:
			continue
		case since == unknown:
			labels = p.labels
		case labels != p.labels:
			labels = ""
		}
		since = min(since, p.after)
	}
	return labels, since
}

// follow shows what a watch says until that ends, and reports whether it is worth
// to go on with another: it has lasted, and did not end badly.
func (h *hub) follow(ctx context.Context, f *feed) bool {
	began := time.Now()
	stream, err := h.api.watch(ctx, f.what, f.labels, h.reached(f))
	if err != nil {
		return false
	}
	defer stream.Close()
	events := json.NewDecoder(stream)
	for {
		e, err := readEvent(events)
		if err != nil {
			return ctx.Err() == nil && time.Since(began) > pace
		}
		h.show(f, e)
		if e.what == failed {
			return false
		}
	}
}

// reached is how far the feed is.
func (h *hub) reached(f *feed) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	if n := len(f.shown); n > 0 {
		return f.shown[n-1].version
	}
	return f.since
}

// watch asks for what is new after a version. The server is to end it before the
// client does, of which people would read.
func (a *api) watch(ctx context.Context, what resource, labels string, after uint64) (io.ReadCloser, error) {
	r := a.on(http.MethodGet, what, "").Param("watch", "1").Param("resourceVersion", strconv.FormatUint(after, 10)).
		Param("timeoutSeconds", strconv.Itoa(int(a.patience.Seconds()*0.9)))
	if labels != "" {
		r = r.Param("labelSelector", labels)
	}
	return r.Stream(ctx)
}

// readEvent reads the next one. The object of a bad one is a Status, and is not read.
func readEvent(events *json.Decoder) (e event, err error) {
	var raw struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err = events.Decode(&raw); err != nil || raw.Type == failed {
		return event{what: raw.Type}, err
	}
	err = json.Unmarshal(raw.Object, &e.object)
	e.what, e.version = raw.Type, numeral(e.object.Metadata.ResourceVersion)
	return e, err
}

// show tells an event to all who wait. After a bad one nobody knows what was missed.
func (h *hub) show(f *feed, e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if f.over {
		return
	}
	for _, w := range h.waiting {
		p, ok := w.at(f.what)
		switch {
		case !ok:
		case e.what == failed:
			w.wake()
		default:
			w.saw(p, e)
		}
	}
	f.shown = append(f.shown, e)
	if old := len(f.shown) - remembered; old >= remembered {
		f.since = f.shown[old-1].version
		f.shown = slices.Clone(f.shown[old:])
	}
}

// lose notes that the watch has ended.
func (h *hub) lose(f *feed) {
	h.mu.Lock()
	defer h.mu.Unlock()
	f.over, f.shown = true, nil
}
