// Package cluster is the vocabulary that every part of cutover speaks: what a
// [Cluster] can be asked (four methods), what one look at an app shows (a
// [State] with its [Revision]s and [Route]s), and the three errors that a
// caller acts on.
//
// The package imports nothing of cutover and talks to no cluster itself.
// Package cluster/kube is the real one, package fake a simulated one, and
// package cluster/clustertest proves an implementation against the contracts
// that are written here.
package cluster

import (
	"context"
	"errors"
	"strings"
	"time"
)

// A Cluster keeps the revisions and the routes of apps.
//
// Rules that hold for all four methods:
//
//   - A call that failed may still have taken effect, wholly or in part, now or
//     later: whoever called looks again and never assumes. Only an error that
//     Is [ErrConflict], [ErrRefused] or [ErrUnsupported] promises that nothing
//     was changed by this call (see Put for its one exception).
//   - A canceled or expired context ends a call soon; before the call has sent
//     anything it changes nothing.
//   - Calls may be made from several goroutines at once. Two writes that
//     compare with the same Version have at most one winner.
//   - No method waits for the cluster to follow a write. The next looks tell.
//   - No method keeps or changes what it is given.
type Cluster interface {
	// Observe returns what there is of app: all of it, or an error. It must see
	// every write that this Cluster has answered with nil. What writes are
	// compared with (revisions, routes) must be read before what justifies them
	// (pods, endpoints), so that a Version is never newer than the facts beside
	// it. A read that is refused, cut short or stale is an error, never a
	// shorter State. An app that was never deployed is a State with no
	// Revisions and no error.
	Observe(ctx context.Context, app string) (State, error)

	// Put makes the revision be as r says: its Replicas, Enabled, Outcome, Note
	// and Fence. It writes what differs and nothing else; if nothing differs it
	// writes nothing. An empty Note or Fence leaves the stored one.
	//
	// With r.Version "" the revision must not exist: Put creates it with r's
	// Name, Release, Arm, Seq and Template, which never change after. Creating a
	// name is the compare-and-set that allocates a sequence. If it exists, Put
	// returns ErrConflict. With any other Version the revision must be the one
	// that had this Version (and r.UID), unchanged since, or Put returns
	// ErrConflict; one that is gone is a conflict too.
	//
	// Where Enabled is kept on single pods, Put is many writes: first the
	// template that pods are born from, then pods, of which it may leave some
	// for the next Put; [Revision].Unsettled counts them. While the revision is
	// Behind there may be more to come: looks tell. A Fence that differs
	// from a pod's own is written to that pod although its traffic is already
	// as wanted. ErrConflict is then promised only for the first object that is
	// written; a later one that cannot be written makes an error of unknown
	// effect. A pod that is gone is as wanted.
	//
	// Put refuses (ErrRefused) negative Replicas, a revision that is somebody
	// else's, and whatever the implementation knows to be unsafe for its kind
	// of cluster, before it writes.
	Put(ctx context.Context, app string, r Revision) error

	// SetRoute makes one route object be as r says: its Weights, Note, Fence
	// and From, in one write, compared by r.Version like Put; if nothing differs
	// it writes nothing. Routes are not created: a Name that Observe did not
	// show is ErrRefused. An empty Note, Fence or From leaves the stored one;
	// nil Weights mean all enabled revisions, and are
	// ErrUnsupported where a route cannot say that. A Scaler is pointed at one
	// revision; two are ErrUnsupported, and none ErrRefused unless it has none.
	//
	// Pinned is wanted only where the route is Open, or was found Pinned, and
	// Weights name the one revision that it is to be kept to: true keeps it to the
	// pods which that one has now, false opens it again, if nothing else has pods
	// that it would select. Everywhere else Pinned is found, and ignored.
	SetRoute(ctx context.Context, app string, r Route) error

	// Delete removes the revision r.Name, and later its pods, if it still is the one
	// with r.UID and has not changed since r.Version; otherwise ErrConflict. If
	// there is no revision of that name, that is no error. Delete without a UID
	// and a Version is ErrRefused.
	Delete(ctx context.Context, app string, r Revision) error
}

// A Watcher is a Cluster that can tell when it is worth to look again. It is a
// hint and nothing more: what it saw is never acted on.
type Watcher interface {
	// Await returns when something about app may have changed since the last
	// look of this Cluster at it, when d has passed, or when ctx ends. Only the
	// last is an error. It may come back early for nothing, and late by d.
	Await(ctx context.Context, app string, d time.Duration) error
}

// Errors that callers act on. An implementation wraps them with what was being
// done, to which object, and what was found. Every other error means "unknown
// whether it happened": back off, then look again.
var (
	// ErrConflict: the object is not, or no longer, what the write was compared
	// with. Look again now.
	ErrConflict = errors.New("changed since it was observed")

	// ErrRefused: the cluster or the implementation will not do this however
	// often it is asked: forbidden, invalid, over quota, out of scope. A person
	// is needed.
	ErrRefused = errors.New("refused")

	// ErrUnsupported: this cluster cannot do this for this app; [State].Can
	// says what it can.
	ErrUnsupported = errors.New("not supported by this cluster")
)

// A State is one look at an app. It is a value: nobody changes it, and what a
// strategy decides is a function of it.
type State struct {
	At        time.Time  // the cluster's clock at this look, never going back; 1 s steps on a real one
	Revisions []Revision // by rising Seq, arms after their release
	Routes    []Route    // by Name; none that is traffic: a worker, see [State.ReliedOn]
	Strays    int        // ready endpoints of traffic routes whose pod belongs to no revision here
	Can       Can        // what this cluster can do for this app
	Contested bool       // another program was seen to write what is written here, and may put it back
	Warnings  []string   // for a person: a foreign field manager, a budget over both sides, …
}

// Can says how traffic is moved between the revisions of an app. With none set
// the app has no traffic to move: a worker.
type Can struct {
	Enable bool // revision by revision, by Put's Enabled ("labels")
	Select bool // by SetRoute: the names in Weights get traffic, their figures are ignored ("selector")
	Weigh  bool // by SetRoute: Weights are percent ("weights")
}

// A Revision is one version of an app, with the replicas that run it.
type Revision struct {
	// Fixed at creation.

	Name     string // unique in the app at any one time, not over time: numbers are reused
	Release  string // which deployment asked for it; "": found, not created by cutover
	Arm      string // "": the release itself; else a companion such as "baseline", never promoted
	Seq      int64  // its place in the order of releases; 0: found without one, below all others
	Template []byte // opaque. Put as found under a new Name it makes the same pods; never compared

	// Wanted. Put sets them.

	Replicas int     // ≥ 0
	Enabled  bool    // its ready pods are to get traffic; found, not wanted, where only routes move it
	Outcome  Outcome // durable; a Runner lets only failed follow good, and nothing failed, unless it was Undone
	Note     string  // the strategy's own step, stored in the same write
	Fence    string  // the run that last wrote this object and every pod of it; "" if they differ, or while Behind

	// Found. Put ignores them, but for UID and Version.

	Created   time.Time // when the object was made
	Pods      int       // pods that can still run, terminating ones too, or that may yet appear
	Leaving   int       // pods that were told to go and still run; Pods counts them, Ready does not
	Ready     int       // pods that are available and not terminating
	Unsettled int       // pods whose traffic is not as Enabled says; another Put settles them
	Behind    bool      // the cluster has not taken up the last Put: pods may yet be born of what was before
	Raised    time.Time // when a writer last raised Replicas; its creation counts
	Since     time.Time // when a writer last changed Enabled or Outcome; zero: never
	Moved     time.Time // when this observer last saw its traffic change, Serving on the routes that bring it; its first look if never
	UID       string    // this object and no other, ever
	Version   string    // opaque: what a write is compared with
}

// An Outcome is the durable decision about a release, and why.
type Outcome struct {
	Result Result
	Why    string // for a person
}

// Undone reports that the release was given up by an undo, for nothing that was
// found in it: whoever undid it may take that back.
func (o Outcome) Undone() bool {
	return o.Result == Failed && (o.Why == undone || strings.HasPrefix(o.Why, undone+": "))
}

const undone = "undone"

// Result is undecided, good or failed.
type Result int

const (
	Undecided Result = iota // zero: nobody has decided
	Good                    // passed bake and gates under observation; may be gone back to
	Failed                  // given up, undone or superseded; never gone back to
)

// String returns "undecided", "good" or "failed".
func (r Result) String() string {
	switch r {
	case Good:
		return "good"
	case Failed:
		return "failed"
	}
	return "undecided"
}

// A Route is one object that brings something to revisions by their names:
// traffic, like a Service or a router with weights; or replicas, like an
// autoscaler.
type Route struct {
	Name     string // kind and name: "service/web"
	Preview  bool   // shows a revision to testers; never counts as traffic
	External bool   // a load balancer outside the cluster follows its endpoints, later
	Fixed    bool   // it brings something to every revision, and nobody said that it is traffic: it cannot be moved
	Scaler   bool   // it brings no traffic, but writes the Replicas of the one revision in Weights, unless those are 0
	Open     bool   // nothing in it tells revisions apart: the pods of another one would get its traffic as soon as they are ready

	// Wanted. SetRoute sets them.

	Weights map[string]int // percent by revision name; nil: all enabled revisions, by ready pods; a Scaler of none is empty
	Pinned  bool           // it selects by a pod-template-hash: any change of that template empties it, and then Weights are empty, too
	Note    string         // the strategy's own step, stored in the same write
	Fence   string         // the run that last wrote this object
	From    string         // the revision that it served when cutover first wrote it; that one is good

	// Found. SetRoute ignores them, but for Version.

	// Serving counts ready endpoints by revision name, whatever the weight: pods
	// that this same look shows ready and not terminating. With Can.Weigh a
	// revision must be named in Weights, at 0 if need be, to be counted.
	Serving map[string]int
	Since   time.Time // when a writer last changed Weights; zero: never
	Version string    // opaque: what a write is compared with
}

// A Target is what a deployment wants to run.
type Target struct {
	// Release names this deployment: a build id and attempt, say. Running the
	// same Release again resumes it, with the template that it was made from. "" is a name made from the Template, see
	// [Target.Named]: then the same template is the same deployment.
	Release string

	// Template is what a revision is made from, in the Cluster's own format:
	// for a real one, what kube.Target returns.
	Template []byte

	// Replicas that the new revision gets; 0: as many as serve when it is
	// created, which is an error if nothing does. With a Scaler leave it 0: then
	// what that adds until traffic moves is added here, too.
	Replicas int
}
