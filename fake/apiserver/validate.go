// What the apiserver refuses: as much of it as a deployer of apps can send.

package apiserver

import (
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/apimachinery/pkg/util/intstr"
	utilvalidation "k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// checkMeta is about what all new objects have in common.
func (k *kind) checkMeta(o object) field.ErrorList {
	errs := validation.ValidateObjectMetaAccessor(o, !k.global, k.naming, field.NewPath("metadata"))
	return append(errs, checkFinalizers(o)...)
}

// checkFinalizers is about those without a slash, which are the server's own.
func checkFinalizers(o object) field.ErrorList {
	var errs field.ErrorList
	for i, name := range o.GetFinalizers() {
		switch name {
		case metav1.FinalizerOrphanDependents, metav1.FinalizerDeleteDependents, string(corev1.FinalizerKubernetes):
			continue
		}
		if !strings.Contains(name, "/") && len(utilvalidation.IsQualifiedName(name)) == 0 {
			at := field.NewPath("metadata", "finalizers").Index(i)
			errs = append(errs, field.Invalid(at, name, "name is neither a standard finalizer name nor is it fully qualified"))
		}
	}
	return errs
}

// checkSegment is about names that would be two parts of a path.
func checkSegment(o object) field.ErrorList {
	var errs field.ErrorList
	for _, bad := range []string{"/", "%"} {
		if strings.Contains(o.GetName(), bad) {
			errs = append(errs, field.Invalid(field.NewPath("metadata", "name"), o.GetName(), "may not contain '"+bad+"'"))
		}
	}
	return errs
}

func checkReplicaSet(rs *appsv1.ReplicaSet) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validation.ValidateNonnegativeField(int64(*rs.Spec.Replicas), spec.Child("replicas"))
	errs = append(errs, validation.ValidateNonnegativeField(int64(rs.Spec.MinReadySeconds), spec.Child("minReadySeconds"))...)
	return append(errs, checkSelector(rs.Spec.Selector, &rs.Spec.Template, spec)...)
}

func checkReplicaSetStatus(rs *appsv1.ReplicaSet) field.ErrorList {
	path, status := field.NewPath("status"), rs.Status
	var errs field.ErrorList
	for _, f := range []struct {
		name  string
		value int64
	}{
		{"replicas", int64(status.Replicas)}, {"fullyLabeledReplicas", int64(status.FullyLabeledReplicas)},
		{"readyReplicas", int64(status.ReadyReplicas)}, {"availableReplicas", int64(status.AvailableReplicas)},
		{"observedGeneration", status.ObservedGeneration},
	} {
		errs = append(errs, validation.ValidateNonnegativeField(f.value, path.Child(f.name))...)
	}
	atMost := func(name string, value, most int32, what string) {
		if value > most {
			errs = append(errs, field.Invalid(path.Child(name), value, "cannot be greater than "+what))
		}
	}
	atMost("fullyLabeledReplicas", status.FullyLabeledReplicas, status.Replicas, "status.replicas")
	atMost("readyReplicas", status.ReadyReplicas, status.Replicas, "status.replicas")
	atMost("availableReplicas", status.AvailableReplicas, status.Replicas, "status.replicas")
	atMost("availableReplicas", status.AvailableReplicas, status.ReadyReplicas, "readyReplicas")
	return errs
}

func checkDeployment(d *appsv1.Deployment) field.ErrorList {
	spec := field.NewPath("spec")
	errs := validation.ValidateNonnegativeField(int64(*d.Spec.Replicas), spec.Child("replicas"))
	errs = append(errs, checkSelector(d.Spec.Selector, &d.Spec.Template, spec)...)
	errs = append(errs, validation.ValidateNonnegativeField(int64(d.Spec.MinReadySeconds), spec.Child("minReadySeconds"))...)
	errs = append(errs, validation.ValidateNonnegativeField(int64(*d.Spec.RevisionHistoryLimit), spec.Child("revisionHistoryLimit"))...)
	deadline := spec.Child("progressDeadlineSeconds")
	errs = append(errs, validation.ValidateNonnegativeField(int64(*d.Spec.ProgressDeadlineSeconds), deadline)...)
	if *d.Spec.ProgressDeadlineSeconds <= d.Spec.MinReadySeconds {
		errs = append(errs, field.Invalid(deadline, *d.Spec.ProgressDeadlineSeconds, "must be greater than minReadySeconds"))
	}
	return errs
}

// checkSelector is about a selector, and whether the template's pods answer it.
func checkSelector(selector *metav1.LabelSelector, template *corev1.PodTemplateSpec, spec *field.Path) field.ErrorList {
	var errs field.ErrorList
	path := spec.Child("selector")
	if selector == nil {
		errs = append(errs, field.Required(path, ""))
	} else {
		errs = metavalidation.ValidateLabelSelector(selector, metavalidation.LabelSelectorValidationOptions{}, path)
		if len(selector.MatchLabels)+len(selector.MatchExpressions) == 0 {
			errs = append(errs, field.Invalid(path, selector, "empty selector is invalid for deployment"))
		}
	}
	wanted, err := metav1.LabelSelectorAsSelector(selector)
	if err != nil {
		return append(errs, field.Invalid(path, selector, "invalid label selector"))
	}
	at := spec.Child("template")
	if !wanted.Empty() && !wanted.Matches(labels.Set(template.Labels)) {
		errs = append(errs, field.Invalid(at.Child("metadata", "labels"), template.Labels, "`selector` does not match template `labels`"))
	}
	errs = append(errs, checkTemplate(template, at)...)
	if template.Spec.RestartPolicy != corev1.RestartPolicyAlways {
		errs = append(errs, field.NotSupported(at.Child("spec", "restartPolicy"), template.Spec.RestartPolicy, []corev1.RestartPolicy{corev1.RestartPolicyAlways}))
	}
	return errs
}

func checkTemplate(template *corev1.PodTemplateSpec, at *field.Path) field.ErrorList {
	errs := metavalidation.ValidateLabels(template.Labels, at.Child("labels"))
	errs = append(errs, validation.ValidateAnnotations(template.Annotations, at.Child("annotations"))...)
	return append(errs, checkPodSpec(&template.Spec, at.Child("spec"))...)
}

func checkPod(pod *corev1.Pod) field.ErrorList { return checkPodSpec(&pod.Spec, field.NewPath("spec")) }

func checkPodSpec(spec *corev1.PodSpec, at *field.Path) field.ErrorList {
	var errs field.ErrorList
	containers := at.Child("containers")
	if len(spec.Containers) == 0 {
		errs = append(errs, field.Required(containers, ""))
	}
	names := map[string]bool{}
	for i, c := range spec.Containers {
		path := containers.Index(i)
		switch name := path.Child("name"); {
		case c.Name == "":
			errs = append(errs, field.Required(name, ""))
		case names[c.Name]:
			errs = append(errs, field.Duplicate(name, c.Name))
		default:
			for _, problem := range utilvalidation.IsDNS1123Label(c.Name) {
				errs = append(errs, field.Invalid(name, c.Name, problem))
			}
		}
		names[c.Name] = true
		if c.Image == "" {
			errs = append(errs, field.Required(path.Child("image"), ""))
		} else if strings.TrimSpace(c.Image) != c.Image {
			errs = append(errs, field.Invalid(path.Child("image"), c.Image, "must not have leading or trailing whitespace"))
		}
	}
	switch spec.RestartPolicy {
	case corev1.RestartPolicyAlways, corev1.RestartPolicyNever, corev1.RestartPolicyOnFailure:
	default:
		errs = append(errs, field.NotSupported(at.Child("restartPolicy"), spec.RestartPolicy,
			[]corev1.RestartPolicy{corev1.RestartPolicyAlways, corev1.RestartPolicyOnFailure, corev1.RestartPolicyNever}))
	}
	return errs
}

// checkPodChange is about what of a living pod may change: little more than its
// images.
func checkPodChange(next, before *corev1.Pod) field.ErrorList {
	spec := field.NewPath("spec")
	if len(next.Spec.Containers) != len(before.Spec.Containers) {
		return field.ErrorList{field.Forbidden(spec.Child("containers"), "pod updates may not add or remove containers")}
	}
	allowed := next.Spec.DeepCopy()
	for i := range allowed.Containers {
		allowed.Containers[i].Image = before.Spec.Containers[i].Image
	}
	if !same(*allowed, before.Spec) {
		return field.ErrorList{field.Forbidden(spec, "pod updates may not change fields other than `spec.containers[*].image`,"+
			"`spec.initContainers[*].image`,`spec.activeDeadlineSeconds`,`spec.tolerations` (only additions to existing tolerations),"+
			"`spec.terminationGracePeriodSeconds` (allow it to be set to 1 if it was previously negative)")}
	}
	return nil
}

func checkService(s *corev1.Service) field.ErrorList {
	spec := field.NewPath("spec")
	var errs field.ErrorList
	if len(s.Spec.Ports) == 0 && s.Spec.ClusterIP != corev1.ClusterIPNone && s.Spec.Type != corev1.ServiceTypeExternalName {
		errs = append(errs, field.Required(spec.Child("ports"), ""))
	}
	names := map[string]bool{}
	for i, port := range s.Spec.Ports {
		path := spec.Child("ports").Index(i)
		switch {
		case port.Name == "" && len(s.Spec.Ports) > 1:
			errs = append(errs, field.Required(path.Child("name"), ""))
		case port.Name != "" && names[port.Name]:
			errs = append(errs, field.Duplicate(path.Child("name"), port.Name))
		}
		names[port.Name] = true
		for _, problem := range utilvalidation.IsValidPortNum(int(port.Port)) {
			errs = append(errs, field.Invalid(path.Child("port"), port.Port, problem))
		}
		if port.TargetPort.Type == intstr.Int {
			for _, problem := range utilvalidation.IsValidPortNum(port.TargetPort.IntValue()) {
				errs = append(errs, field.Invalid(path.Child("targetPort"), port.TargetPort.IntVal, problem))
			}
		}
	}
	errs = append(errs, metavalidation.ValidateLabels(s.Spec.Selector, spec.Child("selector"))...)
	switch s.Spec.SessionAffinity {
	case corev1.ServiceAffinityNone, corev1.ServiceAffinityClientIP:
	default:
		errs = append(errs, field.NotSupported(spec.Child("sessionAffinity"), s.Spec.SessionAffinity,
			[]corev1.ServiceAffinity{corev1.ServiceAffinityClientIP, corev1.ServiceAffinityNone}))
	}
	return errs
}

func checkServiceChange(next, before *corev1.Service) field.ErrorList {
	if next.Spec.Type == corev1.ServiceTypeExternalName || next.Spec.ClusterIP == before.Spec.ClusterIP {
		return nil
	}
	return field.ErrorList{field.Invalid(field.NewPath("spec", "clusterIPs").Index(0), []string{next.Spec.ClusterIP}, "may not change once set")}
}

func checkSlice(s *discoveryv1.EndpointSlice) field.ErrorList {
	path := field.NewPath("addressType")
	supported := []discoveryv1.AddressType{discoveryv1.AddressTypeFQDN, discoveryv1.AddressTypeIPv4, discoveryv1.AddressTypeIPv6}
	var errs field.ErrorList
	switch {
	case s.AddressType == "":
		errs = append(errs, field.Required(path, ""))
	case !slices.Contains(supported, s.AddressType):
		errs = append(errs, field.NotSupported(path, s.AddressType, supported))
	}
	for i, e := range s.Endpoints {
		if at := field.NewPath("endpoints").Index(i).Child("addresses"); len(e.Addresses) == 0 {
			errs = append(errs, field.Required(at, "must contain at least 1 address"))
		}
	}
	return errs
}
