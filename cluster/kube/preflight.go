// Before the first look: is there such a namespace, and is everything allowed
// that will be needed.

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"

	authorizationv1 "k8s.io/api/authorization/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
)

// right is a verb that must be allowed on a resource.
type right struct {
	resource
	verb string
}

// needs returns every right that the methods need with these options.
func (o Options) needs() []right {
	var all []right
	need := func(what resource, verbs ...string) {
		for _, v := range verbs {
			all = append(all, right{what, v})
		}
	}
	need(o.Kind.resource(), "get", "list", "create", "patch", "delete")
	if o.Kind == ReplicaSet {
		need(deployments, "list") // one of them might adopt what is made
	} else {
		need(replicaSets, "list")
	}
	need(services, "list")
	need(endpointSlices, "list")
	need(pods, "list")
	if o.Traffic == Selector {
		need(services, "get", "patch")
	} else if o.Kind == ReplicaSet {
		need(pods, "patch")
	}
	if o.Autoscalers {
		need(autoscalers, "list", "patch")
	}
	return all
}

// adopting returns what is needed beyond that, where one of the revisions is a
// Deployment and those to come are ReplicaSets.
func adopting() []right {
	return []right{{deployments, "get"}, {deployments, "patch"}, {deployments, "delete"}}
}

// begin is the preflight of a look. The first looks share it.
func (c *Cluster) begin(ctx context.Context, app string) error {
	needs := c.unasked(c.options.needs())
	if len(needs) == 0 {
		return nil
	}
	_, err := c.preflights.do(ctx, func(ctx context.Context) (struct{}, error) { return struct{}{}, c.preflight(ctx, needs) })
	if err != nil && ctx.Err() != nil {
		return fmt.Errorf("kube: app %q: ask what is allowed in namespace %s: %w", app, c.options.Namespace, context.Cause(ctx))
	}
	return err
}

// unasked returns those rights that nobody has been found to have.
func (c *Cluster) unasked(needs []right) []right {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(needs), func(r right) bool { return c.allowed[r] })
}

// preflight passes once in a Cluster's life for the same rights.
func (c *Cluster) preflight(ctx context.Context, needs []right) error {
	if needs = c.unasked(needs); len(needs) == 0 {
		return nil
	}
	if err := c.checkNamespace(ctx); err != nil {
		return err
	}
	missing := make([]string, len(needs))
	var work []func(context.Context) error
	for i, need := range needs {
		work = append(work, func(ctx context.Context) (err error) {
			missing[i], err = c.lacks(ctx, need)
			return err
		})
	}
	if err := together(ctx, work...); err != nil {
		return err
	}
	if list := strings.Join(nonEmpty(missing), ", "); list != "" {
		return refused("not allowed in namespace %s: %s: grant it in a Role to whoever runs this", c.options.Namespace, list)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, need := range needs {
		c.allowed[need] = true
	}
	return nil
}

func nonEmpty(all []string) []string {
	var some []string
	for _, s := range all {
		if s != "" {
			some = append(some, s)
		}
	}
	return some
}

// checkNamespace refuses a namespace that is not there, whose lists would be
// empty without an error, or that is being deleted. Who may not read it is not
// refused: then the first write tells.
func (c *Cluster) checkNamespace(ctx context.Context) error {
	raw, err := send(ctx, c.api.rest.Verb(http.MethodGet).AbsPath("/api/v1/namespaces", c.options.Namespace))
	if apierrors.IsForbidden(err) {
		return nil
	}
	var ns corev1.Namespace
	if err == nil {
		err = json.Unmarshal(raw, &ns)
	}
	if err != nil {
		return explain(err, "get namespace "+c.options.Namespace)
	}
	if ns.Status.Phase == corev1.NamespaceTerminating || ns.DeletionTimestamp != nil {
		return refused("namespace %s is being deleted", c.options.Namespace)
	}
	return nil
}

// lacks returns the right if the caller does not have it.
func (c *Cluster) lacks(ctx context.Context, need right) (string, error) {
	review := authorizationv1.SelfSubjectAccessReview{
		TypeMeta: metav1.TypeMeta{APIVersion: "authorization.k8s.io/v1", Kind: "SelfSubjectAccessReview"},
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: c.options.Namespace, Verb: need.verb, Group: need.group, Resource: need.plural,
		}},
	}
	raw, err := send(ctx, c.api.rest.Verb(http.MethodPost).
		AbsPath("/apis/authorization.k8s.io/v1/selfsubjectaccessreviews").Body(asJSON(review)))
	if apierrors.IsForbidden(err) || apierrors.IsNotFound(err) {
		return "", nil // nobody to ask: the requests themselves will tell
	}
	if err == nil {
		err = json.Unmarshal(raw, &review)
	}
	if err != nil {
		return "", fmt.Errorf("kube: ask whether %s %s is allowed in namespace %s: %w", need.verb, need.plural, c.options.Namespace, err)
	}
	if review.Status.Allowed {
		return "", nil
	}
	name := need.verb + " " + need.plural
	if need.group != "" {
		name += "." + need.group
	}
	return name, nil
}

var _ cluster.Cluster = (*Cluster)(nil)
