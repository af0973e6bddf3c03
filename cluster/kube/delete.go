// Delete: one object, by UID and resourceVersion, and its pods after it.

package kube

import (
	"context"
	"errors"
	"fmt"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/cutover-dev/cutover/cluster"
)

// Delete implements [cluster.Cluster]. The object goes at once, its pods after
// it, and none is left to be adopted.
func (c *Cluster) Delete(ctx context.Context, app string, r cluster.Revision) error {
	if err := start(ctx, app); err != nil {
		return err
	}
	if r.Name == "" || r.UID == "" || r.Version == "" {
		return refused("app %q: delete revision %q: without its UID and Version this might be another one", app, r.Name)
	}
	known, err := c.known(ctx, app)
	if err != nil {
		return err
	}
	w, err := c.current(ctx, known, r)
	if gone(err) {
		return nil
	}
	if err != nil {
		return err
	}
	err = c.api.remove(ctx, w.kind.resource(), r.Name, r.UID, r.Version)
	if err == nil || apierrors.IsNotFound(err) {
		return nil
	}
	return explain(err, fmt.Sprintf("delete %s in namespace %s", w, c.options.Namespace))
}

// gone reports whether an error wraps the apiserver's "not found".
func gone(err error) bool {
	var status apierrors.APIStatus
	return errors.As(err, &status) && apierrors.IsNotFound(err)
}
