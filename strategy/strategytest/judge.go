// The laws, and the one place that sees every call and every change.

package strategytest

import (
	"fmt"
	"math"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
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
