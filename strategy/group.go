// Groups: several apps that are one release. All get ready in the dark, then they
// are switched in a declared order, and all are good or none is.

package strategy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"reflect"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// A Group is one release of several apps: a web app, the consumer of a stream,
// workers. Each member is an ordinary run with a Strategy of its own; what joins
// them is one pure gate over all their States. The fault-free sequence is
//
//  1. every member makes its new revision ready in the dark, and judges it
//  2. when all are ready, ask Before about the whole set
//  3. switch the members in their order, those Beside each other together; each
//     must serve alone, with its own gates not saying no, before what comes after
//     it begins
//  4. let all of them bake; when the last one has passed, record all as good
//
// A failure before the last member serves alone gives the whole group up: those
// that were switched give their traffic back, the last one first, and each waits
// until those behind it are back; those Beside each other do not wait for each
// other. What served before serves. A run that stops undecided (refused, unsafe,
// unfit, its calls kept failing) counts as a failure once a member has begun to
// switch; before that, the others stop where they are, and the same Group may be
// run again. A member whose release was good before, as one that has not changed
// is, stays as it is.
//
// A member that is ready waits for the others, and its own deadlines and gates go
// on: give Ready and Judge of the strategies the time that the slowest one needs.
//
// Once every member serves alone nothing is given back any more, for what they
// have written by then only the new versions may know how to read. A failure then
// ends the run with an error, everything goes on serving, and nothing is recorded
// as good: mend it and deploy a new release of the group, or run the same one
// again if what failed was not the release. That is read off what is seen, so a
// member that no longer serves at all, before the first one was recorded as good,
// counts as not switched.
//
// A strategy that needs capacity of the old revision for the new one, or brings
// traffic to the new one pod by pod beside it, has no dark side: it counts as
// switching from the first such step on, and is prepared when it wants to take it.
//
// Nothing but the clusters is remembered: after a crash, at any point, the same
// Group run again goes on. Its members in the same order, with the same releases,
// are the same Group, whoever is Beside whom.
//
// A switch takes some looks. Members one after the other add theirs up; a group
// whose members are all Beside each other takes about as long as its slowest one.
type Group struct {
	Members []Member       // in the order in which they are switched
	Before  health.SetGate // asked when all are ready and none has been switched; nil passes
	Judge   time.Duration  // Before has failed if it has not passed so long after the last new revision was raised; 0: 30m
}

// A Member is one app of a Group.
type Member struct {
	App      string
	Cluster  cluster.Cluster // nil: the Runner's. Several members may share one
	Target   cluster.Target
	Strategy Strategy

	// Beside says that it depends on nothing of the member before it, nor that one
	// on it: they are switched together, and give back together. Any number in a
	// row may be. The first member is beside none.
	Beside bool
}

// Run brings the group's release into traffic, all of it or none. It returns nil
// when every member was seen good and alone in traffic; an [*AbortError] of kind
// Unfit, before any look, if the group itself does not fit; else a [*GroupError],
// which holds every member's error, the first that failed before the others, and
// whose text says what came of each member, what serves, and what to do. If ctx
// ends, all members stop where they are, and the error Is ctx's.
//
// Each member runs in a goroutine of its own, all of which have ended when Run
// returns. The Runner's Trace is called by one of them at a time, and its ID gets
// the member's number. A panic of one member stops the others, and is then Run's.
// If the Runner's Clock is a [Turns], members act in turn.
func (g Group) Run(ctx context.Context, r Runner) error {
	return g.run(ctx, r, false, func(s Strategy) Strategy { return s })
}

// Undo takes the group's release back, at any point: what Run does when a member
// fails before the last switch, but after it, too. Run again it goes on, and so
// does Run, which never brings forward what an Undo has begun to take back.
//
// It refuses as a whole, before any write, if one member cannot go back: if its
// Target has no Release, if nothing older of it is good, if a newer release of it
// is there, or if it cannot be looked at. Members that were never begun have
// nothing to take back. It returns nil if what served before serves everywhere.
func (g Group) Undo(ctx context.Context, r Runner, why string) error {
	return g.run(ctx, r, true, func(s Strategy) Strategy { return Undo(s, because(g.mark(), why)) })
}

// run runs every member with its strategy, or what is made of that, joined.
func (g Group) run(ctx context.Context, r Runner, undo bool, made func(Strategy) Strategy) error {
	why := g.unfit(r)
	if why == "" && undo {
		why = g.nameless()
	}
	if why != "" {
		return &AbortError{App: g.apps(), Kind: Unfit, Why: why, Serving: serving(cluster.State{})}
	}
	t := newTable(g, r, undo)
	r.Trace = oneAtATime(r.Trace)
	sideBySide(ctx, r.Clock, len(g.Members), func(ctx context.Context, i int) {
		m := g.Members[i]
		err := errNoEnd
		defer func() { t.ends(i, err) }()
		own := m.runner(r, i)
		own.bell = &t.seats[i].bell
		_, err = own.Run(ctx, m.App, m.Target, t.joins(i, m.Strategy, made))
	})
	return t.outcome()
}

// runner is the Runner of one member.
func (m Member) runner(r Runner, i int) Runner {
	if m.Cluster != nil {
		r.Cluster = m.Cluster
	}
	if r.ID != "" {
		r.ID = fmt.Sprintf("%s-%d", r.ID, i+1)
	}
	return r
}

// unfit says why this is no group.
func (g Group) unfit(r Runner) string {
	if len(g.Members) == 0 {
		return "the group has no members"
	}
	if g.Judge < 0 {
		return "Judge of the group must not be negative"
	}
	if first := g.Members[0]; first.Beside {
		return fmt.Sprintf("%q is the first member, and there is none that it could be beside", first.App)
	}
	for i, m := range g.Members {
		for _, n := range g.Members[:i] {
			if m.App == n.App && same(m.runner(r, 0).Cluster, n.runner(r, 0).Cluster) {
				return fmt.Sprintf("%q is a member twice: two runs of one app in one cluster are rivals", m.App)
			}
		}
	}
	return ""
}

// nameless says which member an Undo cannot be of.
func (g Group) nameless() string {
	for i, m := range g.Members {
		if m.Target.Release == "" {
			return fmt.Sprintf("the Target of %s has no Release: the name of the release to undo is needed", g.name(i))
		}
	}
	return ""
}

// same reports whether two clusters are known to be the same one.
func same(a, b cluster.Cluster) bool {
	return a != nil && b != nil && reflect.TypeOf(a).Comparable() && reflect.TypeOf(b).Comparable() && a == b
}

func (g Group) apps() string {
	var apps []string
	for _, m := range g.Members {
		apps = append(apps, m.App)
	}
	return strings.Join(apps, ", ")
}

// name is what a member is called where it must be told from the others: one app
// may be a member in several clusters.
func (g Group) name(i int) string {
	for k, m := range g.Members {
		if k != i && m.App == g.Members[i].App {
			return fmt.Sprintf("%s (member %d)", m.App, i+1)
		}
	}
	return g.Members[i].App
}

// mark names this group in what is decided about its members: the same apps with
// the same releases, in the same order.
func (g Group) mark() string {
	hash := sha256.New()
	for _, m := range g.Members {
		fmt.Fprintf(hash, "%q %q\n", m.App, m.Target.Named().Release)
	}
	return "group " + hex.EncodeToString(hash.Sum(nil)[:4])
}

func (g Group) judge() time.Duration { return orElse(g.Judge, 30*time.Minute) }
