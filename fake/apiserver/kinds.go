// The kinds of objects that are kept, and what is peculiar to each.

package apiserver

import (
	"net/http"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	authorizationv1 "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	policyv1 "k8s.io/api/policy/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/api/validation"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// A kind is one of objects. Its rules are given objects that they may change,
// but for those that are called before.
type kind struct {
	group, version, plural, name string
	global                       bool // in no namespace
	graceful                     bool // deleted in two steps, with time between them
	returned                     bool // a delete is answered with what was deleted
	scaled                       bool // has /scale
	puttable                     bool // a PUT makes one that is not there

	fresh    func() object
	naming   validation.ValidateNameFunc
	defaults func(object)
	born     func(*Server, object)                     // fills what a client cannot say when it makes one
	changed  func(next, before object)                 // puts back what a client cannot change, and counts the generation
	reported func(next, before object)                 // the same, for /status; nil: there is none
	check    func(object) field.ErrorList              // what is wrong with it, beside its metadata
	keeps    func(next, before object) field.ErrorList // what may not change
	sound    func(next object) field.ErrorList         // what is wrong with a status
}

func (k *kind) resource() schema.GroupResource {
	return schema.GroupResource{Group: k.group, Resource: k.plural}
}

func (k *kind) groupVersion() schema.GroupVersion {
	return schema.GroupVersion{Group: k.group, Version: k.version}
}

// newScheme returns the types that bodies are decoded into.
func newScheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		appsv1.AddToScheme, corev1.AddToScheme, discoveryv1.AddToScheme, authorizationv1.AddToScheme, autoscalingv1.AddToScheme,
		autoscalingv2.AddToScheme, coordinationv1.AddToScheme, policyv1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	metav1.AddToGroupVersion(scheme, schema.GroupVersion{Version: "v1"})
	return scheme
}

func newKinds() []*kind {
	return []*kind{replicaSetKind(), deploymentKind(), podKind(), serviceKind(), namespaceKind(), sliceKind(),
		autoscalerKind(), budgetKind(), leaseKind()}
}

// kindOf returns a kind by its name.
func (s *Server) kindOf(name string) *kind {
	for _, k := range s.kinds {
		if k.name == name {
			return k
		}
	}
	panic("apiserver: no kind is called " + name)
}

// on makes a rule for one type out of one for all objects.
func on[T object](rule func(T)) func(object) {
	return func(o object) { rule(o.(T)) }
}

func onBoth[T object](rule func(next, before T)) func(object, object) {
	return func(next, before object) { rule(next.(T), before.(T)) }
}

func checking[T object](rule func(T) field.ErrorList) func(object) field.ErrorList {
	return func(o object) field.ErrorList { return rule(o.(T)) }
}

func keeping[T object](rule func(next, before T) field.ErrorList) func(object, object) field.ErrorList {
	return func(next, before object) field.ErrorList { return rule(next.(T), before.(T)) }
}

func replicaSetKind() *kind {
	return &kind{
		group: "apps", version: "v1", plural: "replicasets", name: "ReplicaSet", scaled: true,
		fresh:    func() object { return &appsv1.ReplicaSet{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: on(defaultReplicaSet),
		born: func(_ *Server, o object) {
			o.(*appsv1.ReplicaSet).Status = appsv1.ReplicaSetStatus{}
			o.SetGeneration(1)
		},
		changed: onBoth(func(next, before *appsv1.ReplicaSet) {
			next.Status = before.Status
			if !equality.Semantic.DeepEqual(next.Spec, before.Spec) {
				next.Generation++
			}
		}),
		reported: onBoth(func(next, before *appsv1.ReplicaSet) { next.Spec = before.Spec }),
		check:    checking(checkReplicaSet),
		keeps: keeping(func(next, before *appsv1.ReplicaSet) field.ErrorList {
			return validation.ValidateImmutableField(next.Spec.Selector, before.Spec.Selector, field.NewPath("spec", "selector"))
		}),
		sound: checking(checkReplicaSetStatus),
	}
}

func deploymentKind() *kind {
	return &kind{
		group: "apps", version: "v1", plural: "deployments", name: "Deployment", scaled: true,
		fresh:    func() object { return &appsv1.Deployment{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: on(defaultDeployment),
		born: func(_ *Server, o object) {
			o.(*appsv1.Deployment).Status = appsv1.DeploymentStatus{}
			o.SetGeneration(1)
		},
		changed: onBoth(func(next, before *appsv1.Deployment) {
			next.Status = before.Status
			if !equality.Semantic.DeepEqual(next.Spec, before.Spec) || !equality.Semantic.DeepEqual(next.Annotations, before.Annotations) {
				next.Generation++
			}
		}),
		reported: onBoth(func(next, before *appsv1.Deployment) { next.Spec, next.Labels = before.Spec, before.Labels }),
		check:    checking(checkDeployment),
		keeps: keeping(func(next, before *appsv1.Deployment) field.ErrorList {
			return validation.ValidateImmutableField(next.Spec.Selector, before.Spec.Selector, field.NewPath("spec", "selector"))
		}),
	}
}

func podKind() *kind {
	return &kind{
		version: "v1", plural: "pods", name: "Pod", graceful: true, returned: true,
		fresh:    func() object { return &corev1.Pod{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: on(defaultPod),
		born: func(_ *Server, o object) {
			pod := o.(*corev1.Pod)
			pod.Status = corev1.PodStatus{Phase: corev1.PodPending, QOSClass: corev1.PodQOSBestEffort}
			pod.Generation = 1
			admitPod(pod)
		},
		changed: onBoth(func(next, before *corev1.Pod) {
			next.Status = before.Status
			tolerate(next)
			if next.Spec.Priority == nil {
				next.Spec.Priority = before.Spec.Priority
			}
			if next.Spec.PreemptionPolicy == nil {
				next.Spec.PreemptionPolicy = before.Spec.PreemptionPolicy
			}
			if !equality.Semantic.DeepEqual(next.Spec, before.Spec) {
				next.Generation++
			}
		}),
		reported: onBoth(reportPod),
		check:    checking(checkPod),
		keeps:    keeping(checkPodChange),
	}
}

func serviceKind() *kind {
	return &kind{
		version: "v1", plural: "services", name: "Service", returned: true, puttable: true,
		fresh:    func() object { return &corev1.Service{} },
		naming:   validation.NameIsDNSLabel,
		defaults: on(defaultService),
		born: func(s *Server, o object) {
			service := o.(*corev1.Service)
			service.Status = corev1.ServiceStatus{}
			s.address(service)
		},
		changed: onBoth(func(next, before *corev1.Service) {
			next.Status = before.Status
			keepAddress(next, before)
		}),
		reported: onBoth(func(next, before *corev1.Service) { next.Spec = before.Spec }),
		check:    checking(checkService),
		keeps:    keeping(checkServiceChange),
	}
}

func namespaceKind() *kind {
	label := func(ns *corev1.Namespace) {
		if ns.Labels == nil {
			ns.Labels = map[string]string{}
		}
		if ns.Name != "" {
			ns.Labels[corev1.LabelMetadataName] = ns.Name
		}
	}
	return &kind{
		version: "v1", plural: "namespaces", name: "Namespace", global: true, returned: true,
		fresh:    func() object { return &corev1.Namespace{} },
		naming:   validation.ValidateNamespaceName,
		defaults: on(label),
		born: func(_ *Server, o object) {
			ns := o.(*corev1.Namespace)
			ns.Status = corev1.NamespaceStatus{Phase: corev1.NamespaceActive}
			ns.Spec.Finalizers = []corev1.FinalizerName{corev1.FinalizerKubernetes}
			label(ns)
		},
		changed: onBoth(func(next, before *corev1.Namespace) {
			next.Status, next.Spec.Finalizers = before.Status, before.Spec.Finalizers
		}),
		reported: onBoth(func(next, before *corev1.Namespace) { next.Spec = before.Spec }),
	}
}

func sliceKind() *kind {
	return &kind{
		group: "discovery.k8s.io", version: "v1", plural: "endpointslices", name: "EndpointSlice",
		fresh:    func() object { return &discoveryv1.EndpointSlice{} },
		naming:   validation.NameIsDNSSubdomain,
		defaults: on(defaultSlice),
		born:     func(_ *Server, o object) { o.SetGeneration(1) },
		changed: onBoth(func(next, before *discoveryv1.EndpointSlice) {
			a, b := *next, *before
			a.ObjectMeta, b.ObjectMeta = metav1.ObjectMeta{}, metav1.ObjectMeta{}
			if !equality.Semantic.DeepEqual(a, b) || !equality.Semantic.DeepEqual(next.Labels, before.Labels) {
				next.Generation++
			}
		}),
		check: checking(checkSlice),
		keeps: keeping(func(next, before *discoveryv1.EndpointSlice) field.ErrorList {
			return validation.ValidateImmutableField(next.AddressType, before.AddressType, field.NewPath("addressType"))
		}),
	}
}

// A place is what the path of a request leads to.
type place struct {
	kind            *kind // nil: reviews
	namespace, name string
	subresource     string
	known           bool // its group is served
	served          bool // it is, too
}

// locate reads a path such as /apis/apps/v1/namespaces/shop/replicasets/web/status.
func (s *Server) locate(path string) place {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	var group, version string
	switch {
	case len(parts) > 3 && parts[0] == "apis":
		group, version, parts = parts[1], parts[2], parts[3:]
	case len(parts) > 2 && parts[0] == "api":
		version, parts = parts[1], parts[2:]
	default:
		return place{}
	}
	if group == authorizationv1.GroupName && version == "v1" && len(parts) == 1 && parts[0] == "selfsubjectaccessreviews" {
		return place{known: true, served: true}
	}
	var p place
	if parts[0] == "namespaces" && len(parts) > 2 && !subresources[parts[2]] {
		p.namespace, parts = parts[1], parts[2:]
	}
	for _, k := range s.kinds {
		if k.group == group && k.version == version && k.plural == parts[0] && k.global == (p.namespace == "") {
			p.kind = k
		} else if k.group == group && k.version == version && k.plural == parts[0] && !k.global && len(parts) == 1 {
			p.kind = k // a list across namespaces
		}
	}
	if p.kind == nil || len(parts) > 3 {
		known := slices.ContainsFunc(s.kinds, func(k *kind) bool { return k.group == group && k.version == version })
		return place{known: known}
	}
	if len(parts) > 1 {
		p.name = parts[1]
	}
	if len(parts) > 2 {
		p.subresource = parts[2]
	}
	p.known = true
	p.served = p.subresource == "" || p.subresource == "status" && p.kind.reported != nil || p.subresource == "scale" && p.kind.scaled
	return p
}

// subresources tells /namespaces/shop/status from a kind called status.
var subresources = map[string]bool{"status": true, "finalize": true}

// verb is what authorization calls a request.
func (p place) verb(r *http.Request) string {
	switch r.Method {
	case http.MethodGet:
		switch {
		case p.name != "":
			return "get"
		case watching(r.URL.Query()):
			return "watch"
		}
		return "list"
	case http.MethodPost:
		return "create"
	case http.MethodPut:
		return "update"
	}
	return strings.ToLower(r.Method)
}
