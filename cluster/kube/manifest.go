// Manifests: what a revision is made from, as a document of which no field is
// lost, and what is made of it.

package kube

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/util/json"
)

// manifest is a ReplicaSet or a Deployment as it was written.
type manifest struct {
	kind Kind
	doc  map[string]any
}

// readManifest reads the Template of a revision.
func readManifest(raw []byte) (*manifest, error) {
	m := &manifest{}
	if err := json.Unmarshal(raw, &m.doc); err != nil {
		return nil, fmt.Errorf("not a manifest in JSON, as kube.Target makes it: %w", err)
	}
	if kind, _ := m.doc["kind"].(string); kind == Deployment.String() {
		m.kind = Deployment
	}
	if _, ok, err := unstructured.NestedMap(m.doc, "spec", "template", "spec"); err != nil || !ok {
		return nil, errors.New("a manifest without spec.template.spec: want what kube.Target makes")
	}
	return m, nil
}

// json is the manifest in one form, whatever the order it was written in.
func (m *manifest) json() []byte {
	m.doc["apiVersion"], m.doc["kind"] = "apps/v1", m.kind.String()
	return asJSON(m.doc)
}

// texts returns the map of strings at a path; never nil.
func (m *manifest) texts(path ...string) map[string]string {
	found, _, err := unstructured.NestedStringMap(m.doc, path...)
	if err != nil || found == nil {
		return map[string]string{}
	}
	return found
}

// setTexts puts a map of strings at a path, or takes away what is there.
func (m *manifest) setTexts(texts map[string]string, path ...string) {
	if len(texts) == 0 {
		unstructured.RemoveNestedField(m.doc, path...)
		return
	}
	m.set(asAny(texts), path...)
}

// set puts a value at a path, through maps that it makes.
func (m *manifest) set(value any, path ...string) {
	at := m.doc
	for _, name := range path[:len(path)-1] {
		next, ok := at[name].(map[string]any)
		if !ok {
			next = map[string]any{}
			at[name] = next
		}
		at = next
	}
	at[path[len(path)-1]] = value
}

func asAny(texts map[string]string) map[string]any {
	all := make(map[string]any, len(texts))
	for k, v := range texts {
		all[k] = v
	}
	return all
}

// The places of labels and annotations.
var (
	metaLabels          = []string{"metadata", "labels"}
	metaAnnotations     = []string{"metadata", "annotations"}
	templateLabels      = []string{"spec", "template", "metadata", "labels"}
	templateAnnotations = []string{"spec", "template", "metadata", "annotations"}
	matchLabels         = []string{"spec", "selector", "matchLabels"}
)

// at is the place of a key in the map at a path.
func at(path []string, key string) []string { return append(slices.Clone(path), key) }

// namespace returns the one that the manifest is for; "": any.
func (m *manifest) namespace() string {
	ns, _, _ := unstructured.NestedString(m.doc, "metadata", "namespace") // what is no string is none
	return ns
}

// selector returns the manifest's own; nil if it has none.
func (m *manifest) selector() (*metav1.LabelSelector, error) {
	found, ok, err := unstructured.NestedMap(m.doc, "spec", "selector")
	if err != nil || !ok || len(found) == 0 {
		return nil, err
	}
	selector := &metav1.LabelSelector{}
	return selector, runtime.DefaultUnstructuredConverter.FromUnstructured(found, selector)
}

// bare takes away what belongs to one object rather than to what is made from
// it: names, counts, state, and everything that cutover, Spinnaker or a
// Deployment has added. It changes and returns m.
func (m *manifest) bare() *manifest {
	annotations, labels := m.texts(metaAnnotations...), m.texts(metaLabels...)
	if stored := annotations[LabelsAnnotation]; stored != "" {
		labels = map[string]string{}
		_ = json.Unmarshal([]byte(stored), &labels) // what is not readable is nothing
	}
	delete(m.doc, "status")
	delete(m.doc, "metadata")
	unstructured.RemoveNestedField(m.doc, "spec", "replicas")
	for _, texts := range []map[string]string{annotations, labels} {
		maps.DeleteFunc(texts, func(k, _ string) bool {
			return strings.HasPrefix(k, ownPrefix) || strings.HasPrefix(k, deploymentPrefix) || strings.HasPrefix(k, artifactPrefix) ||
				k == lastApplied || k == monikerSequence
		})
	}
	m.setTexts(annotations, metaAnnotations...)
	m.setTexts(labels, metaLabels...)
	m.strip(templateLabels, RevisionLabel, templateHash)
	m.strip(matchLabels, RevisionLabel, templateHash)
	m.strip(templateAnnotations, FenceAnnotation)
	unstructured.RemoveNestedField(m.doc, "spec", "template", "metadata", "creationTimestamp")
	return m
}

// strip takes keys out of the map at a path.
func (m *manifest) strip(path []string, keys ...string) {
	texts := m.texts(path...)
	for _, k := range keys {
		delete(texts, k)
	}
	m.setTexts(texts, path...)
}
