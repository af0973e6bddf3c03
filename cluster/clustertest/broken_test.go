// Broken clusters, each of which breaks the law named beside it: what the suite
// is worth is how many of them it catches.

package clustertest_test

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/clustertest"
	"github.com/cutover-dev/cutover/fake"
)

// One table for all: the law, and a cluster that breaks it.
var mutants = []struct {
	name  string
	law   string
	world fake.World
	as    through
}{
	{"shows a revision of nobody", "an app that was never deployed is empty and no error", fake.World{}, seeing(func(app string, s *cluster.State) {
		if len(s.Revisions) == 0 {
			s.Revisions = []cluster.Revision{{Name: app, UID: "1", Version: "1"}}
		}
	})},
	{"has no app it does not know", "an app that was never deployed is empty and no error", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, observe: func(ctx context.Context, app string) (cluster.State, error) {
			s, err := c.Observe(ctx, app)
			if len(s.Revisions) == 0 {
				err = errors.New("not found")
			}
			return s, err
		}}
	}},
	{"says too much", "a state says what the cluster can do", fake.World{}, seeing(func(_ string, s *cluster.State) { s.Can.Weigh = true })},
	{"shows no routes", "a state says what the cluster can do", fake.World{}, seeing(func(_ string, s *cluster.State) { s.Routes = nil })},
	{"loses the fence of a create", "a created revision is found as it was put", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if r.Version == "" {
			r.Fence = ""
		}
	})},
	{"shows no uid", "a created revision is found as it was put", fake.World{}, seeingEach(func(r *cluster.Revision) { r.UID = "" })},
	{"forgets arms", "a created revision is found as it was put", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Arm = "" })},
	{"reads from a cache", "the next look sees every write that was answered", fake.World{}, cached},
	{"creates what exists", "a name is created once", fake.World{}, createsAgain},
	{"takes every create for its own", "of creates that race one wins", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			if err := c.Put(ctx, app, r); r.Version != "" || !errors.Is(err, cluster.ErrConflict) {
				return err
			}
			return nil
		}}
	}},
	{"shows templates that make no pods", "a found template makes pods under a new name", neverReady("shown"), seeingEach(func(r *cluster.Revision) { r.Template = []byte("shown") })},
	{"sorts by name", "revisions come by rising sequence, arms after their release", fake.World{}, seeing(func(_ string, s *cluster.State) {
		slices.SortFunc(s.Revisions, func(x, y cluster.Revision) int { return strings.Compare(x.Name, y.Name) })
	})},
	{"shows arms first", "revisions come by rising sequence, arms after their release", fake.World{}, seeing(func(_ string, s *cluster.State) {
		slices.SortStableFunc(s.Revisions, func(x, y cluster.Revision) int { return strings.Compare(y.Arm, x.Arm) })
	})},
	{"takes a prefix for the app", "an app shows nothing of another", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, observe: func(ctx context.Context, app string) (cluster.State, error) {
			s, err := c.Observe(ctx, app)
			if app == "web" {
				s.Revisions = append(s.Revisions, c.State("web-api").Revisions...)
			}
			return s, err
		}}
	}},
	{"hands out its own memory", "a look is a value", fake.World{}, remembers},
	{"keeps what it is given", "nothing that was given is kept or changed", fake.World{}, keeps},
	{"changes what it is given", "nothing that was given is kept or changed", fake.World{}, putting(func(_ cluster.Revision, r *cluster.Revision) {
		sent := slices.Clone(r.Template)
		clear(r.Template)
		r.Template = sent
	})},
	{"puts without its context", "a canceled context is an error and changes nothing", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			if err := c.Put(context.WithoutCancel(ctx), app, r); err != nil {
				return err
			}
			return ctx.Err()
		}}
	}},
	{"looks without its context", "a canceled context is an error and changes nothing", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, observe: func(_ context.Context, app string) (cluster.State, error) {
			return c.Observe(context.Background(), app)
		}}
	}},

	{"puts whatever the version", "a put with a stale version is a conflict and changes nothing", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if r.Version != "" && was.UID == r.UID {
			r.Version = was.Version
		}
	})},
	{"writes a stale note", "a put with a stale version is a conflict and changes nothing", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			err := c.Put(ctx, app, r)
			if was, ok := c.State(app).Named(r.Name); ok && r.Version != "" && err != nil {
				was.Note = r.Note
				_ = c.Put(ctx, app, was)
			}
			return err
		}}
	}},
	{"puts whatever the uid", "a put to another object of the name is a conflict", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) { r.UID = was.UID })},
	{"creates what is gone", "a put to what is gone is a conflict", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if was.Name == "" {
			r.Version = ""
		}
	})},
	{"lets every racer win", "of puts that race at most one wins", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if strings.HasPrefix(r.Note, "racer") {
			r.Version = was.Version
		}
	})},
	{"writes always", "a put that changes nothing writes nothing", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			if was, ok := c.State(app).Named(r.Name); ok && was.Version == r.Version && was.Note == r.Note && was.Replicas == r.Replicas {
				r.Note += "."
			}
			return c.Put(ctx, app, r)
		}}
	}},
	{"lets the release be put", "what is fixed at creation stays", fake.World{}, lastPut(func(found *cluster.Revision, put cluster.Revision) { found.Release = put.Release })},
	{"lets the template be put", "what is fixed at creation stays", fake.World{}, lastPut(func(found *cluster.Revision, put cluster.Revision) { found.Template = put.Template })},
	{"empties the note", "an empty note or fence leaves the stored one", fake.World{}, lastPut(func(found *cluster.Revision, put cluster.Revision) { found.Note = put.Note })},
	{"empties the fence", "an empty note or fence leaves the stored one", fake.World{}, lastPut(func(found *cluster.Revision, put cluster.Revision) { found.Fence = put.Fence })},
	{"takes less than none for none", "negative replicas are refused before anything is written", fake.World{}, putting(func(_ cluster.Revision, r *cluster.Revision) { r.Replicas = max(0, r.Replicas) })},
	{"refuses after it wrote", "negative replicas are refused before anything is written", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			if n := r.Replicas; n < 0 {
				r.Replicas = 1
				_ = c.Put(ctx, app, r)
				r.Replicas = n
			}
			return c.Put(ctx, app, r)
		}}
	}},
	{"never goes to none", "replicas are followed", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if was.Name != "" && was.Replicas > 0 && r.Replicas >= 0 {
			r.Replicas = max(1, r.Replicas)
		}
	})},
	{"counts old pods", "replicas are followed", fake.World{}, countsOldPods()},
	{"cuts the why", "an outcome is stored with its why", fake.World{}, putting(func(_ cluster.Revision, r *cluster.Revision) {
		r.Outcome.Why = r.Outcome.Why[:min(len(r.Outcome.Why), 1024)]
	})},
	{"knows no failure", "an outcome is stored with its why", fake.World{}, putting(func(_ cluster.Revision, r *cluster.Revision) {
		r.Outcome.Result = min(r.Outcome.Result, cluster.Good)
	})},
	{"trims notes", "a note comes back letter by letter", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Note = strings.TrimSpace(r.Note) })},

	{"disables nothing", "enabled pods serve and disabled ones stop", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) { r.Enabled = true })},
	{"enables one by disabling others", "enabled pods serve and disabled ones stop", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			for _, other := range c.State(app).Revisions {
				if other.Name != r.Name && r.Enabled && other.Enabled {
					other.Enabled = false
					_ = c.Put(ctx, app, other)
				}
			}
			return c.Put(ctx, app, r)
		}}
	}},
	{"never settles", "nothing is left to do when no pod is unsettled and none is to be born so", fake.World{}, seeing(func(_ string, s *cluster.State) {
		for i := range s.Revisions {
			if !s.Revisions[i].Enabled {
				s.Revisions[i].Unsettled++
			}
		}
	})},
	{"calls itself settled too soon", "nothing is left to do when no pod is unsettled and none is to be born so", fake.World{Batch: 1}, seeingEach(func(r *cluster.Revision) { r.Unsettled = 0 })},
	{"is never behind", "nothing is left to do when no pod is unsettled and none is to be born so", fake.World{Lag: 5 * time.Second}, seeingEach(func(r *cluster.Revision) { r.Behind = false })},
	{"is always behind", "nothing is left to do when no pod is unsettled and none is to be born so", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Behind = r.Behind || !r.Enabled })},
	{"knows one fence", "a fence reaches the object and every pod", fake.World{}, putting(func(was cluster.Revision, r *cluster.Revision) {
		if was.Name != "" {
			r.Fence = ""
		}
	})},
	{"fences beside the version", "a write from before a fence is a conflict", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, put: func(ctx context.Context, app string, r cluster.Revision) error {
			if was, ok := c.State(app).Named(r.Name); ok && was.UID == r.UID && was.Fence != r.Fence {
				r.Version = was.Version
			}
			return c.Put(ctx, app, r)
		}}
	}},
	{"fences routes beside the version", "a write from before a fence is a conflict", fake.World{}, setting(func(was cluster.Route, r *cluster.Route) {
		if was.Fence != r.Fence {
			r.Version = was.Version
		}
	})},
	{"moves at every look", "moved is the look at which serving was last seen to change", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, observe: func(ctx context.Context, app string) (cluster.State, error) {
			c.Forget()
			return c.Observe(ctx, app)
		}}
	}},
	{"never moves", "moved is the look at which serving was last seen to change", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Moved = r.Created })},

	{"takes every name for a route", "an unknown route is refused", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, set: func(ctx context.Context, app string, r cluster.Route) error {
			if routeOf(c.State(app), r.Name).Name == "" {
				return nil
			}
			return c.SetRoute(ctx, app, r)
		}}
	}},
	{"sets whatever the version", "a route write with a stale version is a conflict and changes nothing", fake.World{}, setting(func(was cluster.Route, r *cluster.Route) { r.Version = was.Version })},
	{"loses from", "what a route carries comes back", fake.World{}, setting(func(_ cluster.Route, r *cluster.Route) { r.From = "" })},
	{"rounds weights", "what a route carries comes back", fake.World{Can: cluster.Can{Weigh: true}}, setting(func(_ cluster.Route, r *cluster.Route) {
		r.Weights = maps.Clone(r.Weights)
		for name, weight := range r.Weights {
			r.Weights[name] = weight / 50 * 50
		}
	})},
	{"empties from", "an empty note, fence or from leaves the route's stored one", fake.World{}, lastSet(func(found *cluster.Route, set cluster.Route) { found.From = set.From })},
	{"ignores weights", "weights are unsupported where routes take none", fake.World{}, setting(func(_ cluster.Route, r *cluster.Route) { r.Weights = nil })},
	{"never lets go", "revisions that a route names serve and others stop", fake.World{Can: cluster.Can{Select: true}}, setting(func(was cluster.Route, r *cluster.Route) {
		r.Weights = maps.Clone(r.Weights)
		maps.Copy(r.Weights, was.Weights)
	})},
	{"sees none enabled", "revisions that a route names serve and others stop", fake.World{Can: cluster.Can{Select: true}}, seeingEach(func(r *cluster.Revision) { r.Enabled = false })},

	{"deletes by name", "a delete needs a uid and a version", fake.World{}, deleting(func(was cluster.Revision, r *cluster.Revision) {
		if r.UID == "" || r.Version == "" {
			r.UID, r.Version = was.UID, was.Version
		}
	})},
	{"deletes whatever the version", "a delete with a stale version is a conflict and the revision stays", fake.World{}, deleting(func(was cluster.Revision, r *cluster.Revision) {
		if r.Version != "" && r.UID == was.UID {
			r.Version = was.Version
		}
	})},
	{"misses what is gone", "deleting what is gone is no error", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, remove: func(ctx context.Context, app string, r cluster.Revision) error {
			if _, ok := c.State(app).Named(r.Name); !ok {
				return errors.New("not found")
			}
			return c.Delete(ctx, app, r)
		}}
	}},
	{"names by name", "a deleted name can be created again as another object", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		shown := seeingEach(func(r *cluster.Revision) { r.UID = "uid-of-" + r.Name })(c)
		real := func(app string, r cluster.Revision) cluster.Revision {
			if was, ok := c.State(app).Named(r.Name); ok && r.UID == "uid-of-"+r.Name {
				r.UID = was.UID
			}
			return r
		}
		return broken{Cluster: shown, put: func(ctx context.Context, app string, r cluster.Revision) error {
			return c.Put(ctx, app, real(app, r))
		}, remove: func(ctx context.Context, app string, r cluster.Revision) error {
			return c.Delete(ctx, app, real(app, r))
		}}
	}},
	{"deletes whatever the uid", "a delete does not take the next object of the name", fake.World{}, deleting(func(was cluster.Revision, r *cluster.Revision) {
		if r.UID != "" && r.UID != was.UID {
			r.UID, r.Version = was.UID, was.Version
		}
	})},
	{"orphans pods", "a delete takes the pods along", fake.World{}, func(c *fake.Cluster) cluster.Cluster {
		return broken{Cluster: c, remove: func(ctx context.Context, app string, r cluster.Revision) error {
			ready := c.State(app).ReliedOn(r.Name)
			err := c.Delete(ctx, app, r)
			if err == nil {
				c.SetStrays(app, ready)
			}
			return err
		}}
	}},

	{"goes back in time", "the clock of a look never goes back", fake.World{}, backwards},
	{"stands still", "the clock of a look never goes back", fake.World{}, seeing(func(_ string, s *cluster.State) { s.At = time.Unix(0, 0) })},
	{"writes by a clock that is ahead", "no time of an object is after the look", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Raised = r.Raised.Add(time.Minute) })},
	{"raises at every write", "raised moves when replicas rise and not else", fake.World{}, atEveryWrite(func(r *cluster.Revision, at time.Time) { r.Raised = at })},
	{"never raises again", "raised moves when replicas rise and not else", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Raised = r.Created })},
	{"knows no since", "since moves when enabled or outcome change and not else", fake.World{}, seeingEach(func(r *cluster.Revision) { r.Since = r.Created })},
	{"is since the last write", "since moves when enabled or outcome change and not else", fake.World{}, atEveryWrite(func(r *cluster.Revision, at time.Time) { r.Since = at })},
	{"knows no since of a route", "a route's since moves when weights change and not else", fake.World{Can: cluster.Can{Weigh: true}}, seeing(func(_ string, s *cluster.State) {
		for i := range s.Routes {
			s.Routes[i].Since = time.Time{}
		}
	})},
}

func TestEveryBrokenClusterIsCaughtByItsLaw(t *testing.T) {
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			err := clustertest.Check(context.Background(), func() (clustertest.World, error) {
				return world(m.world, m.as), nil
			}, canOf(m.world))
			var caught []string
			for _, b := range breaches(t, err) {
				caught = append(caught, b.Law)
			}
			require.Contains(t, caught, m.law, "%v", err)
		})
	}
}

func TestEveryLawCatchesABrokenCluster(t *testing.T) {
	var caught []string
	for _, m := range mutants {
		caught = append(caught, m.law)
	}
	for _, law := range clustertest.Laws() {
		require.Contains(t, caught, law)
	}
	require.Subset(t, clustertest.Laws(), caught)
}

// breaches takes apart what Check returned.
func breaches(t *testing.T, err error) []*clustertest.Breach {
	t.Helper()
	joined, ok := err.(interface{ Unwrap() []error })
	require.True(t, ok, "no law was broken")
	var all []*clustertest.Breach
	for _, err := range joined.Unwrap() {
		var b *clustertest.Breach
		require.True(t, asBreach(err, &b), "%v", err)
		all = append(all, b)
	}
	return all
}

func asBreach(err error, b **clustertest.Breach) bool { return errors.As(err, b) }
