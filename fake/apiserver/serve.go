// The verbs on single objects.

package apiserver

import (
	"fmt"
	"net/http"
	"strings"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	metavalidation "k8s.io/apimachinery/pkg/apis/meta/v1/validation"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/validation/field"
)

// setUID names the object for good.
func setUID(o object, uid string) { o.SetUID(types.UID(uid)) }

// found returns the object that the request is about.
func (s *Server) found(req *request) (object, error) {
	if o := s.store.get(req.key()); o != nil {
		return o, nil
	}
	return nil, apierrors.NewNotFound(req.kind.resource(), req.name)
}

func (s *Server) serveGet(req *request) answer {
	o, err := s.found(req)
	if err != nil {
		return bad(err)
	}
	return good(http.StatusOK, alone(req.kind, o))
}

// inJSON says what is wrong with the format of a body, which is looked at before
// everything else.
func (r *request) inJSON() error {
	if r.contentType == "application/json" || r.contentType == "" {
		return nil
	}
	return unknownFormat("application/json")
}

// options checks what the query says about how to write.
func options(req *request, kind string, check func(dryRun []string, manager, validation string) field.ErrorList) error {
	errs := check(req.query["dryRun"], req.query.Get("fieldManager"), req.query.Get("fieldValidation"))
	if len(errs) > 0 {
		return apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: kind}, "", errs)
	}
	return nil
}

func (s *Server) serveCreate(req *request) answer {
	err := req.inJSON()
	if err == nil {
		err = options(req, "CreateOptions", func(dry []string, manager, validation string) field.ErrorList {
			return metavalidation.ValidateCreateOptions(&metav1.CreateOptions{DryRun: dry, FieldManager: manager, FieldValidation: validation})
		})
	}
	o := req.kind.fresh()
	if err == nil {
		err = s.decode(req, req.kind.gvk(), o)
	}
	if err == nil {
		err = req.inNamespace(o)
	}
	if err == nil {
		o, err = s.create(req.kind, o, req.dry())
	}
	if err != nil {
		return bad(err)
	}
	return good(http.StatusCreated, alone(req.kind, o))
}

func updateOptions(req *request) error {
	if err := req.inJSON(); err != nil {
		return err
	}
	return options(req, "UpdateOptions", func(dry []string, manager, validation string) field.ErrorList {
		return metavalidation.ValidateUpdateOptions(&metav1.UpdateOptions{DryRun: dry, FieldManager: manager, FieldValidation: validation})
	})
}

func (s *Server) servePut(req *request) answer {
	err := updateOptions(req)
	o := req.kind.fresh()
	if err == nil {
		err = s.decode(req, req.kind.gvk(), o)
	}
	if err == nil {
		err = req.identifies(o)
	}
	if err != nil {
		return bad(err)
	}
	if req.kind.puttable && req.subresource == "" && s.store.get(req.key()) == nil {
		return s.putNew(req, o)
	}
	return s.finish(req, func(now object) (object, error) {
		if uid := o.GetUID(); uid != "" && uid != now.GetUID() {
			return nil, wrongUID(req, string(uid), string(now.GetUID()))
		}
		req.kind.defaults(o)
		return o, nil
	})
}

func (s *Server) servePatch(req *request) answer {
	how := types.PatchType(req.contentType)
	if how != types.JSONPatchType && how != types.MergePatchType {
		return bad(unknownPatch())
	}
	if err := patchOptions(req, how); err != nil {
		return bad(err)
	}
	return s.finish(req, func(now object) (object, error) {
		next := req.kind.fresh()
		if err := s.patched(req, how, req.kind.gvk(), alone(req.kind, now), next); err != nil {
			return nil, err
		}
		if err := req.identifies(next); err != nil {
			return nil, err
		}
		req.kind.defaults(next)
		return next, nil
	})
}

// putNew makes what a PUT would have replaced.
func (s *Server) putNew(req *request, o object) answer {
	if uid := o.GetUID(); uid != "" {
		return bad(wrongUID(req, string(uid), ""))
	}
	o.SetResourceVersion("")
	made, err := s.create(req.kind, o, req.dry())
	if err != nil {
		return bad(err)
	}
	return good(http.StatusCreated, alone(req.kind, made))
}

// identifies says whether a body is about another object than the path.
func (r *request) identifies(o metav1.Object) error {
	if err := r.inNamespace(o); err != nil {
		return err
	}
	return r.named(o)
}

// named says what is wrong with the name in a body.
func (r *request) named(o metav1.Object) error {
	switch name := o.GetName(); name {
	case r.name:
		return nil
	case "":
		return apierrors.NewBadRequest("the name of the object (" + r.name + " based on URL) was undeterminable: name must be provided")
	default:
		return apierrors.NewBadRequest("the name of the object (" + name + ") does not match the name on the URL (" + r.name + ")")
	}
}

func patchOptions(req *request, how types.PatchType) error {
	return options(req, "PatchOptions", func(dry []string, manager, validation string) field.ErrorList {
		return metavalidation.ValidatePatchOptions(&metav1.PatchOptions{DryRun: dry, FieldManager: manager, FieldValidation: validation}, how)
	})
}

// patched reads into next what the patch makes of the document.
func (s *Server) patched(req *request, how types.PatchType, gvk schema.GroupVersionKind, doc []byte, next object) error {
	raw, err := apply(how, doc, req.body, req.query.Get("fieldValidation") != metav1.FieldValidationIgnore)
	if err != nil {
		return err
	}
	err = s.decodeBytes(req, gvk, raw, next)
	if err == nil {
		err = req.objects(repeated(how, req.body))
	}
	if err != nil {
		return apierrors.NewInvalid(schema.GroupKind{}, "", field.ErrorList{field.Invalid(field.NewPath("patch"), string(raw), err.Error())})
	}
	return nil
}

// finish updates the object of the request and answers with it.
func (s *Server) finish(req *request, do edit) answer {
	o, err := s.update(req.kind, req.key(), req.subresource, req.dry(), do)
	if err != nil {
		return bad(err)
	}
	return good(http.StatusOK, alone(req.kind, o))
}

func wrongUID(req *request, sent, have string) error {
	what := req.kind.resource()
	if patched := len(req.subresource) > 0 && strings.HasSuffix(req.contentType, "patch+json"); patched {
		what.Resource += "/" + req.subresource
	}
	//lint:ignore ST1005 as the real server says it
	return apierrors.NewConflict(what, req.name, fmt.Errorf("Precondition failed: UID in precondition: %s, UID in object meta: %s", sent, have))
}

func (s *Server) serveDelete(req *request) answer {
	how, err := s.deleteOptions(req)
	if err != nil {
		return bad(err)
	}
	var was object
	var gone bool
	if req.kind.name == "Namespace" {
		was, gone, err = s.removeNamespace(req, how)
	} else {
		was, gone, err = s.remove(req.kind, req.key(), how)
	}
	if err != nil {
		return bad(err)
	}
	//lint:ignore SA1019 clients still send it
	if orphan := how.OrphanDependents; !gone && orphan != nil && !*orphan {
		return good(http.StatusAccepted, alone(req.kind, was))
	}
	if req.kind.returned || !gone {
		return good(http.StatusOK, alone(req.kind, was))
	}
	return good(http.StatusOK, statusBody(metav1.Status{Status: metav1.StatusSuccess, Details: &metav1.StatusDetails{
		Name: was.GetName(), Group: req.kind.group, Kind: req.kind.plural, UID: was.GetUID(),
	}}))
}

// deleteOptions reads them from the body or, without one, from the query.
func (s *Server) deleteOptions(req *request) (metav1.DeleteOptions, error) {
	var how metav1.DeleteOptions
	if len(req.body) > 0 {
		if err := s.decode(req, schema.GroupVersionKind{Version: "v1", Kind: "DeleteOptions"}, &how); err != nil {
			return how, err
		}
	} else if err := metav1.Convert_url_Values_To_v1_DeleteOptions(&req.query, &how, nil); err != nil {
		return how, apierrors.NewBadRequest(err.Error())
	}
	if errs := metavalidation.ValidateDeleteOptions(&how); len(errs) > 0 {
		return how, apierrors.NewInvalid(schema.GroupKind{Group: metav1.GroupName, Kind: "DeleteOptions"}, "", errs)
	}
	return how, nil
}

// removeNamespace begins what Collect ends.
func (s *Server) removeNamespace(req *request, how metav1.DeleteOptions) (object, bool, error) {
	o, err := s.found(req)
	if err != nil {
		return nil, false, err
	}
	if err := precondition(req.kind, o, how.Preconditions); err != nil {
		return nil, false, err
	}
	if o.GetDeletionTimestamp() != nil {
		return o, false, nil
	}
	next := o.DeepCopyObject().(*corev1.Namespace)
	now := s.now()
	next.DeletionTimestamp = &now
	next.Status.Phase = corev1.NamespaceTerminating
	if len(how.DryRun) == 0 {
		s.store.put(req.key(), next)
	}
	return next, false, nil
}
