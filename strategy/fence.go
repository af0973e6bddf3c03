// The fence: how a run keeps out writes that were sent before and have not
// landed yet.
//
// Compare-and-set does not stop a late write: a switch that timed out may land
// after its revision was given up, and the object's version still fits. So
// before anything that such a write could turn into an outage, every traffic
// object that it could still hit is touched: written with this run's fence, so
// that it no longer is what the late write was compared with. Or the time has
// passed after which nothing lands any more.

package strategy

import (
	"strconv"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// fence knows which objects a late write could still hit.
type fence struct {
	id       string
	wait     time.Duration  // negative: waiting does not help
	epoch    int            // rises with every doubt, so that a touch differs from what was sent before
	doubtful map[string]int // object: the epoch that its fence must have reached
	since    time.Time      // of the last doubt, by the cluster's clock
}

// token is what this run's writes carry.
func (f *fence) token() string { return f.id + "." + strconv.Itoa(f.epoch) }

// holds reports whether a stored fence keeps out all that was sent before epoch.
func (f *fence) holds(stored string, epoch int) bool {
	number, ours := strings.CutPrefix(stored, f.id+".")
	n, err := strconv.Atoi(number)
	return ours && err == nil && n >= epoch
}

// doubt notes that the effect of a write to an object is unknown.
func (f *fence) doubt(object string, at time.Time) {
	f.epoch++
	if f.doubtful == nil {
		f.doubtful = map[string]int{}
	}
	f.doubtful[object], f.since = f.epoch, at
}

// firstLook doubts every traffic object, if what it shows is not the end of a
// run: whoever began it may have died a moment ago.
func (f *fence) firstLook(s cluster.State) {
	if !unfinished(s) {
		return
	}
	for _, r := range s.Revisions {
		if s.Can.Enable && (r.Pods > 0 || r.Replicas > 0) {
			f.doubt(r.Name, s.At)
		}
	}
	for _, route := range s.Routes {
		if s.Can.Select || s.Can.Weigh {
			f.doubt(route.Name, s.At)
		}
	}
}

// unfinished reports whether a release of ours is undecided, or was given up
// and not given back.
func unfinished(s cluster.State) bool {
	for _, r := range s.Revisions {
		undecided := r.Release != "" && r.Outcome.Result == cluster.Undecided
		halfBack := r.Outcome.Result == cluster.Failed && (r.Replicas > 0 || !s.Dark(r))
		if undecided || halfBack {
			return true
		}
	}
	return false
}

// before returns the step itself, or a touch that must come before it.
func (f *fence) before(in Input, step Step) Step {
	if f.wait >= 0 && len(f.doubtful) > 0 && in.Held(f.since, f.wait) {
		clear(f.doubtful)
	}
	if len(f.doubtful) == 0 || !needsFence(in.State, step) {
		return step
	}
	const why = "touched, so that no write sent before can still land"
	for _, r := range in.State.Revisions {
		if epoch, doubted := f.doubtful[r.Name]; doubted && in.State.Can.Enable && !f.holds(r.Fence, epoch) {
			if r.Behind {
				return behind(r) // pods may be born without the touch
			}
			r.Fence = f.token()
			return Put{Revision: r, Why: why}
		}
	}
	for _, route := range in.State.Routes {
		if epoch, doubted := f.doubtful[route.Name]; doubted && !f.holds(route.Fence, epoch) {
			return SetRoute{Route: route, Why: why}
		}
	}
	return step
}

// needsFence reports whether a late write could turn what comes after this step
// into an outage, or a success into a lie.
func needsFence(s cluster.State, step Step) bool {
	switch step := step.(type) {
	case Put:
		found, ok := s.Named(step.Revision.Name)
		decided := step.Revision.Outcome.Result == cluster.Good && found.Outcome.Result != cluster.Good
		return ok && (step.Revision.Replicas < found.Replicas || decided && step.Revision.Enabled)
	case Delete, Done:
		return true
	case Abort:
		return step.Kind == Failed || step.Kind == Stranded
	}
	return false
}

// stamp puts this run's fence on a write that creates a revision or moves its
// traffic, and leaves every other write's alone.
func (f *fence) stamp(in Input, r cluster.Revision) cluster.Revision {
	found, exists := in.State.Named(r.Name)
	switch {
	case r.Fence != found.Fence: // a touch
	case !exists, r.Enabled != found.Enabled, found.Unsettled > 0:
		if !f.holds(found.Fence, f.doubtful[r.Name]) {
			r.Fence = f.token()
		}
	}
	return r
}
