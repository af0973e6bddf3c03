// ReplicaSets and Deployments, as far as they are alike, and which of them are
// revisions of an app.

package kube

import (
	"encoding/json"
	"fmt"
	"math"
	"regexp"
	"strconv"
	"strings"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"

	"github.com/cutover-dev/cutover/cluster"
)

// workload is a ReplicaSet or a Deployment. Only what is looked at is decoded;
// raw is all of it, with fields that this program has never heard of.
type workload struct {
	Metadata metav1.ObjectMeta `json:"metadata"`
	Spec     struct {
		Replicas        *int32                `json:"replicas"`
		MinReadySeconds int32                 `json:"minReadySeconds"`
		Selector        *metav1.LabelSelector `json:"selector"`
		Template        struct {
			Metadata struct {
				Labels      map[string]string `json:"labels"`
				Annotations map[string]string `json:"annotations"`
			} `json:"metadata"`
		} `json:"template"`
	} `json:"spec"`
	Status struct {
		ObservedGeneration int64 `json:"observedGeneration"`
		Replicas           int32 `json:"replicas"`
		ReadyReplicas      int32 `json:"readyReplicas"`
	} `json:"status"`

	kind     Kind
	selector labels.Selector
	raw      []byte

	// Of a Deployment, as its ReplicaSets show it.
	hash    string           // the pod-template-hash of the newest one; "": there is none yet
	rolling bool             // an older one has pods, or wants some
	ready   map[string]int32 // ready pods of each, by hash
}

// read decodes a workload.
func read(kind Kind, raw []byte) (*workload, error) {
	w := &workload{kind: kind, raw: raw}
	if err := json.Unmarshal(raw, w); err != nil {
		return nil, fmt.Errorf("kube: read a %s: %w", kind, err)
	}
	selector, err := metav1.LabelSelectorAsSelector(w.Spec.Selector)
	if err != nil {
		return nil, fmt.Errorf("kube: read the selector of %s: %w", w, err)
	}
	w.selector = selector
	return w, nil
}

// readAll decodes a list of workloads.
func readAll(kind Kind, raws []json.RawMessage) ([]*workload, error) {
	var all []*workload
	for _, raw := range raws {
		w, err := read(kind, raw)
		if err != nil {
			return nil, err
		}
		all = append(all, w)
	}
	return all, nil
}

// String returns the kind and name, as errors call it.
func (w *workload) String() string { return w.kind.String() + " " + w.Metadata.Name }

func (w *workload) uid() string { return string(w.Metadata.UID) }

func (w *workload) annotation(key string) string { return w.Metadata.Annotations[key] }

// replicas is how many it wants.
func (w *workload) replicas() int {
	if w.Spec.Replicas == nil {
		return 1 // as the apiserver has it
	}
	return int(*w.Spec.Replicas)
}

// labels are those of its template.
func (w *workload) labels() map[string]string { return w.Spec.Template.Metadata.Labels }

// selectedBy reports whether a selector selects the pods that it makes now.
func (w *workload) selectedBy(selector map[string]string) bool {
	for k, v := range selector {
		if k == templateHash && w.hash != "" {
			if v != w.hash {
				return false
			}
		} else if got, ok := w.labels()[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// asleep reports that it has no pods and wants none, so that no Service can
// bring it traffic before somebody raises it. While it is behind, that is known
// only of one that never wanted any.
func (w *workload) asleep() bool {
	return w.replicas() == 0 && w.Status.Replicas == 0 && (!w.behind() || w.Metadata.Generation <= 1)
}

// own are the pairs by which it knows its pods. What is fixed there cannot be a
// traffic label.
func (w *workload) own() map[string]string {
	if w.Spec.Selector == nil {
		return nil
	}
	return w.Spec.Selector.MatchLabels
}

// fixes reports whether its selector has the label, so that no pod of it can
// have another value.
func (w *workload) fixes(key string) bool {
	if _, ok := w.own()[key]; ok {
		return true
	}
	if w.Spec.Selector != nil {
		for _, e := range w.Spec.Selector.MatchExpressions {
			if e.Key == key {
				return true
			}
		}
	}
	return false
}

// behind reports that its controller has not yet acted on the newest spec: pods
// may still be made, or deleted, by an older one.
func (w *workload) behind() bool { return w.Status.ObservedGeneration < w.Metadata.Generation }

// deleting reports that somebody has deleted it, and it waits for others.
func (w *workload) deleting() bool { return w.Metadata.DeletionTimestamp != nil }

// made reports whether cutover made it for this app. A Deployment's ReplicaSets
// have the labels of its pods, but not their own name among them.
func (w *workload) made(app string) bool {
	return w.Metadata.Labels[AppLabel] == app && w.Metadata.Labels[RevisionLabel] == w.Metadata.Name
}

// belongs reports whether it is a revision of the app, whoever owns it.
func (w *workload) belongs(app string, match map[string]string) bool {
	for _, said := range []string{w.Metadata.Labels[AppLabel], w.annotation(AppLabel)} {
		if said != "" {
			return said == app
		}
	}
	name := w.Metadata.Name
	if name == app || numbered(app, name) {
		return true
	}
	if kind, base, ok := strings.Cut(w.annotation(monikerCluster), " "); ok && base == app && strings.EqualFold(kind, w.kind.String()) {
		return true
	}
	if w.annotation(artifactName) == app {
		return true
	}
	return len(match) > 0 && carries(w.labels(), match)
}

// numbered reports whether name is app-v007.
func numbered(app, name string) bool {
	digits, ok := strings.CutPrefix(name, app+"-v")
	return ok && digits != "" && strings.Trim(digits, "0123456789") == ""
}

// owner returns what controls it, and whether something does.
func (w *workload) owner() (metav1.OwnerReference, bool) {
	if ref := metav1.GetControllerOfNoCopy(&w.Metadata); ref != nil {
		return *ref, true
	}
	return metav1.OwnerReference{}, false
}

// maxSequence leaves room for the sequences that follow it.
const maxSequence = math.MaxInt64 / 2

var version = regexp.MustCompile(`-v([0-9]+)$`)

// sequence returns its place in the order of releases, and what was found where
// it should be and is none.
func (w *workload) sequence() (seq int64, hostile string) {
	for _, found := range []string{
		w.annotation(SequenceAnnotation), w.annotation(monikerSequence),
		w.Metadata.Labels[SequenceAnnotation], w.Metadata.Labels[monikerSequence],
	} {
		if found == "" {
			continue
		}
		n, err := strconv.ParseInt(found, 10, 64)
		if err == nil && n >= 0 && n < maxSequence {
			return n, hostile
		}
		hostile = found
	}
	if m := version.FindStringSubmatch(w.Metadata.Name); m != nil {
		n, err := strconv.ParseInt(m[1], 10, 64)
		if err == nil && n < maxSequence {
			return n, hostile
		}
		hostile = m[1]
	}
	return 0, hostile
}

// outcome returns the durable decision about it.
func (w *workload) outcome() cluster.Outcome {
	o := cluster.Outcome{Why: w.annotation(WhyAnnotation)}
	switch w.annotation(OutcomeAnnotation) {
	case cluster.Good.String():
		o.Result = cluster.Good
	case cluster.Failed.String():
		o.Result = cluster.Failed
	}
	return o
}

// moment reads a time that cutover wrote; zero if there is none.
func moment(annotation string) time.Time {
	t, err := time.Parse(time.RFC3339, annotation)
	if err != nil {
		return time.Time{}
	}
	return t.UTC()
}

// stamp writes a time.
func stamp(t time.Time) string { return t.UTC().Format(time.RFC3339) }
