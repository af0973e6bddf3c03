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
// settings, and methods that are each one Rule. An own strategy is an order of
// rules, with rules of its own among them:
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
	if why := ru.unfit(); why != "" {
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
	return ru.Keep.retain(in, mine, ru.Drain)
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
		alone = later(alone, lastMoved(in, r))
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

// giveBack undoes a revision that was given up: the newest good one gets its
// capacity and its traffic back, then everything else goes dark, then autoscalers
// are pointed back, then the bad one drains and loses its replicas.
func (ru Rules) giveBack(in Input, bad cluster.Revision) Step {
	back, ok := in.State.NewestGood(bad)
	if !ok && in.State.HasTraffic(bad.Name) {
		return Abort{Stranded, bad.Outcome.Why + "; no older revision is good, so it was left in traffic"}
	}
	stuck := func(found string) Step {
		return Abort{Stranded, bad.Outcome.Why + "; traffic does not go back: " + found}
	}
	if step := ru.within(in, ru.move.release(in, bad), stuck, bad); step != nil {
		return step
	}
	untouched := !lit(in.State, bad) && oneServes(in.State) // whoever it is, nothing was taken from it
	if ok && !untouched {
		if step := ru.within(in, ru.bringBack(in, back), stuck, back, bad); step != nil {
			return step
		}
	}
	if untouched {
		// There is nothing to give back.
	} else if ok {
		if step := ru.within(in, ru.move.off(in, back, "traffic goes back"), stuck, in.State.Revisions...); step != nil {
			return step
		}
	} else if step := darkWithout(in, bad, stuck); step != nil {
		return step
	}
	if step := size(in, who(in.State, back, untouched), "it serves"); step != nil {
		return step
	}
	if bad.Behind {
		return ru.within(in, behind(bad), func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }, bad)
	}
	if bad.Replicas > 0 {
		if !in.Held(in.OutSince(bad), ru.Drain) {
			return Wait{Why: bad.Name + " drains", Until: in.Until(in.OutSince(bad), ru.Drain)}
		}
		return scale(bad, 0, "it was given up")
	}
	if step := ru.leftovers(in, back, bad); step != nil {
		return step
	}
	failed := func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }
	if step := ru.within(in, freed(in), failed, in.State.Revisions...); step != nil {
		return step
	}
	return Abort{Failed, bad.Outcome.Why}
}

// leftovers gives up what runs that died have left below the revision that was
// given up: it was superseded by that one, and nobody else will. What is newer
// than the revision that was gone back to loses its replicas, too.
func (ru Rules) leftovers(in Input, back, bad cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Release == "" || r.Arm != "" || r.Seq >= bad.Seq || lit(in.State, r) {
			continue
		}
		switch {
		case r.Outcome.Result == cluster.Undecided:
			return fail(in, r, "superseded by "+bad.Name)
		case r.Outcome.Result != cluster.Failed || r.Replicas == 0 || r.Seq <= back.Seq:
		case !in.Held(in.OutSince(r), ru.Drain):
			return Wait{Why: r.Name + " drains", Until: in.Until(in.OutSince(r), ru.Drain)}
		default:
			return scale(r, 0, "it was given up")
		}
	}
	return nil
}

// who returns the revision that has the traffic when nothing is left to give
// back: the one that it went back to or, where it was never taken from it, the
// one that is lit.
func who(s cluster.State, back cluster.Revision, untouched bool) cluster.Revision {
	for _, r := range s.Revisions {
		if untouched && lit(s, r) {
			return r
		}
	}
	return back
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
	case in.State.Can.Enable:
		return darken(in, bad, "it was given up")
	case bad.Enabled: // a route names it, and there is no other name to give
		return stuck("no older revision is good")
	}
	return behind(bad)
}

// bringBack restores the capacity of a good revision and then its traffic, if
// anything else has some.
func (ru Rules) bringBack(in Input, back cluster.Revision) Step {
	need, away := 0, 0
	for _, r := range in.State.Revisions {
		if r.Name != back.Name && !in.State.Dark(r) {
			need = max(need, Size(r))
			away += in.State.Exposed(r.Name)
		}
	}
	if in.State.Serving() == 0 {
		need = max(need, 1) // whoever is gone back to must serve
	}
	if back.Replicas < need {
		if step := enlarge(in, back, need, "capacity first: traffic goes back to it"); step != nil {
			return step
		}
	}
	if step := ru.move.to(in, back, "traffic goes back to it"); step != nil {
		return step
	}
	serves := in.State.ReliedOn(back.Name)
	if need == 0 || serves > 0 && (serves >= back.Replicas || away == 0) {
		return nil
	}
	return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s are back", serves, back.Replicas, back.Name)}
}

// alone gives a good revision its capacity and all the traffic back.
func (ru Rules) alone(in Input, back, _ cluster.Revision) Step {
	if step := ru.bringBack(in, back); step != nil {
		return step
	}
	return ru.move.off(in, back, "traffic goes back to it")
}

// byLabel moves traffic by Put's Enabled, revision by revision.
type byLabel struct{}

func (byLabel) hold(Input, cluster.Revision) Step { return nil }

func (byLabel) release(Input, cluster.Revision) Step { return nil }

func (byLabel) to(_ Input, r cluster.Revision, why string) Step {
	if r.Enabled && r.Unsettled == 0 {
		return behind(r)
	}
	r = note(r, turnedOn, "")
	r.Enabled = true
	return Put{r, why}
}

func (byLabel) claim(_ Input, r cluster.Revision) Step {
	if noted(r, turnedOn) {
		return nil
	}
	return Put{note(r, turnedOn, ""), "somebody else has turned it on, and it may be"}
}

func (byLabel) off(in Input, keep cluster.Revision, why string) Step {
	for _, r := range in.State.Revisions {
		if r.Name == keep.Name {
			continue
		}
		if r.Outcome.Result == cluster.Undecided && in.State.IsGood(r) {
			// It had traffic before cutover knew it: the write that takes this
			// records that it may be gone back to.
			r.Outcome = hadTraffic
		}
		if step := darken(in, r, why); step != nil {
			return step
		}
	}
	return nil
}

func (byLabel) leave(in Input, r, _ cluster.Revision) Step {
	return darken(in, r, r.Name+" leaves traffic")
}

// darken takes traffic off a revision, until nothing sends it any.
func darken(in Input, r cluster.Revision, why string) Step {
	switch {
	case r.Enabled || r.Unsettled > 0:
		r.Enabled = false
		return Put{r, why}
	case in.State.Exposed(r.Name) == 0:
		return behind(r)
	}
	return Wait{Why: fmt.Sprintf("%d endpoints of %s are still in traffic", in.State.Exposed(r.Name), r.Name)}
}
