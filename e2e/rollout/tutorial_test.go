// The tutorial, point by point: what kubectl shows is what it shows there.

package rollout_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

// redblack is the tutorial's pipeline: wait, shrink the old one, destroy it.
func redblack() strategy.RedBlack {
	return strategy.RedBlack{
		Bake: 3 * time.Second, Drain: -1, // the cluster's clock has steps of a second
		Keep: strategy.Retention{Shrink: 3 * time.Second, ShrinkTo: 1, Destroy: 6 * time.Second},
	}
}

// deploy runs, and calls at the first step whose line begins so.
func (w *world) deploy(release string, s strategy.Strategy, at map[string]func()) error {
	w.t.Helper()
	target, err := kube.Target([]byte(second))
	require.NoError(w.t, err)
	target.Release = release
	return w.run(target, s, at)
}

func (w *world) run(target cluster.Target, s strategy.Strategy, at map[string]func()) error {
	w.t.Helper()
	runner := strategy.Runner{Cluster: w.open(), ID: "run-" + w.ns, Poll: 20 * time.Millisecond, Skew: -1, Stay: true}
	last := ""
	runner.Trace = func(e strategy.Event) {
		line := e.String()
		for prefix, see := range at {
			if strings.HasPrefix(line, prefix) {
				delete(at, prefix)
				see()
			}
		}
		if line != last {
			w.t.Log(line)
		}
		last = line
	}
	_, err := runner.Run(w.t.Context(), app, target, s)
	for prefix := range at {
		w.t.Errorf("the run never came to: %s", prefix)
	}
	return err
}

func TestTutorial(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tutorial)
	w.serve(2)
	require.NoError(t, w.deploy("release-2", redblack(), map[string]func(){
		"wait: 0 of 2 pods ready": func() { // a new ReplicaSet next to the old one
			w.eventually("both with two pods", func() bool {
				sets := w.replicaSets()
				return len(sets) == 2 && sets[0] == "imageresizer-v001 2 2 2" && strings.HasPrefix(sets[1], "imageresizer-v002 2 2")
			})
			require.Equal(t, map[string]int{"imageresizer-v001": 2, "imageresizer-v002": 2}, w.pods())
			require.Equal(t, 2, w.endpoints(), "the new one is dark")
		},
		"put imageresizer-v001 x2 off": func() { // in the first seconds both versions are there
			require.Equal(t, []string{"imageresizer-v001 2 2 2", "imageresizer-v002 2 2 2"}, w.replicaSets())
			require.Equal(t, 4, w.endpoints())
		},
		"wait: imageresizer-v002 bakes": func() { // after the move, only the new one
			require.Equal(t, 2, w.endpoints())
			require.Equal(t, map[string]int{"imageresizer-v001 false": 2, "imageresizer-v002 true": 2}, w.traffic())
		},
		"done; due later: delete imageresizer-v001": func() { // one pod of the old one is left
			require.Equal(t, map[string]int{"imageresizer-v001": 1, "imageresizer-v002": 2}, w.pods())
		},
	}))
	require.Equal(t, []string{"imageresizer-v002 2 2 2"}, w.replicaSets(), "the old one is destroyed")
	require.Equal(t, 2, w.endpoints())
	w.held(2)
}

// The tutorial's rollback: the old version's label is turned on again, then the
// new one's off.
func TestTutorialRollback(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tutorial)
	w.serve(2)
	keeps := strategy.RedBlack{Drain: -1}
	require.NoError(t, w.deploy("release-2", keeps, nil))
	require.Equal(t, map[string]int{"imageresizer-v001 false": 2, "imageresizer-v002 true": 2}, w.traffic())

	undo := cluster.Target{Release: "release-2"}
	require.NoError(t, w.run(undo, strategy.Undo(keeps, "something went wrong"), map[string]func(){
		"put imageresizer-v002 x2 off": func() {
			require.Equal(t, map[string]int{"imageresizer-v001 true": 2, "imageresizer-v002 true": 2}, w.traffic())
			require.Equal(t, 4, w.endpoints())
		},
		"put imageresizer-v002 x0 off": func() {
			require.Equal(t, map[string]int{"imageresizer-v001 true": 2, "imageresizer-v002 false": 2}, w.traffic())
			require.Equal(t, 2, w.endpoints())
		},
	}))
	w.eventually("the new one has no pods", func() bool { return len(w.pods()) == 1 })
	require.Equal(t, map[string]int{"imageresizer-v001 true": 2}, w.traffic())
	require.NoError(t, w.run(undo, strategy.Undo(keeps, "again"), nil), "an undo that is run again finds it done")
	w.held(2)
}

// What an upgrade of N pods writes is counted by the apiserver itself.
func TestWritesOfAnUpgrade(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"1", "2", "5"} {
		t.Run(n+" pods", func(t *testing.T) {
			t.Parallel()
			sized := func(s string) string { return strings.ReplaceAll(s, "replicas: 2", "replicas: "+n) }
			w := newWorld(t, sized(tutorial))
			pods := int(n[0] - '0')
			w.serve(pods)
			target, err := kube.Target([]byte(sized(second)))
			require.NoError(t, err)
			target.Release = "release-2"
			settings := strategy.RedBlack{Drain: -1, Keep: strategy.Retention{Shrink: time.Second}}
			require.NoError(t, w.run(target, settings, nil))

			entries, err := plane.Audit(w.ns)
			require.NoError(t, err)
			conflicts := 0
			writes := map[string]int{}
			for _, e := range controlplane.Mutating(entries) {
				if e.Code == 409 {
					conflicts++
					continue
				}
				require.Less(t, e.Code, 300, e.String())
				writes[e.Verb+" "+e.Resource]++
			}
			const on, off, good, shrink = 1, 1, 1, 1
			require.Equal(t, map[string]int{"create replicasets": 1, "patch replicasets": on + off + good + shrink, "patch pods": pods + pods}, writes,
				"%d conflicts apart", conflicts)
			w.held(pods)
		})
	}
}
