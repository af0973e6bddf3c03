// Canary: a small part of the new revision in traffic first, compared with a fresh
// baseline of the old one; then the old one rolls over to it.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// Canary lets a few replicas of the new revision prove themselves in traffic, stage
// by stage, while the old one keeps all of its own, and then rolls over to it. The
// fault-free sequence is
//
//  1. create the new revision with the replicas of the first stage, dark; with
//     Baseline, one of the old one's template with as many, too
//  2. wait until they are ready; ask Before; turn their traffic on
//  3. wait until they serve; hold the stage, and ask its Gate about them
//  4. give them the replicas of the next stage; again from 3, to the last stage
//  5. delete the baseline, if there is one; roll the old revision over to the new one, within Surge
//     and Unavailable; ask After for as long as Bake
//  6. record the new revision as good; the old one keeps no replicas
//
// A stage's share is one of replicas: requests are divided by the number of pods
// that are in traffic. Where a router divides them by weight it is one of the
// requests, however few pods that is; nobody gets more than its endpoints bear, in
// 5 a batch serves before it gets its share, and what the old one no longer needs
// goes after Drain. If a gate fails, or a deadline passes, the new revision is
// recorded as failed, what it had taken over rolls back, and it loses its traffic
// and its replicas, as does the baseline. From 2 to 5 both versions serve: they
// must be able to.
//
// Stages must be named; all else may be zero.
type Canary struct {
	Stages      []Stage       // by rising percentage; of so few replicas that two of them are the same, it is refused, unless a router divides by weight
	Baseline    bool          // compare with pods of the old version that are as young as the canary's and as many, not with the old ones
	Ready       time.Duration // each stage and batch has to get ready and to serve within; 0: 10m
	Before      health.Gate   // asked when the first stage is ready and dark; nil passes
	Surge       Amount        // in 5, replicas wanted beyond those of the target, and at least those of the last stage; "": 25%
	Unavailable Amount        // in 5, endpoints that may be missing; "": 25%
	After       health.Gate   // asked while it bakes, at every look; nil passes
	Judge       time.Duration // a gate that has not passed so long after what it waits for has failed; 0: 10m
	Bake        time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Drain       time.Duration // between the last traffic of a baseline, or of a canary that failed, or a share, and the loss of its pods; 0: 30s, negative: none
	Keep        Retention     // how long the old side stays, without replicas
}

// Next implements Strategy.
func (ca Canary) Next(in Input) Step {
	if why := ca.unfit(in); why != "" {
		return Abort{Unfit, "Canary: " + why}
	}
	ru := ca.rules(in)
	return ru.Next(in, ca.room, ca.compared, ca.first, ca.stages, ca.swept, ca.promote, ca.swept, Supersede, ru.Serve, ru.Alone, ru.Watch)
}

// Bounds implements Bounder: those of the roll, and room for what stands beside
// all that serves.
func (ca Canary) Bounds(in Input) (Bounds, bool) {
	n := in.wanted()
	return ca.bounds(in, n), n > 0
}

// The methods below are the pointer's: most are handed on as rules, each of which
// would copy all settings otherwise.

func (ca *Canary) bounds(in Input, n int) Bounds {
	bounds := roll{ca.Surge, ca.Unavailable}.bounds(n)
	beside := stages(ca.Stages).most(n)
	if ca.Baseline {
		beside *= 2
	}
	way, ok := in.State.NewestGood(newest(in))
	serves, back := 0, Size(way) // what one that is superseded had taken over goes back
	for _, r := range in.State.Revisions {
		if r.Arm == "" && r.Release != in.Target.Release && lit(in.State, r) {
			serves += r.Replicas
			back = max(back, in.whole(way, r))
		}
	}
	if ok {
		serves += max(0, back-way.Replicas)
	}
	bounds.Ceiling = max(bounds.Ceiling, max(n, serves)+beside)
	if ok && lit(in.State, way) && way.Replicas > 0 { // somebody else may have made it smaller
		bounds.Floor = min(bounds.Floor, roll{ca.Surge, ca.Unavailable}.bounds(max(1, Size(way))).Floor)
	}
	return bounds
}

func (ca *Canary) unfit(in Input) string {
	all := stages(ca.Stages)
	n := in.wanted()
	mine, _ := in.Mine()
	decided := mine.Outcome.Result != cluster.Undecided
	why := all.unfit()
	switch {
	case why != "":
	case len(all) == 0:
		why = "it has no Stages: say how much traffic is to prove it, such as {{Percent: 10, Hold: 10 * time.Minute}}"
	case unfitAmounts(ca.Surge, ca.Unavailable) != "":
		why = unfitAmounts(ca.Surge, ca.Unavailable)
	case ca.Baseline && bySelectorAlone(in.State):
		why = "a baseline has the labels of the old version, and a Service here selects by these: it needs a traffic label, or leave Baseline out"
	case in.lumped() != "":
		why = in.lumped()
	case in.State.Can.Weigh && (in.State.Can.Enable || in.State.Can.Select):
		why = "traffic here is divided by weight and moved by labels or selectors, too: leave it to the one or the other"
	case in.State.Can.Weigh && ca.Baseline && all[len(all)-1].Percent > 50:
		why = "a Baseline gets as much of the traffic as the canary: no stage can have more than 50 %"
	case n > 0 && !decided && !in.State.Can.Weigh:
		why = all.confused(n)
	}
	return why
}

func (ca *Canary) rules(in Input) Rules {
	ru := Rules{Ready: ca.Ready, Before: ca.Before, After: ca.After, Judge: ca.Judge, Bake: ca.Bake, Drain: ca.Drain, Keep: ca.Keep}
	if ru.move = besides(in); in.State.Can.Weigh {
		ru.move = byWeight{ca.share}
	}
	ru = ru.withDefaults(in)
	ru.begin = func(n int) int {
		return min(ca.begins(in, n), max(0, ca.bounds(in, n).Ceiling-others(in.State, cluster.Revision{})))
	}
	if ru.entry = noStages; otherLit(in) {
		ru.entry = firstStage
	}
	ru.back = ca.giveBack
	return ru
}

// begins is with how many of n replicas it goes into traffic: with all, if there
// is nothing to compare with, and nobody who serves.
func (ca *Canary) begins(in Input, n int) int {
	if !otherLit(in) {
		return n
	}
	return stages(ca.Stages).first(n)
}

// share is how much of the traffic a router is to give to a revision: that of the
// stage, to what is compared with each other; and to anybody else what it bears, and
// what these leave.
func (ca *Canary) share(in Input, r cluster.Revision) int {
	mine, _ := in.Mine()
	i, proving := stages(ca.Stages).stage(mine)
	if proving && r.Release == mine.Release && otherLit(in) {
		return ca.Stages[i].Percent
	}
	left := 100
	for _, other := range in.State.Revisions {
		if proving && other.Release == mine.Release && other.Name != r.Name {
			most := 0
			for _, route := range in.State.Traffic() {
				most = max(most, route.Weights[other.Name])
			}
			left -= most
		}
	}
	return min(left, bears(in.State, r))
}

// newest is this run's own revision, or what it will be.
func newest(in Input) cluster.Revision {
	mine, found := in.Mine()
	if !found {
		mine.Seq = in.State.NextSeq()
	}
	return mine
}

// proving reports whether the new revision is still at its stages.
func (ca *Canary) proving(mine cluster.Revision) bool {
	_, proving := stages(ca.Stages).stage(mine)
	return proving
}

// otherLit reports whether a revision of another release has traffic, or is to
// have some.
func otherLit(in Input) bool {
	for _, r := range in.State.Revisions {
		if r.Release == in.Target.Release || !lit(in.State, r) {
			continue
		}
		if !in.State.Can.Weigh || in.State.HasTraffic(r.Name) { // by weight, its share: if it has one
			return true
		}
	}
	return false
}

// room puts away what stands beside the good revision: a canary that this one
// supersedes, its baseline, and what is dark.
func (ca *Canary) room(in Input, mine cluster.Revision) Step {
	way, ok := in.State.NewestGood(mine)
	if !ca.proving(mine) {
		return nil
	}
	if step := Supersede(in, mine); step != nil {
		return step
	}
	ru := ca.rules(in)
	late := func(found string) Step { return fail(in, mine, found) }
	for _, dark := range []bool{true, false} { // what is dark first, for the others may need its room
		for _, r := range in.State.Revisions {
			own := r.Release == mine.Release || r.Name == way.Name
			if own || lit(in.State, r) == dark || dark && r.Replicas == 0 && r.Arm == "" || !dark && !ok {
				continue
			}
			if step := ca.putAway(in, ru, r, way); step != nil {
				return ru.within(in, step, late, mine, r, way)
			}
		}
	}
	return ru.within(in, ca.level(in, mine, way), late, mine, way)
}

// level makes a canary that is taken up again as small as its first stage, and what
// serves as large as it was.
func (ca *Canary) level(in Input, mine, way cluster.Revision) Step {
	n := in.sizeOf(mine)
	if first := ca.begins(in, n); n > 0 && mine.Replicas > first && in.State.Dark(mine) {
		return resized(in, mine, first, n, "it proves itself first")
	}
	if whole := Size(way); lit(in.State, way) && way.Replicas < whole {
		return ca.bounds(in, n).up(in, way, whole, whole, "it serves until "+mine.Name+" has proved itself")
	}
	return nil
}

// putAway gives what a revision serves back to the good one, and takes its
// replicas.
func (ca *Canary) putAway(in Input, ru Rules, r, way cluster.Revision) Step {
	n := in.whole(way, r)
	if lit(in.State, r) {
		if step := ca.bounds(in, in.wanted()).up(in, way, n, n, "it serves in place of "+r.Name); step != nil {
			return step
		}
		if way.Ready < way.Replicas {
			return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready, which serves in place of %s", way.Ready, way.Replicas, way.Name, r.Name)}
		}
		if step := ru.move.to(in, way, "it serves in place of "+r.Name); step != nil {
			return step
		}
		if serves := in.State.ReliedOn(way.Name); serves < way.Replicas {
			return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve in place of %s", serves, way.Replicas, way.Name, r.Name)}
		}
	}
	if r.Arm != "" {
		return ru.sweep(in, r, way)
	}
	if step := ru.move.leave(in, r, way); step != nil {
		return step
	}
	if out := in.Until(in.OutSince(r), ru.Drain); in.State.At.Before(out) {
		return Wait{Why: r.Name + " drains", Until: out}
	}
	return resized(in, r, 0, Size(r), "it is put away")
}

// first brings the first stage into traffic.
func (ca *Canary) first(in Input, mine cluster.Revision) Step {
	ru, n := ca.rules(in), in.sizeOf(mine)
	switch {
	case n == 0:
		return sizeless(mine)
	case in.State.Can.Weigh && in.State.HasTraffic(mine.Name):
		return ru.judged(in, mine) // it gets more stage by stage, and as it is promoted
	}
	step := ru.enter(in, ca.bounds(in, n), mine, ca.begins(in, n), n, ru.judged, "its first stage is ready")
	return ru.within(in, step, func(found string) Step { return fail(in, mine, found) }, mine)
}

// stages lets the canary prove itself at each.
func (ca *Canary) stages(in Input, mine cluster.Revision) Step {
	ru := ca.rules(in)
	serves := func(in Input, mine cluster.Revision) Step {
		base, there := arm(in.State, mine)
		if n := in.State.ReliedOn(base.Name); there && n < base.Replicas {
			return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve", n, base.Replicas, base.Name)}
		}
		if !in.State.Can.Weigh {
			return nil
		}
		if step := ru.move.to(in, mine, "its share of this stage"); step != nil || !there {
			return step
		}
		return ru.move.to(in, base, "as much as "+mine.Name)
	}
	return ru.climb(in, ca.Stages, mine, in.sizeOf(mine), mine.Replicas, serves)
}

// promote rolls the old revision over to the new one.
func (ca *Canary) promote(in Input, mine cluster.Revision) Step {
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	n := in.sizeOf(mine)
	if mine.Replicas == n && mine.Ready >= n && others(in.State, mine) == 0 {
		return nil
	}
	ru := ca.rules(in)
	step := ru.toward(in, ca.bounds(in, n), mine, n, fmt.Sprintf("%s has %d of %d pods ready", mine.Name, mine.Ready, n))
	return ru.within(in, step, func(found string) Step { return fail(in, mine, found) }, mine)
}

// giveBack gives a canary up: what it has taken over rolls back, and it goes, as
// does its baseline.
func (ca *Canary) giveBack(in Input, bad cluster.Revision) Step {
	ru := ca.rules(in)
	stuck := func(found string) Step { return Abort{Stranded, bad.Outcome.Why + "; " + found} }
	back, ok := in.State.NewestGood(bad)
	if ok && back.Replicas >= in.whole(back, bad) && bad.Replicas > 0 {
		step := ca.putAway(in, ru, bad, back) // nothing was taken over yet
		return ru.within(in, step, stuck, bad, back)
	}
	step := ru.rollBack(ca.bounds)(in, bad)
	base, there := arm(in.State, bad)
	if abort, ends := step.(Abort); !there || !ends || abort.Kind != Failed {
		return step
	}
	if !ok {
		back = bad
	}
	return ru.within(in, ru.sweep(in, base, back), stuck, bad, base)
}
