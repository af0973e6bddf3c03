// The laws, judged by the watch log, by what the client has sent and by the
// apiserver's audit log.

package faulted_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/fake/fault"
)

// grace is how old an observation may be that a write is justified by: what the
// environment breaks between a look and the write that follows, and what the
// write's own batch takes, is nobody's fault.
const grace = 2 * time.Second

// A view is what there is at one revision.
type view struct {
	pods     map[string]*corev1.Pod
	gone     map[string]*corev1.Pod // as they last were
	sets     map[types.UID]*appsv1.ReplicaSet
	service  *corev1.Service
	slices   map[string]*discoveryv1.EndpointSlice
	wasReady map[types.UID]time.Time // when a pod that was somebody's was last seen ready
	owner    map[types.UID]types.UID // whose a pod was, then
	lowered  map[types.UID]lowered   // by somebody else, last
}

// lowered is what a ReplicaSet was to have until somebody else took some away.
type lowered struct {
	from int32
	seen time.Time
}

func newView() *view {
	return &view{
		pods: map[string]*corev1.Pod{}, gone: map[string]*corev1.Pod{}, sets: map[types.UID]*appsv1.ReplicaSet{}, slices: map[string]*discoveryv1.EndpointSlice{},
		wasReady: map[types.UID]time.Time{}, owner: map[types.UID]types.UID{}, lowered: map[types.UID]lowered{},
	}
}

func (v *view) take(e event) {
	switch o := e.object.(type) {
	case *corev1.Pod:
		if was := v.pods[o.Name]; was != nil && podReady(was) && metav1.GetControllerOf(was) != nil {
			v.wasReady[was.UID], v.owner[was.UID] = e.seen, metav1.GetControllerOf(was).UID
		}
		put(v.pods, o.Name, o, e.deleted)
		put(v.gone, o.Name, o, !e.deleted)
	case *appsv1.ReplicaSet:
		if was := v.sets[o.UID]; was != nil && *o.Spec.Replicas < *was.Spec.Replicas && !v.written(e) {
			v.lowered[o.UID] = lowered{*was.Spec.Replicas, e.seen}
		}
		put(v.sets, o.UID, o, e.deleted)
	case *discoveryv1.EndpointSlice:
		put(v.slices, o.Name, o, e.deleted || o.Labels[discoveryv1.LabelServiceName] != app)
	case *corev1.Service:
		if o.Name == app {
			v.service = o
			if e.deleted {
				v.service = nil
			}
		}
	}
}

func put[K comparable, V any](m map[K]V, key K, value V, gone bool) {
	m[key] = value
	if gone {
		delete(m, key)
	}
}

// endpoints are the ready ones.
func (v *view) endpoints() int {
	n := 0
	for _, s := range v.slices {
		for _, e := range s.Endpoints {
			if ready(e) {
				n++
			}
		}
	}
	return n
}

// worst is how many endpoints there will be at least when controllers have
// followed what is written now: ready pods that the Service selects, of each
// revision no more than the replicas that it is to have. What was until a moment
// before since, counts as if it still were: a pod that was ready, and a revision's,
// and replicas that somebody else has taken away.
func (v *view) worst(since time.Time) int {
	if v.service == nil || len(v.service.Spec.Selector) == 0 {
		return 0
	}
	count := map[types.UID]int{}
	counts := func(pod *corev1.Pod, ready bool) {
		owner := metav1.GetControllerOf(pod)
		switch {
		case !selects(v.service.Spec.Selector, pod.Labels):
		case owner != nil && ready:
			count[owner.UID]++
		case v.wasReady[pod.UID].After(since):
			count[v.owner[pod.UID]]++
		}
	}
	for _, pod := range v.pods {
		counts(pod, podReady(pod))
	}
	for _, pod := range v.gone {
		counts(pod, false)
	}
	n := 0
	for uid, pods := range count {
		if rs := v.sets[uid]; rs != nil {
			wanted := *rs.Spec.Replicas
			if was := v.lowered[uid]; was.seen.After(since) {
				wanted = max(wanted, was.from)
			}
			n += min(pods, int(wanted))
		}
	}
	return n
}

func selects(selector, labels map[string]string) bool {
	for k, want := range selector {
		if got, ok := labels[k]; !ok || got != want {
			return false
		}
	}
	return true
}

// judgeLog replays the log. With a strict floor nothing at all may go below it;
// else no write of cutover's may, nor lower what is below.
func judgeLog(log []event, begin int64, floor int, strict bool) (breaches []string) {
	v := newView()
	said := map[string]bool{}
	breach := func(law string, e event, what string) {
		if !said[law] {
			said[law] = true
			breaches = append(breaches, fmt.Sprintf("%s: %s, at %s", law, what, e))
		}
	}
	for _, e := range log {
		before, since, written := 0, time.Time{}, false
		if e.revision > begin {
			before, since, written = v.worst(e.seen.Add(-grace)), e.seen.Add(-grace), v.written(e)
		}
		v.take(e)
		if e.revision <= begin {
			continue
		}
		if v.service == nil || len(v.service.Spec.Selector) == 0 {
			breach("no black hole", e, "the Service selects nothing")
		}
		switch now, worst := v.endpoints(), v.worst(e.seen); {
		case strict && now < floor:
			breach("floor", e, fmt.Sprintf("%d ready endpoints, the floor is %d", now, floor))
		case strict && worst < floor:
			breach("floor", e, fmt.Sprintf("%d ready pods are selected and stay, the floor is %d", worst, floor))
		}
		if after := v.worst(since); written && after < min(before, floor) {
			breach("blame", e, fmt.Sprintf("a write of ours has brought the endpoints from %d to %d, the floor is %d", before, after, floor))
		}
	}
	return breaches
}

// written reports whether cutover has made this event: it owns the field that
// differs, or there is less of what only it takes away here.
func (v *view) written(e event) bool {
	switch o := e.object.(type) {
	case *corev1.Pod:
		was := v.pods[o.Name]
		return was != nil && !e.deleted && was.Labels[traffic] != o.Labels[traffic] && owns(o.ManagedFields, traffic)
	case *corev1.Service:
		return o.Name == app && v.service != nil && fmt.Sprint(v.service.Spec.Selector) != fmt.Sprint(o.Spec.Selector) && owns(o.ManagedFields, "f:selector")
	case *appsv1.ReplicaSet:
		was := v.sets[o.UID]
		return was != nil && !e.deleted && *o.Spec.Replicas < *was.Spec.Replicas && owns(o.ManagedFields, "f:replicas")
	}
	return false
}

func owns(fields []metav1.ManagedFieldsEntry, field string) bool {
	for _, f := range fields {
		if f.Manager == "cutover" && f.Subresource == "" && f.FieldsV1 != nil && bytes.Contains(f.FieldsV1.GetRawBytes(), []byte(field)) {
			return true
		}
	}
	return false
}

// A register notes every write that a client sends.
type register struct {
	next http.RoundTripper

	mu       sync.Mutex
	writes   []string
	breaches []string
}

func (g *register) over(next http.RoundTripper) http.RoundTripper { g.next = next; return g }

// RoundTrip implements http.RoundTripper.
func (g *register) RoundTrip(r *http.Request) (*http.Response, error) {
	if fault.VerbOf(r).Writes() {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		r = r.Clone(r.Context())
		r.Body = io.NopCloser(bytes.NewReader(body))
		g.note(r, body)
	}
	return g.next.RoundTrip(r)
}

func (g *register) note(r *http.Request, body []byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	what := r.Method + " " + r.URL.Path
	g.writes = append(g.writes, what)
	if why := uncompared(r, body); why != "" {
		g.breaches = append(g.breaches, fmt.Sprintf("preconditions: %s %s: %s", what, why, body))
	}
}

func (g *register) sent() []string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return append([]string{}, g.writes...)
}

// uncompared says what a write should have been compared with.
func uncompared(r *http.Request, body []byte) string {
	var object struct {
		Metadata      struct{ UID, ResourceVersion string }
		Preconditions struct{ UID, ResourceVersion string }
	}
	var operations []struct{ Op, Path string }
	switch {
	case r.Method == http.MethodDelete:
		if json.Unmarshal(body, &object) != nil || object.Preconditions.UID == "" || object.Preconditions.ResourceVersion == "" {
			return "has no uid and resourceVersion"
		}
	case strings.Contains(r.Header.Get("Content-Type"), "json-patch"):
		if json.Unmarshal(body, &operations) != nil || len(operations) < 2 || operations[0].Op != "test" || operations[0].Path != "/metadata/uid" || operations[1].Op != "test" {
			return "does not test the uid and what it replaces"
		}
	case r.Method == http.MethodPut, r.Method == http.MethodPatch:
		if json.Unmarshal(body, &object) != nil || object.Metadata.UID == "" || object.Metadata.ResourceVersion == "" {
			return "has no uid and resourceVersion"
		}
	}
	return ""
}

// auditLaws judges what the apiserver was asked to write: only the app's own
// objects, and no more creates than allowed, by namespace.
func auditLaws(entries []controlplane.Entry, creates map[string]int) map[string][]string {
	breaches, made := map[string][]string{}, map[string]int{}
	for _, e := range controlplane.Mutating(entries) {
		allowed, judged := creates[e.Namespace]
		if !judged {
			continue
		}
		if e.Verb == "create" && e.Code == http.StatusCreated {
			if made[e.Namespace]++; made[e.Namespace] > allowed {
				breaches[e.Namespace] = append(breaches[e.Namespace], fmt.Sprintf("minimal change: %d creates, an undisturbed run makes %d: %v", made[e.Namespace], allowed, e))
			}
		}
		if !ours(e.Resource, e.Name) && (e.Verb != "create" || e.Name != "") {
			breaches[e.Namespace] = append(breaches[e.Namespace], fmt.Sprintf("scope: %v", e))
		}
	}
	return breaches
}
