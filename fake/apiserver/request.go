// From a request to its answer: who is asked, what is asked, what it says.

package apiserver

import (
	"encoding/hex"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer/json"
)

// A request is one that was understood.
type request struct {
	place
	query       url.Values
	contentType string
	body        []byte
	warnings    []string // grows as it is answered
}

func (r *request) dry() bool { return len(r.query["dryRun"]) > 0 }

func (r *request) key() key { return key{r.kind.name, r.namespace, r.name} }

// answer says what becomes of a request.
func (s *Server) answer(r *http.Request, body []byte) answer {
	at := s.locate(r.URL.Path)
	if !at.known {
		return notServed()
	}
	if !at.served {
		return bad(notFound())
	}
	if !acceptsJSON(r.Header.Values("Accept")) {
		return bad(&apierrors.StatusError{ErrStatus: metav1.Status{
			Status: metav1.StatusFailure, Code: http.StatusNotAcceptable, Reason: metav1.StatusReasonNotAcceptable,
			Message: "only the following media types are accepted: application/json",
		}})
	}
	if err := s.permit(r, at); err != nil {
		return bad(err)
	}
	req := &request{place: at, query: r.URL.Query(), body: body}
	req.contentType, _, _ = mime.ParseMediaType(r.Header.Get("Content-Type"))
	a := s.serve(r, req)
	a.warnings = append(a.warnings, req.warnings...)
	return a
}

// serve calls what the verb stands for.
func (s *Server) serve(r *http.Request, req *request) answer {
	one := req.name != ""
	switch {
	case req.kind == nil && r.Method == http.MethodPost:
		return s.review(req)
	case req.kind == nil:
		return bad(notAllowed(schema.GroupResource{}, ""))
	case req.subresource == "scale":
		return s.serveScale(r.Method, req)
	case one && r.Method == http.MethodGet:
		return s.serveGet(req)
	case r.Method == http.MethodGet && watching(req.query):
		return s.serveWatch(r.Context(), req)
	case r.Method == http.MethodGet:
		return s.serveList(req)
	case !one && r.Method == http.MethodPost && (req.kind.global || req.namespace != ""):
		return s.serveCreate(req)
	case one && r.Method == http.MethodPut:
		return s.servePut(req)
	case one && r.Method == http.MethodPatch:
		return s.servePatch(req)
	case one && r.Method == http.MethodDelete && req.subresource == "":
		return s.serveDelete(req)
	}
	return bad(notAllowed(req.kind.resource(), r.Method))
}

// acceptsJSON reports whether an answer in JSON is wanted.
func acceptsJSON(accept []string) bool {
	any := true
	for _, list := range accept {
		for _, one := range strings.Split(list, ",") {
			media, _, _ := mime.ParseMediaType(strings.TrimSpace(one))
			switch media {
			case "application/json", "application/*", "*/*":
				return true
			}
			any = false
		}
	}
	return any
}

// permit asks the hook.
func (s *Server) permit(r *http.Request, at place) error {
	if s.allow == nil || at.kind == nil {
		return nil
	}
	q := Review{at.verb(r), at.kind.group, at.kind.plural, at.subresource, at.namespace, at.name}
	if s.allow(q) {
		return nil
	}
	where := fmt.Sprintf("in API group %q in the namespace %q", q.Group, q.Namespace)
	if q.Namespace == "" {
		where = fmt.Sprintf("in API group %q at the cluster scope", q.Group)
	}
	what := q.Resource
	if q.Subresource != "" {
		what += "/" + q.Subresource
	}
	//lint:ignore ST1005 as the real server says it
	return apierrors.NewForbidden(at.kind.resource(), at.name, fmt.Errorf("User %q cannot %s resource %q %s", "simulated", q.Verb, what, where))
}

// review answers a question of authorization.
func (s *Server) review(req *request) answer {
	review := &authorizationv1.SelfSubjectAccessReview{}
	gvk := authorizationv1.SchemeGroupVersion.WithKind("SelfSubjectAccessReview")
	if err := s.decode(req, gvk, review); err != nil {
		return bad(err)
	}
	allowed := true
	if a := review.Spec.ResourceAttributes; a != nil && s.allow != nil {
		allowed = s.allow(Review{a.Verb, a.Group, a.Resource, a.Subresource, a.Namespace, a.Name})
	}
	review.Status = authorizationv1.SubjectAccessReviewStatus{Allowed: allowed}
	review.SetGroupVersionKind(gvk)
	return good(http.StatusCreated, encode(review))
}

// decode reads a body, as strictly as the request asks for.
func (s *Server) decode(req *request, gvk schema.GroupVersionKind, into runtime.Object) error {
	if err := req.inJSON(); err != nil {
		return err
	}
	return s.decodeBytes(req, gvk, req.body, into)
}

func (s *Server) decodeBytes(req *request, gvk schema.GroupVersionKind, body []byte, into runtime.Object) error {
	reader := json.NewSerializerWithOptions(json.DefaultMetaFactory, s.scheme, s.scheme, json.SerializerOptions{Strict: true})
	_, found, err := reader.Decode(body, &gvk, into)
	if strict, ok := runtime.AsStrictDecodingError(err); ok {
		err = req.objects(strict.Errors())
	}
	switch {
	case err != nil && found != nil && found.Kind != "":
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: %v", found.Kind, found.Version, gvk.Kind, err))
	case err != nil:
		return apierrors.NewBadRequest(fmt.Sprintf("the object provided is unrecognized (must be of type %s): %v (%s)", gvk.Kind, err, beginning(body)))
	case found.GroupVersion() != gvk.GroupVersion():
		return apierrors.NewBadRequest(fmt.Sprintf("the API version in the data (%s) does not match the expected API version (%s)",
			found.GroupVersion(), gvk.GroupVersion()))
	case found.Kind != gvk.Kind:
		inside := "core"
		if gvk.Group != "" {
			inside, _, _ = strings.Cut(gvk.Group, ".")
		}
		return apierrors.NewBadRequest(fmt.Sprintf("%s in version %q cannot be handled as a %s: converting (%s.%s) to (%s.%s): unknown conversion",
			found.Kind, found.Version, gvk.Kind, found.Version, found.Kind, inside, gvk.Kind))
	}
	into.GetObjectKind().SetGroupVersionKind(schema.GroupVersionKind{})
	return nil
}

// objects makes of what is odd in a body what the request asks for: nothing,
// warnings or an error.
func (req *request) objects(odd []error) error {
	if len(odd) == 0 {
		return nil
	}
	switch req.query.Get("fieldValidation") {
	case metav1.FieldValidationIgnore:
	case metav1.FieldValidationStrict:
		return runtime.NewStrictDecodingError(odd)
	default:
		for _, e := range odd {
			req.warnings = append(req.warnings, e.Error())
		}
	}
	return nil
}

// beginning is how a body begins, in hexadecimal if it is no JSON object.
func beginning(body []byte) string {
	const most = 30
	if len(body) == 0 {
		return "<empty>"
	}
	text, more := body, ""
	if len(body) > most {
		text, more = body[:most], " ..."
	}
	if body[0] == '{' {
		return string(text) + more
	}
	return hex.EncodeToString(text) + more
}

// inNamespace gives an object the namespace of the path, or says that it names
// another.
func (r *request) inNamespace(o metav1.Object) error {
	switch {
	case r.kind.global && o.GetNamespace() != "", !r.kind.global && o.GetNamespace() != "" && o.GetNamespace() != r.namespace:
		return apierrors.NewBadRequest("the namespace of the provided object does not match the namespace sent on the request")
	}
	o.SetNamespace(r.namespace)
	return nil
}

// open says why nothing can be made in a namespace, if so.
func (s *Server) open(kind *kind, namespace, name string) error {
	if kind.global {
		return nil
	}
	ns, ok := s.store.get(key{"Namespace", "", namespace}).(*corev1.Namespace)
	if !ok {
		return apierrors.NewNotFound(schema.GroupResource{Resource: "namespaces"}, namespace)
	}
	if ns.DeletionTimestamp == nil {
		return nil
	}
	err := apierrors.NewForbidden(kind.resource(), name,
		fmt.Errorf("unable to create new content in namespace %s because it is being terminated", namespace))
	err.ErrStatus.Details.Causes = append(err.ErrStatus.Details.Causes, metav1.StatusCause{
		Type: corev1.NamespaceTerminatingCause, Message: fmt.Sprintf("namespace %s is being terminated", namespace), Field: "metadata.namespace",
	})
	return err
}
