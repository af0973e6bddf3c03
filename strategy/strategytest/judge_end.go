// What a run returns, and what it leaves.

package strategytest

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// returned holds a run to what it has returned.
func (j *judge) returned(c *client, o outcome, err error) {
	if c == j.trial.main {
		j.ended = true
	}
	if c.blind {
		return // it cannot know what has befallen since it looked
	}
	s := j.trial.w.State(app)
	mine, found := s.Find(c.job.release)
	switch o {
	case done:
		if why := j.untrue(c, s, mine, found); why != "" {
			j.breach(NoLies, fmt.Sprintf("%s has returned success: %s", c.id, why))
		}
	case outcome(strategy.Failed.String()):
		if c.job.release != "" && found && s.HasTraffic(mine.Name) {
			j.breach(NoLies, fmt.Sprintf("%s says that %s was given up, and it has traffic", c.id, mine.Name))
		}
	case outcome(strategy.Superseded.String()), outcome(strategy.Unfit.String()), outcome(strategy.Stranded.String()),
		outcome(strategy.Refused.String()), outcome(strategy.Unsafe.String()), canceled, gaveUp:
	default:
		j.breach(NoLies, fmt.Sprintf("%s has returned an error that nobody can act on: %v", c.id, err))
	}
}

// untrue says why success is a lie.
func (j *judge) untrue(c *client, s cluster.State, mine cluster.Revision, found bool) string {
	switch {
	case c.job.release == "" && j.wild:
		return "" // what served may have been taken away
	case c.job.release == "":
		return j.trial.proof.swept(s, j.floor)
	case c.job.undo && s.Serving() == 0:
		return "nothing serves"
	case c.job.undo && found && s.HasTraffic(mine.Name):
		return mine.Name + " still has traffic"
	case c.job.undo:
		return ""
	case !found:
		return "there is no revision of its release"
	case mine.Outcome.Result != cluster.Good && j.trial.proof.decides:
		return fmt.Sprintf("%s is %v", mine.Name, mine.Outcome.Result)
	case c.job.stay && mine.Outcome.Result == cluster.Good && mine.Seq < s.NextSeq()-1:
		return "" // it was, and what was still due is the newer one's now
	}
	return alone(s, mine)
}

// abandoned judges what a run that died has left, for ever.
func (j *judge) abandoned() {
	if n := j.trial.w.Endpoints(app); n < j.floor && !j.wild {
		j.breach(Abandonment, fmt.Sprintf("an hour after the process died %d endpoints serve, and the floor is %d", n, j.floor))
	}
	j.scoped()
}

// settled judges the world when nothing moves any more.
func (j *judge) settled(o outcome) {
	s := j.trial.w.State(app)
	j.scoped()
	if !o.settles() {
		return
	}
	var lit []cluster.Revision
	for _, r := range s.Revisions {
		if s.HasTraffic(r.Name) || r.Unsettled > 0 {
			lit = append(lit, r)
		}
	}
	switch {
	case len(lit) == 0 && j.floor == 0 && (o != done || j.trial.proof.cleaner != nil || j.trial.schedule.Then == Cleanup || j.trial.schedule.Then == Undo):
	case len(lit) == 0:
		j.breach(Convergence, "nothing serves when nothing moves any more")
	case len(lit) > 1 && !j.trial.proof.Careful:
		j.breach(Convergence, fmt.Sprintf("%s and %s are both in traffic when nothing moves any more", lit[0].Name, lit[1].Name))
	case j.strayed(o, s, lit) != "":
		j.breach(Convergence, j.strayed(o, s, lit))
	case j.smaller(o, lit) != "":
		j.breach(Convergence, j.smaller(o, lit))
	case !j.wild && leftPinned(s) != "":
		j.breach(Convergence, leftPinned(s))
	case j.unscaled(s, lit) != "":
		j.breach(Convergence, j.unscaled(s, lit))
	case len(lit) == 1 && s.ReliedOn(lit[0].Name) < min(j.floor, lit[0].Replicas):
		j.breach(Convergence, fmt.Sprintf("%d endpoints of %s serve when nothing moves any more, and the floor is %d", s.ReliedOn(lit[0].Name), lit[0].Name, j.floor))
	}
}

// strayed says why it is the wrong revision that serves in the end: after a
// cleanup another than the newest that served, after a give-back another than the
// newest good one.
func (j *judge) strayed(o outcome, s cluster.State, lit []cluster.Revision) string {
	t := j.trial
	if j.wild || len(lit) != 1 {
		return ""
	}
	if t.proof.cleaner != nil && o == done && j.kept.Name != "" && lit[0].Seq < j.kept.Seq {
		return fmt.Sprintf("%s serves, and %s is the newest that did", lit[0].Name, j.kept.Name)
	}
	mine, found := s.Find(t.main.job.release)
	if good, ok := s.NewestGood(mine); found && ok && o == outcome(strategy.Failed.String()) && mine.Outcome.Result == cluster.Failed && lit[0].Seq < good.Seq {
		return fmt.Sprintf("%s was given up, %s serves, and the newest good one is %s", mine.Name, lit[0].Name, good.Name)
	}
	return ""
}

// smaller says that what was gone back to has not got back all that it had.
func (j *judge) smaller(o outcome, lit []cluster.Revision) string {
	back := o == outcome(strategy.Failed.String()) || o == done && j.trial.main.job.undo
	if !back || j.wild || len(lit) != 1 {
		return ""
	}
	if r := lit[0]; r.Replicas < j.sizes[r.Name] {
		return fmt.Sprintf("%s has %d replicas when traffic is back, and it had %d", r.Name, r.Replicas, j.sizes[r.Name])
	}
	return ""
}

// leftPinned says which route is still kept to pods of one revision, and need not be:
// nothing else has any.
func leftPinned(s cluster.State) string {
	awake := 0
	for _, r := range s.Revisions {
		if r.Replicas > 0 || r.Pods > 0 {
			awake++
		}
	}
	for _, route := range s.Traffic() {
		if route.Pinned && awake < 2 {
			return route.Name + " is pinned when nothing moves any more, and nothing else has pods that it would select"
		}
	}
	return ""
}

// unscaled says which autoscaler does not scale what serves.
func (j *judge) unscaled(s cluster.State, lit []cluster.Revision) string {
	for _, route := range s.Routes {
		if _, named := route.Weights[lit[0].Name]; route.Scaler && !named && !j.wild && len(lit) == 1 {
			return fmt.Sprintf("%s names %v when nothing moves any more, and %s serves", route.Name, route.Weights, lit[0].Name)
		}
	}
	return ""
}

// scoped judges that nobody has touched another app.
func (j *judge) scoped() {
	if now := objects(j.trial.w.State(other)); now != j.otherSeen && !j.wild {
		j.breach(Scope, "the other app was touched: "+now)
	}
}
