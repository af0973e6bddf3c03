// Pods and their endpoints, as the mirror writes them.

package lockstep_test

import (
	"context"
	"fmt"
	"strconv"
	"strings"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake"
)

// trafficLabel is the label that brings a pod traffic, where one does.
const trafficLabel = "load-balancer-web"

// A pod is what was written of one.
type pod struct {
	uid     types.UID
	enabled bool
	fence   string
	ready   bool
	leaving bool
	gone    bool
}

// podName is the real pod's name. Older pods come first in the order of names,
// in which kube writes them; the simulated cluster goes by age.
func podName(p fake.Pod) string { return fmt.Sprintf("%s-%06d", p.Revision, p.Serial) }

func (m *mirror) syncPods(pods []fake.Pod) {
	seen := map[string]bool{}
	for _, p := range pods {
		seen[podName(p)] = true
		m.syncPod(p)
	}
	for name, was := range m.pods {
		if !seen[name] && !was.gone {
			m.removePod(name, was)
		}
	}
}

func (m *mirror) syncPod(p fake.Pod) {
	name := podName(p)
	is := m.pods[name]
	if is == nil {
		is = &pod{gone: p.Gone, uid: types.UID("never-seen-" + name)}
		m.pods[name] = is
		if !p.Gone {
			m.createPod(p, is)
		}
	}
	switch {
	case is.gone:
		return
	case p.Gone:
		m.removePod(name, is)
		return
	}
	m.label(p, is)
	if p.Ready != is.ready {
		m.readiness(name, p.Ready)
		is.ready = p.Ready
	}
	if p.Leaving && !is.leaving {
		m.deletePod(name, 30)
		is.leaving = true
	}
}

// createPod makes a pod as its ReplicaSet's controller would: of the template
// that the simulated one went by.
func (m *mirror) createPod(p fake.Pod, is *pod) {
	set := m.sets[p.Owner]
	if set == nil {
		set = m.latest[p.Revision]
	}
	yes := true
	body := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: podName(p), Labels: m.podLabels(set, p.Enabled),
			OwnerReferences: []metav1.OwnerReference{{
				APIVersion: "apps/v1", Kind: "ReplicaSet", Name: set.name, UID: set.uid, Controller: &yes, BlockOwnerDeletion: &yes,
			}},
		},
		Spec: corev1.PodSpec{
			NodeName:   "node", // without one a pod that is deleted is gone at once
			Containers: []corev1.Container{{Name: "main", Image: "example/web:1"}},
		},
	}
	if p.Fence != "" {
		body.Annotations = map[string]string{kube.FenceAnnotation: p.Fence}
	}
	m.do("create pod "+body.Name, func(ctx context.Context) error {
		made, err := hand.CoreV1().Pods(m.ns).Create(ctx, body, metav1.CreateOptions{})
		if err == nil {
			is.uid, is.enabled, is.fence = made.UID, p.Enabled, p.Fence
		}
		return err
	})
}

func (m *mirror) podLabels(set *replicaSet, enabled bool) map[string]string {
	all := map[string]string{}
	for k, v := range set.born {
		all[k] = v
	}
	if m.labels {
		all[trafficLabel] = strconv.FormatBool(enabled)
	}
	return all
}

// label is what a person has done to a pod.
func (m *mirror) label(p fake.Pod, is *pod) {
	if !m.labels || p.Enabled == is.enabled {
		return
	}
	m.patchPod(podName(p), map[string]any{"metadata": map[string]any{"labels": map[string]any{trafficLabel: strconv.FormatBool(p.Enabled)}}})
	is.enabled = p.Enabled
}

func (m *mirror) readiness(name string, ready bool) {
	status := "False"
	if ready {
		status = "True"
	}
	m.patchPod(name, map[string]any{"status": map[string]any{
		"phase":      "Running",
		"conditions": []any{map[string]any{"type": "Ready", "status": status, "lastTransitionTime": epoch.Format("2006-01-02T15:04:05Z")}},
	}}, "status")
}

func (m *mirror) patchPod(name string, body any, subresources ...string) {
	m.do("patch pod "+name, func(ctx context.Context) error {
		_, err := hand.CoreV1().Pods(m.ns).Patch(ctx, name, types.MergePatchType, asJSON(body), metav1.PatchOptions{}, subresources...)
		return err
	})
}

// deletePod deletes a pod, which stays for so many seconds if nobody ends it.
func (m *mirror) deletePod(name string, grace int64) {
	m.do("delete pod "+name, func(ctx context.Context) error {
		err := hand.CoreV1().Pods(m.ns).Delete(ctx, name, metav1.DeleteOptions{GracePeriodSeconds: &grace})
		if grace == 0 && apierrors.IsNotFound(err) {
			return nil
		}
		return err
	})
}

func (m *mirror) removePod(name string, is *pod) {
	m.deletePod(name, 0)
	is.gone = true
}

// comparePod returns how a real pod is not as the simulated one, and takes what
// was written for known.
func (m *mirror) comparePod(p fake.Pod, found *corev1.Pod) []string {
	is := m.pods[found.Name]
	is.enabled, is.fence = p.Enabled, p.Fence
	var d differences
	if on := found.Labels[trafficLabel]; on != strconv.FormatBool(p.Enabled) {
		d.add("traffic label of pod "+found.Name, p.Enabled, on)
	}
	d.add("fence of pod "+found.Name, p.Fence, found.Annotations[kube.FenceAnnotation])
	return d
}

// syncSlices writes the endpoints of every route, as one slice each.
func (m *mirror) syncSlices(s cluster.State, pods []fake.Pod) {
	for _, r := range s.Routes {
		service := strings.TrimPrefix(r.Name, "service/")
		slice := m.slice(r, service, pods)
		text := string(asJSON(slice.Endpoints))
		was, written := m.slices[r.Name]
		if text == was {
			continue
		}
		m.do("write slice "+slice.Name, func(ctx context.Context) (err error) {
			if written {
				_, err = hand.DiscoveryV1().EndpointSlices(m.ns).Update(ctx, slice, metav1.UpdateOptions{})
			} else {
				_, err = hand.DiscoveryV1().EndpointSlices(m.ns).Create(ctx, slice, metav1.CreateOptions{})
			}
			return err
		})
		m.slices[r.Name] = text
	}
}

// slice is what the simulated endpoint controller has listed, and, not ready,
// what it would list beside it.
func (m *mirror) slice(r cluster.Route, service string, pods []fake.Pod) *discoveryv1.EndpointSlice {
	slice := &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			Name:   service + "-1",
			Labels: map[string]string{discoveryv1.LabelServiceName: service, discoveryv1.LabelManagedBy: "endpointslice-controller.k8s.io"},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
	}
	for _, p := range pods {
		listed := false
		for _, name := range p.Listed {
			listed = listed || name == r.Name
		}
		if listed || !p.Ready && !p.Gone && m.chosen(r, p) {
			slice.Endpoints = append(slice.Endpoints, m.endpoint(p, listed))
		}
	}
	return slice
}

func (m *mirror) chosen(r cluster.Route, p fake.Pod) bool {
	if m.labels {
		return p.Enabled
	}
	_, named := r.Weights[p.Revision]
	return named
}

func (m *mirror) endpoint(p fake.Pod, listed bool) discoveryv1.Endpoint {
	leaving := p.Leaving && !listed
	return discoveryv1.Endpoint{
		Addresses:  []string{fmt.Sprintf("10.1.%d.%d", p.Serial/250, 1+p.Serial%250)},
		Conditions: discoveryv1.EndpointConditions{Ready: &listed, Serving: &listed, Terminating: &leaving},
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: m.ns, Name: podName(p), UID: m.pods[podName(p)].uid},
	}
}
