// What a plan calls, what its figures are, and how it ends.

package plan_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/plan"
)

// assumed is how fast the worlds of these tests really are.
var assumed = plan.Assumptions{Ready: 7 * time.Second, Follow: 2 * time.Second, Endpoints: 3 * time.Second, Grace: 20 * time.Second, Batch: 2}

func world(can cluster.Can) fake.World {
	return fake.World{Can: can, Boot: assumed.Ready, Lag: assumed.Follow, EndpointLag: assumed.Endpoints, Grace: assumed.Grace, Batch: assumed.Batch}
}

var (
	labels   = cluster.Can{Enable: true}
	selector = cluster.Can{Select: true}
)

// watched is a Cluster of which a plan may call Observe, once, and nothing else.
type watched struct {
	t     *testing.T
	inner *fake.Cluster
	looks int
}

func (w *watched) Observe(ctx context.Context, app string) (cluster.State, error) {
	w.looks++
	return w.inner.Observe(ctx, app)
}

func (w *watched) Put(context.Context, string, cluster.Revision) error {
	return w.called("Put")
}

func (w *watched) SetRoute(context.Context, string, cluster.Route) error {
	return w.called("SetRoute")
}

func (w *watched) Delete(context.Context, string, cluster.Revision) error {
	return w.called("Delete")
}

func (w *watched) Await(context.Context, string, time.Duration) error { return w.called("Await") }

func (w *watched) Now() time.Time {
	_ = w.called("Now")
	return time.Time{}
}

func (w *watched) Sleep(context.Context, time.Duration) error { return w.called("Sleep") }

func (w *watched) called(what string) error {
	w.t.Errorf("a plan has called %s", what)
	return errors.New(what + " was called")
}

// planned is the plan of a run over w, held to the promise that it touches
// nothing.
func planned(t *testing.T, w *fake.Cluster, r strategy.Runner, to cluster.Target, how strategy.Strategy) plan.Plan {
	t.Helper()
	before, writes, now := w.State("web"), w.Written(), w.Now()
	real := &watched{t: t, inner: w}
	r.Cluster, r.Clock, r.Trace = real, real, func(strategy.Event) { t.Error("a plan has called Trace") }
	p, err := plan.Of(context.Background(), r, "web", to, how, assumed)
	require.NoError(t, err)
	require.Equal(t, 1, real.looks, "one look")
	require.Equal(t, before, w.State("web"))
	require.Equal(t, writes, w.Written())
	require.Equal(t, now, w.Now())
	return p
}

// A gate passes when a run asks it, and fails the test when a plan does.
type gate struct{ asked *bool }

func (g gate) Check(context.Context, health.Look) (health.Verdict, string, error) {
	*g.asked = true
	return health.Pass, "", nil
}

func release(name string) cluster.Target {
	return cluster.Target{Release: name, Template: []byte(name)}
}

// found puts a revision there that serves with three pods.
func found(w *fake.Cluster, seq int64, enabled bool) {
	name := cluster.RevisionName("web", seq, "")
	w.AddFound("web", cluster.Revision{Name: name, Seq: seq, Replicas: 3, Enabled: enabled, Template: []byte(name)})
}

// deployed has release 2 deployed over what was found.
func deployed(t *testing.T, w *fake.Cluster, how strategy.Strategy) {
	found(w, 1, true)
	_, err := strategy.Runner{Cluster: w}.Run(context.Background(), "web", release("2"), how)
	require.NoError(t, err)
	require.NoError(t, w.Sleep(context.Background(), time.Hour))
}

// The figures of a plan, of one that can be reckoned by hand. The old revision
// serves with three. The new one's three pods are made at 2 s (the controller
// follows) and ready at 9 s, which the look at 10 s sees; its endpoints come 3 s
// after they are on, at 13 s. The look at 14 s sees them, and takes the old one's, which are
// gone at 17 s.
func TestTheFiguresOfAPlan(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	p := planned(t, w, strategy.Runner{}, release("2"), strategy.RedBlack{})
	require.NoError(t, p.Err)
	require.Equal(t, plan.Pods{Wanted: 3, Exist: 3}, p.Now)
	require.Equal(t, plan.Pods{Wanted: 6, Exist: 6}, p.Most)
	require.Equal(t, 3, p.Least)
	require.Equal(t, 4*time.Second, p.Both, "from 13 s until 17 s")
	require.Zero(t, p.None)
	require.Len(t, p.Writes(), 1+(1+3)+(1+3)+1, "create, on, off, good")
	require.Equal(t, map[string]int{"web-v002": 3}, p.Serves)
	i := slices.IndexFunc(p.Steps, func(s plan.Step) bool { return strings.HasPrefix(s.Step.String(), "put web-v002 x3 on") })
	require.Equal(t, 10*time.Second, p.Steps[i].At)
}

// With no capacity to begin with the figures say so: endpoints come at 13 s, too.
func TestNothingServesAtFirst(t *testing.T) {
	w := fake.New(world(labels))
	p := planned(t, w, strategy.Runner{}, cluster.Target{Release: "1", Template: []byte("1"), Replicas: 2}, strategy.RedBlack{})
	require.Zero(t, p.Least)
	require.Equal(t, 13*time.Second, p.None)
	require.Equal(t, plan.Pods{}, p.Now)
	require.Contains(t, p.String(), "NONE for 13s")
}

// Pods that are on their way out take room, too: of three two are told to go,
// three more are made, and then two are told to go again.
func TestTheMostPods(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	p := planned(t, w, strategy.Runner{}, release("2"), sizes{"down": 1, "up": 4, "end": 2})
	require.NoError(t, p.Err)
	require.Equal(t, plan.Pods{Wanted: 4, Exist: 6}, p.Most)
}

// Settings that do not fit are found with nothing written, in the plan either.
func TestSettingsThatDoNotFit(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	for name, how := range map[string]strategy.Strategy{
		"the cluster cannot": strategy.BlueGreen{},
		"negative":           strategy.RedBlack{Bake: -1},
		"none":               nil,
		"nothing to undo":    strategy.Undo(strategy.RedBlack{}, ""),
	} {
		t.Run(name, func(t *testing.T) {
			p := planned(t, w, strategy.Runner{}, release("2"), how)
			var abort *strategy.AbortError
			require.ErrorAs(t, p.Err, &abort)
			require.Equal(t, strategy.Unfit, abort.Kind)
			require.Empty(t, p.Writes())
			require.Contains(t, p.String(), "ABORT (unfit) after 0s, serving then: web-v001 3; "+abort.Why)
		})
	}
}

// What a law forbids is in the plan beside the step, once, and so is the end.
func TestARefusedStep(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	careless := strategy.Func(func(in strategy.Input) strategy.Step {
		r := in.State.Revisions[0]
		r.Enabled = false
		return strategy.Put{Revision: r, Why: "who needs it"}
	})
	p := planned(t, w, strategy.Runner{}, release("2"), careless)
	var abort *strategy.AbortError
	require.ErrorAs(t, p.Err, &abort)
	require.Equal(t, strategy.Unsafe, abort.Kind)
	require.Len(t, p.Steps, 2, "the step, and a wait: %v", p)
	require.ErrorContains(t, p.Steps[0].Err, "floor")
	require.Empty(t, p.Writes())
	require.Contains(t, p.String(), p.Steps[0].Err.Error())
}

// The bounds of a strategy hold in a plan, too.
func TestTheBoundsOfAStrategy(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	p := planned(t, w, strategy.Runner{}, release("2"), floorless{})
	require.NoError(t, p.Err)
	require.Zero(t, p.Least)
	require.Positive(t, p.None)
}

// floorless turns everything off, and says that it may.
type floorless struct{}

func (floorless) Bounds(strategy.Input) (strategy.Bounds, bool) { return strategy.Bounds{}, true }

func (floorless) Next(in strategy.Input) strategy.Step {
	r := in.State.Revisions[0]
	if in.State.Dark(r) {
		return strategy.Done{}
	}
	if !r.Enabled && r.Unsettled == 0 {
		return strategy.Wait{Why: "it drains"}
	}
	r.Enabled = false
	return strategy.Put{Revision: r, Why: "it may go"}
}

// sizes gives a revision one size after the other, as its Note says where it is.
type sizes map[string]int

func (sizes) Bounds(strategy.Input) (strategy.Bounds, bool) { return strategy.Bounds{}, true }

func (z sizes) Next(in strategy.Input) strategy.Step {
	r := in.State.Revisions[0]
	next, more := map[string]string{"": "down", "down": "up", "up": "end"}[r.Note]
	switch {
	case r.Behind:
		return strategy.Wait{Why: "its controller follows"}
	case !more:
		return strategy.Done{}
	}
	r.Note, r.Replicas = next, z[next]
	return strategy.Put{Revision: r}
}

// A strategy that never ends, by asking and by waiting, has a plan that does.
func TestNoEnd(t *testing.T) {
	w := fake.New(world(labels))
	found(w, 1, true)
	p := planned(t, w, strategy.Runner{}, release("2"), strategy.Func(func(in strategy.Input) strategy.Step {
		if in.Checked.Name == "" {
			return strategy.Check{Name: "is he here", Revision: in.State.Revisions[0]}
		}
		return strategy.Wait{Why: "for Godot"}
	}))
	require.ErrorIs(t, p.Err, plan.ErrEndless)
	require.ErrorContains(t, p.Err, "for Godot")
	require.Len(t, p.Steps, 2)
	require.Equal(t, []string{`"is he here" of web-v001`}, p.Gates, "once")
	require.Contains(t, p.String(), "ERROR after ")
}

// What is assumed unasked is what the documentation says.
func TestDefaults(t *testing.T) {
	p, err := plan.Of(context.Background(), strategy.Runner{Cluster: fake.New(fake.World{})}, "web", release("2"), strategy.RedBlack{}, plan.Assumptions{})
	require.NoError(t, err)
	require.Equal(t, plan.Assumptions{Ready: 10 * time.Second, Follow: time.Second, Endpoints: time.Second, Grace: 30 * time.Second, Batch: 10}, p.Assumed)
}

// A look that fails, and a ctx that has ended, make no plan.
func TestNoPlan(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	w := fake.New(world(labels))
	found(w, 1, true)
	of := func(ctx context.Context, c cluster.Cluster, a plan.Assumptions) error {
		_, err := plan.Of(ctx, strategy.Runner{Cluster: c}, "web", release("2"), strategy.Func(func(strategy.Input) strategy.Step {
			cancel()
			return strategy.Wait{}
		}), a)
		return err
	}
	require.ErrorContains(t, of(ctx, nil, assumed), "no Cluster")
	require.ErrorContains(t, of(ctx, w, plan.Assumptions{Ready: -1}), "negative")
	require.ErrorIs(t, of(ctx, w, assumed), context.Canceled, "while it plans")
	require.ErrorIs(t, of(ctx, w, assumed), context.Canceled, "while it looks")
}

// What the look warns of is what the person who approves reads first.
func TestWarnings(t *testing.T) {
	s := cluster.State{At: time.Date(2025, time.March, 1, 12, 0, 0, 0, time.UTC), Can: labels, Warnings: []string{"the budget web allows no disruption"},
		Routes: []cluster.Route{{Name: "service/web"}}}
	p := planned(t, fake.From("web", s, world(labels)), strategy.Runner{}, release("2"), strategy.RedBlack{})
	require.Contains(t, strings.SplitN(p.String(), "AT ", 2)[0], "warning: the budget web allows no disruption\n")
}
