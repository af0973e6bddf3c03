// The ways to break a cluster: decorators around the simulated one.

package clustertest_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

var errLost = errors.New("the answer was lost")

// broken is a cluster of which some methods are replaced.
type broken struct {
	cluster.Cluster
	observe func(ctx context.Context, app string) (cluster.State, error)
	put     func(ctx context.Context, app string, r cluster.Revision) error
	set     func(ctx context.Context, app string, r cluster.Route) error
	remove  func(ctx context.Context, app string, r cluster.Revision) error
}

func (b broken) Observe(ctx context.Context, app string) (cluster.State, error) {
	if b.observe != nil {
		return b.observe(ctx, app)
	}
	return b.Cluster.Observe(ctx, app)
}

func (b broken) Put(ctx context.Context, app string, r cluster.Revision) error {
	if b.put != nil {
		return b.put(ctx, app, r)
	}
	return b.Cluster.Put(ctx, app, r)
}

func (b broken) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	if b.set != nil {
		return b.set(ctx, app, r)
	}
	return b.Cluster.SetRoute(ctx, app, r)
}

func (b broken) Delete(ctx context.Context, app string, r cluster.Revision) error {
	if b.remove != nil {
		return b.remove(ctx, app, r)
	}
	return b.Cluster.Delete(ctx, app, r)
}

// The ways to break one: what is seen, and what is written.

type through = func(*fake.Cluster) cluster.Cluster

// seeing changes every look.
func seeing(edit func(app string, s *cluster.State)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, observe: func(ctx context.Context, app string) (cluster.State, error) {
			s, err := c.Observe(ctx, app)
			edit(app, &s)
			return s, err
		}}
	}
}

// seeingEach changes every revision of every look.
func seeingEach(edit func(r *cluster.Revision)) through {
	return seeing(func(_ string, s *cluster.State) {
		for i := range s.Revisions {
			edit(&s.Revisions[i])
		}
	})
}

// putting changes what is put; was is the revision as it is stored.
func putting(edit func(was cluster.Revision, r *cluster.Revision)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			was, _ := c.State(app).Named(r.Name)
			edit(was, &r)
			return c.Put(ctx, app, r)
		}}
	}
}

// setting changes what a route is set to.
func setting(edit func(was cluster.Route, r *cluster.Route)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, set: func(ctx context.Context, app string, r cluster.Route) error {
			edit(routeOf(c.State(app), r.Name), &r)
			return c.SetRoute(ctx, app, r)
		}}
	}
}

// deleting changes what is deleted.
func deleting(edit func(was cluster.Revision, r *cluster.Revision)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, remove: func(ctx context.Context, app string, r cluster.Revision) error {
			was, _ := c.State(app).Named(r.Name)
			edit(was, &r)
			return c.Delete(ctx, app, r)
		}}
	}
}

func routeOf(s cluster.State, name string) cluster.Route {
	for _, r := range s.Routes {
		if r.Name == name {
			return r
		}
	}
	return cluster.Route{}
}

// cached answers every second look with the one before.
func cached(c *fake.Cluster) cluster.Cluster {
	last := map[string]cluster.State{}
	return broken{Cluster: c, observe: func(ctx context.Context, app string) (cluster.State, error) {
		if s, ok := last[app]; ok {
			delete(last, app)
			return s, ctx.Err()
		}
		s, err := c.Observe(ctx, app)
		last[app] = s
		return s, err
	}}
}

// createsAgain replaces what exists by what is created.
func createsAgain(c *fake.Cluster) cluster.Cluster {
	return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
		if was, ok := c.State(app).Named(r.Name); ok && r.Version == "" {
			if err := c.Delete(ctx, app, was); err != nil {
				return err
			}
		}
		return c.Put(ctx, app, r)
	}}
}

// neverReady is a world in which pods of this template never get ready.
func neverReady(template string) fake.World {
	return fake.World{Ready: func(t []byte) (time.Duration, bool) { return time.Second, string(t) != template }}
}

// remembers hands out the same template at every look.
func remembers(c *fake.Cluster) cluster.Cluster {
	templates := map[string][]byte{}
	return seeingEach(func(r *cluster.Revision) {
		if templates[r.UID] == nil {
			templates[r.UID] = r.Template
		}
		r.Template = templates[r.UID]
	})(c)
}

// keeps shows the very template that a create was given.
func keeps(c *fake.Cluster) cluster.Cluster {
	given := map[string][]byte{}
	return broken{
		Cluster: seeingEach(func(r *cluster.Revision) {
			if t, ok := given[r.Name]; ok {
				r.Template = slices.Clone(t)
			}
		})(c),
		put: func(ctx context.Context, app string, r cluster.Revision) error {
			err := c.Put(ctx, app, r)
			if r.Version == "" && err == nil {
				given[r.Name] = r.Template
			}
			return err
		},
	}
}

// lastPut shows of a revision something of what was put last.
func lastPut(edit func(found *cluster.Revision, put cluster.Revision)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		var mu sync.Mutex
		last := map[string]cluster.Revision{}
		return broken{
			Cluster: c,
			observe: func(ctx context.Context, app string) (cluster.State, error) {
				s, err := c.Observe(ctx, app)
				mu.Lock()
				defer mu.Unlock()
				for i := range s.Revisions {
					if put, ok := last[s.Revisions[i].Name]; ok {
						edit(&s.Revisions[i], put)
					}
				}
				return s, err
			},
			put: func(ctx context.Context, app string, r cluster.Revision) error {
				err := c.Put(ctx, app, r)
				mu.Lock()
				defer mu.Unlock()
				if err == nil && r.Version != "" {
					last[r.Name] = r
				}
				return err
			},
		}
	}
}

// lastSet shows of a route something of what it was set to last.
func lastSet(edit func(found *cluster.Route, set cluster.Route)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		last := map[string]cluster.Route{}
		return broken{
			Cluster: seeing(func(_ string, s *cluster.State) {
				for i := range s.Routes {
					if set, ok := last[s.Routes[i].Name]; ok {
						edit(&s.Routes[i], set)
					}
				}
			})(c),
			set: func(ctx context.Context, app string, r cluster.Route) error {
				err := c.SetRoute(ctx, app, r)
				if err == nil {
					last[r.Name] = r
				}
				return err
			},
		}
	}
}

// countsOldPods never shows fewer pods than it once did.
func countsOldPods() through {
	return func(c *fake.Cluster) cluster.Cluster {
		most := map[string]int{}
		return seeingEach(func(r *cluster.Revision) {
			most[r.UID] = max(most[r.UID], r.Pods)
			r.Pods = most[r.UID]
		})(c)
	}
}

// backwards shows every third look as an hour ago.
func backwards(c *fake.Cluster) cluster.Cluster {
	looks := 0
	return seeing(func(_ string, s *cluster.State) {
		if looks++; looks%3 == 0 {
			s.At = s.At.Add(-time.Hour)
		}
	})(c)
}

// atEveryWrite sets a time whenever a look shows a new version.
func atEveryWrite(set func(r *cluster.Revision, at time.Time)) through {
	return func(c *fake.Cluster) cluster.Cluster {
		type version struct {
			of string
			at time.Time
		}
		last := map[string]version{}
		return seeing(func(_ string, s *cluster.State) {
			for i := range s.Revisions {
				r := &s.Revisions[i]
				if last[r.UID].of != r.Version {
					last[r.UID] = version{r.Version, s.At}
				}
				set(r, last[r.UID].at)
			}
		})(c)
	}
}
