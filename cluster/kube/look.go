// Observe: two rounds of reads, and what is remembered of them.

package kube

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	autoscalingv2 "k8s.io/api/autoscaling/v2"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"

	"github.com/cutover-dev/cutover/cluster"
)

// Observe implements [cluster.Cluster]. It makes four requests, where a Deployment
// may be a revision five, and one more for Autoscalers; more only where there are
// more than 500 objects of a kind, and a few in a minute for Budgets and for a
// Reservation. The first look also asks whether everything that may be needed is
// allowed.
//
// Looks at several apps share the requests of the first round, about the workloads
// and Services of the namespace: one that comes while others are being answered
// waits for those that follow. So no more than one round is asked for at a time,
// and none is older than the look.
func (c *Cluster) Observe(ctx context.Context, app string) (cluster.State, error) {
	if err := start(ctx, app); err != nil {
		return cluster.State{}, err
	}
	if err := c.begin(ctx, app); err != nil {
		return cluster.State{}, err
	}
	c.renew(ctx, app)
	r, err := c.enroll(ctx, app)
	if err == nil && r.adopted() {
		err = c.preflight(ctx, adopting())
	}
	if err != nil {
		return cluster.State{}, err
	}
	e, err := c.gather(ctx, r)
	if err != nil {
		return cluster.State{}, err
	}
	s := r.judge(e)
	c.remember(app, r, e, &s)
	return s, nil
}

// first is what the first round has read. Looks of several apps share one, and
// change nothing in it.
type first struct {
	sets, deployments []*workload
	services          []corev1.Service
	scalers           []autoscalingv2.HorizontalPodAutoscaler
	at                place // of the ReplicaSets
}

// of returns the workloads of a kind.
func (f *first) of(kind Kind) []*workload {
	if kind == Deployment {
		return f.deployments
	}
	return f.sets
}

// read is the first round: what writes are compared with.
func (c *Cluster) read(ctx context.Context) (*first, error) {
	var f first
	work := []func(context.Context) error{
		func(ctx context.Context) (err error) {
			f.sets, err = c.api.workloads(ctx, ReplicaSet, &f.at)
			return
		},
		func(ctx context.Context) (err error) {
			f.services, err = list[corev1.Service](ctx, c.api, services, "", nil)
			return
		},
	}
	if c.options.Kind == Deployment || c.options.mayAdopt() {
		work = append(work, func(ctx context.Context) (err error) {
			f.deployments, err = c.api.workloads(ctx, Deployment, nil)
			return
		})
	}
	if c.options.Autoscalers {
		work = append(work, func(ctx context.Context) (err error) {
			f.scalers, err = list[autoscalingv2.HorizontalPodAutoscaler](ctx, c.api, autoscalers, "", nil)
			return
		})
	}
	if err := together(ctx, work...); err != nil {
		return nil, err
	}
	return &f, nil
}

// workloads lists those of a kind.
func (a *api) workloads(ctx context.Context, kind Kind, at *place) ([]*workload, error) {
	raws, err := list[json.RawMessage](ctx, a, kind.resource(), "", at)
	if err != nil {
		return nil, err
	}
	return readAll(kind, raws)
}

// enroll finds out who takes part, by a first round that begins after it is asked
// for: an older one may not have the last write in it.
func (c *Cluster) enroll(ctx context.Context, app string) (*roster, error) {
	f, err := c.firsts.do(ctx, c.read)
	if err != nil && ctx.Err() != nil {
		return nil, fmt.Errorf("kube: app %q: list what is in namespace %s: %w", app, c.options.Namespace, context.Cause(ctx))
	}
	if err != nil {
		return nil, err
	}
	r, err := enroll(app, c.options, c.options.candidates(app, f.sets, f.deployments, f.services), f.sets, f.services)
	if err != nil {
		return nil, err
	}
	r.recruit(f.scalers, f.of(c.options.Kind))
	if query := r.setQuery(); query != "" {
		r.place = place{replicaSets, query, f.at.version}
	}
	return r, nil
}

// gather is the second round: what justifies writes. Nobody's pods are read as
// far as labels can tell.
func (c *Cluster) gather(ctx context.Context, r *roster) (evidence, error) {
	var e evidence
	var places [2]place
	var work []func(context.Context) error
	if len(r.revisions) > 0 {
		work = append(work, func(ctx context.Context) (err error) {
			e.pods, err = list[corev1.Pod](ctx, c.api, pods, r.podQuery(), &places[0])
			return
		})
	}
	if len(r.routes) > 0 {
		work = append(work, func(ctx context.Context) (err error) {
			e.slices, err = list[discoveryv1.EndpointSlice](ctx, c.api, endpointSlices, r.sliceQuery(), &places[1])
			return
		})
	}
	work = append(work, func(ctx context.Context) error {
		e.budgets = c.readBudgets(ctx)
		return nil
	})
	if err := together(ctx, work...); err != nil {
		return e, err
	}
	e.places = append(places[:], r.place)
	if e.at = c.api.clock.now(); e.at.IsZero() {
		return e, fmt.Errorf("kube: app %q: %w", r.app, errors.New("the apiserver's answers have no Date header, so that there is no clock to go by"))
	}
	return e, nil
}
