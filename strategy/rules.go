// Rules that strategies share. Each looks at one thing and returns the step
// that follows from it, or nil if there is nothing to do about it. The first
// that returns a step decides.

package strategy

import (
	"fmt"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// place says whether this run is still the one to act: the release with the
// highest sequence is. It also finds the run's own revision.
func place(in Input) (mine cluster.Revision, found bool, stop Step) {
	mine, found = in.Mine()
	if !found {
		return mine, false, nil
	}
	above, superseding := newerThan(in.State, mine)
	good := mine.Outcome.Result == cluster.Good
	decided := mine.Outcome.Result != cluster.Undecided
	switch {
	case !superseding && (decided || topmost(in.State, mine)):
		return mine, true, nil
	case superseding && good && in.Target.Unnamed():
		return cluster.Revision{}, false, nil // an old release, deployed again
	case superseding:
		return mine, true, superseded(above)
	}
	return mine, true, Abort{Superseded, overtaken}
}

// newerThan returns the newest revision above another one that was not given up.
func newerThan(s cluster.State, r cluster.Revision) (above cluster.Revision, ok bool) {
	for _, other := range s.Revisions {
		if other.Seq > r.Seq && other.Arm == "" && other.Outcome.Result != cluster.Failed {
			above, ok = other, true
		}
	}
	return above, ok
}

func superseded(by cluster.Revision) Abort {
	if by.Release == "" {
		return Abort{Superseded, fmt.Sprintf("%s is newer (of no release, %s)", by.Name, by.Outcome.Result)}
	}
	return Abort{Superseded, fmt.Sprintf("%s is newer (release %s, %s)", by.Name, by.Release, by.Outcome.Result)}
}

func topmost(s cluster.State, r cluster.Revision) bool {
	for _, other := range s.Revisions {
		if other.Seq > r.Seq && other.Arm == "" {
			return false
		}
	}
	return true
}

// create makes the new revision, dark. Its name allocates the sequence. If it
// begins with fewer replicas than it is to have, that number is noted.
func create(in Input, begin func(n int) int, entry string) Step {
	if len(in.Target.Template) == 0 {
		return Abort{Unfit, "the target has no template to create a revision from"}
	}
	if n := in.State.Strays; n > 0 {
		if in.State.At.Sub(in.Watched) < strayWait {
			return Wait{Why: fmt.Sprintf("%d pods of no revision are in traffic", n)} // of one that was just deleted, say
		}
		return Abort{Unfit, fmt.Sprintf("%d ready endpoints of its traffic routes are pods of no revision of it: give the Service a selector that only this app's revisions match, or remove those pods", n)}
	}
	replicas := in.replicas()
	if replicas == 0 {
		return Abort{Unfit, "0 replicas means as many as serve now, and nothing serves: name a number"}
	}
	seq := in.State.NextSeq()
	for _, taken := in.State.Named(cluster.RevisionName(in.App, seq, "")); taken; _, taken = in.State.Named(cluster.RevisionName(in.App, seq, "")) {
		seq++ // somebody else's, with another sequence than its name says
	}
	_, shared := sharer(in, cluster.Revision{})
	open := in.State.Can.Select && slices.ContainsFunc(in.State.Traffic(), func(r cluster.Route) bool { return r.Open || r.Pinned })
	r := cluster.Revision{
		Name: cluster.RevisionName(in.App, seq, ""), Release: in.Target.Release, Seq: seq,
		Template: in.Target.Template, Replicas: replicas, Note: entry,
	}
	switch {
	case open, shared:
		r.Replicas = 0 // its pods would get traffic as soon as they are ready, see hold and unshared
	case begin != nil:
		r.Replicas = min(replicas, begin(replicas))
	}
	if r.Replicas < replicas {
		r = note(r, sized, fmt.Sprint(replicas))
	}
	return Put{r, "release " + in.Target.Release}
}

// strayWait is how long pods of no revision may be in traffic before that is
// taken for what it will stay.
const strayWait = 10 * time.Second

// replicas are the target's, or as many as serve now.
func (in Input) replicas() int {
	if in.Target.Replicas > 0 {
		return in.Target.Replicas
	}
	most := 0
	for _, r := range in.State.Revisions {
		if in.State.HasTraffic(r.Name) {
			most = max(most, Size(r))
		}
	}
	return most
}

// lumped says why the replicas here cannot go from one revision to another bit by
// bit.
func (in Input) lumped() string {
	for _, route := range in.State.Traffic() {
		between := len(route.Weights) > 1 // this run's own, from one to the other
		if (route.Open || route.Pinned) && !between {
			return route.Name + " does not tell revisions apart: take it over with BlueGreen first"
		}
	}
	for _, r := range in.State.Revisions {
		if scaler, ok := in.State.ScalerOf(r.Name); ok {
			return fmt.Sprintf("it takes replicas bit by bit, and %s writes those of %s: use RedBlack or BlueGreen, which it follows", scaler.Name, r.Name)
		}
	}
	return ""
}

// wanted is how many replicas this run is about: its revision's when it has all,
// or those of what it goes back to; 0: nobody knows yet.
func (in Input) wanted() int {
	mine, found := in.Mine()
	if !found {
		return in.replicas()
	}
	if mine.Outcome.Result == cluster.Failed {
		if back, ok := in.State.NewestGood(mine); ok {
			return in.whole(back, mine)
		}
	}
	if bad, shared := sharer(in, mine); shared && mine.Replicas == 0 {
		return in.whole(in.sole(mine), bad)
	}
	return in.sizeOf(mine)
}

// sizeOf is the Size of this run's own revision, also when somebody has scaled it
// to 0.
func (in Input) sizeOf(mine cluster.Revision) int {
	if n := Size(mine); n > 0 {
		return n
	}
	return in.replicas()
}

// deploys reports whether a revision is the one that this run is to bring into
// traffic, and not what it goes back to.
func (in Input) deploys(r cluster.Revision) bool {
	mine, found := in.Mine()
	return found && r.Name == mine.Name && mine.Outcome.Result == cluster.Undecided
}

// sizeless says that nobody knows how large a revision is to be.
func sizeless(mine cluster.Revision) Step {
	return Abort{Unfit, mine.Name + " was scaled to 0, and nothing else serves that it could be as large as: name a number of replicas"}
}

// Supersede is a Rule: it gives up every older release that nobody has decided
// about. Its run died, or will stop when it sees ours.
func Supersede(in Input, mine cluster.Revision) Step {
	for _, r := range in.State.Revisions {
		if r.Seq < mine.Seq && undecided(r) {
			return fail(in, r, "superseded by "+mine.Name)
		}
	}
	return nil
}

// fail gives a revision up, for good. The decision costs no traffic: what somebody
// else has half turned off, and serves alone, is turned on again until there is
// somewhere to go.
func fail(in Input, r cluster.Revision, why string) Step {
	alone := !slices.ContainsFunc(in.State.Revisions, func(other cluster.Revision) bool {
		return other.Name != r.Name && in.State.HasTraffic(other.Name)
	})
	r.Enabled = r.Enabled || alone && r.Unsettled > 0
	r.Outcome = cluster.Outcome{Result: cluster.Failed, Why: why}
	return Put{Revision: r, Why: why}
}

// boot waits until all pods of a dark revision are ready, or gives it up.
func boot(in Input, mine cluster.Revision, within time.Duration) Step {
	found := fmt.Sprintf("%d of %d pods ready", mine.Ready, mine.Replicas)
	least, why := in.least()
	switch {
	case mine.Replicas < least && !in.sizes(mine):
		return scale(mine, least, why)
	case mine.Ready >= mine.Replicas:
		return nil
	case in.Held(mine.Raised, within):
		return fail(in, mine, fmt.Sprintf("not ready within %v: %s", within, found))
	}
	return Wait{Why: found}
}

// size points every autoscaler at a revision. That must have all the traffic:
// else what is measured is not the load that it will have to bear.
func size(in Input, r cluster.Revision, why string) Step {
	for _, route := range in.State.Routes {
		if _, named := route.Weights[r.Name]; route.Scaler && !named && r.Replicas > 0 {
			route.Weights = map[string]int{r.Name: 100}
			return SetRoute{route, why}
		}
	}
	return nil
}

// sizes reports whether an autoscaler writes the replicas of a revision. Then
// nobody else does; one that has none is nobody's, for that turns it off.
func (in Input) sizes(r cluster.Revision) bool {
	_, named := in.State.ScalerOf(r.Name)
	return named && r.Replicas > 0
}

// least is how large the new revision must be before it gets traffic: as the
// target says or, where that leaves it open, as an autoscaler has made what serves.
func (in Input) least() (replicas int, why string) {
	if in.Target.Replicas > 0 {
		return in.Target.Replicas, "the target wants more"
	}
	for _, r := range in.State.Revisions {
		if in.sizes(r) && in.State.HasTraffic(r.Name) {
			replicas = max(replicas, r.Replicas)
		}
	}
	return replicas, "an autoscaler has made what serves that large"
}

// enlarge gives a revision that has no traffic replicas. An autoscaler that names
// it would take them again, for it measures no load there: until traffic is back
// it is pointed at who has most of it. If nobody has, it does as it likes.
func enlarge(in Input, r cluster.Revision, replicas int, why string) Step {
	if !in.sizes(r) {
		return scale(r, replicas, why)
	}
	var most cluster.Revision
	for _, other := range in.State.Revisions {
		if n := in.State.Exposed(other.Name); other.Name != r.Name && other.Replicas > 0 && n > in.State.Exposed(most.Name) {
			most = other
		}
	}
	if most.Name == "" {
		return nil
	}
	return size(in, most, r.Name+" has to grow before it gets traffic")
}

// behind waits until the cluster has taken up the last Put: until then pods may
// be born of what was before.
func behind(r cluster.Revision) Step {
	if r.Behind {
		return Wait{Why: "the cluster has not taken up what was last wanted of " + r.Name}
	}
	return nil
}

// TakeOff takes the traffic off one revision, in the way that this cluster moves
// it: with routes, by giving them to keep alone. It returns nil when the look
// shows that it has none left.
func TakeOff(in Input, r, keep cluster.Revision, why string) Step {
	for _, route := range in.State.Traffic() {
		if _, has := route.Weights[r.Name]; has && (in.State.Can.Select || in.State.Can.Weigh) {
			route.Weights, route.Note = map[string]int{keep.Name: 100}, switchedTo(keep)
			return SetRoute{route, why}
		}
	}
	if in.State.Can.Enable || in.State.Worker() {
		return darken(in, r, why)
	}
	return gone(in, r)
}

// OutSince returns what the drain of a revision counts from: when this observer
// last saw its endpoints change or, if it never has, first looked; and not before
// a break in this run's looks.
func (in Input) OutSince(r cluster.Revision) time.Time { return later(r.Moved, in.broken) }

// later returns the last of some times.
func later(times ...time.Time) time.Time {
	var last time.Time
	for _, t := range times {
		if t.After(last) {
			last = t
		}
	}
	return last
}
