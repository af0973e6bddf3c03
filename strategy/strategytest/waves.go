// The proof of waves: each place is a member of a group that is played and judged
// as one, by laws of its own.

package strategytest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A WavesEngine runs waves.
type WavesEngine func(ctx context.Context, r strategy.Runner, w strategy.Waves) error

// WavesOptions says what waves are proved with. The zero value is a good one to
// begin with.
type WavesOptions struct {
	World    fake.World    // of every place, as in Options
	Sizes    []int         // how many places each wave has; nil: one, and then two
	Replicas int           // in every place; 0: 3
	Poll     time.Duration // the Runner's; 0: 5 s
	Engine   WavesEngine   // nil: Waves.Run
}

// InWaves is the law of waves, beside those that every place is held to, and
// [Reverse]: no wave begins before the one before is good, so that what fails in
// one leaves the next untouched. An undo takes the last wave back first, but does
// not wait for places whose calls fail.
const InWaves = "in waves"

// CheckWaves proves waves that deploy with a strategy: it lets every fault happen
// at every call of every place of an upgrade, the process be killed at every call,
// and every gate of every place, and the one between waves, fail, with a kill at
// every call of that, too. The error joins a [Breach] for each scenario in which a
// law was broken.
func CheckWaves(s strategy.Strategy, o WavesOptions) (Stats, error) {
	return newWavesProof(s, o).check()
}

// TestWaves is CheckWaves as a test, with a subtest for each scenario and place.
func TestWaves(t *testing.T, s strategy.Strategy, o WavesOptions) Stats {
	t.Helper()
	return newWavesProof(s, o).test(t)
}

// ReplayWaves plays one schedule of waves again, as [ReplayGroup] does: places are
// counted through all waves.
func ReplayWaves(s strategy.Strategy, o WavesOptions, token string) (tale string, err error) {
	return newWavesProof(s, o).replay(token)
}

// A fleet is what waves have that a group has not.
type fleet struct {
	sizes  []int
	engine WavesEngine
}

func newWavesProof(s strategy.Strategy, o WavesOptions) *groupProof {
	f := &fleet{sizes: o.Sizes, engine: o.Engine}
	if f.sizes == nil {
		f.sizes = []int{1, 2}
	}
	if f.engine == nil {
		f.engine = func(ctx context.Context, r strategy.Runner, w strategy.Waves) error { return w.Run(ctx, r) }
	}
	var places []Side
	for i, n := range f.sizes {
		for k := range n {
			places = append(places, Side{Name: fmt.Sprintf("wave%d-%d", i+1, k+1), Strategy: s, World: o.World})
		}
	}
	p := newGroupProof(places, GroupOptions{Replicas: o.Replicas, Poll: o.Poll})
	p.fleet = f
	return p
}

// wave returns in which wave a place is.
func (f *fleet) wave(place int) int {
	for i, n := range f.sizes {
		if place < n {
			return i
		}
		place -= n
	}
	return len(f.sizes)
}

// sails runs the waves, or takes them back.
func (t *groupTrial) sails(ctx context.Context, r strategy.Runner, undo bool) error {
	w := t.waves()
	if undo {
		return w.Undo(ctx, r, "by ops")
	}
	return t.proof.fleet.engine(ctx, r, w)
}

// waves is what the clients of the process have to do.
func (t *groupTrial) waves() strategy.Waves {
	to := target(t.sides[0].client.job.release, 0)
	if to.Release != "build-2" {
		to.Replicas = t.sides[0].proof.Replicas
	}
	w := strategy.Waves{App: app, Target: to, Strategy: t.located(t.sides[0].proof.strategy), Between: health.SetGateFunc(t.judge.between)}
	next := 0
	for _, n := range t.proof.fleet.sizes {
		var wave strategy.Wave
		for _, s := range t.sides[next : next+n] {
			wave = append(wave, strategy.Place{Name: t.proof.sides[next+len(wave)].Name, Cluster: s.client.cluster})
		}
		w.Waves, next = append(w.Waves, wave), next+n
	}
	return w
}

// landed judges what each place has returned, and says what came of all. Places of
// which an error says nothing are good, if they come before those that it names,
// and else were not begun. An undo of what was begun nowhere is refused, and there is
// nothing to take back.
func (t *groupTrial) landed(ctx context.Context, err error, undo bool) outcome {
	var refused *strategy.AbortError
	if undo && errors.As(err, &refused) && refused.Kind == strategy.Unfit && !t.begunAnywhere() {
		return done
	}
	var all *strategy.GroupError
	if err != nil && !errors.As(err, &all) {
		if ctx.Err() == nil || !errors.Is(err, context.Canceled) {
			t.breach(NoLies, fmt.Sprintf("an error that says nothing of the places: %v", err))
		}
		return canceled
	}
	of, last := map[string]error{}, len(t.sides)
	if all != nil {
		last = -1
		for _, m := range all.Members {
			of[m.Name] = m.Err
			last = max(last, slices.IndexFunc(t.proof.sides, func(s Side) bool { return s.Name == m.Name }))
		}
	}
	var ends []outcome
	for i, s := range t.sides {
		if i <= last {
			ends = append(ends, s.returned(of[t.proof.sides[i].Name]))
		}
	}
	return mooring(ctx, ends, err)
}

// mooring says what came of all by what came of each place that was begun.
func mooring(ctx context.Context, ends []outcome, err error) outcome {
	is := func(all ...outcome) bool {
		return slices.ContainsFunc(ends, func(o outcome) bool { return slices.Contains(all, o) })
	}
	of := func(k strategy.Kind) outcome { return outcome(k.String()) }
	switch {
	case ctx.Err() != nil && is(canceled):
		return canceled
	case err == nil:
		return done
	case is(of(strategy.Refused), of(strategy.Unsafe), gaveUp):
		return halted
	case is(of(strategy.Superseded), of(strategy.Unfit), of(strategy.Stranded)):
		return unfit
	}
	return stopped
}

// excused reports whether a place need not be back before those of the waves
// before it: its calls are made to fail, and an undo goes on without it.
func (t *groupTrial) excused(place int) bool {
	return t.proof.fleet != nil && place == t.schedule.member && len(t.schedule.faults) > 0
}

// begins judges what a wave begins with.
func (j *groupJudge) begins(i int, was, is fact) {
	for k, other := range j.seen {
		if is.found && !was.found && j.before(k, i) && !(other.good && other.alone) {
			j.trial.breach(InWaves, fmt.Sprintf("%s is begun, and %s, of the wave before, is not good: %+v", j.name(i), j.name(k), other))
		}
	}
}

// between is the gate between two waves, which is asked when the first is good and
// the next not begun.
func (j *groupJudge) between(_ context.Context, looks []health.Look) (health.Verdict, string, error) {
	for _, look := range looks {
		if look.Revision.Outcome.Result != cluster.Good && !j.wild() {
			j.trial.breach(InWaves, fmt.Sprintf("the gate between waves is asked, and %s is %v", look.Revision.Name, look.Revision.Outcome.Result))
		}
	}
	if j.trial.schedule.scenario == ofSet && !j.over {
		return health.Fail, "not as a whole", nil
	}
	return health.Pass, "", nil
}

// begunAnywhere reports whether a place has the release.
func (t *groupTrial) begunAnywhere() bool {
	return slices.ContainsFunc(t.sides, func(s *side) bool { return factOf(s.w.State(app)).found })
}

// moored judges what is left of waves when nothing moves any more.
func (j *groupJudge) moored(o outcome) {
	t := j.trial
	failed := len(t.sides) // the first wave with a place that was given up
	for i, s := range t.sides {
		f := factOf(s.w.State(app))
		s.judge.scoped()
		switch {
		case j.wild():
			continue
		case f.fails:
			failed = min(failed, t.proof.fleet.wave(i))
			s.judge.settled(outcome(strategy.Failed.String()))
		case f.good:
			s.judge.settled(done)
		}
		back := !f.lit && f.old
		switch {
		case o == done && (j.undo || j.next) && !back, o == done && !j.undo && !j.next && !(f.alone && f.good),
			o == stopped && !back && !(f.alone && f.good):
			t.breach(OneFate, fmt.Sprintf("the waves have ended as %v, and %s: %+v", o, j.name(i), f))
		case o == stopped && t.proof.fleet.wave(i) > failed && f.found:
			t.breach(InWaves, fmt.Sprintf("wave %d has failed, and %s was begun", failed+1, j.name(i)))
		}
	}
	if !j.wild() && o != done && o != stopped {
		t.breach(Convergence, fmt.Sprintf("the waves have ended as %v", o))
	}
}
