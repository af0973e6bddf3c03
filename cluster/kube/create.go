// Put of a revision that must not exist yet.

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	labelset "k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/validation"

	"github.com/cutover-dev/cutover/cluster"
)

// create makes the revision, or returns ErrConflict if its name is taken.
func (c *Cluster) create(ctx context.Context, known *roster, r cluster.Revision) error {
	m, w, counts, err := known.draft(r)
	if err == nil {
		err = c.checkAdoption(ctx, w)
	}
	if err != nil {
		return c.unlessTaken(ctx, r, err)
	}
	if counts {
		m.set(stamp(c.api.clock.now()), at(metaAnnotations, SinceAnnotation)...)
	}
	if err := c.api.create(ctx, c.options.Kind.resource(), m.json()); err != nil {
		return explain(err, fmt.Sprintf("create %s in namespace %s", w, c.options.Namespace))
	}
	return nil
}

// unlessTaken returns ErrConflict if there is such a revision, whatever else is
// wrong with making it, and else err.
func (c *Cluster) unlessTaken(ctx context.Context, r cluster.Revision, err error) error {
	kind := c.options.Kind
	if r.Name == "" {
		return err
	}
	if _, none := send(ctx, c.api.on(http.MethodGet, kind.resource(), r.Name)); none != nil {
		return err
	}
	return conflict("create %s %s in namespace %s: it exists; had it not: %v", kind, r.Name, c.options.Namespace, err)
}

// draft makes the object that is to be created, and refuses one that would end
// badly, as far as that can be told without asking the cluster. decided reports
// that it is born with traffic or an outcome.
func (known *roster) draft(r cluster.Revision) (m *manifest, w *workload, decided bool, err error) {
	if err := known.checkName(r); err != nil {
		return nil, nil, false, err
	}
	m, err = readManifest(r.Template)
	if err != nil {
		return nil, nil, false, refused("app %q: create %q: %w", known.app, r.Name, err)
	}
	if ns := m.namespace(); ns != "" && ns != known.options.Namespace {
		return nil, nil, false, refused("app %q: create %q: the manifest is for namespace %q, this is %q", known.app, r.Name, ns, known.options.Namespace)
	}
	m.bare()
	m.become(known.options.Kind)
	if err := known.identify(m, r); err != nil {
		return nil, nil, false, err
	}
	with, err := known.admit(m)
	if err != nil {
		return nil, nil, false, fmt.Errorf("%w (so it would be with the new revision %q)", err, r.Name)
	}
	with.dress(m, r)
	if w, err = read(known.options.Kind, m.json()); err != nil {
		return nil, nil, false, refused("create %q: %w", r.Name, err)
	}
	decided = r.Enabled && !with.can.Select || r.Outcome != (cluster.Outcome{})
	return m, w, decided, with.checkBirth(w)
}

// checkName refuses a revision that can have no such name or place.
func (known *roster) checkName(r cluster.Revision) error {
	if problems := validation.IsDNS1123Subdomain(r.Name); len(problems) > 0 || len(r.Name) > validation.LabelValueMaxLength {
		return refused("app %q: create %q: the name of a revision has at most %d characters, this has %d: want lower-case letters, digits, '-' or '.', "+
			"and room for the number in the app's name", known.app, r.Name, validation.LabelValueMaxLength, len(r.Name))
	}
	if r.Seq < 0 || r.Seq >= maxSequence {
		return refused("app %q: create %q: sequence %d", known.app, r.Name, r.Seq)
	}
	return nil
}

// become makes the manifest one of the kind that revisions are.
func (m *manifest) become(kind Kind) {
	m.kind = kind
	if spec, ok := m.doc["spec"].(map[string]any); ok && kind == ReplicaSet {
		// what only a Deployment has
		for _, field := range []string{"strategy", "revisionHistoryLimit", "progressDeadlineSeconds", "paused"} {
			delete(spec, field)
		}
	}
}

// identify gives the object its name and place, a selector of its own, and what
// cutover has to know.
func (known *roster) identify(m *manifest, r cluster.Revision) error {
	own, err := known.ownSelector(m)
	if err != nil {
		return refused("app %q: create %q: its selector: %w", known.app, r.Name, err)
	}
	if own.MatchLabels == nil {
		own.MatchLabels = map[string]string{}
	}
	own.MatchLabels[RevisionLabel] = r.Name
	selector := map[string]any{}
	if err := json.Unmarshal(asJSON(own), &selector); err != nil {
		return err
	}
	m.set(selector, "spec", "selector")
	m.set(r.Name, at(templateLabels, RevisionLabel)...)

	annotations, labels := m.texts(metaAnnotations...), m.texts(metaLabels...)
	for k, v := range map[string]string{
		ReleaseAnnotation: r.Release, ArmAnnotation: r.Arm, NoteAnnotation: r.Note, FenceAnnotation: r.Fence,
		OutcomeAnnotation: resultText(r.Outcome.Result), WhyAnnotation: r.Outcome.Why,
	} {
		if v != "" {
			annotations[k] = v
		}
	}
	annotations[SequenceAnnotation] = strconv.FormatInt(r.Seq, 10)
	if len(labels) > 0 {
		annotations[LabelsAnnotation] = string(asJSON(labels))
	}
	if names := known.trafficNames(); len(names) > 0 {
		annotations[ServicesAnnotation] = string(asJSON(names))
	}
	m.setTexts(annotations, metaAnnotations...)
	m.setTexts(map[string]string{AppLabel: known.app, RevisionLabel: r.Name}, metaLabels...)
	m.set(r.Name, "metadata", "name")
	m.set(known.options.Namespace, "metadata", "namespace")
	m.set(int64(r.Replicas), "spec", "replicas")
	return nil
}

// ownSelector returns the manifest's selector. Without one it is all the labels
// of its pods that no Service switches.
func (known *roster) ownSelector(m *manifest) (*metav1.LabelSelector, error) {
	own, err := m.selector()
	if err != nil || own != nil {
		return own, err
	}
	match := m.texts(templateLabels...)
	for _, t := range known.traffic() {
		for k, v := range t.flip {
			if len(known.revisions) > 0 || isSwitch(k, v) {
				delete(match, k)
			}
		}
	}
	return &metav1.LabelSelector{MatchLabels: match}, nil
}

// admit returns the roster with the new revision in it, which refuses a traffic
// label in its selector, or a Service that would not tell it from the others.
func (known *roster) admit(m *manifest) (*roster, error) {
	w, err := read(known.options.Kind, m.json())
	if err != nil {
		return nil, refused("%w", err)
	}
	with, err := enroll(known.app, known.options, append(slices.Clone(known.revisions), w), nil, known.services)
	if err != nil {
		return nil, err
	}
	if len(known.traffic()) > 0 && len(with.traffic()) == 0 {
		t := known.traffic()[0]
		for _, k := range sorted(t.flip) {
			if w.own()[k] == t.flip[k] {
				return nil, refusedPinned(known.app, t.Service, pinned{key: k, value: t.flip[k], in: w})
			}
		}
		return nil, refusedEvery(known.app, t.Service)
	}
	return with, nil
}

// dress gives the new revision its traffic, or keeps it away.
func (with *roster) dress(m *manifest, r cluster.Revision) {
	labels, annotations := m.texts(templateLabels...), m.texts(templateAnnotations...)
	switch {
	case with.can.Enable:
		for _, t := range with.traffic() {
			for k, v := range t.flip {
				switch to := opposite(v); {
				case r.Enabled:
					labels[k] = v
				case to != "":
					labels[k] = to
				case labels[k] == v:
					delete(labels, k)
				}
			}
		}
		if r.Fence != "" {
			annotations[FenceAnnotation] = r.Fence
		}
	case !with.can.Select:
		m.set(strconv.FormatBool(r.Enabled), at(metaAnnotations, EnabledAnnotation)...)
	}
	m.setTexts(labels, templateLabels...)
	m.setTexts(annotations, templateAnnotations...)
}

// trafficNames are the traffic Services as an annotation lists them.
func (r *roster) trafficNames() []string {
	var names []string
	for _, t := range r.traffic() {
		names = append(names, "service "+t.Name)
	}
	return names
}

// checkBirth refuses pods that no Service would ever select, or one would select
// before it is told to.
func (with *roster) checkBirth(w *workload) error {
	if !w.selector.Matches(labelset.Set(w.labels())) {
		return refused("create %s: its selector (%s) does not select the pods of its own template", w, w.selector)
	}
	for _, t := range with.traffic() {
		if with.can.Select && w.selectedBy(t.Spec.Selector) {
			if w.asleep() { // it has no pods yet, and the Service can be kept from them
				if len(with.selected(t.Spec.Selector)) > 1 {
					continue // two share it, until one of them goes
				}
				if _, err := with.pinnable(t.Service); err != nil {
					return fmt.Errorf("create %s: Service %q (%s) would select its pods as soon as it has some: %w", w, t.Name, written(t.Spec.Selector), err)
				}
				continue
			}
			return refused("create %s: Service %q (%s) would select its pods as soon as they are ready: "+
				"give the Service's selector a label that only the present version has", w, t.Name, written(t.Spec.Selector))
		}
		if with.can.Enable {
			labels := maps.Clone(w.labels())
			maps.Copy(labels, t.flip)
			if !carries(labels, t.Spec.Selector) {
				return refused("create %s: Service %q (%s) would never select its pods (%s)", w, t.Name, written(t.Spec.Selector), written(w.labels()))
			}
		}
	}
	for _, old := range with.revisions {
		if _, own := old.labels()[RevisionLabel]; with.can.Select && !own && old.hash == "" && carries(w.labels(), old.labels()) {
			return refused("create %s: its pods have every label of those of %s (%s), so that traffic could never go back to that one alone: "+
				"give the new pods another version label", w, old, written(old.labels()))
		}
	}
	return nil
}

// checkAdoption refuses to make what others would adopt, or what would adopt
// pods that are there already.
func (c *Cluster) checkAdoption(ctx context.Context, w *workload) error {
	work := []func(context.Context) error{func(ctx context.Context) error { return c.checkOrphans(ctx, w) }}
	if c.options.Kind == ReplicaSet {
		work = append(work, func(ctx context.Context) error { return c.checkAdopters(ctx, w) })
	}
	return together(ctx, work...)
}

// checkOrphans refuses a selector that selects pods which nobody controls.
func (c *Cluster) checkOrphans(ctx context.Context, w *workload) error {
	found, err := list[corev1.Pod](ctx, c.api, pods, w.selector.String(), nil)
	if err != nil {
		return err
	}
	var orphans []string
	for i := range found {
		if metav1.GetControllerOfNoCopy(&found[i]) == nil && writable(&found[i]) {
			orphans = append(orphans, found[i].Name)
		}
	}
	if len(orphans) == 0 {
		return nil
	}
	return refused("create %s: it would adopt pods that are there already (%s): delete them, or take the label %s off them",
		w, strings.Join(orphans[:min(len(orphans), 5)], ", "), RevisionLabel)
}

// checkAdopters refuses if a Deployment would take the new ReplicaSet for one of
// its own, scale it to 0 and delete it when it likes.
func (c *Cluster) checkAdopters(ctx context.Context, w *workload) error {
	all, err := c.api.workloads(ctx, Deployment, nil)
	if err != nil {
		return err
	}
	for _, d := range all {
		if d.selector.Matches(labelset.Set(w.Metadata.Labels)) {
			return refused("create %s: %s would adopt it and scale it to 0, for its selector (%s) matches %s: change that selector",
				w, d, d.selector, written(w.Metadata.Labels))
		}
	}
	return nil
}
