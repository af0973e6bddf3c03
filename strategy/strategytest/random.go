// Random schedules, in random worlds: what nobody thought of.

package strategytest

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

// Speeds are how fast a world follows: for each of its lags, in the order of
// fake.World's fields (Lag, Boot, EndpointLag, Grace, ProxyLag), one of none, a
// tenth of a second, one, five and twenty seconds. The text is a digit each, and
// 0 is as the Options say.
type Speeds [5]int

var speeds = [...]time.Duration{0, -1, 100 * time.Millisecond, time.Second, 5 * time.Second, 20 * time.Second}

// Schedules generates schedules of a strategy: where they begin, up to six
// faults at any of the first sixty calls, and what comes after a run that has
// died.
func Schedules(s strategy.Strategy, o Options) *rapid.Generator[Schedule] {
	return newProof(s, nil, o).schedules()
}

// CleanupSchedules generates schedules of a cleanup.
func CleanupSchedules(c Cleaner, o Options) *rapid.Generator[Schedule] {
	return newProof(nil, c, o).schedules()
}

func (p *proof) schedules() *rapid.Generator[Schedule] {
	scenarios := rapid.SampledFrom(p.names())
	then := rapid.SampledFrom([]string{Again, Next, Undo, Cleanup, Nothing})
	if p.cleaner != nil {
		then = rapid.SampledFrom([]string{Again, Nothing})
	}
	speed := rapid.IntRange(0, len(speeds)-1)
	event := rapid.Custom(func(t *rapid.T) fault.Event {
		f := fault.Fault(rapid.IntRange(1, fault.Count).Draw(t, "fault"))
		return fault.Event{Call: rapid.IntRange(1, 60).Draw(t, "call"), Fault: f, Form: rapid.IntRange(0, len(f.Forms())-1).Draw(t, "form")}
	})
	plan := rapid.SliceOfN(event, 1, 6)
	return rapid.Custom(func(t *rapid.T) Schedule {
		s := Schedule{Scenario: scenarios.Draw(t, "scenario"), Faults: plan.Draw(t, "faults"), Then: then.Draw(t, "then")}
		for i := range s.Speeds {
			s.Speeds[i] = speed.Draw(t, "speed")
		}
		return s
	})
}

// Played is what came of one schedule.
type Played struct {
	Fired int // faults that came about
	Calls int // of the run
}

// Play plays one schedule of a strategy; the error is a Breach. A schedule is as
// good as its token: see Replay.
func Play(s strategy.Strategy, o Options) func(Schedule) (Played, error) {
	return newProof(s, nil, o).play
}

// PlayCleanup plays one schedule of a cleanup.
func PlayCleanup(c Cleaner, o Options) func(Schedule) (Played, error) {
	return newProof(nil, c, o).play
}

func (p *proof) play(s Schedule) (Played, error) {
	r, breach := p.try(s, nil)
	if breach != nil {
		return Played{}, p.explain(breach)
	}
	return Played{Fired: r.fired, Calls: len(r.calls)}, nil
}

// TestRandom plays random schedules of strategies that are drawn themselves,
// with their settings and their world, as often as rapid is told to
// (-rapid.checks). It fails if fewer than checks were played. A counterexample is
// shrunk by rapid.
func TestRandom(t *testing.T, checks int, draw func(*rapid.T) (strategy.Strategy, Options)) (fired int) {
	t.Helper()
	played := 0
	rapid.Check(t, func(rt *rapid.T) {
		s, o := draw(rt)
		p := newProof(s, nil, o)
		schedule := p.schedules().Draw(rt, "schedule")
		played++
		r, breach := p.try(schedule, nil)
		if breach != nil {
			rt.Fatalf("%+v in %+v\n%v", s, o, p.explain(breach))
		}
		if r.fired > 0 {
			fired++
		}
	})
	if played < checks {
		t.Errorf("%d schedules were played, and %d were asked for", played, checks)
	}
	return fired
}

var errSpeeds = errors.New("want five digits from 0 to 5, something like s01230")

// String returns the digits, or "" if all are as the Options say.
func (s Speeds) String() string {
	if s == (Speeds{}) {
		return ""
	}
	return fmt.Sprintf("s%d%d%d%d%d", s[0], s[1], s[2], s[3], s[4])
}

func parseSpeeds(word string) (s Speeds, err error) {
	if len(word) != 1+len(s) {
		return s, errSpeeds
	}
	for i := range s {
		s[i] = int(word[1+i]) - '0'
		if s[i] < 0 || s[i] >= len(speeds) {
			return s, errSpeeds
		}
	}
	return s, nil
}

// set lets a duration be as a speed says.
func (s Speeds) set(durations ...*time.Duration) {
	for i, d := range durations {
		if s[i] > 0 {
			*d = speeds[s[i]]
		}
	}
}
