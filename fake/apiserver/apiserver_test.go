// What has no counterpart on a real server to compare with, or not in a short
// time: compaction, bookmarks, the hook, and that nothing is left to chance.

package apiserver_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/fake/apiserver"
)

const (
	podsPath = "/api/v1/namespaces/default/pods"
	setsPath = "/apis/apps/v1/namespaces/default/replicasets"
)

func (w *world) pod(t *testing.T, name string) map[string]any {
	t.Helper()
	return w.post(t, podsPath, fmt.Sprintf(`{"metadata":{"name":%q,"labels":{"app":"a"}},"spec":{"containers":[{"name":"main","image":"i:1"}]}}`, name))
}

func (w *world) set(t *testing.T, name string, replicas int) map[string]any {
	t.Helper()
	return w.post(t, setsPath, fmt.Sprintf(`{"metadata":{"name":%[1]q},"spec":{"replicas":%[2]d,"selector":{"matchLabels":{"app":%[1]q}},
		"template":{"metadata":{"labels":{"app":%[1]q}},"spec":{"containers":[{"name":"main","image":"i:1"}]}}}}`, name, replicas))
}

func (w *world) get(t *testing.T, path string) (int, map[string]any) {
	t.Helper()
	return w.send(t, http.MethodGet, path, "", "")
}

// items are the names in a list.
func items(list map[string]any) []string {
	names := []string{}
	for _, item := range list["items"].([]any) {
		names = append(names, at(item.(map[string]any), "metadata", "name").(string))
	}
	return names
}

// at is a field of an object.
func at(object map[string]any, path ...string) any {
	var v any = object
	for _, p := range path {
		v = v.(map[string]any)[p]
	}
	return v
}

// open begins a watch.
func (w *world) open(t *testing.T, ctx context.Context, query string) *bufio.Reader {
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://simulated"+podsPath+"?watch=1"+query, nil)
	require.NoError(t, err)
	answer, err := w.RoundTrip(r)
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, answer.StatusCode)
	t.Cleanup(func() { _ = answer.Body.Close() })
	return bufio.NewReader(answer.Body)
}

// next reads one event of a watch.
func next(t *testing.T, watch *bufio.Reader) (what string, object map[string]any) {
	t.Helper()
	line, err := watch.ReadBytes('\n')
	require.NoError(t, err)
	var event struct {
		Type   string
		Object map[string]any
	}
	require.NoError(t, json.Unmarshal(line, &event))
	return event.Type, event.Object
}

// A list goes on as it began, whatever was written in between; once that is
// compacted it is 410, with a token that goes on with what there is now.
func TestPagesAreOfOneRevisionUntilItIsCompacted(t *testing.T) {
	w := newWorld()
	for _, name := range []string{"a", "b", "c", "d"} {
		w.pod(t, name)
	}
	_, first := w.get(t, podsPath+"?limit=2")
	require.Equal(t, []string{"a", "b"}, items(first))
	require.EqualValues(t, 2, at(first, "metadata", "remainingItemCount"))
	token := at(first, "metadata", "continue").(string)
	w.send(t, http.MethodDelete, podsPath+"/c", "", "")
	w.pod(t, "bb")

	code, second := w.get(t, podsPath+"?limit=2&continue="+token)
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, []string{"c", "d"}, items(second))
	require.Equal(t, at(first, "metadata", "resourceVersion"), at(second, "metadata", "resourceVersion"))

	w.Compact()
	code, gone := w.get(t, podsPath+"?limit=2&continue="+token)
	require.Equal(t, http.StatusGone, code)
	require.Equal(t, "Expired", gone["reason"])
	code, rest := w.get(t, podsPath+"?continue="+at(gone, "metadata", "continue").(string))
	require.Equal(t, http.StatusOK, code)
	require.Equal(t, []string{"bb", "d"}, items(rest))
}

func TestAWatchFromBeforeTheCompactionIsAnErrorThatSaysSo(t *testing.T) {
	w := newWorld()
	old := at(w.pod(t, "a"), "metadata", "resourceVersion").(string)
	living := w.open(t, t.Context(), "&resourceVersion="+old)
	w.pod(t, "b")
	w.Compact()

	stale := w.open(t, t.Context(), "&resourceVersion="+old)
	what, status := next(t, stale)
	require.Equal(t, "ERROR", what)
	require.EqualValues(t, http.StatusGone, status["code"])
	_, err := stale.ReadByte()
	require.ErrorIs(t, err, io.EOF)

	what, pod := next(t, living)
	require.Equal(t, "ADDED b", what+" "+at(pod, "metadata", "name").(string), "a watch that was open loses nothing")
}

func TestABookmarkComesToWhoAskedForIt(t *testing.T) {
	w := newWorld()
	asked := w.open(t, t.Context(), "&resourceVersion=1&allowWatchBookmarks=true")
	plain := w.open(t, t.Context(), "&resourceVersion=1")
	w.service(t, "web", "app", "a") // a write that neither watch shows
	w.Bookmark()
	w.pod(t, "a")

	what, object := next(t, asked)
	require.Equal(t, "BOOKMARK", what)
	require.Equal(t, "3", at(object, "metadata", "resourceVersion"))
	what, _ = next(t, asked)
	require.Equal(t, "ADDED", what)
	what, _ = next(t, plain)
	require.Equal(t, "ADDED", what)
}

// A watch waits: its reader is woken by a write, by the end of its context, and
// by nothing else.
func TestAWatchWaitsForWhatComes(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	watch := w.open(t, ctx, "&resourceVersion=2")
	read := make(chan error)
	go func() {
		for {
			_, err := watch.ReadBytes('\n')
			read <- err
			if err != nil {
				return
			}
		}
	}()
	w.pod(t, "a")
	require.NoError(t, <-read)
	cancel()
	require.ErrorIs(t, <-read, context.Canceled)
}

func TestWhatTheHookDeniesIsForbidden(t *testing.T) {
	w := newWorld()
	w.pod(t, "a")
	w.Allow(func(r apiserver.Review) bool { return r.Verb != "patch" || r.Resource != "pods" })
	code, status := w.send(t, http.MethodPatch, podsPath+"/a", "application/merge-patch+json", `{"metadata":{"labels":{"app":"b"}}}`)
	require.Equal(t, http.StatusForbidden, code)
	require.Equal(t, "Forbidden", status["reason"])
	_, pod := w.get(t, podsPath+"/a")
	require.Equal(t, "a", at(pod, "metadata", "labels", "app"))

	for verb, allowed := range map[string]bool{"patch": false, "list": true} {
		review := w.post(t, "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", fmt.Sprintf(
			`{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"default","verb":%q,"resource":"pods"}}}`, verb))
		require.Equal(t, allowed, at(review, "status", "allowed"), verb)
	}
}

// A request whose context has ended changes nothing.
func TestACanceledRequestIsNotMade(t *testing.T) {
	w := newWorld()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "http://simulated"+podsPath, strings.NewReader(`{"metadata":{"name":"a"},"spec":{"containers":[{"name":"main","image":"i"}]}}`))
	require.NoError(t, err)
	before := w.Revision()
	_, err = w.RoundTrip(r)
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, before, w.Revision())
}

// The same calls make the same world, to the letter.
func TestTheSameCallsMakeTheSameWorld(t *testing.T) {
	run := func() string {
		w := newWorld()
		w.service(t, "web", "app", "web")
		w.set(t, "web", 5)
		require.NoError(t, w.sleep(t.Context(), 3*time.Second))
		w.send(t, http.MethodPatch, setsPath+"/web", "application/merge-patch+json", `{"spec":{"replicas":2}}`)
		require.NoError(t, w.sleep(t.Context(), 3*time.Second))
		var all []any
		for _, path := range []string{podsPath, setsPath, "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"} {
			_, list := w.get(t, path)
			all = append(all, list)
		}
		raw, err := json.Marshal(all)
		require.NoError(t, err)
		return string(raw)
	}
	require.Equal(t, run(), run())
}

// The clock is on every answer, as it is on the real one.
func TestEveryAnswerHasADate(t *testing.T) {
	w := newWorld()
	w.pass(90 * time.Minute)
	for _, path := range []string{podsPath, podsPath + "/none", "/nowhere"} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://simulated"+path, nil)
		require.NoError(t, err)
		answer, err := w.RoundTrip(r)
		require.NoError(t, err)
		require.Equal(t, "Wed, 01 Jan 2025 01:30:00 GMT", answer.Header.Get("Date"))
	}
}
