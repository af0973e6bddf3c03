// Controllers that stand still while traffic is about to move.

package faulted_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// ready are the ready pods of a revision.
func (w *world) ready(revision string) int {
	w.t.Helper()
	list, err := w.client.CoreV1().Pods(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: kube.RevisionLabel + "=" + revision})
	require.NoError(w.t, err)
	n := 0
	for i := range list.Items {
		if podReady(&list.Items[i]) {
			n++
		}
	}
	return n
}

// switched reports whether the Service selects the new revision.
func (w *world) switched() bool {
	s, err := w.client.CoreV1().Services(w.ns).Get(w.t.Context(), app, metav1.GetOptions{})
	return err == nil && s.Spec.Selector[kube.RevisionLabel] == newer
}

// The controllers do not know yet that the new pods are ready, when the new
// pods already say so. If the Service is switched then, they may see the switch
// first: for a moment it has no endpoint at all.
func TestBugASwitchOvertakesTheReadinessOfPods(t *testing.T) {
	var worlds []*world
	for range 4 {
		w := newWorld(t, kube.Selector)
		w.record()
		worlds = append(worlds, w)
	}
	freezing.Lock()
	defer freezing.Unlock()
	defer func() { require.NoError(t, plane.Thaw(controlplane.ControllerManager)) }()
	var runs sync.WaitGroup
	for _, w := range worlds {
		runs.Add(1)
		go func() {
			defer runs.Done()
			target, err := target("2", release, kube.Selector)
			if err == nil {
				target.Template = bytes.Replace(target.Template, []byte(`"labels":{"app"`), []byte(`"annotations":{"cutover.test/ready":"slow","cutover.test/ready-after":"1500ms"},"labels":{"app"`), 1)
				_, err = runner(w.open()).Run(t.Context(), app, target, way(w.mode, nil))
			}
			if err != nil {
				t.Errorf("namespace %s: %v", w.ns, err)
			}
		}()
	}
	for _, w := range worlds {
		w.eventually("the new pods are there", func() bool { return len(w.pods(newer)) == replicas })
	}
	require.NoError(t, plane.Freeze(controlplane.ControllerManager))
	for _, w := range worlds {
		w.eventually("the new pods are ready", func() bool { return w.ready(newer) == replicas })
	}
	for _, w := range worlds {
		require.False(t, w.within(time.Second, w.switched), "nobody who watches Services and pods need know of the new ones")
	}
	require.NoError(t, plane.Thaw(controlplane.ControllerManager))
	runs.Wait()
	for _, w := range worlds {
		require.Empty(t, judgeLog(w.recorded(), w.events.begin, replicas, true))
	}
}
