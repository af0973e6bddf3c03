// The decorator over HTTP, below a client's own retries: numbering of requests,
// and what becomes of one that a fault is planned for.

package fault

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// A Transport is an [http.RoundTripper] whose requests go wrong as planned. It
// belongs below whatever sends requests again by itself, as client-go does:
//
//	config.Wrap(func(next http.RoundTripper) http.RoundTripper { t.Next = next; return t })
//
// An Event's Call counts the requests of this Transport, access reviews and
// discovery too, or those that Only admits. Requests that are sent at the same
// time are numbered in the order in which they arrive here, which may differ
// from run to run: for a plan that can be repeated, let Only name requests that
// are sent one after the other, and put one Transport over another for the rest.
//
// What a fault means at which request is said at the top of requests.go; where
// it means nothing, the request passes. It may be used by several goroutines.
type Transport struct {
	Next http.RoundTripper
	Plan Plan
	Only func(*http.Request) bool // which requests are counted, and can go wrong; nil: all

	// RetryAfter is what a forged 429, 500 and 503 says in that header, in
	// seconds; "": it has none. With it, client-go sends the request again, up to
	// ten times, and a write like a read.
	RetryAfter string

	// Environment does what is no matter of a single request: it is asked before
	// the request is sent, and reports whether it could. Nil: it never can.
	Environment func(Event, *http.Request) bool

	// Crash ends the process. If it returns, or is nil, every request from then
	// on is refused. Cancel, if set, ends the context of the caller.
	Crash, Cancel func()

	// Happens, if set, is told of every event that comes about. It is called by
	// whoever sent the request, by several at once if need be.
	Happens func(Event, *http.Request)

	// Clock is how time passes at a timeout, and by which writes that are under
	// way get too old to arrive. Nil: none passes, and nothing gets old.
	Clock Clock

	// Lands is how long a write may be under way; 0: a minute.
	Lands time.Duration

	mu       sync.Mutex // guards what follows
	requests int
	fired    int
	underway []parcel
	repeats  repeated
	denied   map[Verb]*forged
	expired  map[string]bool // lists that cannot go on, by path
	answers  map[string][]answer
	down     bool
}

var _ http.RoundTripper = (*Transport)(nil)

// A parcel is a write that is under way without anybody who waits for it.
type parcel struct {
	request   *http.Request
	number    int // of the request
	due       int // arrives before the request of this number is sent
	afterNext bool
	sent      time.Time
}

// repeated is an answer that is given to more requests of a verb.
type repeated struct {
	verb   Verb
	answer *forged
	left   int
}

// A timeout is the error of a request that had no answer.
type timeout struct{}

func (timeout) Error() string   { return "injected: timeout awaiting response headers" }
func (timeout) Timeout() bool   { return true }
func (timeout) Temporary() bool { return true }

var _ net.Error = timeout{}

var errDown = errors.New("injected: the process that sends this has crashed")

func reset() error {
	return &net.OpError{Op: "read", Net: "tcp", Err: os.NewSyscallError("read (injected)", syscall.ECONNRESET)}
}

// Requests returns how many requests were counted.
func (t *Transport) Requests() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.requests
}

// Fired returns how many events of the plan came about.
func (t *Transport) Fired() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.fired
}

// Land lets everything that is still under way arrive, if it may be for so long.
func (t *Transport) Land() { t.land(func(parcel) bool { return true }) }

// Admit ends every refusal that was to last, but for a crash.
func (t *Transport) Admit() {
	t.mu.Lock()
	defer t.mu.Unlock()
	clear(t.denied)
	clear(t.expired)
	t.repeats = repeated{}
}

// RoundTrip implements [http.RoundTripper].
func (t *Transport) RoundTrip(r *http.Request) (*http.Response, error) {
	if t.isDown() {
		return nil, errDown
	}
	if t.Only != nil && !t.Only(r) {
		return t.Next.RoundTrip(r)
	}
	c, err := t.count(r)
	if err != nil {
		return nil, err
	}
	t.land(func(p parcel) bool { return c.number >= p.due })
	if c.verb.Writes() {
		defer t.land(func(p parcel) bool { return p.afterNext && p.number < c.number })
	}
	if standing := t.standing(c); standing != nil {
		return standing.to(r), nil
	}
	for _, e := range t.Plan {
		if e.Call == c.number && SkipVerb(e.Fault, c.verb) == "" {
			if resp, err, answered := t.happen(e, c); answered {
				return resp, err
			}
		}
	}
	return t.pass(c)
}

// A counted request, with its body read.
type counted struct {
	*http.Request
	number int
	verb   Verb
	body   []byte
}

func (t *Transport) count(r *http.Request) (*counted, error) {
	c := &counted{Request: r, verb: VerbOf(r)}
	if r.Body != nil {
		var err error
		c.body, err = io.ReadAll(r.Body)
		if err = errors.Join(err, r.Body.Close()); err != nil {
			return nil, fmt.Errorf("fault: read the body of %s %s: %w", r.Method, r.URL.Path, err)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.requests++
	c.number = t.requests
	return c, nil
}

// fresh is the request once more, to be sent under ctx.
func (c *counted) fresh(ctx context.Context) *http.Request {
	r := c.Clone(ctx)
	if c.Body != nil {
		r.Body = io.NopCloser(bytes.NewReader(c.body))
	}
	return r
}

// orphan is the request as it is under way when nobody waits for it any more.
func (c *counted) orphan() *http.Request {
	return (&http.Request{
		Method: c.Method, URL: c.URL, Host: c.Host, Header: c.Header.Clone(), ContentLength: int64(len(c.body)),
		Proto: c.Proto, ProtoMajor: c.ProtoMajor, ProtoMinor: c.ProtoMinor,
		Body: io.NopCloser(bytes.NewReader(c.body)),
	}).WithContext(context.WithoutCancel(c.Context()))
}

func (t *Transport) isDown() bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.down
}

// standing returns the answer that an earlier event has left for this request.
func (t *Transport) standing(c *counted) *forged {
	t.mu.Lock()
	defer t.mu.Unlock()
	if denied := t.denied[c.verb]; denied != nil {
		return denied
	}
	if t.repeats.left > 0 && t.repeats.verb == c.verb {
		t.repeats.left--
		return t.repeats.answer
	}
	if c.verb == VerbMore && t.expired[c.URL.Path] {
		delete(t.expired, c.URL.Path)
		return gone
	}
	return nil
}

// happen carries one event out. If that answers the request, it says what.
func (t *Transport) happen(e Event, c *counted) (resp *http.Response, err error, answered bool) {
	do, own := acts[e.Fault]
	if !own || e.Form == 1 && (e.Fault == Exists || e.Fault == NotFound) {
		if t.Environment != nil && t.Environment(e, c.Request) {
			t.note(e, c)
		}
		return nil, nil, false
	}
	resp, err, came := do(t, e, c)
	if came {
		t.note(e, c)
	}
	return resp, err, resp != nil || err != nil
}

func (t *Transport) note(e Event, c *counted) {
	t.mu.Lock()
	t.fired++
	t.mu.Unlock()
	if t.Happens != nil {
		t.Happens(e, c.Request)
	}
}

// pass sends the request and remembers what was read.
func (t *Transport) pass(c *counted) (*http.Response, error) {
	resp, err := t.Next.RoundTrip(c.fresh(c.Context()))
	if err != nil || c.verb == VerbWatch || c.verb.Writes() || c.Method != http.MethodGet || resp.StatusCode != http.StatusOK {
		return resp, err
	}
	read, err := readAnswer(resp)
	if err != nil {
		return nil, err
	}
	t.remember(c, read)
	return read.to(resp), nil
}

// deliver sends the request now, under the caller's context, for its effect.
func (t *Transport) deliver(c *counted) {
	if resp, err := t.Next.RoundTrip(c.fresh(c.Context())); err == nil {
		discard(resp)
	}
}

func discard(resp *http.Response) {
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
}

// send puts a write on its way, to arrive before the request of this number.
func (t *Transport) send(c *counted, due int, afterNext bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.underway = append(t.underway, parcel{request: c.orphan(), number: c.number, due: due, afterNext: afterNext, sent: t.now()})
}

func (t *Transport) land(now func(parcel) bool) {
	t.mu.Lock()
	var arrive, stay []parcel
	for _, p := range t.underway {
		switch {
		case !now(p):
			stay = append(stay, p)
		case t.now().Sub(p.sent) < t.lands():
			arrive = append(arrive, p)
		}
	}
	t.underway = stay
	t.mu.Unlock()
	for _, p := range arrive {
		if resp, err := t.Next.RoundTrip(p.request); err == nil {
			discard(resp)
		}
	}
}

func (t *Transport) now() time.Time {
	if t.Clock == nil {
		return time.Time{}
	}
	return t.Clock.Now()
}

func (t *Transport) lands() time.Duration {
	if t.Lands == 0 {
		return time.Minute
	}
	return t.Lands
}
