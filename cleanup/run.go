// Removing what Decide says may go.

package cleanup

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// Run removes, one at a time and each after a look of its own, what Decide says
// may go, until a look shows that nothing may. What was kept, and why, is in the
// Steps that the Runner's Trace is given, and in what Run returns: the decisions
// of the last look.
//
// It returns an AbortError of kind Unfit, with nothing deleted, if no revision
// may be kept, or if pods of no revision are in traffic ten seconds after the
// app's endpoints last changed; and whatever the Runner returns if a call fails: a
// look that was refused, cut short or came too late deletes nothing. Several
// cleanups at once are as good as one.
func Run(ctx context.Context, r strategy.Runner, app string, p Policy) ([]Decision, error) {
	var last []Decision
	trace := r.Trace
	r.Trace = func(e strategy.Event) {
		if e.Step != nil {
			last = Decide(e.Input.State, p)
		}
		if trace != nil {
			trace(e)
		}
	}
	_, err := r.Run(ctx, app, cluster.Target{Release: "(cleanup)"}, Strategy{p})
	return last, err
}

// Strategy is a cleanup as a strategy: its Next is made from Decide.
type Strategy struct{ Policy Policy }

// Bounds implements strategy.Bounder: nothing goes below what must be kept.
func (c Strategy) Bounds(in strategy.Input) (strategy.Bounds, bool) {
	return strategy.Bounds{Floor: floor(in.State, c.Policy)}, true
}

func (c Strategy) drain() time.Duration {
	if c.Policy.Drain == 0 {
		return 30 * time.Second
	}
	return c.Policy.Drain
}

// drained returns when a dark revision may lose its pods. It counts from when
// this run saw it leave traffic or, if it has not, from its first look: whoever
// observes for many runs may be told another time in between.
func (c Strategy) drained(in strategy.Input, r cluster.Revision) time.Time {
	if r.Pods == 0 && r.Replicas == 0 {
		return time.Time{} // there is nobody to drain
	}
	since := in.OutSince(r)
	if in.Watched.After(since) {
		since = in.Watched
	}
	return in.Until(since, c.drain())
}

// Next implements strategy.Strategy: first what is kept gets the traffic of all
// its pods; then what may go leaves traffic, drains and is deleted, the oldest
// first, after what points at it was pointed at what is kept; at the end a pin
// that an earlier run has left is taken off, and an autoscaler that names nothing
// gets to scale what is kept.
func (c Strategy) Next(in strategy.Input) strategy.Step {
	decisions := Decide(in.State, c.Policy)
	kept, why := choose(in.State, c.Policy)
	switch {
	case underway(in.State) != "" && !c.Policy.RunFailed:
		return strategy.Done{}
	case in.State.Strays > 0 && !atRest(in):
		return strategy.Wait{Why: fmt.Sprintf("%d pods of no revision are in traffic: they may be on their way out", in.State.Strays)}
	case kept == nil && !c.Policy.NoFloor && len(decisions) > 0:
		return strategy.Abort{Kind: strategy.Unfit, Why: why}
	case kept != nil && kept.Enabled && kept.Unsettled > 0:
		return strategy.Put{Revision: *kept, Why: "it is kept: every pod of it gets traffic"}
	case kept != nil && kept.Replicas < strategy.Size(*kept) && !scaled(in.State, *kept):
		whole := *kept
		whole.Replicas = strategy.Size(*kept)
		return strategy.Put{Revision: whole, Why: "it is kept: it gets back the replicas that it had"}
	}
	drains := strategy.Wait{}
	for _, d := range decisions { // what is dark first: it costs one write
		if d.Verb != Delete {
			continue
		}
		if kept != nil {
			if step := repoint(in.State, d.Revision, *kept); step != nil {
				return step
			}
		}
		out := c.drained(in, d.Revision)
		if !in.State.At.Before(out) {
			return strategy.Delete{Revision: d.Revision, Why: d.Why + "; " + d.Evidence}
		}
		if drains.Until.IsZero() || out.Before(drains.Until) {
			drains = strategy.Wait{Why: d.Revision.Name + " drains", Until: out}
		}
	}
	for _, d := range decisions {
		if d.Verb != Disable {
			continue
		}
		if n := in.State.Lasting(kept.Name); n < kept.Replicas && !in.Held(kept.Raised, patience) {
			return strategy.Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve: the others may yet come", n, kept.Replicas, kept.Name)}
		}
		if step := strategy.TakeOff(in, d.Revision, *kept, d.Why+"; "+d.Evidence); step != nil {
			return within(in, d.Revision, step)
		}
	}
	if !drains.Until.IsZero() {
		return drains
	}
	for _, d := range decisions {
		if d.Verb == Keep && kept != nil && d.Revision.Name != kept.Name && d.Revision.Behind {
			return within(in, d.Revision, strategy.Wait{Why: fmt.Sprintf("%s: %s", d.Revision.Name, d.Why)})
		}
	}
	return settle(in.State, kept)
}

// settle is what is left to do when nothing may go any more.
func settle(s cluster.State, kept *cluster.Revision) strategy.Step {
	if kept == nil {
		return strategy.Done{}
	}
	if step := adopt(s, *kept); step != nil {
		return step
	}
	if step := open(s, *kept); step != nil {
		return step
	}
	return strategy.Done{}
}

// scaled reports whether the replicas of a revision are an autoscaler's business.
func scaled(s cluster.State, r cluster.Revision) bool {
	_, ok := s.ScalerOf(r.Name)
	return ok
}

// atRest reports whether endpoints are taken for what they will stay: none has come
// or gone for a while, or they never come to rest. An EndpointSlice still shows a
// pod that has just gone, which then is nobody's.
func atRest(in strategy.Input) bool {
	since := in.Watched
	for _, r := range in.State.Revisions {
		if r.Moved.After(since) {
			since = r.Moved
		}
	}
	return in.Held(since, strayWait) || in.Held(in.Watched, patience)
}

// strayWait is how long endpoints must stay as they are before pods of no revision
// among them are taken for what they will stay.
const strayWait = 10 * time.Second

// patience is how long a cleanup waits for the cluster to follow a write.
const patience = 10 * time.Minute

// within bounds a wait for the cluster, counted from when a writer last changed
// what the revision is to have, or from when this run began to look.
func within(in strategy.Input, r cluster.Revision, step strategy.Step) strategy.Step {
	since := in.Watched
	if r.Since.After(since) {
		since = r.Since
	}
	wait, waits := step.(strategy.Wait)
	if !waits || !in.Held(since, patience) {
		return step
	}
	return strategy.Abort{Kind: strategy.Unsafe, Why: fmt.Sprintf("%s, after %v", wait.Why, patience)}
}
