// Red-black: the new revision comes up dark beside the old one, gets traffic
// pod by pod, and then the old one's is taken away. The old one stays warm.

package strategy

import (
	"strings"
	"time"

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
	Judge  time.Duration // a gate that has not passed so long after Ready was over, or the bake, has failed; 0: 10m
	Bake   time.Duration // alone in traffic, and watched, before it is good; 0: one look
	Drain  time.Duration // between the last traffic of a revision and the loss of its replicas; 0: 30s, negative: none
	Keep   Retention     // how long the old side stays
}

// Next implements Strategy.
func (rb RedBlack) Next(in Input) Step {
	ru := Rules{Ready: rb.Ready, Before: rb.Before, After: rb.After, Judge: rb.Judge, Bake: rb.Bake, Drain: rb.Drain, Keep: rb.Keep, move: byLabel{}}
	if why := ru.unfit(); why != "" {
		return Abort{Unfit, "RedBlack: " + why}
	}
	if why := rb.unsupported(in); why != "" {
		return Abort{Unfit, why}
	}
	return ru.Next(in, ru.BringUp, ru.Serve, Supersede, ru.Alone, ru.Watch)
}

// unsupported says why this app's traffic cannot be moved by pod labels.
func (rb RedBlack) unsupported(in Input) string {
	if in.State.Worker() {
		why := "RedBlack moves traffic, and no route brings any to this app: name its Service"
		return strings.Join(append([]string{why}, in.State.Warnings...), "; ")
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
