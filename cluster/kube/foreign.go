// Other writers: tools that keep a copy of the objects elsewhere and put it back.

package kube

import (
	"encoding/json"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// keepers are parts of the names under which such tools write.
var keepers = []string{"argocd", "argo-cd", "kustomize-controller", "helm", "flux", "fleet", "gitops"}

// keeper returns the tool that has written the field, and would again; "" if
// none has. When it did is not asked: those times do not always change.
func keeper(fields []metav1.ManagedFieldsEntry, path ...string) string {
	for _, entry := range fields {
		manager := strings.ToLower(entry.Manager)
		for _, k := range keepers {
			if strings.Contains(manager, k) && entry.Subresource == "" && has(entry.FieldsV1, path) {
				return entry.Manager
			}
		}
	}
	return ""
}

// autoscaled reports whether the replicas were last written through the scale of
// the object by a controller, which is how an autoscaler does it.
func autoscaled(fields []metav1.ManagedFieldsEntry) bool {
	for _, entry := range fields {
		if entry.Subresource == "scale" && entry.Manager == "kube-controller-manager" &&
			has(entry.FieldsV1, []string{"spec", "replicas"}) {
			return true
		}
	}
	return false
}

// has reports whether a set of fields has the one at path. The set is read as
// JSON, since newer releases of apimachinery can be built to hold it as another type.
func has(set *metav1.FieldsV1, path []string) bool {
	if set == nil {
		return false
	}
	raw, err := set.MarshalJSON()
	if err != nil {
		return false
	}
	for _, name := range path {
		var fields map[string]json.RawMessage
		if json.Unmarshal(raw, &fields) != nil {
			return false
		}
		next, ok := fields["f:"+name]
		if !ok {
			return false
		}
		raw = next
	}
	return true
}

// inspect warns of what a person should know about those who take part.
func (r *roster) inspect() {
	for _, w := range r.revisions {
		r.inspectRevision(w)
	}
	for _, t := range r.routes {
		k := keeper(t.ManagedFields, "spec", "selector")
		if k == "" {
			k = t.Annotations[KeeperAnnotation]
		}
		if k != "" && r.options.Traffic == Selector {
			r.contest("Service %q: its selector is also written by %s, which may undo what cutover writes: exclude the field there", t.Name, k)
		}
		if t.Spec.PublishNotReadyAddresses {
			r.warn("Service %q publishes addresses that are not ready: clients may reach pods that cutover does not count", t.Name)
		}
		if t.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
			r.warn("Service %q keeps clients at the pod that they first reached (sessionAffinity): traffic moves later than its endpoints", t.Name)
		}
	}
}

func (r *roster) inspectRevision(w *workload) {
	if k := keeper(w.Metadata.ManagedFields, "spec", "replicas"); k != "" {
		r.contest("%s: its replicas are also written by %s, which may undo what cutover writes: exclude the field there", w, k)
	}
	if k := keeper(w.Metadata.ManagedFields, "spec", "template", "metadata", "labels"); k != "" && r.can.Enable {
		r.contest("%s: its template's labels are also written by %s, which may undo what cutover writes: exclude the field there", w, k)
	}
	if w.annotation(ReleaseAnnotation) == "" && r.can.Select && autoscaled(w.Metadata.ManagedFields) {
		r.warn("%s: an autoscaler writes its replicas, and will take most of them once traffic has moved, so that the way back is smaller: "+
			"remove the autoscaler, or let it scale what serves", w)
	}
	if w.deleting() {
		r.warn("%s is being deleted", w)
	}
}
