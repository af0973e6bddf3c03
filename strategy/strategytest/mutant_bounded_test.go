// Strategies with a mistake that keep, or should, within bounds of their own:
// rolling, recreate and canary, and red-black in stages.

package strategytest

import (
	"slices"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

var (
	three  = Options{Replicas: 3}
	threeS = Options{Replicas: 3, World: fake.World{Can: cluster.Can{Select: true}}}

	rolling  = strategy.Rolling{Between: Gate("between"), After: Gate("after")}
	recreate = strategy.Recreate{Before: Gate("before"), After: Gate("after")}
	canary   = strategy.Canary{Stages: []strategy.Stage{{Percent: 20}, {Percent: 50, Hold: 10 * time.Second, Gate: Gate("stage")}},
		Baseline: true, Drain: 15 * time.Second}
	oneStage = strategy.Canary{Stages: []strategy.Stage{{Percent: 20, Gate: Gate("stage")}}}
	inStages = strategy.RedBlack{Stages: []strategy.Stage{{Percent: 30}, {Percent: 60, Gate: Gate("stage")}}, Drain: 15 * time.Second, Highlander: true}

	ofRolling    = twin{name: "Rolling", strategy: rolling, options: three}
	bareRolling  = twin{name: "Rolling, bare loop", strategy: rolling, options: with(three, loop{}.run)}
	routeRolling = twin{name: "Rolling of routes, bare loop", strategy: rolling, options: with(threeS, loop{}.run)}
	ofRecreate   = twin{name: "Recreate", strategy: recreate, options: three}
	bareRecreate = twin{name: "Recreate, bare loop", strategy: recreate, options: with(three, loop{}.run)}
	ofCanary     = twin{name: "Canary", strategy: canary, options: three}
	bareCanary   = twin{name: "Canary, bare loop", strategy: canary, options: with(three, loop{}.run)}
	ofOneStage   = twin{name: "Canary of one stage", strategy: oneStage, options: labels}
	bareStages   = twin{name: "RedBlack in stages, bare loop", strategy: inStages, options: with(three, loop{}.run)}
	ofStages     = twin{name: "RedBlack in stages", strategy: inStages, options: three}
)

// bounded is a strategy that is held to the bounds of another one, whatever it
// does.
type bounded struct {
	strategy.Strategy
	strategy.Bounder
}

// sizeForgotten is a strategy that does not note how many replicas a revision had
// from which it takes some.
func sizeForgotten(s strategy.Strategy) strategy.Strategy {
	return puts(s, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
		mine, _ := in.Mine()
		if found.Name != mine.Name && put.Revision.Replicas < found.Replicas {
			put.Revision.Note = found.Note
		}
		return put
	})
}

// failed returns the run's own revision once it was given up, and the newest good
// one below.
func failed(in strategy.Input) (bad, back cluster.Revision, ok bool) {
	bad, _ = in.Mine()
	back, ok = in.State.NewestGood(bad)
	return bad, back, ok && bad.Outcome.Result == cluster.Failed
}

// armless takes arms out of a State.
func armless(s *cluster.State) {
	s.Revisions = slices.DeleteFunc(s.Revisions, func(r cluster.Revision) bool { return r.Arm != "" })
}

func wrongBounded() []mutant {
	return slices.Concat(wrongRolling(), wrongRecreate(), wrongCanary(), wrongStages())
}

func wrongRolling() []mutant {
	as := func(s strategy.Strategy) strategy.Strategy { return bounded{s, rolling} }
	return []mutant{
		{
			name: "rolling-unavailable-rounded-up", law: Floor, of: bareRolling,
			mistake:  "A quarter of three that may be missing is one, and not none.",
			like:     "a percentage that is rounded the same way for both bounds",
			strategy: as(strategy.Rolling{Unavailable: "1", Between: Gate("between"), After: Gate("after")}),
		},
		{
			name: "rolling-all-at-once", law: Ceiling, of: bareRolling,
			mistake: "The new revision is created with all its replicas, and only the old one goes bit by bit.",
			like:    "a surge that bounds each step and not the sum",
			strategy: as(puts(rolling, func(in strategy.Input, put strategy.Put, _ cluster.Revision) strategy.Step {
				if put.Revision.Version == "" {
					put.Revision.Replicas = max(put.Revision.Replicas, in.State.Serving())
				}
				return put
			})),
		},
		{
			name: "rolling-before-it-serves", law: Floor, of: bareRolling, first: "upgrade",
			mistake: "Pods that are ready count as endpoints that serve.",
			like:    "a rolling update that goes on at readiness, and endpoints that follow later",
			strategy: as(misread(rolling, func(in *strategy.Input) {
				for _, route := range in.State.Routes {
					for _, r := range in.State.Revisions {
						if r.Enabled {
							route.Serving[r.Name] = r.Ready
						}
					}
				}
			})),
		},
		{
			name: "rolling-back-at-once", law: BlackHole, of: bareRolling,
			mistake: "What is given up loses all its replicas at once, and then the old one grows.",
			like:    "a rollback that deletes the bad version first",
			strategy: as(exchange(rolling, func(in strategy.Input, step strategy.Step) strategy.Step {
				if bad, _, ok := failed(in); ok && bad.Replicas > 0 {
					bad.Replicas = 0
					return strategy.Put{Revision: bad, Why: "it was given up"}
				}
				return step
			})),
		},
		{
			name: "rolling-size-forgotten", law: Convergence, of: bareRolling,
			mistake:  "Nobody notes how many replicas the old one had, so the way back leads to as many as are left.",
			like:     "a rollback to the size that the rollout had shrunk it to",
			strategy: as(sizeForgotten(rolling)),
		},
		{
			name: "rolling-way-back-first", law: Convergence, of: ofRolling, first: "over-half-on",
			mistake: "Replicas go first from the newest good revision, and last from what was given up.",
			like:    "old sets that are scaled down in the order of their age",
			strategy: as(puts(rolling, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				mine, _ := in.Mine()
				way, ok := in.State.NewestGood(mine)
				fewer := found.Replicas - put.Revision.Replicas
				if !ok || found.Outcome.Result != cluster.Failed || found.Name == mine.Name || fewer <= 0 || way.Replicas < fewer {
					return put
				}
				way.Replicas -= fewer
				return strategy.Put{Revision: way, Why: put.Why}
			})),
		},
		{
			name: "rolling-route-to-the-new-alone", law: Floor, of: routeRolling,
			mistake: "With its first batch the new revision gets the whole route.",
			like:    "a selector that is switched in an update that was to be pod by pod",
			strategy: as(exchange(rolling, func(in strategy.Input, step strategy.Step) strategy.Step {
				mine, _ := in.Mine()
				if to, ok := step.(strategy.SetRoute); ok && to.Route.Weights[mine.Name] > 0 {
					to.Route.Weights = map[string]int{mine.Name: 100}
					return to
				}
				return step
			})),
		},
	}
}

func wrongRecreate() []mutant {
	as := func(s strategy.Strategy) strategy.Strategy { return bounded{s, recreate} }
	return []mutant{
		{
			name: "recreate-terminating-is-gone", law: Apart, of: bareRecreate,
			mistake: "A pod that was told to go counts as gone.",
			like:    "two versions on one volume for as long as the grace period lasts",
			strategy: as(everyone(recreate, func(r *cluster.Revision) {
				r.Pods, r.Leaving = r.Pods-r.Leaving, 0
			})),
		},
		{
			name: "recreate-created-whole", law: Apart, of: bareRecreate,
			mistake: "The new revision is created with its replicas, and then the old one goes.",
			like:    "a create that says how many, as every other strategy's does",
			strategy: as(puts(recreate, func(in strategy.Input, put strategy.Put, _ cluster.Revision) strategy.Step {
				if put.Revision.Version == "" {
					put.Revision.Replicas = max(1, in.State.Serving())
				}
				return put
			})),
		},
		{
			name: "recreate-back-at-once", law: Apart, of: bareRecreate,
			mistake: "On the way back what served before gets its replicas while the bad one still runs.",
			like:    "a rollback that is in a hurry, and forgets why it was a recreate",
			strategy: as(exchange(recreate, func(in strategy.Input, step strategy.Step) strategy.Step {
				if bad, back, ok := failed(in); ok && back.Replicas == 0 {
					back.Replicas = max(1, strategy.Size(bad))
					return strategy.Put{Revision: back, Why: "traffic goes back to it"}
				}
				return step
			})),
		},
		{
			name: "recreate-size-forgotten", law: Convergence, of: ofRecreate,
			mistake:  "Nobody notes how many replicas the old one had, so it comes back as large as the new one was to be.",
			like:     "a rollback of a release that had also changed the size",
			strategy: as(sizeForgotten(recreate)),
		},
	}
}

func wrongCanary() []mutant {
	as := func(s strategy.Strategy) strategy.Strategy { return bounded{s, canary} }
	return []mutant{
		{
			name: "canary-compared-with-itself", law: Decision, of: ofCanary,
			mistake: "The baseline is made from the new template.",
			like:    "an analysis that never fails, for both of its sides are the same",
			strategy: as(puts(canary, func(in strategy.Input, put strategy.Put, _ cluster.Revision) strategy.Step {
				if put.Revision.Arm != "" && put.Revision.Version == "" {
					put.Revision.Template = in.Target.Template
				}
				return put
			})),
		},
		{
			name: "canary-baseline-stays", law: Ceiling, of: bareCanary,
			mistake: "When the stages are passed nobody thinks of the baseline any more.",
			like:    "pods of an old version that serve for months",
			strategy: as(misread(canary, func(in *strategy.Input) {
				if mine, ok := in.Mine(); ok && strings.Contains(mine.Note, "stage passed") {
					armless(&in.State)
				}
			})),
		},
		{
			name: "canary-failed-baseline-stays", law: Convergence, of: ofCanary,
			mistake: "What fails is given up, and its baseline is left in traffic.",
			like:    "a cleanup that is the last step of the way that goes well",
			strategy: as(misread(canary, func(in *strategy.Input) {
				if mine, ok := in.Mine(); ok && mine.Outcome.Result == cluster.Failed {
					armless(&in.State)
				}
			})),
		},
		{
			name: "canary-stage-not-stored", law: Convergence, of: ofCanary,
			mistake: "The replicas of the next stage are written, and not that it is the next.",
			like:    "a step index that is to be read from the size",
			strategy: as(puts(canary, func(_ strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if strings.Contains(put.Why, "it has passed stage") {
					put.Revision.Note = found.Note
				}
				return put
			})),
		},
		{
			name: "canary-no-data-passes", law: Convergence, of: ofOneStage, first: "gate-stage-fails",
			mistake: "A stage whose gate has no data is passed when it has been held.",
			like:    "an analysis of five requests",
			strategy: bounded{misread(oneStage, func(in *strategy.Input) {
				if strings.HasPrefix(in.Checked.Name, "at stage") && in.Checked.Verdict != health.Fail {
					in.Checked.Verdict = health.Pass
				}
			}), oneStage},
		},
		{
			name: "canary-cut-with-its-traffic", law: Order, of: ofCanary, first: "gate-stage-fails",
			mistake: "A canary that fails loses its pods in the write that takes its traffic.",
			like:    "an abort that scales the canary to nothing",
			strategy: as(puts(canary, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if bad, _, ok := failed(in); ok && found.Name == bad.Name && found.Enabled && !put.Revision.Enabled {
					put.Revision.Replicas = 0
				}
				return put
			})),
		},
	}
}

func wrongStages() []mutant {
	return []mutant{
		{
			name: "stages-old-side-goes-first", law: Floor, of: bareStages,
			mistake: "The old side goes when the first stage has passed.",
			like:    "a traffic split of replicas that were never raised",
			strategy: puts(inStages, func(in strategy.Input, put strategy.Put, _ cluster.Revision) strategy.Step {
				if !strings.Contains(put.Why, "it has passed stage") {
					return put
				}
				for _, old := range olds(in) {
					if old.Enabled {
						old.Enabled = false
						return strategy.Put{Revision: old, Why: "the new one serves"}
					}
				}
				return put
			}),
		},
		{
			name: "highlander-without-drain", law: Drain, of: ofStages, first: "upgrade",
			mistake:  "What is out of the endpoints is deleted at once.",
			like:     "requests that proxies still send to what is gone",
			strategy: strategy.RedBlack{Stages: inStages.Stages, Highlander: true, Drain: -1},
		},
		{
			name: "highlander-deletes-what-serves", law: Order, of: bareStages,
			mistake: "The old one is deleted in place of being turned off first.",
			like:    "there can be only one, and a delete takes its traffic, too",
			strategy: puts(inStages, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				mine, _ := in.Mine()
				if found.Enabled && !put.Revision.Enabled && found.Seq < mine.Seq && mine.Outcome.Result != cluster.Failed {
					return strategy.Delete{Revision: found, Why: "there can be only one"}
				}
				return put
			}),
		},
	}
}
