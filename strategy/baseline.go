// The baseline: pods of the old version, made anew beside a canary, that this is
// compared with.

package strategy

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
)

// baselineArm is the Arm of a canary's baseline.
const baselineArm = "baseline"

// arm is the baseline of a release.
func arm(s cluster.State, of cluster.Revision) (cluster.Revision, bool) {
	for _, r := range s.Revisions {
		if r.Arm == baselineArm && r.Release == of.Release {
			return r, true
		}
	}
	return cluster.Revision{}, false
}

// compared sees to the baseline: as large as the canary, and in traffic when that
// is.
func (ca *Canary) compared(in Input, mine cluster.Revision) Step {
	good, older := in.State.NewestGood(mine)
	if !ca.Baseline || !older || !ca.proving(mine) || mine.Replicas == 0 {
		return nil
	}
	ru := ca.rules(in)
	base, there := arm(in.State, mine)
	if !there {
		return Put{cluster.Revision{
			Name: cluster.RevisionName(in.App, mine.Seq, baselineArm), Release: mine.Release, Arm: baselineArm, Seq: mine.Seq,
			Template: good.Template, Replicas: mine.Replicas,
		}, "what " + mine.Name + " is compared with: " + good.Name + ", made anew"}
	}
	step := ca.beside(in, ru, mine, base)
	return ru.within(in, step, func(found string) Step { return fail(in, mine, found) }, mine, base)
}

func (ca *Canary) beside(in Input, ru Rules, mine, base cluster.Revision) Step {
	switch {
	case base.Replicas < mine.Replicas:
		return scale(base, mine.Replicas, "as many as "+mine.Name)
	case base.Ready < base.Replicas:
		return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready", base.Ready, base.Replicas, base.Name)}
	case mine.Enabled:
		return ru.move.to(in, base, "it serves beside "+mine.Name)
	}
	return nil
}

// swept deletes the baseline, when nothing is compared with it any more.
func (ca *Canary) swept(in Input, mine cluster.Revision) Step {
	ru := ca.rules(in)
	base, there := arm(in.State, mine)
	if !there || ca.needed(in, mine, base) {
		return nil
	}
	keep := mine
	if good, ok := in.State.NewestGood(mine); ok {
		keep = good
	}
	step := ru.sweep(in, base, keep)
	return ru.within(in, step, func(found string) Step { return Abort{Unsafe, found} }, mine, base)
}

// needed reports whether the floor cannot spare the baseline yet.
func (ca *Canary) needed(in Input, mine, base cluster.Revision) bool {
	left := 0
	for _, r := range in.State.Revisions {
		if r.Name != base.Name {
			left += surely(in.State, r)
		}
	}
	return lit(in.State, base) && mine.Outcome.Result == cluster.Undecided && left < ca.bounds(in, in.sizeOf(mine)).Floor
}

// sweep takes an arm out of traffic, lets it drain and deletes it.
func (ru Rules) sweep(in Input, a, keep cluster.Revision) Step {
	if step := ru.move.leave(in, a, keep); step != nil {
		return step
	}
	return ru.remove(in, a, "nothing is compared with it any more")
}
