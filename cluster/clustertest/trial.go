// What laws are made of: looks, writes and waits that end the trial when they
// do not go as they must.

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// poll is how long a trial waits between two looks.
const poll = 250 * time.Millisecond

// tick is long enough for every clock to have moved on, in steps of a second.
const tick = 2500 * time.Millisecond

// A trial is one law being tried in one world.
type trial struct {
	World
	ctx context.Context
	can cluster.Can
}

// A breach ends a trial: the law is broken.
type breach string

// stopped ends a trial: the suite could not go on.
type stopped struct{ error }

// breach ends the trial with what was done and found.
func (t *trial) breach(format string, args ...any) { panic(breach(fmt.Sprintf(format, args...))) }

// must ends the trial if a call failed that the contract lets succeed. That it
// failed because the suite was canceled is no breach.
func (t *trial) must(err error, doing string, args ...any) {
	if err == nil {
		return
	}
	if t.ctx.Err() != nil {
		panic(stopped{t.ctx.Err()})
	}
	t.breach("%s: %v", fmt.Sprintf(doing, args...), err)
}

// mustBe ends the trial unless a call failed as it has to.
func (t *trial) mustBe(err, target error, doing string, args ...any) {
	if t.ctx.Err() != nil {
		panic(stopped{t.ctx.Err()})
	}
	if !errors.Is(err, target) {
		t.breach("%s: want %q, got: %v", fmt.Sprintf(doing, args...), target, err)
	}
}

func (t *trial) sleep(d time.Duration) {
	if err := t.Sleep(t.ctx, d); err != nil {
		panic(stopped{err})
	}
}

// A look.

func (t *trial) look() cluster.State { return t.lookAt(t.App) }

func (t *trial) lookAt(app string) cluster.State {
	s, err := t.Cluster.Observe(t.ctx, app)
	t.must(err, "observe %s", app)
	return s
}

// found returns the revision as a look shows it now.
func (t *trial) found(name string) cluster.Revision { return t.in(t.look(), name) }

// in returns the revision in this look.
func (t *trial) in(s cluster.State, name string) cluster.Revision {
	r, ok := s.Named(name)
	if !ok {
		t.breach("%s is not found among %s", name, names(s))
	}
	return r
}

// gone ends the trial if the revision is there.
func (t *trial) gone(name, after string) {
	if _, ok := t.look().Named(name); ok {
		t.breach("%s is found after %s", name, after)
	}
}

// until looks until ok, and returns that look.
func (t *trial) until(what string, ok func(cluster.State) bool) cluster.State {
	return t.drive(what, ok, func(cluster.State) {})
}

// drive looks until ok, and does something after every look that is not.
func (t *trial) drive(what string, ok func(cluster.State) bool, do func(cluster.State)) cluster.State {
	s := t.look()
	for range t.turns() {
		if ok(s) {
			return s
		}
		do(s)
		t.sleep(poll)
		s = t.look()
	}
	t.breach("after %v still not: %s; the last look shows %s", t.Patience, what, describe(s))
	return s
}

func (t *trial) turns() int { return max(1, int(t.Patience/poll)) }

// A revision.

// revision returns what the trial puts: enabled, with a Release and a Template
// of its own.
func (t *trial) revision(seq int64, replicas int) cluster.Revision {
	release := fmt.Sprintf("release-%d", seq)
	return cluster.Revision{
		Name: cluster.RevisionName(t.App, seq, ""), Release: release, Seq: seq,
		Template: t.Template(release), Replicas: replicas, Enabled: true,
	}
}

// create puts a new revision and returns it as the next look shows it.
func (t *trial) create(r cluster.Revision) cluster.Revision {
	t.must(t.Cluster.Put(t.ctx, t.App, r), "create %s", r.Name)
	return t.found(r.Name)
}

// ready creates a revision and waits until its pods are as wanted.
func (t *trial) ready(r cluster.Revision) cluster.Revision {
	t.create(r)
	return t.settled(r.Name)
}

// settled waits until the revision's pods are as wanted and its Version rests:
// what the cluster itself writes to an object may change that.
func (t *trial) settled(name string) cluster.Revision {
	version := ""
	s := t.until(name+" rests with its pods as wanted", func(s cluster.State) bool {
		r := t.in(s, name)
		rests := r.Version == version
		version = r.Version
		return rests && r.Pods == r.Replicas && r.Ready == r.Replicas && still(r)
	})
	return t.in(s, name)
}

// change puts the revision as it is found but for what edit does, and returns
// it as the next look shows it. A conflict is tried again: the cluster itself
// may have written.
func (t *trial) change(name string, edit func(*cluster.Revision)) cluster.Revision {
	for range t.turns() {
		r := t.found(name)
		edit(&r)
		err := t.Cluster.Put(t.ctx, t.App, r)
		if !errors.Is(err, cluster.ErrConflict) {
			t.must(err, "put %s", name)
			return t.found(name)
		}
		t.sleep(poll)
	}
	t.breach("put %s: a conflict with every version that was found", name)
	return cluster.Revision{}
}

// still reports that the revision owes nothing: no pod to be put, none to be
// born otherwise.
func still(r cluster.Revision) bool { return r.Unsettled == 0 && !r.Behind }

// driven changes the revision, puts the same again whenever a look shows a pod
// unsettled, and waits until it is still.
func (t *trial) driven(name string, edit func(*cluster.Revision)) {
	t.change(name, edit)
	done := func(s cluster.State) bool { return still(t.in(s, name)) }
	t.drive(name+" is settled by repeated puts", done, func(s cluster.State) {
		if t.in(s, name).Unsettled > 0 {
			t.change(name, edit)
		}
	})
}

// remove deletes the revision as it is found and waits until it is gone.
func (t *trial) remove(name string) {
	t.drive(name+" is deleted", func(s cluster.State) bool {
		_, there := s.Named(name)
		return !there
	}, func(s cluster.State) {
		err := t.Cluster.Delete(t.ctx, t.App, t.in(s, name))
		if !errors.Is(err, cluster.ErrConflict) {
			t.must(err, "delete %s", name)
		}
	})
}

// A route.

// route returns the first traffic route that a look shows.
func (t *trial) route() cluster.Route {
	routes := t.look().Traffic()
	if len(routes) == 0 {
		t.breach("the app has no traffic route though traffic can be moved")
	}
	return routes[0]
}

// routeNamed returns the route as a look shows it now.
func (t *trial) routeNamed(name string) cluster.Route {
	s := t.look()
	for _, r := range s.Routes {
		if r.Name == name {
			return r
		}
	}
	t.breach("route %s is not found", name)
	return cluster.Route{}
}

// set sets the route as it is found but for what edit does.
func (t *trial) set(name string, edit func(*cluster.Route)) cluster.Route {
	for range t.turns() {
		r := t.routeNamed(name)
		edit(&r)
		err := t.Cluster.SetRoute(t.ctx, t.App, r)
		if !errors.Is(err, cluster.ErrConflict) {
			t.must(err, "set %s", name)
			return t.routeNamed(name)
		}
		t.sleep(poll)
	}
	t.breach("set %s: a conflict with every version that was found", name)
	return cluster.Route{}
}

// serve makes every traffic route bring traffic to this revision alone, where
// routes choose, and waits until its pods serve.
func (t *trial) serve(name string) cluster.State {
	if named(t.can) {
		for _, r := range t.look().Traffic() {
			t.set(r.Name, func(r *cluster.Route) { r.Weights = map[string]int{name: 100} })
		}
	}
	return t.until(name+" serves with all its pods", func(s cluster.State) bool {
		r := t.in(s, name)
		return r.Ready == r.Replicas && s.ReliedOn(name) == r.Replicas
	})
}
