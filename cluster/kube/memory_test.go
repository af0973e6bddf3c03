// What a Cluster remembers of a revision from one look to the next.

package kube

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
)

// What a preview shows, or a Service that selects every revision, drains nothing: a
// crash loop behind one would keep a drain from its end.
func TestBugWhatAPreviewShowedMovedADrainOn(t *testing.T) {
	c := &Cluster{apps: map[string]*memory{}}
	began := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	look := func(after time.Duration, traffic, preview, fixed int) time.Duration {
		s := cluster.State{
			At:        began.Add(after),
			Revisions: []cluster.Revision{{Name: "web-v001", UID: "1"}},
			Routes: []cluster.Route{
				{Name: "service/web", Serving: map[string]int{"web-v001": traffic}},
				{Name: "service/test", Preview: true, Serving: map[string]int{"web-v001": preview}},
				{Name: "service/all", Fixed: true, Serving: map[string]int{"web-v001": fixed}},
			},
		}
		c.remember("web", &roster{}, evidence{}, &s)
		return s.Revisions[0].Moved.Sub(began)
	}
	require.Equal(t, 0*time.Second, look(0, 2, 2, 2))
	require.Equal(t, 0*time.Second, look(time.Second, 2, 1, 2))
	require.Equal(t, 0*time.Second, look(2*time.Second, 2, 1, 0))
	require.Equal(t, 3*time.Second, look(3*time.Second, 1, 1, 0))
	require.Equal(t, 3*time.Second, look(4*time.Second, 1, 2, 2))
}
