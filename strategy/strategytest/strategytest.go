// Package strategytest proves a [strategy.Strategy], or a cleanup, on a bounded
// world: every fault at every call of every scenario, and without a fault to the end
// from every small state. One line of a test does it:
//
//	strategytest.TestStrategy(t, mine, strategytest.Options{})
//
// [TestRandom] plays schedules at random, with several faults.
//
// What comes of it is either a proof on that world, or a counterexample: the law
// that was broken, the shortest schedule that breaks it, and the whole story.
//
// The worlds are those of package fake, the faults those of fake/fault. What is
// proved is that a strategy lives with a cluster that keeps the contract of
// [cluster.Cluster], however slowly and whatever fails; that a real cluster
// keeps it is for cluster/clustertest to prove.
package strategytest

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// An Engine carries a strategy's steps out; Runner.Run is one.
type Engine func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error)

// A Cleaner cleans an app up through a Runner; a call of cleanup.Run is one.
type Cleaner func(ctx context.Context, r strategy.Runner, app string) error

// Options says how the worlds of a proof behave. The zero value is a good one to
// begin with.
type Options struct {
	// World is how the cluster behaves; Can says how traffic is moved. Its Changed
	// and Nodes are the suite's, and its Ready is not asked of templates that are
	// never to get ready. Where a lag is zero it is what package
	// fake has, and ProxyLag is a second.
	World fake.World

	// Replicas is how large a deployment is; 0: 3. Two are enough to find most
	// of what there is.
	Replicas int

	// Poll is the Runner's; 0: 5 s. Each look is a call at which faults happen.
	Poll time.Duration

	// Engine runs the strategy; nil: Runner.Run.
	Engine Engine

	// Careful is for a cleanup that is not told that the run before has failed:
	// it may leave in traffic what is newer than what it keeps.
	Careful bool
}

// Stats counts what was done.
type Stats struct {
	Scenarios int
	Runs      int // from beginning to end, with one schedule each
	Points    int // a call of an undisturbed run, and a fault
	Fired     int // points at which the fault came about
	Skipped   int // points at which it has no meaning: see fault.Skip
	Plans     int // steps that were planned, from States alone
	States    int // small states that were run to the end
	Breaches  int
}

// Add adds another proof's counts.
func (s *Stats) Add(o Stats) {
	s.Scenarios += o.Scenarios
	s.Runs += o.Runs
	s.Points += o.Points
	s.Fired += o.Fired
	s.Skipped += o.Skipped
	s.Plans += o.Plans
	s.States += o.States
	s.Breaches += o.Breaches
}

// Check proves a strategy: it plans from enumerated States alone, runs to the end
// from those that a world can be in, and lets every fault happen at every call of every
// scenario. The error joins a [Breach] for each scenario in which a law was
// broken. For gates to be asked, and to fail, give the strategy a [Gate]. A
// strategy.Bounder is held to its bounds: to its floor in place of all that
// serves, and if it has a ceiling or keeps revisions apart, to that in place of the
// laws of order and drain; where it keeps them apart, nobody need serve meanwhile.
func Check(s strategy.Strategy, o Options) (Stats, error) {
	p := newProof(s, nil, o)
	stats, err := p.states()
	if err != nil {
		stats.Breaches++
		return stats, err
	}
	return p.everywhere(stats)
}

// CheckCleanup proves a cleanup: every fault at every call, from each of the
// half-states that a run can leave.
func CheckCleanup(c Cleaner, o Options) (Stats, error) {
	return newProof(nil, c, o).everywhere(Stats{})
}

// TestStrategy is Check as a test, with a subtest for each scenario.
func TestStrategy(t *testing.T, s strategy.Strategy, o Options) Stats {
	t.Helper()
	p := newProof(s, nil, o)
	var stats Stats
	t.Run("states", func(t *testing.T) {
		var err error
		if stats, err = p.states(); err != nil {
			t.Error(err)
		}
	})
	return p.test(t, stats)
}

// TestCleanup is CheckCleanup as a test, with a subtest for each scenario.
func TestCleanup(t *testing.T, c Cleaner, o Options) Stats {
	t.Helper()
	return newProof(nil, c, o).test(t, Stats{})
}

// Replay plays one schedule of a strategy again, as a Breach names it, and
// returns the tale of it and the Breach, if there still is one. The same token
// makes the same tale.
func Replay(s strategy.Strategy, o Options, token string) (tale string, err error) {
	return newProof(s, nil, o).replay(token)
}

// ReplayCleanup plays one schedule of a cleanup again.
func ReplayCleanup(c Cleaner, o Options, token string) (tale string, err error) {
	return newProof(nil, c, o).replay(token)
}

// A proof is what is proved, and how.
type proof struct {
	Options
	strategy strategy.Strategy
	cleaner  Cleaner
	bounder  strategy.Bounder // nil: the strategy has no bounds of its own
	bounds   strategy.Bounds  // for the wanted replicas
	decides  bool             // it records what is good
	list     []scenario

	smallStates []cluster.State
	noting      func(*trial, *client, fault.Call) // told of every call, if it is set
	begun       sync.Map                          // by a scenario's name, where its plays begin
}

// nodes is how many nodes a world has.
const nodes = 2

func newProof(s strategy.Strategy, c Cleaner, o Options) *proof {
	if o.Replicas == 0 {
		o.Replicas = 3
	}
	if o.Poll == 0 {
		o.Poll = 5 * time.Second
	}
	if o.Engine == nil {
		o.Engine = func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
			return r.Run(ctx, app, target, s)
		}
	}
	if o.World.ProxyLag == 0 {
		o.World.ProxyLag = time.Second
	}
	p := &proof{Options: o, strategy: s, cleaner: c, decides: true}
	if b, ok := s.(strategy.Bounder); ok {
		p.bounder = b
		p.bounds, _ = b.Bounds(strategy.Input{App: app, Target: target("build-2", o.Replicas)})
	}
	if c != nil {
		p.strategy = plain(o.World)
		p.list = p.sweeps()
		return p
	}
	p.list = p.scenariosOf(nil)
	p.list = p.scenariosOf(p.gates())
	return p
}

// plain is the strategy with which the next release is deployed where a cleanup
// is proved.
func plain(w fake.World) strategy.Strategy {
	if w.Can.Select {
		return strategy.BlueGreen{Drain: 15 * time.Second}
	}
	return strategy.RedBlack{Drain: 15 * time.Second}
}

func (p *proof) scenario(name string) (scenario, bool) {
	for _, s := range p.list {
		if s.name == name {
			return s, true
		}
	}
	return scenario{}, false
}

// gates finds out which gates of the suite the strategy asks.
func (p *proof) gates() []string {
	r, breach := p.try(Schedule{Scenario: "upgrade"}, nil)
	if breach != nil {
		return nil // which the first scenario will say again
	}
	return r.gates
}

// asked is the key under which a gate finds the trial that it is asked in.
type asked struct {
	*trial
	*client
}

// Gate is a gate for the strategy under test. It passes, unless the schedule says
// otherwise; the scenarios have it fail as well. Names tell gates apart.
func Gate(name string) health.Gate { return gate{name} }

type gate struct{ name string }

func (g gate) Check(ctx context.Context, look health.Look) (v health.Verdict, why string, err error) {
	in, ok := ctx.Value(asked{}).(asked)
	if !ok {
		return health.Pass, "", nil
	}
	in.trial.judge.compares(in.client, look)
	v = health.Pass
	e, planned := in.client.cluster.Ask(ctx, app, func(context.Context) { v, why = in.trial.verdict(in.client, g.name) })
	if planned {
		v, why, err = in.trial.gateFails(in.client, e)
	}
	if v == health.Fail {
		in.trial.judge.condemned = append(in.trial.judge.condemned, look.Revision.UID)
	}
	return v, why, err
}

// verdict is what the scenario has a gate say.
func (t *trial) verdict(c *client, name string) (health.Verdict, string) {
	t.judge.asked(name)
	if c.job.gates[name] == "fail" {
		return health.Fail, "5xx"
	}
	if t.w.Now().Before(t.pendingUntil) {
		return health.Pending, "too few requests"
	}
	return health.Pass, ""
}

// gateFails is F47.
func (t *trial) gateFails(c *client, e fault.Event) (health.Verdict, string, error) {
	t.tale.says(c, "!! "+e.Describe())
	switch e.Form {
	case 0:
		return health.Pass, "", errors.New("injected: the gate does not answer") // an error is no pass, whatever the verdict
	case 1:
		return health.None, "no data", nil
	case 2:
		t.pendingUntil = t.w.Now().Add(time.Minute)
		return health.Pending, "too few requests", nil
	}
	return health.Fail, "5xx", nil
}

func (j *judge) asked(name string) {
	for _, known := range j.gates {
		if known == name {
			return
		}
	}
	j.gates = append(j.gates, name)
}

// world is the world of a schedule.
func (p *proof) world(s Schedule) fake.World {
	w := p.World
	w.Nodes = nodes
	s.Speeds.set(&w.Lag, &w.Boot, &w.EndpointLag, &w.Grace, &w.ProxyLag)
	boot, ready := w.Boot, w.Ready
	if boot == 0 {
		boot = 2 * time.Second
	}
	w.Ready = func(template []byte) (time.Duration, bool) {
		if string(template) == neverReady {
			return 0, false
		}
		if ready != nil {
			return ready(template)
		}
		return boot, true
	}
	return w
}

// ordered reports whether capacity is to be taken only from what has no traffic.
func (p *proof) ordered() bool { return p.bounds.Ceiling == 0 && !p.bounds.Apart }

// swept says why a cleanup that says it is done is not.
func (p *proof) swept(s cluster.State, floor int) string {
	if floor == 0 {
		return "" // nothing served before
	}
	for _, r := range s.Revisions {
		if s.HasTraffic(r.Name) && s.ReliedOn(r.Name) > 0 {
			return ""
		}
	}
	return "nothing serves"
}

// Error says which law, what was found, how to see it again, and the tale.
func (b *Breach) Error() string {
	return fmt.Sprintf("strategytest: the law of %s is broken: %s\n\nschedule: %s\n%s\n%s\n\n%s", b.Law, b.Why, b.Schedule, b.Schedule.describe(), b.paste, b.Tale)
}
