// One schedule of a group, played: a trial for each member, in a world of its own,
// and one process that runs them all.

package strategytest

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A groupTrial is one play of a schedule.
type groupTrial struct {
	proof    *groupProof
	schedule groupSchedule
	sides    []*side
	turns    *Turns
	judge    groupJudge
	acts     *side // whose call is under way, or was the last
	dead     bool  // the process is
}

// A side is a member of it.
type side struct {
	*trial
	client *client // of the process under way
	plan   fault.Plan
	told   *tale
}

// A groupResult is what came of a play.
type groupResult struct {
	outcome outcome
	end     string
	calls   [][]fault.Kind // of each member, up to its first end
	fired   int
}

// What a group may end as, beside done: given up, and all is back; all switched,
// and not good; neither, and its error says to run it again; or there is nothing
// that it could do.
const (
	unfit     outcome = "unfit"
	givenUp   outcome = "given up"
	isForward outcome = "forward"
	halted    outcome = "halted"
	stopped   outcome = "stopped" // waves: a place, or the gate between two, has failed
)

// try plays a schedule, and tells it.
func (p *groupProof) try(s groupSchedule, tell bool) (r groupResult, told string, breach *groupBreach) {
	t := &groupTrial{proof: p, schedule: s}
	defer func() {
		found := recover()
		told = t.told()
		if found != nil {
			breach = t.broken(found)
		}
	}()
	t.begin(tell)
	r = t.play()
	return r, "", nil
}

// broken is the breach that a panic is.
func (t *groupTrial) broken(found any) *groupBreach {
	var breach *Breach
	if err, ok := found.(error); ok && errors.As(err, &breach) {
		return &groupBreach{t.schedule, breach.Law, breach.Why}
	}
	return &groupBreach{t.schedule, Termination, fmt.Sprintf("panic: %v\n%s", found, debug.Stack())}
}

// begin makes the worlds, and begins to judge them.
func (t *groupTrial) begin(tell bool) {
	var worlds []*fake.Cluster
	for i, q := range t.proof.proofs {
		s := &side{trial: &trial{proof: q, schedule: Schedule{Scenario: t.schedule.scenario}}}
		if i == t.schedule.member {
			s.plan, s.schedule.Faults = t.schedule.faults, t.schedule.faults
		}
		s.judge.trial = s.trial
		world := q.world(s.schedule)
		world.Changed = func() { s.changed(); t.judge.changed(i) }
		s.w = fake.New(world)
		t.sides, worlds = append(t.sides, s), append(worlds, s.w)
		s.scenario = scenario{start: older}
		if t.schedule.scenario == undoing {
			s.scenario.start = deployed("build-2")
		}
		s.start()
		if tell {
			s.told = &tale{trial: s.trial}
			s.tale = s.told
		}
	}
	t.turns = InTurn(worlds...)
	t.judge.begin(t)
	for _, s := range t.sides {
		if s.told != nil {
			s.told.began = s.w.Now()
		}
	}
}

// play plays the schedule to its end.
func (t *groupTrial) play() groupResult {
	for i, s := range t.sides {
		s.client = s.trial.client(t.proof.job(t.schedule.scenario, i))
		s.client.cluster.Plan = s.plan
		s.main = s.client
		t.watch(s)
	}
	undo := t.schedule.scenario == undoing
	o := t.drive(undo)
	if o == died && t.schedule.then == Nothing {
		return t.abandon()
	}
	if o == died {
		undo, t.judge.next = t.schedule.then == Undo, t.schedule.then == Next
		t.goesOn(undo)
		o = t.drive(undo)
		if t.land() > 0 && t.schedule.then != Again {
			t.goesOn(undo) // it was done, and now there is more to do
			o = t.drive(undo)
		}
	}
	t.settle()
	t.judge.ended(o)
	r := t.result(o)
	t.again(o, undo)
	return r
}

// abandon judges what a process that died has left, for ever.
func (t *groupTrial) abandon() groupResult {
	for _, s := range t.sides {
		s.main.cluster.Land()
		s.rest = nil
	}
	t.turns.pass(time.Hour)
	for _, s := range t.sides {
		s.judge.abandoned()
	}
	return t.result(died)
}

// land lets everything arrive that is still under way.
func (t *groupTrial) land() (arrived int) {
	for _, s := range t.sides {
		arrived += s.main.cluster.Land()
	}
	return arrived
}

// settle mends everything, and lets time pass until nothing moves any more.
func (t *groupTrial) settle() {
	t.land()
	for _, s := range t.sides {
		s.heal()
	}
	t.turns.pass(5 * time.Minute)
}

// goesOn gives every member what is run in place of a process that has died.
func (t *groupTrial) goesOn(undo bool) {
	for i, s := range t.sides {
		switch {
		case undo:
			t.process(s, s.proof.undo("build-2"))
		case t.schedule.then == Next:
			t.process(s, s.proof.deploy("build-9", 0))
		default:
			t.process(s, t.proof.job(t.schedule.scenario, i))
		}
	}
}

// process gives a member a new process.
func (t *groupTrial) process(s *side, j job) {
	s.client = s.trial.process(s.main, j)
	t.watch(s)
}

// watch lets a member's calls be its turns, and its process die with the others.
func (t *groupTrial) watch(s *side) {
	c := s.client.cluster
	c.Clock = t.turns
	c.Crash = func() { t.dead = true; panic(killed{}) }
	before := c.Before
	c.Before = func(call fault.Call) {
		t.turns.rest(context.Background(), t.turns.Now())
		if t.dead {
			panic(killed{})
		}
		t.acts = s
		before(call)
	}
	after := c.After
	c.After = func(call fault.Call, state cluster.State, err error) {
		t.acts = s
		after(call, state, err)
	}
}

// drive runs the group and, as a person would, runs it again until it has come to
// an end; a killed one only if the schedule says so.
func (t *groupTrial) drive(undo bool) (o outcome) {
	for range 4 + len(t.schedule.faults) {
		o = t.run(undo)
		if o == died && t.schedule.then != Again || o != died && o != halted && o != canceled {
			return o
		}
		for _, s := range t.sides {
			if o != died {
				s.main.cluster.Admit()
			}
			t.process(s, s.client.job)
		}
	}
	if !t.judge.wild() { // else the world has to be mended first
		t.breach(Convergence, fmt.Sprintf("run again and again, and the last ended as: %v", o))
	}
	return o
}

// run runs the group once.
func (t *groupTrial) run(undo bool) (o outcome) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	t.dead = false
	defer func() {
		if t.dead {
			var breach *Breach
			if err, ok := recover().(error); ok && errors.As(err, &breach) {
				panic(breach)
			}
			t.says("killed")
			o = died
		}
		for _, s := range t.sides {
			s.stack = nil
		}
	}()
	for _, s := range t.sides {
		s.cancel, s.stack, s.judge.author = cancel, []*client{s.client}, nil
	}
	r := strategy.Runner{Clock: t.turns, ID: fmt.Sprintf("run%d", t.sides[0].clients), Skew: -1, Poll: t.sides[0].proof.Poll, Trace: t.traced}
	t.judge.undo = t.judge.undo || undo
	t.says("runs")
	switch {
	case t.proof.fleet != nil:
		return t.landed(ctx, t.sails(ctx, r, undo), undo)
	case undo:
		return t.returned(ctx, t.group().Undo(ctx, r, "by ops"))
	}
	return t.returned(ctx, t.proof.Engine(ctx, r, t.group()))
}

// group is what the clients of the process have to do.
func (t *groupTrial) group() (g strategy.Group) {
	for _, s := range t.sides {
		to := target(s.client.job.release, 0)
		switch n := len(g.Members) + 1; {
		case to.Release != "build-2":
			to.Replicas = s.proof.Replicas
		case t.schedule.scenario == fmt.Sprintf("%s%d", never, n):
			to.Template = []byte(neverReady)
		}
		m := strategy.Member{App: app, Cluster: s.client.cluster, Target: to, Strategy: t.located(s.proof.strategy), Beside: t.proof.sides[len(g.Members)].Beside}
		g.Members = append(g.Members, m)
	}
	g.Before = health.SetGateFunc(t.judge.asked)
	return g
}

// traced tells of a turn of whoever has it.
func (t *groupTrial) traced(e strategy.Event) {
	t.acts.turn(t.acts.client, e)
}

func (t *groupTrial) says(what string) {
	for _, s := range t.sides {
		s.tale.says(s.client, what)
	}
}

// returned judges what each member has returned, and says what came of all.
func (t *groupTrial) returned(ctx context.Context, err error) outcome {
	errs := make([]error, len(t.sides))
	var all *strategy.GroupError
	switch {
	case errors.As(err, &all):
		for i, m := range all.Members {
			errs[i] = m.Err
		}
	case err != nil:
		t.breach(NoLies, fmt.Sprintf("an error that says nothing of the members: %v", err))
	}
	var ends []outcome
	for i, s := range t.sides {
		ends = append(ends, s.returned(errs[i]))
	}
	return fate(ctx, ends)
}

// returned judges what one member has returned.
func (s *side) returned(err error) outcome {
	o := outcomeOf(err)
	s.tale.says(s.client, "=> "+string(o)+because(err))
	s.client.blind = s.client.blind || s.judge.wild // its run may have ended long before the others'
	s.judge.returned(s.client, o, err)
	return o
}

// fate says what came of all by what came of each.
func fate(ctx context.Context, ends []outcome) outcome {
	is := func(k strategy.Kind) bool { return slices.Contains(ends, outcome(k.String())) }
	each := func(o outcome) bool { return !slices.ContainsFunc(ends, func(e outcome) bool { return e != o }) }
	switch {
	case ctx.Err() != nil && slices.Contains(ends, canceled):
		return canceled
	case each(done):
		return done
	case is(strategy.Stranded):
		return isForward
	case is(strategy.Refused), slices.Contains(ends, gaveUp):
		return halted
	case is(strategy.Superseded), is(strategy.Unfit):
		return unfit
	case is(strategy.Unsafe):
		return halted
	case each(outcome(strategy.Failed.String())):
		return givenUp
	}
	return "neither"
}

// again runs the same again after its end, which changes nothing any more; and
// where the world was disturbed the next release, which must succeed.
func (t *groupTrial) again(o outcome, undo bool) {
	written := t.written()
	for _, s := range t.sides {
		t.process(s, s.client.job)
		if o == isForward {
			s.judge.condemned = nil // nothing was decided, and its gates are asked again
		}
	}
	second := t.run(undo)
	if !t.judge.wild() {
		switch {
		case o == isForward && second == done:
			return
		case second != o:
			t.breach(Convergence, fmt.Sprintf("it ended as %v, and a rerun as %v", o, second))
		case o == done && t.written() > written:
			t.breach(Minimal, "a rerun of what was done wrote")
		case o == done || o == givenUp || o == stopped:
			return
		}
	}
	t.judge.over = true // it is another release's now
	for _, s := range t.sides {
		t.process(s, s.proof.deploy("build-10", s.proof.Replicas))
	}
	if third := t.run(false); third != done {
		t.breach(Convergence, fmt.Sprintf("all is mended, and the next release of the group ends as %v", third))
	}
	t.turns.pass(time.Minute)
	for _, s := range t.sides {
		s.judge.settled(done)
	}
}

func (t *groupTrial) written() int {
	n := 0
	for _, s := range t.sides {
		n += s.w.Written()
	}
	return n
}

func (t *groupTrial) result(o outcome) groupResult {
	r := groupResult{outcome: o}
	for _, s := range t.sides {
		r.end += describe(s.w.State(app))
		r.calls = append(r.calls, s.judge.calls)
		r.fired += s.main.cluster.Fired()
	}
	return r
}

// breach ends the play.
func (t *groupTrial) breach(law, why string) { panic(&Breach{Law: law, Why: why}) }

// told is the tale of all members, by time.
func (t *groupTrial) told() string {
	type line struct {
		at   time.Duration
		text string
	}
	var lines []line
	for i, s := range t.sides {
		if s.told == nil {
			continue
		}
		for _, text := range s.told.lines {
			at, _ := time.ParseDuration(strings.TrimSpace(text[:8]))
			lines = append(lines, line{at, fmt.Sprintf("%s  %-9s%s", text[:8], t.proof.sides[i].Name, text[9:])})
		}
	}
	slices.SortStableFunc(lines, func(a, b line) int { return int(a.at - b.at) })
	var b strings.Builder
	for _, l := range lines {
		b.WriteString(l.text + "\n")
	}
	return b.String()
}

// located returns a strategy whose gates know which member asks them.
func (t *groupTrial) located(of strategy.Strategy) strategy.Strategy {
	located := strategy.Func(func(in strategy.Input) strategy.Step {
		step := of.Next(in)
		if check, ok := step.(strategy.Check); ok && check.Gate != nil {
			check.Gate = asks{check.Gate, asked{t.acts.trial, t.acts.client}}
			return check
		}
		return step
	})
	if b, declares := of.(strategy.Bounder); declares {
		return struct {
			strategy.Strategy
			strategy.Bounder
		}{located, b}
	}
	return located
}
