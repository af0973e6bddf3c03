// Reservations: a Lease by which deployers of one app know of each other early.
// It keeps nobody out: that two runs are safe is not its doing.

package kube

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

const (
	leasePrefix   = "cutover-"      // and the app: the name of its Lease
	leaseDuration = time.Minute     // a Lease that was not renewed for so long is free
	leaseEvery    = time.Second     // between two tries of who waits for one
	leaseWithin   = 2 * time.Second // a look does not wait longer for the renewal
	leaseTries    = 5               // at one and the same Lease that others write, too
)

// A Reservation is an app's Lease, taken. Looks at the app by the Cluster that it
// was taken with renew it, at most three times a minute; a minute after the last
// of them it is free for anybody.
//
// It may be lost without a word: to a person who deletes it, to a process that
// was stopped for too long. Nothing relies on it; two runs that both believe to
// have it are as safe as two that never asked.
type Reservation struct {
	cluster *Cluster
	app, by string

	mu    sync.Mutex // held while the Lease is written
	tried time.Time
	over  bool // released, or lost
}

// A HeldError says that somebody else has reserved the app.
type HeldError struct {
	App   string
	By    string
	Since time.Time // by the apiserver's clock, like Until
	Until time.Time // if it is not renewed
}

// Error says who has it, since when, and until when at least.
func (e *HeldError) Error() string {
	return fmt.Sprintf("kube: app %q is reserved by %s since %s: wait for it to end; if it is dead, its Lease %s is free after %s",
		e.App, e.By, stamp(e.Since), leasePrefix+e.App, stamp(e.Until))
}

// Reserve takes the Lease cutover-<app> in the name of by, which is for people to
// read and tells deployers apart: whoever has the same name has the same
// reservation, so that a process that was restarted gets its own again. If
// somebody else has it, Reserve waits for so long, by the apiserver's clock, and
// then returns a [*HeldError]; with a wait of 0 at once. Any other error says that
// the Lease could not be read or written: ErrRefused if that is not allowed.
//
// The account needs get, create, patch and delete of leases.
func (c *Cluster) Reserve(ctx context.Context, app, by string, wait time.Duration) (*Reservation, error) {
	if err := start(ctx, app); err != nil {
		return nil, err
	}
	if by == "" {
		return nil, refused("app %q: reserve it: nobody says for whom", app)
	}
	r := &Reservation{cluster: c, app: app, by: by}
	var began time.Time
	for {
		held, err := r.take(ctx)
		if err != nil {
			return nil, err
		}
		if held == nil {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.reserved[app] = r
			return r, nil
		}
		if began.IsZero() {
			began = r.tried
		}
		if r.tried.Sub(began) >= wait {
			return nil, held
		}
		if err := pauseFor(ctx, leaseEvery); err != nil {
			return nil, fmt.Errorf("kube: wait until %s does not reserve app %q any more: %w", held.By, app, err)
		}
	}
}

func pauseFor(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// Release frees the app at once; a Reservation that was lost is none to free. It
// may be called again. If it fails, the Lease ends by itself.
func (r *Reservation) Release(ctx context.Context) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.end()
	var err error
	for range leaseTries {
		lease, doing, unread := r.read(ctx)
		if apierrors.IsNotFound(unread) {
			return nil
		}
		if unread != nil {
			return explain(unread, doing)
		}
		if holder(lease) != r.by {
			return nil
		}
		err = r.cluster.api.remove(ctx, leases, lease.Name, string(lease.UID), lease.ResourceVersion)
		if !apierrors.IsConflict(err) {
			break
		}
	}
	if err != nil && !apierrors.IsNotFound(err) {
		return explain(err, "delete "+r.lease())
	}
	return nil
}

// end lets no look renew it any more.
func (r *Reservation) end() {
	c := r.cluster
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.reserved[r.app] == r {
		delete(c.reserved, r.app)
	}
	r.over = true
}

// renew renews the app's reservation, if there is one and it is due. What comes of
// it is nobody's concern but the next renewal's.
func (c *Cluster) renew(ctx context.Context, app string) {
	c.mu.Lock()
	r := c.reserved[app]
	c.mu.Unlock()
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	now := c.api.clock.now()
	if r.over || now.Sub(r.tried) < leaseDuration/3 {
		return
	}
	ctx, done := context.WithTimeout(ctx, leaseWithin)
	defer done()
	held, _ := r.take(ctx)
	r.tried = now // though it may have failed: not at every look
	if held != nil {
		r.end()
	}
}

// take makes the Lease this one's, and sets when that was tried. It returns who
// has it instead, if somebody has.
func (r *Reservation) take(ctx context.Context) (*HeldError, error) {
	var err error
	var doing string
	for range leaseTries {
		var lease *coordinationv1.Lease
		lease, doing, err = r.read(ctx)
		r.tried = r.cluster.api.clock.now()
		if apierrors.IsNotFound(err) {
			doing, err = "create "+r.lease(), r.create(ctx)
		} else if err == nil {
			if held := r.heldBy(lease); held != nil {
				return held, nil
			}
			doing, err = "patch "+r.lease(), r.patch(ctx, lease)
		}
		if err == nil {
			return nil, nil
		}
		if !apierrors.IsConflict(err) && !apierrors.IsAlreadyExists(err) && !apierrors.IsNotFound(err) {
			break
		}
	}
	return nil, explain(err, doing)
}

// lease names the Lease in errors.
func (r *Reservation) lease() string {
	return fmt.Sprintf("Lease %s in namespace %s", leasePrefix+r.app, r.cluster.options.Namespace)
}

func (r *Reservation) read(ctx context.Context) (lease *coordinationv1.Lease, doing string, err error) {
	lease, doing = &coordinationv1.Lease{}, "get "+r.lease()
	raw, err := send(ctx, r.cluster.api.on(http.MethodGet, leases, leasePrefix+r.app))
	if err == nil {
		err = json.Unmarshal(raw, lease)
	}
	return lease, doing, err
}

// heldBy returns who else has the Lease; nil if nobody has, or not any more. One
// that was never renewed would never end: it is nobody's.
func (r *Reservation) heldBy(lease *coordinationv1.Lease) *HeldError {
	by := holder(lease)
	if by == "" || by == r.by || lease.Spec.RenewTime == nil || lease.Spec.LeaseDurationSeconds == nil {
		return nil
	}
	held := &HeldError{App: r.app, By: by, Since: lease.Spec.RenewTime.UTC()}
	held.Until = held.Since.Add(time.Duration(*lease.Spec.LeaseDurationSeconds) * time.Second)
	if lease.Spec.AcquireTime != nil {
		held.Since = lease.Spec.AcquireTime.UTC()
	}
	if held.Until.Before(r.tried) {
		return nil
	}
	return held
}

func holder(lease *coordinationv1.Lease) string {
	if lease.Spec.HolderIdentity == nil {
		return ""
	}
	return *lease.Spec.HolderIdentity
}

// spec is the Lease as this one's, since when it was that before.
func (r *Reservation) spec(was coordinationv1.LeaseSpec, mine bool) coordinationv1.LeaseSpec {
	now, seconds, transitions := metav1.NewMicroTime(r.tried), int32(leaseDuration.Seconds()), int32(0)
	if was.LeaseTransitions != nil {
		transitions = *was.LeaseTransitions
	}
	next := coordinationv1.LeaseSpec{HolderIdentity: &r.by, LeaseDurationSeconds: &seconds, AcquireTime: was.AcquireTime, RenewTime: &now}
	if !mine {
		next.AcquireTime = &now
		transitions++
	}
	next.LeaseTransitions = &transitions
	return next
}

func (r *Reservation) create(ctx context.Context) error {
	return r.cluster.api.create(ctx, leases, asJSON(coordinationv1.Lease{
		TypeMeta:   metav1.TypeMeta{APIVersion: "coordination.k8s.io/v1", Kind: "Lease"},
		ObjectMeta: metav1.ObjectMeta{Name: leasePrefix + r.app, Labels: map[string]string{AppLabel: r.app}},
		Spec:       r.spec(coordinationv1.LeaseSpec{}, false),
	}))
}

func (r *Reservation) patch(ctx context.Context, lease *coordinationv1.Lease) error {
	return r.cluster.api.patch(ctx, leases, lease.Name, types.MergePatchType, asJSON(map[string]any{
		"metadata": map[string]any{"uid": lease.UID, "resourceVersion": lease.ResourceVersion},
		"spec":     r.spec(lease.Spec, holder(lease) == r.by && lease.Spec.AcquireTime != nil),
	}))
}
