// What red-black and blue-green share: a whole new revision beside the old one,
// judged, brought into traffic, watched, and recorded as good; and the way back.
// They differ in how traffic is moved.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// rollout is the settings that both have.
type rollout struct {
	ready  time.Duration
	before health.Gate
	after  health.Gate
	judge  time.Duration
	bake   time.Duration
	drain  time.Duration
	keep   Retention
	move   mover
}

// A mover moves traffic. Both methods return the next step of many, and nil when
// the look shows that there is nothing left to do.
type mover interface {
	// to brings traffic to a revision, besides what has it or in its place.
	to(in Input, r cluster.Revision, why string) Step
	// off takes what is left of it from every other one.
	off(in Input, r cluster.Revision, why string) Step
}

const (
	beforeTraffic = "before traffic"
	inTraffic     = "in traffic"
)

// orElse returns d, or what 0 stands for.
func orElse(d, zero time.Duration) time.Duration {
	if d == 0 {
		return zero
	}
	return d
}

func newRollout(r rollout) rollout {
	r.ready = orElse(r.ready, 10*time.Minute)
	r.judge = orElse(r.judge, 10*time.Minute)
	r.drain = max(0, orElse(r.drain, 30*time.Second))
	return r
}

func (ro rollout) unfit() string {
	if ro.ready < 0 || ro.judge < 0 || ro.bake < 0 {
		return "Ready, Judge and Bake must not be negative"
	}
	return ro.keep.unfit()
}

// next is the program. Rule order is its order.
func (ro rollout) next(in Input) Step {
	mine, found, stop := place(in)
	switch {
	case stop != nil:
		return stop
	case !found:
		return create(in)
	case mine.Outcome.Result == cluster.Failed:
		return ro.giveBack(in, mine)
	}
	for _, rule := range []func(Input, cluster.Revision) Step{ro.bringUp, ro.serve, supersede, ro.alone, ro.watch} {
		if step := rule(in, mine); step != nil {
			return step
		}
	}
	return ro.keep.retain(in, mine, ro.drain)
}

// bringUp gets the new revision ready and judged, and brings traffic to it.
func (ro rollout) bringUp(in Input, mine cluster.Revision) Step {
	if mine.Replicas == 0 {
		n := in.replicas()
		if n == 0 {
			return Abort{Unfit, mine.Name + " was scaled to 0, and nothing else serves that it could be as large as: name a number of replicas"}
		}
		return scale(mine, n, "it was scaled to 0")
	}
	if !mine.Enabled {
		if step := boot(in, mine, ro.ready); step != nil {
			return step
		}
		if step := ro.ask(in, mine, beforeTraffic, ro.before, in.Until(mine.Raised, ro.ready)); step != nil {
			return step
		}
	}
	return ro.within(in, ro.move.to(in, mine, "it is ready"), func(found string) Step { return fail(mine, found) }, mine)
}

// within bounds a wait for the cluster to follow: counted from what was last
// decided about these revisions, or from when this run began to look.
func (ro rollout) within(in Input, step Step, late func(found string) Step, about ...cluster.Revision) Step {
	since := in.Watched
	for _, r := range about {
		since = later(since, lastMoved(in, r), r.Raised)
	}
	wait, waits := step.(Wait)
	if !waits || !in.Held(since, ro.ready) {
		return step
	}
	return late(fmt.Sprintf("%s, after %v", wait.Why, ro.ready))
}

// serve waits until the new revision is relied on by every route.
func (ro rollout) serve(in Input, mine cluster.Revision) Step {
	serves := in.State.ReliedOn(mine.Name)
	good := mine.Outcome.Result == cluster.Good
	if serves > 0 && (serves >= mine.Replicas || good) {
		return nil
	}
	wait := Wait{Why: fmt.Sprintf("%d of %d endpoints serve", serves, mine.Replicas)}
	return ro.within(in, wait, func(found string) Step {
		if good {
			return Abort{Stranded, mine.Name + " is good, but only " + found}
		}
		return fail(mine, "not in traffic: "+found)
	}, mine)
}

// lastMoved returns when a writer last changed the traffic of a revision: on the
// object itself, or on a route.
func lastMoved(in Input, r cluster.Revision) time.Time {
	last := r.Since
	for _, route := range in.State.Traffic() {
		last = later(last, route.Since)
	}
	return last
}

// alone takes the traffic off every other revision.
func (ro rollout) alone(in Input, mine cluster.Revision) Step {
	step := ro.move.off(in, mine, mine.Name+" serves")
	if n := in.State.Strays; step == nil && n > 0 {
		step = Wait{Why: fmt.Sprintf("%d pods of no revision of this app are in traffic", n)}
	}
	return ro.within(in, step, func(found string) Step {
		return Abort{Unsafe, mine.Name + " is not alone in traffic: " + found}
	}, in.State.Revisions...)
}

// watch lets the new revision bake, alone in traffic, and decides that it is
// good.
func (ro rollout) watch(in Input, mine cluster.Revision) Step {
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	alone := in.Watched
	for _, r := range in.State.Revisions {
		alone = later(alone, lastMoved(in, r))
	}
	baked := in.Until(alone, ro.bake)
	if step := ro.ask(in, mine, inTraffic, ro.after, baked); step != nil {
		return step
	}
	if in.State.At.Before(baked) {
		return Wait{Why: mine.Name + " bakes", Until: baked}
	}
	mine.Outcome = cluster.Outcome{Result: cluster.Good, Why: "passed"}
	return Put{mine, "alone in traffic, and passed"}
}

// ask asks a gate at every look. A gate that has not passed when judge is over,
// counted from the time given, has failed.
func (ro rollout) ask(in Input, mine cluster.Revision, name string, gate health.Gate, from time.Time) Step {
	answered := in.Checked.Name == name
	why := in.Checked.Why
	switch verdict := in.Checked.Verdict; {
	case gate == nil, answered && verdict == health.Pass:
		return nil
	case !answered:
		baseline, _ := in.State.NewestGood(mine)
		return Check{Name: name, Gate: gate, Revision: mine, Baseline: baseline}
	case verdict == health.Fail:
		return fail(mine, because("gate "+name+" failed", why))
	case in.Held(from, ro.judge):
		return fail(mine, because(fmt.Sprintf("gate %s has not passed in time, it is %v", name, verdict), why))
	default:
		return Wait{Why: because(fmt.Sprintf("gate %s is %v", name, verdict), why)}
	}
}

// giveBack undoes a revision that was given up: the newest good one gets its
// capacity and its traffic back, then everything else goes dark, then the bad
// one drains and loses its replicas.
func (ro rollout) giveBack(in Input, bad cluster.Revision) Step {
	back, ok := in.State.NewestGood(bad)
	if !ok && in.State.HasTraffic(bad.Name) {
		return Abort{Stranded, bad.Outcome.Why + "; no older revision is good, so it was left in traffic"}
	}
	stuck := func(found string) Step {
		return Abort{Stranded, bad.Outcome.Why + "; traffic does not go back: " + found}
	}
	untouched := !lit(in.State, bad) && oneServes(in.State) // whoever it is, nothing was taken from it
	if ok && !untouched {
		if step := ro.within(in, ro.bringBack(in, back), stuck, back, bad); step != nil {
			return step
		}
	}
	if untouched {
		// There is nothing to give back.
	} else if ok {
		if step := ro.within(in, ro.move.off(in, back, "traffic goes back"), stuck, in.State.Revisions...); step != nil {
			return step
		}
	} else if step := darkWithout(in, bad, stuck); step != nil {
		return step
	}
	if bad.Behind {
		return ro.within(in, behind(bad), func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }, bad)
	}
	if bad.Replicas > 0 {
		if !in.Held(bad.Moved, ro.drain) {
			return Wait{Why: bad.Name + " drains", Until: in.Until(bad.Moved, ro.drain)}
		}
		return scale(bad, 0, "it was given up")
	}
	if step := ro.leftovers(in, back, bad); step != nil {
		return step
	}
	return Abort{Failed, bad.Outcome.Why}
}

// leftovers gives up what runs that died have left below the revision that was
// given up: it was superseded by that one, and nobody else will. What is newer
// than the revision that was gone back to loses its replicas, too.
func (ro rollout) leftovers(in Input, back, bad cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Release == "" || r.Arm != "" || r.Seq >= bad.Seq || lit(in.State, r) {
			continue
		}
		switch {
		case r.Outcome.Result == cluster.Undecided:
			return fail(r, "superseded by "+bad.Name)
		case r.Outcome.Result != cluster.Failed || r.Replicas == 0 || r.Seq <= back.Seq:
		case !in.Held(r.Moved, ro.drain):
			return Wait{Why: r.Name + " drains", Until: in.Until(r.Moved, ro.drain)}
		default:
			return scale(r, 0, "it was given up")
		}
	}
	return nil
}

// oneServes reports whether one revision has all the traffic, and all of its own.
func oneServes(s cluster.State) bool {
	n := 0
	for _, r := range s.Revisions {
		if lit(s, r) {
			n++
			if s.Lasting(r.Name) < r.Replicas || s.Lasting(r.Name) == 0 {
				return false
			}
		}
	}
	return n == 1
}

// lit reports whether a revision has traffic, or is to have some. One that is
// only Behind, for a touch say, is not.
func lit(s cluster.State, r cluster.Revision) bool {
	return s.Exposed(r.Name) > 0 || r.Enabled || r.Unsettled > 0
}

// darkWithout takes the traffic off a revision that has none, so that it will
// have none: there is nothing to give it to.
func darkWithout(in Input, bad cluster.Revision, stuck func(string) Step) Step {
	switch {
	case in.State.Dark(bad):
		return nil
	case in.State.Can.Enable:
		return darken(in, bad, "it was given up")
	case bad.Enabled: // a route names it, and there is no other name to give
		return stuck("no older revision is good")
	}
	return behind(bad)
}

// bringBack restores the capacity of a good revision and then its traffic, if
// anything else has some.
func (ro rollout) bringBack(in Input, back cluster.Revision) Step {
	need, away := 0, 0
	for _, r := range in.State.Revisions {
		if r.Name != back.Name && !in.State.Dark(r) {
			need = max(need, r.Replicas)
			away += in.State.Exposed(r.Name)
		}
	}
	if in.State.Serving() == 0 {
		need = max(need, 1) // whoever is gone back to must serve
	}
	if back.Replicas < need {
		return scale(back, need, "capacity first: traffic goes back to it")
	}
	if step := ro.move.to(in, back, "traffic goes back to it"); step != nil {
		return step
	}
	serves := in.State.ReliedOn(back.Name)
	if need == 0 || serves > 0 && (serves >= back.Replicas || away == 0) {
		return nil
	}
	return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s are back", serves, back.Replicas, back.Name)}
}

// byLabel moves traffic by Put's Enabled, revision by revision.
type byLabel struct{}

func (byLabel) to(_ Input, r cluster.Revision, why string) Step {
	if r.Enabled && r.Unsettled == 0 {
		return behind(r)
	}
	r.Enabled = true
	return Put{r, why}
}

func (byLabel) off(in Input, keep cluster.Revision, why string) Step {
	for _, r := range in.State.Revisions {
		if r.Name == keep.Name {
			continue
		}
		if r.Outcome.Result == cluster.Undecided && in.State.IsGood(r) {
			// It had traffic before cutover knew it: the write that takes this
			// records that it may be gone back to.
			r.Outcome = cluster.Outcome{Result: cluster.Good, Why: "had traffic before"}
		}
		if step := darken(in, r, why); step != nil {
			return step
		}
	}
	return nil
}

// darken takes traffic off a revision, until nothing sends it any.
func darken(in Input, r cluster.Revision, why string) Step {
	switch {
	case in.State.Dark(r):
		return nil
	case r.Enabled || r.Unsettled > 0:
		r.Enabled = false
		return Put{r, why}
	case in.State.Exposed(r.Name) == 0:
		return behind(r)
	}
	return Wait{Why: fmt.Sprintf("%d endpoints of %s are still in traffic", in.State.Exposed(r.Name), r.Name)}
}
