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
	release  string
	wait     time.Duration    // after which nothing lands any more
	epoch    int              // rises with every doubt, so that a touch differs from what was sent before
	doubtful map[string]doubt // by object
	since    time.Time        // of the last doubt, by the cluster's clock
	apart    bool             // a late write that wants replicas would do harm, too
	shares   bool             // and one that takes them, from what serves
	company  bool             // another run may be at work, of this release or of another one
	landed   map[string]int   // touches in a row that were answered, by object
}

// A doubt is about the last write to an object.
type doubt struct {
	epoch   int    // that the object's fence must have reached
	fence   string // that the write was compared with, if all pods had the same
	behind  bool   // it may have been another one
	version string // that the write was compared with, at the latest
	creates bool   // there was no such object
	sent    bool   // this run has sent it: what comes of it is nobody else's
}

// outdated reports whether somebody has since written the revision and every pod
// of it: another run of the same release, say, that had the same doubt. Where
// pods had different fences at the time of the doubt, whoever was giving them one
// had sent nothing yet that relied on it.
func (d doubt) outdated(r cluster.Revision) bool {
	return !d.behind && r.Fence != "" && r.Fence != d.fence
}

// token is what this run's writes carry.
func (f *fence) token() string { return f.id + "." + strconv.Itoa(f.epoch) }

// holds reports whether a stored fence keeps out all that was sent before epoch.
func (f *fence) holds(stored string, epoch int) bool {
	number, ours := strings.CutPrefix(stored, f.id+".")
	n, err := strconv.Atoi(number)
	return ours && err == nil && n >= epoch
}

// unanswered notes that the effect of a write that this run has sent is unknown.
func (f *fence) unanswered(object string, s cluster.State) {
	f.doubt(object, s)
	d := f.doubtful[object]
	d.sent = true
	f.doubtful[object] = d
}

// doubt notes that the effect of a write to an object is unknown.
func (f *fence) doubt(object string, s cluster.State) {
	f.epoch++
	if f.doubtful == nil {
		f.doubtful = map[string]doubt{}
	}
	version := ""
	for _, route := range s.Routes {
		if route.Name == object {
			version = route.Version
		}
	}
	r, exists := s.Named(object)
	creates := !exists && version == ""
	f.doubtful[object], f.since = doubt{f.epoch, r.Fence, r.Behind, version, creates, f.doubtful[object].sent}, s.At
}

// firstLook doubts every traffic object, if what it shows is not the end of a
// run: whoever began it may have died a moment ago.
func (f *fence) firstLook(s cluster.State) {
	f.company = unfinished(s)
	if gap := f.apart && s.Serving() == 0; gap || f.company {
		f.doubtAll(s)
	}
}

// nextLook doubts every traffic object, too, when somebody who has looked before may
// have planned what does not fit any more: if somebody else has made a release, decided
// or noted something or moved traffic since the last look; if this run's own release
// has come beside one that is not done; or if this run has given it up, and is not
// alone. A touch alone is no news, or two runs would touch for ever, and neither are
// replicas, which autoscalers give and take.
func (f *fence) nextLook(before, s cluster.State, wrote string) {
	f.company = f.company || f.joined(before, s, wrote)
	for _, r := range s.Revisions {
		was, known := before.Named(r.Name)
		own := r.Name == wrote || f.doubtful[r.Name].sent
		gaveUp := known && r.Release == f.release && was.Outcome != r.Outcome && r.Outcome.Result == cluster.Failed
		switch {
		case !known && undecided(r) && r.Release == f.release && unfinished(before):
			f.doubtAllBut(r.Name, s)
			return
		case !known && undecided(r) && r.Release != f.release, known && was.UID == r.UID && !own && changed(s, was, r):
			f.company = true
			f.doubtAll(s)
			return
		case own && gaveUp && f.company:
			f.doubtAll(s)
			return
		}
	}
	for i, route := range s.Traffic() {
		if was := before.Traffic(); i < len(was) && was[i].Name == route.Name && route.Name != wrote && !f.doubtful[route.Name].sent && moved(before, s, was[i], route) {
			f.company = true
			f.doubtAll(s)
			return
		}
	}
}

// joined reports whether somebody else has made this run's release, or touched
// something, since the last look.
func (f *fence) joined(before, s cluster.State, wrote string) bool {
	foreign := func(was, is string) bool { return was != is && is != "" && !f.holds(is, 0) }
	for _, r := range s.Revisions {
		was, known := before.Named(r.Name)
		made := !known && undecided(r) && r.Name != wrote && !f.doubtful[r.Name].sent
		if made || known && was.UID == r.UID && foreign(was.Fence, r.Fence) {
			return true
		}
	}
	for i, route := range s.Routes {
		if i < len(before.Routes) && before.Routes[i].Name == route.Name && foreign(before.Routes[i].Fence, route.Fence) {
			return true
		}
	}
	return false
}

// undecided reports whether a revision is a release that nobody has decided about.
func undecided(r cluster.Revision) bool {
	return r.Arm == "" && r.Release != "" && r.Outcome.Result == cluster.Undecided
}

// changed reports whether something was decided or noted about a revision, or its
// traffic moved.
func changed(s cluster.State, was, is cluster.Revision) bool {
	return was.Enabled != is.Enabled && onPods(s) || was.Outcome != is.Outcome || was.Note != is.Note
}

// moved reports whether a route notes something else, or brings traffic otherwise
// than before to a revision that was there before: what a selector says of a new one
// is no news.
func moved(before, s cluster.State, was, is cluster.Route) bool {
	if was.Note != is.Note {
		return true
	}
	for _, r := range s.Revisions {
		old, known := before.Named(r.Name)
		n, had := was.Weights[r.Name]
		m, has := is.Weights[r.Name]
		if known && old.UID == r.UID && (had != has || n != m) {
			return true
		}
	}
	return false
}

// doubtAll doubts every object that has to do with traffic.
func (f *fence) doubtAll(s cluster.State) { f.doubtAllBut("", s) }

// doubtAllBut leaves out the revision with that name, which nobody else can have
// written yet.
func (f *fence) doubtAllBut(name string, s cluster.State) {
	for _, r := range s.Revisions {
		if r.Name != name && (onPods(s) && (r.Pods > 0 || r.Replicas > 0) || f.apart || f.shares) {
			f.doubt(r.Name, s)
		}
	}
	for _, route := range s.Routes {
		if s.Can.Select || s.Can.Weigh || route.Scaler {
			f.doubt(route.Name, s)
		}
	}
}

// unfinished reports whether a release of ours is undecided, or was given up
// and not given back.
func unfinished(s cluster.State) bool {
	live := int64(-1) // the newest good one
	for _, r := range s.Revisions {
		if s.IsGood(r) {
			live = max(live, r.Seq)
		}
	}
	for _, r := range s.Revisions {
		begun := r.Release != "" && r.Outcome.Result == cluster.Undecided // an arm, too
		halfBack := r.Outcome.Result == cluster.Failed && (r.Seq > live && r.Replicas > 0 || !s.Dark(r))
		if begun || halfBack {
			return true
		}
	}
	return false
}

// onPods reports whether pods carry what has traffic: a worker's do, too.
func onPods(s cluster.State) bool { return s.Can.Enable || s.Worker() && !s.Can.Select && !s.Can.Weigh }

const touched = "touched, so that no write sent before can still land"

// touches reports whether a step is a touch.
func touches(step Step) bool {
	switch s := step.(type) {
	case Put:
		return s.Why == touched
	case SetRoute:
		return s.Why == touched
	}
	return false
}

// before returns the step itself, or a touch that must come before it.
func (f *fence) before(in Input, step Step) Step {
	if len(f.doubtful) > 0 && in.Held(f.since, f.wait) {
		clear(f.doubtful)
	}
	if touch := f.relied(in, step); touch != nil {
		return touch
	}
	step = f.kept(in, step)
	if !touches(step) {
		clear(f.landed)
	}
	return step
}

// kept returns the step itself, or a touch of what was doubted.
func (f *fence) kept(in Input, step Step) Step {
	object, needs := f.needs(in, step)
	if len(f.doubtful) == 0 || !needs {
		return step
	}
	for _, r := range in.State.Revisions {
		d, doubted := f.doubtful[r.Name]
		if !doubted || r.Name == object || !onPods(in.State) && !f.apart && !f.shares || f.holds(r.Fence, d.epoch) || d.outdated(r) {
			continue // the write itself keeps late ones from its own object
		}
		return f.touch(r)
	}
	for _, route := range in.State.Routes {
		d, doubted := f.doubtful[route.Name]
		if doubted && route.Version == d.version && !f.holds(route.Fence, d.epoch) {
			return SetRoute{Route: route, Why: touched}
		}
	}
	return f.unborn(in, step)
}

// unborn waits, before a run ends, for what it may have created: nothing can be
// touched that keeps a late create out.
func (f *fence) unborn(in Input, step Step) Step {
	switch step.(type) {
	case Done, Abort:
	default:
		return step
	}
	for object, d := range f.doubtful {
		if _, there := in.State.Named(object); d.creates && !there {
			return Wait{Why: object + " may yet be created by a write that was not answered", Until: in.Until(f.since, f.wait)}
		}
	}
	return step
}

// enough is how many touches in a row keep out what was sent before them, whoever has
// touched the same since: two runs of one release have the same doubts, and would
// touch in turn for ever.
const enough = 2

// relied returns a touch of a revision that a route is about to be given to, or to
// be left to alone: a late write could still take its replicas, and nothing but
// the route would have been written since.
func (f *fence) relied(in Input, step Step) Step {
	to, routes := step.(SetRoute)
	if !routes || to.Route.Preview || to.Route.Scaler {
		return nil
	}
	var now map[string]int
	for _, route := range in.State.Routes {
		if route.Name == to.Route.Name {
			now = route.Weights
		}
	}
	narrower := len(to.Route.Weights) < len(now)
	for _, r := range in.State.Revisions {
		share := to.Route.Weights[r.Name]
		if share > 0 && (share > now[r.Name] || narrower) && !f.holds(r.Fence, 0) && f.landed[r.Name] < enough {
			return f.touch(r)
		}
	}
	return nil
}

// touched notes that a touch was answered.
func (f *fence) touched(step Step) {
	put, puts := step.(Put)
	if !puts {
		return
	}
	if f.landed == nil {
		f.landed = map[string]int{}
	}
	f.landed[put.Revision.Name]++
}

func (f *fence) touch(r cluster.Revision) Step {
	if r.Behind {
		return behind(r) // pods may be born without the touch
	}
	r.Fence = f.token()
	return Put{Revision: r, Why: touched}
}

// needs reports whether a late write could turn what comes after this step
// into an outage, or a success into a lie, and which object the step writes.
func (f *fence) needs(in Input, step Step) (object string, needs bool) {
	switch step := step.(type) {
	case Put:
		r := step.Revision
		found, ok := in.State.Named(r.Name)
		good := r.Enabled && r.Outcome.Result == cluster.Good && found.Outcome.Result != cluster.Good
		off := onPods(in.State) && !r.Enabled && (found.Enabled || found.Unsettled > 0)
		if good {
			return "", true // which writes no traffic
		}
		if off || f.apart && r.Replicas > found.Replicas {
			return r.Name, ok
		}
		return "", ok && r.Replicas < found.Replicas
	case Delete:
		return step.Revision.Name, true
	case Done:
		_, ours := in.Mine()
		return "", ours
	case Abort:
		return "", step.Kind == Failed || step.Kind == Stranded
	}
	return "", false
}

// stamp puts this run's fence on a write that creates a revision or moves its
// traffic, and leaves every other write's alone.
func (f *fence) stamp(in Input, r cluster.Revision) cluster.Revision {
	found, exists := in.State.Named(r.Name)
	switch {
	case r.Fence != found.Fence: // a touch
	case !exists, r.Enabled != found.Enabled, found.Unsettled > 0:
		if !f.holds(found.Fence, f.doubtful[r.Name].epoch) {
			r.Fence = f.token()
		}
	}
	return r
}
