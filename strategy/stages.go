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
	Percent int           // 1 to 99
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
func (all stages) first(n int) int {
	if len(all) == 0 {
		return n
	}
	return all[0].replicas(n)
}

// named is what a gate is asked as: "at stage 2 of 3".
func (all stages) named(i int) string { return fmt.Sprintf("at stage %d of %d", i+1, len(all)) }

// reached is the stage that a revision has the replicas of: the first is where it
// begins. len(all): it is past them.
func (all stages) reached(r cluster.Revision, n int) int {
	for i, s := range all {
		if r.Replicas <= s.replicas(n) {
			return i
		}
	}
	return len(all)
}

// climb brings a revision that is in traffic from stage to stage, each by one
// write of its replicas. It returns nil when it has passed them all.
func (ru Rules) climb(in Input, all stages, mine cluster.Revision, n int, beside Rule) Step {
	i := all.reached(mine, n)
	if i == len(all) || mine.Outcome.Result == cluster.Good {
		return nil
	}
	late := func(found string) Step { return fail(in, mine, found) }
	if serves := in.State.ReliedOn(mine.Name); serves < mine.Replicas {
		return ru.within(in, Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve %s", serves, mine.Replicas, mine.Name, all.named(i))}, late, mine)
	}
	if step := beside(in, mine); step != nil {
		return ru.within(in, step, late, mine)
	}
	held := in.Until(later(in.OutSince(mine), mine.Raised), all[i].Hold)
	if step := ru.ask(in, mine, all.named(i), all[i].Gate, held); step != nil {
		return step
	}
	if in.State.At.Before(held) {
		return Wait{Why: mine.Name + " serves " + all.named(i), Until: held}
	}
	if i+1 == len(all) {
		return nil
	}
	to := all[i+1].replicas(n)
	return resized(in, mine, to, n, "it has passed "+all.named(i))
}
