// The controller of EndpointSlices: which pods a Service brings requests to.

package apiserver

import (
	"slices"

	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/types"
)

// mostEndpoints is how many a slice holds.
const mostEndpoints = 100

const sliceController = "endpointslice-controller.k8s.io"

// StepEndpointSlices lets the controller look at every Service once. A Service
// without a selector keeps the slices that it has.
func (s *Server) StepEndpointSlices() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, service := range all[*corev1.Service](s, "Service", "") {
		if len(service.Spec.Selector) > 0 && service.DeletionTimestamp == nil {
			s.stepSlices(service)
		}
	}
}

// stepSlices changes as few slices as it can: who stays, stays where it is.
func (s *Server) stepSlices(service *corev1.Service) {
	wanted := s.endpoints(service)
	var room []*discoveryv1.EndpointSlice // as they are to be
	for _, slice := range all[*discoveryv1.EndpointSlice](s, "EndpointSlice", service.Namespace) {
		if slice.Labels[discoveryv1.LabelServiceName] != service.Name || slice.Labels[discoveryv1.LabelManagedBy] != sliceController {
			continue
		}
		next := slice.DeepCopy()
		next.Ports = portsOf(service)
		next.Endpoints = nil
		for _, old := range slice.Endpoints {
			if i := slices.IndexFunc(wanted, func(e discoveryv1.Endpoint) bool { return target(e) == target(old) }); i >= 0 {
				next.Endpoints = append(next.Endpoints, wanted[i])
				wanted = slices.Delete(wanted, i, i+1)
			}
		}
		room = append(room, next)
	}
	for _, e := range wanted {
		i := slices.IndexFunc(room, func(slice *discoveryv1.EndpointSlice) bool { return len(slice.Endpoints) < mostEndpoints })
		if i < 0 {
			room, i = append(room, s.newSlice(service)), len(room)
		}
		room[i].Endpoints = append(room[i].Endpoints, e)
	}
	if len(room) == 0 {
		room = append(room, s.newSlice(service))
	}
	s.writeSlices(room)
}

// writeSlices makes, changes and deletes; of empty ones the last is left.
func (s *Server) writeSlices(room []*discoveryv1.EndpointSlice) {
	full := slices.ContainsFunc(room, func(slice *discoveryv1.EndpointSlice) bool { return len(slice.Endpoints) > 0 })
	for i, next := range room {
		switch {
		case next.UID == "":
			s.make("EndpointSlice", next)
		case len(next.Endpoints) == 0 && (full || i > 0):
			s.drop("EndpointSlice", next, metav1.DeletePropagationBackground)
		default:
			change(s, "EndpointSlice", next, "", func(now *discoveryv1.EndpointSlice) { now.Endpoints, now.Ports = next.Endpoints, next.Ports })
		}
	}
}

func (s *Server) newSlice(service *corev1.Service) *discoveryv1.EndpointSlice {
	return &discoveryv1.EndpointSlice{
		ObjectMeta: metav1.ObjectMeta{
			GenerateName: service.Name + "-", Namespace: service.Namespace,
			Labels:          map[string]string{discoveryv1.LabelServiceName: service.Name, discoveryv1.LabelManagedBy: sliceController},
			OwnerReferences: []metav1.OwnerReference{ownedBy(s.kindOf("Service"), service)},
		},
		AddressType: discoveryv1.AddressTypeIPv4,
		Ports:       portsOf(service),
	}
}

// target is whose an endpoint is.
func target(e discoveryv1.Endpoint) types.UID {
	if e.TargetRef == nil {
		return ""
	}
	return e.TargetRef.UID
}

// endpoints returns those of a Service's pods, in the order of the pods.
func (s *Server) endpoints(service *corev1.Service) []discoveryv1.Endpoint {
	var found []discoveryv1.Endpoint
	selector := labels.SelectorFromSet(service.Spec.Selector)
	for _, pod := range all[*corev1.Pod](s, "Pod", service.Namespace) {
		ended := pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
		if pod.Status.PodIP == "" || ended || !selector.Matches(labels.Set(pod.Labels)) {
			continue
		}
		found = append(found, endpoint(pod, service.Spec.PublishNotReadyAddresses))
	}
	return found
}

func endpoint(pod *corev1.Pod, anyway bool) discoveryv1.Endpoint {
	_, serving := readySince(pod)
	terminating := pod.DeletionTimestamp != nil
	ready := anyway || serving && !terminating
	node := pod.Spec.NodeName
	return discoveryv1.Endpoint{
		Addresses:  []string{pod.Status.PodIP},
		Conditions: discoveryv1.EndpointConditions{Ready: &ready, Serving: &serving, Terminating: &terminating},
		NodeName:   &node,
		TargetRef:  &corev1.ObjectReference{Kind: "Pod", Namespace: pod.Namespace, Name: pod.Name, UID: pod.UID},
	}
}

// portsOf are a Service's, as its slices have them; one with a name is left out,
// for it is looked for on each pod.
func portsOf(service *corev1.Service) []discoveryv1.EndpointPort {
	var ports []discoveryv1.EndpointPort
	for _, p := range service.Spec.Ports {
		if n := p.TargetPort.IntVal; n > 0 {
			ports = append(ports, discoveryv1.EndpointPort{Name: &p.Name, Port: &n, Protocol: &p.Protocol})
		}
	}
	return ports
}
