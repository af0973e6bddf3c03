// Laws of Put.

package clustertest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
)

func stalePut(t *trial) {
	stale := t.ready(t.revision(1, 1))
	was := t.change(stale.Name, func(r *cluster.Revision) { r.Note = "newer" })
	stale.Replicas, stale.Note = 2, "stale"
	t.mustBe(t.Cluster.Put(t.ctx, t.App, stale), cluster.ErrConflict, "put with version %s", stale.Version)
	t.unchanged(was, "a stale put")
}

func otherObject(t *trial) {
	was := t.ready(t.revision(1, 0))
	other := clone(was)
	other.UID, other.Note = "00000000-0000-0000-0000-000000000000", "other"
	t.mustBe(t.Cluster.Put(t.ctx, t.App, other), cluster.ErrConflict, "put with another uid")
	t.unchanged(was, "a put to another object")
}

// gonePut: gone is what a look does not show any more, which may be some time
// after the delete.
func gonePut(t *trial) {
	r := t.ready(t.revision(1, 0))
	t.remove(r.Name)
	r.Replicas = 1
	t.mustBe(t.Cluster.Put(t.ctx, t.App, r), cluster.ErrConflict, "put to a revision that is gone")
	t.gone(r.Name, "a put to what was gone")
}

// racingPuts: at most one. None may win, if the cluster itself writes too.
func racingPuts(t *trial) {
	r := t.ready(t.revision(1, 0))
	errs := race(8, func(i int) error {
		mine := clone(r)
		mine.Note = fmt.Sprintf("racer-%d", i)
		return t.Cluster.Put(t.ctx, t.App, mine)
	})
	winner := ""
	for i, err := range errs {
		switch {
		case err == nil && winner != "":
			t.breach("%s and racer-%d both compared with version %s and won", winner, i, r.Version)
		case err == nil:
			winner = fmt.Sprintf("racer-%d", i)
		default:
			t.mustBe(err, cluster.ErrConflict, "put, as racer-%d", i)
		}
	}
	if note := t.found(r.Name).Note; note != winner {
		t.breach("%q won, found is the note %q", winner, note)
	}
}

// idlePut: only the Version tells from outside. That pods are not written
// either is not seen.
func idlePut(t *trial) {
	r := t.revision(1, 1)
	r.Note, r.Fence = "a step", "run-1"
	before := t.ready(r)
	t.must(t.Cluster.Put(t.ctx, t.App, before), "put %s as it is", r.Name)
	if now := t.found(r.Name); now.Version != before.Version {
		t.breach("the version was %s, then %s", before.Version, now.Version)
	}
}

// fixed: a Put that says otherwise may ignore it or fail, but not do it. The
// found Template is compared with itself, and only while Enabled and Fence,
// which may be part of it, stay.
func fixed(t *trial) {
	was := t.ready(t.revision(1, 0))
	other := clone(was)
	other.Release, other.Arm, other.Seq, other.Template = "other", "other", 9, t.Template("other")
	if err := t.Cluster.Put(t.ctx, t.App, other); err != nil {
		t.mustBe(err, cluster.ErrRefused, "put with other fixed fields")
	}
	t.unchanged(was, "a put with other fixed fields")
	was = t.change(was.Name, func(r *cluster.Revision) { r.Note = "a note" })
	other = clone(was)
	other.Replicas, other.Template = 1, t.Template("other")
	if err := t.Cluster.Put(t.ctx, t.App, other); err == nil {
		was.Replicas = 1
	}
	t.unchanged(was, "a put with other fixed fields and replicas")
}

func emptyLeaves(t *trial) {
	r := t.revision(1, 0)
	r.Note, r.Fence = "the note", "the fence"
	was := t.ready(r)
	was.Replicas = 1
	t.change(r.Name, func(r *cluster.Revision) { r.Note, r.Fence, r.Replicas = "", "", 1 })
	t.settled(r.Name)
	t.unchanged(was, "a put with an empty note and fence")
}

func negative(t *trial) {
	was := t.ready(t.revision(1, 1))
	less := clone(was)
	less.Replicas, less.Note = -1, "negative"
	t.mustBe(t.Cluster.Put(t.ctx, t.App, less), cluster.ErrRefused, "put with -1 replicas")
	t.unchanged(was, "a put that was refused")
	t.mustBe(t.Cluster.Put(t.ctx, t.App, t.revision(2, -1)), cluster.ErrRefused, "create with -1 replicas")
	t.gone(t.revision(2, 0).Name, "a create that was refused")
}

// replicas: up, down and to none. How soon, and in which order pods go, is the
// cluster's own.
func replicas(t *trial) {
	r := t.create(t.revision(1, 1))
	for _, n := range []int{1, 3, 2, 0, 1} {
		now := t.change(r.Name, func(r *cluster.Revision) { r.Replicas = n })
		if now.Replicas != n {
			t.breach("%d replicas were put, found wanted are %d", n, now.Replicas)
		}
		t.until(fmt.Sprintf("%d pods, all ready", n), func(s cluster.State) bool {
			r := t.in(s, r.Name)
			return r.Pods == n && r.Ready == n
		})
	}
}

// unusual is text that a careless store spoils.
const unusual = "two\nlines\ttab \"double\" 'single' \\back /slash {\"a\":[1]} <b>&amp; %s $x `y` ä 漢字 🚦 x=y,z: #end"

// outcome: two kilobytes of why. How much more fits is the cluster's own.
func outcome(t *trial) {
	why := unusual + strings.Repeat(" and so on", (2048-len(unusual))/10)
	for i, result := range []cluster.Result{cluster.Good, cluster.Failed} {
		r := t.create(t.revision(int64(i+1), 0))
		if r.Outcome != (cluster.Outcome{}) {
			t.breach("%s is new and its outcome %+v", r.Name, r.Outcome)
		}
		want := cluster.Outcome{Result: result, Why: why}
		if got := t.change(r.Name, func(r *cluster.Revision) { r.Outcome = want }).Outcome; got != want {
			t.breach("put\n%v: %q\nfound\n%v: %q", want.Result, want.Why, got.Result, got.Why)
		}
		if got := t.change(r.Name, func(r *cluster.Revision) { r.Note = "later" }).Outcome; got != want {
			t.breach("a later put made the outcome %v: %q", got.Result, got.Why)
		}
	}
}

func note(t *trial) {
	r := t.create(t.revision(1, 0))
	for _, want := range []string{unusual, " a space at both ends ", "{}", "null", "true", "1"} {
		if got := t.change(r.Name, func(r *cluster.Revision) { r.Note = want }).Note; got != want {
			t.breach("put\n%q\nfound\n%q", want, got)
		}
	}
}

// fence: of a revision whose pods all run. Whether a look shows a Fence that
// some pod does not carry is not seen from outside.
func fence(t *trial) {
	r := t.revision(1, 2)
	r.Fence = "run-1"
	t.ready(r)
	carried := func(fence string) func(cluster.State) bool {
		return func(s cluster.State) bool { return t.in(s, r.Name).Fence == fence }
	}
	t.until("the fence of the create", carried("run-1"))
	t.drive("the fence of the puts", carried("run-2"), func(cluster.State) {
		t.change(r.Name, func(r *cluster.Revision) { r.Fence = "run-2" })
	})
	t.sleep(tick)
	t.until("the fence stays", carried("run-2"))
}

// fenced: what a fence is for. A late write of an earlier run meets a version
// that is not its own.
func fenced(t *trial) {
	late := t.ready(t.revision(1, 1))
	t.change(late.Name, func(r *cluster.Revision) { r.Fence = "run-2" })
	t.settled(late.Name)
	late.Replicas = 2
	t.mustBe(t.Cluster.Put(t.ctx, t.App, late), cluster.ErrConflict, "put from before the fence")
	if n := t.found(late.Name).Replicas; n != 1 {
		t.breach("a put from before the fence made it %d replicas", n)
	}
	for _, route := range t.look().Routes {
		t.set(route.Name, func(r *cluster.Route) { r.Fence = "run-2" })
		route.Note = "late"
		if err := t.Cluster.SetRoute(t.ctx, t.App, route); !errors.Is(err, cluster.ErrConflict) {
			t.breach("set %s from before the fence: want a conflict, got: %v", route.Name, err)
		}
	}
}
