// Put on a revision that exists: one write to the object, then its pods.

package kube

import (
	"context"
	"fmt"
	"math"
	"net/http"
	"strconv"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// Put implements [cluster.Cluster].
//
// It also refuses what it knows to end badly: a traffic label in the revision's
// own selector; a new revision that a Deployment would adopt, that would adopt
// pods that are there already, or that a Service would select before it was
// told to; a workload that somebody else controls. A revision that a Service
// would select can be made without replicas, if the Service can be kept to what
// it serves now, and raised once it is: see SetRoute.
func (c *Cluster) Put(ctx context.Context, app string, r cluster.Revision) error {
	if err := start(ctx, app); err != nil {
		return err
	}
	if r.Replicas < 0 || r.Replicas > math.MaxInt32 {
		return refused("app %q: put revision %q: %d replicas", app, r.Name, r.Replicas)
	}
	known, err := c.known(ctx, app)
	if err != nil {
		return err
	}
	if r.Version == "" {
		return c.create(ctx, known, r)
	}
	return c.update(ctx, known, r)
}

// update makes an existing revision be as r says.
func (c *Cluster) update(ctx context.Context, known *roster, r cluster.Revision) error {
	w, err := c.current(ctx, known, r)
	if err != nil {
		return err
	}
	if w.deleting() {
		return refused("put %s: somebody has deleted it", w)
	}
	if err := known.checkRaise(w, r.Replicas); err != nil {
		return err
	}
	change := known.difference(w, r, c.api.clock.now())
	if change != nil {
		change.set(r.UID, "metadata", "uid")
		change.set(r.Version, "metadata", "resourceVersion")
		doing := fmt.Sprintf("patch %s in namespace %s", w, c.options.Namespace)
		err := c.api.patch(ctx, w.kind.resource(), r.Name, types.MergePatchType, asJSON(change))
		if apierrors.IsNotFound(err) {
			return conflict("%s: it is gone: %w", doing, err)
		}
		if err != nil {
			return explain(err, doing)
		}
	}
	if !known.can.Enable {
		return nil
	}
	return c.settle(ctx, known, w, r, change != nil)
}

// current reads the object that r was observed as, or returns ErrConflict if it
// is not that any more, and ErrRefused if it is not this app's.
func (c *Cluster) current(ctx context.Context, known *roster, r cluster.Revision) (*workload, error) {
	kind := known.kindOf(r)
	doing := fmt.Sprintf("get %s %s in namespace %s", kind, r.Name, c.options.Namespace)
	raw, err := send(ctx, c.api.on(http.MethodGet, kind.resource(), r.Name))
	if apierrors.IsNotFound(err) {
		return nil, conflict("%s: it is gone: %w", doing, err)
	}
	if err != nil {
		return nil, explain(err, doing)
	}
	w, err := read(kind, raw)
	if err != nil {
		return nil, err
	}
	if w.uid() != r.UID {
		return nil, conflict("%s: its UID is %s, the one observed had %q: another has taken its name", doing, w.uid(), r.UID)
	}
	if w.Metadata.ResourceVersion != r.Version {
		return nil, conflict("%s: its resourceVersion is %s, observed was %s", doing, w.Metadata.ResourceVersion, r.Version)
	}
	if !w.belongs(known.app, c.options.Match) {
		return nil, refused("%s: it is no revision of app %q", doing, known.app)
	}
	if owner, ok := w.owner(); ok {
		return nil, refused("%s: it is controlled by %s %s, which writes it as it likes", doing, owner.Kind, owner.Name)
	}
	return w, nil
}

// kindOf returns the kind of object that r was observed as.
func (known *roster) kindOf(r cluster.Revision) Kind {
	if w := known.named(r.Name); w != nil && w.uid() == r.UID {
		return w.kind
	}
	return known.options.Kind
}

// change is a merge patch in the making.
type change map[string]any

// set puts a value at a path; nil takes away what is there.
func (c change) set(value any, path ...string) {
	(&manifest{doc: c}).set(value, path...)
}

// note sets an annotation if it differs; "" takes it away.
func (c change) note(now map[string]string, key, value string) bool {
	if now[key] == value {
		return false
	}
	if value == "" {
		c.set(nil, "metadata", "annotations", key)
	} else {
		c.set(value, "metadata", "annotations", key)
	}
	return true
}

// difference returns the patch that makes w be as r says; nil if it is.
func (known *roster) difference(w *workload, r cluster.Revision, now time.Time) change {
	to, have := change{}, w.Metadata.Annotations
	if was := w.replicas(); was != r.Replicas {
		to.set(r.Replicas, "spec", "replicas")
		if r.Replicas > was {
			to.note(have, RaisedAnnotation, stamp(now))
		}
	}
	decided := to.note(have, OutcomeAnnotation, resultText(r.Outcome.Result))
	decided = to.note(have, WhyAnnotation, r.Outcome.Why) || decided
	moved := known.move(to, w, r)
	if decided || moved {
		to.note(have, SinceAnnotation, stamp(now))
	}
	if r.Note != "" {
		to.note(have, NoteAnnotation, r.Note)
	}
	if r.Fence != "" {
		to.note(have, FenceAnnotation, r.Fence)
	}
	if len(to) == 0 {
		return nil
	}
	return to
}

// move adds what makes Enabled be as wanted, and reports whether it differs.
func (known *roster) move(to change, w *workload, r cluster.Revision) bool {
	switch {
	case known.can.Enable:
		return known.reshape(to, w, r)
	case known.can.Select:
		return false // it is found, not wanted
	}
	return known.enabled(w) != r.Enabled && to.note(w.Metadata.Annotations, EnabledAnnotation, strconv.FormatBool(r.Enabled))
}

// reshape adds what pods are to be born with: their traffic and their fence. It
// reports whether the traffic differs.
func (known *roster) reshape(to change, w *workload, r cluster.Revision) bool {
	turn, fence := known.turn(w.labels(), r.Enabled), w.Spec.Template.Metadata.Annotations[FenceAnnotation]
	for k, v := range turn {
		to.set(v, at(templateLabels, k)...)
	}
	if r.Fence != "" && r.Fence != fence {
		to.set(r.Fence, at(templateAnnotations, FenceAnnotation)...)
	}
	return len(turn) > 0
}

// resultText is how a result is stored; Undecided is not.
func resultText(r cluster.Result) string {
	if r == cluster.Undecided {
		return ""
	}
	return r.String()
}
