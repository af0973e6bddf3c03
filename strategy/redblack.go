// Red-black: the new revision comes up dark beside the old one, gets traffic
// pod by pod, and then the old one's is taken away. The old one stays warm.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// RedBlack moves traffic by the labels of pods, the way Spinnaker does: for a
// moment both revisions serve, never none. The fault-free sequence is
//
//  1. create the new revision with all its replicas, dark
//  2. wait until they are ready; ask Before
//  3. turn its traffic on: template first, then each pod
//  4. wait until it serves on every route; turn the old one's traffic off
//  5. wait until the old one serves nowhere; ask After for as long as Bake
//  6. record the new revision as good; the old one stays warm, see Keep
//
// If Before or After fails, or a deadline passes, the new revision is recorded
// as failed, the newest good one gets its capacity and traffic back, and the
// new one goes dark, drains and loses its replicas. Between 3 and 4 both serve:
// the two versions must be able to.
//
// The zero value is safe: no gates, no bake, and the old side stays.
type RedBlack struct {
	Ready  time.Duration // to get ready and, later, to serve within; 0: 10m
	Before health.Gate   // asked when the new revision is ready and dark; nil passes
	After  health.Gate   // asked while it bakes, at every look; nil passes
	Judge  time.Duration // how long a gate may stay pending before that is a failure; 0: 10m
	Bake   time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Drain  time.Duration // between the last traffic of a revision and the loss of its replicas; 0: 30s, negative: none
	Keep   Retention     // how long the old side stays
}

const (
	beforeTraffic = "before traffic"
	inTraffic     = "in traffic"
)

// Next implements Strategy.
func (rb RedBlack) Next(in Input) Step {
	rb = rb.withDefaults()
	if why := rb.unfit(in); why != "" {
		return Abort{Unfit, why}
	}
	mine, found, stop := place(in)
	switch {
	case stop != nil:
		return stop
	case !found:
		return create(in)
	case mine.Outcome.Result == cluster.Failed:
		return giveBack(in, mine, rb.Ready, rb.Drain)
	}
	for _, rule := range []func(Input, cluster.Revision) Step{supersede, rb.turnOn, rb.serve, rb.turnOthersOff, rb.bake} {
		if step := rule(in, mine); step != nil {
			return step
		}
	}
	return rb.Keep.retain(in, mine, rb.Drain)
}

func (rb RedBlack) withDefaults() RedBlack {
	if rb.Ready == 0 {
		rb.Ready = 10 * time.Minute
	}
	if rb.Judge == 0 {
		rb.Judge = 10 * time.Minute
	}
	if rb.Drain == 0 {
		rb.Drain = 30 * time.Second
	}
	rb.Drain = max(0, rb.Drain)
	return rb
}

// unfit says what is wrong with the settings, or with this cluster for them.
func (rb RedBlack) unfit(in Input) string {
	switch {
	case rb.Ready < 0 || rb.Judge < 0 || rb.Bake < 0:
		return "RedBlack: Ready, Judge and Bake must not be negative"
	case in.State.Worker():
		return "RedBlack moves traffic, and no route brings any to this app: name its Service, or use a strategy for workers"
	case !in.State.Can.Enable:
		return "RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector"
	}
	for _, route := range in.State.Traffic() {
		if route.Weights != nil {
			return "RedBlack moves traffic by pod labels, and " + route.Name + " divides it by weight: use Canary, or take the weights off"
		}
	}
	return rb.Keep.unfit()
}

// turnOn gets the new revision ready, judged, and enabled on every pod.
func (rb RedBlack) turnOn(in Input, mine cluster.Revision) Step {
	if mine.Enabled && mine.Unsettled == 0 {
		return behind(mine)
	}
	if !mine.Enabled {
		if step := boot(in, mine, rb.Ready); step != nil {
			return step
		}
		if step := rb.ask(in, mine, beforeTraffic, rb.Before, in.Until(mine.Raised, rb.Ready)); step != nil {
			return step
		}
	}
	mine.Enabled = true
	return Put{mine, "it is ready"}
}

// serve waits until the new revision is relied on by every route.
func (rb RedBlack) serve(in Input, mine cluster.Revision) Step {
	serves := in.State.ReliedOn(mine.Name)
	found := fmt.Sprintf("%d of %d endpoints serve", serves, mine.Replicas)
	good := mine.Outcome.Result == cluster.Good
	switch {
	case serves >= mine.Replicas, good && serves > 0:
		return nil
	case !in.Held(later(mine.Since, mine.Raised, in.Watched), rb.Ready):
		return Wait{Why: found}
	case good:
		return Abort{Stranded, fmt.Sprintf("%s is good, but after %v only %s", mine.Name, rb.Ready, found)}
	}
	return fail(mine, fmt.Sprintf("not in traffic within %v: %s", rb.Ready, found))
}

// turnOthersOff takes the traffic off every other revision.
func (rb RedBlack) turnOthersOff(in Input, mine cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Name == mine.Name {
			continue
		}
		if step := darken(in, r, mine.Name+" serves"); step != nil {
			return step
		}
	}
	if n := in.State.Strays; n > 0 {
		found := fmt.Sprintf("%d pods of no revision of this app are in traffic", n)
		if in.Held(in.Watched, rb.Ready) {
			return Abort{Unsafe, found + ": they would serve beside " + mine.Name}
		}
		return Wait{Why: found}
	}
	return nil
}

// bake watches the new revision alone in traffic, and decides that it is good.
func (rb RedBlack) bake(in Input, mine cluster.Revision) Step {
	if mine.Outcome.Result == cluster.Good {
		return nil
	}
	alone := in.Watched
	for _, r := range in.State.Revisions {
		alone = later(alone, r.Since)
	}
	baked := in.Until(alone, rb.Bake)
	if step := rb.ask(in, mine, inTraffic, rb.After, baked); step != nil {
		return step
	}
	if in.State.At.Before(baked) {
		return Wait{Why: mine.Name + " bakes", Until: baked}
	}
	mine.Outcome = cluster.Outcome{Result: cluster.Good, Why: "passed"}
	return Put{mine, "alone in traffic, and passed"}
}

// ask asks a gate at every look. A gate that has not passed when Judge is over,
// counted from the time given, has failed.
func (rb RedBlack) ask(in Input, mine cluster.Revision, name string, gate health.Gate, from time.Time) Step {
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
	case in.Held(from, rb.Judge):
		return fail(mine, because(fmt.Sprintf("gate %s has not passed in time, it is %v", name, verdict), why))
	default:
		return Wait{Why: because(fmt.Sprintf("gate %s is %v", name, verdict), why)}
	}
}
