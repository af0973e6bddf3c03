// Answers, and those that are errors: a Status with a code, a reason and details.

package apiserver

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strconv"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An answer is a code with a body that is JSON, or is read bit by bit.
type answer struct {
	code     int
	body     []byte
	stream   io.ReadCloser // instead of body
	text     bool          // the body is no JSON
	warnings []string
}

// good answers with an object.
func good(code int, body []byte) answer { return answer{code: code, body: body} }

// bad answers with an error. One that has no Status is the server's own fault,
// or is taken for it.
func bad(err error) answer {
	var known apierrors.APIStatus
	if errors.As(err, &known) {
		return good(int(known.Status().Code), statusBody(known.Status()))
	}
	return good(http.StatusInternalServerError, statusBody(metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusInternalServerError, Message: err.Error(),
	}))
}

func statusBody(status metav1.Status) []byte {
	status.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}
	return encode(status)
}

// notServed is the answer to a path that leads nowhere.
func notServed() answer {
	return answer{code: http.StatusNotFound, body: []byte("404 page not found\n"), text: true}
}

// notFound is the error of a subresource that a kind does not have.
func notFound() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusNotFound, Reason: metav1.StatusReasonNotFound,
		Message: "the server could not find the requested resource", Details: &metav1.StatusDetails{},
	}}
}

// generic is an error that the server makes of a code alone.
func generic(code int, verb string, what schema.GroupResource, name, message string) error {
	return apierrors.NewGenericServerResponse(code, verb, what, name, message, 0, false)
}

// notAllowed is the error of a verb that the path does not have.
func notAllowed(what schema.GroupResource, verb string) error {
	err := apierrors.NewMethodNotSupported(what, verb)
	err.ErrStatus.Message = "the server does not allow this method on the requested resource"
	err.ErrStatus.Details = &metav1.StatusDetails{}
	return err
}

// unknownPatch is the error of a patch in a format that is not spoken here.
func unknownPatch() error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "415: Unsupported Media Type", Details: &metav1.StatusDetails{},
	}}
}

// unknownFormat is the error of a body in a format that is not spoken here.
func unknownFormat(accepted string) error {
	return &apierrors.StatusError{ErrStatus: metav1.Status{
		Status: metav1.StatusFailure, Code: http.StatusUnsupportedMediaType, Reason: metav1.StatusReasonUnsupportedMediaType,
		Message: "the body of the request was in an unknown format - accepted media types include: " + accepted,
	}}
}

// respond makes an HTTP response of an answer.
func (s *Server) respond(r *http.Request, a answer) *http.Response {
	response := &http.Response{
		StatusCode: a.code, Status: strconv.Itoa(a.code) + " " + http.StatusText(a.code),
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: http.Header{}, Request: r, ContentLength: int64(len(a.body)),
	}
	response.Header.Set("Date", s.clock().UTC().Format(http.TimeFormat))
	response.Header.Set("Content-Type", "application/json")
	if a.text {
		response.Header.Set("Content-Type", "text/plain; charset=utf-8")
	}
	for _, w := range a.warnings {
		response.Header.Add("Warning", `299 - `+strconv.Quote(w))
	}
	if response.Body = a.stream; a.stream == nil {
		response.Body = io.NopCloser(bytes.NewReader(a.body))
	} else {
		response.ContentLength = -1
	}
	return response
}

// readBody returns the body of a request and closes it.
func readBody(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}
