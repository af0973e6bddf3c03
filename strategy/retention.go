// What becomes of old revisions once a newer one is good.

package strategy

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// Retention says how long the old side stays. The newest good revision below
// the live one is the way back: it is kept warm, with all its replicas, until
// the next release is good, unless Shrink or Destroy say otherwise. All others
// lose their replicas once they have drained. Nothing of this happens by itself: a run
// with Runner.Stay does it when it falls due, or the next run of any release; Done
// says when that is.
type Retention struct {
	Shrink   time.Duration // the way back shrinks this long after the live one became good; 0: not by time
	ShrinkTo int           // to so many replicas; 0: none
	Destroy  time.Duration // the way back is deleted this long after the live one became good; 0: not by time
	History  int           // how many old revisions stay without replicas, failed ones too; 0: 10, negative: none
}

func (k Retention) unfit() string {
	switch {
	case k.Shrink < 0 || k.Destroy < 0 || k.ShrinkTo < 0:
		return "no time of a Retention, nor ShrinkTo, may be negative"
	case k.ShrinkTo > 0 && k.Shrink == 0:
		return "Retention.ShrinkTo needs Shrink: when to shrink"
	case k.Destroy > 0 && k.Destroy < k.Shrink:
		return "Retention.Destroy must not come before Shrink"
	}
	return ""
}

func (k Retention) history() int {
	if k.History == 0 {
		return 10
	}
	return max(0, k.History)
}

// A chore is a step that is due at some time.
type chore struct {
	due  time.Time
	what string
	step Step
}

// retain does the first chore that is due, or is Done until the next one is.
func (k Retention) retain(in Input, live cluster.Revision, drain time.Duration) Step {
	done := Done{}
	for _, c := range k.chores(in, live, drain) {
		if !in.State.At.Before(c.due) {
			if gone, deletes := c.step.(Delete); deletes && gone.Revision.Behind {
				return behind(gone.Revision) // only what is known to be dark is deleted
			}
			return c.step
		}
		if done.Due.IsZero() || c.due.Before(done.Due) {
			done = Done{Due: c.due, What: c.what}
		}
	}
	return done
}

// chores lists what there will be to do about the old side of a live, good
// revision. Nothing loses capacity before it has drained.
func (k Retention) chores(in Input, live cluster.Revision, drain time.Duration) []chore {
	var todo []chore
	add := func(due time.Time, r cluster.Revision, what string, step Step) {
		todo = append(todo, chore{later(due, in.Until(in.OutSince(r), drain)), what, step})
	}
	way, _ := in.State.NewestGood(live)
	old := 0
	for i := len(in.State.Revisions) - 1; i >= 0; i-- {
		r := in.State.Revisions[i]
		switch {
		case r.Name == live.Name || r.Arm != "":
		case r.Name == way.Name:
			if why := fmt.Sprintf("%s has been good for %v", live.Name, k.Destroy); k.Destroy > 0 {
				add(in.Until(live.Since, k.Destroy), r, "delete "+r.Name, Delete{r, why})
			}
			if why := fmt.Sprintf("%s has been good for %v", live.Name, k.Shrink); k.Shrink > 0 && r.Replicas > k.ShrinkTo {
				add(in.Until(live.Since, k.Shrink), r, fmt.Sprintf("shrink %s to %d", r.Name, k.ShrinkTo), scale(r, k.ShrinkTo, why))
			}
		case r.Replicas > 0:
			add(live.Since, r, "scale "+r.Name+" down", scale(r, 0, fmt.Sprintf("%s is good, and the way back is %s", live.Name, orNone(way.Name))))
		default:
			if old++; old > k.history() {
				add(live.Since, r, "delete "+r.Name, Delete{r, fmt.Sprintf("more than %d old revisions", k.history())})
			}
		}
	}
	return todo
}

// remove deletes a revision that has no traffic any more, when it has drained.
func (ru Rules) remove(in Input, r cluster.Revision, why string) Step {
	switch out := in.Until(in.OutSince(r), ru.Drain); {
	case r.Behind:
		return behind(r)
	case r.Pods > 0 && in.State.At.Before(out):
		return Wait{Why: r.Name + " drains", Until: out}
	}
	return Delete{r, why}
}

func scale(r cluster.Revision, replicas int, why string) Step {
	r.Replicas = replicas
	return Put{r, why}
}

func orNone(name string) string {
	if name == "" {
		return "none"
	}
	return name
}
