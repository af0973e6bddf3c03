// What a client may send, and what it is known to have seen.

package strategytest

import (
	"bytes"
	"fmt"
	"slices"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/health"
)

// sends judges what a client is about to send.
func (j *judge) sends(c *client, call fault.Call) {
	t := j.trial
	c.now = call
	if c.sent++; c.sent > 2*tooMany {
		j.breach(Termination, fmt.Sprintf("%s goes on without end: %d calls, the last: %v", c.id, c.sent, call))
	}
	if t.main != nil && c.cluster == t.main.cluster && !j.ended {
		j.calls = append(j.calls, call.Kind)
	}
	t.tale.call(c, call)
	if note := t.proof.noting; note != nil && t.main != nil {
		note(t, c, call)
	}
	if !call.Kind.Writes() {
		return
	}
	j.author = c
	switch {
	case call.App != app:
		j.breach(Scope, fmt.Sprintf("%s writes %s", c.id, call.App))
	case !c.looked:
		j.breach(Evidence, fmt.Sprintf("%s sends %v, and has not looked since its last write", c.id, call))
	}
	c.looked = false
	if call.Kind == fault.Route {
		j.route(c, call)
		return
	}
	j.revision(c, call)
}

func (j *judge) route(c *client, call fault.Call) {
	for _, r := range c.state.Routes {
		if r.Name == call.Route.Name && r.Version == call.Route.Version && r.Version != "" {
			j.shared(c, call, r)
			return
		}
	}
	j.breach(Preconditions, fmt.Sprintf("%s sends %v, compared with a version that its last look did not show", c.id, call))
}

func (j *judge) revision(c *client, call fault.Call) {
	r := call.Revision
	found, exists := c.state.Named(r.Name)
	if call.Kind == fault.Create {
		if r.Release != c.job.release {
			j.breach(Scope, fmt.Sprintf("%s creates %s for the release %q, and its own is %q", c.id, r.Name, r.Release, c.job.release))
		}
		return
	}
	mine, own := c.state.Find(c.job.release)
	switch {
	case !exists || r.Version != found.Version || r.UID != found.UID || r.Version == "" || r.UID == "":
		j.breach(Preconditions, fmt.Sprintf("%s sends %v, compared with a uid and version that its last look did not show", c.id, call))
	case own && r.Seq > mine.Seq && !wasGivenUp(c.state, found): // what was given up is anybody's to put away
		j.breach(Sequence, fmt.Sprintf("%s, which runs %s, sends %v", c.id, mine.Name, call))
	}
	if call.Kind == fault.Delete {
		j.removes(c, call, found)
		return
	}
	j.decides(c, call, found)
	j.sharing(c, call, found)
	if r.Replicas < found.Replicas && c.state.HasTraffic(r.Name) && j.trial.proof.ordered() {
		j.breach(Order, fmt.Sprintf("%s takes %d of %d replicas from %s, which has traffic", c.id, found.Replicas-r.Replicas, found.Replicas, r.Name))
	}
	if scaler, named := c.state.ScalerOf(r.Name); named && found.Replicas > 0 && r.Replicas > 0 && r.Replicas != found.Replicas {
		j.breach(Order, fmt.Sprintf("%s makes %d replicas of the %d of %s, which %s writes", c.id, r.Replicas, found.Replicas, r.Name, scaler.Name))
	}
	if off := found.Enabled && !r.Enabled; off && r.Replicas < found.Replicas && c.state.HasTraffic(r.Name) {
		j.breach(Order, fmt.Sprintf("%s takes the traffic of %s and %d of its replicas in one write", c.id, r.Name, found.Replicas-r.Replicas))
	}
}

// wasGivenUp reports whether a revision was given up, or is an arm of one that was.
func wasGivenUp(s cluster.State, r cluster.Revision) bool {
	if r.Arm != "" {
		r, _ = s.Find(r.Release)
	}
	return r.Outcome.Result == cluster.Failed
}

func (j *judge) removes(c *client, call fault.Call, found cluster.Revision) {
	if j.trial.proof.Careful && c.job.release == "" && !j.wild && found.Seq > j.kept.Seq && found.Outcome.Result != cluster.Failed {
		j.breach(Sequence, fmt.Sprintf("%s sends %v, which is newer than %s, which serves: its run may be under way", c.id, call, j.kept.Name))
	}
	if scaler, named := c.state.ScalerOf(found.Name); named {
		j.breach(Order, fmt.Sprintf("%s sends %v, and leaves %s pointing at nothing", c.id, call, scaler.Name))
	}
	if !c.state.Dark(found) {
		j.breach(Order, fmt.Sprintf("%s sends %v, which is not dark: %d endpoints, enabled %t", c.id, call, c.state.Exposed(found.Name), found.Enabled))
	}
}

// decides judges what is decided about a release.
func (j *judge) decides(c *client, call fault.Call, found cluster.Revision) {
	was, is := found.Outcome.Result, call.Revision.Outcome.Result
	switch {
	case was == is, found.Outcome.Undone() && is == cluster.Undecided && c.job.redo:
		return
	case was == cluster.Failed, was == cluster.Good && is == cluster.Undecided:
		j.breach(Decision, fmt.Sprintf("%s makes %s %v, which was %v", c.id, found.Name, is, was))
	case is == cluster.Good && slices.Contains(j.condemned, found.UID):
		j.breach(Decision, fmt.Sprintf("%s records %s as good, and a gate has said that it fails", c.id, found.Name))
	case is == cluster.Good && found.Release == c.job.release:
		if why := alone(c.state, found); why != "" {
			j.breach(Decision, fmt.Sprintf("%s records %s as good: %s", c.id, found.Name, why))
		}
	}
}

// alone says why a revision is not alone in traffic with all that it wants.
func alone(s cluster.State, r cluster.Revision) string {
	if n := s.ReliedOn(r.Name); n < min(r.Replicas, 1) || n == 0 {
		return fmt.Sprintf("%d of %d endpoints of %s serve", n, r.Replicas, r.Name)
	}
	for _, other := range s.Revisions {
		if other.Name != r.Name && s.HasTraffic(other.Name) {
			return other.Name + " has traffic"
		}
	}
	if s.Strays > 0 {
		return fmt.Sprintf("%d pods of no revision are in traffic", s.Strays)
	}
	return ""
}

// answered learns from how a call was answered.
func (j *judge) answered(c *client, call fault.Call, s cluster.State, err error) {
	j.author = nil
	if call.Kind == fault.Look {
		c.looked = err == nil
		if err == nil {
			c.state, c.blind = s, j.trial.w.Frozen(app, fake.Status) && j.overstated(s)
		}
	}
	j.trial.tale.answer(c, call, err)
}

// overstated reports whether a look shows more pods ready than are: while the status
// stands still, no reader of the API can know.
func (j *judge) overstated(s cluster.State) bool {
	ready := map[string]int{}
	for _, pod := range j.trial.w.Pods(app) {
		if pod.Ready && !pod.Leaving && !pod.Gone {
			ready[pod.Owner]++
		}
	}
	return slices.ContainsFunc(s.Revisions, func(r cluster.Revision) bool { return r.Ready > ready[r.UID] })
}

// arrives judges a write that arrives without its sender.
func (j *judge) arrives(c *client, call fault.Call, deliver func()) {
	author := j.author
	j.author, j.arriving = c, true
	j.late = j.late || call.Kind == fault.Create && call.Revision.Arm != "" || j.revives(call)
	was := c.now
	c.now = call
	j.trial.tale.says(c, fmt.Sprintf("(what was sent as %v arrives)", call))
	deliver()
	j.author, j.arriving, c.now = author, false, was
}

// revives reports whether a write makes an undone release undecided. Nothing can keep
// it from arriving after an undo that found nothing to do; it moves no traffic, and the
// next run puts it away.
func (j *judge) revives(call fault.Call) bool {
	r, ok := j.trial.w.State(app).Named(call.Revision.Name)
	return ok && call.Kind == fault.Put && r.Outcome.Undone() && call.Revision.Outcome.Result == cluster.Undecided
}

// compares judges what a gate is given to compare a revision with.
func (j *judge) compares(c *client, look health.Look) {
	if base := look.Baseline; base.Name != "" && bytes.Equal(base.Template, look.Revision.Template) {
		j.breach(Decision, fmt.Sprintf("%s lets a gate compare %s with %s, which is made of the same template", c.id, look.Revision.Name, base.Name))
	}
}
