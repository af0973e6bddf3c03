// Guards with a mistake: what somebody could put between the Runner and its
// cluster, and what a Cluster could get wrong itself.

package strategytest

import (
	"context"
	"errors"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// A door stands between a run and its cluster. Each field takes the place of one
// of its methods; nil: the method itself.
type door struct {
	cluster.Cluster
	look   func(ctx context.Context, c cluster.Cluster) (cluster.State, error)
	put    func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error
	route  func(ctx context.Context, c cluster.Cluster, r cluster.Route) error
	remove func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error
}

func (d door) Observe(ctx context.Context, app string) (cluster.State, error) {
	if d.look != nil {
		return d.look(ctx, d.Cluster)
	}
	return d.Cluster.Observe(ctx, app)
}

func (d door) Put(ctx context.Context, app string, r cluster.Revision) error {
	if d.put != nil {
		return d.put(ctx, d.Cluster, r)
	}
	return d.Cluster.Put(ctx, app, r)
}

func (d door) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	if d.route != nil {
		return d.route(ctx, d.Cluster, r)
	}
	return d.Cluster.SetRoute(ctx, app, r)
}

func (d door) Delete(ctx context.Context, app string, r cluster.Revision) error {
	if d.remove != nil {
		return d.remove(ctx, d.Cluster, r)
	}
	return d.Cluster.Delete(ctx, app, r)
}

// behind is the Runner behind a door, which is hung anew for every run.
func behind(hang func() door) Engine {
	return func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
		d := hang()
		d.Cluster = r.Cluster
		r.Cluster = d
		return r.Run(ctx, app, target, s)
	}
}

// shows is a door through which looks are seen otherwise than they are.
func shows(as func(s *cluster.State)) func() door {
	return func() door {
		return door{look: func(ctx context.Context, c cluster.Cluster) (cluster.State, error) {
			s, err := c.Observe(ctx, app)
			if err == nil {
				s = copied(s)
				as(&s)
			}
			return s, err
		}}
	}
}

// onError is a door that has something of its own to show when a look fails,
// made from the last one that did not.
func onError(when func(error) bool, as func(last cluster.State) cluster.State) func() door {
	return func() door {
		var last cluster.State
		return door{look: func(ctx context.Context, c cluster.Cluster) (cluster.State, error) {
			s, err := c.Observe(ctx, app)
			if err != nil && when(err) && ctx.Err() == nil && !last.At.IsZero() {
				return as(last), nil
			}
			if err == nil {
				last = s
			}
			return s, err
		}}
	}
}

// unknown reports whether an error says nothing about the effect.
func unknown(err error) bool {
	return err != nil && !errors.Is(err, cluster.ErrConflict) && !errors.Is(err, cluster.ErrRefused) && !errors.Is(err, cluster.ErrUnsupported)
}

func wrongGuards() []mutant {
	return []mutant{
		{
			name: "guard-delete-by-name", law: Preconditions, of: ofCleanup,
			mistake: "What is deleted is deleted by its name, whatever uid and version it has.",
			like:    "a namesake that was made a moment ago, gone",
			cleaner: sweep(behind(func() door {
				return door{remove: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					r.UID, r.Version = "", ""
					return c.Delete(ctx, app, r)
				}}
			}), sweeping),
		},
		{
			name: "guard-delete-by-uid-alone", law: Preconditions, of: ofCleanup,
			mistake: "A delete is compared with the uid, and not with the version.",
			like:    "what somebody has just turned on again, gone",
			cleaner: sweep(behind(func() door {
				return door{remove: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					r.Version = ""
					return c.Delete(ctx, app, r)
				}}
			}), sweeping),
		},
		{
			name: "guard-route-by-force", law: Preconditions, of: ofBlueGreen,
			mistake: "A route is written whatever it has become since.",
			like:    "an apply with force, over somebody's rollback",
			engine: behind(func() door {
				return door{route: func(ctx context.Context, c cluster.Cluster, r cluster.Route) error {
					r.Version = ""
					return c.SetRoute(ctx, app, r)
				}}
			}),
		},
		{
			name: "guard-version-read-anew", law: Decision, of: ofRedBlack,
			mistake: "Each write is compared with a version that was read just before it.",
			like:    "get, set the field, update: the compare compares with itself",
			engine: behind(func() door {
				return door{put: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					r, err := anew(ctx, c, r)
					if err != nil {
						return err
					}
					return c.Put(ctx, app, r)
				}}
			}),
		},
		{
			name: "guard-retries-conflicts", law: Decision, of: ofRedBlack,
			mistake: "After a conflict the same is written again over what is there now.",
			like:    "a helper that retries on conflict, around a decision",
			engine: behind(func() door {
				return door{put: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					err := c.Put(ctx, app, r)
					if !errors.Is(err, cluster.ErrConflict) || r.Version == "" {
						return err
					}
					if r, err = anew(ctx, c, r); err != nil {
						return err
					}
					return c.Put(ctx, app, r)
				}}
			}),
		},
		{
			name: "guard-retries-writes", law: Evidence, of: ofRedBlack,
			mistake: "A write of unknown effect is sent once more below the Runner.",
			like:    "a transport that retries whatever it is given",
			engine: behind(func() door {
				return door{put: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					err := c.Put(ctx, app, r)
					if unknown(err) && ctx.Err() == nil {
						err = c.Put(ctx, app, r)
					}
					return err
				}}
			}),
		},
		{
			name: "guard-stale-on-error", law: Evidence, of: ofRedBlack,
			mistake: "While looks fail, the last one that did not is shown.",
			like:    "a cache in front of what must be fresh",
			engine:  behind(onError(unknown, func(last cluster.State) cluster.State { return last })),
		},
		{
			name: "guard-old-looks", law: Evidence, of: ofRedBlack,
			mistake: "A look that is not three seconds old is shown again.",
			like:    "a cache with a time to live, to save calls",
			engine: func(ctx context.Context, r strategy.Runner, app string, target cluster.Target, s strategy.Strategy) (strategy.Done, error) {
				return behind(func() door {
					var last cluster.State
					var at time.Time
					return door{look: func(ctx context.Context, c cluster.Cluster) (cluster.State, error) {
						if !at.IsZero() && r.Clock.Now().Sub(at) < 3*time.Second {
							return last, nil
						}
						s, err := c.Observe(ctx, app)
						if err == nil {
							last, at = s, r.Clock.Now()
						}
						return s, err
					}}
				})(ctx, r, app, target, s)
			},
		},
		{
			name: "guard-half-a-list", law: Evidence, of: ofRedBlack,
			mistake: "A list that was cut short is shown as all there is.",
			like:    "a first page whose continue token nobody has read",
			engine: behind(onError(unknown, func(last cluster.State) cluster.State {
				last.Revisions = last.Revisions[:len(last.Revisions)/2]
				return last
			})),
		},
		{
			name: "guard-forbidden-is-empty", law: Evidence, of: ofRedBlack,
			mistake: "A look that is refused is shown as an app without revisions.",
			like:    "a role without the right to list, and no pod that serves",
			engine: behind(onError(func(err error) bool { return errors.Is(err, cluster.ErrRefused) }, func(last cluster.State) cluster.State {
				last.Revisions = nil
				return last
			})),
		},
		{
			name: "guard-denied-is-nil", law: Convergence, of: ofRedBlack,
			mistake: "A write that was refused is passed on as one that was done.",
			like:    "a client that does not read the status of an answer",
			engine: behind(func() door {
				return door{put: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					if err := c.Put(ctx, app, r); !errors.Is(err, cluster.ErrRefused) {
						return err
					}
					return nil
				}}
			}),
		},
		{
			name: "guard-labels-for-endpoints", law: Decision, of: ofRedBlack,
			mistake: "What serves is told from labels and readiness, and not from endpoints.",
			like:    "traffic that was verified on the object that asks for it",
			engine: behind(shows(func(s *cluster.State) {
				for _, route := range s.Routes {
					for _, r := range s.Revisions {
						route.Serving[r.Name] = 0
						if r.Enabled {
							route.Serving[r.Name] = r.Ready
						}
					}
				}
			})),
		},
		{
			name: "guard-never-moved", law: Drain, of: ofRedBlack, first: "undo",
			mistake: "It does not notice that endpoints have changed: Moved is when it was created.",
			like:    "an observer that keeps no memory, and a drain that has always been long enough",
			engine: behind(shows(func(s *cluster.State) {
				for i := range s.Revisions {
					s.Revisions[i].Moved = s.Revisions[i].Created
				}
			})),
		},
		{
			name: "guard-no-strays", law: Decision, of: ofRedBlack,
			mistake: "Endpoints whose pod belongs to nobody are not counted.",
			like:    "a join by owner that drops what has none",
			engine:  behind(shows(func(s *cluster.State) { s.Strays = 0 })),
		},
		{
			name: "guard-other-apps-too", law: Scope, of: ofCleanup,
			mistake: "What has the number is deleted, of whatever app.",
			like:    "a prune by a label that others have as well",
			cleaner: sweep(behind(func() door {
				return door{remove: func(ctx context.Context, c cluster.Cluster, r cluster.Revision) error {
					return errors.Join(c.Delete(ctx, app, r), c.Delete(ctx, other, r))
				}}
			}), sweeping),
		},
	}
}
