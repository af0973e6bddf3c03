// Rolling: pod by pod, both versions in traffic together, with little more
// capacity than one of them needs.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// Rolling replaces replicas of the old revision by replicas of the new one, a
// batch at a time, as a Deployment does, but with judgement before, between and
// after. The fault-free sequence is
//
//  1. create the new revision with its first batch, dark
//  2. wait until that is ready; ask Before; turn its traffic on
//  3. with Pause or Between: wait until the batch serves, hold, and ask
//  4. take from the old one, and add to the new one, what the bounds allow
//  5. again from 3, until the old one has none; ask After for as long as Bake
//  6. record the new revision as good; the old one keeps no replicas
//
// At every moment no more than the wanted replicas and Surge are wanted, of all
// revisions together, and no write risks more of the wanted endpoints than
// Unavailable. If a gate fails, or a deadline passes, the new revision is recorded
// as failed, and it rolls back in the same way. From 2 to 5 both serve: the two
// versions must be able to. What an old pod was doing when it goes is between it
// and its grace period: there is no drain before it, as there is none in a
// Deployment.
//
// The zero value is a Deployment's: a quarter each, no gates, no pause.
type Rolling struct {
	Surge       Amount        // replicas wanted beyond those of the target; a percentage is rounded up; "": 25%
	Unavailable Amount        // endpoints that may be missing; a percentage is rounded down, and it is 1 if both are 0; "": 25%
	Ready       time.Duration // each batch has to get ready and to serve within; 0: 10m
	Before      health.Gate   // asked when the first batch is ready and dark; nil passes
	Pause       time.Duration // for which a batch serves before the next one begins; 0: none
	Between     health.Gate   // asked while a batch pauses, and before the next one begins; nil passes
	After       health.Gate   // asked while it bakes, at every look; nil passes
	Judge       time.Duration // a gate that has not passed so long after what it waits for has failed; 0: 10m
	Bake        time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Keep        Retention     // how long the old side stays, without replicas
}

// Next implements Strategy.
func (ro Rolling) Next(in Input) Step {
	if why := ro.unfit(in); why != "" {
		return Abort{Unfit, "Rolling: " + why}
	}
	ru := ro.rules(in)
	return ru.Next(in, ro.first, ro.batches, Supersede, ru.Serve, ru.Alone, ru.Watch)
}

// Bounds implements Bounder.
func (ro Rolling) Bounds(in Input) (Bounds, bool) {
	n := in.wanted()
	return ro.roll().bounds(n), n > 0
}

func (ro Rolling) roll() roll { return roll{ro.Surge, ro.Unavailable} }

func (ro Rolling) rules(in Input) Rules {
	ru := Rules{Ready: ro.Ready, Before: ro.Before, After: ro.After, Judge: ro.Judge, Bake: ro.Bake, Keep: ro.Keep}
	ru.move = besides(in)
	ru = ru.withDefaults(in)
	ru.begin = func(n int) int { return max(0, ro.roll().bounds(n).Ceiling-others(in.State, cluster.Revision{})) }
	ru.back = ru.rollBack(func(_ Input, n int) Bounds { return ro.roll().bounds(n) })
	return ru
}

// besides moves traffic to a revision beside those that have it.
func besides(in Input) mover {
	if bySelectorAlone(in.State) {
		return bySelector{overlap: Always, beside: true}
	}
	return byLabel{}
}

func (ro Rolling) unfit(in Input) string {
	why := ro.roll().unfit()
	switch {
	case why != "":
	case ro.Pause < 0:
		why = "Pause must not be negative"
	case in.lumped() != "":
		why = in.lumped()
	case in.State.Can.Weigh:
		why = "it divides traffic by replicas, and a route here divides it by weight: use Canary"
	}
	return why
}

// first brings the first batch into traffic.
func (ro Rolling) first(in Input, mine cluster.Revision) Step {
	ru := ro.rules(in)
	n := in.sizeOf(mine)
	if n == 0 {
		return sizeless(mine)
	}
	bounds := ro.roll().bounds(n)
	back := func(in Input, good, bad cluster.Revision) Step {
		return ru.backTo(in, func(_ Input, n int) Bounds { return ro.roll().bounds(n) }, good, bad)
	}
	if step := ru.unshared(in, mine, back); step != nil {
		return step
	}
	step := ru.enter(in, bounds, mine, max(1, bounds.Ceiling-n), n, ru.judged, "its first batch is ready")
	return ru.within(in, step, func(found string) Step { return fail(in, mine, found) }, mine)
}

const betweenBatches = "between batches"

// batches rolls on, when what is there has proved itself.
func (ro Rolling) batches(in Input, mine cluster.Revision) Step {
	ru := ro.rules(in)
	n := in.sizeOf(mine)
	late := func(found string) Step { return fail(in, mine, found) }
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	if mine.Replicas == n && others(in.State, mine) == 0 && mine.Ready >= n {
		return nil
	}
	if ro.Pause > 0 || ro.Between != nil {
		if step := ru.within(in, ro.proven(in, ru, mine), late, mine); step != nil {
			return step
		}
	}
	why := fmt.Sprintf("%s has %d of %d pods ready", mine.Name, mine.Ready, n)
	return ru.within(in, ro.roll().bounds(n).toward(in, mine, n, why), late, mine)
}

// proven waits until the batch that is there serves, has done so for Pause, and
// has passed.
func (ro Rolling) proven(in Input, ru Rules, mine cluster.Revision) Step {
	if serves := in.State.ReliedOn(mine.Name); serves < mine.Replicas {
		return Wait{Why: fmt.Sprintf("%d of %d endpoints of the batch serve", serves, mine.Replicas)}
	}
	paused := in.Until(later(in.OutSince(mine), mine.Raised), ro.Pause)
	if step := ru.ask(in, mine, betweenBatches, ro.Between, paused); step != nil {
		return step
	}
	if in.State.At.Before(paused) {
		return Wait{Why: "the batch is left to prove itself", Until: paused}
	}
	return nil
}
