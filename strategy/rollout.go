// Rules, of which red-black, blue-green and strategies of one's own are made: a
// whole new revision beside the old one, judged, brought into traffic, watched,
// and recorded as good; and the way back. They differ in how traffic is moved.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// Rules are what RedBlack and BlueGreen are made of, for strategies of your own:
// settings, and methods that are each one Rule. They move traffic by labels or by a
// Service's selector, as the cluster can; where a router divides it they are Unfit. An
// own strategy is an order of rules, with rules of its own among them:
//
//	func (s Mine) Next(in strategy.Input) strategy.Step {
//		r := strategy.Rules{Bake: time.Minute}
//		return r.Next(in, r.BringUp, s.ring, r.Serve, strategy.Supersede, r.Alone, r.Watch)
//	}
//
// Package strategytest proves it, or shows what is wrong with it.
type Rules struct {
	Ready  time.Duration // to get ready and, later, to serve within; 0: 10m
	Before health.Gate   // asked by BringUp when the new revision is ready and dark; nil passes
	After  health.Gate   // asked by Watch while it bakes, at every look; nil passes
	Judge  time.Duration // a gate that has not passed so long after Ready was over, or the bake, has failed; 0: 10m
	Bake   time.Duration // Alone in traffic, and watched, before Watch makes it good; 0: one look
	Drain  time.Duration // between the last traffic of a revision and the loss of its replicas; 0: 30s, negative: none
	Keep   Retention     // how long the old side stays

	move  mover           // nil: as the cluster can
	begin func(n int) int // with how many of n replicas the revision is created; nil: all
	entry string          // what its Note begins with
	back  Rule            // gives a revision up; nil: giveBack
}

// A Rule looks at one thing and returns the step that follows from it, or nil if
// there is nothing to do about it: then the next rule decides.
type Rule func(in Input, mine cluster.Revision) Step

// A mover moves traffic. Its methods return the next step of many, and nil when
// the look shows that there is nothing left to do.
type mover interface {
	// hold keeps a revision out of traffic that it would get by having pods.
	hold(in Input, r cluster.Revision) Step
	// release takes back what hold did, once a revision that was given up has no pods.
	release(in Input, bad cluster.Revision) Step
	// claim notes that a revision has its traffic by right, if that is not noted.
	claim(in Input, r cluster.Revision) Step
	// to brings traffic to a revision, besides what has it or in its place.
	to(in Input, r cluster.Revision, why string) Step
	// off takes what is left of it from every other one.
	off(in Input, r cluster.Revision, why string) Step
	// leave takes it from one alone, and gives it to keep where somebody must have it.
	leave(in Input, r, keep cluster.Revision) Step
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

// withDefaults replaces every zero by what it stands for.
func (ru Rules) withDefaults(in Input) Rules {
	ru.Ready = orElse(ru.Ready, 10*time.Minute)
	ru.Judge = orElse(ru.Judge, 10*time.Minute)
	ru.Drain = max(0, orElse(ru.Drain, 30*time.Second))
	switch {
	case ru.move != nil:
	case bySelectorAlone(in.State):
		ru.move = bySelector{drain: ru.Drain}
	default:
		ru.move = byLabel{}
	}
	return ru
}

func (ru Rules) unfit() string {
	if ru.Ready < 0 || ru.Judge < 0 || ru.Bake < 0 {
		return "Ready, Judge and Bake must not be negative"
	}
	return ru.Keep.unfit()
}

// Next is a whole strategy, of which the rules are the way from a revision that
// exists to one that is good. Before them it creates the revision, stops if a
// newer release has come, and gives back what has failed, be it by a rule or by
// an Undo; after them it does what Keep says. The order of the rules is the
// program: the first that returns a step decides.
func (ru Rules) Next(in Input, rules ...Rule) Step {
	why := ru.unfit()
	if why == "" && ru.move == nil && in.State.Can.Weigh {
		why = "a route here divides the traffic by weight, which Rules do not move: use Canary"
	}
	if why != "" {
		return Abort{Unfit, why}
	}
	ru = ru.withDefaults(in)
	mine, found, stop := place(in)
	switch {
	case stop != nil:
		return stop
	case !found:
		return create(in, ru.begin, ru.entry)
	case mine.Outcome.Result == cluster.Failed && ru.back != nil:
		return ru.back(in, mine)
	case mine.Outcome.Result == cluster.Failed:
		return ru.giveBack(in, mine)
	}
	if in.Checked.Verdict == health.Fail && mine.Outcome.Result == cluster.Undecided {
		return fail(in, mine, because("gate "+in.Checked.Name+" failed", in.Checked.Why)) // whatever else there is to do
	}
	for _, rule := range rules {
		if step := rule(in, mine); step != nil {
			return step
		}
	}
	return ru.within(in, ru.Keep.retain(in, mine, ru.Drain), func(found string) Step {
		return Abort{Unsafe, mine.Name + " is good, and what is left of the others stays: " + found}
	}, in.State.Revisions...)
}

// BringUp gets the new revision ready and judged, and brings traffic to it.
func (ru Rules) BringUp(in Input, mine cluster.Revision) Step {
	ru = ru.withDefaults(in)
	failed := func(found string) Step { return fail(in, mine, found) }
	if step := ru.within(in, ru.move.hold(in, mine), failed, mine); step != nil {
		return step
	}
	if step := ru.unshared(in, mine, ru.alone); step != nil {
		return step
	}
	if step := ru.filled(in, mine); step != nil {
		return step
	}
	if !mine.Enabled {
		if step := boot(in, mine, ru.Ready); step != nil {
			return step
		}
	}
	if step := ru.judged(in, mine); step != nil {
		return step
	}
	return ru.within(in, ru.move.to(in, mine, "it is ready"), failed, in.State.Revisions...)
}

// filled gives the new revision the replicas that it begins with. It may have been
// created without, be taken up again, or somebody else may have made one of none.
func (ru Rules) filled(in Input, mine cluster.Revision) Step {
	n := in.sizeOf(mine)
	first := n
	if ru.begin != nil && ru.begin(n) > 0 {
		first = ru.begin(n)
	}
	why := fmt.Sprintf("it has %d of %d replicas", mine.Replicas, first)
	switch {
	case n == 0:
		return sizeless(mine)
	case mine.Replicas >= first:
		return nil
	case in.sizes(mine):
		return enlarge(in, mine, first, why)
	}
	return resized(in, mine, first, n, why)
}

// judged asks Before, unless the revision has its traffic by right: what somebody
// else has brought traffic to is judged, too.
func (ru Rules) judged(in Input, mine cluster.Revision) Step {
	claim := ru.move.claim(in, mine)
	foreign := mine.Enabled && claim != nil && mine.Outcome.Result == cluster.Undecided && ru.Before != nil
	if mine.Enabled && !foreign {
		return nil
	}
	step := ru.ask(in, mine, beforeTraffic, ru.Before, in.Until(mine.Raised, ru.Ready))
	if step == nil && foreign {
		return claim
	}
	return step
}

// within bounds a wait for the cluster to follow: counted from what was last
// decided about these revisions, from when this run began to look, or from the look
// that first showed that somebody has written one of them. A wait that has its own
// end, a drain say, is none for the cluster.
func (ru Rules) within(in Input, step Step, late func(found string) Step, about ...cluster.Revision) Step {
	wait, waits := step.(Wait)
	if !waits || !wait.Until.IsZero() {
		return step
	}
	since := in.Watched
	for _, r := range about {
		since = later(since, lastMoved(in, r), r.Raised, in.follows[r.UID].since)
		if r.Pods > r.Replicas && !lit(in.State, r) {
			since = later(since, in.OutSince(r).Add(ru.Drain)) // before which it has lost no replicas
		}
	}
	if !in.Held(since, ru.Ready) {
		return step
	}
	return late(fmt.Sprintf("%s, after %v", wait.Why, ru.Ready))
}

// Serve waits until the new revision is relied on by every route.
func (ru Rules) Serve(in Input, mine cluster.Revision) Step {
	ru = ru.withDefaults(in)
	serves := in.State.ReliedOn(mine.Name)
	good := mine.Outcome.Result == cluster.Good
	if serves > 0 && (serves >= mine.Replicas || good) {
		return nil
	}
	wait := Wait{Why: fmt.Sprintf("%d of %d endpoints serve", serves, mine.Replicas)}
	return ru.within(in, wait, func(found string) Step {
		if good {
			return Abort{Stranded, mine.Name + " is good, but only " + found}
		}
		return fail(in, mine, "not in traffic: "+found)
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

// Alone takes the traffic off every other revision. Where autoscalers are seen,
// they are pointed at the new one then, whose load is the whole one now.
func (ru Rules) Alone(in Input, mine cluster.Revision) Step {
	ru = ru.withDefaults(in)
	step := ru.move.off(in, mine, mine.Name+" serves")
	if n := in.State.Strays; step == nil && n > 0 {
		step = Wait{Why: fmt.Sprintf("%d pods of no revision of this app are in traffic", n)}
	}
	if step == nil {
		step = size(in, mine, mine.Name+" serves")
	}
	return ru.within(in, step, func(found string) Step {
		return Abort{Unsafe, mine.Name + " is not alone in traffic: " + found}
	}, in.State.Revisions...)
}

// Watch lets the new revision bake, alone in traffic, and decides that it is
// good.
func (ru Rules) Watch(in Input, mine cluster.Revision) Step {
	ru = ru.withDefaults(in)
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	alone := in.Watched
	for _, r := range in.State.Revisions {
		if alone = later(alone, lastMoved(in, r)); r.Name != mine.Name {
			alone = later(alone, in.OutSince(r))
		}
	}
	baked := in.Until(alone, ru.Bake)
	if step := ru.ask(in, mine, inTraffic, ru.After, baked); step != nil {
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
func (ru Rules) ask(in Input, mine cluster.Revision, name string, gate health.Gate, from time.Time) Step {
	answered := in.Checked.Name == name
	why := in.Checked.Why
	switch verdict := in.Checked.Verdict; {
	case gate == nil, answered && verdict == health.Pass:
		return nil
	case !answered:
		baseline, _ := in.State.NewestGood(mine)
		if fresh, there := arm(in.State, mine); there {
			baseline = fresh
		}
		return Check{Name: name, Gate: gate, Revision: mine, Baseline: baseline}
	case in.Held(from, ru.Judge):
		return fail(in, mine, because(fmt.Sprintf("gate %s has not passed in time, it is %v", name, verdict), why))
	default:
		return Wait{Why: because(fmt.Sprintf("gate %s is %v", name, verdict), why), Until: in.Until(from, ru.Judge)}
	}
}

// lit reports whether a revision has traffic, or is to have some. One that is
// only Behind, for a touch say, is not.
func lit(s cluster.State, r cluster.Revision) bool {
	return s.Exposed(r.Name) > 0 || r.Enabled || r.Unsettled > 0
}
