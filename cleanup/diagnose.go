// What is wrong with an app, for the person on call.

package cleanup

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A Finding names a half-state.
type Finding string

// What can be found. More than one may be.
const (
	Clean         Finding = "clean"          // one revision serves, and the others are dark
	Nothing       Finding = "nothing"        // there is no revision
	DarkCandidate Finding = "dark candidate" // something newer than what serves never got traffic
	BothLive      Finding = "both live"      // more than one revision serves
	PartialFlip   Finding = "partial flip"   // some pods of a revision have traffic, others not
	BlackHole     Finding = "black hole"     // a traffic route that serves with nothing
	Strays        Finding = "strays"         // pods of no revision are in traffic
	Pinned        Finding = "pinned"         // a route selects by a pod-template-hash: any change of that template would empty it
	IdleScaler    Finding = "idle scaler"    // an autoscaler names a revision that has no traffic, or none, while another one serves
	Foreign       Finding = "foreign"        // a route selects none of the revisions, or somebody else's tool manages what cutover writes
)

// A Diagnosis is what one look shows, and what a cleanup would decide.
type Diagnosis struct {
	App       string
	At        time.Time
	Findings  []Finding
	Decisions []Decision
	Warnings  []string
	state     cluster.State
}

// Diagnose reads one look. It is pure.
func Diagnose(app string, s cluster.State, p Policy) Diagnosis {
	return Diagnosis{App: app, At: s.At, Findings: findings(s), Decisions: Decide(s, p), Warnings: s.Warnings, state: s}
}

func findings(s cluster.State) []Finding {
	var found []Finding
	live, lit, top := 0, int64(-1), int64(-1)
	flip := false
	for _, r := range s.Revisions {
		if s.HasTraffic(r.Name) {
			live, lit = live+1, r.Seq
		} else if r.Arm == "" && r.Replicas > 0 && r.Outcome.Result == cluster.Undecided {
			top = r.Seq
		}
		flip = flip || r.Unsettled > 0 || !r.Enabled && s.Exposed(r.Name) > 0 && s.Can.Enable
	}
	add := func(when bool, f Finding) {
		if when {
			found = append(found, f)
		}
	}
	add(len(s.Revisions) == 0, Nothing)
	add(live > 1, BothLive)
	add(flip, PartialFlip)
	add(live > 0 && top > lit, DarkCandidate)
	add(len(s.Revisions) > 0 && blackHole(s), BlackHole)
	add(s.Strays > 0, Strays)
	add(slices.ContainsFunc(s.Routes, func(r cluster.Route) bool { return r.Pinned }), Pinned)
	add(len(idle(s)) > 0, IdleScaler)
	add(s.Contested || unknownRoute(s), Foreign)
	if len(found) == 0 {
		found = []Finding{Clean}
	}
	return found
}

func blackHole(s cluster.State) bool {
	for _, route := range s.Traffic() {
		sum := 0
		for _, n := range route.Serving {
			sum += n
		}
		if sum == 0 {
			return true
		}
	}
	return s.Worker() && s.Serving() == 0
}

func unknownRoute(s cluster.State) bool {
	for _, route := range s.Traffic() {
		if route.Weights != nil && len(route.Weights) == 0 {
			return true
		}
	}
	return false
}

// String returns the table that a person on call wants.
func (d Diagnosis) String() string {
	var b strings.Builder
	var names []string
	for _, f := range d.Findings {
		names = append(names, string(f))
	}
	fmt.Fprintf(&b, "%s: %s\n", d.App, strings.Join(names, ", "))
	table := tabwriter.NewWriter(&b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "REVISION\tAGE\tREADY\tSERVES\tOUTCOME\tVERDICT\tWHY")
	for _, c := range d.Decisions {
		r := c.Revision
		where := served(d.state, r.Name)
		if where == "" {
			where = "-"
		}
		fmt.Fprintf(table, "%s\t%s\t%d/%d\t%s\t%s\t%s\t%s\n", r.Name, age(d.At.Sub(r.Created)), r.Ready, r.Replicas, where, r.Outcome.Result, c.Verb, c.Why)
	}
	_ = table.Flush() // a strings.Builder does not fail
	for _, pin := range pins(d.state) {
		fmt.Fprintf(&b, "pinned: %s\n", pin)
	}
	for _, scaler := range idle(d.state) {
		fmt.Fprintf(&b, "idle: %s\n", scaler)
	}
	for _, w := range d.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	return b.String()
}

// pins says of each pinned route what it costs, and who will take the pin off.
func pins(s cluster.State) []string {
	var all []string
	for _, route := range s.Routes {
		if !route.Pinned {
			continue
		}
		what := "it selects no pod that any revision makes now, and empties as the old ones go"
		for name := range route.Weights {
			what = fmt.Sprintf("it selects the pods that %s has now, and empties if the template of %s is changed", name, name)
		}
		who := "no release of ours is undecided: the next one or a cleanup takes it off, or you do, once nothing else has pods that it would select"
		for _, r := range s.Revisions {
			if r.Release != "" && r.Arm == "" && r.Outcome.Result == cluster.Undecided {
				who = fmt.Sprintf("release %s is undecided: if its run has died, run it again, or undo it, and the pin goes", r.Release)
			}
		}
		all = append(all, fmt.Sprintf("%s: %s; %s", route.Name, what, who))
	}
	return all
}

// idle says of each autoscaler that does not scale what has traffic, what it scales.
func idle(s cluster.State) []string {
	var all []string
	for _, route := range s.Routes {
		scales := ""
		for name := range route.Weights {
			scales = name
		}
		switch {
		case !route.Scaler || s.Serving() == 0 || s.HasTraffic(scales):
		case scales == "":
			all = append(all, route.Name+": it names no revision, and scales nothing: a cleanup points it at what serves, if that serves alone")
		default:
			all = append(all, fmt.Sprintf("%s: it scales %s, which has no traffic, and not what serves: a cleanup that deletes %s points it there first", route.Name, scales, scales))
		}
	}
	return all
}

// age is a duration the way kubectl shows it.
func age(d time.Duration) string {
	switch {
	case d < 2*time.Minute:
		return fmt.Sprintf("%ds", int(d.Seconds()))
	case d < 3*time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	}
	return fmt.Sprintf("%dd", int(d.Hours()/24))
}
