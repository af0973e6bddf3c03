// Red-black: the new revision comes up dark beside the old one, gets traffic
// pod by pod, and then the old one's is taken away. The old one stays warm.

package strategy

import (
	"fmt"
	"strings"
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
// With Stages, 1 to 3 are done a share at a time (rolling red-black): the new
// revision begins with the replicas of the first stage, and grows from stage to
// stage in traffic, while the old one keeps all of its own until the last of the
// new one's serve. The share of the requests is that of the pods: with 50 % beside
// all of the old ones, a third.
//
// The zero value is safe: no gates, no bake, and the old side stays.
type RedBlack struct {
	Stages []Stage       // by rising percentage of the replicas; of so few that two of them are the same, it is refused; none: all at once
	Ready  time.Duration // to get ready and, later, to serve within; 0: 10m
	Before health.Gate   // asked when the new revision is ready and dark; nil passes
	After  health.Gate   // asked while it bakes, at every look; nil passes
	Judge  time.Duration // a gate that has not passed so long after Ready was over, or the bake, has failed; 0: 10m
	Bake   time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Drain  time.Duration // between the last traffic of a revision and the loss of its replicas; 0: 30s, negative: none
	Keep   Retention     // how long the old side stays

	// Highlander deletes every other revision when the new one is good and they
	// have drained, and only then the run is done. There is no way back then, and
	// Keep must be zero.
	Highlander bool
}

// Next implements Strategy.
func (rb RedBlack) Next(in Input) Step {
	ru := Rules{Ready: rb.Ready, Before: rb.Before, After: rb.After, Judge: rb.Judge, Bake: rb.Bake, Drain: rb.Drain, Keep: rb.Keep, move: byLabel{}}
	if why := rb.unfit(in, ru); why != "" {
		return Abort{Unfit, "RedBlack: " + why}
	}
	if why := rb.unsupported(in); why != "" {
		return Abort{Unfit, why}
	}
	if len(rb.Stages) > 0 {
		ru.begin, ru.entry = stages(rb.Stages).first, firstStage
	}
	rules := []Rule{ru.BringUp, rb.grow(ru), ru.Serve, Supersede, ru.Alone, ru.Watch}
	if rb.Highlander {
		rules = append(rules, ru.onlyOne)
	}
	return ru.Next(in, rules...)
}

func (rb RedBlack) unfit(in Input, ru Rules) string {
	all := stages(rb.Stages)
	mine, _ := in.Mine()
	why := ru.unfit()
	switch {
	case why != "":
	case rb.Highlander && rb.Keep != Retention{}:
		why = "with Highlander nothing is kept: leave Keep alone"
	case all.unfit() != "":
		why = all.unfit()
	case mine.Outcome.Result == cluster.Undecided && in.wanted() > 0:
		why = all.confused(in.wanted())
	}
	return why
}

// grow brings the new revision from stage to stage, and then to all its replicas.
func (rb RedBlack) grow(ru Rules) Rule {
	return func(in Input, mine cluster.Revision) Step {
		if len(rb.Stages) == 0 || mine.Outcome.Result == cluster.Good {
			return nil
		}
		ru := ru.withDefaults(in)
		n := Size(mine)
		if step := ru.climb(in, rb.Stages, mine, n, n, nothing); step != nil {
			return step
		}
		if mine.Ready < n {
			wait := Wait{Why: fmt.Sprintf("%d of %d pods ready", mine.Ready, n)}
			return ru.within(in, wait, func(found string) Step { return fail(in, mine, found) }, mine)
		}
		return nil
	}
}

// onlyOne deletes every other revision, when it has drained.
func (ru Rules) onlyOne(in Input, mine cluster.Revision) Step {
	ru = ru.withDefaults(in)
	for _, r := range in.State.Revisions {
		if r.Name != mine.Name {
			return ru.remove(in, r, "there can be only one: "+mine.Name+" is good")
		}
	}
	return nil
}

// unsupported says why this app's traffic cannot be moved by pod labels.
func (rb RedBlack) unsupported(in Input) string {
	if in.State.Worker() {
		why := "RedBlack moves traffic, and no route brings any to this app: name its Service; or, if it is a worker, use Rolling or Recreate"
		return strings.Join(append([]string{why}, in.State.Warnings...), "; ")
	}
	if in.State.Can.Weigh && !in.State.Can.Enable {
		return "RedBlack turns traffic on and off by pod labels, and a route here divides it by weight: use Canary"
	}
	if !in.State.Can.Enable {
		return "RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector"
	}
	for _, route := range in.State.Traffic() {
		if route.Weights != nil {
			return "RedBlack moves traffic by pod labels, and " + route.Name + " divides it by weight: take the weights off"
		}
	}
	return ""
}
