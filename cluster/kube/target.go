// Target: from a manifest, as people write it, to what a deployment wants to run.

package kube

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"
	"unicode/utf8"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/runtime"
	jsonserializer "k8s.io/apimachinery/pkg/runtime/serializer/json"
	"k8s.io/apimachinery/pkg/util/json"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"sigs.k8s.io/yaml"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
)

// Target makes a target from a manifest, in YAML or JSON, of a ReplicaSet or a
// Deployment (apps/v1), of a PodTemplate (v1), or of the metadata and spec of a
// pod alone. Every field is kept; its spec.replicas become the Target's.
//
// images replace those of the manifest, each written as "container=image", or as
// an image alone if there is exactly one container.
//
// A field that is unknown or given twice is an error. No error repeats a value
// from the manifest, which may hold secrets.
func Target(manifest []byte, images ...string) (cluster.Target, error) {
	m, err := parse(manifest)
	if err != nil {
		return cluster.Target{}, fmt.Errorf("kube: manifest: %w", err)
	}
	for _, image := range images {
		if err := m.override(image); err != nil {
			return cluster.Target{}, fmt.Errorf("kube: manifest: %w", err)
		}
	}
	if err := m.check(); err != nil {
		return cluster.Target{}, fmt.Errorf("kube: manifest: %w", err)
	}
	replicas, _, err := unstructured.NestedInt64(m.doc, "spec", "replicas")
	if err != nil || replicas < 0 {
		return cluster.Target{}, errors.New("kube: manifest: spec.replicas: want a number that is not negative")
	}
	namespace := m.namespace()
	if m.bare(); namespace != "" {
		m.set(namespace, "metadata", "namespace")
	}
	return cluster.Target{Template: m.json(), Replicas: int(replicas)}, nil
}

// parse reads the one document that there must be.
func parse(raw []byte) (*manifest, error) {
	one, err := single(raw)
	if err != nil {
		return nil, err
	}
	asJSON, err := yaml.YAMLToJSONStrict(one)
	if err != nil {
		return nil, safe(err)
	}
	var doc map[string]any
	if err := json.Unmarshal(asJSON, &doc); err != nil || doc == nil {
		return nil, errors.New("want a ReplicaSet, a Deployment, a PodTemplate or a pod template: this is no map of fields")
	}
	version, _ := doc["apiVersion"].(string)
	kind, _ := doc["kind"].(string)
	switch {
	case version == "apps/v1" && kind == "ReplicaSet":
		return &manifest{ReplicaSet, doc}, strict(doc, &appsv1.ReplicaSet{}, "")
	case version == "apps/v1" && kind == "Deployment":
		return &manifest{Deployment, doc}, strict(doc, &appsv1.Deployment{}, "")
	case version == "v1" && kind == "PodTemplate":
		return aroundTemplate(doc["metadata"], doc["template"]), strict(doc, &corev1.PodTemplate{}, "")
	case doc["apiVersion"] == nil && doc["kind"] == nil && doc["spec"] != nil:
		wrapped := map[string]any{"apiVersion": "v1", "kind": "PodTemplate", "template": doc}
		return aroundTemplate(nil, doc), strict(wrapped, &corev1.PodTemplate{}, "template.")
	}
	return nil, fmt.Errorf("apiVersion %.40q, kind %.40q: want a ReplicaSet or Deployment (apps/v1), a PodTemplate (v1), "+
		"or a pod template's metadata and spec alone", version, kind)
}

// aroundTemplate puts a pod template where a ReplicaSet has it.
func aroundTemplate(metadata, template any) *manifest {
	doc := map[string]any{"spec": map[string]any{"template": template}}
	if metadata != nil {
		doc["metadata"] = metadata
	}
	return &manifest{ReplicaSet, doc}
}

// single returns the only document that is not empty.
func single(raw []byte) ([]byte, error) {
	reader := utilyaml.NewYAMLReader(bufio.NewReader(bytes.NewReader(raw)))
	var one []byte
	for n := 0; ; {
		doc, err := reader.Read()
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, safe(err)
		}
		if !blank(doc) {
			if n++; n > 1 {
				return nil, errors.New("more than one document: give the one of the workload alone")
			}
			one = doc
		}
		if err != nil {
			break
		}
	}
	if one == nil {
		return nil, errors.New("it is empty")
	}
	return one, nil
}

// blank reports whether there is nothing but comments and document marks.
func blank(doc []byte) bool {
	for line := range strings.Lines(string(doc)) {
		line = strings.TrimSpace(line)
		if line != "" && line != "---" && line != "..." && !strings.HasPrefix(line, "#") {
			return false
		}
	}
	return true
}

// strict compares the document with the type it is of. prefix is what was put
// before every path.
func strict(doc map[string]any, into runtime.Object, prefix string) error {
	raw := asJSON(doc)
	kinds := runtime.NewScheme()
	if err := errors.Join(appsv1.AddToScheme(kinds), corev1.AddToScheme(kinds)); err != nil {
		return err
	}
	reader := jsonserializer.NewSerializerWithOptions(jsonserializer.DefaultMetaFactory, kinds, kinds, jsonserializer.SerializerOptions{Strict: true})
	_, _, err := reader.Decode(raw, nil, into)
	if err == nil {
		return nil
	}
	if several, ok := runtime.AsStrictDecodingError(err); ok {
		var all []string
		for _, e := range several.Errors() {
			all = append(all, strings.Replace(safe(e).Error(), `"`+prefix, `"`, 1))
		}
		return errors.New(strings.Join(all, "; "))
	}
	return safe(err)
}

// harmless are the parts of a decoder's errors that hold names of fields, types
// and lines, but no value.
var harmless = regexp.MustCompile(`^(error converting YAML to JSON: )?(yaml: )?(unmarshal errors:\s*)?` +
	`((line \d+: )?(unknown|duplicate) field "[^"]*"` +
	`|line \d+: key "[^"]*" already set in map` +
	`|(line \d+: )?(did not find expected|could not find expected|mapping values are not allowed|found character that cannot start any token|` +
	`found unexpected end of stream|found a tab character|block sequence entries are not allowed)[a-zA-Z ':,'-]*` +
	`|json: cannot unmarshal [a-z]+ into Go (struct field|value of type) [A-Za-z0-9_.\[\]*]+( of type [A-Za-z0-9_.\[\]*]+)?` +
	`|quantities must match the regular expression .*)$`)

var lineNumber = regexp.MustCompile(`line \d+`)

// safe returns what can be repeated of a decoder's error.
func safe(err error) error {
	text := strings.Join(strings.Fields(err.Error()), " ")
	if harmless.MatchString(text) {
		return errors.New(text)
	}
	if line := lineNumber.FindString(text); line != "" {
		return fmt.Errorf("%s: it cannot be read as YAML or JSON there", line)
	}
	return errors.New("it cannot be read: it is no YAML or JSON, or a field has a value of the wrong form")
}

// containers returns the containers of a field such as "initContainers". Its
// maps are the manifest's own.
func (m *manifest) containers(field string) []map[string]any {
	list, _, err := unstructured.NestedFieldNoCopy(m.doc, "spec", "template", "spec", field)
	items, ok := list.([]any)
	if err != nil || !ok {
		return nil
	}
	var all []map[string]any
	for _, item := range items {
		if c, ok := item.(map[string]any); ok {
			all = append(all, c)
		}
	}
	return all
}

// override replaces one image.
func (m *manifest) override(image string) error {
	name, to, ok := strings.Cut(image, "=")
	all := m.containers("containers")
	if !ok {
		name, to = "", image
		if len(all) != 1 {
			return fmt.Errorf("an image for one of %d containers: write container=image", len(all))
		}
	}
	if to == "" || ok && name == "" || !utf8.ValidString(to) || strings.ContainsAny(to, " \t\r\n") {
		return fmt.Errorf("image %q: want container=image", image)
	}
	var names []string
	for _, c := range append(all, m.containers("initContainers")...) {
		if c["name"] == name || !ok {
			c["image"] = to
			return nil
		}
		names = append(names, fmt.Sprint(c["name"]))
	}
	return fmt.Errorf("image %q: there is no container %q, there are %q", image, name, names)
}

// check refuses what could make no pods.
func (m *manifest) check() error {
	all := m.containers("containers")
	if len(all) == 0 {
		return errors.New("spec.template.spec.containers: there is none")
	}
	for i, c := range all {
		if name, _ := c["name"].(string); name == "" {
			return fmt.Errorf("spec.template.spec.containers[%d]: it has no name", i)
		}
		if image, _ := c["image"].(string); image == "" {
			return fmt.Errorf("spec.template.spec.containers[%d] (%v): it has no image: write it, or give container=image", i, c["name"])
		}
	}
	own, err := m.selector()
	if err != nil {
		return errors.New("spec.selector: it cannot be read")
	}
	if own == nil {
		return nil
	}
	selector, err := metav1.LabelSelectorAsSelector(own)
	if err != nil {
		return errors.New("spec.selector: it is not a valid selector")
	}
	if !selector.Matches(labels.Set(m.texts(templateLabels...))) {
		return errors.New("spec.selector: it does not select the pods of spec.template: their labels lack what it asks for")
	}
	return nil
}
