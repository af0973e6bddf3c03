// What the members of a group share while they run: where each of them stands,
// under one lock, and the strategy that asks the joint before each step.

package strategy

import (
	"errors"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A table has a place for every member.
type table struct {
	clock Clock
	fresh time.Duration // longer than a look, a gate and a few pauses take

	mu      sync.Mutex
	joint   joint
	seats   []seat
	failing []int // members in the order in which they have failed or stopped by themselves
	release []string
}

// A seat is what the table keeps of a member beside where it stands.
type seat struct {
	looked time.Time // when it was
	in     Input     // what it was told last
	held   bool      // it would have done something, and was told to wait
	bell   bell      // wakes it when it need not any more
}

func newTable(g Group, r Runner, undo bool) *table {
	n := len(g.Members)
	first := g.Members[0].runner(r, 0).withDefaults()
	t := &table{clock: first.Clock, fresh: 2*maxAge + 3*first.Poll, seats: make([]seat, n)}
	t.joint = joint{members: make([]standing, n), mark: g.mark(), undo: undo, gate: g.Before, judge: g.judge()}
	for i, m := range g.Members {
		t.joint.names = append(t.joint.names, g.name(i))
		t.joint.beside = append(t.joint.beside, m.Beside)
		t.release = append(t.release, m.Target.Named().Release)
	}
	return t
}

// joins returns the strategy of a member, made and joined to the others.
func (t *table) joins(i int, s Strategy, made func(Strategy) Strategy) Strategy {
	if s == nil {
		return nil
	}
	joined := &joined{strategy: made(s), table: t, member: i}
	if f, declares := s.(Bounder); declares {
		return struct {
			Strategy
			Bounder
		}{joined, f}
	}
	return joined
}

// A joined strategy is a member's own, held back by where the others stand.
type joined struct {
	strategy Strategy
	table    *table
	member   int
	checked  Checked // what it was told last that its own gates say
	no       Checked // the same, if that was a no and nothing could be done about it yet
}

// Next implements Strategy. It is a function of what all members have seen last.
func (j *joined) Next(in Input) Step {
	own := in
	switch in.Checked.Name {
	case groupGate:
		own.Checked = j.checked // its own gate was asked one look before
	case "":
		own.Checked = j.no
	}
	step := j.strategy.Next(own)
	j.checked, j.no = own.Checked, Checked{}
	if step == nil {
		return nil
	}
	may := j.table.join(j.member, in, own, step)
	if decides(own, step, cluster.Failed) && idle(may) {
		j.no = own.Checked
	}
	return may
}

// join notes what a member has seen, as its own strategy was told, and would do,
// and returns what it may.
func (t *table) join(i int, in, own Input, step Step) Step {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.clock.Now()
	m := &t.joint.members[i]
	was := m.told()
	if _, check := step.(Check); !check || m.step == nil {
		m.in, m.step, m.sent, t.seats[i].looked = own, step, nil, now
		if m.givesUp() && !t.joint.undo {
			t.fails(i)
		}
	}
	for k := range t.joint.members {
		t.joint.members[k].stale = now.Sub(t.seats[k].looked) > t.fresh
	}
	may := t.joint.join(i, in, step)
	if _, m.asking = may.(Check); !m.asking && !idle(may) {
		m.sent = may
	}
	t.seats[i].in, t.seats[i].held = in, idle(may) && !idle(step)
	t.seats[i].bell.hush()
	if m.told() != was {
		t.wake(i)
	}
	return may
}

// wake rings for every other member that was held back and would not be now.
func (t *table) wake(i int) {
	for k := range t.seats {
		m, s := t.joint.members[k], &t.seats[k]
		if k != i && s.held && !m.over && !idle(t.joint.join(k, s.in, m.step)) {
			s.bell.ring()
		}
	}
}

// idle reports whether a step does nothing.
func idle(step Step) bool {
	_, waits := step.(Wait)
	return waits
}

// fails notes that a member has failed or stopped, if that is new.
func (t *table) fails(i int) {
	for _, k := range t.failing {
		if k == i {
			return
		}
	}
	t.failing = append(t.failing, i)
}

// errNoEnd is what became of a member whose run has neither returned nor panicked.
var errNoEnd = errors.New("its goroutine was ended from within: by a gate, or a strategy")

// ends notes that the run of a member has ended.
func (t *table) ends(i int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.joint.members[i].over, t.joint.members[i].err = true, err
	if err != nil && !forGroup(err) {
		t.fails(i)
	}
	t.wake(i)
}
