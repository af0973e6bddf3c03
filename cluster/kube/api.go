// Requests to the apiserver: complete lists, single objects, writes that are
// sent once, the apiserver's clock, and errors that say what was being done.

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
)

// fieldManager is under what name the apiserver keeps who wrote which field.
const fieldManager = "cutover"

// pageSize is how many objects one answer to a list holds at most.
const pageSize = 500

// callTimeout is how long one request may take if the config does not say.
const callTimeout = 30 * time.Second

// A resource is a kind of object, as the apiserver's paths and people call it.
type resource struct{ prefix, group, plural, kind string }

var (
	replicaSets    = resource{"/apis/apps/v1", "apps", "replicasets", "ReplicaSet"}
	deployments    = resource{"/apis/apps/v1", "apps", "deployments", "Deployment"}
	pods           = resource{"/api/v1", "", "pods", "Pod"}
	services       = resource{"/api/v1", "", "services", "Service"}
	endpointSlices = resource{"/apis/discovery.k8s.io/v1", "discovery.k8s.io", "endpointslices", "EndpointSlice"}
	autoscalers    = resource{"/apis/autoscaling/v2", "autoscaling", "horizontalpodautoscalers", "HorizontalPodAutoscaler"}
	leases         = resource{"/apis/coordination.k8s.io/v1", "coordination.k8s.io", "leases", "Lease"}

	disruptionBudgets = resource{"/apis/policy/v1", "policy", "poddisruptionbudgets", "PodDisruptionBudget"}
)

// api speaks with one apiserver about one namespace.
type api struct {
	rest      rest.Interface
	namespace string
	clock     *clock
	horizon   *horizon
	patience  time.Duration // how long a request may take
}

func newAPI(cfg *rest.Config, namespace string) (*api, error) {
	c := rest.CopyConfig(cfg)
	if c.QPS == 0 {
		c.QPS = -1
	}
	if c.Timeout == 0 {
		c.Timeout = callTimeout
	}
	if c.UserAgent == "" {
		c.UserAgent = rest.DefaultKubernetesUserAgent()
	}
	c.UserAgent += "/cutover"
	if c.WarningHandler == nil {
		c.WarningHandler = rest.NoWarnings{} // a library does not write to stderr
	}
	kinds := runtime.NewScheme() // only for the answer that is an error
	metav1.AddToGroupVersion(kinds, schema.GroupVersion{Version: "v1"})
	c.NegotiatedSerializer = serializer.NewCodecFactory(kinds).WithoutConversion()
	c.GroupVersion, c.APIPath = &schema.GroupVersion{Version: "v1"}, "/api"
	c.ContentType, c.AcceptContentTypes = runtime.ContentTypeJSON, runtime.ContentTypeJSON

	at := &clock{}
	c.Wrap(func(next http.RoundTripper) http.RoundTripper { return observer{next, at} })
	client, err := rest.RESTClientFor(c)
	if err != nil {
		return nil, err
	}
	return &api{client, namespace, at, &horizon{}, c.Timeout}, nil
}

// clock is the apiserver's, as its answers tell it. It does not go back.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) saw(date string) {
	t, err := http.ParseTime(date)
	if err != nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if t.After(c.at) {
		c.at = t.UTC()
	}
}

// observer reads the clock on every answer.
type observer struct {
	next  http.RoundTripper
	clock *clock
}

func (o observer) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := o.next.RoundTrip(r)
	if err != nil {
		return answer, err
	}
	o.clock.saw(answer.Header.Get("Date"))
	if r.Method != http.MethodGet {
		// It makes client-go send a write again, which then meets its own effect.
		answer.Header.Del("Retry-After")
	}
	return answer, nil
}

// WrappedRoundTripper is for client-go, which would like to cancel a request: without it client-go writes
// to stderr when a request has taken too long, as each watch does in the end.
func (o observer) WrappedRoundTripper() http.RoundTripper { return o.next }

// on begins a request about a namespaced object, or all of the kind with "".
func (a *api) on(verb string, what resource, name string) *rest.Request {
	path := []string{what.prefix, "namespaces", a.namespace, what.plural}
	if name != "" {
		path = append(path, name)
	}
	return a.rest.Verb(verb).AbsPath(path...)
}

// send returns the body of the answer. An answer that is an error is read.
func send(ctx context.Context, r *rest.Request) ([]byte, error) {
	result := r.Do(ctx)
	raw, err := result.Raw()
	if err != nil {
		return nil, result.Error()
	}
	return raw, nil
}

// list returns every object of the kind with these labels, as the store has
// them now, or an error. It never returns some of them. If at is not nil, it is
// told from where on a watch would see what happens next.
func list[T any](ctx context.Context, a *api, what resource, labels string, at *place) ([]T, error) {
	var all []T
	known := a.horizon.of(what)
	for next := ""; ; {
		r := a.on(http.MethodGet, what, "").Param("limit", strconv.Itoa(pageSize))
		if labels != "" {
			r = r.Param("labelSelector", labels)
		}
		if next != "" {
			r = r.Param("continue", next)
		}
		var page struct {
			Metadata metav1.ListMeta `json:"metadata"`
			Items    []T             `json:"items"`
		}
		raw, err := send(ctx, r)
		if err == nil {
			err = json.Unmarshal(raw, &page)
		}
		if version := a.horizon.saw(what, page.Metadata.ResourceVersion); err == nil && version < known {
			err = fmt.Errorf("the answer is stale: it is of resourceVersion %d, and %d was known before it was asked for", version, known)
		}
		if err != nil {
			return nil, explain(err, fmt.Sprintf("list %ss in namespace %s", what.kind, a.namespace))
		}
		all = append(all, page.Items...)
		if next = page.Metadata.Continue; next == "" {
			if at != nil {
				*at = place{what, labels, page.Metadata.ResourceVersion}
			}
			return all, nil
		}
	}
}

// patch changes one object.
func (a *api) patch(ctx context.Context, what resource, name string, how types.PatchType, body []byte) error {
	raw, err := send(ctx, a.on(http.MethodPatch, what, name).
		SetHeader("Content-Type", string(how)).Param("fieldManager", fieldManager).Body(body))
	a.horizon.wrote(what, raw)
	return err
}

// create makes one object. Fields that the apiserver does not know are refused.
func (a *api) create(ctx context.Context, what resource, body []byte) error {
	raw, err := send(ctx, a.on(http.MethodPost, what, "").
		Param("fieldManager", fieldManager).Param("fieldValidation", "Strict").Body(body))
	a.horizon.wrote(what, raw)
	return err
}

// remove deletes one object, and what it owns after it.
func (a *api) remove(ctx context.Context, what resource, name, uid, version string) error {
	background, id := metav1.DeletePropagationBackground, types.UID(uid)
	_, err := send(ctx, a.on(http.MethodDelete, what, name).Body(asJSON(metav1.DeleteOptions{
		TypeMeta:          metav1.TypeMeta{APIVersion: "v1", Kind: "DeleteOptions"},
		Preconditions:     &metav1.Preconditions{UID: &id, ResourceVersion: &version},
		PropagationPolicy: &background,
	})))
	return err
}

// explain says what was being done when err came, and wraps ErrRefused or
// ErrConflict if the apiserver has said so in as many words. Everything else
// stays of unknown effect.
func explain(err error, doing string) error {
	switch {
	case apierrors.HasStatusCause(err, corev1.NamespaceTerminatingCause):
		return fmt.Errorf("kube: %s: the namespace is being deleted: %w: %w", doing, cluster.ErrRefused, err)
	case apierrors.IsForbidden(err), apierrors.IsNotFound(err), apierrors.IsInvalid(err), apierrors.IsBadRequest(err),
		apierrors.IsMethodNotSupported(err), apierrors.IsRequestEntityTooLargeError(err):
		return fmt.Errorf("kube: %s: %w: %w", doing, cluster.ErrRefused, err)
	case apierrors.IsConflict(err), apierrors.IsAlreadyExists(err):
		return fmt.Errorf("kube: %s: %w: %w", doing, cluster.ErrConflict, err)
	}
	return fmt.Errorf("kube: %s: %w", doing, err)
}

// refused makes an ErrRefused out of a sentence.
func refused(format string, args ...any) error {
	return fmt.Errorf("kube: %w: %w", fmt.Errorf(format, args...), cluster.ErrRefused)
}

// conflict makes an ErrConflict out of a sentence.
func conflict(format string, args ...any) error {
	return fmt.Errorf("kube: %w: %w", fmt.Errorf(format, args...), cluster.ErrConflict)
}

// together does all of it at once and waits for all of it. The first error ends
// the others.
func together(ctx context.Context, work ...func(ctx context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var all sync.WaitGroup
	errs := make(chan error, len(work))
	for _, do := range work {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := do(ctx); err != nil {
				errs <- err
				cancel(errors.New("another request of this look has failed"))
			}
		}()
	}
	all.Wait()
	close(errs)
	return <-errs
}
