// Laws of what a look shows, and of creating.

package clustertest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"github.com/cutover-dev/cutover/cluster"
)

func neverDeployed(t *trial) {
	if s := t.look(); len(s.Revisions) > 0 {
		t.breach("a new app shows %s", names(s))
	}
}

// can: also that what it says fits the routes that are there.
func can(t *trial) {
	s := t.look()
	if s.Can != t.can {
		t.breach("it says %+v, the suite was told %+v", s.Can, t.can)
	}
	if routed(t.can) == s.Worker() {
		t.breach("it says %+v and shows %d traffic routes", s.Can, len(s.Traffic()))
	}
}

// createdAsPut: for the release and for an arm of it. The Template is not
// compared: the cluster may show it otherwise than it was sent. The Fence may
// take until the pods carry it too.
func createdAsPut(t *trial) {
	plain := t.revision(7, 2)
	plain.Note, plain.Fence = "step 1", "run-1"
	arm := t.revision(7, 0)
	arm.Name, arm.Arm = cluster.RevisionName(t.App, 7, "baseline"), "baseline"
	arm.Enabled = false
	arm.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "an arm"}
	for _, r := range []cluster.Revision{plain, arm} {
		found := t.create(r)
		if found.UID == "" || found.Version == "" {
			t.breach("%s has uid %q and version %q", r.Name, found.UID, found.Version)
		}
		if found.Created.IsZero() {
			t.breach("%s has no time of creation", r.Name)
		}
		if found.Behind {
			found.Fence = t.settled(r.Name).Fence
		}
		want := keep(r)
		want.uid, want.created, want.template = found.UID, keep(found).created, string(found.Template)
		if !labels(t.can) {
			want.enabled = found.Enabled // found in the routes
		}
		if keep(found) != want {
			t.breach("%s\nput   %+v\nfound %+v", r.Name, want, keep(found))
		}
	}
}

// ownWrites: the very next look. Pods and endpoints are not asked for, they
// follow when they do.
func ownWrites(t *trial) {
	r := t.create(t.revision(1, 0))
	for i := range 5 {
		want := fmt.Sprintf("write %d", i)
		r = t.change(r.Name, func(r *cluster.Revision) { r.Note = want })
		if r.Note != want {
			t.breach("note %q was put, the next look shows %q", want, r.Note)
		}
	}
	for _, route := range t.look().Routes {
		if got := t.set(route.Name, func(r *cluster.Route) { r.Note = "written" }); got.Note != "written" {
			t.breach("a note was set on %s, the next look shows %q", route.Name, got.Note)
		}
	}
}

func createdOnce(t *trial) {
	r := t.revision(1, 0)
	was := t.create(r)
	second := t.revision(1, 1)
	second.Release, second.Template, second.Note = "another", t.Template("another"), "second"
	t.mustBe(t.Cluster.Put(t.ctx, t.App, second), cluster.ErrConflict, "create %s again", r.Name)
	t.unchanged(was, "a second create")
}

// racingCreates: exactly one is answered with nil, and its revision is found.
func racingCreates(t *trial) {
	const n = 8
	errs := race(n, func(i int) error {
		r := t.revision(1, 0)
		r.Release = fmt.Sprintf("racer-%d", i)
		return t.Cluster.Put(t.ctx, t.App, r)
	})
	winner := ""
	for i, err := range errs {
		switch {
		case err == nil && winner != "":
			t.breach("%s and racer-%d both created the name", winner, i)
		case err == nil:
			winner = fmt.Sprintf("racer-%d", i)
		default:
			t.mustBe(err, cluster.ErrConflict, "create, as racer-%d", i)
		}
	}
	if found := t.found(t.revision(1, 0).Name); found.Release != winner {
		t.breach("%q created the name, found is the release %q", winner, found.Release)
	}
}

// race makes n calls at once and returns what each came to.
func race(n int, call func(i int) error) []error {
	errs := make([]error, n)
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			errs[i] = call(i)
		}()
	}
	all.Wait()
	return errs
}

// foundTemplate: nobody outside can see that the pods are the same, only that
// they get ready.
func foundTemplate(t *trial) {
	first := t.create(t.revision(1, 1))
	again := t.revision(2, 1)
	again.Template = first.Template
	t.ready(again)
}

// order: by number, not by name, whatever the order of creation.
func order(t *trial) {
	arm := t.revision(20, 0)
	arm.Name, arm.Arm = cluster.RevisionName(t.App, 20, "baseline"), "baseline"
	for _, r := range []cluster.Revision{t.revision(1000, 0), arm, t.revision(20, 0), t.revision(3, 0), t.revision(300, 0)} {
		t.create(r)
	}
	s := t.look()
	var got []string
	for _, r := range s.Revisions {
		got = append(got, fmt.Sprint(r.Seq, r.Arm))
	}
	if want := []string{"3", "20", "20baseline", "300", "1000"}; !slices.Equal(got, want) {
		t.breach("want %q, got %q", want, got)
	}
	if !slices.IsSortedFunc(s.Routes, func(x, y cluster.Route) int { return strings.Compare(x.Name, y.Name) }) {
		t.breach("the routes are not by name")
	}
}

// apart: revisions. Two apps may share a route.
func apart(t *trial) {
	r := t.revision(1, 0)
	r.Name = cluster.RevisionName(t.Other, 1, "")
	t.must(t.Cluster.Put(t.ctx, t.Other, r), "create %s", r.Name)
	if s := t.look(); len(s.Revisions) > 0 {
		t.breach("%s shows %s, which is of %s", t.App, names(s), t.Other)
	}
	mine := t.create(t.revision(1, 0))
	if s := t.lookAt(t.Other); len(s.Revisions) != 1 || s.Revisions[0].Name != r.Name {
		t.breach("%s, with %s alone, shows %s", t.Other, r.Name, names(s))
	}
	t.unchanged(mine, "a look at "+t.Other)
}

// value: what a caller does to a State is not seen by the next look.
func value(t *trial) {
	r := t.ready(t.revision(1, 1))
	before := t.serve(r.Name)
	was, serving := clone(t.in(before, r.Name)), servings(before)
	for i := range before.Revisions {
		spoil(before.Revisions[i].Template)
		before.Revisions[i] = cluster.Revision{}
	}
	for _, route := range before.Routes {
		clear(route.Serving)
		clear(route.Weights)
	}
	t.unchanged(was, "its caller, in a State")
	if now := servings(t.look()); !slices.EqualFunc(now, serving, maps.Equal[map[string]int]) {
		t.breach("serving was %v before a caller changed its own State, then %v", serving, now)
	}
}

// servings copies what a look shows of the routes.
func servings(s cluster.State) []map[string]int {
	var all []map[string]int
	for _, r := range s.Routes {
		n := map[string]int{}
		for name, serving := range r.Serving {
			if serving != 0 {
				n[name] = serving
			}
		}
		all = append(all, n)
	}
	return all
}

func spoil(b []byte) {
	for i := range b {
		b[i] = '!'
	}
}

// given: a Template and Weights that the caller goes on to use.
func given(t *trial) {
	r := t.revision(1, 0)
	sent := clone(r)
	was := clone(t.create(r))
	if string(r.Template) != string(sent.Template) {
		t.breach("put changed the template that it was given")
	}
	spoil(r.Template)
	t.unchanged(was, "its caller, in what was given to put")
	if !named(t.can) {
		return
	}
	weights := map[string]int{r.Name: 100}
	route := t.set(t.route().Name, func(route *cluster.Route) { route.Weights = weights })
	if !maps.Equal(weights, map[string]int{r.Name: 100}) {
		t.breach("SetRoute changed the weights that it was given to %v", weights)
	}
	route.Weights = maps.Clone(route.Weights)
	clear(weights)
	t.unmoved(route, "its caller, in what was given to SetRoute")
}

// canceled: before a call has begun. One that is canceled on its way may do
// anything.
func canceled(t *trial) {
	ctx, cancel := context.WithCancel(t.ctx)
	cancel()
	was := t.create(t.revision(1, 0))
	changed := clone(was)
	changed.Note = "canceled"
	_, observed := t.Cluster.Observe(ctx, t.App)
	calls := map[string]error{
		"observe": observed,
		"create":  t.Cluster.Put(ctx, t.App, t.revision(2, 0)),
		"put":     t.Cluster.Put(ctx, t.App, changed),
		"delete":  t.Cluster.Delete(ctx, t.App, was),
	}
	for _, route := range t.look().Routes {
		set := route
		set.Note = "canceled"
		calls["set a route"] = t.Cluster.SetRoute(ctx, t.App, set)
		t.unmoved(route, "a canceled call")
	}
	for _, call := range slices.Sorted(maps.Keys(calls)) {
		if err := calls[call]; err == nil {
			t.breach("%s with a canceled context is answered with nil", call)
		} else if errors.Is(err, cluster.ErrConflict) || errors.Is(err, cluster.ErrRefused) {
			t.breach("%s with a canceled context: %v", call, err)
		}
	}
	t.unchanged(was, "a canceled call")
	t.gone(t.revision(2, 0).Name, "a canceled create")
}
