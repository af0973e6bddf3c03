// What a Cluster remembers of an app from one look to the next.

package kube

import (
	"context"
	"fmt"
	"maps"
	"time"

	"golang.org/x/time/rate"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// memory is what was seen of one app.
type memory struct {
	roster *roster             // who was there at the last look
	seen   map[string]sighting // by the revisions' UIDs
	places []place             // from where on something new would be seen
	crowd  crowd               // the pods then
	pace   *rate.Limiter       // of looks that a watch asks for
}

// sighting is what a revision served when it was last looked at.
type sighting struct {
	serving map[string]int
	moved   time.Time
}

// remember keeps the roster for the writes to come and tells the State when
// each revision's traffic was last seen to change.
func (c *Cluster) remember(app string, r *roster, e evidence, s *cluster.State) {
	c.mu.Lock()
	defer c.mu.Unlock()
	m := c.apps[app]
	if m == nil {
		m = &memory{pace: rate.NewLimiter(rate.Every(pace), burst)}
		c.apps[app] = m
	}
	seen := map[string]sighting{}
	for i := range s.Revisions {
		rev := &s.Revisions[i]
		now := sighting{serving: servedBy(*s, *rev), moved: s.At}
		if before, ok := m.seen[rev.UID]; ok && maps.Equal(before.serving, now.serving) {
			now.moved = before.moved
		}
		rev.Moved = now.moved
		seen[rev.UID] = now
	}
	m.roster, m.seen, m.places, m.crowd = r, seen, e.places, crowd{ready: map[types.UID]bool{}}
	for i := range e.pods {
		m.crowd.ready[e.pods[i].UID] = ready(&e.pods[i]) && !terminating(&e.pods[i])
	}
	for _, rev := range s.Revisions {
		m.crowd.wanted += rev.Replicas
	}
}

// servedBy returns the revision's endpoints by route that brings traffic: what
// a preview shows may come and go, and drains nothing. A worker's are itself.
func servedBy(s cluster.State, r cluster.Revision) map[string]int {
	serving := map[string]int{}
	for _, route := range s.Traffic() {
		serving[route.Name] = route.Serving[r.Name]
	}
	if s.Worker() {
		serving[""] = s.ReliedOn(r.Name)
	}
	return serving
}

// known returns the roster of the last look at the app; without one, it looks.
func (c *Cluster) known(ctx context.Context, app string) (*roster, error) {
	c.mu.Lock()
	m := c.apps[app]
	c.mu.Unlock()
	if m == nil {
		if _, err := c.Observe(ctx, app); err != nil {
			return nil, fmt.Errorf("look before the first write: %w", err)
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.apps[app].roster, nil
}
