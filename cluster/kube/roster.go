// The first half of judging a look, from what writes are compared with: who is
// a revision of the app, and which Services are about it.

package kube

import (
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/selection"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// roster is who takes part.
type roster struct {
	app       string
	options   Options
	revisions []*workload          // in the State's order
	owners    map[string]*workload // by the UID of what controls their pods
	lagging   map[string]bool      // by UID: a ReplicaSet of this Deployment is behind
	services  []corev1.Service     // of the namespace
	routes    []route              // by name
	scalers   []scaler             // by name
	can       cluster.Can
	contested bool
	warnings  []string
	place     place // from where ReplicaSets can be watched
}

// enroll finds out who takes part. all are the workloads of the namespace that may
// be revisions; sets are its ReplicaSets, where revisions may be Deployments.
func enroll(app string, o Options, all, sets []*workload, found []corev1.Service) (*roster, error) {
	r := &roster{app: app, options: o, services: found, owners: map[string]*workload{}, lagging: map[string]bool{}}
	if err := r.enlist(all); err != nil {
		return nil, err
	}
	r.hashes(sets)
	for _, set := range sets {
		owner, ok := set.owner()
		if w := r.owners[string(owner.UID)]; ok && w != nil && w.kind == Deployment {
			r.owners[set.uid()] = w
			r.lagging[w.uid()] = r.lagging[w.uid()] || set.behind()
		} else if !ok && set.made(app) && o.Kind == Deployment {
			r.warn("%s was made for app %q, but revisions are Deployments here: its pods are nobody's", set, app)
		}
	}
	if err := r.attach(found); err != nil {
		return nil, err
	}
	r.inspect()
	return r, nil
}

func (r *roster) warn(format string, args ...any) {
	r.warnings = append(r.warnings, fmt.Sprintf(format, args...))
}

// contest warns of somebody who writes what cutover writes.
func (r *roster) contest(format string, args ...any) {
	r.contested = true
	r.warn(format, args...)
}

// enlist finds the revisions and puts them in order.
func (r *roster) enlist(all []*workload) error {
	parents := map[types.UID]bool{}
	for _, w := range all {
		parents[w.Metadata.UID] = w.kind == Deployment
	}
	for _, w := range all {
		if owner, owned := w.owner(); !w.belongs(r.app, r.options.Match) || owned && parents[owner.UID] {
			continue // or it is a part of one
		}
		if owner, ok := w.owner(); ok {
			if w.made(r.app) {
				return refused("%s was made by cutover for app %q and is now controlled by %s %s, which scales and deletes it as it likes: "+
					"take it out of that one's selector, or delete one of the two", w, r.app, owner.Kind, owner.Name)
			}
			r.warn("%s looks like a revision of app %q but is controlled by %s %s: left alone", w, r.app, owner.Kind, owner.Name)
			continue
		}
		if other := r.named(w.Metadata.Name); other != nil {
			return refused("app %q: %s and %s are both revisions, and have one name: delete one of them", r.app, other.kind, w)
		}
		r.revisions = append(r.revisions, w)
		r.owners[w.uid()] = w
		if _, hostile := w.sequence(); hostile != "" {
			r.warn("%s: its sequence %.40q is not a number from 0 to %d: ignored", w, hostile, int64(maxSequence)-1)
		}
	}
	slices.SortFunc(r.revisions, byPlace)
	return nil
}

// byPlace orders revisions by sequence, arms after their release; ties by when
// they were made, then by UID.
func byPlace(a, b *workload) int {
	sa, _ := a.sequence()
	sb, _ := b.sequence()
	switch armA, armB := a.annotation(ArmAnnotation) != "", b.annotation(ArmAnnotation) != ""; {
	case sa != sb:
		return compare(sa < sb)
	case armA != armB:
		return compare(armB)
	case !a.Metadata.CreationTimestamp.Equal(&b.Metadata.CreationTimestamp):
		return compare(a.Metadata.CreationTimestamp.Before(&b.Metadata.CreationTimestamp))
	}
	return strings.Compare(a.uid(), b.uid())
}

func compare(less bool) int {
	if less {
		return -1
	}
	return 1
}

// attach finds the routes, and what can be done by them.
func (r *roster) attach(found []corev1.Service) error {
	byName := map[string]*corev1.Service{}
	for i := range found {
		byName[found[i].Name] = &found[i]
	}
	for _, name := range r.options.Services {
		s, err := r.declared(byName, name)
		if err != nil {
			return err
		}
		if err := r.checkDeclared(s); err != nil {
			return err
		}
		r.add(s, false)
	}
	for _, name := range r.options.Previews {
		s, err := r.declared(byName, name)
		if err != nil {
			return err
		}
		r.add(s, true)
	}
	if len(r.options.Services) == 0 {
		if err := r.discover(found); err != nil {
			return err
		}
	}
	slices.SortFunc(r.routes, func(a, b route) int { return strings.Compare(a.Name, b.Name) })
	if len(r.traffic()) == 0 {
		return nil
	}
	r.can = cluster.Can{Enable: r.options.Traffic == Labels, Select: r.options.Traffic == Selector}
	return r.checkTraffic()
}

// declared returns a Service that the options name.
func (r *roster) declared(byName map[string]*corev1.Service, name string) (*corev1.Service, error) {
	s := byName[name]
	if s == nil {
		return nil, refused("app %q: there is no Service %q in namespace %s: create it, or correct Options.Services or Options.Previews",
			r.app, name, r.options.Namespace)
	}
	if len(s.Spec.Selector) == 0 {
		return nil, refused("app %q: Service %q has no selector, so that it selects no pod and its endpoints are never updated: "+
			"give it one, or leave it out of the options", r.app, name)
	}
	return s, nil
}

// checkDeclared refuses a declared Service by which traffic cannot be moved.
func (r *roster) checkDeclared(s *corev1.Service) error {
	if len(r.revisions) == 0 {
		return nil
	}
	if r.options.Traffic == Selector {
		if len(r.selected(s.Spec.Selector)) > 1 && selectsAll(s.Spec.Selector, r.revisions) && s.Annotations[SinceAnnotation] == "" {
			return refusedEvery(r.app, s)
		}
		return nil
	}
	flip, pins := split(s.Spec.Selector, r.revisions)
	if len(pins) > 0 {
		return refusedPinned(r.app, s, pins[0])
	}
	if len(flip) == 0 {
		return refusedEvery(r.app, s)
	}
	return nil
}

func refusedEvery(app string, s *corev1.Service) error {
	return refused("app %q: Service %q selects every version: each of its labels (%s) is one that the pods of all revisions have for good, "+
		"so that traffic cannot be moved by it: add a label that is in no revision's selector, or leave the Service out of Options.Services",
		app, s.Name, written(s.Spec.Selector))
}

// refusedOpen is for a Service that nobody has said brings traffic.
func refusedOpen(app string, s *corev1.Service) error {
	return refused("app %q: Service %q selects every version: each of its labels (%s) is one that the pods of all revisions have for good: "+
		"if it brings the app its traffic, name it in Options.Services, and it is kept to what serves while another gets ready; "+
		"else add a label that is in no revision's selector", app, s.Name, written(s.Spec.Selector))
}

func refusedPinned(app string, s *corev1.Service, p pinned) error {
	return refused("app %q: traffic label %s=%s of Service %q is in the selector (matchLabels) of %s, whose pods can therefore never lose it: "+
		"take it out of the selector, or set Options.Traffic to Selector, or name the Service in Options.Previews",
		app, p.key, p.value, s.Name, p.in)
}

// discover finds the Services that bring traffic where none was declared.
func (r *roster) discover(found []corev1.Service) error {
	var pins, every []*corev1.Service
	for i := range found {
		s := &found[i]
		if len(s.Spec.Selector) == 0 || slices.Contains(r.options.Previews, s.Name) {
			continue
		}
		switch {
		case r.options.Traffic == Selector && picks(s, r.app, r.revisions):
			r.add(s, false)
		case r.options.Traffic == Labels && concerns(s, r.app, r.revisions):
			switch flip, pin := split(s.Spec.Selector, r.revisions); {
			case len(pin) > 0:
				pins = append(pins, s)
			case len(flip) == 0:
				every = append(every, s)
			default:
				r.add(s, false)
			}
		case selects(s.Spec.Selector, r.revisions):
			every = append(every, s)
		}
	}
	return r.leftOver(pins, every)
}

// leftOver says what becomes of Services that select pods of the app, but by
// which traffic cannot be moved.
func (r *roster) leftOver(pins, every []*corev1.Service) error {
	alone := len(r.traffic()) == 0
	for _, s := range pins {
		if _, p := split(s.Spec.Selector, r.revisions); alone {
			return refusedPinned(r.app, s, p[0])
		}
		r.warn("Service %q selects pods of one revision by a label that they cannot lose: it is not a route here", s.Name)
	}
	for _, s := range every {
		if alone && r.options.Traffic == Selector {
			return refusedOpen(r.app, s)
		}
		r.routes = append(r.routes, route{Service: s, fixed: true})
		if alone {
			r.warn("Service %q selects the pods of every revision, by labels that are in their selectors (matchLabels): it is not a route here, the app is taken for a worker, "+
				"and the pods of a new revision get its traffic as soon as they are ready", s.Name)
		}
	}
	return nil
}

func (r *roster) add(s *corev1.Service, preview bool) {
	flip, _ := split(s.Spec.Selector, r.revisions)
	r.routes = append(r.routes, route{Service: s, preview: preview, flip: flip})
}

// checkTraffic refuses traffic that cannot be moved as the options say.
func (r *roster) checkTraffic() error {
	if r.options.Traffic == Selector {
		return nil
	}
	if r.options.Kind == Deployment {
		return refused("app %q: on a Deployment a label flip is a rollout that replaces every pod: set Options.Traffic to Selector, "+
			"or Options.Kind to ReplicaSet", r.app)
	}
	all := map[string]string{}
	for _, t := range r.traffic() {
		for k, v := range t.flip {
			if other, ok := all[k]; ok && other != v {
				return refused("app %q: its traffic Services want label %s to be both %q and %q, which no pod can satisfy", r.app, k, other, v)
			}
			all[k] = v
		}
	}
	return nil
}

// traffic returns the routes that count as traffic.
func (r *roster) traffic() []route {
	var all []route
	for _, t := range r.routes {
		if !t.preview && !t.fixed {
			all = append(all, t)
		}
	}
	return all
}

// on reports whether a pod with these labels gets all the app's traffic.
func (r *roster) on(labels map[string]string) bool {
	return !slices.ContainsFunc(r.traffic(), func(t route) bool { return !carries(labels, t.flip) })
}

// off reports whether it gets none.
func (r *roster) off(labels map[string]string) bool {
	return !slices.ContainsFunc(r.traffic(), func(t route) bool { return carries(labels, t.flip) })
}

// as reports whether the traffic of a pod with these labels is as wanted.
func (r *roster) as(labels map[string]string, enabled bool) bool {
	if enabled {
		return r.on(labels)
	}
	return r.off(labels)
}

// turn returns what has to change in labels for their traffic to be as wanted:
// a nil value takes the label away.
func (r *roster) turn(labels map[string]string, enabled bool) map[string]*string {
	change := map[string]*string{}
	if r.as(labels, enabled) {
		return change
	}
	for _, t := range r.traffic() {
		for k, v := range t.flip {
			now, ok := labels[k]
			switch to := opposite(v); {
			case enabled && (!ok || now != v):
				change[k] = &v
			case !enabled && ok && now == v && to != "":
				change[k] = &to
			case !enabled && ok && now == v:
				change[k] = nil
			}
		}
	}
	return change
}

// podQuery returns the label query that the pods of every revision answer, and
// as few others as it can be told; "" is all pods.
func (r *roster) podQuery() string {
	values := map[string]map[string]bool{}
	for _, w := range r.revisions {
		for k, v := range w.own() {
			if values[k] == nil {
				values[k] = map[string]bool{}
			}
			values[k][v] = true
		}
	}
	query := labels.NewSelector()
	for _, k := range sorted(values) {
		if slices.ContainsFunc(r.revisions, func(w *workload) bool { _, ok := w.own()[k]; return !ok }) {
			continue // some revision does not ask for it
		}
		if must, err := labels.NewRequirement(k, selection.In, sorted(values[k])); err == nil {
			query = query.Add(*must)
		}
	}
	return query.String()
}

// setQuery returns the label query for the ReplicaSets that cutover made for the
// app, or that its Deployments have; "" if there are none that have a label of its own.
func (r *roster) setQuery() string {
	if r.options.Kind == ReplicaSet {
		return AppLabel + "=" + r.app
	}
	var names []string
	for _, w := range r.revisions {
		if name := w.labels()[RevisionLabel]; name != "" {
			names = append(names, name)
		}
	}
	if len(names) == 0 {
		return ""
	}
	return RevisionLabel + " in (" + strings.Join(names, ",") + ")"
}

// sliceQuery returns the label query for the EndpointSlices of all routes.
func (r *roster) sliceQuery() string {
	var names []string
	for _, t := range r.routes {
		names = append(names, t.Name)
	}
	return "kubernetes.io/service-name in (" + strings.Join(names, ",") + ")"
}
