// The laws, and the one place that sees every call and every change.

package strategytest

import (
	"bytes"
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// The laws. What each says is in its value.
const (
	Floor         = "floor"          // no write lets fewer endpoints serve for certain than the floor, or still fewer; undisturbed, never do
	BlackHole     = "black hole"     // no write leaves a traffic route with nothing that serves
	Scope         = "scope"          // no object of another app is written
	Preconditions = "preconditions"  // every write is compared with what was read
	Evidence      = "evidence"       // one fresh, error-free look pays for one write
	Order         = "order"          // what has traffic loses neither capacity nor its object; within bounds, not its capacity and its traffic in one write
	Ceiling       = "ceiling"        // no more replicas are wanted, of all revisions together, than a strategy with a ceiling says
	Share         = "share"          // what a router sends to a revision, this has the endpoints for
	Apart         = "apart"          // pods of two revisions never run side by side, where a strategy says so
	Drain         = "drain"          // what a node's proxy still sends requests to loses no capacity
	Sequence      = "sequence"       // nobody writes a revision of a higher sequence than its own, unless that was given up
	Decision      = "decision"       // good is written on proof, nothing is compared with its own like, and a decision is never taken back
	Fence         = "fence"          // a write that arrives late breaks nothing
	Abandonment   = "abandonment"    // a run that died leaves the app serving for ever
	NoLies        = "no lies"        // what a run returns is so
	Minimal       = "minimal change" // the same objects are made and deleted as undisturbed; a rerun writes nothing
	Convergence   = "convergence"    // once nothing goes wrong any more, running again ends well
	Termination   = "termination"    // a run ends, and not by a panic
	Purity        = "purity"         // the same Input, the same Step, and the Input is left alone
	Harness       = "harness"        // every fault that was planned came about: a breach of it is the suite's own
)

// Breach is a law that was seen broken: what an Error of this package wraps.
type Breach struct {
	Law      string // one of the constants
	Why      string // what was found
	Schedule Schedule
	Events   int    // how many faults the schedule has
	Tale     string // the whole play, for a person
	paste    string
}

// judge holds everybody to the laws.
type judge struct {
	trial *trial
	armed bool
	floor int
	wild  bool // the world was disturbed: only writes are judged, not what befalls
	began int  // writes before
	calls []fault.Kind
	gates []string
	ended bool // the main client has ended for the first time
	late  bool // a dead run's companion of its release was created after all, or its redo came: the next run puts it away
	mixed bool // pods of two revisions run side by side already
	stuck bool // a proxy never follows, or later than a drain takes: no reader of the API can know

	condemned []string         // the revisions of which a gate has said that they fail, by UID
	kept      cluster.Revision // what a cleanup may not let go: the newest that really served
	sizes     map[string]int   // that good revisions have when they have all, by name

	author    *client
	arriving  bool
	written   int
	lasting   int
	otherSeen string
}

// arm begins to judge, from the world as it is.
func (j *judge) arm() {
	t := j.trial
	j.began = t.w.Written()
	j.written, j.lasting = j.began, t.w.Lasting(app)
	j.floor = min(t.w.Endpoints(app), t.proof.Replicas)
	if wanted := t.scenario.job.replicas; wanted > 0 {
		j.floor = min(j.floor, wanted)
	}
	if t.proof.bounder != nil {
		j.floor = min(j.floor, t.proof.bounds.Floor)
	}
	j.otherSeen = objects(t.w.State(other))
	j.mixed = together(t.w.Pods(app)) != ""
	j.kept = newestServing(t.w.State(app))
	j.sizes = sizes(t.w.State(app))
	if t.proof.cleaner != nil && j.kept.Name != "" { // while two share the traffic an autoscaler makes either smaller
		j.floor = min(j.floor, t.w.State(app).Lasting(j.kept.Name))
	}
	for _, e := range t.schedule.Faults {
		switch {
		case e.Fault == fault.Mutated && e.Form == 0:
			j.wild, j.floor = true, j.floor-1 // somebody else wants less
		case e.Fault == fault.Mutated && !t.proof.ordered():
			j.wild = true // or more, where that is bounded
		}
	}
	j.armed = true
}

// copied is what a judge knows before he is armed, for another trial.
func (j judge) copied(t *trial) judge {
	j.trial = t
	j.gates, j.condemned = slices.Clone(j.gates), slices.Clone(j.condemned)
	return j
}

// withheld is how many replicas an admission has just taken from what was written:
// what goes with them, nobody who writes can keep.
func (j *judge) withheld() int {
	main := j.trial.main
	for _, e := range j.trial.schedule.Faults {
		if e.Fault == fault.Mutated && e.Form == 0 && main != nil && j.author.cluster == main.cluster && j.author.now.Number == e.Call {
			return 1
		}
	}
	return 0
}

// bounds are those of the strategy, for who deploys a release.
func (j *judge) bounds(of job, s cluster.State) (strategy.Bounds, bool) {
	if j.trial.proof.bounder == nil || of.release == "" {
		return strategy.Bounds{}, false
	}
	to := cluster.Target{Release: of.release, Replicas: of.replicas}
	return j.trial.proof.bounder.Bounds(strategy.Input{App: app, Target: to, State: s})
}

// newestServing is the newest revision that serves with 90 % of what the largest
// serves with.
func newestServing(s cluster.State) (newest cluster.Revision) {
	most := 0
	for _, r := range s.Revisions {
		most = max(most, s.Lasting(r.Name))
	}
	for _, r := range s.Revisions {
		if n := s.Lasting(r.Name); n > 0 && n*10 >= most*9 {
			newest = r
		}
	}
	return newest
}

// sizes are how many replicas good revisions have when they have all.
func sizes(s cluster.State) map[string]int {
	all := map[string]int{}
	for _, r := range s.Revisions {
		if s.IsGood(r) {
			all[r.Name] = strategy.Size(r)
		}
	}
	return all
}

// objects is what identifies the objects of an app and their versions.
func objects(s cluster.State) string {
	var b strings.Builder
	for _, r := range s.Revisions {
		fmt.Fprintf(&b, "%s %s %s %d\n", r.Name, r.UID, r.Version, r.Ready)
	}
	for _, r := range s.Routes {
		fmt.Fprintf(&b, "%s %s\n", r.Name, r.Version)
	}
	return b.String()
}

// breach ends the trial.
func (j *judge) breach(law, why string) {
	panic(&Breach{Law: law, Why: why, Schedule: j.trial.schedule, Events: len(j.trial.schedule.Faults)})
}

// disturbed notes that somebody or something else acts.
func (j *judge) disturbed() {
	j.wild = true
	for _, c := range j.trial.stack {
		c.blind = true
	}
}

// rescaled lowers the floor to what somebody else now wants.
func (j *judge) rescaled() {
	s := j.trial.w.State(app)
	for _, r := range s.Revisions {
		if r.Enabled || s.HasTraffic(r.Name) || r.Release == j.trial.main.job.release && r.Outcome.Result != cluster.Failed {
			j.floor = min(j.floor, r.Replicas)
		}
	}
}

// change judges one committed change.
func (j *judge) change() {
	t := j.trial
	written, lasting := t.w.Written(), t.w.Lasting(app)
	ours := written > j.written && j.author != nil
	floor := j.floor
	if ours {
		floor = min(floor, j.author.floor())
	}
	blamed := ours && lasting < floor && lasting < j.lasting-j.withheld()
	was := j.lasting
	j.written, j.lasting = written, lasting
	t.tale.change(ours)
	switch {
	case j.arriving && j.wild: // when it was sent, the world was another
	case blamed && j.arriving:
		j.breach(Fence, fmt.Sprintf("%s, sent by a run before, leaves %d of %d endpoints for certain, and the floor is %d", j.last(), lasting, was, floor))
	case blamed && !j.author.blind && lasting == 0:
		j.breach(BlackHole, fmt.Sprintf("%s leaves none of %d endpoints for certain", j.last(), was))
	case blamed && !j.author.blind:
		j.breach(Floor, fmt.Sprintf("%s leaves %d of %d endpoints for certain, and the floor is %d", j.last(), lasting, was, floor))
	case !j.wild:
		if n := t.w.Endpoints(app); n < j.floor {
			j.breach(Floor, fmt.Sprintf("%d endpoints serve, and the floor is %d", n, j.floor))
		}
	}
	if ours && !j.author.blind && !j.arriving {
		j.drained()
		j.raised()
	}
	if t.proof.bounds.Apart && !j.wild {
		why := together(t.w.Pods(app))
		if why != "" && !j.mixed {
			j.breach(Apart, why)
		}
		j.mixed = why != ""
	}
}

// raised judges a write that has just wanted more replicas.
func (j *judge) raised() {
	c := j.author
	call := c.now
	found, _ := c.state.Named(call.Revision.Name)
	bounds, ok := j.bounds(c.job, c.state)
	if !ok || call.Kind != fault.Put && call.Kind != fault.Create || call.Revision.Replicas <= found.Replicas {
		return
	}
	sum := call.Revision.Replicas // as it was sent: an admission may have made more of it
	for _, r := range c.state.Revisions {
		if r.Name != call.Revision.Name {
			sum += r.Replicas // two deployers can each want what is left: no comparison of versions stops them
		}
	}
	for _, p := range j.trial.w.Pods(app) {
		if bounds.Apart && p.Revision != call.Revision.Name && p.Owner != "" && !p.Gone {
			j.breach(Apart, fmt.Sprintf("%v, and %s runs", call, p.Name))
		}
	}
	if bounds.Ceiling > 0 && sum > bounds.Ceiling {
		j.breach(Ceiling, fmt.Sprintf("%v: %d replicas are wanted of all revisions together, and the ceiling is %d", call, sum, bounds.Ceiling))
	}
}

// together says which two revisions have pods that run.
func together(pods []fake.Pod) string {
	of := ""
	for _, p := range pods {
		switch {
		case p.Gone || of == p.Revision:
		case of != "":
			return fmt.Sprintf("pods of %s and of %s run side by side", of, p.Revision)
		default:
			of = p.Revision
		}
	}
	return ""
}

// floor is how low a client's writes may go by what it knows. A cleanup keeps one
// revision, and may take what serves beside it: 90 % of the most that one serves
// with.
func (c *client) floor() int {
	if c.job.release != "" {
		return math.MaxInt
	}
	most := 0
	for _, r := range c.state.Revisions {
		most = max(most, c.state.Lasting(r.Name))
	}
	return (most*9 + 9) / 10
}

func (j *judge) last() string {
	writes := j.trial.w.Writes()
	return writes[len(writes)-1].String()
}

// drained judges a write that has just taken capacity.
func (j *judge) drained() {
	c := j.author
	call := c.now
	takes := call.Kind == fault.Delete
	if call.Kind == fault.Put {
		found, _ := c.state.Named(call.Revision.Name)
		takes = call.Revision.Replicas < found.Replicas
	}
	if !takes || !j.trial.proof.ordered() || j.stuck {
		return
	}
	if n := j.trial.w.Reached(app, call.Revision.Name); n > 0 {
		j.breach(Drain, fmt.Sprintf("%v takes capacity that the proxies of nodes still send requests to, %d times", call, n))
	}
}

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
	case own && r.Seq > mine.Seq && found.Outcome.Result != cluster.Failed: // what was given up is anybody's to put away
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

// compares judges what a gate is given to compare a revision with.
func (j *judge) compares(c *client, look health.Look) {
	if base := look.Baseline; base.Name != "" && bytes.Equal(base.Template, look.Revision.Template) {
		j.breach(Decision, fmt.Sprintf("%s lets a gate compare %s with %s, which is made of the same template", c.id, look.Revision.Name, base.Name))
	}
}

// scoped judges that nobody has touched another app.
func (j *judge) scoped() {
	if now := objects(j.trial.w.State(other)); now != j.otherSeen && !j.wild {
		j.breach(Scope, "the other app was touched: "+now)
	}
}
