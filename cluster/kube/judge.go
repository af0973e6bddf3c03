// The second half of judging a look: what pods and endpoints say about those
// who take part. Pure, like the first half.

package kube

import (
	"encoding/json"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	labelset "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// evidence is what justifies writes.
type evidence struct {
	at     time.Time
	pods   []corev1.Pod
	slices []discoveryv1.EndpointSlice
	places []place // where pods and slices can be watched from

	budgets budgets // of which a person is told, and nothing else follows from them
}

// census is the pods of a look, by whose they are.
type census struct {
	of    map[string][]*corev1.Pod // by the revision's UID
	owner map[types.UID]*workload  // by the pod's UID; nil: nobody's
	pods  map[types.UID]*corev1.Pod
}

// count tells whose each pod is: its controller is a revision, and it carries
// that revision's selector.
func (r *roster) count(pods []corev1.Pod) census {
	c := census{map[string][]*corev1.Pod{}, map[types.UID]*workload{}, map[types.UID]*corev1.Pod{}}
	for i := range pods {
		pod := &pods[i]
		c.pods[pod.UID] = pod
		ref := metav1.GetControllerOfNoCopy(pod)
		if ref == nil {
			continue
		}
		if w := r.owners[string(ref.UID)]; w != nil && w.selector.Matches(labelset.Set(pod.Labels)) {
			c.owner[pod.UID] = w
			c.of[w.uid()] = append(c.of[w.uid()], pod)
		}
	}
	return c
}

// judge makes the State of a look.
func (r *roster) judge(e evidence) cluster.State {
	s := cluster.State{At: e.at, Can: r.can, Contested: r.contested}
	found := r.count(e.pods)
	for _, scaler := range r.scalers {
		s.Routes = append(s.Routes, scaler.route()) // whose names come before those of Services
	}
	for _, t := range r.routes {
		seen, strays := r.endpoints(t, found, e.slices)
		s.Routes = append(s.Routes, r.route(t, seen))
		if !t.preview && !t.fixed {
			s.Strays += strays
		}
	}
	for _, w := range r.revisions {
		s.Revisions = append(s.Revisions, r.revision(w, found.of[w.uid()], e.at))
	}
	s.Warnings = slices.Compact(slices.Sorted(slices.Values(append(r.warnOfBudgets(e.budgets, found, s), r.warnings...))))
	return s
}

// revision describes one revision with its pods.
func (r *roster) revision(w *workload, pods []*corev1.Pod, at time.Time) cluster.Revision {
	seq, _ := w.sequence()
	rev := cluster.Revision{
		Name: w.Metadata.Name, Release: w.annotation(ReleaseAnnotation), Arm: w.annotation(ArmAnnotation), Seq: seq,
		Template: foundTemplate(w),
		Replicas: w.replicas(), Enabled: r.enabled(w), Outcome: w.outcome(), Note: w.annotation(NoteAnnotation),
		Created: w.Metadata.CreationTimestamp.UTC(), Raised: moment(w.annotation(RaisedAnnotation)), Since: moment(w.annotation(SinceAnnotation)),
		UID: w.uid(), Version: w.Metadata.ResourceVersion,
	}
	if rev.Raised.IsZero() {
		rev.Raised = rev.Created
	}
	active := 0
	for _, pod := range pods {
		if terminal(pod) {
			continue
		}
		rev.Pods++
		if terminating(pod) {
			rev.Leaving++
			continue
		}
		active++
		if available(pod, w.Spec.MinReadySeconds, at) {
			rev.Ready++
		}
		if r.can.Enable && !r.as(pod.Labels, rev.Enabled) {
			rev.Unsettled++
		}
	}
	if r.can.Select {
		// Endpoints are made by controllers that see pods through the same eyes as
		// the one that counts here. If a Service selects pods of whose readiness
		// they do not know yet, they take all its endpoints away.
		rev.Ready = min(rev.Ready, int(w.Status.ReadyReplicas))
	}
	unborn := r.unborn(w, active)
	rev.Pods += unborn
	if r.can.Enable && !r.as(w.labels(), rev.Enabled) {
		rev.Unsettled = max(rev.Unsettled, 1) // some of its Services: pods are born so until another Put
	}
	rev.Behind = w.behind() || r.lagging[w.uid()]
	rev.Fence = r.fence(w, pods)
	return rev
}

// unborn returns how many pods may yet appear beside the active ones.
func (r *roster) unborn(w *workload, active int) int {
	if w.deleting() {
		return 0
	}
	want, status := w.replicas(), int(w.Status.Replicas)
	switch {
	case w.behind() || r.lagging[w.uid()]:
		// Its controller may still act on an older spec, which nobody knows now.
		return max(want-active, status-active, 0, 1-active)
	case status < want:
		return max(want-active, 0)
	}
	return 0
}

// enabled reports whether the revision's ready pods are to get traffic.
func (r *roster) enabled(w *workload) bool {
	switch {
	case r.can.Enable:
		return r.on(w.labels())
	case r.can.Select:
		for _, t := range r.traffic() {
			if _, named := r.selected(t.Spec.Selector)[w.Metadata.Name]; named {
				return true
			}
		}
		return false
	}
	if stored := w.annotation(EnabledAnnotation); stored != "" {
		return stored == "true"
	}
	return w.annotation(ReleaseAnnotation) == "" && w.replicas() > 0 // a found worker works
}

// fence returns the run that last wrote the revision and each of its pods; ""
// if they differ, or if a pod may yet be born without it.
func (r *roster) fence(w *workload, pods []*corev1.Pod) string {
	fence := w.annotation(FenceAnnotation)
	if fence == "" || !r.can.Enable {
		return fence
	}
	if w.behind() || w.Spec.Template.Metadata.Annotations[FenceAnnotation] != fence {
		return ""
	}
	for _, pod := range pods {
		if writable(pod) && pod.Annotations[FenceAnnotation] != fence {
			return ""
		}
	}
	return fence
}

// route describes one route.
func (r *roster) route(t route, serving map[string]int) cluster.Route {
	route := cluster.Route{
		Name: t.name(), Preview: t.preview, Fixed: t.fixed, Open: r.open(t), Pinned: hasPin(t.Spec.Selector), Serving: serving,
		External: external(t.Service),
		Note:     t.Annotations[NoteAnnotation], Fence: t.Annotations[FenceAnnotation], From: t.Annotations[FromAnnotation],
		Since: moment(t.Annotations[SinceAnnotation]), Version: serviceVersion(t.Service),
	}
	if r.options.Traffic == Selector || t.preview {
		route.Weights = r.selected(t.Spec.Selector)
	}
	return route
}

// external reports whether a load balancer outside the cluster follows the
// endpoints. What stands behind an Ingress is not seen.
func external(s *corev1.Service) bool {
	return s.Spec.Type == corev1.ServiceTypeLoadBalancer || s.Annotations["cloud.google.com/neg"] != ""
}

// selected returns the names of the revisions whose pods a selector selects. Of
// several, those that are asleep get nothing by it.
func (r *roster) selected(selector map[string]string) map[string]int {
	names, awake := map[string]int{}, map[string]int{}
	for _, w := range r.revisions {
		if len(selector) == 0 || !w.selectedBy(selector) {
			continue
		}
		if names[w.Metadata.Name] = 100; !w.asleep() {
			awake[w.Metadata.Name] = 100
		}
	}
	if len(awake) > 0 {
		return awake
	}
	return names
}

// endpoints counts the endpoints of a Service that get requests, by revision,
// and those of pods that are nobody's. A pod counts once, however many address
// families and slices show it.
func (r *roster) endpoints(t route, found census, slices []discoveryv1.EndpointSlice) (serving map[string]int, strays int) {
	serving = map[string]int{}
	counted := map[string]bool{}
	for i := range slices {
		if slices[i].Labels[discoveryv1.LabelServiceName] != t.Name {
			continue
		}
		for _, e := range slices[i].Endpoints {
			id := identity(e)
			if !serves(e.Conditions) || counted[id] {
				continue
			}
			counted[id] = true
			var pod *corev1.Pod
			if e.TargetRef != nil {
				pod = found.pods[e.TargetRef.UID]
			}
			switch {
			case pod == nil:
				strays++
			case terminating(pod) || !ready(pod): // the slice lags, or lies
			case found.owner[pod.UID] == nil:
				strays++
			default:
				serving[found.owner[pod.UID].Metadata.Name]++
			}
		}
	}
	return serving, strays
}

// identity names what is behind an endpoint.
func identity(e discoveryv1.Endpoint) string {
	if e.TargetRef != nil && e.TargetRef.UID != "" {
		return string(e.TargetRef.UID)
	}
	return string(asJSON(e.Addresses))
}

// serves reports whether an endpoint gets requests. What is not said is as the
// API has it: ready, serving as ready says, not terminating.
func serves(c discoveryv1.EndpointConditions) bool {
	said := func(b *bool, unsaid bool) bool {
		if b == nil {
			return unsaid
		}
		return *b
	}
	ready := said(c.Ready, true)
	return ready && said(c.Serving, ready) && !said(c.Terminating, false)
}

// serviceVersion is what a write to a Service is compared with.
func serviceVersion(s *corev1.Service) string { return string(s.UID) + "/" + s.ResourceVersion }

func terminating(pod *corev1.Pod) bool { return pod.DeletionTimestamp != nil }

// terminal reports that no container of the pod runs, or ever will: evicted, for
// instance. Such pods may lie around for ever.
func terminal(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

// writable reports whether it matters what a pod is labelled.
func writable(pod *corev1.Pod) bool { return !terminating(pod) && !terminal(pod) }

// condition returns the pod's Ready condition, if it is true.
func condition(pod *corev1.Pod) *corev1.PodCondition {
	for i, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue {
			return &pod.Status.Conditions[i]
		}
	}
	return nil
}

func ready(pod *corev1.Pod) bool { return !terminal(pod) && condition(pod) != nil }

// available reports whether the pod has been ready for so long.
func available(pod *corev1.Pod, seconds int32, at time.Time) bool {
	if !ready(pod) {
		return false
	}
	since := condition(pod).LastTransitionTime
	return seconds == 0 || !since.IsZero() && !since.Add(time.Duration(seconds)*time.Second).After(at)
}

// foundTemplate is the manifest from which the same pods can be made again.
func foundTemplate(w *workload) []byte {
	m, err := readManifest(w.raw)
	if err != nil {
		return json.RawMessage(w.raw) // it was readable as a workload; let Put say what is wrong
	}
	m.kind = w.kind
	return m.bare().json()
}
