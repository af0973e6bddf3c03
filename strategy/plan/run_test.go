// A plan is what the run then does.

package plan_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/plan"
)

// The plan is what the run then does: the same steps at the same times, the same
// writes, the same end.
func TestThePlanIsTheRun(t *testing.T) {
	asked := false
	keep := strategy.Retention{Shrink: time.Minute, ShrinkTo: 1, Destroy: time.Hour}
	rb := strategy.RedBlack{Before: gate{&asked}, After: gate{&asked}, Bake: time.Minute, Keep: keep}
	bg := strategy.BlueGreen{Before: gate{&asked}, After: gate{&asked}, Bake: time.Minute, Keep: keep}
	overlap := bg
	overlap.Overlap = strategy.Always
	never := rb
	never.Ready = 5 * time.Second
	sweep := cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true}}
	worker := strategy.Func(func(in strategy.Input) strategy.Step {
		r := strategy.Rules{}
		return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
	})
	one := func(_ *testing.T, w *fake.Cluster) { found(w, 1, true) }
	cases := []struct {
		name  string
		can   cluster.Can
		start func(*testing.T, *fake.Cluster)
		to    cluster.Target
		how   strategy.Strategy
		stay  bool
	}{
		{name: "red-black", can: labels, start: one, to: release("2"), how: rb},
		{name: "red-black first", can: labels, start: func(*testing.T, *fake.Cluster) {}, to: cluster.Target{Release: "1", Template: []byte("1"), Replicas: 3}, how: rb},
		{name: "red-black third", can: labels, start: func(t *testing.T, w *fake.Cluster) { deployed(t, w, rb) }, to: release("3"), how: rb},
		{name: "red-black undo", can: labels, start: func(t *testing.T, w *fake.Cluster) { deployed(t, w, rb) }, to: release("2"), how: strategy.Undo(rb, "errors")},
		{name: "red-black again", can: labels, start: func(t *testing.T, w *fake.Cluster) { deployed(t, w, rb) }, to: release("2"), how: rb},
		{name: "red-black stays", can: labels, start: one, to: release("2"), how: rb, stay: true},
		{name: "red-black too slow", can: labels, start: one, to: release("2"), how: never},
		{name: "red-black unfit", can: selector, start: one, to: release("2"), how: rb},
		{name: "blue-green", can: selector, start: one, to: release("2"), how: bg},
		{name: "blue-green overlap", can: selector, start: one, to: release("2"), how: overlap},
		{name: "blue-green overlap third", can: selector, start: func(t *testing.T, w *fake.Cluster) { deployed(t, w, strategy.BlueGreen{}) }, to: release("3"), how: overlap},
		{name: "blue-green undo", can: selector, start: func(t *testing.T, w *fake.Cluster) { deployed(t, w, bg) }, to: release("2"), how: strategy.Undo(bg, "errors")},
		{name: "worker", start: one, to: release("2"), how: worker},
		{name: "cleanup", can: labels, start: func(t *testing.T, w *fake.Cluster) {
			found(w, 1, true)
			found(w, 2, false)
			w.FlipPod("web", "web-v002")
			require.NoError(t, w.Sleep(context.Background(), time.Minute))
		}, to: release("(cleanup)"), how: sweep},
		{name: "cleanup selector", can: selector, start: func(_ *testing.T, w *fake.Cluster) { found(w, 1, true); found(w, 2, true) }, to: release("(cleanup)"), how: sweep},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			of := world(c.can)
			of.Worker = c.can == cluster.Can{}
			w := fake.New(of)
			c.start(t, w)
			w.Forget() // what looked until now was another process
			asked = false
			p := planned(t, w, strategy.Runner{Stay: c.stay}, c.to, c.how)
			require.Equal(t, p, planned(t, w, strategy.Runner{Stay: c.stay}, c.to, c.how), "the same look makes the same plan")
			require.False(t, asked, "a plan asks no gate")
			requireSame(t, p, w, strategy.Runner{Cluster: w, Stay: c.stay}, c.to, c.how)
			require.Equal(t, asked, len(p.Gates) > 0, "what the run asks is listed: %v", p.Gates)
		})
	}
}

// requireSame runs what was planned over the world that was looked at.
func requireSame(t *testing.T, p plan.Plan, w *fake.Cluster, r strategy.Runner, to cluster.Target, how strategy.Strategy) {
	t.Helper()
	began, had := w.Now(), w.Written()
	var steps []string
	last, fresh := had, 0 // writes, and the first step that may be taken again since the last of them
	r.Trace = func(e strategy.Event) {
		if w.Written() > last {
			last, fresh = w.Written(), max(0, len(steps)-1)
		}
		line := e.Step.String()
		for _, told := range steps[fresh:] {
			if strings.HasSuffix(told, " "+line) {
				return
			}
		}
		steps = append(steps, fmt.Sprintf("%v %s", w.Now().Sub(began), line))
	}
	done, err := r.Run(context.Background(), "web", to, how)

	var plannedSteps []string
	for _, s := range p.Steps {
		plannedSteps = append(plannedSteps, fmt.Sprintf("%v %v", s.At, s.Step))
	}
	require.Equal(t, steps, plannedSteps)
	require.Equal(t, seen(w.Writes()[had:]), written(p))
	require.Equal(t, done, p.Done)
	require.Equal(t, fmt.Sprint(err), fmt.Sprint(p.Err))
	require.Equal(t, w.Now().Sub(began), p.Takes)
	s := w.State("web")
	serves := map[string]int{}
	for _, rev := range s.Revisions {
		if n := s.Exposed(rev.Name); n > 0 {
			serves[rev.Name] = n
		}
	}
	require.Equal(t, serves, p.Serves)
	require.Equal(t, p.Takes, p.Both+p.One+p.None)
}

// seen is what a world was written, without the names of pods.
func seen(writes []fake.Write) []string {
	var all []string
	for _, w := range writes {
		if w.Kind == "pod" {
			w.Object = "of " + w.Object[:strings.LastIndex(w.Object, "-")]
		}
		all = append(all, w.String())
	}
	return all
}

// written is what a plan writes.
func written(p plan.Plan) []string {
	var all []string
	for _, w := range p.Writes() {
		all = append(all, w.String())
	}
	return all
}
