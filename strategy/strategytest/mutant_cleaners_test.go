// Cleaners with a mistake: the right one that misreads or exchanges, and the
// scripts that people write.

package strategytest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// sweep is a cleaner that carries a strategy out; with a nil engine the Runner
// does.
func sweep(e Engine, s strategy.Strategy) Cleaner {
	return func(ctx context.Context, r strategy.Runner, app string) error {
		to := cluster.Target{Release: "(cleanup)"}
		if e == nil {
			_, err := r.Run(ctx, app, to, s)
			return err
		}
		_, err := e(ctx, r, app, to, s)
		return err
	}
}

// keeps is a cleaner that keeps whatever revision it is told to, and takes
// everything else out of traffic, lets it drain, and deletes it.
func keeps(which func(s cluster.State) (cluster.Revision, bool)) strategy.Strategy {
	return strategy.Func(func(in strategy.Input) strategy.Step {
		kept, ok := which(in.State)
		if !ok {
			return strategy.Abort{Kind: strategy.Unfit, Why: "there is none to keep"}
		}
		for _, r := range in.State.Revisions {
			if r.Name == kept.Name {
				continue
			}
			step := strategy.TakeOff(in, r, kept, "it is not "+kept.Name)
			if _, waits := step.(strategy.Wait); waits && in.Held(in.Watched, 10*time.Minute) {
				return strategy.Abort{Kind: strategy.Unsafe, Why: "it does not go out of traffic"}
			}
			if step != nil {
				return step
			}
			if r.Behind || !in.Held(r.Moved, 30*time.Second) {
				return strategy.Wait{Why: r.Name + " drains"}
			}
			return strategy.Delete{Revision: r, Why: "it is not " + kept.Name}
		}
		return strategy.Done{}
	})
}

// newest returns the newest revision of which something is true.
func newest(is func(s cluster.State, r cluster.Revision) bool) func(s cluster.State) (cluster.Revision, bool) {
	return func(s cluster.State) (cluster.Revision, bool) {
		for _, r := range slices.Backward(s.Revisions) {
			if is(s, r) {
				return r, true
			}
		}
		return cluster.Revision{}, false
	}
}

// also is a loop that, after a step has succeeded, takes more of them by the same
// look.
func also(more func(s cluster.State, step strategy.Step) []strategy.Step) Engine {
	return loop{take: func(ctx context.Context, l *lap, step strategy.Step) error {
		if err := l.step(ctx, step); err != nil {
			return err
		}
		for _, other := range more(l.state, step) {
			if err := l.step(ctx, other); err != nil {
				return err
			}
		}
		return nil
	}}.run
}

// goes lists what may go by a look.
func goes(s cluster.State) []cluster.Revision {
	var may []cluster.Revision
	for _, d := range cleanup.Decide(s, sweeping.Policy) {
		if d.Verb != cleanup.Keep {
			may = append(may, d.Revision)
		}
	}
	return may
}

func wrongCleaners() []mutant {
	return []mutant{
		{
			name: "cleaner-newer-in-flight", law: Sequence, of: ofCareful,
			mistake: "What is newer than what serves is deleted though nobody has said that its run failed.",
			like:    "a nightly cleanup that deletes a release while it boots",
			cleaner: sweep(nil, sweeping),
		},
		{
			name: "cleaner-first-of-the-list", law: Convergence, of: bareCleanup,
			mistake: "The first revision that serves is kept: the list was taken to begin with the newest.",
			like:    "a sort the other way round",
			cleaner: sweep(loop{}.run, keeps(func(s cluster.State) (cluster.Revision, bool) {
				for _, r := range s.Revisions {
					if r.Enabled && r.Unsettled == 0 && s.ReliedOn(r.Name) >= max(1, r.Replicas) {
						return r, true
					}
				}
				return cluster.Revision{}, false
			})),
		},
		{
			name: "cleaner-any-traffic", law: Floor, of: bareCleanup,
			mistake: "The newest revision with any traffic at all is kept.",
			like:    "the rule of the script that most have: the newest with traffic",
			cleaner: sweep(loop{}.run, keeps(newest(func(s cluster.State, r cluster.Revision) bool { return s.HasTraffic(r.Name) }))),
		},
		{
			name: "cleaner-newest", law: Floor, of: bareCleanup,
			mistake: "The newest revision is kept, whether it serves or not.",
			like:    "old is whatever has another name than the newest",
			cleaner: sweep(loop{}.run, keeps(newest(func(cluster.State, cluster.Revision) bool { return true }))),
		},
		{
			name: "cleaner-newest-ready", law: Floor, of: bareCleanup,
			mistake: "The newest revision whose pods are ready is kept, though it is dark.",
			like:    "healthy is taken for live",
			cleaner: sweep(loop{}.run, keeps(newest(func(_ cluster.State, r cluster.Revision) bool { return r.Ready >= max(1, r.Replicas) }))),
		},
		{
			name: "cleaner-newest-enabled", law: BlackHole, of: overRoutes,
			mistake: "The newest revision that is labelled for traffic is kept, though no pod of it is ready.",
			like:    "the label is read, and no endpoint",
			cleaner: sweep(loop{}.run, keeps(newest(func(_ cluster.State, r cluster.Revision) bool { return r.Enabled }))),
		},
		{
			name: "cleaner-no-second-look", law: Evidence, of: bareCleanup,
			mistake: "All that may go by the one look is deleted, one after the other.",
			like:    "a list, and a loop over it",
			cleaner: sweep(also(func(s cluster.State, step strategy.Step) []strategy.Step {
				var more []strategy.Step
				if first, ok := step.(strategy.Delete); ok {
					for _, r := range goes(s) {
						if s.Dark(r) && r.Name != first.Revision.Name {
							more = append(more, strategy.Delete{Revision: r})
						}
					}
				}
				return more
			}), sweeping),
		},
		{
			name: "cleaner-traffic-and-all", law: Order, of: bareCleanup,
			mistake: "What is not kept is deleted while it has traffic.",
			like:    "delete the rest",
			cleaner: sweep(loop{}.run, puts(sweeping, func(_ strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if found.Enabled && !put.Revision.Enabled {
					return strategy.Delete{Revision: found, Why: put.Why}
				}
				return put
			})),
		},
		{
			name: "cleaner-scales-to-nothing", law: Order, of: bareCleanup,
			mistake: "What is not kept loses its replicas first, and then its traffic.",
			like:    "a cleanup that scales down to be on the safe side",
			cleaner: sweep(loop{}.run, puts(sweeping, func(_ strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if found.Enabled && !put.Revision.Enabled {
					put.Revision.Replicas, put.Revision.Enabled = 0, found.Enabled
				}
				return put
			})),
		},
		{
			name: "cleaner-disable-and-delete", law: Evidence, of: bareCleanup,
			mistake: "What was told to leave traffic is deleted without proof that it has.",
			like:    "disable and delete, in one stage",
			cleaner: sweep(also(func(_ cluster.State, step strategy.Step) []strategy.Step {
				if put, ok := step.(strategy.Put); ok && !put.Revision.Enabled {
					return []strategy.Step{strategy.Delete{Revision: put.Revision}}
				}
				return nil
			}), sweeping),
		},
		{
			name: "cleaner-dark-by-label", law: Order, of: bareCleanup,
			mistake: "What is not labelled for traffic counts as dark, whatever endpoints there still are.",
			like:    "a wait for the label, in place of the endpoints",
			cleaner: sweep(loop{}.run, misread(sweeping, func(in *strategy.Input) {
				for i, r := range in.State.Revisions {
					if !r.Enabled {
						in.State.Revisions[i].Behind = false
						for _, route := range in.State.Routes {
							delete(route.Serving, r.Name)
						}
					}
				}
			})),
		},
		{
			name: "cleaner-no-drain", law: Drain, of: bareCleanup,
			mistake: "What is out of the endpoints is deleted at once.",
			like:    "requests that are cut off by a cleanup",
			cleaner: sweep(loop{}.run, cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true, Drain: -1}}),
		},
		{
			name: "cleaner-no-drain-routes", law: Drain, of: overRoutes,
			mistake: "The same, where routes choose by name.",
			like:    "a selector that is followed by the endpoints, and then by the proxies",
			cleaner: sweep(loop{}.run, cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true, Drain: -1}}),
		},
		{
			name: "cleaner-first-versions", law: Preconditions, of: bareCleanup,
			mistake: "It deletes what it has seen at first, with the version of that time.",
			like:    "a list that is taken along through the whole run",
			cleaner: func(ctx context.Context, r strategy.Runner, app string) error {
				seen := map[string]cluster.Revision{}
				first := exchange(sweeping, func(in strategy.Input, step strategy.Step) strategy.Step {
					for _, r := range in.State.Revisions {
						if _, ok := seen[r.UID]; !ok {
							seen[r.UID] = r
						}
					}
					if d, ok := step.(strategy.Delete); ok {
						d.Revision = seen[d.Revision.UID]
						return d
					}
					return step
				})
				return sweep(loop{}.run, first)(ctx, r, app)
			},
		},
		{
			name: "cleaner-errors-are-no-traffic", law: Evidence, of: bareCleanup,
			mistake: "A look that fails means that nothing has traffic.",
			like:    "a count of pods that is zero because they may not be listed",
			cleaner: sweep(loop{look: func(ctx context.Context, c cluster.Cluster, last cluster.State) (cluster.State, error) {
				s, err := c.Observe(ctx, app)
				if err == nil || ctx.Err() != nil || last.At.IsZero() {
					return s, err
				}
				s = copied(last)
				for _, r := range goes(last) {
					for i, other := range s.Revisions {
						if other.Name == r.Name {
							s.Revisions[i].Enabled, s.Revisions[i].Unsettled, s.Revisions[i].Behind = false, 0, false
						}
					}
					delete(s.Routes[0].Serving, r.Name)
				}
				return s, nil
			}}.run, cleanup.Strategy{Policy: cleanup.Policy{RunFailed: true, Drain: -1}}),
		},
		{
			name: "cleaner-errors-are-nil", law: Minimal, of: ofCleanup,
			mistake: "It returns nil whatever happens, so that the pipeline goes on.",
			like:    "or true, at the end of the line",
			cleaner: func(ctx context.Context, r strategy.Runner, app string) error {
				_ = sweep(nil, sweeping)(ctx, r, app)
				return nil
			},
		},
		{
			name: "cleaner-refused-for-ever", law: Termination, of: bareCleanup,
			mistake: "What is refused is tried again, for ever.",
			like:    "a job that runs until its node is replaced",
			cleaner: sweep(loop{never: true}.run, sweeping),
		},
		{
			name: "cleaner-autoscaler-forgotten", law: Order, of: ofScaledCleanup,
			mistake: "What an autoscaler names is deleted like anything else.",
			like:    "an autoscaler that has done nothing for months, and nobody has noticed",
			cleaner: sweep(nil, misread(sweeping, unscaled)),
		},
		{
			name: "cleaner-pin-forgotten", law: Convergence, of: ofPinned,
			mistake: "What a dead run has left is deleted, and the pin that it had put on stays.",
			like:    "a Service that empties months later, when somebody changes a template",
			cleaner: sweep(nil, misread(sweeping, func(in *strategy.Input) {
				for i := range in.State.Routes {
					in.State.Routes[i].Pinned = false
				}
			})),
		},
		{
			name: "cleaner-by-prefix", law: Scope, of: ofCleanup,
			mistake: "It goes through all apps whose names it can list.",
			like:    "a script that was meant for one app, and had the rights for all",
			cleaner: func(ctx context.Context, r strategy.Runner, _ string) error {
				err := sweep(nil, sweeping)(ctx, r, app)
				s, looked := r.Cluster.Observe(ctx, other)
				for _, found := range s.Revisions {
					if strings.HasPrefix(found.Name, other) {
						looked = r.Cluster.Delete(ctx, other, found)
					}
				}
				return errors.Join(err, looked)
			},
		},
	}
}
