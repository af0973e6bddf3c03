// A trial is one schedule, played: a world, who acts in it, what goes wrong, and
// the judge who sees every change.

package strategytest

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

// The apps of every world: the one that is deployed, and one that nobody may
// touch.
const (
	app   = "web"
	other = "other"
)

// A trial is one play of a schedule.
type trial struct {
	proof    *proof
	schedule Schedule
	scenario scenario
	w        *fake.Cluster

	judge   judge
	clients int
	main    *client            // what the plan is about
	rest    []func()           // what is yet to be mended
	cancel  context.CancelFunc // of the run under way
	stack   []*client          // who is running, the innermost last
	tale    *tale              // nil: nobody listens

	phase        string    // of the play: what is still to be run, and judged
	pendingUntil time.Time // what every gate is
}

// A client is one process that acts on the world.
type client struct {
	id      string
	job     job
	cluster *fault.Cluster

	looked bool          // since its last write
	state  cluster.State // its last look
	blind  bool          // the world was disturbed since
	turns  int
	sent   int            // calls
	event  strategy.Event // the last, by which its memory is asked for
	now    fault.Call     // the one under way, or the last

	sleeps func(time.Duration) // in place of the world's clock; nil: that
}

// A job is what a client has been told to do.
type job struct {
	name     string // "deploy build-2"
	release  string // "": a cleanup
	replicas int    // that its target names
	undo     bool
	redo     bool
	stay     bool
	gates    map[string]string // what a gate says, by its name, if not "pass"
	run      func(ctx context.Context, r strategy.Runner) error
}

// killed unwinds a client whose process has died.
type killed struct{}

// outcome is how a run has ended.
type outcome string

const (
	done     outcome = "done"
	died     outcome = "killed"
	canceled outcome = "canceled"
	gaveUp   outcome = "gave up"
)

// unfinished reports whether running the same again is what the error says to do.
func (o outcome) unfinished() bool {
	return o == died || o == canceled || o == gaveUp || o == outcome(strategy.Refused.String())
}

// newTrial makes the world of a schedule and brings it to where its scenario
// begins.
func (p *proof) newTrial(s Schedule, listens *tale) (*trial, error) {
	sc, ok := p.scenario(s.Scenario)
	if !ok {
		sc, ok = p.stateScenario(s.Scenario)
	}
	if !ok {
		return nil, fmt.Errorf("strategytest: there is no scenario %q", s.Scenario)
	}
	t := p.trial(s, sc, listens)
	t.open()
	return t, nil
}

// trial makes a world, as it is before its scenario begins.
func (p *proof) trial(s Schedule, sc scenario, listens *tale) *trial {
	t := &trial{proof: p, schedule: s, scenario: sc, tale: listens}
	t.judge.trial = t
	if listens != nil {
		listens.trial = t
	}
	world := p.world(s)
	world.Changed = t.changed
	if sc.from != nil {
		t.w = fake.From(app, *sc.from, world)
	} else {
		t.w = fake.New(world)
	}
	return t
}

// start brings the world to where its scenario begins, and begins to judge.
func (t *trial) start() {
	t.w.AddFound(other, cluster.Revision{Name: "other-v001", Seq: 1, Replicas: 1, Enabled: true, Template: []byte("other")})
	for _, route := range t.proof.World.Routes {
		if route.Scaler {
			t.w.Scale(app, route.Name, t.measured, 10*time.Second)
		}
	}
	t.scenario.start(t)
	t.judge.arm()
}

// measured is how many replicas an autoscaler makes of a revision: as many as a
// release is to have, if it has all the traffic, its share of them if it has some,
// and one if it has none. Where the world was disturbed, what it makes of that is
// its own business.
func (t *trial) measured(r cluster.Revision) int {
	s := t.w.State(app)
	mine, all := s.Exposed(r.Name), max(1, s.Serving())
	n := max(1, (t.proof.Replicas*mine+all-1)/all)
	if t.judge.wild {
		t.judge.floor = min(t.judge.floor, n)
	}
	return n
}

func (t *trial) changed() {
	if t.judge.armed {
		t.judge.change()
	}
}

// client returns a new process.
func (t *trial) client(j job) *client {
	t.clients++
	c := &client{id: fmt.Sprintf("run%d", t.clients), job: j}
	c.cluster = t.decorate(nil)
	c.watch(t)
	return c
}

// decorate returns the world with what goes wrong in it.
func (t *trial) decorate(plan fault.Plan) *fault.Cluster {
	return &fault.Cluster{
		Inner: t.w, Clock: t.w, Plan: plan,
		Crash:  func() { panic(killed{}) },
		Cancel: func() { t.cancel() },
	}
}

// watch lets the judge see what a client does.
func (c *client) watch(t *trial) {
	c.cluster.Before = func(call fault.Call) { t.judge.sends(c, call) }
	c.cluster.After = func(call fault.Call, s cluster.State, err error) { t.judge.answered(c, call, s, err) }
	c.cluster.Arrives = func(call fault.Call, deliver func()) { t.judge.arrives(c, call, deliver) }
	c.cluster.Environment = func(e fault.Event, call fault.Call) bool { return t.happens(c, e, call) }
}

// process is a client that goes on with the calls of another, whose process has
// died: calls are counted on, and what is under way stays so.
func (t *trial) process(of *client, j job) *client {
	t.clients++
	t.w.Forget()
	c := &client{id: fmt.Sprintf("run%d", t.clients), job: j, cluster: of.cluster}
	c.watch(t)
	return c
}

// tooMany is how many turns a run may take before it counts as endless.
const tooMany = 4000

// run lets a client run until it ends or dies.
func (t *trial) run(c *client) (o outcome, err error) {
	ctx, cancel := context.WithCancel(context.WithValue(context.Background(), asked{}, asked{t, c}))
	outer := t.cancel
	t.cancel = cancel
	author := t.judge.author
	t.judge.author, t.stack = nil, append(t.stack, c)
	defer func() {
		cancel()
		t.stack = t.stack[:len(t.stack)-1]
		t.cancel, t.judge.author = outer, author
		switch p := recover().(type) {
		case nil:
		case killed:
			o = died
			t.tale.says(c, "killed")
		default:
			panic(p)
		}
	}()
	runner := strategy.Runner{
		Cluster: c.cluster, Clock: c.clock(t), ID: c.id, Skew: -1, Poll: t.proof.Poll, Stay: c.job.stay,
		Trace: func(e strategy.Event) { t.turn(c, e) },
	}
	t.tale.says(c, c.job.name)
	err = c.job.run(ctx, runner)
	o = outcomeOf(err)
	t.tale.says(c, "=> "+string(o)+because(err))
	t.judge.returned(c, o, err)
	return o, err
}

// clock is the world's, unless the client takes turns with another.
func (c *client) clock(t *trial) strategy.Clock {
	if c.sleeps != nil {
		return sleeper{t.w, c.sleeps}
	}
	return t.w
}

func (t *trial) turn(c *client, e strategy.Event) {
	c.event = e
	if c.turns++; c.turns > tooMany {
		t.judge.breach(Termination, fmt.Sprintf("%s goes on without end: %d turns, the last: %v", c.id, c.turns, e))
	}
	t.tale.turn(c, e)
}

func outcomeOf(err error) outcome {
	var abort *strategy.AbortError
	switch {
	case err == nil:
		return done
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, strategy.ErrGaveUp):
		return gaveUp
	case errors.As(err, &abort):
		return outcome(abort.Kind.String())
	}
	return outcome("an error of no kind")
}

func because(err error) string {
	if err == nil {
		return ""
	}
	return ": " + err.Error()
}

// result is what came of a play.
type result struct {
	outcome outcome
	end     string // what is left when nothing moves any more: all but times and fences
	created int
	deleted int
	calls   []fault.Kind // of the main client, one each, up to its first end
	steps   int
	fired   int
	gates   []string // that were asked
	late    bool     // something was created after all, that the next run puts away
}

// play plays a schedule to its end.
func (t *trial) play() result {
	t.main = t.client(t.scenario.job)
	t.main.cluster.Plan = t.schedule.Faults
	t.phase = "drive, then " + t.schedule.Then
	o := t.drive()
	if o == died && t.schedule.Then == Nothing {
		t.main.cluster.Land()
		t.rest = nil
		t.pass(time.Hour)
		t.judge.abandoned()
		return t.result(o)
	}
	j := t.main.job
	if o == died {
		j = t.proof.job(t.schedule.Then, j)
		t.phase = "go on"
		o = t.goOn(j)
	}
	t.phase = "land"
	if t.main.cluster.Land() > 0 && j.release != t.main.job.release {
		o, _ = t.run(t.process(t.main, j)) // it was done, and now there is more to do
	}
	t.heal()
	t.pass(5 * time.Minute)
	if !t.judge.wild { // else the next release has to mend it
		t.judge.settled(o)
	}
	r := t.result(o)
	t.phase = "again after " + string(o)
	t.again(j, o)
	if o == done && !t.judge.wild {
		j.stay = true
		t.phase = "stay"
		_, _ = t.run(t.process(t.main, j)) // what falls due later is done, whenever that is
		t.pass(time.Minute)
		last := t.result(o)
		r.end, r.created, r.deleted = last.end, last.created, last.deleted
	}
	return r
}

// drive runs the main client and, as a person would, runs it again until it has
// come to an end; a killed one only if the schedule says so.
func (t *trial) drive() (o outcome) {
	c := t.main
	for range 3 + len(t.schedule.Faults) {
		o, _ = t.run(c)
		if !o.unfinished() || o == died && t.schedule.Then != Again {
			return o
		}
		if o != died {
			c.cluster.Admit()
		}
		c = t.process(c, c.job)
	}
	t.judge.breach(Convergence, fmt.Sprintf("run again and again, and the last ended as: %v", o))
	return o
}

// goOn does what the schedule has in place of the run that has died.
func (t *trial) goOn(j job) (o outcome) {
	c := t.process(t.main, j)
	for range 3 + len(t.schedule.Faults) {
		if o, _ = t.run(c); !o.unfinished() {
			break
		}
		c.cluster.Admit()
		c = t.process(c, j)
	}
	return o
}

// again runs the same again after its end, which changes nothing any more; and
// where the world was disturbed the next release, which must succeed.
func (t *trial) again(j job, o outcome) {
	c := t.process(t.main, j)
	before, was := t.w.Written(), t.w.State(app)
	second, err := t.run(c)
	touches := undecided(was) && describe(was) == describe(t.w.State(app)) // its run may still have sent something
	quiet := o == done && !t.judge.wild && !t.judge.late                   // else there may be something to mend
	if quiet && second == done && t.w.Written() > before && !j.stay && !touches {
		t.judge.breach(Minimal, fmt.Sprintf("a rerun of what was done wrote: %v", t.w.Writes()[before:]))
	}
	if quiet && second != done && second != outcome(strategy.Superseded.String()) {
		t.judge.breach(Convergence, fmt.Sprintf("it was done, and a rerun ends as %v%s", second, because(err)))
	}
	if !t.judge.wild && o.settles() {
		return
	}
	next := t.proof.deploy("build-10", t.proof.Replicas)
	t.phase = mending
	if third, err := t.run(t.process(c, next)); third != done {
		t.judge.breach(Convergence, fmt.Sprintf("all is mended, and the next release ends as %v%s", third, because(err)))
	}
	t.pass(time.Minute)
	t.judge.settled(done)
}

// mending is the phase of the release that ends a play in a disturbed world.
const mending = "mending"

// undecided reports whether nobody has decided about a release.
func undecided(s cluster.State) bool {
	for _, r := range s.Revisions {
		if r.Release != "" && r.Outcome.Result == cluster.Undecided {
			return true
		}
	}
	return false
}

// settles reports whether what a run left is what its error says, and no more is
// to be proved.
func (o outcome) settles() bool {
	return o == done || o == outcome(strategy.Failed.String())
}

// pass lets time pass in which nobody acts.
func (t *trial) pass(d time.Duration) { _ = t.w.Sleep(context.Background(), d) }

// heal ends whatever lasts.
func (t *trial) heal() {
	for _, mend := range t.rest {
		mend()
	}
	t.rest = nil
	t.main.cluster.Plan = nil
	t.main.cluster.Admit()
	if t.judge.wild {
		t.w.Heal()
	}
}

func (t *trial) result(o outcome) result {
	r := result{outcome: o, end: describe(t.w.State(app)), fired: t.main.cluster.Fired(), steps: t.main.turns,
		calls: t.judge.calls, gates: t.judge.gates, late: t.judge.late}
	for _, write := range t.w.Writes()[t.judge.began:] {
		switch write.Verb {
		case "create":
			r.created++
		case "delete":
			r.deleted++
		}
	}
	return r
}
