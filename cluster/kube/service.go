// Services, and how the pairs of a Service's selector tell revisions apart.

package kube

import (
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
)

// route is a Service that brings traffic to the app, or shows it to testers.
type route struct {
	*corev1.Service
	preview bool
	fixed   bool // it selects every revision, and nobody declared it

	// flip are the pairs of its selector that a pod gets and loses with its
	// traffic, where traffic is a label.
	flip map[string]string
}

func (r route) name() string { return routePrefix + r.Name }

// pinned is a pair of a Service's selector that is fixed in the selector of one
// revision while another does not have it.
type pinned struct {
	key, value string
	in         *workload
}

// split tells apart the pairs of a Service's selector: flip can be set and taken
// on the pods of every revision; pins cannot. What is in neither, every revision
// has for good.
func split(selector map[string]string, revisions []*workload) (flip map[string]string, pins []pinned) {
	flip = map[string]string{}
	everywhere := map[string]bool{}
	switched := false
	for _, k := range sorted(selector) {
		v := selector[k]
		fixedIn := slices.IndexFunc(revisions, func(w *workload) bool { return w.fixes(k) })
		all := !slices.ContainsFunc(revisions, func(w *workload) bool { return !carries(w.labels(), map[string]string{k: v}) })
		switch {
		case fixedIn < 0:
			flip[k] = v
			everywhere[k] = all
			switched = switched || isSwitch(k, v)
		case !all:
			pins = append(pins, pinned{k, v, revisions[fixedIn]})
		}
	}
	// Beside a label that was made to be switched, one that all pods have is
	// there to say whose pods they are.
	for k, v := range flip {
		if switched && everywhere[k] && !isSwitch(k, v) {
			delete(flip, k)
		}
	}
	return flip, pins
}

// selects reports whether the Service selects the pods that one of the
// revisions makes now.
func selects(selector map[string]string, revisions []*workload) bool {
	return slices.ContainsFunc(revisions, func(w *workload) bool { return w.selectedBy(selector) })
}

// selectsAll reports whether it selects those of every revision.
func selectsAll(selector map[string]string, revisions []*workload) bool {
	return !slices.ContainsFunc(revisions, func(w *workload) bool { return !w.selectedBy(selector) })
}

// declaredBy reports whether a revision says that the Service brings it traffic.
func declaredBy(service string, revisions []*workload) bool {
	return slices.ContainsFunc(revisions, func(w *workload) bool {
		return slices.Contains(serviceNames(w.annotation(loadBalancers)), service) ||
			slices.Contains(serviceNames(w.annotation(ServicesAnnotation)), service)
	})
}

// named reports whether a Service that nobody declared is likely to be that of
// an app which has no revision yet.
func named(s *corev1.Service, app string) bool {
	if s.Name == app {
		return true
	}
	for _, v := range s.Spec.Selector {
		if v == app {
			return true
		}
	}
	return false
}

// switched reports whether a selector has a label that was made to be switched.
func switched(selector map[string]string) bool {
	for k, v := range selector {
		if isSwitch(k, v) {
			return true
		}
	}
	return false
}

// concerns reports whether a Service that nobody declared is about the app,
// where traffic is a label: it selects pods of a revision, or would if the label
// were there.
func concerns(s *corev1.Service, app string, revisions []*workload) bool {
	if len(revisions) == 0 {
		return named(s, app) && switched(s.Spec.Selector)
	}
	if selects(s.Spec.Selector, revisions) || declaredBy(s.Name, revisions) {
		return true
	}
	flip, pins := split(s.Spec.Selector, revisions)
	if len(pins) > 0 || len(flip) == 0 {
		return false
	}
	for k, v := range flip {
		known := slices.ContainsFunc(revisions, func(w *workload) bool { _, ok := w.labels()[k]; return ok })
		if !isSwitch(k, v) || !known && len(flip) == len(s.Spec.Selector) {
			return false // somebody else's label, or nothing that ties it to this app
		}
	}
	return true
}

// versionKeys are labels that are commonly used to tell versions apart. They
// matter only while there is a single revision, with nothing to compare it to.
var versionKeys = []string{RevisionLabel, "version", "app.kubernetes.io/version", "release", "track", "color", "slot"}

// tells reports whether a pair of a Service's selector tells revisions apart.
func tells(key, value string, revisions []*workload) bool {
	if key == RevisionLabel || key == templateHash {
		return true
	}
	other, fixed := false, false
	for _, w := range revisions {
		v, ok := w.labels()[key]
		other = other || ok && v != value
		fixed = fixed || w.fixes(key)
		if len(revisions) == 1 && ok && v == value &&
			(slices.Contains(versionKeys, key) || strings.HasSuffix(w.Metadata.Name, "-"+value)) {
			return true
		}
	}
	return other || fixed && !selectsAll(map[string]string{key: value}, revisions)
}

// picks reports whether a Service that nobody declared picks revisions of the
// app by its selector: apart from the pairs that tell them apart, every
// revision's pods carry it.
func picks(s *corev1.Service, app string, revisions []*workload) bool {
	if len(revisions) == 0 {
		return named(s, app)
	}
	rest, telling := map[string]string{}, false
	for k, v := range s.Spec.Selector {
		if tells(k, v, revisions) {
			telling = true
		} else {
			rest[k] = v
		}
	}
	switch {
	case selects(s.Spec.Selector, revisions):
		return telling || s.Annotations[SinceAnnotation] != ""
	case len(rest) == 0:
		return telling && strings.HasPrefix(s.Spec.Selector[RevisionLabel], app+"-v")
	}
	return telling && selectsAll(rest, revisions)
}
