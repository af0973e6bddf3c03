// Answers that a Transport gives: forged ones, ones that were read before, and
// streams that break.

package fault

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// forged is an error as an apiserver words it.
type forged struct {
	code            int
	reason, message string
	cause           string // among the details, if any
	retryAfter      string // a header, if any
}

var (
	changed     = &forged{code: http.StatusConflict, reason: "Conflict", message: "the object has been modified"}
	taken       = &forged{code: http.StatusConflict, reason: "AlreadyExists", message: "the name is taken"}
	missing     = &forged{code: http.StatusNotFound, reason: "NotFound", message: "not found"}
	gone        = &forged{code: http.StatusGone, reason: "Expired", message: "the continue token, or resourceVersion, is too old"}
	busy        = &forged{code: http.StatusTooManyRequests, reason: "TooManyRequests", message: "too many requests"}
	broken      = &forged{code: http.StatusInternalServerError, reason: "InternalError", message: "internal error"}
	unavailable = &forged{code: http.StatusServiceUnavailable, reason: "ServiceUnavailable", message: "apiserver is shutting down"}
	slow        = &forged{code: http.StatusGatewayTimeout, reason: "Timeout", message: "request did not complete within the allotted time"}
	huge        = &forged{code: http.StatusRequestEntityTooLarge, reason: "RequestEntityTooLarge", message: "limit is 3145728"}
	forbidden   = &forged{code: http.StatusForbidden, reason: "Forbidden", message: "RBAC: not allowed"}
	policy      = &forged{code: http.StatusForbidden, reason: "Forbidden", message: "admission webhook denied the request"}
	terminating = &forged{code: http.StatusForbidden, reason: "Forbidden", message: "the namespace is being terminated", cause: "NamespaceTerminating"}
)

// after is the same answer with a Retry-After header, unless it is "".
func (f *forged) after(seconds string) *forged {
	with := *f
	with.retryAfter = seconds
	return &with
}

// status is the body of the answer.
func (f *forged) status() string {
	details := map[string]any{}
	if f.cause != "" {
		details["causes"] = []map[string]string{{"reason": f.cause}}
	}
	raw, err := json.Marshal(map[string]any{
		"kind": "Status", "apiVersion": "v1", "metadata": map[string]any{}, "status": "Failure",
		"message": "injected: " + f.message, "reason": f.reason, "details": details, "code": f.code,
	})
	if err != nil {
		panic("fault: a status without a JSON form: " + err.Error())
	}
	return string(raw)
}

// to is this answer to a request.
func (f *forged) to(r *http.Request) *http.Response {
	resp := respond(r, f.code, f.status())
	if f.retryAfter != "" {
		resp.Header.Set("Retry-After", f.retryAfter)
	}
	return resp
}

func respond(r *http.Request, code int, body string) *http.Response {
	return &http.Response{
		Status: strconv.Itoa(code) + " " + http.StatusText(code), StatusCode: code,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: r,
		Header: http.Header{"Content-Type": {"application/json"}},
		Body:   io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// stream is a watch that shows this and then ends.
func stream(r *http.Request, body string) *http.Response {
	resp := respond(r, http.StatusOK, body)
	resp.ContentLength = -1
	return resp
}

// An answer is one that was read: its body, and whose it is.
type answer struct {
	body    []byte
	version string // the resourceVersion of the object or the list; "" if it has none
}

func readAnswer(resp *http.Response) (answer, error) {
	body, err := io.ReadAll(resp.Body)
	if err = errors.Join(err, resp.Body.Close()); err != nil {
		return answer{}, fmt.Errorf("fault: read the answer to %s %s: %w", resp.Request.Method, resp.Request.URL.Path, err)
	}
	var seen struct {
		Metadata struct{ ResourceVersion string } `json:"metadata"`
	}
	_ = json.Unmarshal(body, &seen) // what is no JSON has no version
	return answer{body, seen.Metadata.ResourceVersion}, nil
}

// to puts this body into an answer of the server.
func (a answer) to(resp *http.Response) *http.Response {
	resp.Body, resp.ContentLength = io.NopCloser(bytes.NewReader(a.body)), int64(len(a.body))
	resp.Header.Set("Content-Length", strconv.Itoa(len(a.body)))
	return resp
}

func (a answer) same(b answer) bool {
	return a.version == b.version && (a.version != "" || bytes.Equal(a.body, b.body))
}

func (a answer) goesOn() bool {
	var list struct {
		Metadata struct{ Continue string } `json:"metadata"`
	}
	return json.Unmarshal(a.body, &list) == nil && list.Metadata.Continue != ""
}

// truncated is the list without the last half of its items, and without a word
// that there are more. It reports whether there was anything to lose: only JSON
// can be cut.
func (a answer) truncated() (answer, bool) {
	var list map[string]json.RawMessage
	var items []json.RawMessage
	var metadata map[string]json.RawMessage
	if json.Unmarshal(a.body, &list) != nil || json.Unmarshal(list["items"], &items) != nil || len(items) == 0 ||
		json.Unmarshal(list["metadata"], &metadata) != nil {
		return a, false
	}
	delete(metadata, "continue")
	delete(metadata, "remainingItemCount")
	list["items"], list["metadata"] = asJSON(items[:len(items)/2]), asJSON(metadata)
	a.body = asJSON(list)
	return a, true
}

func asJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("fault: JSON that was read cannot be written: " + err.Error())
	}
	return raw
}

// remembered is how many answers to the same request are kept.
const remembered = 2

// remember keeps an answer, if it is not the last one again.
func (t *Transport) remember(c *counted, a answer) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.answers == nil {
		t.answers = map[string][]answer{}
	}
	key := c.URL.String()
	seen := t.answers[key]
	if len(seen) > 0 && seen[len(seen)-1].same(a) {
		return
	}
	seen = append(slices.Clip(seen), a)
	t.answers[key] = seen[max(0, len(seen)-remembered):]
}

// before returns an earlier answer to the same request: the last one, or the one
// before; nil if there is none.
func (t *Transport) before(c *counted, further bool) *answer {
	t.mu.Lock()
	defer t.mu.Unlock()
	seen := t.answers[c.URL.String()]
	i := len(seen) - 1
	if further {
		i--
	}
	if i < 0 {
		return nil
	}
	return &seen[i]
}

func (t *Transport) expiredWatch(_ Event, c *counted) (*http.Response, error, bool) {
	return stream(c.Request, `{"type":"ERROR","object":`+gone.status()+"}\n"), nil, true
}

// watchBroken breaks a watch in one of its forms.
func (t *Transport) watchBroken(e Event, c *counted) (*http.Response, error, bool) {
	switch e.Form {
	case 0:
		<-c.Context().Done()
		return nil, c.Context().Err(), true
	case 1:
		return stream(c.Request, ""), nil, true
	}
	resp, err := t.Next.RoundTrip(c.fresh(c.Context()))
	if err != nil || resp.StatusCode != http.StatusOK {
		return resp, err, false
	}
	resp.Body = &spoiled{ReadCloser: resp.Body, lines: bufio.NewReader(resp.Body), times: 2 * (e.Form - 2)}
	return resp, nil, true
}

// spoiled is a stream of lines whose first one comes so many times.
type spoiled struct {
	io.ReadCloser
	lines *bufio.Reader
	times int
	begun bool
	ready []byte
}

// Read implements io.Reader.
func (s *spoiled) Read(p []byte) (int, error) {
	if !s.begun {
		s.begun = true
		line, err := s.lines.ReadBytes('\n')
		if err != nil {
			return 0, err
		}
		s.ready = bytes.Repeat(line, s.times)
	}
	if len(s.ready) > 0 {
		n := copy(p, s.ready)
		s.ready = s.ready[n:]
		return n, nil
	}
	return s.lines.Read(p)
}
