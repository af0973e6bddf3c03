// The scheduler and the kubelet: pods get a node, boot, become ready, and go.

package apiserver

import (
	"fmt"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// A Kubelet runs the pods of all nodes. The zero value makes a pod ready with
// the step that first sees it, and lets a deleted one go at once.
type Kubelet struct {
	Boot time.Duration // from a pod's start until it is ready
	Stop time.Duration // from its deletion until it is gone; its grace period, if that is shorter
}

// StepPods lets the kubelet look at every pod once: one without a node gets
// node-0 and is started; one that has booted gets ready; one that was deleted,
// and has stopped, is gone. A pod that has failed or succeeded stays as it is
// until it is deleted.
func (s *Server) StepPods(k Kubelet) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, pod := range all[*corev1.Pod](s, "Pod", "") {
		switch {
		case pod.DeletionTimestamp != nil:
			s.stop(pod, k)
		case living(pod):
			s.start(pod)
			s.ready(pod, k)
		}
	}
}

// start gives a pod a node and an address.
func (s *Server) start(pod *corev1.Pod) {
	if pod.Spec.NodeName == "" {
		s.bind(pod, "node-0")
	}
	if pod.Status.StartTime != nil {
		return
	}
	now := s.now()
	s.addresses++
	ip := fmt.Sprintf("10.128.%d.%d", s.addresses>>8&255, s.addresses&255)
	change(s, "Pod", pod, "status", func(pod *corev1.Pod) {
		pod.Status.Phase, pod.Status.StartTime = corev1.PodRunning, &now
		pod.Status.PodIP, pod.Status.PodIPs = ip, []corev1.PodIP{{IP: ip}}
		setCondition(pod, corev1.PodScheduled, true, now)
		setCondition(pod, corev1.PodInitialized, true, now)
		setCondition(pod, corev1.PodReady, false, now)
	})
}

// bind is what the scheduler alone may do: a pod's node cannot be changed. It
// does not count as a change of the spec.
func (s *Server) bind(pod *corev1.Pod, node string) {
	bound := pod.DeepCopy()
	bound.Spec.NodeName = node
	s.store.put(keyOf("Pod", pod), bound)
}

// ready makes a pod ready that has booted.
func (s *Server) ready(pod *corev1.Pod, k Kubelet) {
	now, ok := s.store.get(keyOf("Pod", pod)).(*corev1.Pod)
	if !ok || now.Status.StartTime == nil || s.clock().Sub(now.Status.StartTime.Time) < k.Boot {
		return
	}
	if _, already := readySince(now); already {
		return
	}
	at := s.now()
	change(s, "Pod", pod, "status", func(pod *corev1.Pod) {
		setCondition(pod, corev1.PodReady, true, at)
		setCondition(pod, corev1.ContainersReady, true, at)
	})
}

// stop removes a deleted pod that has stopped.
func (s *Server) stop(pod *corev1.Pod, k Kubelet) {
	var grace time.Duration
	if seconds := pod.DeletionGracePeriodSeconds; seconds != nil {
		grace = time.Duration(*seconds) * time.Second
	}
	begun := pod.DeletionTimestamp.Add(-grace)
	if s.clock().Sub(begun) < min(k.Stop, grace) {
		return
	}
	zero, uid := int64(0), pod.UID
	_, _, err := s.remove(s.kindOf("Pod"), keyOf("Pod", pod), metav1.DeleteOptions{
		GracePeriodSeconds: &zero, Preconditions: &metav1.Preconditions{UID: &uid},
	})
	s.expect(err, "delete", "Pod", pod)
}
