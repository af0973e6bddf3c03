// The proof of a group: what is proved, from where, and which schedules.

package strategytest

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

// A Side is one member of a group that is proved, in a world of its own.
type Side struct {
	Name     string
	Strategy strategy.Strategy
	World    fake.World // as in Options
	Beside   bool       // as in strategy.Member
}

// A GroupEngine runs a group.
type GroupEngine func(ctx context.Context, r strategy.Runner, g strategy.Group) error

// GroupOptions says what a group is proved with. The zero value is a good one to
// begin with.
type GroupOptions struct {
	Replicas int           // of every member; 0: 3
	Poll     time.Duration // the Runner's; 0: 5 s
	Engine   GroupEngine   // nil: Group.Run
}

// The laws of a group, beside those that every member is held to.
const (
	Together = "together" // nobody is switched before all are ready in the dark
	InOrder  = "in order" // nobody is switched before those before it, and not beside it, serve alone
	Reverse  = "reverse"  // nobody gives back before those after it, and not beside it, have
	OneFate  = "one fate" // all end on the new release, or all on the old one; none is good before all are switched
	Forward  = "forward"  // nothing is given back once all serve alone
)

// CheckGroup proves a group of these members, in this order: it lets every fault
// happen at every call of every member of an upgrade, the process be killed at
// every call, and every member, and the gate of the whole group, fail in each of
// its phases, with a kill at every call of that, too. The error joins a [Breach] for each scenario in which a law
// was broken.
func CheckGroup(sides []Side, o GroupOptions) (Stats, error) { return newGroupProof(sides, o).check() }

// TestGroup is CheckGroup as a test, with a subtest for each scenario and member.
func TestGroup(t *testing.T, sides []Side, o GroupOptions) Stats {
	t.Helper()
	return newGroupProof(sides, o).test(t)
}

// ReplayGroup plays one schedule of a group again: a scenario, then the number of a
// member, a colon and what goes wrong at its calls: "upgrade 2:F03.0@7 then undo".
// It returns the tale of it and the Breach, if there is one.
func ReplayGroup(sides []Side, o GroupOptions, token string) (tale string, err error) {
	return newGroupProof(sides, o).replay(token)
}

// A groupProof is what is proved.
type groupProof struct {
	GroupOptions
	sides  []Side
	proofs []*proof // of each member
	fleet  *fleet   // nil: it is a group, and no waves
}

func newGroupProof(sides []Side, o GroupOptions) *groupProof {
	if o.Engine == nil {
		o.Engine = func(ctx context.Context, r strategy.Runner, g strategy.Group) error { return g.Run(ctx, r) }
	}
	p := &groupProof{GroupOptions: o, sides: sides}
	for _, s := range sides {
		p.proofs = append(p.proofs, newProof(s.Strategy, nil, Options{World: s.World, Replicas: o.Replicas, Poll: o.Poll}))
	}
	return p
}

func (p *groupProof) check() (all Stats, err error) {
	var broken []error
	for _, s := range p.scenarios() {
		for member := range p.sides {
			stats, err := p.every(s, member)
			all.Add(stats)
			broken = append(broken, err)
		}
	}
	return all, errors.Join(broken...)
}

func (p *groupProof) test(t *testing.T) (all Stats) {
	t.Helper()
	list := p.scenarios()
	results := make([]Stats, len(list)*len(p.sides))
	t.Run("every", func(t *testing.T) {
		for i := range results {
			s, member := list[i/len(p.sides)], i%len(p.sides)
			t.Run(s+"/"+p.sides[member].Name, func(t *testing.T) {
				t.Parallel()
				var err error
				if results[i], err = p.every(s, member); err != nil {
					t.Error(err)
				}
			})
		}
	})
	for _, r := range results {
		all.Add(r)
	}
	return all
}

func (p *groupProof) replay(token string) (tale string, err error) {
	s, err := parseGroupSchedule(token)
	if err != nil {
		return "", err
	}
	_, tale, breach := p.try(s, true)
	if breach != nil {
		return tale, p.told(breach, tale)
	}
	return tale, nil
}

// A groupSchedule is one way in which things can go: what goes wrong at the calls
// of one member.
type groupSchedule struct {
	scenario string
	member   int
	faults   fault.Plan
	then     string
}

// String returns the schedule as a token.
func (s groupSchedule) String() string {
	text := s.scenario
	if len(s.faults) > 0 {
		text += fmt.Sprintf(" %d:%v", s.member+1, s.faults)
	}
	if s.then != Again {
		text += " then " + s.then
	}
	return text
}

func parseGroupSchedule(token string) (s groupSchedule, err error) {
	text, then, _ := strings.Cut(token, " then ")
	scenario, faults, _ := strings.Cut(strings.TrimSpace(text), " ")
	s = groupSchedule{scenario: scenario, then: then}
	if faults == "" {
		return s, nil
	}
	number, plan, ok := strings.Cut(faults, ":")
	n, err := strconv.Atoi(number)
	if err != nil || !ok || n < 1 {
		return s, fmt.Errorf("strategytest: %q is no schedule of a group: want something like «upgrade 2:F03.0@7 then undo»", token)
	}
	s.member = n - 1
	s.faults, err = fault.Parse(plan)
	return s, err
}

// Where a schedule of a group begins; a failure of one member is named by what
// fails and the member's number: "never-ready-2", "gate-before-1"; that of the gate
// of the whole group is "gate-set".
const (
	upgrade = "upgrade"
	undoing = "undo"
	never   = "never-ready-"
	no      = "gate-"
	ofSet   = no + "set"
)

func (p *groupProof) scenarios() []string {
	all := []string{upgrade, undoing, ofSet}
	for i, q := range p.proofs {
		if p.fleet == nil { // places share one template
			all = append(all, fmt.Sprintf("%s%d", never, i+1))
		}
		for _, gate := range q.gates() {
			all = append(all, fmt.Sprintf("%s%s-%d", no, gate, i+1))
		}
	}
	return all
}

// job is what a member has to do in a scenario.
func (p *groupProof) job(scenario string, i int) job {
	q := p.proofs[i]
	name, mine := strings.CutSuffix(scenario, fmt.Sprintf("-%d", i+1))
	switch gate, fails := strings.CutPrefix(name, no); {
	case scenario == undoing:
		return q.undo("build-2")
	case mine && strings.HasPrefix(name+"-", never):
		return q.deployment(cluster.Target{Release: "build-2", Template: []byte(neverReady)})
	case mine && fails:
		j := q.deploy("build-2", 0)
		j.gates = map[string]string{gate: "fail"}
		return j
	}
	return q.deploy("build-2", 0)
}

// every runs one scenario undisturbed, and then once for each call of one member,
// fault, form of it, and sequel. Where a member fails anyway, the faults are those
// that take most from what a run can know.
func (p *groupProof) every(scenario string, member int) (stats Stats, err error) {
	if member == 0 {
		stats.Scenarios = 1
	}
	undisturbed, _, breach := p.try(groupSchedule{scenario: scenario}, false)
	stats.Runs++
	if breach != nil {
		stats.Breaches++
		return stats, p.explain(breach)
	}
	for i, kind := range undisturbed.calls[member] {
		for f := fault.Fault(1); int(f) <= fault.Count; f++ {
			if scenario != upgrade && f != fault.Crash && f != fault.TimeoutDone && f != fault.Forbidden {
				continue
			}
			stats.Points++
			s := groupSchedule{scenario: scenario, member: member, faults: fault.Plan{{Call: i + 1, Fault: f}}}
			runs, fired, breach := p.point(s, kind, undisturbed)
			stats.Runs += runs
			switch {
			case breach != nil:
				stats.Breaches++
				return stats, p.explain(breach)
			case fired:
				stats.Fired++
			default:
				stats.Skipped++
			}
		}
	}
	return stats, nil
}

// point lets one fault happen at one call, in all its forms.
func (p *groupProof) point(s groupSchedule, kind fault.Kind, undisturbed groupResult) (runs int, fired bool, breach *groupBreach) {
	e := s.faults[0]
	if fault.Skip(e.Fault, kind) != "" {
		return 0, false, nil
	}
	for form := range e.Fault.Forms() {
		e.Form = form
		s.faults = fault.Plan{e}
		for _, s.then = range sequels(s) {
			r, _, breach := p.try(s, false)
			runs++
			if breach == nil && r.fired > 0 && s.then == Again && e.Fault <= fault.Pause && transparent(e, kind) {
				breach = p.differs(s, r, undisturbed)
			}
			if breach != nil {
				return runs, true, breach
			}
			fired = fired || r.fired > 0
		}
	}
	if !fired && nothingToBefall[e.Fault] == "" {
		return runs, false, &groupBreach{s, Harness, fmt.Sprintf("%v never came about at call %d, a %v", e.Fault, e.Call, kind)}
	}
	return runs, fired, nil
}

// sequels lists what is run when a fault has ended the run.
func sequels(s groupSchedule) []string {
	switch {
	case s.faults[0].Fault != fault.Crash:
		return []string{Again}
	case s.scenario == upgrade:
		return []string{Again, Undo, Next, Nothing}
	}
	return []string{Again, Nothing}
}

// differs compares a run with the undisturbed one. What is given up before it was
// begun is never made, so that the end is compared of what is done only. A gate that
// fails beside another member's switch may do so before that is the last one, or
// after it.
func (p *groupProof) differs(s groupSchedule, r, undisturbed groupResult) *groupBreach {
	either := func(o outcome) bool { return o == givenUp || o == isForward }
	switch {
	case p.failsBeside(s.scenario) && either(r.outcome) && either(undisturbed.outcome):
	case r.outcome != undisturbed.outcome:
		return &groupBreach{s, Convergence, fmt.Sprintf("undisturbed it ends as %v, and so as %v", undisturbed.outcome, r.outcome)}
	case r.outcome == done && r.end != undisturbed.end:
		return &groupBreach{s, Convergence, fmt.Sprintf("undisturbed the end is\n%s\nand so it is\n%s", undisturbed.end, r.end)}
	}
	return nil
}

// failsBeside reports whether a scenario lets a gate of a member fail that is switched
// beside another one.
func (p *groupProof) failsBeside(scenario string) bool {
	for i, s := range p.sides {
		beside := s.Beside || i+1 < len(p.sides) && p.sides[i+1].Beside
		if beside && strings.HasPrefix(scenario, no) && strings.HasSuffix(scenario, fmt.Sprintf("-%d", i+1)) {
			return true
		}
	}
	return false
}

// A groupBreach is a law that was seen broken, not yet told.
type groupBreach struct {
	schedule groupSchedule
	law, why string
}

// explain plays a breach again, and tells the tale of it.
func (p *groupProof) explain(b *groupBreach) *Breach {
	_, told, _ := p.try(b.schedule, true)
	return p.told(b, told)
}

func (p *groupProof) told(b *groupBreach, tale string) *Breach {
	replay := "ReplayGroup(sides"
	if p.fleet != nil {
		replay = "ReplayWaves(s"
	}
	return &Breach{Law: b.law, Why: b.why, Schedule: Schedule{Scenario: b.schedule.String()}, Events: len(b.schedule.faults), Tale: tale,
		paste: fmt.Sprintf("see it again:\n\ttale, err := strategytest.%s, options, %q)", replay, b.schedule)}
}
