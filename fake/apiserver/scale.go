// What /scale shows of a workload, and what it writes of it.

package apiserver

import (
	"net/http"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// scaleGVK is what /scale shows.
var scaleGVK = autoscalingv1.SchemeGroupVersion.WithKind("Scale")

func (s *Server) serveScale(method string, req *request) answer {
	how := types.PatchType(req.contentType)
	switch method {
	case http.MethodGet:
		o, err := s.found(req)
		if err != nil {
			return bad(err)
		}
		return good(http.StatusOK, encode(scaleOf(o)))
	case http.MethodPut:
		return s.putScale(req)
	case http.MethodPatch:
		if how != types.JSONPatchType && how != types.MergePatchType {
			return bad(unknownPatch())
		}
		if err := patchOptions(req, how); err != nil {
			return bad(err)
		}
		return s.rescale(req, func(now *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
			next := &autoscalingv1.Scale{}
			return next, s.patched(req, how, scaleGVK, encode(now), next)
		})
	}
	return bad(notAllowed(req.kind.resource(), method))
}

// putScale replaces what /scale shows.
func (s *Server) putScale(req *request) answer {
	next := &autoscalingv1.Scale{}
	err := updateOptions(req)
	if err == nil {
		err = s.decode(req, scaleGVK, next)
	}
	if err == nil {
		err = req.identifies(next)
	}
	if err != nil {
		return bad(err)
	}
	return s.rescale(req, func(now *autoscalingv1.Scale) (*autoscalingv1.Scale, error) {
		if next.UID != "" && next.UID != now.UID {
			return nil, wrongUID(req, string(next.UID), string(now.UID))
		}
		return next, nil
	})
}

// rescale writes the replicas of what is scaled.
func (s *Server) rescale(req *request, do func(*autoscalingv1.Scale) (*autoscalingv1.Scale, error)) answer {
	o, err := s.update(req.kind, req.key(), "", req.dry(), func(now object) (object, error) {
		next, err := do(scaleOf(now))
		if err != nil {
			return nil, err
		}
		if err := req.identifies(next); err != nil {
			return nil, err
		}
		if errs := checkScale(next); len(errs) > 0 {
			return nil, apierrors.NewInvalid(scaleGVK.GroupKind(), next.Name, errs)
		}
		if next.UID != "" && next.UID != now.GetUID() {
			return nil, wrongUID(req, string(next.UID), string(now.GetUID()))
		}
		now.SetResourceVersion(next.ResourceVersion)
		setReplicas(now, next.Spec.Replicas)
		return now, nil
	})
	if err != nil {
		return bad(err)
	}
	return good(http.StatusOK, encode(scaleOf(o)))
}

func checkScale(scale *autoscalingv1.Scale) field.ErrorList {
	if scale.Spec.Replicas < 0 {
		return field.ErrorList{field.Invalid(field.NewPath("spec", "replicas"), scale.Spec.Replicas, "must be greater than or equal to 0")}
	}
	return nil
}

func setReplicas(o object, n int32) {
	switch o := o.(type) {
	case *appsv1.ReplicaSet:
		o.Spec.Replicas = &n
	case *appsv1.Deployment:
		o.Spec.Replicas = &n
	}
}

// scaleOf shows an object as its scale.
func scaleOf(o object) *autoscalingv1.Scale {
	scale := &autoscalingv1.Scale{}
	scale.SetGroupVersionKind(scaleGVK)
	scale.Name, scale.Namespace, scale.UID = o.GetName(), o.GetNamespace(), o.GetUID()
	scale.ResourceVersion, scale.CreationTimestamp = o.GetResourceVersion(), o.GetCreationTimestamp()
	var selector *metav1.LabelSelector
	switch o := o.(type) {
	case *appsv1.ReplicaSet:
		scale.Spec.Replicas, scale.Status.Replicas, selector = *o.Spec.Replicas, o.Status.Replicas, o.Spec.Selector
	case *appsv1.Deployment:
		scale.Spec.Replicas, scale.Status.Replicas, selector = *o.Spec.Replicas, o.Status.Replicas, o.Spec.Selector
	}
	if wanted, err := metav1.LabelSelectorAsSelector(selector); err == nil {
		scale.Status.Selector = strings.TrimSpace(wanted.String())
	}
	return scale
}
