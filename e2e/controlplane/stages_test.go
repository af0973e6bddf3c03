// Pods behave as their annotations say.

package controlplane

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
)

func TestSlowPods(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	createPod(t, client, ns, "slow", map[string]string{ReadyAnnotation: Slow})
	createPod(t, client, ns, "less-slow", map[string]string{ReadyAnnotation: Slow, ReadyAfterAnnotation: "1200ms"})
	createPod(t, client, ns, "fast", nil)
	ready := map[string]time.Duration{}
	for _, name := range []string{"fast", "less-slow", "slow"} {
		pod := awaitPod(t, client, ns, name, "ready", isReady)
		ready[name] = readySince(pod).Sub(pod.CreationTimestamp.Time)
		require.Equal(t, corev1.PodRunning, pod.Status.Phase)
	}
	t.Log("ready after:", ready)
	// Timestamps are whole seconds, so each difference may be one off.
	require.LessOrEqual(t, ready["fast"], 2*time.Second)
	require.GreaterOrEqual(t, ready["less-slow"], time.Second)
	require.GreaterOrEqual(t, ready["slow"], 2*time.Second)
	require.Greater(t, ready["slow"], ready["fast"])
}

func TestNeverReadyPods(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	createPod(t, client, ns, "pod", map[string]string{ReadyAnnotation: Never})
	pod := awaitPod(t, client, ns, "pod", "running", running)
	require.False(t, isReady(pod))
	require.NotEmpty(t, pod.Status.PodIP)
	require.True(t, hasCondition(pod, corev1.PodScheduled), "the scheduler's condition is kept: %v", pod.Status.Conditions)

	annotate(t, client, ns, "pod", ReadyAnnotation, nil)
	released := awaitPod(t, client, ns, "pod", "ready once released", isReady)
	require.Equal(t, pod.Status.PodIP, released.Status.PodIP)

	annotate(t, client, ns, "pod", ReadyAnnotation, Never)
	awaitPod(t, client, ns, "pod", "unready again", func(p corev1.Pod) bool { return !isReady(p) })
}

func TestCrashLoopingPods(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	createPod(t, client, ns, "born-bad", map[string]string{ReadyAnnotation: Crash})
	createPod(t, client, ns, "gone-bad", nil)
	awaitPod(t, client, ns, "gone-bad", "ready", isReady)
	annotate(t, client, ns, "gone-bad", ReadyAnnotation, Crash)
	for _, name := range []string{"born-bad", "gone-bad"} {
		pod := awaitPod(t, client, ns, name, "crashed twice", func(p corev1.Pod) bool {
			return len(p.Status.ContainerStatuses) == 1 && p.Status.ContainerStatuses[0].RestartCount >= 2
		})
		status := pod.Status.ContainerStatuses[0]
		require.Equal(t, corev1.PodRunning, pod.Status.Phase)
		require.False(t, isReady(pod))
		require.NotNil(t, status.State.Waiting)
		require.Nil(t, status.State.Running)
		require.Equal(t, "CrashLoopBackOff", status.State.Waiting.Reason)
		require.EqualValues(t, 1, status.LastTerminationState.Terminated.ExitCode)
	}
	annotate(t, client, ns, "born-bad", ReadyAnnotation, nil)
	pod := awaitPod(t, client, ns, "born-bad", "ready once released", isReady)
	require.GreaterOrEqual(t, pod.Status.ContainerStatuses[0].RestartCount, int32(2), "its past is not forgotten")
	require.Nil(t, pod.Status.ContainerStatuses[0].State.Waiting)
}

func TestTerminatingPods(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	pods := map[string]map[string]string{
		"fast":  nil,
		"slow":  {TerminateAnnotation: Slow, TerminateAfterAnnotation: "2s"},
		"never": {TerminateAnnotation: Never},
	}
	for name, annotations := range pods {
		createPod(t, client, ns, name, annotations)
	}
	begun := map[string]time.Time{}
	for name := range pods {
		awaitPod(t, client, ns, name, "ready", isReady)
		begun[name] = time.Now()
		require.NoError(t, client.CoreV1().Pods(ns).Delete(t.Context(), name, metav1.DeleteOptions{}))
	}
	awaitGone(t, client, ns, "fast")
	require.Less(t, time.Since(begun["fast"]), 2*time.Second)
	awaitGone(t, client, ns, "slow")
	took := time.Since(begun["slow"])
	t.Logf("the slow one was gone after %v", took)
	require.GreaterOrEqual(t, took, 1900*time.Millisecond)

	still := awaitPod(t, client, ns, "never", "terminating", func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
	require.True(t, isReady(still), "a Terminating pod keeps its condition, as under a kubelet")
	annotate(t, client, ns, "never", TerminateAnnotation, nil)
	awaitGone(t, client, ns, "never")
}

func TestJobsComplete(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	createJob(t, client, ns, "job")
	eventually(t, "1 success", func(ctx context.Context) (bool, any) {
		job, err := client.BatchV1().Jobs(ns).Get(ctx, "job", metav1.GetOptions{})
		return err == nil && job.Status.Succeeded == 1, job
	})
}

func TestOwnStages(t *testing.T) {
	all := Stages()
	// Ready only when a label says so: the label stands for what a test decides.
	own := strings.Replace(all["pod-ready"], "    matchExpressions:", "    matchLabels: {go: ahead}\n    matchExpressions:", 1)
	require.NotEqual(t, all["pod-ready"], own)
	plane := Start(t, Options{Stages: map[string]string{"pod-ready": own, "pod-delete-slow": ""}})
	ns, client := plane.Namespace(t), clientOf(t, plane.Config())
	createPod(t, client, ns, "pod", nil)
	pod := awaitPod(t, client, ns, "pod", "scheduled", func(p corev1.Pod) bool { return p.Spec.NodeName != "" })
	require.Equal(t, corev1.PodPending, pod.Status.Phase)
	patch(t, client, ns, "pod", `{"metadata":{"labels":{"go":"ahead"}}}`)
	awaitPod(t, client, ns, "pod", "ready", isReady)

	config := kwokConfig(plane.options.Stages)
	require.NotContains(t, config, "name: pod-delete-slow", "an empty Stage is dropped")
	require.Equal(t, len(all)-1, strings.Count(config, "\nkind: Stage\n"))
	for name, yaml := range all {
		require.Contains(t, yaml, "\n  name: "+name+"\n", "a Stage's file is named after it")
	}
}

func running(p corev1.Pod) bool { return p.Status.Phase == corev1.PodRunning }

func hasCondition(p corev1.Pod, kind corev1.PodConditionType) bool {
	for _, c := range p.Status.Conditions {
		if c.Type == kind {
			return true
		}
	}
	return false
}

func readySince(p corev1.Pod) time.Time {
	for _, c := range p.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.LastTransitionTime.Time
		}
	}
	return time.Time{}
}

func awaitPod(t *testing.T, client kubernetes.Interface, ns, name, what string, yes func(corev1.Pod) bool) corev1.Pod {
	t.Helper()
	var pod *corev1.Pod
	eventually(t, fmt.Sprintf("pod %s %s", name, what), func(ctx context.Context) (bool, any) {
		var err error
		pod, err = client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			return false, err
		}
		return yes(*pod), pod.Status
	})
	return *pod
}

func awaitGone(t *testing.T, client kubernetes.Interface, ns, name string) {
	t.Helper()
	eventually(t, fmt.Sprintf("pod %s gone", name), func(ctx context.Context) (bool, any) {
		pod, err := client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
		return apierrors.IsNotFound(err), pod
	})
}

// annotate sets an annotation, or takes it away if value is nil.
func annotate(t *testing.T, client kubernetes.Interface, ns, name, key string, value any) {
	t.Helper()
	raw, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}})
	require.NoError(t, err)
	patch(t, client, ns, name, string(raw))
}

func patch(t *testing.T, client kubernetes.Interface, ns, name, body string) {
	t.Helper()
	_, err := client.CoreV1().Pods(ns).Patch(t.Context(), name, types.MergePatchType, []byte(body), metav1.PatchOptions{})
	require.NoError(t, err)
}
