// The laws of a group, judged at every change of any of its worlds.

package strategytest

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/health"
)

// asks is a gate that is asked in one member's trial.
type asks struct {
	gate health.Gate
	in   asked
}

// Check implements health.Gate.
func (a asks) Check(ctx context.Context, look health.Look) (health.Verdict, string, error) {
	return a.gate.Check(context.WithValue(ctx, asked{}, a.in), look)
}

// A groupJudge holds a group to its laws.
type groupJudge struct {
	trial *groupTrial
	seen  []fact    // of each member
	since time.Time // when every member began to serve alone; zero: not yet
	given bool      // one was given up before that, or before all can have seen it: then all must be
	undo  bool      // it is being undone
	next  bool      // the next release is run in place of one that died
	over  bool      // another release is being deployed
}

// A fact is what counts of one member's world.
type fact struct {
	found bool // there is a revision of the release
	ready bool // the new revision has all its pods ready
	lit   bool // it has traffic, or is to have some
	alone bool // it serves, and nothing else does or is to
	old   bool // something else has traffic, or is to have some
	good  bool
	fails bool // it was given up
	late  bool // it is lit by a write of a run before, which nobody could have waited for
}

func (j *groupJudge) begin(t *groupTrial) {
	j.seen = make([]fact, len(t.sides))
	for i, s := range t.sides {
		j.seen[i] = factOf(s.w.State(app))
	}
	j.trial = t
}

// factOf says what counts of a world, for the release that is proved.
func factOf(s cluster.State) (f fact) {
	mine, found := s.Find("build-2")
	isLit := func(r cluster.Revision) bool { return r.Enabled || r.Unsettled > 0 || s.HasTraffic(r.Name) }
	for _, r := range s.Revisions {
		f.old = f.old || r.UID != mine.UID && isLit(r)
	}
	if !found {
		return f
	}
	f.found = true
	f.ready, f.lit = mine.Ready >= mine.Replicas && mine.Ready > 0, isLit(mine)
	f.alone = s.ReliedOn(mine.Name) > 0 && !f.old
	f.good, f.fails = mine.Outcome.Result == cluster.Good, mine.Outcome.Result == cluster.Failed
	return f
}

// wild reports whether somebody or something else acts in any of the worlds, or
// changes what is written there.
func (j *groupJudge) wild() bool {
	for _, e := range j.trial.schedule.faults {
		if e.Fault == fault.Mutated {
			return true
		}
	}
	for _, s := range j.trial.sides {
		if s.judge.wild {
			return true
		}
	}
	return false
}

// asked is the gate over the whole group, which is asked when all are ready, and
// before the first one is switched.
func (j *groupJudge) asked(_ context.Context, looks []health.Look) (health.Verdict, string, error) {
	for i, f := range j.seen {
		if own := !j.over && !j.next && !j.wild(); own && (!f.ready || f.lit && !f.good && !f.late) {
			j.trial.breach(Together, fmt.Sprintf("the gate of the whole group is asked, and %s: %+v", j.name(i), f))
		}
	}
	if j.trial.schedule.scenario == ofSet && !j.over {
		return health.Fail, "not as a whole", nil
	}
	return health.Pass, "", nil
}

// before reports whether a member is to be switched before another one.
func (j *groupJudge) before(k, i int) bool {
	if fleet := j.trial.proof.fleet; fleet != nil {
		return fleet.wave(k) < fleet.wave(i)
	}
	for ; i > k; i-- {
		if !j.trial.proof.sides[i].Beside {
			return true
		}
	}
	return false
}

// changed judges one change of one member's world.
func (j *groupJudge) changed(i int) {
	if j.trial == nil || j.over || j.next {
		return
	}
	was, is := j.seen[i], factOf(j.trial.sides[i].w.State(app))
	is.late = is.lit && (was.late || !was.lit && j.trial.sides[i].judge.arriving)
	j.seen[i] = is
	if was == is || j.wild() {
		return
	}
	if j.trial.proof.fleet != nil {
		j.begins(i, was, is)
	} else {
		j.forth(i, was, is)
		j.given = j.forward(i, was, is)
	}
	j.back(i, was, is)
}

// forth judges what brings a member forward.
func (j *groupJudge) forth(i int, was, is fact) {
	begins, good := is.lit && !was.lit && !is.fails, is.good && !was.good
	all := true
	for k, other := range j.seen {
		all = all && other.alone
		switch {
		case begins && !other.ready:
			j.trial.breach(Together, fmt.Sprintf("%s is switched, and %s is not ready", j.name(i), j.name(k)))
		case begins && j.before(k, i) && !other.alone:
			j.trial.breach(InOrder, fmt.Sprintf("%s is switched, and %s, which comes first, does not serve alone", j.name(i), j.name(k)))
		case good && !other.alone:
			j.trial.breach(OneFate, fmt.Sprintf("%s is good, and %s does not serve alone", j.name(i), j.name(k)))
		}
	}
	if all && j.since.IsZero() {
		j.since = j.trial.turns.Now()
	}
}

// forward judges what gives a member up, and reports whether one was.
func (j *groupJudge) forward(i int, was, is fact) (given bool) {
	if j.given || j.undo || !is.fails || was.fails {
		return j.given
	}
	seen := 3 * j.trial.sides[0].proof.Poll // by every member, with a gate that is asked in between
	if !j.since.IsZero() && j.trial.turns.Now().Sub(j.since) > seen {
		j.trial.breach(Forward, fmt.Sprintf("%s was given up after every member served alone", j.name(i)))
	}
	return true
}

// back judges what takes a member back.
func (j *groupJudge) back(i int, was, is fact) {
	if !is.fails || (is.lit || !was.lit) && (was.old || !is.old) {
		return
	}
	for k := range j.seen {
		if j.before(i, k) && j.seen[k].lit && !j.seen[k].late && !j.trial.excused(k) {
			j.trial.breach(Reverse, fmt.Sprintf("%s gives back, and %s, which was switched later, has not", j.name(i), j.name(k)))
		}
	}
}

func (j *groupJudge) name(i int) string { return j.trial.proof.sides[i].Name }

// ended judges what is left when nothing moves any more.
func (j *groupJudge) ended(o outcome) {
	t := j.trial
	if t.proof.fleet != nil {
		j.moored(o)
		return
	}
	each := func(s *side, o outcome) { s.judge.scoped(); s.judge.settled(o) }
	for i, s := range t.sides {
		f := factOf(s.w.State(app))
		switch {
		case o == done && !j.wild(), o == givenUp:
			each(s, map[outcome]outcome{done: done, givenUp: "failed"}[o])
		}
		if j.wild() {
			continue
		}
		switch {
		case j.next && o == done && f.lit, o == done && !j.undo && !j.next && !(f.alone && f.good), o == isForward && (!f.alone || f.good):
			t.breach(OneFate, fmt.Sprintf("the group has ended as %v, and %s: %+v", o, j.name(i), f))
		case (o == givenUp || o == done && j.undo) && (f.lit || !f.old):
			t.breach(OneFate, fmt.Sprintf("the group has gone back, and %s: %+v", j.name(i), f))
		}
	}
	begun := false
	for _, s := range t.sides {
		_, found := s.w.State(app).Find("build-2")
		begun = begun || found
	}
	if !j.wild() && o != done && o != givenUp && o != isForward && (o != unfit || begun) {
		t.breach(Convergence, fmt.Sprintf("the group has ended as %v", o))
	}
}
