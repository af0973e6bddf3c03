// What a Transport does to requests: for each fault, what the server sees of it
// and what its client gets.

package fault

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/client-go/rest"
)

// A server keeps the objects of one resource, as names, and notes what it was
// asked: "create a", "update a", "delete a", "get a", "list", "watch".
type server struct {
	*httptest.Server
	mu      sync.Mutex
	saw     []string
	objects []string
	version int
}

func newServer(t *testing.T) *server {
	s := &server{version: 100}
	s.Server = httptest.NewServer(s)
	t.Cleanup(s.Close)
	return s
}

const path = "/api/v1/namespaces/shop/pods"

// ServeHTTP implements http.Handler.
func (s *server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	name := strings.Trim(strings.TrimPrefix(r.URL.Path, path), "/")
	verb := VerbOf(r)
	if verb == VerbCreate {
		name = string(body)
	}
	s.saw = append(s.saw, strings.TrimSpace(fmt.Sprint(verb, " ", name)))
	w.Header().Set("Content-Type", "application/json")
	s.answer(w, r, verb, name)
}

func (s *server) answer(w http.ResponseWriter, r *http.Request, verb Verb, name string) {
	at := -1
	for i, o := range s.objects {
		if o == name {
			at = i
		}
	}
	switch {
	case verb == VerbList && r.URL.Query().Get("limit") == "1" && len(s.objects) > 1:
		_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d","continue":"next"},"items":[%q]}`, s.version, s.objects[0])
	case verb == VerbList:
		_, _ = fmt.Fprintf(w, `{"metadata":{"resourceVersion":"%d"},"items":["%s"]}`, s.version, strings.Join(s.objects, `","`))
	case verb == VerbWatch:
		_, _ = io.WriteString(w, "{\"n\":1}\n{\"n\":2}\n")
	case verb == VerbCreate && at >= 0:
		w.WriteHeader(http.StatusConflict)
	case verb == VerbCreate:
		s.objects = append(s.objects, name)
		s.version++
		w.WriteHeader(http.StatusCreated)
	case at < 0:
		w.WriteHeader(http.StatusNotFound)
	case verb == VerbDelete:
		s.objects = append(s.objects[:at], s.objects[at+1:]...)
		s.version++
	default:
		s.version++ // an update, or a get, of what changes all the time
		_, _ = fmt.Fprintf(w, `{"metadata":{"name":%q,"resourceVersion":"%d"}}`, name, s.version)
	}
}

func (s *server) seen() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.saw...)
}

// A client sends one request after the other through a Transport.
type client struct {
	t      *testing.T
	server *server
	*Transport
}

func newClient(t *testing.T, plan string) *client {
	s := newServer(t)
	p, err := Parse(plan)
	require.NoError(t, err)
	return &client{t, s, &Transport{Next: s.Client().Transport, Plan: p}}
}

// do sends a request, and returns its status and body, or the error.
func (c *client) do(what string) (int, string, error) {
	c.t.Helper()
	verb, name, _ := strings.Cut(what, " ")
	method, url, body := http.MethodGet, path, ""
	switch verb {
	case "create":
		method, body = http.MethodPost, name
	case "update":
		method, url = http.MethodPatch, path+"/"+name
	case "delete":
		method, url = http.MethodDelete, path+"/"+name
	case "get":
		url += "/" + name
	case "more":
		url += "?continue=next"
	case "watch":
		url += "?watch=1"
	}
	ctx, cancel := context.WithTimeout(c.t.Context(), 5*time.Second)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, method, c.server.URL+url, strings.NewReader(body))
	require.NoError(c.t, err)
	resp, err := c.RoundTrip(r)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	raw, err := io.ReadAll(resp.Body)
	require.NoError(c.t, err)
	return resp.StatusCode, string(raw), nil
}

// answer is what do returns in one line: a status, or an error.
func (c *client) answer(what string) string {
	c.t.Helper()
	code, _, err := c.do(what)
	var late interface{ Timeout() bool }
	switch {
	case err == nil:
		return fmt.Sprint(code)
	case errors.Is(err, syscall.ECONNRESET):
		return "reset"
	case errors.Is(err, errDown):
		return "down"
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.As(err, &late) && late.Timeout():
		return "timeout"
	}
	return err.Error()
}

// Each line is a plan, what the client asks and gets, and what the server sees.
// Where a write is repeated or late, the order of what the server sees is the law.
func TestWhatARequestMeets(t *testing.T) {
	for _, c := range []struct {
		plan string
		asks string // "create a=201, …"
		saw  string
	}{
		{"", "create a=201, create a=409, get a=200, get b=404, delete a=200", "create a, create a, get a, get b, delete a"},
		{"F01.0@1", "create a=reset, create a=201", "create a"},
		{"F01.0@1", "get a=reset, get a=404", "get a"},
		{"F02.0@1", "create a=timeout, create a=201", "create a"},
		{"F03.0@1", "create a=timeout, create a=409", "create a, create a"},
		{"F04.0@1", "create a=timeout, get b=404, get a=200", "get b, create a, get a"},
		{"F04.1@1", "create a=timeout, get b=404, get b=404, get b=404, get a=200", "get b, get b, get b, create a, get a"},
		{"F05.0@1", "create a=409, get a=200", "create a, create a, get a"},
		{"F05.0@2", "create a=201, delete a=404", "create a, delete a, delete a"},
		{"F05.1@1", "create a=201, delete a=200, get a=200", "create a, delete a, create a, get a"},
		{"F06.0@2", "create a=201, delete a=timeout, get a=200, update a=200, get a=404", "create a, get a, update a, delete a, get a"},
		{"F07.0@1", "create a=409, create a=201", "create a"},
		{"F07.1@2", "create a=201, update a=409, get a=200, update a=409, update a=409, update a=409, update a=409, update a=200", "create a, get a, update a"},
		{"F08.0@1", "create a=409, get a=200", "create a, get a"},
		{"F09.0@2", "create a=201, delete a=404, get a=200", "create a, get a"},
		{"F11.0@1", "more=410, list=200", "list"},
		{"F12.0@1", "create a=429, create a=201", "create a"},
		{"F12.1@1", "list=429, create a=201, list=429, list=429, list=429, list=429, list=200", "create a, list"},
		{"F13.0@1", "create a=500, get a=404", "get a"},
		{"F13.1@1", "create a=500, get a=200", "create a, get a"},
		{"F14.0@1", "create a=503, get a=404", "get a"},
		{"F14.2@1", "create a=503, get a=200", "create a, get a"},
		{"F15.0@1", "create a=504, get a=404", "get a"},
		{"F15.1@1", "create a=504, get a=200", "create a, get a"},
		{"F20.0@1", "create a=413, get a=404", "get a"},
		{"F21.0@1", "create a=down, get a=down", ""},
		{"F21.1@1", "create a=down, get a=down", "create a"},
		{"F25.0@1", "create a=403, create a=201", "create a"},
		{"F25.1@1", "create a=403, delete a=403, get a=404", "get a"},
		{"F27.0@1", "list=403, list=200", "list"},
		{"F27.1@1", "list=403, list=403, get a=404", "get a"},
		{"F28.0@2", "create a=201, create b=403, delete a=200, create b=403", "create a, delete a"},
		{"F48.0@1", "create a=canceled, get a=404", "get a"},
		{"F48.1@1", "create a=canceled, get a=200", "create a, get a"},
	} {
		t.Run(c.plan, func(t *testing.T) {
			client := newClient(t, c.plan)
			asked, counted := 0, 0
			for _, ask := range strings.Split(c.asks, ", ") {
				what, want, _ := strings.Cut(ask, "=")
				asked++
				if !client.down {
					counted++ // the dead send nothing
				}
				require.Equal(t, want, client.answer(what), "%s, the answer to request %d", what, asked)
			}
			require.Equal(t, c.saw, strings.Join(client.server.seen(), ", "), "what the server saw")
			require.Equal(t, len(client.Plan), client.Fired())
			require.Equal(t, counted, client.Requests())
		})
	}
}

func TestLateWritesArriveWhenTheyAreLetLand(t *testing.T) {
	for _, plan := range []string{"F04.2@1", "F06.0@1", "F21.3@1", "F21.2@1"} {
		c := newClient(t, plan)
		c.answer("create a")
		require.Empty(t, c.server.seen(), plan)
		c.Land()
		c.Land()
		require.Equal(t, []string{"create a"}, c.server.seen(), "%s arrives, once", plan)
	}
}

// stopped is a clock that is set by hand.
type stopped struct{ now time.Time }

func (s *stopped) Now() time.Time { return s.now }
func (s *stopped) Sleep(_ context.Context, d time.Duration) error {
	s.now = s.now.Add(d)
	return nil
}

func TestWhatIsTooOldNeverArrives(t *testing.T) {
	for _, age := range []time.Duration{59 * time.Second, 60 * time.Second} {
		c := newClient(t, "F04.2@1")
		clock := &stopped{time.Unix(0, 0)}
		c.Clock = clock
		c.answer("create a")
		clock.now = clock.now.Add(age)
		c.Land()
		require.Equal(t, age < time.Minute, len(c.server.seen()) == 1, "after %v", age)
	}
}

func TestATimeoutTakesHalfAMinute(t *testing.T) {
	c := newClient(t, "F02.0@1")
	clock := &stopped{}
	c.Clock = clock
	c.answer("get a")
	require.Equal(t, 30*time.Second, clock.now.Sub(time.Time{}))
}

func TestAStaleReadIsTheLastOneAgain(t *testing.T) {
	c := newClient(t, "F16.0@5 F17.0@6")
	_, before, _ := c.do("list")
	c.answer("create a")
	_, last, _ := c.do("list")
	c.answer("create b")
	_, stale, _ := c.do("list")
	require.Equal(t, last, stale, "b was written, and is not there")
	_, back, _ := c.do("list")
	require.Equal(t, before, back, "a was seen, and is not there")
	_, now, _ := c.do("list")
	require.Contains(t, now, `"a","b"`)
	require.Equal(t, 2, c.Fired())
}

func TestAReadIsNotStaleIfNothingWasWritten(t *testing.T) {
	c := newClient(t, "F16.0@1 F16.0@2 F17.0@3")
	for range 3 {
		c.answer("list")
	}
	require.Zero(t, c.Fired())
}

func TestATruncatedListSaysNothingOfIt(t *testing.T) {
	c := newClient(t, "F18.0@4 F18.0@6")
	for _, name := range []string{"create a", "create b", "create c"} {
		c.answer(name)
	}
	_, cut, _ := c.do("list")
	require.Contains(t, cut, `"items":["a"]`)
	require.NotContains(t, cut, "continue")
	_, whole, _ := c.do("list")
	require.Contains(t, whole, `"a","b","c"`)
	c.answer("get a")
	require.Equal(t, 1, c.Fired(), "one object is no list")
}

func TestAListIsMadeToComeInPagesThatEnd(t *testing.T) {
	c := newClient(t, "F11.0@3")
	c.answer("create a")
	c.answer("create b")
	_, page, _ := c.do("list")
	require.Contains(t, page, `"continue":"next"`)
	require.Equal(t, "410", c.answer("more"))
	_, whole, _ := c.do("list")
	require.Contains(t, whole, `"a","b"`)
}

func TestWatchesBreak(t *testing.T) {
	for plan, want := range map[string]string{
		"F19.1@1": "",
		"F19.2@1": "{\"n\":2}\n",
		"F19.3@1": "{\"n\":1}\n{\"n\":1}\n{\"n\":2}\n",
		"F20.0@1": `{"type":"MODIF`,
	} {
		c := newClient(t, plan)
		code, got, err := c.do("watch")
		require.NoError(t, err, plan)
		require.Equal(t, http.StatusOK, code, plan)
		require.Equal(t, want, got, plan)
		_, got, _ = c.do("watch")
		require.Equal(t, "{\"n\":1}\n{\"n\":2}\n", got, "the next one is whole")
	}
	c := newClient(t, "F10.0@1")
	_, got, _ := c.do("watch")
	require.Contains(t, got, `"type":"ERROR"`)
	require.Contains(t, got, `"code":410`)
	require.Empty(t, c.server.seen())
}

func TestAWatchThatNeverConnectsEndsWithItsCaller(t *testing.T) {
	c := newClient(t, "F19.0@1")
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.server.URL+path+"?watch=1", nil)
	require.NoError(t, err)
	go cancel()
	_, err = c.RoundTrip(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, c.server.seen())
}

func TestAMalformedAnswerHasHadItsEffect(t *testing.T) {
	c := newClient(t, "F20.0@2 F20.0@3")
	c.answer("create a")
	code, got, err := c.do("update a")
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, code)
	require.Regexp(t, `^\{.*[^}]$`, got)
	_, got, _ = c.do("list")
	require.Regexp(t, `^\{.*[^}]$`, got)
	require.Equal(t, []string{"create a", "update a", "list"}, c.server.seen())
}

func TestOnlySomeRequestsAreCounted(t *testing.T) {
	c := newClient(t, "F01.0@2")
	c.Only = func(r *http.Request) bool { return VerbOf(r).Writes() }
	require.Equal(t, "201", c.answer("create a"))
	require.Equal(t, "200", c.answer("get a"))
	require.Equal(t, "reset", c.answer("delete a"))
	require.Equal(t, 2, c.Requests())
}

func TestWhatIsTheEnvironmentsIsAskedOfIt(t *testing.T) {
	c := newClient(t, "F36.1@1 F08.1@2 F09.1@3 F23.0@3")
	var asked []string
	c.Environment = func(e Event, r *http.Request) bool {
		asked = append(asked, fmt.Sprint(e, " ", VerbOf(r)))
		return e.Fault != Quota
	}
	require.Equal(t, "404", c.answer("get a"), "the request passes")
	require.Equal(t, "201", c.answer("create a"))
	require.Equal(t, "200", c.answer("get a"))
	require.Equal(t, []string{"F36.1@1 get", "F08.1@2 create", "F09.1@3 get", "F23.0@3 get"}, asked)
	require.Equal(t, 3, c.Fired(), "a quota could not be had")
}

func TestCrashAndCancelAreTheCallers(t *testing.T) {
	c := newClient(t, "F48.0@1 F21.0@2")
	var told []string
	c.Cancel, c.Crash = func() { told = append(told, "cancel") }, func() { told = append(told, "crash") }
	c.answer("get a")
	c.answer("get a")
	require.Equal(t, []string{"cancel", "crash"}, told)
	c.Admit()
	require.Equal(t, "down", c.answer("get a"), "the dead stay dead")
}

func TestAdmitEndsWhatWasToLast(t *testing.T) {
	c := newClient(t, "F27.1@1 F12.1@2")
	require.Equal(t, "403", c.answer("list"))
	require.Equal(t, "429", c.answer("get a"))
	c.Admit()
	require.Equal(t, "200", c.answer("list"))
	require.Equal(t, "404", c.answer("get a"))
}

// Every fault is carried out, is the environment's, or says at which verb it has
// no meaning; and what has one comes about there.
func TestEveryFaultHasAMeaningOrAReason(t *testing.T) {
	asks := map[Verb]string{VerbGet: "get a", VerbList: "list", VerbMore: "more", VerbWatch: "watch", VerbCreate: "create new", VerbUpdate: "update a", VerbDelete: "delete a"}
	tried := 0
	for f := Fault(1); int(f) <= Count; f++ {
		for verb, ask := range asks {
			for form := range f.Forms() {
				c := newClient(t, "")
				c.Environment = func(Event, *http.Request) bool { return true }
				for _, before := range []string{"create a", "get a", "list", "more", "create b", "get a", "list", "more", "create c", "create d"} {
					c.answer(before)
				}
				c.Plan = Plan{{c.Requests() + 1, f, form}}
				if f == WatchBroken && form == 0 {
					continue // it would wait; see its own test
				}
				c.answer(ask)
				quiet := f == Crash && form > 1 && !verb.Writes() || verb == VerbMore && (f == Truncated || f == StaleRead || f == TimeTravel)
				if SkipVerb(f, verb) != "" || quiet {
					require.Zero(t, c.Fired(), "%v at %v", f, verb)
				} else {
					require.Equal(t, 1, c.Fired(), "%v, form %d, at %v", f, form, verb)
				}
				tried++
			}
		}
	}
	require.Greater(t, tried, Count*len(asks))
}

func TestVerbsAreTold(t *testing.T) {
	for line, want := range map[string]Verb{
		"GET /api/v1/namespaces/shop":                                          VerbGet,
		"GET /api/v1/namespaces":                                               VerbList,
		"GET /api/v1/pods?limit=500":                                           VerbList,
		"GET /api/v1/namespaces/shop/pods":                                     VerbList,
		"GET /api/v1/namespaces/shop/pods?continue=x":                          VerbMore,
		"GET /api/v1/namespaces/shop/pods?watch=true":                          VerbWatch,
		"GET /api/v1/namespaces/shop/pods/a":                                   VerbGet,
		"GET /api/v1/namespaces/shop/pods/a/log":                               VerbGet,
		"GET /apis/apps/v1/namespaces/shop/replicasets":                        VerbList,
		"GET /apis/apps/v1/namespaces/shop/replicasets/a":                      VerbGet,
		"GET /apis/apps/v1/replicasets":                                        VerbList,
		"GET /apis/apps/v1":                                                    VerbGet,
		"GET /api":                                                             VerbGet,
		"GET /version":                                                         VerbGet,
		"POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews":          VerbGet,
		"POST /apis/apps/v1/namespaces/shop/replicasets?fieldManager=x":        VerbCreate,
		"PUT /apis/apps/v1/namespaces/shop/replicasets/a":                      VerbUpdate,
		"PATCH /apis/apps/v1/namespaces/shop/replicasets/a/scale":              VerbUpdate,
		"DELETE /apis/apps/v1/namespaces/shop/replicasets/a":                   VerbDelete,
		"DELETE /apis/apps/v1/namespaces/shop/replicasets?labelSelector=app=x": VerbDelete,
	} {
		method, url, _ := strings.Cut(line, " ")
		require.Equal(t, want, VerbOf(httptest.NewRequest(method, url, nil)), line)
	}
}

// client-go sends a write again that was answered with a Retry-After, which no
// fault above it can show: the second then meets the effect of the first.
func TestClientGoSendsAWriteAgainThatIsToRetryAfter(t *testing.T) {
	for _, c := range []struct {
		plan, retryAfter string
		again            bool
	}{{"F12.0@1", "0", true}, {"F12.0@1", "", false}, {"F13.1@1", "0", true}, {"F14.2@1", "0", true}, {"F14.2@1", "", false}, {"F15.0@1", "0", false}} {
		var saw []string
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			saw = append(saw, r.Method)
			w.Header().Set("Content-Type", "application/json")
			code := map[bool]int{true: http.StatusCreated, false: http.StatusConflict}[len(saw) == 1]
			w.WriteHeader(code)
			_, _ = io.WriteString(w, map[bool]string{true: `{"kind":"Status","apiVersion":"v1","status":"Success"}`, false: taken.status()}[len(saw) == 1])
		}))
		plan, err := Parse(c.plan)
		require.NoError(t, err)
		faulty := &Transport{Plan: plan, RetryAfter: c.retryAfter}
		err = clientGo(t, server.URL, faulty).Post().AbsPath(path).Body([]byte("{}")).Do(t.Context()).Error()
		server.Close()

		effect := strings.HasPrefix(c.plan, "F13.1") || strings.HasPrefix(c.plan, "F14.2")
		require.Equal(t, map[bool]int{true: 2, false: 1}[c.again], faulty.Requests(), "%s, Retry-After %q", c.plan, c.retryAfter)
		switch {
		case c.again && effect:
			require.True(t, apierrors.IsAlreadyExists(err), "it was us: %v", err)
		case c.again:
			require.NoError(t, err)
		default:
			require.Error(t, err)
		}
	}
}

// clientGo is a client of client-go over a Transport.
func clientGo(t *testing.T, url string, over *Transport) *rest.RESTClient {
	t.Helper()
	kinds := runtime.NewScheme()
	metav1.AddToGroupVersion(kinds, schema.GroupVersion{Version: "v1"})
	config := &rest.Config{Host: url, APIPath: "/api", ContentConfig: rest.ContentConfig{
		GroupVersion: &schema.GroupVersion{Version: "v1"}, NegotiatedSerializer: serializer.NewCodecFactory(kinds).WithoutConversion(),
	}}
	config.Wrap(func(next http.RoundTripper) http.RoundTripper { over.Next = next; return over })
	client, err := rest.RESTClientFor(config)
	require.NoError(t, err)
	return client
}

func TestManyAtOnceAreEachCounted(t *testing.T) {
	c := newClient(t, "F01.0@3 F12.0@7")
	var all sync.WaitGroup
	for range 20 {
		all.Add(1)
		go func() {
			defer all.Done()
			r, err := http.NewRequest(http.MethodGet, c.server.URL+path, nil)
			if err != nil {
				return
			}
			if resp, err := c.RoundTrip(r); err == nil {
				discard(resp)
			}
		}()
	}
	all.Wait()
	require.Equal(t, 20, c.Requests())
	require.Equal(t, 2, c.Fired())
	require.Len(t, c.server.seen(), 18)
}
