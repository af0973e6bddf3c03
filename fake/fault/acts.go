// The faults that a Transport carries out itself, one function each.

package fault

import (
	"context"
	"net/http"
	"time"
)

// An act carries an event out at a request. An answer or an error ends the
// request; neither lets it pass. came is false if there was nothing to spoil.
type act func(t *Transport, e Event, c *counted) (resp *http.Response, err error, came bool)

// acts are the faults that need no environment.
var acts = map[Fault]act{
	Reset:          func(*Transport, Event, *counted) (*http.Response, error, bool) { return nil, reset(), true },
	TimeoutLost:    (*Transport).timeoutLost,
	TimeoutDone:    (*Transport).timeoutDone,
	Late:           (*Transport).late,
	Duplicate:      (*Transport).duplicate,
	Reorder:        (*Transport).reorder,
	Conflict:       (*Transport).conflict,
	Exists:         (*Transport).exists,
	NotFound:       answering(missing),
	ExpiredWatch:   (*Transport).expiredWatch,
	ExpiredList:    (*Transport).expiredList,
	TooMany:        (*Transport).tooMany,
	ServerError:    (*Transport).serverError,
	Unavailable:    (*Transport).unavailable,
	GatewayTimeout: (*Transport).gatewayTimeout,
	StaleRead:      (*Transport).stale,
	TimeTravel:     (*Transport).stale,
	Truncated:      (*Transport).truncated,
	WatchBroken:    (*Transport).watchBroken,
	Malformed:      (*Transport).malformed,
	Crash:          (*Transport).crash,
	Denied:         (*Transport).deny,
	Forbidden:      (*Transport).deny,
	NamespaceGone:  (*Transport).deny,
	Cancel:         (*Transport).cancel,
}

func answering(f *forged) act {
	return func(_ *Transport, _ Event, c *counted) (*http.Response, error, bool) {
		return f.to(c.Request), nil, true
	}
}

func (t *Transport) timeoutLost(_ Event, c *counted) (*http.Response, error, bool) {
	if t.Clock != nil {
		_ = t.Clock.Sleep(c.Context(), 30*time.Second)
	}
	return nil, timeout{}, true
}

func (t *Transport) timeoutDone(_ Event, c *counted) (*http.Response, error, bool) {
	t.deliver(c)
	return nil, timeout{}, true
}

func (t *Transport) late(e Event, c *counted) (*http.Response, error, bool) {
	t.send(c, []int{c.number + 2, c.number + 4, never}[e.Form], false)
	return nil, timeout{}, true
}

func (t *Transport) duplicate(e Event, c *counted) (*http.Response, error, bool) {
	if e.Form == 1 {
		t.send(c, c.number+2, false)
		return nil, nil, true
	}
	t.deliver(c)
	return nil, nil, true // which sends it once more
}

func (t *Transport) reorder(_ Event, c *counted) (*http.Response, error, bool) {
	t.send(c, never, true)
	return nil, timeout{}, true
}

// repeat answers this request, and four more of its verb if five are meant.
func (t *Transport) repeat(five bool, f *forged, c *counted) (*http.Response, error, bool) {
	if five {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.repeats = repeated{c.verb, f, 4}
	}
	return f.to(c.Request), nil, true
}

func (t *Transport) conflict(e Event, c *counted) (*http.Response, error, bool) {
	return t.repeat(e.Form == 1, changed, c)
}

func (t *Transport) exists(_ Event, c *counted) (*http.Response, error, bool) {
	t.deliver(c)
	return taken.to(c.Request), nil, true
}

func (t *Transport) tooMany(e Event, c *counted) (*http.Response, error, bool) {
	return t.repeat(e.Form == 1, busy.after(t.RetryAfter), c)
}

// failed answers a request that had its effect, or had none.
func (t *Transport) failed(effect bool, f *forged, c *counted) (*http.Response, error, bool) {
	if effect && c.verb != VerbWatch {
		t.deliver(c)
	}
	return f.to(c.Request), nil, true
}

func (t *Transport) serverError(e Event, c *counted) (*http.Response, error, bool) {
	return t.failed(e.Form == 1, broken.after(t.RetryAfter), c)
}

func (t *Transport) unavailable(e Event, c *counted) (*http.Response, error, bool) {
	f := unavailable.after(t.RetryAfter)
	if e.Form == 1 {
		return t.repeat(true, f, c)
	}
	return t.failed(e.Form == 2, f, c)
}

func (t *Transport) gatewayTimeout(e Event, c *counted) (*http.Response, error, bool) {
	return t.failed(e.Form == 1, slow, c)
}

// expiredList answers a list that goes on. One that begins is made to come in
// pages, and cannot go on after the first.
func (t *Transport) expiredList(_ Event, c *counted) (*http.Response, error, bool) {
	if c.verb == VerbMore {
		return gone.to(c.Request), nil, true
	}
	r := c.fresh(c.Context())
	q := r.URL.Query()
	q.Set("limit", "1")
	r.URL.RawQuery = q.Encode()
	resp, err := t.Next.RoundTrip(r)
	if err != nil {
		return nil, err, false
	}
	read, err := readAnswer(resp)
	if err != nil {
		return nil, err, false
	}
	if !read.goesOn() {
		return read.to(resp), nil, false
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.expired == nil {
		t.expired = map[string]bool{}
	}
	t.expired[c.URL.Path] = true
	return read.to(resp), nil, true
}

// stale answers with what was read before: the last answer to the same request,
// or one from before it. There must have been one, and something else since.
func (t *Transport) stale(e Event, c *counted) (*http.Response, error, bool) {
	before := t.before(c, e.Fault == TimeTravel)
	resp, err := t.Next.RoundTrip(c.fresh(c.Context()))
	if err != nil || resp.StatusCode != http.StatusOK || c.Method != http.MethodGet {
		return resp, err, false
	}
	now, err := readAnswer(resp)
	if err != nil {
		return nil, err, false
	}
	if before == nil || before.same(now) {
		t.remember(c, now)
		return now.to(resp), nil, false
	}
	return before.to(resp), nil, true
}

// truncated takes the last half of the items away.
func (t *Transport) truncated(_ Event, c *counted) (*http.Response, error, bool) {
	resp, err := t.pass(c)
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err, false
	}
	read, err := readAnswer(resp)
	if err != nil {
		return nil, err, false
	}
	less, cut := read.truncated()
	return less.to(resp), nil, cut
}

// malformed cuts the answer short: it had its effect, and cannot be read.
func (t *Transport) malformed(_ Event, c *counted) (*http.Response, error, bool) {
	switch c.verb {
	case VerbCreate:
		return huge.to(c.Request), nil, true
	case VerbWatch:
		return stream(c.Request, "{\"type\":\"MODIF"), nil, true
	}
	resp, err := t.Next.RoundTrip(c.fresh(c.Context()))
	if err != nil {
		return nil, err, false
	}
	read, err := readAnswer(resp)
	if err != nil {
		return nil, err, false
	}
	read.body = read.body[:len(read.body)/2]
	return read.to(resp), nil, true
}

// deny refuses this request, or every one of its verb from now on; a policy
// does that with every write.
func (t *Transport) deny(e Event, c *counted) (*http.Response, error, bool) {
	f := map[Fault]*forged{Denied: policy, Forbidden: forbidden, NamespaceGone: terminating}[e.Fault]
	if e.Form == 0 && e.Fault != NamespaceGone {
		return f.to(c.Request), nil, true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.denied == nil {
		t.denied = map[Verb]*forged{}
	}
	t.denied[c.verb] = f
	for _, v := range atWrites {
		if e.Fault == Denied {
			t.denied[v] = f
		}
	}
	return f.to(c.Request), nil, true
}

// crash ends the process: before the request was sent, after it was answered, or
// while it is under way.
func (t *Transport) crash(e Event, c *counted) (*http.Response, error, bool) {
	if e.Form > 1 && !c.verb.Writes() {
		return nil, nil, false
	}
	switch e.Form {
	case 1:
		if c.verb != VerbWatch {
			t.deliver(c)
		}
	case 2, 3:
		t.send(c, []int{c.number + 4, never}[e.Form-2], false)
	}
	t.mu.Lock()
	t.down = true
	t.mu.Unlock()
	if t.Crash != nil {
		t.Crash()
	}
	return nil, errDown, true
}

func (t *Transport) cancel(e Event, c *counted) (*http.Response, error, bool) {
	if e.Form == 1 && c.verb != VerbWatch {
		t.deliver(c)
	}
	if t.Cancel != nil {
		t.Cancel()
	}
	return nil, context.Canceled, true
}
