// The meter: it writes down what the run does in the simulated world, and what
// that world is like after every single change.

package plan

import (
	"slices"
	"strconv"
	"time"

	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

type meter struct {
	plan  *Plan
	world *fake.Cluster
	began time.Time
	noted int       // writes that are in the plan
	step  int       // the one under way, of the plan's
	wrote int       // the last one that has written
	since time.Time // when what is live last changed
	live  int       // how many revisions have traffic
}

// elapsed is how long ago the look was: the world began with it.
func (m *meter) elapsed() time.Duration { return m.world.Now().Sub(m.began) }

// begin reads the figures of the look itself.
func (m *meter) begin() {
	m.began = m.world.Now()
	m.since = m.began
	m.plan.Least = m.world.Endpoints(m.plan.App)
	m.changed()
	m.plan.Now = m.plan.Most
}

// changed is called after every change of the world.
func (m *meter) changed() {
	m.pass()
	s := m.world.State(m.plan.App)
	wanted, exist := 0, 0
	m.live = 0
	for _, r := range s.Revisions {
		wanted += r.Replicas
		if s.HasTraffic(r.Name) {
			m.live++
		}
	}
	for _, pod := range m.world.Pods(m.plan.App) {
		if !pod.Gone {
			exist++
		}
	}
	m.plan.Most = Pods{max(m.plan.Most.Wanted, wanted), max(m.plan.Most.Exist, exist)}
	m.plan.Least = min(m.plan.Least, m.world.Endpoints(m.plan.App))
}

// pass counts the time that has passed as what it was until now.
func (m *meter) pass() {
	now := m.world.Now()
	d := now.Sub(m.since)
	m.since = now
	switch m.live {
	case 0:
		m.plan.None += d
	case 1:
		m.plan.One += d
	default:
		m.plan.Both += d
	}
}

// end reads the figures of the end.
func (m *meter) end() {
	m.pass()
	m.plan.Takes = m.elapsed()
	m.plan.Serves = map[string]int{}
	s := m.world.State(m.plan.App)
	for _, r := range s.Revisions {
		if n := s.Exposed(r.Name); n > 0 {
			m.plan.Serves[r.Name] = n
		}
	}
}

// note writes a turn of the loop down, unless that step was taken already and
// no other has written since.
func (m *meter) note(e strategy.Event) {
	m.credit()
	if e.Step == nil {
		return // no look of this world fails, but for a ctx that has ended
	}
	if check, ok := e.Step.(strategy.Check); ok {
		gate := strconv.Quote(check.Name) + " of " + check.Revision.Name
		if !slices.Contains(m.plan.Gates, gate) {
			m.plan.Gates = append(m.plan.Gates, gate)
		}
	}
	what := e.Step.String()
	for m.step = len(m.plan.Steps) - 1; m.step >= m.wrote; m.step-- {
		if m.plan.Steps[m.step].Step.String() == what {
			break
		}
	}
	if m.step < m.wrote {
		m.step = len(m.plan.Steps)
		m.plan.Steps = append(m.plan.Steps, Step{At: m.elapsed(), State: e.Input.State, Step: e.Step})
	}
	if e.Err != nil {
		m.plan.Steps[m.step].Err = e.Err
	}
}

// credit gives the writes since the last call to the step that has made them.
func (m *meter) credit() {
	if m.world.Written() == m.noted {
		return
	}
	all := m.world.Writes()
	step := &m.plan.Steps[m.step]
	for _, w := range all[m.noted:] {
		of := w.Object
		if put, ok := step.Step.(strategy.Put); ok {
			of = put.Revision.Name // a pod's, too
		}
		step.Writes = append(step.Writes, Write{w.Verb, w.Kind, of})
	}
	m.noted, m.wrote = len(all), m.step
}
