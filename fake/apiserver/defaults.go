// What the apiserver fills in: as much of it as a deployer of apps sends or
// reads.

package apiserver

import (
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/intstr"
)

// fill sets what p points to, unless it is set.
func fill[T comparable](p *T, value T) {
	var unset T
	if *p == unset {
		*p = value
	}
}

// fillIn makes p point to value, unless it points to something.
func fillIn[T any](p **T, value T) {
	if *p == nil {
		*p = &value
	}
}

func defaultReplicaSet(rs *appsv1.ReplicaSet) {
	fillIn(&rs.Spec.Replicas, 1)
	defaultPodSpec(&rs.Spec.Template.Spec)
}

func defaultDeployment(d *appsv1.Deployment) {
	fillIn(&d.Spec.Replicas, 1)
	fillIn(&d.Spec.RevisionHistoryLimit, 10)
	fillIn(&d.Spec.ProgressDeadlineSeconds, 600)
	strategy := &d.Spec.Strategy
	fill(&strategy.Type, appsv1.RollingUpdateDeploymentStrategyType)
	if strategy.Type == appsv1.RollingUpdateDeploymentStrategyType {
		quarter := intstr.FromString("25%")
		fillIn(&strategy.RollingUpdate, appsv1.RollingUpdateDeployment{})
		fillIn(&strategy.RollingUpdate.MaxSurge, quarter)
		fillIn(&strategy.RollingUpdate.MaxUnavailable, quarter)
	}
	defaultPodSpec(&d.Spec.Template.Spec)
}

func defaultPod(pod *corev1.Pod) {
	defaultPodSpec(&pod.Spec)
	fillIn(&pod.Spec.EnableServiceLinks, true)
	if ip, all := pod.Status.PodIP, pod.Status.PodIPs; ip != "" && (len(all) == 0 || all[0].IP != ip) {
		pod.Status.PodIPs = []corev1.PodIP{{IP: ip}}
	}
}

func defaultPodSpec(spec *corev1.PodSpec) {
	fill(&spec.DNSPolicy, corev1.DNSClusterFirst)
	fill(&spec.RestartPolicy, corev1.RestartPolicyAlways)
	fill(&spec.SchedulerName, corev1.DefaultSchedulerName)
	fillIn(&spec.SecurityContext, corev1.PodSecurityContext{})
	fillIn(&spec.TerminationGracePeriodSeconds, corev1.DefaultTerminationGracePeriodSeconds)
	for i := range spec.Containers {
		defaultContainer(&spec.Containers[i])
	}
}

func defaultContainer(c *corev1.Container) {
	fill(&c.TerminationMessagePath, corev1.TerminationMessagePathDefault)
	fill(&c.TerminationMessagePolicy, corev1.TerminationMessageReadFile)
	if moving(c.Image) {
		fill(&c.ImagePullPolicy, corev1.PullAlways)
	}
	fill(&c.ImagePullPolicy, corev1.PullIfNotPresent)
	for i := range c.Ports {
		fill(&c.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

// moving reports whether an image is the latest of its name, said or not.
func moving(image string) bool {
	name, _, pinned := strings.Cut(image[strings.LastIndex(image, "/")+1:], "@")
	_, tag, tagged := strings.Cut(name, ":")
	return tag == "latest" || !tagged && !pinned && image != ""
}

// admitPod adds what admission does to a pod.
func admitPod(pod *corev1.Pod) {
	fillIn(&pod.Spec.Priority, 0)
	fillIn(&pod.Spec.PreemptionPolicy, corev1.PreemptLowerPriority)
	tolerate(pod)
}

// tolerate adds what every pod tolerates for a while, when it is made and
// whenever it is changed.
func tolerate(pod *corev1.Pod) {
	for _, key := range []string{corev1.TaintNodeNotReady, corev1.TaintNodeUnreachable} {
		if slices.ContainsFunc(pod.Spec.Tolerations, func(t corev1.Toleration) bool {
			return (t.Key == key || t.Key == "") && (t.Effect == corev1.TaintEffectNoExecute || t.Effect == "")
		}) {
			continue
		}
		seconds := int64(300)
		pod.Spec.Tolerations = append(pod.Spec.Tolerations, corev1.Toleration{
			Key: key, Operator: corev1.TolerationOpExists, Effect: corev1.TaintEffectNoExecute, TolerationSeconds: &seconds,
		})
	}
}

// reportPod is what a write to a pod's status cannot change.
func reportPod(next, before *corev1.Pod) {
	next.Spec, next.OwnerReferences = before.Spec, before.OwnerReferences
	next.DeletionTimestamp = nil
	fill(&next.Status.QOSClass, before.Status.QOSClass)
}

func defaultService(s *corev1.Service) {
	fill(&s.Spec.Type, corev1.ServiceTypeClusterIP)
	fill(&s.Spec.SessionAffinity, corev1.ServiceAffinityNone)
	if s.Spec.SessionAffinity == corev1.ServiceAffinityClientIP {
		fillIn(&s.Spec.SessionAffinityConfig, corev1.SessionAffinityConfig{})
		fillIn(&s.Spec.SessionAffinityConfig.ClientIP, corev1.ClientIPConfig{})
		fillIn(&s.Spec.SessionAffinityConfig.ClientIP.TimeoutSeconds, corev1.DefaultClientIPServiceAffinitySeconds)
	}
	if s.Spec.Type != corev1.ServiceTypeExternalName {
		fillIn(&s.Spec.InternalTrafficPolicy, corev1.ServiceInternalTrafficPolicyCluster)
	}
	for i := range s.Spec.Ports {
		port := &s.Spec.Ports[i]
		fill(&port.Protocol, corev1.ProtocolTCP)
		if port.TargetPort == intstr.FromInt32(0) || port.TargetPort == intstr.FromString("") {
			port.TargetPort = intstr.FromInt32(port.Port)
		}
	}
}

// address gives a Service its address, in the order of creation.
func (s *Server) address(service *corev1.Service) {
	spec := &service.Spec
	if spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if spec.ClusterIP == "" {
		n := s.store.made + 1
		spec.ClusterIP = fmt.Sprintf("10.0.%d.%d", n>>8&255, n&255)
	}
	spec.ClusterIPs = []string{spec.ClusterIP}
	if spec.ClusterIP == corev1.ClusterIPNone && len(spec.Selector) == 0 { // whoever fills it by hand may use both
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol, corev1.IPv6Protocol}
		fillIn(&spec.IPFamilyPolicy, corev1.IPFamilyPolicyRequireDualStack)
	}
	if len(spec.IPFamilies) == 0 {
		spec.IPFamilies = []corev1.IPFamily{corev1.IPv4Protocol}
	}
	fillIn(&spec.IPFamilyPolicy, corev1.IPFamilyPolicySingleStack)
}

// keepAddress puts back what a client has left out of a Service.
func keepAddress(next, before *corev1.Service) {
	if next.Spec.Type == corev1.ServiceTypeExternalName || before.Spec.Type == corev1.ServiceTypeExternalName {
		return
	}
	if next.Spec.ClusterIP == "" {
		next.Spec.ClusterIP, next.Spec.ClusterIPs = before.Spec.ClusterIP, before.Spec.ClusterIPs
	}
	if len(next.Spec.ClusterIPs) == 0 {
		next.Spec.ClusterIPs = []string{next.Spec.ClusterIP}
	}
	if next.Spec.IPFamilies == nil {
		next.Spec.IPFamilies = before.Spec.IPFamilies
	}
	if next.Spec.IPFamilyPolicy == nil {
		next.Spec.IPFamilyPolicy = before.Spec.IPFamilyPolicy
	}
}

func defaultSlice(s *discoveryv1.EndpointSlice) {
	if len(s.Endpoints) == 0 {
		s.Endpoints = nil
	}
	for i := range s.Ports {
		fillIn(&s.Ports[i].Name, "")
		fillIn(&s.Ports[i].Protocol, corev1.ProtocolTCP)
	}
}

// same reports whether two objects hold the same, whatever is empty or missing.
func same(a, b any) bool { return equality.Semantic.DeepEqual(a, b) }

// seconds is a time as the store keeps it.
func (s *Server) now() metav1.Time { return metav1.NewTime(s.clock().UTC()).Rfc3339Copy() }
