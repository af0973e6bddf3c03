// A read that is refused, cut short or out of date justifies nothing: whatever
// the look lacks, nothing is deleted.

package rollout_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A reading is what a look has to list.
type reading struct{ group, plural, says string }

func readings() []reading {
	return []reading{
		{"apps", "replicasets", "list replicasets.apps"},
		{"", "pods", "list pods"},
		{"", "services", "list services"},
		{"discovery.k8s.io", "endpointslices", "list endpointslices.discovery.k8s.io"},
	}
}

// rights are what a cleanup needs, but for one list.
func rights(without reading) []rbacv1.PolicyRule {
	var rules []rbacv1.PolicyRule
	for _, r := range append(readings(), reading{group: "apps", plural: "deployments"}) {
		verbs := []string{"get", "list", "watch", "create", "update", "patch", "delete"}
		if r.plural == without.plural {
			verbs = slices.DeleteFunc(verbs, func(v string) bool { return v == "list" })
		}
		rules = append(rules, rbacv1.PolicyRule{APIGroups: []string{r.group}, Resources: []string{r.plural}, Verbs: verbs})
	}
	return rules
}

const cleaner = "cleaner"

// grant makes a user who has these rights here, and no others. It returns its
// configuration.
func (w *world) grant(rules []rbacv1.PolicyRule) *rest.Config {
	w.t.Helper()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: cleaner}, Rules: rules}
	_, err := w.client.RbacV1().Roles(w.ns).Create(w.t.Context(), role, metav1.CreateOptions{})
	require.NoError(w.t, err)
	_, err = w.client.RbacV1().RoleBindings(w.ns).Create(w.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: cleaner},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: w.ns, APIGroup: "rbac.authorization.k8s.io"}},
		RoleRef:    rbacv1.RoleRef{Kind: "Role", Name: cleaner, APIGroup: "rbac.authorization.k8s.io"},
	}, metav1.CreateOptions{})
	require.NoError(w.t, err)
	cfg := plane.UserConfig(w.t, w.ns)
	w.may(cfg, rules[len(rules)-1].APIGroups[0], rules[len(rules)-1].Resources[0], true)
	return cfg
}

// may waits until a user may list a resource, or may not.
func (w *world) may(cfg *rest.Config, group, plural string, allowed bool) {
	w.t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	require.NoError(w.t, err)
	w.eventually("the rights to list "+plural+" are as granted", func() bool {
		review, err := client.AuthorizationV1().SelfSubjectAccessReviews().Create(w.t.Context(), &authorizationv1.SelfSubjectAccessReview{
			Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
				Namespace: w.ns, Verb: "list", Group: group, Resource: plural,
			}},
		}, metav1.CreateOptions{})
		require.NoError(w.t, err)
		return review.Status.Allowed == allowed
	})
}

// halfEnabled is the post's first app after an enable that died: a cleanup of it
// is a write, and then a delete.
func halfEnabled(t *testing.T) *world {
	t.Helper()
	w := newWorld(t, service(webapp, "lb-webapp: in", "")+webappSet("v001", gustoPods, true, "fast"))
	w.services = []string{webapp}
	w.serve(gustoPods)
	lit("v002", gustoPods, 1)(w)
	return w
}

// cleanAs runs a cleanup by way of a client.
func (w *world) cleanAs(cfg *rest.Config, see func(strategy.Event)) error {
	w.t.Helper()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
	require.NoError(w.t, err)
	runner := quick(c)
	runner.GiveUp = time.Second
	runner.Trace = func(e strategy.Event) {
		w.t.Log(e)
		if see != nil {
			see(e)
		}
	}
	_, err = cleanup.Run(w.t.Context(), runner, webapp, cleanup.Policy{RunFailed: true, Drain: -1})
	return err
}

// untouched requires that no delete was asked for, and that both versions are
// there.
func (w *world) untouched() {
	w.t.Helper()
	for _, e := range w.mutating() {
		require.NotContains(w.t, e.Verb, "delete", e.String())
	}
	sets := w.kubectl("get", "rs", "--no-headers", "-o", "custom-columns=:.metadata.name,:.spec.replicas")
	require.Equal(w.t, []string{"webapp-v001 3", "webapp-v002 3"}, sets)
	w.held(gustoPods)
}

// A list that is not allowed is found before the first write.
func TestReadThatIsForbidden(t *testing.T) {
	t.Parallel()
	for _, r := range readings() {
		t.Run(r.plural, func(t *testing.T) {
			t.Parallel()
			w := halfEnabled(t)
			err := w.cleanAs(w.grant(rights(r)), nil)
			t.Log(err)
			require.ErrorIs(t, err, cluster.ErrRefused)
			var abort *strategy.AbortError
			require.ErrorAs(t, err, &abort)
			require.Equal(t, strategy.Refused.String(), abort.Kind.String())
			require.ErrorContains(t, err, r.says)
			require.Empty(t, w.mutating(), "writes")
			w.untouched()
		})
	}
}

// Rights that are taken away in mid-run end it at the next look. The step that
// was decided before is a write to webapp-v002; its delete would come after.
func TestReadThatIsForbiddenInMidRun(t *testing.T) {
	t.Parallel()
	for _, r := range readings() {
		t.Run(r.plural, func(t *testing.T) {
			t.Parallel()
			w := halfEnabled(t)
			cfg := w.grant(rights(reading{}))
			err := w.cleanAs(cfg, func(e strategy.Event) {
				if e.Turn != 1 || e.Err != nil {
					return
				}
				require.IsType(t, strategy.Put{}, e.Step)
				role, err := w.client.RbacV1().Roles(w.ns).Get(t.Context(), cleaner, metav1.GetOptions{})
				require.NoError(t, err)
				role.Rules = rights(r)
				_, err = w.client.RbacV1().Roles(w.ns).Update(t.Context(), role, metav1.UpdateOptions{})
				require.NoError(t, err)
				w.may(cfg, r.group, r.plural, false)
			})
			t.Log(err)
			require.ErrorIs(t, err, cluster.ErrRefused)
			require.ErrorContains(t, err, `cannot list resource "`+r.plural+`"`)
			w.untouched()
		})
	}
}

// The same where all rights go at once, whether the step that was decided before
// is a delete or not.
func TestRightsAreTakenAwayInMidRun(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name  string
		leave func(*world)
		step  strategy.Step
	}{
		{"before a write", lit("v002", gustoPods, 1), strategy.Put{}},
		{"before a delete", candidate("v002", "fast", gustoPods), strategy.Delete{}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, service(webapp, "lb-webapp: in", "")+webappSet("v001", gustoPods, true, "fast"))
			w.services = []string{webapp}
			w.serve(gustoPods)
			c.leave(w)
			cfg := w.grant(rights(reading{}))
			err := w.cleanAs(cfg, func(e strategy.Event) {
				if e.Turn != 1 || e.Err != nil {
					return
				}
				require.IsType(t, c.step, e.Step)
				require.NoError(t, w.client.RbacV1().RoleBindings(w.ns).Delete(t.Context(), cleaner, metav1.DeleteOptions{}))
				w.may(cfg, "", "pods", false)
			})
			t.Log(err)
			require.ErrorIs(t, err, cluster.ErrRefused)
			require.ErrorContains(t, err, "forbidden")
			require.Empty(t, w.deleted(), "deletes that were carried out")
			sets := w.kubectl("get", "rs", "--no-headers", "-o", "custom-columns=:.metadata.name,:.spec.replicas")
			require.Equal(t, []string{"webapp-v001 3", "webapp-v002 3"}, sets)
			w.held(gustoPods)
		})
	}
}

// through is a configuration whose requests go by way of a function.
func through(do func(r *http.Request, next http.RoundTripper) (*http.Response, error)) *rest.Config {
	cfg := plane.Config()
	cfg.Wrap(func(next http.RoundTripper) http.RoundTripper {
		return roundTripper(func(r *http.Request) (*http.Response, error) { return do(r, next) })
	})
	return cfg
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// lists reports whether a request lists a resource.
func lists(r *http.Request, plural string) bool {
	return r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/"+plural) && r.URL.Query().Get("watch") == ""
}

// rewritten is an answer with another body.
func rewritten(answer *http.Response, body func([]byte) []byte) (*http.Response, error) {
	defer answer.Body.Close()
	raw, err := io.ReadAll(answer.Body)
	if err != nil {
		return nil, err
	}
	raw = body(raw)
	answer.Body = io.NopCloser(bytes.NewReader(raw))
	answer.ContentLength = int64(len(raw))
	answer.Header.Del("Content-Length")
	return answer, nil
}

// cutOff is a body that ends before it should.
type cutOff struct{ io.Reader }

func (c cutOff) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (cutOff) Close() error { return nil }

// A list of pods, or of anything else, that is cut short is no list.
func TestReadThatIsCutShort(t *testing.T) {
	t.Parallel()
	half := func(raw []byte) []byte { return raw[:len(raw)/2] }
	for _, r := range readings() {
		for _, c := range []struct {
			name, says string
			cut        func(*http.Response) (*http.Response, error)
		}{
			{"half of the JSON", "unexpected end of JSON input", func(answer *http.Response) (*http.Response, error) { return rewritten(answer, half) }},
			{"the connection breaks", "unexpected EOF", func(answer *http.Response) (*http.Response, error) {
				answer, err := rewritten(answer, half)
				if err == nil {
					answer.Body = cutOff{answer.Body}
				}
				return answer, err
			}},
		} {
			t.Run(r.plural+", "+c.name, func(t *testing.T) {
				t.Parallel()
				w := halfEnabled(t)
				err := w.cleanAs(through(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
					answer, err := next.RoundTrip(req)
					if err != nil || !lists(req, r.plural) {
						return answer, err
					}
					return c.cut(answer)
				}), nil)
				t.Log(err)
				require.ErrorIs(t, err, strategy.ErrGaveUp)
				require.ErrorContains(t, err, c.says)
				require.Empty(t, w.mutating(), "writes")
				w.untouched()
			})
		}
	}
}

const expired = `{"kind":"Status","apiVersion":"v1","metadata":{},"status":"Failure",` +
	`"message":"The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, ` +
	`or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - ` +
	`objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.","reason":"Expired","code":410}`

// A first page whose second has expired is no list either.
func TestReadWhosePageHasExpired(t *testing.T) {
	t.Parallel()
	for _, r := range readings() {
		t.Run(r.plural, func(t *testing.T) {
			t.Parallel()
			w := halfEnabled(t)
			var seconds atomic.Int32
			err := w.cleanAs(through(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
				if lists(req, r.plural) && req.URL.Query().Get("continue") != "" {
					seconds.Add(1)
					return &http.Response{
						Status: "410 Gone", StatusCode: http.StatusGone, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1, Request: req,
						Header: http.Header{"Content-Type": {"application/json"}, "Date": {time.Now().UTC().Format(http.TimeFormat)}},
						Body:   io.NopCloser(strings.NewReader(expired)), ContentLength: int64(len(expired)),
					}, nil
				}
				answer, err := next.RoundTrip(req)
				if err != nil || !lists(req, r.plural) {
					return answer, err
				}
				return rewritten(answer, firstPage)
			}), nil)
			t.Log(err)
			require.ErrorIs(t, err, strategy.ErrGaveUp)
			require.ErrorContains(t, err, "too old to display a consistent list")
			require.Positive(t, seconds.Load(), "second pages that were asked for")
			require.Empty(t, w.mutating(), "writes")
			w.untouched()
		})
	}
}

// firstPage makes a whole list the first page of a longer one: with one object
// less, and a token for the rest.
func firstPage(raw []byte) []byte {
	var list struct {
		Kind       string            `json:"kind"`
		APIVersion string            `json:"apiVersion"`
		Metadata   map[string]any    `json:"metadata"`
		Items      []json.RawMessage `json:"items"`
	}
	if json.Unmarshal(raw, &list) != nil || len(list.Items) == 0 {
		return raw
	}
	list.Items = list.Items[:len(list.Items)-1]
	list.Metadata["continue"], list.Metadata["remainingItemCount"] = "eyJ2IjoibWV0YS5rOHMuaW8vdjEifQ", 1
	page, err := json.Marshal(list)
	if err != nil {
		return raw
	}
	return page
}

// Pages that do come make one list.
func TestReadInManyPages(t *testing.T) {
	t.Parallel()
	w := halfEnabled(t)
	var pages atomic.Int32
	require.NoError(t, w.cleanAs(through(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if query := req.URL.Query(); query.Has("limit") {
			req = req.Clone(req.Context())
			query.Set("limit", "1")
			req.URL.RawQuery = query.Encode()
			pages.Add(1)
		}
		return next.RoundTrip(req)
	}), nil))
	require.Greater(t, pages.Load(), int32(6))
	require.Equal(t, []string{"webapp-v002"}, w.deleted())
	w.only("webapp-v001", gustoPods)
	w.held(gustoPods)
}

// A watch is a hint: without one the run looks again after each Poll.
func TestWatchThatNeverConnects(t *testing.T) {
	t.Parallel()
	w := newWorld(t, busybox)
	w.services = []string{"busybox1"}
	w.serve(2)
	var watches atomic.Int32
	cfg := through(func(req *http.Request, next http.RoundTripper) (*http.Response, error) {
		if req.URL.Query().Get("watch") != "" {
			watches.Add(1)
			return nil, errors.New("no watch gets through here")
		}
		return next.RoundTrip(req)
	})
	cfg.UserAgent = w.ns
	o := busyboxOptions
	o.Namespace = w.ns
	c, err := kube.New(cfg, o)
	require.NoError(t, err)
	require.NoError(t, deployBusybox(t.Context(), c, pipeline(health.Pass)))
	require.Positive(t, watches.Load(), "watches that were tried")
	require.Equal(t, "1.11", w.selects()["version"])
	w.eventually("the old one has no pods", func() bool { return w.endpoints() == 2 && len(w.kubectl("get", "pods", "--no-headers")) == 2 })
	w.held(2)
}

// Where a watch gets through, nothing waits for the next Poll.
func TestWatchComesBeforeThePoll(t *testing.T) {
	t.Parallel()
	const poll = 8 * patience // half of it is enough even where all else is slow
	t.Run("blue-green", func(t *testing.T) {
		t.Parallel()
		w, c := newBusybox(t)
		w.unpolled(c, "busybox", busybox11(), poll, strategy.BlueGreen{Drain: -1})
	})
	t.Run("red-black", func(t *testing.T) {
		t.Parallel()
		w := newWorld(t, tutorial)
		w.serve(2)
		w.unpolled(w.open(), app, []byte(second), poll, strategy.RedBlack{Drain: -1})
	})
}

// unpolled requires that a release is through before the second look of a run
// that knows only its Poll.
func (w *world) unpolled(c cluster.Cluster, name string, manifest []byte, poll time.Duration, s strategy.Strategy) {
	w.t.Helper()
	target, err := kube.Target(manifest)
	require.NoError(w.t, err)
	target.Release = "unpolled"
	last := ""
	ctx, cancel := context.WithTimeoutCause(w.t.Context(), poll/2, errors.New("it waits for its Poll"))
	defer cancel()
	runner := strategy.Runner{Cluster: c, Poll: poll, Skew: -1, Trace: func(e strategy.Event) { last = e.String(); w.t.Log(last) }}
	_, err = runner.Run(ctx, name, target, s)
	require.NoError(w.t, err, "the last step of %s was: %s", name, last)
	w.held(2)
}
