// HorizontalPodAutoscalers: routes that bring replicas. Which are about an app,
// and the one write that points one at another revision.

package kube

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// scalerPrefix makes an autoscaler's name the name of a route.
const scalerPrefix = "horizontalpodautoscaler/"

// scaler is an autoscaler of a revision of the app, or of one that is gone.
type scaler struct {
	*autoscalingv2.HorizontalPodAutoscaler
	of *workload // nil: it is gone
}

// recruit finds the autoscalers of the app among those of the namespace. all are
// the workloads there, of the revisions' kind.
func (r *roster) recruit(found []autoscalingv2.HorizontalPodAutoscaler, all []*workload) {
	for i := range found {
		ref := found[i].Spec.ScaleTargetRef
		// Of the version the autoscaler's controller asks as little as this does.
		if group, _, _ := strings.Cut(ref.APIVersion, "/"); group != r.kind().group || ref.Kind != r.kind().kind {
			continue
		}
		isNamed := func(w *workload) bool { return w.Metadata.Name == ref.Name }
		s := scaler{HorizontalPodAutoscaler: &found[i]}
		if n := slices.IndexFunc(r.revisions, isNamed); n >= 0 {
			s.of = r.revisions[n]
		} else if slices.ContainsFunc(all, isNamed) || ref.Name != r.app && !numbered(r.app, ref.Name) {
			continue
		}
		r.scalers = append(r.scalers, s)
	}
	slices.SortFunc(r.scalers, func(a, b scaler) int { return strings.Compare(a.Name, b.Name) })
	r.inspectScalers()
}

func (r *roster) kind() resource { return r.options.Kind.resource() }

// inspectScalers warns of autoscalers that do nothing, and of who else writes them.
func (r *roster) inspectScalers() {
	var names []string
	for _, s := range r.scalers {
		names = append(names, fmt.Sprintf("%q", s.Name))
		if s.of == nil {
			r.warn("HorizontalPodAutoscaler %q names %s %s, which is gone: it does nothing until it is pointed at a revision", s.Name, r.kind().kind, s.Spec.ScaleTargetRef.Name)
		}
		if k := s.keeper(); k != "" {
			r.contest("HorizontalPodAutoscaler %q: what it scales is also written by %s, which may undo what cutover writes: exclude the field there", s.Name, k)
		}
	}
	if len(names) > 1 {
		r.warn("HorizontalPodAutoscalers %s are all about app %q: of two that name one revision Kubernetes lets neither scale it (AmbiguousSelector): keep one", strings.Join(names, ", "), r.app)
	}
}

// keeper is the tool that has written what it scales.
func (s scaler) keeper() string {
	if k := keeper(s.ManagedFields, "spec", "scaleTargetRef"); k != "" {
		return k
	}
	return s.Annotations[KeeperAnnotation]
}

func (s scaler) version() string { return string(s.UID) + "/" + s.ResourceVersion }

// route describes it.
func (s scaler) route() cluster.Route {
	weights := map[string]int{}
	if s.of != nil {
		weights[s.of.Metadata.Name] = 100
	}
	return cluster.Route{
		Name: scalerPrefix + s.Name, Scaler: true, Weights: weights,
		Note: s.Annotations[NoteAnnotation], Fence: s.Annotations[FenceAnnotation], From: s.Annotations[FromAnnotation],
		Since: moment(s.Annotations[SinceAnnotation]), Version: s.version(),
	}
}

// setScaler is SetRoute for an autoscaler. Its status is written four times a
// minute, so that a conflict is nothing unusual.
func (c *Cluster) setScaler(ctx context.Context, known *roster, r cluster.Route) error {
	i := slices.IndexFunc(known.scalers, func(s scaler) bool { return scalerPrefix+s.Name == r.Name })
	if i < 0 {
		return refused("app %q: set route %q: the last look showed no such autoscaler", known.app, r.Name)
	}
	now := known.scalers[i]
	if now.version() != r.Version {
		return conflict("set route %q of app %q: the last look showed it as %s, this is compared with %q", r.Name, known.app, now.version(), r.Version)
	}
	change, err := known.size(now, r, c.api.clock.now())
	if err != nil || len(change) == 0 {
		return err
	}
	change.set(string(now.UID), "metadata", "uid")
	change.set(now.ResourceVersion, "metadata", "resourceVersion")
	doing := fmt.Sprintf("patch HorizontalPodAutoscaler %s in namespace %s", now.Name, c.options.Namespace)
	err = c.api.patch(ctx, autoscalers, now.Name, types.MergePatchType, asJSON(change))
	if apierrors.IsNotFound(err) {
		return conflict("%s: it is gone: %w", doing, err)
	}
	if err != nil {
		return explain(err, doing)
	}
	return nil
}

// size returns the patch that makes the autoscaler be as r says; empty if it is.
func (known *roster) size(s scaler, r cluster.Route, now time.Time) (change, error) {
	to, names := change{}, sorted(r.Weights)
	switch {
	case r.Weights == nil || len(names) > 1:
		return nil, fmt.Errorf("kube: set HorizontalPodAutoscaler %s: Weights names %d revisions, nil means all: it scales one: %w", s.Name, len(names), cluster.ErrUnsupported)
	case len(names) == 0 && s.of != nil:
		return nil, refused("set HorizontalPodAutoscaler %s: Weights names no revision: it cannot scale none", s.Name)
	case len(names) == 1 && (s.of == nil || s.of.Metadata.Name != names[0]):
		if !slices.ContainsFunc(known.revisions, func(w *workload) bool { return w.Metadata.Name == names[0] }) {
			return nil, refused("set HorizontalPodAutoscaler %s: app %q has no revision %q", s.Name, known.app, names[0])
		}
		to.set(map[string]any{"apiVersion": "apps/v1", "kind": known.kind().kind, "name": names[0]}, "spec", "scaleTargetRef")
		to.note(s.Annotations, SinceAnnotation, stamp(now))
		if k := s.keeper(); k != "" { // this write takes the field from whoever applied it
			to.note(s.Annotations, KeeperAnnotation, k)
		}
	}
	for key, value := range map[string]string{NoteAnnotation: r.Note, FenceAnnotation: r.Fence, FromAnnotation: r.From} {
		if value != "" {
			to.note(s.Annotations, key, value)
		}
	}
	return to, nil
}
