// The Cluster that sends each call to both, and compares the answers.

package lockstep_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake"
)

// app is the app of every world.
const app = "web"

// A lockstep is a [cluster.Cluster] over both: what it answers is what the
// simulated one has answered. It belongs to one goroutine. The first difference
// unwinds whoever called, with a *divergence as the panic's value: from there on
// the two are different worlds.
type lockstep struct {
	sim     *fake.Cluster
	real    *kube.Cluster
	mirror  *mirror
	options kube.Options

	// as the real cluster calls it, by what the simulated one does
	uids, versions map[string]string

	// stamps are the times that the real client writes on a route, by the time
	// at which it does: see [lockstep.SetRoute]
	clock  *simulatedClock
	stamps map[time.Time]time.Time

	calls int // that were compared
}

var _ cluster.Cluster = (*lockstep)(nil)

// A divergence is what one of the two answered otherwise.
type divergence struct {
	schedule string
	call     string
	what     []string
}

func (d *divergence) Error() string {
	return fmt.Sprintf("%s\n  at %s:\n    %s", d.schedule, d.call, strings.Join(d.what, "\n    "))
}

// diverges unwinds if there is a difference.
func diverges(call string, what ...string) {
	if len(what) > 0 {
		panic(&divergence{call: call, what: what})
	}
}

// restart makes both forget what they saw, as a process does that was restarted.
func (l *lockstep) restart() {
	l.sim.Forget()
	cfg := plane.Config()
	l.clock = &simulatedClock{sim: l.sim}
	cfg.WrapTransport = l.clock.over
	client, err := kube.New(cfg, l.options)
	if err != nil {
		panic(err) // the options are the test's own
	}
	l.real = client
}

// simulatedClock lets the apiserver's clock be the simulated one, so that times
// can be compared. And it says yes to whoever asks what an administrator may,
// which every new client does a dozen times.
type simulatedClock struct {
	next http.RoundTripper
	sim  *fake.Cluster

	mu  sync.Mutex // a look asks several things at once
	was time.Time  // when it was last told
}

func (c *simulatedClock) over(next http.RoundTripper) http.RoundTripper {
	c.next = next
	return c
}

// last is when it was last told, in its steps of a second; zero: never.
func (c *simulatedClock) last() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.was
}

func (c *simulatedClock) RoundTrip(r *http.Request) (*http.Response, error) {
	if strings.HasSuffix(r.URL.Path, "/selfsubjectaccessreviews") {
		return &http.Response{
			StatusCode: http.StatusCreated, Header: http.Header{"Content-Type": {"application/json"}}, Request: r,
			Body: io.NopCloser(strings.NewReader(`{"kind":"SelfSubjectAccessReview","apiVersion":"authorization.k8s.io/v1","status":{"allowed":true}}`)),
		}, nil
	}
	answer, err := c.next.RoundTrip(r)
	if err == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.was = c.sim.Now().Truncate(time.Second)
		answer.Header.Set("Date", c.was.Format(http.TimeFormat))
	}
	return answer, err
}

// Observe implements cluster.Cluster.
func (l *lockstep) Observe(ctx context.Context, name string) (cluster.State, error) {
	call := fmt.Sprintf("look %d, %v", l.calls, l.sim.Now().Sub(epoch))
	l.mirror.sync()
	simulated, err := l.sim.Observe(ctx, name)
	found, realErr := l.real.Observe(ctx, name)
	l.calls++
	diverges(call, compareErrors(err, realErr)...)
	if err != nil {
		return simulated, err
	}
	l.learn(simulated, found)
	diverges(call, compare(simulated, found, l.sim.Pods(name), l.stamps)...)
	return simulated, nil
}

// learn notes how each of the two calls the same thing.
func (l *lockstep) learn(simulated, found cluster.State) {
	for _, r := range simulated.Revisions {
		if other, ok := found.Named(r.Name); ok {
			l.uids[r.UID], l.versions[r.Version] = other.UID, other.Version
		}
	}
	for i, r := range simulated.Routes {
		if i < len(found.Routes) && found.Routes[i].Name == r.Name {
			l.versions[r.Version] = found.Routes[i].Version
		}
	}
}

// renewed notes that a real object has got another version by what is no write
// for the simulated one. That is a difference that is meant: a ReplicaSet's
// status moves its resourceVersion, so that a write which arrives late meets a
// conflict on a real cluster where the simulated one lets it through, which is
// the harder case. Here it is let through on both.
func (l *lockstep) renewed(was, is string) {
	for simulated, version := range l.versions {
		if version == was {
			l.versions[simulated] = is
		}
	}
}

// named names a revision as the real cluster does.
func (l *lockstep) named(r cluster.Revision) cluster.Revision {
	r.UID, r.Version = translate(l.uids, r.UID), translate(l.versions, r.Version)
	return r
}

func translate(known map[string]string, simulated string) string {
	if is, ok := known[simulated]; ok || simulated == "" {
		return is
	}
	return "unknown-" + simulated
}

// Put implements cluster.Cluster.
func (l *lockstep) Put(ctx context.Context, name string, r cluster.Revision) error {
	call := fmt.Sprintf("put %s x%d on=%t %v %q fence %q, %v", r.Name, r.Replicas, r.Enabled, r.Outcome, r.Note, r.Fence, l.sim.Now().Sub(epoch))
	return l.write(call,
		func() error { return l.sim.Put(ctx, name, r) },
		func() error { return l.real.Put(ctx, name, l.named(r)) })
}

// SetRoute implements cluster.Cluster. The real client asks nothing before it
// writes a route, so that what it takes for the time is that of its last answer.
// A write that arrives late is stamped so: a difference that is meant, for the
// same is true of every late request.
func (l *lockstep) SetRoute(ctx context.Context, name string, r cluster.Route) error {
	call := fmt.Sprintf("set %s %v %q from %q fence %q, %v", r.Name, r.Weights, r.Note, r.From, r.Fence, l.sim.Now().Sub(epoch))
	to := r
	to.Version = translate(l.versions, r.Version)
	if at := l.clock.last(); !at.IsZero() {
		l.stamps[l.sim.Now().Truncate(time.Second)] = at
	}
	return l.write(call,
		func() error { return l.sim.SetRoute(ctx, name, r) },
		func() error { return l.real.SetRoute(ctx, name, to) })
}

// Delete implements cluster.Cluster.
func (l *lockstep) Delete(ctx context.Context, name string, r cluster.Revision) error {
	call := fmt.Sprintf("delete %s, %v", r.Name, l.sim.Now().Sub(epoch))
	return l.write(call,
		func() error { return l.sim.Delete(ctx, name, r) },
		func() error { return l.real.Delete(ctx, name, l.named(r)) })
}

// write lets both write, and compares what came of it: the answer, and each pod.
func (l *lockstep) write(call string, simulated, found func() error) error {
	l.mirror.sync()
	err := simulated()
	realErr := found()
	l.calls++
	l.part(err, realErr)
	diverges(call, compareErrors(err, realErr)...)
	l.mirror.written(call)
	return err
}

// parted unwinds whoever called where the two go ways of their own, and no more
// is to be compared.
type parted struct{}

// part ends a schedule in which the real client refuses to create a revision
// whose name a Service still selects, since somebody has deleted the one that had
// it: its pods would serve before they are asked. The simulated cluster creates
// it. That is a difference that is known, and not yet mended.
func (l *lockstep) part(simulated, found error) {
	if simulated == nil && errors.Is(found, cluster.ErrRefused) && strings.Contains(found.Error(), "would select its pods as soon as they are ready") {
		panic(parted{})
	}
}

// class is what a caller does about an error.
func class(err error) string {
	for _, of := range []error{nil, cluster.ErrConflict, cluster.ErrRefused, cluster.ErrUnsupported} {
		if errors.Is(err, of) {
			return fmt.Sprint(of)
		}
	}
	return "of unknown effect"
}

func compareErrors(simulated, found error) []string {
	if class(simulated) == class(found) {
		return nil
	}
	return []string{fmt.Sprintf("simulated: %v", simulated), fmt.Sprintf("real: %v", found)}
}
