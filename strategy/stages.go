// Stages: a revision grows into traffic by percentages, and proves itself at each.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A Stage is a share of the traffic, or of the replicas, that a new revision gets,
// and what it has to prove with it before it gets more.
type Stage struct {
	Percent int           // 1 to 99, of the replicas wanted, rounded up; or of the requests, where a router divides them
	Hold    time.Duration // how long it serves so before the next stage; 0: one look
	Gate    health.Gate   // asked as long as it holds, at every look; nil passes
}

// stages are those of a strategy, by rising percentage.
type stages []Stage

func (all stages) unfit() string {
	last := 0
	for i, s := range all {
		switch {
		case s.Percent <= last || s.Percent > 99:
			return fmt.Sprintf("stage %d has %d %%: the percentages must rise, from 1 to 99", i+1, s.Percent)
		case s.Hold < 0:
			return fmt.Sprintf("stage %d: Hold must not be negative", i+1)
		}
		last = s.Percent
	}
	return ""
}

// confused says which stages are one and the same with n replicas.
func (all stages) confused(n int) string {
	for i := 1; i < len(all); i++ {
		if a, b := all[i-1], all[i]; a.replicas(n) == b.replicas(n) {
			return fmt.Sprintf("%d %% and %d %% of %d replicas are both %d: they cannot be told apart", a.Percent, b.Percent, n, a.replicas(n))
		}
	}
	return ""
}

// replicas are the stage's share of n, at least one.
func (s Stage) replicas(n int) int { return max(1, (n*s.Percent+99)/100) }

// first is with how many of n replicas a revision begins.
func (all stages) first(n int) int { return all[0].replicas(n) }

// most is how many of n replicas the last stage has.
func (all stages) most(n int) int {
	if len(all) == 0 {
		return 0
	}
	return all[len(all)-1].replicas(n)
}

// named is, for example, "stage 2 of 3".
func (all stages) named(i int) string { return fmt.Sprintf("stage %d of %d", i+1, len(all)) }

// What a revision's Note begins with.
const (
	firstStage = staged + "1"
	noStages   = staged + passed // there is nobody who serves, and so none to pass
)

// passed is what is noted of the stage when all are.
const passed = "passed"

// stage is at which one a revision is, from 0; false: there is none that it has
// yet to pass. If nothing is noted it is the first: somebody has wiped it.
func (all stages) stage(r cluster.Revision) (int, bool) {
	if r.Outcome.Result != cluster.Undecided || len(all) == 0 || noted(r, staged+passed) {
		return 0, false
	}
	return min(max(figure(r.Note, staged), 1), len(all)) - 1, true
}

// climb brings a revision that is in traffic from stage to stage. Each is stored
// with the write of its replicas, for somebody else may write those, too. When
// it has passed the last one it gets as many as end says.
func (ru Rules) climb(in Input, all stages, mine cluster.Revision, n, end int, beside Rule) Step {
	i, more := all.stage(mine)
	if !more {
		return nil
	}
	late := func(found string) Step { return fail(in, mine, found) }
	if wanted := all[i].replicas(n); mine.Replicas < wanted {
		return resized(in, mine, wanted, n, "so many it has at "+all.named(i))
	}
	if serves := in.State.ReliedOn(mine.Name); serves < mine.Replicas {
		return ru.within(in, Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve at %s", serves, mine.Replicas, mine.Name, all.named(i))}, late, mine)
	}
	if step := beside(in, mine); step != nil {
		return ru.within(in, step, late, mine)
	}
	held := in.Until(later(in.OutSince(mine), mine.Raised, lastMoved(in, mine)), all[i].Hold)
	if step := ru.ask(in, mine, "at "+all.named(i), all[i].Gate, held); step != nil {
		return step
	}
	if in.State.At.Before(held) {
		return Wait{Why: mine.Name + " serves at " + all.named(i), Until: held}
	}
	if i+1 == len(all) {
		return resized(in, note(mine, staged, passed), end, n, "it has passed all its stages")
	}
	return resized(in, note(mine, staged, fmt.Sprint(i+2)), max(mine.Replicas, all[i+1].replicas(n)), n, "it has passed "+all.named(i))
}
