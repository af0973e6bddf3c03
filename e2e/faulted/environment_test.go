// What goes wrong in the world itself, and is put right again after a while.

package faulted_test

import (
	"context"
	"fmt"
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/fake/fault"
)

// blamed reports whether a fault of the world takes endpoints by itself.
func blamed(e fault.Event) bool {
	switch e.Fault {
	case fault.PodsFlap, fault.PodsFail, fault.Person:
		return true
	}
	return false
}

// freezing is held by the one world that has frozen the plane's controllers.
var freezing sync.Mutex

// happen does what an event says, and reports whether it could.
func (w *world) happen(e fault.Event, _ *http.Request) bool {
	switch e.Fault {
	case fault.Quota:
		return w.quota()
	case fault.ControllerLag:
		return w.freeze()
	case fault.PodsFlap, fault.PodsFail:
		return w.fail(e)
	case fault.SecondDeployer:
		return w.second(e)
	case fault.Person:
		return w.person(e.Form)
	}
	return false
}

// later puts something right after a while. mended waits for it.
func (w *world) later(d time.Duration, mend func()) {
	w.mending.Add(1)
	time.AfterFunc(d, func() { defer w.mending.Done(); mend() })
}

// quota leaves room for one pod more, for three seconds.
func (w *world) quota() bool {
	ctx, api := context.Background(), w.client.CoreV1().ResourceQuotas(w.ns)
	_, err := api.Create(ctx, &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "tight"},
		Spec:       corev1.ResourceQuotaSpec{Hard: corev1.ResourceList{corev1.ResourcePods: resource.MustParse(fmt.Sprint(replicas + 2))}}, // and the neighbour's
	}, metav1.CreateOptions{})
	w.later(3*time.Second, func() { _ = api.Delete(ctx, "tight", metav1.DeleteOptions{}) })
	return err == nil
}

// freeze stops every controller for two seconds.
func (w *world) freeze() bool {
	if !freezing.TryLock() {
		return false
	}
	err := plane.Freeze(controlplane.ControllerManager)
	w.later(2*time.Second, func() {
		defer freezing.Unlock()
		if err := plane.Thaw(controlplane.ControllerManager); err != nil {
			w.t.Error(err)
		}
	})
	return err == nil
}

// fail makes pods lose their readiness, for good or for five seconds.
func (w *world) fail(e fault.Event) bool {
	revision := newer
	if e.Form > 1 {
		revision = old
	}
	pods := w.pods(revision)
	if len(pods) > 0 && e.Form%2 == 0 {
		pods = pods[:1]
	}
	if !w.annotate(pods, controlplane.Never) {
		return false
	}
	if e.Fault == fault.PodsFlap {
		w.later(5*time.Second, func() { w.annotate(pods, "") })
	}
	return true
}

// second deploys the same release, or a newer one, at the same time.
func (w *world) second(e fault.Event) bool {
	version, name, gate := "2", release, w.gate
	if e.Form == 2 {
		version, name, gate = "3", "release-3", nil
	}
	w.later(0, func() {
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		_ = deploy(ctx, runner(w.open()), w, version, name, way(w.mode, gate)) // what came of it is seen at the end
	})
	return true
}

// orphan makes a pod nobody's, which keeps its traffic, for five seconds.
func (w *world) orphan() bool {
	pods := w.pods(old)
	if len(pods) == 0 || w.patch("pods", pods[0], `{"metadata":{"labels":{"version":"lost"}}}`) != nil {
		return false
	}
	w.later(5*time.Second, func() {
		_ = w.client.CoreV1().Pods(w.ns).Delete(context.Background(), pods[0], metav1.DeleteOptions{})
	})
	return true
}

// person edits something.
func (w *world) person(form int) bool {
	switch form {
	case 0: // scales what serves down by one
		return w.patch("replicasets", old, fmt.Sprintf(`{"spec":{"replicas":%d}}`, replicas-1)) == nil
	case 1: // labels a pod otherwise
		return w.orphan()
	case 2: // edits the template
		return w.patch("replicasets", old, `{"spec":{"template":{"metadata":{"annotations":{"edited-by":"a person"}}}}}`) == nil
	case 4: // deletes the newest
		background := metav1.DeletePropagationBackground
		return w.client.AppsV1().ReplicaSets(w.ns).Delete(context.Background(), newer, metav1.DeleteOptions{PropagationPolicy: &background}) == nil
	}
	return false
}
