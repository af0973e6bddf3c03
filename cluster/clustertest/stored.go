// What only a writer changes, compared, and a look in words.

package clustertest

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// stored is the part of a revision that only a writer changes. Templates are
// compared only with what an earlier look at the same object showed.
type stored struct {
	name, release, arm string
	seq                int64
	template           string
	replicas           int
	enabled            bool
	outcome            cluster.Outcome
	note, fence, uid   string
	created            string
}

func keep(r cluster.Revision) stored {
	return stored{
		r.Name, r.Release, r.Arm, r.Seq, string(r.Template), r.Replicas, r.Enabled,
		r.Outcome, r.Note, r.Fence, r.UID, r.Created.UTC().Format(time.DateTime),
	}
}

// unchanged ends the trial unless the revision is stored as it was. While one
// is behind its pods may yet differ in their fence, so that is not compared.
func (t *trial) unchanged(was cluster.Revision, after string) {
	now := t.found(was.Name)
	if was.Behind || now.Behind {
		was.Fence, now.Fence = "", ""
	}
	if keep(now) != keep(was) {
		t.breach("%s was changed by %s\nfrom %+v\nto   %+v", was.Name, after, keep(was), keep(now))
	}
}

// unmoved ends the trial unless the route is stored as it was.
func (t *trial) unmoved(was cluster.Route, after string) {
	now := t.routeNamed(was.Name)
	if !maps.Equal(now.Weights, was.Weights) || (now.Weights == nil) != (was.Weights == nil) ||
		now.Note != was.Note || now.Fence != was.Fence || now.From != was.From {
		t.breach("%s was changed by %s\nfrom %+v\nto   %+v", was.Name, after, was, now)
	}
}

func clone(r cluster.Revision) cluster.Revision {
	r.Template = slices.Clone(r.Template)
	return r
}

func names(s cluster.State) string {
	var all []string
	for _, r := range s.Revisions {
		all = append(all, r.Name)
	}
	return fmt.Sprint(all)
}

// describe says of a look what waits are about.
func describe(s cluster.State) string {
	var all []string
	for _, r := range s.Revisions {
		all = append(all, fmt.Sprintf("%s: %d wanted, enabled %v, %d pods, %d ready, %d unsettled, behind %v, %d to %d serving, fence %q",
			r.Name, r.Replicas, r.Enabled, r.Pods, r.Ready, r.Unsettled, r.Behind, s.ReliedOn(r.Name), s.Exposed(r.Name), r.Fence))
	}
	if s.Strays > 0 {
		all = append(all, fmt.Sprintf("%d strays", s.Strays))
	}
	if len(all) == 0 {
		return "nothing"
	}
	return strings.Join(all, "; ")
}
