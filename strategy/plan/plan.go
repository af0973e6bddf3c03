// Package plan says what a run would do, before it does anything: the steps,
// the writes, the pods that it takes, how many endpoints are left at the least,
// and how it ends.
//
// A plan is the same Runner with the same Strategy, over a simulated cluster
// that begins as one look at the real one shows (package fake). What the real
// cluster shows is read once and never written; what it would refuse inside a
// write (rights, quotas, admission, a template that it does not take) cannot be
// seen by reading, and is not in a plan. Neither is what others write meanwhile.
package plan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

// A Plan is what a run would do. Times are durations since the look, figures
// are exact in the simulated world.
type Plan struct {
	App     string
	Release string
	Look    cluster.State // what the plan was made from
	Assumed Assumptions   // with every zero replaced by what it means

	Steps  []Step
	Gates  []string       // taken to pass: `"before traffic" of web-v002`, in the order in which they are first asked
	Done   strategy.Done  // what falls due later, and when, had the run begun at the look
	Err    error          // how the run would end instead: see Of
	Takes  time.Duration  // until that end
	Serves map[string]int // then: endpoints by revision, of those that have some

	Now, Most Pods          // at the look; the most of each at any one moment
	Least     int           // endpoints, at the moment and on the traffic route that has the fewest
	Both      time.Duration // how long more than one revision has traffic
	One       time.Duration // how long one has
	None      time.Duration // how long none has
}

// Pods counts pods of all revisions of the app.
type Pods struct {
	Wanted int // the replicas of all revisions
	Exist  int // terminating ones and those of deleted revisions, too
}

// A Step is one step of a run. One that is taken again before another has
// written is in the plan once: a wait of many looks, say, or a gate that is asked
// at each.
type Step struct {
	At     time.Duration // since the look
	State  cluster.State // what it follows from
	Step   strategy.Step // a Check without its Gate
	Writes []Write
	Err    error // why it cannot be taken: a law that it would break, say; nil: it can
}

// A Write is one request that changes an object.
type Write struct {
	Verb string // "create", "update" or "delete"
	Kind string // "revision", "pod" or "route"
	Of   string // the revision or route; for a pod its revision, for it may have no name yet
}

// String returns, for example, "update pod of web-v002".
func (w Write) String() string {
	if w.Kind == "pod" {
		return w.Verb + " pod of " + w.Of
	}
	return w.Verb + " " + w.Kind + " " + w.Of
}

// Writes returns the writes of all steps, in order.
func (p Plan) Writes() []Write {
	var all []Write
	for _, s := range p.Steps {
		all = append(all, s.Writes...)
	}
	return all
}

// ErrEndless is in a Plan whose run would go on for longer than anybody plans: it
// waits for something that never comes.
var ErrEndless = errors.New("no end in sight")

// endless is after how many looks that is. At one every two seconds it is more
// than eleven days.
const endless = 500_000

// Of plans what r.Run would do if it began now. It looks once at r.Cluster, and
// calls nothing else of it, no gate, and neither r.Clock nor r.Trace. All other
// settings of r mean what they mean in a run: with Stay the plan has in it
// what falls due, too. An undo is planned as strategy.Undo, and a cleanup as
// cleanup.Strategy, with a target of a Release that is not there.
//
// An error means that there is no plan: the look failed, or ctx ended. How the
// planned run would end is the Plan's Err: nil if the target would be good and
// alone in traffic, else what Run would return, such as a
// [*strategy.AbortError] for settings that do not fit, or [ErrEndless].
func Of(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy, a Assumptions) (Plan, error) {
	if r.Cluster == nil {
		return Plan{}, fmt.Errorf("planning %s: the Runner has no Cluster", app)
	}
	if err := a.unfit(); err != nil {
		return Plan{}, fmt.Errorf("planning %s: %w", app, err)
	}
	look, err := r.Cluster.Observe(ctx, app)
	if err != nil {
		return Plan{}, fmt.Errorf("planning %s: looking at it: %w", app, err)
	}
	a = a.withDefaults()
	p := Plan{App: app, Release: target.Named().Release, Look: look, Assumed: a}
	if err := p.simulate(ctx, r, target, s); err != nil {
		return Plan{}, fmt.Errorf("planning %s: %w", app, err)
	}
	return p, nil
}

// simulate runs it in a world of its own, and writes down what happens there.
func (p *Plan) simulate(ctx context.Context, r strategy.Runner, target cluster.Target, s strategy.Strategy) error {
	m := &meter{plan: p}
	world := p.Assumed.world()
	world.Changed = m.changed
	m.world = fake.From(p.App, p.Look, world)
	m.begin()

	simulated, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	r.Cluster, r.Clock, r.ID = m.world, m.world, cmp.Or(r.ID, "plan")
	r.Trace = func(e strategy.Event) {
		m.note(e)
		if e.Turn >= endless {
			cancel(ErrEndless)
		}
	}
	p.Done, p.Err = r.Run(simulated, p.App, target, ungated(s))
	m.end()
	if err := ctx.Err(); err != nil {
		return err
	}
	if errors.Is(p.Err, ErrEndless) {
		p.Err = fmt.Errorf("%w: after %v it is still at: %s", ErrEndless, p.Takes, p.last())
	}
	return nil
}

func (p *Plan) last() string {
	if len(p.Steps) == 0 {
		return "the first look"
	}
	return p.Steps[len(p.Steps)-1].Step.String()
}
