// What is run, in which world, and how it has to end.

package faulted_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A scenario is one rollout or cleanup.
type scenario struct {
	name    string
	mode    kube.Mode
	prepare func(*world)
	run     func(context.Context, strategy.Runner, *world) error
	fails   bool              // the gate of the release says so
	ends    func(error) bool  // whether a run that nobody disturbs ends so
	alone   string            // the revision that has all the traffic then
	leaves  map[string]string // the revisions that are there then, with their outcomes; nil: it depends
	creates int               // of an undisturbed run
	calls   calls             // of an undisturbed run, about
	rollout bool              // of release 2

	// What is done after the first run, if it is something else; that one then
	// always dies while a write is under way, which lands when all is over.
	after func(context.Context, strategy.Runner, *world) error
}

// calls are how many requests there are of a class, about: where to draw faults.
type calls struct{ writes, lists, watches int }

func (c calls) all() int { return c.writes*2 + c.lists + c.watches + 10 }

// runner is one that does not wait for people.
func runner(c cluster.Cluster) strategy.Runner {
	return strategy.Runner{Cluster: c, Poll: 50 * time.Millisecond, Skew: -1, GiveUp: 20 * time.Second, Stay: true}
}

const release = "release-2"

func target(version, release string, mode kube.Mode) (cluster.Target, error) {
	target, err := kube.Target([]byte(set("web", version, mode, true)))
	target.Release, target.Replicas = release, replicas
	return target, err
}

// deploy is a whole rollout of a version.
func deploy(ctx context.Context, r strategy.Runner, w *world, version, release string, s strategy.Strategy) error {
	target, err := target(version, release, w.mode)
	if err != nil {
		return err
	}
	_, err = r.Run(ctx, app, target, s)
	return err
}

// way is the strategy of a mode, with this gate for what is in traffic.
func way(mode kube.Mode, after health.Gate) strategy.Strategy {
	const drain, unready = time.Second, 15 * time.Second
	keep := strategy.Retention{Shrink: time.Second, ShrinkTo: 1}
	if mode == kube.Labels {
		return strategy.RedBlack{Ready: unready, Judge: unready, After: after, Drain: drain, Keep: keep}
	}
	return strategy.BlueGreen{Ready: unready, Judge: unready, After: after, Drain: drain, Keep: keep}
}

// bad is a gate that nothing passes.
type bad struct{}

func (bad) Check(context.Context, health.Look) (health.Verdict, string, error) {
	return health.Fail, "its answers are wrong", nil
}

func upgrade(ctx context.Context, r strategy.Runner, w *world) error {
	return deploy(ctx, r, w, "2", release, way(w.mode, nil))
}

func failing(ctx context.Context, r strategy.Runner, w *world) error {
	return deploy(ctx, r, w, "2", release, way(w.mode, w.gate))
}

func undo(ctx context.Context, r strategy.Runner, w *world) error {
	return deploy(ctx, r, w, "2", release, strategy.Undo(way(w.mode, nil), "errors in checkout"))
}

func clean(ctx context.Context, r strategy.Runner, _ *world) error {
	_, err := cleanup.Run(ctx, r, app, cleanup.Policy{RunFailed: true, Drain: time.Second})
	return err
}

func succeeds(err error) bool { return err == nil }

func givenUp(err error) bool {
	var abort *strategy.AbortError
	return errors.As(err, &abort) && abort.Kind == strategy.Failed
}

// takenBack reports whether there is nothing left of a release: it was undone, or
// never came to a revision.
func takenBack(err error) bool {
	var abort *strategy.AbortError
	return err == nil || errors.As(err, &abort) && abort.Kind == strategy.Unfit
}

// half makes a second version by hand, whose first so many pods have traffic, and
// takes it from so many of the first version's.
func half(on, off int) func(*world) {
	return func(w *world) {
		w.apply(set(newer, "2", w.mode, on > 0))
		if w.mode == kube.Labels {
			w.eventually("the second version is there", func() bool { return len(w.pods(newer)) == replicas })
			for i, name := range w.pods(newer) {
				w.label(name, i < on)
			}
			if off > 0 {
				require.NoError(w.t, w.patch("replicasets", old, fmt.Sprintf(`{"spec":{"template":{"metadata":{"labels":{%q:"false"}}}}}`, traffic)))
			}
			for _, name := range w.pods(old)[:off] {
				w.label(name, false)
			}
		}
		want := map[string]int{}
		if off < replicas {
			want[old] = replicas - off
		}
		if on > 0 {
			want[newer] = on
		}
		w.eventually(fmt.Sprint("the half-state ", want), func() bool { return maps.Equal(w.served(), want) && len(w.pods(newer)) == replicas })
	}
}

// label gives a pod traffic, or takes it.
func (w *world) label(pod string, on bool) {
	w.t.Helper()
	require.NoError(w.t, w.patch("pods", pod, fmt.Sprintf(`{"metadata":{"labels":{%q:"%t"}}}`, traffic, on)))
}

// upgraded is a world in which release 2 is good.
func upgraded(w *world) { require.NoError(w.t, upgrade(w.t.Context(), runner(w.open()), w)) }

func scenarios() []scenario {
	redblack, bluegreen, cleans := calls{12, 60, 15}, calls{5, 60, 25}, calls{3, 10, 3}
	noted := func(before, after string) map[string]string { return map[string]string{old: before, newer: after} } // in selector mode what was before is noted on the Service
	return []scenario{
		{name: "red-black", mode: kube.Labels, run: upgrade, ends: succeeds, alone: newer, leaves: noted("good", "good"), creates: 1, calls: redblack, rollout: true},
		{name: "blue-green", mode: kube.Selector, run: upgrade, ends: succeeds, alone: newer, leaves: noted("", "good"), creates: 1, calls: bluegreen, rollout: true},
		{name: "red-black-fails", mode: kube.Labels, run: failing, fails: true, ends: givenUp, alone: old, leaves: noted("good", "failed"), creates: 1, calls: redblack, rollout: true},
		{name: "blue-green-fails", mode: kube.Selector, run: failing, fails: true, ends: givenUp, alone: old, leaves: noted("", "failed"), creates: 1, calls: bluegreen, rollout: true},
		{name: "red-black-undo", mode: kube.Labels, prepare: upgraded, run: undo, ends: succeeds, alone: old, leaves: noted("good", "failed"), calls: redblack},
		{name: "blue-green-undo", mode: kube.Selector, prepare: upgraded, run: undo, ends: succeeds, alone: old, leaves: noted("", "failed"), calls: bluegreen},
		{name: "red-black-dies", mode: kube.Labels, run: upgrade, after: undo, ends: takenBack, alone: old, creates: 1, calls: redblack},
		{name: "blue-green-dies", mode: kube.Selector, run: upgrade, after: undo, ends: takenBack, alone: old, creates: 1, calls: bluegreen},
		{name: "cleanup-dark", mode: kube.Labels, prepare: half(0, 0), run: clean, ends: succeeds, alone: old, leaves: map[string]string{old: ""}, calls: cleans},
		{name: "cleanup-enabling", mode: kube.Labels, prepare: half(1, 0), run: clean, ends: succeeds, alone: old, leaves: map[string]string{old: ""}, calls: cleans},
		{name: "cleanup-disabling", mode: kube.Labels, prepare: half(3, 1), run: clean, ends: succeeds, alone: newer, leaves: map[string]string{newer: ""}, calls: cleans},
		{name: "cleanup-selector", mode: kube.Selector, prepare: half(0, 0), run: clean, ends: succeeds, alone: old, leaves: map[string]string{old: ""}, calls: cleans},
	}
}
