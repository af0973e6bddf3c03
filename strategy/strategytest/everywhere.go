// Every single fault at every call of every scenario.

package strategytest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/cutover-dev/cutover/fake/fault"
)

// everywhere proves every scenario.
func (p *proof) everywhere(stats Stats) (Stats, error) {
	var broken []error
	for _, s := range p.list {
		counted, err := p.every(s, 0, 1)
		stats.Add(counted)
		if err != nil {
			broken = append(broken, err)
		}
	}
	return stats, errors.Join(broken...)
}

// undisturbed plays every scenario without a fault: what breaks there is told
// without any.
func (p *proof) undisturbed() error {
	for _, s := range p.list {
		if _, breach := p.try(Schedule{Scenario: s.name}, nil); breach != nil {
			return p.explain(breach)
		}
	}
	return nil
}

func (p *proof) test(t *testing.T, stats Stats) Stats {
	if !t.Run("undisturbed", func(t *testing.T) {
		if err := p.undisturbed(); err != nil {
			t.Error(err)
		}
	}) {
		stats.Breaches++
		return stats
	}
	results := make([][parts]Stats, len(p.list))
	t.Run("every", func(t *testing.T) {
		for i, s := range p.list {
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				for part := range parts {
					t.Run(strconv.Itoa(part+1), func(t *testing.T) {
						t.Parallel()
						counted, err := p.every(s, part, parts)
						results[i][part] = counted
						if err != nil {
							t.Error(err)
						}
					})
				}
			})
		}
	})
	for _, ofOne := range results {
		for _, r := range ofOne {
			stats.Add(r)
		}
	}
	return stats
}

// parts is in how many the calls of a scenario are tried side by side: else the
// longest one keeps a single core busy to the end.
const parts = 4

// every runs one scenario undisturbed and then once for each call, fault, form
// of it, and sequel; or one part of several of these calls.
func (p *proof) every(s scenario, part, of int) (stats Stats, err error) {
	undisturbed, breach := p.try(Schedule{Scenario: s.name}, nil)
	if part == 0 {
		stats.Scenarios, stats.Runs = 1, 1
	}
	if breach != nil {
		stats.Breaches++
		return stats, p.explain(breach)
	}
	for i, kind := range undisturbed.calls {
		if i%of != part {
			continue
		}
		for f := fault.Fault(1); int(f) <= fault.Count; f++ {
			stats.Points++
			runs, fired, breach := p.point(s, fault.Event{Call: i + 1, Fault: f}, kind, undisturbed)
			stats.Runs += runs
			switch {
			case breach != nil:
				stats.Breaches++
				return stats, breach
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
func (p *proof) point(s scenario, e fault.Event, kind fault.Kind, undisturbed result) (runs int, fired bool, breach *Breach) {
	if fault.Skip(e.Fault, kind) != "" {
		return 0, false, nil
	}
	for form := range e.Fault.Forms() {
		e.Form = form
		for _, then := range p.sequels(s, e) {
			r, breach := p.try(Schedule{Scenario: s.name, Faults: fault.Plan{e}, Then: then}, nil)
			runs++
			if breach == nil && r.fired > 0 && then == Again && transparent(e, kind) {
				breach = p.differs(s, e, r, undisturbed)
			}
			if breach != nil {
				return runs, true, p.explain(breach)
			}
			fired = fired || r.fired > 0
		}
	}
	if !fired && nothingToBefall[e.Fault] == "" {
		return runs, false, p.explain(&Breach{Law: Harness, Why: fmt.Sprintf("%v never came about at call %d, a %v", e.Fault, e.Call, kind),
			Schedule: Schedule{Scenario: s.name, Faults: fault.Plan{e}}})
	}
	return runs, fired, nil
}

// sequels lists what is run when a fault has ended the run.
func (p *proof) sequels(s scenario, e fault.Event) []string {
	if e.Fault == fault.Crash {
		return p.follows(s.job)
	}
	return []string{Again}
}

// transparent reports whether a fault must leave no trace in the end: the run
// does what it would have done.
func transparent(e fault.Event, kind fault.Kind) bool {
	switch {
	case e.Fault == fault.NotFound, e.Fault == fault.Exists && e.Form == 1, e.Fault == fault.Mutated, e.Fault == fault.Pause && e.Form == 1:
		return false
	case e.Fault <= fault.Pause, e.Fault == fault.Denied, e.Fault == fault.Forbidden, e.Fault == fault.NamespaceGone, e.Fault == fault.Cancel:
		return true
	case e.Fault == fault.Gate:
		return e.Form < 3
	}
	return false
}

// differs compares a run with the undisturbed one: the end, and how many objects
// were made and deleted on the way.
func (p *proof) differs(s scenario, e fault.Event, r, undisturbed result) *Breach {
	why, law := "", Convergence
	switch {
	case r.late:
		return nil
	case r.outcome != undisturbed.outcome:
		why = fmt.Sprintf("undisturbed it ends as %v, and so as %v", undisturbed.outcome, r.outcome)
	case r.end != undisturbed.end:
		why = fmt.Sprintf("undisturbed the end is\n%s\nand so it is\n%s", undisturbed.end, r.end)
	case r.created != undisturbed.created || r.deleted != undisturbed.deleted:
		law = Minimal
		why = fmt.Sprintf("undisturbed %d objects are made and %d deleted, and so %d and %d", undisturbed.created, undisturbed.deleted, r.created, r.deleted)
	default:
		return nil
	}
	return &Breach{Law: law, Why: why, Schedule: Schedule{Scenario: s.name, Faults: fault.Plan{e}}, Events: 1}
}

// try plays a schedule, and tells it if somebody listens.
func (p *proof) try(s Schedule, tale *tale) (r result, breach *Breach) {
	var t *trial
	defer func() {
		switch found := recover().(type) {
		case nil:
		case *Breach:
			breach = found
			if t != nil && t.main != nil {
				r.fired = t.main.cluster.Fired()
			}
		case merged:
			panic(found)
		default:
			breach = &Breach{Law: Termination, Why: fmt.Sprintf("panic: %v\n%s", found, debug.Stack()), Schedule: s, Events: len(s.Faults)}
		}
	}()
	t, err := p.newTrial(s, tale)
	if err != nil {
		return r, &Breach{Law: Harness, Why: err.Error(), Schedule: s}
	}
	return t.play(), nil
}

// explain plays a breach again with its faults taken away one by one, as long as
// the same law is broken, and tells the tale of what is left.
func (p *proof) explain(b *Breach) *Breach {
	for i := 0; i < len(b.Schedule.Faults); {
		less := b.Schedule
		less.Faults = append(append(fault.Plan{}, less.Faults[:i]...), less.Faults[i+1:]...)
		if _, found := p.try(less, nil); found != nil && found.Law == b.Law {
			b = found
			continue
		}
		i++
	}
	told := &tale{}
	_, found := p.try(b.Schedule, told)
	if found != nil {
		b.Why = found.Why
	}
	b.Tale, b.Events = told.String(), len(b.Schedule.Faults)
	b.paste = p.paste(b.Schedule)
	return b
}

// replay plays a token's schedule and tells it.
func (p *proof) replay(token string) (string, error) {
	s, err := ParseSchedule(token)
	if err != nil {
		return "", err
	}
	told := &tale{}
	if _, breach := p.try(s, told); breach != nil {
		breach = p.explain(breach)
		return told.String(), breach
	}
	return told.String(), nil
}

// paste is a test that shows it again.
func (p *proof) paste(s Schedule) string {
	what, subject := "Replay", "mine"
	if p.cleaner != nil {
		what, subject = "ReplayCleanup", "mine"
	}
	return fmt.Sprintf(`see it again:
	func TestBug(t *testing.T) {
		if tale, err := strategytest.%s(%s, options, %q); err != nil {
			t.Error(err, tale)
		}
	}`, what, subject, s)
}
