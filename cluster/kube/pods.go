// The pods of a revision, where traffic is a label of theirs.

package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// settle makes pods be as r says, as many as Options.Batch allows: those with
// the wrong traffic first, then those with another fence. Pods that are going
// are left alone.
func (c *Cluster) settle(ctx context.Context, known *roster, w *workload, r cluster.Revision, wrote bool) error {
	all, err := list[corev1.Pod](ctx, c.api, pods, w.selector.String(), nil)
	if err != nil {
		return afterWrite(err, wrote)
	}
	type write struct {
		name  string
		flips bool
		body  []byte
	}
	var due []write
	for i := range all {
		pod := &all[i]
		if ref := metav1.GetControllerOfNoCopy(pod); ref == nil || string(ref.UID) != w.uid() || !writable(pod) {
			continue
		}
		turn := known.turn(pod.Labels, r.Enabled)
		if len(turn) > 0 || r.Fence != "" && pod.Annotations[FenceAnnotation] != r.Fence {
			due = append(due, write{pod.Name, len(turn) > 0, podPatch(pod, turn, r.Fence)})
		}
	}
	slices.SortFunc(due, func(a, b write) int {
		if a.flips != b.flips {
			return compare(a.flips)
		}
		return strings.Compare(a.name, b.name)
	})
	var failed []error
	due = due[:min(len(due), c.options.Batch)]
	for _, d := range due {
		err := c.api.patch(ctx, pods, d.name, types.JSONPatchType, d.body)
		switch {
		case err == nil:
			wrote = true
		case apierrors.IsNotFound(err): // gone is as wanted
		case ctx.Err() != nil:
			return fmt.Errorf("kube: patch pods of %s: stopped at %s: %w", w, d.name, err)
		default:
			failed = append(failed, explainPod(err, d.name))
			wrote = wrote || !(apierrors.IsForbidden(err) || apierrors.IsInvalid(err) || apierrors.IsConflict(err)) // it may have been
		}
	}
	if len(failed) == 0 {
		return nil
	}
	return afterWrite(fmt.Errorf("kube: patch pods of %s in namespace %s: %d of %d failed: %w",
		w, c.options.Namespace, len(failed), len(due), errors.Join(failed...)), wrote)
}

// explainPod says why a pod could not be patched. Only what is forbidden is so
// for good.
func explainPod(err error, name string) error {
	switch {
	case apierrors.IsForbidden(err):
		return fmt.Errorf("%s: %w: %w", name, cluster.ErrRefused, err)
	case apierrors.IsInvalid(err):
		return fmt.Errorf("%s: its traffic label or fence is not what was read a moment ago, look again: %w", name, err)
	}
	return fmt.Errorf("%s: %w", name, err)
}

// afterWrite takes back the promise that nothing was changed.
func afterWrite(err error, wrote bool) error {
	if !wrote {
		return err
	}
	return fmt.Errorf("%v (something else was written before: the effect is unknown, look again)", err) // %v: it must not be ErrRefused any more
}

// operation is one of a JSON patch.
type operation struct {
	Op    string `json:"op"`
	Path  string `json:"path"`
	Value any    `json:"value,omitempty"`
}

// test is an operation that always has a value: null is what is not there.
type test struct {
	Op    string  `json:"op"`
	Path  string  `json:"path"`
	Value *string `json:"value"`
}

// podPatch changes a pod's traffic labels and, if fence is not "", its fence.
// Every value is compared with the one it replaces, and the fence always is: a
// patch that arrives late, when a newer run has written the pod, changes nothing.
// The pod's resourceVersion is not compared, for it changes with its status.
func podPatch(pod *corev1.Pod, turn map[string]*string, fence string) []byte {
	uid := string(pod.UID)
	patch := []any{test{"test", "/metadata/uid", &uid}}
	for _, k := range sorted(turn) {
		path := "/metadata/labels/" + escape(k)
		patch = append(patch, test{"test", path, lookup(pod.Labels, k)})
		if v := turn[k]; v == nil {
			patch = append(patch, operation{Op: "remove", Path: path})
		} else {
			patch = append(patch, operation{Op: "add", Path: path, Value: *v})
		}
	}
	const annotations = "/metadata/annotations"
	path := annotations + "/" + escape(FenceAnnotation)
	if len(pod.Annotations) == 0 { // the path to a fence is missing, and a test of it would fail
		patch = append(patch, test{"test", annotations, nil})
		if fence != "" {
			patch = append(patch, operation{"add", annotations, map[string]string{FenceAnnotation: fence}})
		}
		return asJSON(patch)
	}
	patch = append(patch, test{"test", path, lookup(pod.Annotations, FenceAnnotation)})
	if fence != "" && pod.Annotations[FenceAnnotation] != fence {
		patch = append(patch, operation{"add", path, fence})
	}
	return asJSON(patch)
}

// lookup returns the value of a key; nil if it is not there.
func lookup(m map[string]string, key string) *string {
	if v, ok := m[key]; ok {
		return &v
	}
	return nil
}

// escape makes a key a part of a JSON pointer.
func escape(key string) string {
	return strings.NewReplacer("~", "~0", "/", "~1").Replace(key)
}
