// One release of a pipeline's three apps, on a real control plane: with nothing in
// its way, and with a failure in each phase of each member.

package rollout_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// The apps of a pipeline: what people see, what reads a stream, and what works on
// a queue.
var (
	webApp   = shop{app: "front", replicas: 2, ready: "200ms"}
	consumer = shop{app: "consumer", replicas: 2, ready: "200ms", worker: true}
	workers  = shop{app: "workers", replicas: 2, ready: "200ms", worker: true}
)

// A release of all three, and the ledgers of what each promises.
type chain struct {
	*world
	ledgers []*ledger
}

func newChain(t *testing.T) *chain {
	var objects []string
	for _, s := range []shop{webApp, consumer, workers} {
		objects = append(objects, s.objects())
	}
	w := serving(strings.Join(objects, "\n---"), 2, webApp.app)(t)
	for _, s := range []shop{consumer, workers} {
		w.eventually(s.app+" works", func() bool { _, serve := w.images(s); return serve["1"] == 2 })
	}
	rolls, apart := promise{floor: 2, ceiling: 3}, promise{ceiling: 2, apart: true}
	return &chain{w, []*ledger{w.replicasOf(consumer, rolls.ceiling), w.versionsOf(consumer, rolls),
		w.replicasOf(workers, apart.ceiling), w.versionsOf(workers, apart)}}
}

// A mishap is what goes wrong with one member. The zero value is nothing.
type mishap struct {
	app     string
	ready   bool        // its new pods never get ready
	before  health.Gate // says no in the dark or, where there is no dark side, before the new version works
	refused bool        // its first step that takes from the old version is refused
	after   health.Gate // says no when it serves alone
}

// group is one release of all three, the web app first.
func group(t *testing.T, set health.SetGate, m mishap) strategy.Group {
	g := strategy.Group{Before: set}
	for _, s := range []shop{webApp, consumer, workers} {
		var own mishap
		if s.app == m.app {
			own = m
		}
		var ready time.Duration
		if own.ready {
			s.ready, ready = "1h", 2*time.Second
		}
		target, err := s.target("2")
		require.NoError(t, err)
		with := map[string]strategy.Strategy{
			webApp.app:   strategy.RedBlack{Ready: ready, Before: own.before, After: own.after, Drain: -1},
			consumer.app: strategy.Rolling{Ready: ready, Before: own.before, After: own.after, Surge: "1", Unavailable: "0"},
			workers.app:  strategy.Recreate{Ready: ready, Before: own.before, After: own.after},
		}[s.app]
		g.Members = append(g.Members, strategy.Member{App: s.app, Target: target, Strategy: with})
	}
	return g
}

// A refusing Cluster refuses the step with which one app begins to switch.
type refusing struct {
	*kube.Cluster
	app string
}

// Put implements cluster.Cluster.
func (r refusing) Put(ctx context.Context, app string, rev cluster.Revision) error {
	lights := rev.Release == "2" && rev.Enabled && rev.Outcome.Result == cluster.Undecided
	takes := rev.Release == "" && rev.Replicas < 2
	if app == r.app && (lights || takes) {
		return fmt.Errorf("put %s: over quota: %w", rev.Name, cluster.ErrRefused)
	}
	return r.Cluster.Put(ctx, app, rev)
}

func (c *chain) judged() {
	c.t.Helper()
	c.held(2)
	c.kept(c.ledgers)
}

// allServe waits until all three serve with one version, and until there are so many
// pods of another one left of the web app, the only one that keeps its old side.
func (c *chain) allServe(version, other string, left int) {
	c.t.Helper()
	c.servesAlone(webApp, version, other, left)
	c.servesAlone(consumer, version, other, 0)
	c.servesAlone(workers, version, other, 0)
}

func TestGroupOfAPipeline(t *testing.T) {
	t.Parallel()
	c := newChain(t)
	require.NoError(t, group(t, nil, mishap{}).Run(t.Context(), c.runner(c.open())))
	c.allServe("2", "1", 2)
	c.judged()
}

// What a failure comes to.
const (
	givenUp  = "all are given up, and back"
	stranded = "all are switched, and nothing is given back"
	goesOn   = "it stops, and a rerun goes on"
)

func TestGroupOfAPipelineFailsInEachPhase(t *testing.T) {
	t.Parallel()
	no := at(0, health.Fail)
	whole := health.SetGateFunc(func(context.Context, []health.Look) (health.Verdict, string, error) {
		return health.Fail, "too many errors", nil
	})
	type failure struct {
		name string
		mishap
		set  health.SetGate
		says string
		end  string
	}
	cases := []failure{{name: "before the first switch", set: whole, says: "too many errors", end: givenUp}}
	for _, s := range []shop{webApp, consumer, workers} {
		refused, after := givenUp, givenUp
		if s.app == workers.app { // the last one: what came of its switch is known only to the next look
			refused, after = goesOn, stranded
		}
		cases = append(cases,
			failure{name: s.app + " gets ready", mishap: mishap{app: s.app, ready: true}, says: "ready", end: givenUp},
			failure{name: s.app + " is judged before", mishap: mishap{app: s.app, before: no}, says: "too many errors", end: givenUp},
			failure{name: s.app + " is switched", mishap: mishap{app: s.app, refused: true}, says: "over quota", end: refused},
			failure{name: s.app + " is judged after", mishap: mishap{app: s.app, after: no}, says: "too many errors", end: after})
	}
	for _, f := range cases {
		t.Run(f.name, func(t *testing.T) {
			t.Parallel()
			newChain(t).fails(f.mishap, f.set, f.says, f.end)
		})
	}
}

// fails requires that a failure comes to what it must, and that what its error says
// to do, or an undo, leads out of it.
func (c *chain) fails(m mishap, set health.SetGate, says, end string) {
	c.t.Helper()
	open := c.open()
	r := c.runner(open)
	if m.refused {
		r.Cluster = refusing{open, m.app}
	}
	g := group(c.t, set, m)
	err := g.Run(c.t.Context(), r)
	together := (*strategy.GroupError)(nil)
	require.ErrorAs(c.t, err, &together)
	require.ErrorContains(c.t, err, says)
	require.ErrorContains(c.t, err, "because of "+m.app)
	r.Cluster = open
	switch end {
	case givenUp:
		if m.refused { // it has stopped, and a rerun clears up
			require.ErrorContains(c.t, err, "run the same group again")
			require.ErrorContains(c.t, g.Run(c.t.Context(), r), "it was given up")
		}
		c.allServe("1", "2", 0)
	case goesOn:
		require.ErrorContains(c.t, err, "run the same group again")
		require.NoError(c.t, g.Run(c.t.Context(), r))
		c.allServe("2", "1", 2)
	case stranded:
		require.ErrorContains(c.t, err, "or undo the group")
		c.allServe("2", "1", 2)
		require.NoError(c.t, g.Undo(c.t.Context(), r, "too many errors"))
		c.allServe("1", "2", 0)
	}
	c.judged()
}
