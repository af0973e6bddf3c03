// Package cleanup says which revisions of an app may go after a run that failed
// half-way, and removes them one at a time. It keeps the newest revision that
// really serves, and when in doubt it keeps more.
//
// [Decide] is a pure function of one look; [Diagnose] names what is wrong, for a
// person; [Run] is the ordinary loop of package strategy over Decide, with its
// guard: one look, one victim, and the next look decides anew.
package cleanup

import (
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// Policy says what is known beside the State. The zero value is the careful one:
// nothing newer than what is kept is touched. What is older and dark goes, the good
// revision that an undo would go back to as well: after that there is no undo.
type Policy struct {
	// Keep names the revision to keep; "": the newest that really serves. It
	// must serve like any other that is kept.
	Keep string

	// RunFailed says that the last run is over and has failed. Without it, what
	// is newer than the revision that serves may belong to a run under way, and
	// stays; and while cutover itself has not decided about a release, everything
	// does. Say it only when nobody is at work: beside a run that is, a cleanup
	// may take what that run is about to rely on.
	RunFailed bool

	// Floor is how many endpoints, on every traffic route, the kept revision
	// must have, and nothing here may go below. 0: 90 % of the most that one
	// revision serves with now, at least 1.
	Floor int

	// Drain is how long a revision with pods is left before it is deleted,
	// counted from when the run saw its endpoints change or, if it did not, from
	// its first look; 0: 30s, negative: none.
	Drain time.Duration

	// NoFloor accepts that nothing serves afterwards. Then everything that may
	// be in traffic is still kept, but what is dark goes although nothing that
	// serves can be named.
	NoFloor bool
}

// Verb is what is to become of a revision.
type Verb int

const (
	Keep    Verb = iota // zero: when in doubt
	Disable             // take it out of traffic; a later look decides about the rest
	Delete              // remove it with its pods
)

// String returns "keep", "disable" or "delete".
func (v Verb) String() string {
	switch v {
	case Disable:
		return "disable"
	case Delete:
		return "delete"
	}
	return "keep"
}

// A Decision is about one revision.
type Decision struct {
	Revision cluster.Revision
	Verb     Verb
	Why      string
	Evidence string // what was seen of it: "3 of 3 pods ready, serves service/web 3"
}

// String returns one line.
func (d Decision) String() string {
	return fmt.Sprintf("%s %s: %s; %s", d.Verb, d.Revision.Name, d.Why, d.Evidence)
}

// Decide decides about every revision, in the State's order. It answers two
// questions. May it be the one that is kept? It must serve with at least the
// floor on every traffic route. May it go? Only if it serves on none of them,
// after it was taken out of traffic, and no autoscaler is left pointing at it. If
// none may be kept, all are.
func Decide(s cluster.State, p Policy) []Decision {
	kept, why := choose(s, p)
	under := underway(s)
	stays := under != "" && !p.RunFailed
	if stays {
		kept, why = nil, under+" may be under way: say that its run failed, and what is not needed goes"
	}
	decisions := make([]Decision, 0, len(s.Revisions))
	for _, r := range s.Revisions {
		d := Decision{Revision: r, Why: why, Evidence: evidence(s, r)}
		switch {
		case kept != nil:
			d.Verb, d.Why = about(s, p, *kept, r)
		case p.NoFloor && !stays && s.Serving() == 0 && s.Strays == 0 && s.Dark(r) && mayGo(p, r, cluster.Revision{}):
			d.Verb, d.Why = Delete, "nothing serves, which was accepted by name, and it is dark"
		}
		if stuck := stuckWith(s, r, kept); d.Verb == Delete && stuck != "" {
			d.Verb, d.Why = Keep, stuck
		}
		decisions = append(decisions, d)
	}
	return decisions
}

// underway names a release of ours that nobody has decided about: its run may be
// about to need what looks superfluous.
func underway(s cluster.State) string {
	for _, r := range s.Revisions {
		if r.Release != "" && r.Outcome.Result == cluster.Undecided {
			return r.Name
		}
	}
	return ""
}

// floor is what the kept revision must serve with.
func floor(s cluster.State, p Policy) int {
	if p.Floor > 0 {
		return p.Floor
	}
	most := 0
	for _, r := range s.Revisions {
		most = max(most, s.Lasting(r.Name))
	}
	return max(1, (most*9+9)/10) // 90 %, rounded up
}

// choose returns the revision to keep, or why there is none.
func choose(s cluster.State, p Policy) (*cluster.Revision, string) {
	least := floor(s, p)
	if s.Strays > 0 {
		return nil, fmt.Sprintf("nothing is decided while %d pods of no revision are in traffic: whose they are is for a person to say", s.Strays)
	}
	for i := len(s.Revisions) - 1; i >= 0; i-- {
		r := &s.Revisions[i]
		candidate := r.Arm == "" && r.Outcome.Result != cluster.Failed && (p.Keep == "" || p.Keep == r.Name)
		if candidate && s.Lasting(r.Name) >= least && s.HasTraffic(r.Name) {
			return r, ""
		}
	}
	if _, there := s.Named(p.Keep); p.Keep != "" && !there {
		return nil, fmt.Sprintf("there is no %s, which is to be kept", p.Keep)
	}
	if p.Keep != "" {
		return nil, fmt.Sprintf("%s, which is to be kept, does not serve with %d endpoints on every traffic route", p.Keep, least)
	}
	why := fmt.Sprintf("no revision serves with %d endpoints on every traffic route, so none may be the only one", least)
	if len(s.Traffic()) > 1 {
		why += fmt.Sprintf(" (%s): if some of these bring no traffic, name those that do", routes(s))
	}
	return nil, why
}

// about decides about one revision beside the kept one.
func about(s cluster.State, p Policy, kept, r cluster.Revision) (Verb, string) {
	newer := r.Seq > kept.Seq || r.Arm != "" && r.Seq >= kept.Seq
	switch {
	case r.Name == kept.Name && p.Keep != "":
		return Keep, "it serves, and is the one to keep" + pinned(s, kept)
	case r.Name == kept.Name:
		return Keep, "the newest that really serves" + pinned(s, kept)
	case newer && !mayGo(p, r, kept):
		return Keep, "newer than what serves, and its run may be under way: say that it failed, and it goes"
	case fixedTo(s, r.Name) != "":
		return Keep, fmt.Sprintf("it serves on %s, which selects every version: if that brings no traffic, name the Services that do", fixedTo(s, r.Name))
	case !s.Dark(r) && r.Behind && !r.Enabled && r.Unsettled == 0:
		return Keep, "just taken out of traffic: the cluster has not followed yet"
	case !s.Dark(r):
		return Disable, kept.Name + " serves, and this one must not serve beside it"
	}
	return Delete, "dark, and " + kept.Name + " serves"
}

// fixedTo names a route that serves the revision whatever is done, and of which
// nobody has said whether it brings traffic.
func fixedTo(s cluster.State, name string) string {
	for _, route := range s.Routes {
		if route.Fixed && route.Serving[name] > 0 {
			return route.Name
		}
	}
	return ""
}

// mayGo reports whether nobody can still be at work on a revision that is newer
// than the kept one.
func mayGo(p Policy, r, kept cluster.Revision) bool {
	if r.Seq <= kept.Seq && r.Arm == "" {
		return true
	}
	return p.RunFailed || r.Outcome.Result == cluster.Failed
}

// evidence says what was seen of a revision.
func evidence(s cluster.State, r cluster.Revision) string {
	where := served(s, r.Name)
	if where == "" {
		where = "nowhere"
	}
	text := fmt.Sprintf("%d of %d pods ready, serves %s", r.Ready, r.Replicas, where)
	if r.Outcome.Result != cluster.Undecided {
		text += ", " + r.Outcome.Result.String()
	}
	if r.Unsettled > 0 {
		text += fmt.Sprintf(", the traffic of %d pods is not as it should be", r.Unsettled)
	}
	return text
}

// served lists the routes that a revision serves on: "service/web 3".
func served(s cluster.State, name string) string {
	var where []string
	for _, route := range s.Routes {
		if n := route.Serving[name]; n > 0 && !route.Preview {
			where = append(where, fmt.Sprintf("%s %d", route.Name, n))
		}
	}
	if n := s.Exposed(name); s.Worker() && n > 0 {
		where = append(where, fmt.Sprintf("as a worker %d", n))
	}
	return strings.Join(where, ", ")
}

func routes(s cluster.State) string {
	var names []string
	for _, r := range s.Traffic() {
		names = append(names, r.Name)
	}
	return strings.Join(names, ", ")
}
