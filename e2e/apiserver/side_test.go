// A side is one of the two servers, as a program sees it.

package apiserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/fake/apiserver"
)

// A side runs a program in a namespace of its own, and knows the values that
// differ between the two servers by when they were first seen.
type side struct {
	t      require.TestingT
	host   string
	client *http.Client
	ns     string

	uids, versions, tokens, generated []string
	markers                           int
	answers                           map[string]int // by method and code
}

// programs counts namespaces, so that no two programs share one.
var programs int

// sides returns both servers with the same new namespace.
func sides(t require.TestingT) [2]*side {
	programs++
	ns := fmt.Sprintf("program-%d", programs)
	simulated := apiserver.New(time.Now)
	both := [2]*side{
		{t: t, host: "http://simulated", client: &http.Client{Transport: simulated}, ns: ns, answers: map[string]int{}},
		{t: t, host: reality.host, client: reality.client, ns: ns, answers: map[string]int{}},
	}
	for _, s := range both {
		code, body := s.send(step{"POST", "/api/v1/namespaces", "json", fmt.Sprintf(`{"metadata":{"name":%q}}`, ns)})
		require.Equal(t, http.StatusCreated, code, "%s: %s", s.host, body)
	}
	return both
}

// A step is one request of a program.
type step struct{ method, path, format, body string }

// formats are short names of content types.
var formats = map[string]string{
	"json": "application/json", "merge": "application/merge-patch+json", "operations": "application/json-patch+json",
	"yaml": "application/x-unknown", "-": "",
}

func (s step) String() string {
	return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", s.method, s.path, s.format, s.body))
}

// parse reads a program: a line for each step.
func parse(t testing.TB, program string) []step {
	var steps []step
	for _, line := range strings.Split(strings.TrimSpace(program), "\n") {
		words := append(strings.SplitN(strings.TrimSpace(line), " ", 4), "-", "")
		if len(words) < 4 {
			t.Fatalf("no step: %q", line)
		}
		body := words[3]
		if body == "-" {
			body = ""
		}
		steps = append(steps, step{words[0], words[1], words[2], body})
	}
	return steps
}

// roots are the paths of the kinds.
var roots = map[string]string{
	"replicasets": "/apis/apps/v1", "deployments": "/apis/apps/v1", "pods": "/api/v1", "services": "/api/v1",
	"endpointslices": "/apis/discovery.k8s.io/v1",
}

// concrete puts this side's own values into a step.
func (s *side) concrete(text string) string {
	for name, list := range map[string][]string{"$UID": s.uids, "$VERSION": s.versions, "$TOKEN": s.tokens, "$NAME": s.generated} {
		for i := len(list) - 1; i >= 0; i-- {
			text = strings.ReplaceAll(text, fmt.Sprintf("%s%d.", name, i), list[i])
		}
	}
	return strings.ReplaceAll(text, "$NS", s.ns)
}

// url completes a path such as replicasets/a/status?dryRun=All.
func (s *side) url(path string) string {
	path = s.concrete(path)
	if !strings.HasPrefix(path, "/") {
		kind, _, _ := strings.Cut(path, "/")
		kind, _, _ = strings.Cut(kind, "?")
		path = roots[kind] + "/namespaces/" + s.ns + "/" + path
	}
	return s.host + path
}

func (s *side) request(st step) *http.Response {
	r, err := http.NewRequest(st.method, s.url(st.path), strings.NewReader(s.concrete(st.body)))
	require.NoError(s.t, err)
	if formats[st.format] != "" {
		r.Header.Set("Content-Type", formats[st.format])
	}
	r.Header.Set("Accept", "application/json")
	answer, err := s.client.Do(r)
	require.NoError(s.t, err)
	return answer
}

func (s *side) send(st step) (code int, body []byte) {
	answer := s.request(st)
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	require.NoError(s.t, err)
	return answer.StatusCode, body
}

// do makes one step and returns the normal form of what came of it.
func (s *side) do(st step) string {
	if st.method == "WATCH" {
		return s.watch(st.path)
	}
	code, body := s.send(st)
	s.answers[st.method+" "+strconv.Itoa(code)]++
	return fmt.Sprintf("%d %s", code, s.normal(body))
}

// present returns what there is of these kinds, each with how a program refers
// to its UID and version.
func (s *side) present(kinds []string) []target {
	var all []target
	for _, kind := range kinds {
		_, body := s.send(step{method: http.MethodGet, path: kind})
		var list struct {
			Items []struct {
				Metadata struct{ Name, UID, ResourceVersion string }
			}
		}
		require.NoError(s.t, json.Unmarshal(body, &list))
		for _, item := range list.Items {
			m, t := item.Metadata, target{kind: kind, name: item.Metadata.Name}
			if i := slices.Index(s.generated, m.Name); i >= 0 {
				t.name = fmt.Sprintf("$NAME%d.", i)
			}
			t.uid = fmt.Sprintf("$UID%d.", slices.Index(s.uids, m.UID))
			t.version = fmt.Sprintf("$VERSION%d.", slices.Index(s.versions, m.ResourceVersion))
			all = append(all, t)
		}
	}
	return all
}

// marker is an object whose appearance ends a watch.
const marker = `{"metadata":{"name":%q,"labels":{"app":"a","on":"true"}},"spec":{"containers":[{"name":"main","image":"i:1"}]}}`

// watch makes a marker pod and returns every event up to its own.
func (s *side) watch(path string) string {
	s.markers++
	name := fmt.Sprintf("zz-marker-%d", s.markers)
	code, body := s.send(step{"POST", "pods", "json", fmt.Sprintf(marker, name)})
	require.Equal(s.t, http.StatusCreated, code, "%s", body)
	all := []string{s.normal(body)}
	answer := s.request(step{method: http.MethodGet, path: path})
	defer answer.Body.Close()
	lines := bufio.NewReader(answer.Body)
	for {
		line, err := lines.ReadBytes('\n')
		if err != nil {
			require.ErrorIs(s.t, err, io.EOF)
			return strings.Join(append(all, fmt.Sprintf("%d, then the end: %s", answer.StatusCode, s.normal(line))), "\n")
		}
		all = append(all, s.normal(line))
		var event struct {
			Type   string `json:"type"`
			Object struct {
				Metadata struct {
					Name string `json:"name"`
				} `json:"metadata"`
			} `json:"object"`
		}
		require.NoError(s.t, json.Unmarshal(line, &event))
		if event.Object.Metadata.Name == name || event.Type == "ERROR" {
			return strings.Join(all, "\n")
		}
	}
}
