// Laws of Delete.

package clustertest

import (
	"errors"

	"github.com/cutover-dev/cutover/cluster"
)

func bareDelete(t *trial) {
	was := t.ready(t.revision(1, 0))
	for _, edit := range []func(*cluster.Revision){
		func(r *cluster.Revision) { r.UID = "" },
		func(r *cluster.Revision) { r.Version = "" },
		func(r *cluster.Revision) { r.UID, r.Version = "", "" },
	} {
		r := clone(was)
		edit(&r)
		t.mustBe(t.Cluster.Delete(t.ctx, t.App, r), cluster.ErrRefused, "delete with uid %q and version %q", r.UID, r.Version)
		t.unchanged(was, "a delete that was refused")
	}
}

func staleDelete(t *trial) {
	stale := t.ready(t.revision(1, 0))
	was := t.change(stale.Name, func(r *cluster.Revision) { r.Note = "newer" })
	t.mustBe(t.Cluster.Delete(t.ctx, t.App, stale), cluster.ErrConflict, "delete with version %s", stale.Version)
	t.sleep(tick) // a delete may take its time
	t.unchanged(was, "a stale delete")
}

func goneDelete(t *trial) {
	r := t.ready(t.revision(1, 0))
	other := t.ready(t.revision(2, 0))
	t.remove(r.Name)
	t.must(t.Cluster.Delete(t.ctx, t.App, r), "delete %s, which is gone", r.Name)
	t.gone(r.Name, "its delete")
	t.unchanged(other, "the delete of another")
}

// reused: from when no look shows the old one any more.
func reused(t *trial) {
	old := t.ready(t.revision(1, 1))
	t.remove(old.Name)
	r := t.revision(1, 1)
	r.Release = "again"
	now := t.ready(r)
	if now.UID == old.UID {
		t.breach("the new %s has the uid of the old one, %s", now.Name, now.UID)
	}
	if now.Release != "again" {
		t.breach("the new %s is found with the release %q", now.Name, now.Release)
	}
}

// otherDelete: the old one's delete, late. An implementation whose versions
// are never equal between objects needs the UID for nothing else, so the new
// one's version is tried with the old UID as well.
func otherDelete(t *trial) {
	old := t.ready(t.revision(1, 0))
	t.remove(old.Name)
	now := t.ready(t.revision(1, 0))
	mixed := clone(now)
	mixed.UID = old.UID
	for _, late := range []cluster.Revision{old, mixed} {
		if err := t.Cluster.Delete(t.ctx, t.App, late); !errors.Is(err, cluster.ErrConflict) {
			t.breach("delete the next object of the name: want a conflict, got: %v", err)
		}
	}
	t.sleep(tick)
	t.unchanged(now, "the delete of the one before")
}

// podsDeleted: endpoints are what can be seen of pods whose revision is gone.
func podsDeleted(t *trial) {
	r := t.ready(t.revision(1, 2))
	t.serve(r.Name)
	t.remove(r.Name)
	t.until("no endpoint is left of what was deleted", func(s cluster.State) bool {
		return s.Strays == 0 && s.Exposed(r.Name) == 0
	})
}
