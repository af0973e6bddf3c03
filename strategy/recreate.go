// Recreate: the old revision goes before the new one comes.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// Recreate leaves a gap in which nothing serves: from the loss of the old
// revision's replicas until the new one's are ready, or the old one's again. A
// run that dies in it leaves the gap open until it is run again. It is for apps of
// which two versions must never run side by side. The fault-free sequence is
//
//  1. create the new revision without replicas
//  2. take the replicas of every other one
//  3. wait until no pod of any other one runs, terminating ones counted
//  4. give the new one its replicas; wait until they are ready; ask Before
//  5. turn its traffic on, and the others' off; ask After for as long as Bake
//  6. record the new revision as good; the old one keeps no replicas
//
// If a gate fails, or Ready passes in 3 or 4, the new revision is recorded as
// failed, loses its replicas, and when its last pod is gone the newest good one
// gets back those that it had.
//
// A pod on a node that is lost counts until the cluster gives it up: see Abandon.
type Recreate struct {
	Ready   time.Duration // for the old pods to be gone, and then for the new ones to be ready; 0: 10m
	Before  health.Gate   // asked when the new revision is ready, while nothing serves; nil passes
	After   health.Gate   // asked while it bakes, at every look; nil passes
	Judge   time.Duration // a gate that has not passed so long after Ready was over, or the bake, has failed; 0: 10m
	Bake    time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Abandon time.Duration // go on without pods that were told to go, and still have not after so long: on a lost node they may run on, beside the new ones; 0: never
	Keep    Retention     // how long the old side stays, without replicas
}

// Next implements Strategy.
func (rc Recreate) Next(in Input) Step {
	if rc.Abandon < 0 {
		return Abort{Unfit, "Recreate: Abandon must not be negative"}
	}
	if why := in.lumped(); why != "" {
		return Abort{Unfit, "Recreate: " + why}
	}
	if in.State.Can.Weigh {
		return Abort{Unfit, "Recreate: a route here divides traffic by weight, and during the gap there is nothing to divide it over: use Canary"}
	}
	ru := rc.rules(in)
	return ru.Next(in, rc.replace, ru.BringUp, ru.Serve, Supersede, ru.Alone, ru.Watch)
}

// Bounds implements Bounder: nothing need serve, and nothing may run side by side.
func (rc Recreate) Bounds(in Input) (Bounds, bool) {
	return Bounds{Apart: rc.Abandon == 0 || !rc.onlyLost(in)}, true
}

func (rc Recreate) rules(in Input) Rules {
	ru := Rules{Ready: rc.Ready, Before: rc.Before, After: rc.After, Judge: rc.Judge, Bake: rc.Bake, Keep: rc.Keep}
	if bySelectorAlone(in.State) {
		ru.move = bySelector{overlap: Never}
	}
	ru = ru.withDefaults(in)
	ru.begin = func(int) int { return 0 }
	ru.back = ru.takenBack(func(in Input, back, bad cluster.Revision) Step { return rc.backTo(in, ru, back, bad) })
	return ru
}

// replace gives the new revision its replicas, when no other has a pod.
func (rc Recreate) replace(in Input, mine cluster.Revision) Step {
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	ru := rc.rules(in)
	if step := Supersede(in, mine); step != nil {
		return step // so that what its run has sent can no longer land
	}
	if step := rc.clear(in, mine, "it makes room for "+mine.Name); step != nil {
		if mine.Replicas > 0 && !lit(in.State, mine) {
			return resized(in, mine, 0, Size(mine), "pods of another revision still run")
		}
		return ru.within(in, step, func(found string) Step { return fail(in, mine, found) }, in.State.Revisions...)
	}
	if n := in.sizeOf(mine); mine.Replicas == 0 && n > 0 {
		return resized(in, mine, n, n, "no pod of another revision runs")
	}
	return nil
}

// clear takes the replicas of all but one revision, and waits until no pod of
// them runs.
func (rc Recreate) clear(in Input, keep cluster.Revision, why string) Step {
	for _, r := range in.State.Revisions {
		if r.Name != keep.Name && r.Replicas > 0 {
			return resized(in, r, 0, Size(r), why)
		}
	}
	for _, r := range in.State.Revisions {
		switch {
		case r.Name == keep.Name:
		case r.Behind:
			return behind(r)
		case r.Pods > 0 && !rc.lost(in, r):
			return Wait{Why: fmt.Sprintf("%d pods of %s still run", r.Pods, r.Name)}
		}
	}
	return nil
}

// lost reports that all pods of a revision were told to go so long ago that they
// are not waited for.
func (rc Recreate) lost(in Input, r cluster.Revision) bool {
	return rc.Abandon > 0 && r.Replicas == 0 && r.Leaving == r.Pods && in.Held(in.OutSince(r), rc.Abandon)
}

// onlyLost reports that no pods but lost ones are left of those revisions that
// are to have none.
func (rc Recreate) onlyLost(in Input) bool {
	for _, r := range in.State.Revisions {
		if r.Replicas == 0 && r.Pods > 0 && !rc.lost(in, r) {
			return false
		}
	}
	return true
}

// backTo goes back in the same way: what was given up goes before what is gone
// back to comes.
func (rc Recreate) backTo(in Input, ru Rules, back, bad cluster.Revision) Step {
	n := in.whole(back, bad)
	if back.Replicas < n {
		if step := rc.clear(in, back, "it makes room for "+back.Name); step != nil {
			return step
		}
		return resized(in, back, n, n, "traffic goes back to it")
	}
	if others(in.State, back) > 0 && back.Replicas > 0 && in.State.ReliedOn(back.Name) > 0 {
		if step := rc.clear(in, back, "it was given up"); step != nil {
			return step
		}
	}
	if back.Ready < n {
		return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready", back.Ready, n, back.Name)}
	}
	if step := ru.move.to(in, back, "traffic goes back to it"); step != nil {
		return step
	}
	if serves := in.State.ReliedOn(back.Name); serves < n {
		return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s are back", serves, n, back.Name)}
	}
	return ru.move.off(in, back, "traffic goes back")
}
