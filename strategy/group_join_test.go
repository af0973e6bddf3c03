// The gate of a group, over enumerated small states, apart from all goroutines.

package strategy

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A stage is where a member can be, by what a look at it shows and what its own
// strategy would do.
type stage int

const (
	unknown   stage = iota
	absent          // it would create its revision
	booting         // it waits for its pods
	asking          // it asks a gate before traffic
	prepared        // it would turn its revision on
	turning         // both serve, and it would turn the old one off
	switched        // alone, and it bakes
	hasPassed       // alone, and it would be recorded as good
	good            // recorded, with this group
	refusing        // alone, and its own gate has said no
	failedLit       // given up, and it would give its traffic back
	failedOut       // given up, and dark
	standings = iota
)

var instant = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

// at makes a member at a stage.
func at(n stage) standing {
	old := cluster.Revision{Name: "v1", Seq: 1, UID: "1", Version: "1", Replicas: 1, Pods: 1, Ready: 1, Enabled: true, Outcome: cluster.Outcome{Result: cluster.Good}}
	mine := cluster.Revision{Name: "v2", Seq: 2, UID: "2", Version: "2", Release: "r2", Replicas: 1, Pods: 1, Ready: 1}
	var step Step = Wait{Why: "its own"}
	switch n {
	case unknown:
		return standing{}
	case turning, switched, hasPassed, good, refusing, failedLit:
		mine.Enabled, old.Enabled = true, n == turning
	case booting:
		mine.Ready = 0
	}
	switch n {
	case good:
		mine.Outcome = cluster.Outcome{Result: cluster.Good, Why: passedWith("group x")}
	case failedLit, failedOut:
		mine.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "broken"}
		old.Enabled = n == failedOut
	}
	on, off, back := mine, old, old
	on.Enabled, off.Enabled, back.Enabled = true, false, true
	switch n {
	case absent:
		step = Put{Revision: cluster.Revision{Name: "v2", Release: "r2", Replicas: 1}}
	case asking:
		step = Check{Name: "before"}
	case prepared:
		step = Put{Revision: on}
	case turning:
		step = Put{Revision: off}
	case hasPassed:
		on.Outcome.Result = cluster.Good
		step = Put{Revision: on}
	case good:
		step = Done{}
	case refusing:
		on.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "5xx"}
		step = Put{Revision: on, Why: "5xx"}
	case failedLit:
		step = Put{Revision: back}
	case failedOut:
		step = Abort{Failed, "broken"}
	}
	s := cluster.State{At: instant, Can: cluster.Can{Enable: true}, Revisions: []cluster.Revision{old, mine}}
	serving := map[string]int{}
	for _, r := range s.Revisions {
		if r.Enabled && r.Ready > 0 {
			serving[r.Name] = 1
		}
	}
	if n == absent {
		s.Revisions = s.Revisions[:1]
	}
	s.Routes = []cluster.Route{{Name: "service/web", Serving: serving}}
	return standing{in: Input{App: "web", Target: cluster.Target{Release: "r2"}, State: s}, step: step}
}

// every calls f with each group of three members at any standings, whoever is
// beside whom.
func every(f func(standings [3]stage, g joint)) {
	for n := range standings * standings * standings * 4 {
		of := [3]stage{stage(n % standings), stage(n / standings % standings), stage(n / standings / standings % standings)}
		shape := n / standings / standings / standings
		g := joint{mark: "group x", names: []string{"a", "b", "c"}, beside: []bool{false, shape&1 != 0, shape&2 != 0}}
		for _, s := range of {
			g.members = append(g.members, at(s))
		}
		f(of, g)
	}
}

// precedes reports whether one member is to be switched before another one.
func (g joint) precedes(k, i int) bool {
	for ; k < i; k++ {
		if !g.beside[k+1] {
			return true
		}
	}
	return false
}

// may is what a member may do, by a group and its own place in it.
func (g joint) may(i int) Step {
	if g.members[i].step == nil {
		return nil
	}
	return g.join(i, g.members[i].in, g.members[i].step)
}

func TestNobodySwitchesBeforeAllArePreparedAndThoseBeforeItServe(t *testing.T) {
	begins := 0
	every(func(of [3]stage, g joint) {
		for i, s := range of {
			if s != prepared || !moves(g.members[i].in, g.may(i)) || g.committed() {
				continue // once it is decided that all are good, each only goes on
			}
			begins++
			for k, other := range of {
				switch {
				case g.precedes(k, i):
					require.Contains(t, []stage{switched, hasPassed}, other, "%v: member %d begins", of, i)
				case k != i:
					require.NotContains(t, []stage{unknown, absent, booting, asking, refusing, failedLit, failedOut}, other, "%v: member %d begins", of, i)
				}
			}
		}
	})
	require.Positive(t, begins)
}

func TestNobodyIsGoodBeforeAllHavePassed(t *testing.T) {
	recorded := 0
	every(func(of [3]stage, g joint) {
		committed := of[0] == good || of[1] == good || of[2] == good
		for i := range of {
			if !decides(g.members[i].in, g.may(i), cluster.Good) {
				continue
			}
			recorded++
			for k, other := range of {
				if !committed {
					require.Contains(t, []stage{hasPassed, good}, other, "%v: member %d is good, and %d has not passed", of, i, k)
				}
			}
		}
	})
	require.Positive(t, recorded)
}

func TestOneIsGivenUpWithTheOthersUnlessAllAreSwitched(t *testing.T) {
	every(func(of [3]stage, g joint) {
		known, all, fails, committed := true, true, false, false
		for _, s := range of {
			known = known && s != unknown
			all = all && (s == switched || s == hasPassed || s == good || s == refusing)
			fails = fails || s == refusing || s == failedLit || s == failedOut
			committed = committed || s == good
		}
		for i, s := range of {
			step := g.may(i)
			given := decides(g.members[i].in, step, cluster.Failed)
			switch {
			case !known || all || committed:
				require.False(t, given, "%v: member %d is given up", of, i)
			case fails && s != failedLit && s != failedOut && s != absent:
				require.True(t, given, "%v: member %d is not given up, but: %v", of, i, step)
			case fails && s == absent:
				require.IsType(t, Abort{}, step, "%v: member %d", of, i)
			case !fails:
				require.False(t, given, "%v: member %d is given up", of, i)
			}
		}
	})
}

func TestTheLastThatWasSwitchedGivesBackFirst(t *testing.T) {
	backs := 0
	every(func(of [3]stage, g joint) {
		for i, s := range of {
			if s != failedLit || !moves(g.members[i].in, g.may(i)) {
				continue
			}
			backs++
			for k, later := range of {
				if g.precedes(i, k) {
					require.Contains(t, []stage{absent, failedOut, good}, later, "%v: member %d gives back", of, i)
				}
			}
		}
	})
	require.Positive(t, backs)
}

// From every state some member has something to do but to wait for another one, or
// its own strategy waits for the world: no two wait for each other.
func TestMembersNeverWaitForEachOther(t *testing.T) {
	every(func(of [3]stage, g joint) {
		var said []string
		for i, s := range of {
			step := g.may(i)
			wait, waits := step.(Wait)
			if step == nil || !waits || wait.Why == "its own" {
				return
			}
			said = append(said, fmt.Sprint(s, ": ", wait.Why))
		}
		t.Errorf("%v: all wait: %q", of, said)
	})
}

func TestWhatIsOldIsNoProof(t *testing.T) {
	g := joint{mark: "group x", names: []string{"a", "b"}, members: []standing{at(prepared), at(prepared)}}
	require.True(t, moves(g.members[0].in, g.may(0)))
	g.members[1].stale = true
	require.IsType(t, Wait{}, g.may(0))
}

func TestARunThatHasStoppedIsAFailureOnceOneHasBegun(t *testing.T) {
	stopped := at(prepared)
	stopped.over, stopped.err = true, ErrGaveUp
	g := joint{mark: "group x", names: []string{"a", "b"}, members: []standing{at(prepared), stopped}}
	require.Equal(t, Unsafe, g.may(0).(Abort).Kind, "nothing was switched: it may be run again")
	g.members[0] = at(turning)
	require.True(t, decides(g.members[0].in, g.may(0), cluster.Failed))
	stopped.sent = at(prepared).step
	g.members = []standing{at(failedLit), stopped}
	require.Equal(t, Unsafe, g.may(0).(Abort).Kind, "nobody knows whether it was switched")
}

func TestAnUndoRefusesAsAWhole(t *testing.T) {
	undo := func(n stage, step Step) standing { m := at(n); m.step = step; return m }
	mark := at(switched).in.State.Revisions[1]
	mark.Outcome = cluster.Outcome{Result: cluster.Failed, Why: undoneWith + "group x"}
	can, cannot := undo(switched, Put{Revision: mark}), undo(switched, Abort{Unfit, "nothing older is good"})
	none := undo(absent, Abort{Unfit, "no revision"})
	g := joint{mark: "group x", undo: true, names: []string{"a", "b"}}
	for _, c := range []struct {
		what    string
		members []standing
		want    Step
	}{
		{"both can", []standing{can, can}, can.step},
		{"one cannot", []standing{can, cannot}, Abort{Unfit, withGroup + "b: nothing older is good; nothing was undone"}},
		{"one was never begun", []standing{can, none}, can.step},
		{"it was never begun itself", []standing{none, can}, Done{What: "it was never begun"}},
		{"none was begun", []standing{none, none}, none.step},
		{"one is not known", []standing{can, {}}, Wait{Why: "b has not been looked at yet"}},
	} {
		g.members = c.members
		require.Equal(t, c.want, g.may(0), c.what)
	}
}

func TestTheGateOfTheWholeSet(t *testing.T) {
	g := joint{mark: "group x", names: []string{"a", "b"}, members: []standing{at(prepared), at(prepared)}, judge: time.Minute,
		gate: health.SetGateFunc(nil)}
	in := g.members[0].in
	require.Equal(t, groupGate, g.may(0).(Check).Name)
	require.IsType(t, Wait{}, g.may(1), "the first one asks")
	told := func(v health.Verdict, age time.Duration) Step {
		for i := range g.members {
			g.members[i].in.State.Revisions[1].Raised = instant.Add(-age)
		}
		in.Checked = Checked{Name: groupGate, Verdict: v}
		return g.join(0, in, g.members[0].step)
	}
	require.Equal(t, g.members[0].step, told(health.Pass, time.Hour))
	require.IsType(t, Wait{}, told(health.Pending, time.Second))
	require.IsType(t, Wait{}, told(health.None, time.Second))
	require.True(t, decides(in, told(health.Fail, time.Second), cluster.Failed))
	require.True(t, decides(in, told(health.Pending, time.Minute), cluster.Failed), "it has a deadline")
	g.members[0] = at(turning)
	require.NotEqual(t, groupGate, fmt.Sprint(g.may(0)), "it was asked before the first switch, and is not asked again")
	require.Equal(t, g.members[0].step, g.may(0))
}

// Of those that are beside each other the first asks, the gate is asked once, and
// its yes is everybody's.
func TestTheGateOfTheWholeSetIsAskedByOneOfThoseBesideEachOther(t *testing.T) {
	g := joint{mark: "group x", names: []string{"a", "b"}, beside: []bool{false, true}, members: []standing{at(prepared), at(prepared)},
		gate: health.SetGateFunc(nil)}
	require.IsType(t, Check{}, g.may(0))
	require.IsType(t, Wait{}, g.may(1))
	g.members[0].sent = g.members[0].step
	require.Equal(t, g.members[1].step, g.may(1), "the first one was let through")
	g.members[0] = at(prepared)
	g.members[0].over, g.members[0].err = true, ErrGaveUp
	require.Equal(t, Unsafe, g.may(1).(Abort).Kind, "nobody is left who asks")
	g.members[0] = at(good)
	g.members[0].in.State.Revisions[1].Outcome.Why = "of a release before this one"
	require.IsType(t, Check{}, g.may(1), "the first that has anything to do asks")
}

// Two that are beside each other do not wait for each other, to begin or to give
// back.
func TestThoseBesideEachOtherDoNotWait(t *testing.T) {
	g := joint{mark: "group x", names: []string{"a", "b"}, beside: []bool{false, true}}
	for _, n := range []stage{prepared, failedLit} {
		g.members = []standing{at(n), at(n)}
		for i := range g.members {
			require.Equal(t, g.members[i].step, g.may(i))
		}
	}
}

func TestNobodyIsGoodWhileAGateOfAnotherMaySayNo(t *testing.T) {
	g := joint{mark: "group x", names: []string{"a", "b"}, members: []standing{at(hasPassed), at(hasPassed)}}
	require.True(t, decides(g.members[0].in, g.may(0), cluster.Good))
	g.members[1].asking = true
	require.IsType(t, Wait{}, g.may(0))
	require.True(t, decides(g.members[0].in, g.join(1, g.members[1].in, Check{Name: "after"}), cluster.Good), "and who has hasPassed does not ask again")
}
