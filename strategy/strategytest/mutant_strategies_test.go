// Strategies with a mistake: the right one that misreads what it sees, or whose
// step is exchanged for another; and one that is written as people write it.

package strategytest

import (
	"cmp"
	"maps"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// copied returns a State that may be changed.
func copied(s cluster.State) cluster.State {
	s.Revisions = slices.Clone(s.Revisions)
	s.Routes = slices.Clone(s.Routes)
	for i, r := range s.Routes {
		s.Routes[i].Serving, s.Routes[i].Weights = maps.Clone(r.Serving), maps.Clone(r.Weights)
		if s.Routes[i].Serving == nil {
			s.Routes[i].Serving = map[string]int{}
		}
	}
	return s
}

// misread is a strategy that sees something else than there is.
func misread(s strategy.Strategy, as func(in *strategy.Input)) strategy.Strategy {
	return strategy.Func(func(in strategy.Input) strategy.Step {
		in.State = copied(in.State)
		as(&in)
		return s.Next(in)
	})
}

// everyone misreads each revision alike.
func everyone(s strategy.Strategy, as func(r *cluster.Revision)) strategy.Strategy {
	return misread(s, func(in *strategy.Input) {
		for i := range in.State.Revisions {
			as(&in.State.Revisions[i])
		}
	})
}

// exchange is a strategy that does something else than it should.
func exchange(s strategy.Strategy, to func(in strategy.Input, step strategy.Step) strategy.Step) strategy.Strategy {
	return strategy.Func(func(in strategy.Input) strategy.Step { return to(in, s.Next(in)) })
}

// puts is a strategy whose Puts are other ones.
func puts(s strategy.Strategy, to func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step) strategy.Strategy {
	return exchange(s, func(in strategy.Input, step strategy.Step) strategy.Step {
		put, ok := step.(strategy.Put)
		if !ok {
			return step
		}
		found, _ := in.State.Named(put.Revision.Name)
		return to(in, put, found)
	})
}

// waits is a strategy that does something else than wait for this.
func waits(s strategy.Strategy, what string, instead func(in strategy.Input) strategy.Step) strategy.Strategy {
	return exchange(s, func(in strategy.Input, step strategy.Step) strategy.Step {
		if wait, ok := step.(strategy.Wait); ok && strings.Contains(wait.Why, what) {
			if other := instead(in); other != nil {
				return other
			}
		}
		return step
	})
}

// olds returns the revisions that are not the target's.
func olds(in strategy.Input) []cluster.Revision {
	mine, _ := in.Mine()
	return slices.DeleteFunc(slices.Clone(in.State.Revisions), func(r cluster.Revision) bool { return r.Name == mine.Name })
}

// enableDisableDelete is the pipeline of three stages that everybody has
// written once: enable the new version, disable the old ones, delete them.
func enableDisableDelete(in strategy.Input) strategy.Step {
	mine, found := in.Mine()
	switch {
	case !found:
		return redBlack.Next(in)
	case mine.Ready < mine.Replicas:
		return strategy.Wait{Why: "it is not ready"}
	case !mine.Enabled || mine.Unsettled > 0:
		mine.Enabled = true
		return strategy.Put{Revision: mine, Why: "enable"}
	}
	for _, old := range olds(in) {
		if old.Enabled || old.Unsettled > 0 {
			old.Enabled = false
			return strategy.Put{Revision: old, Why: "disable"}
		}
	}
	for _, old := range olds(in) {
		return strategy.Delete{Revision: old, Why: "delete"}
	}
	if in.State.ReliedOn(mine.Name) < mine.Replicas {
		return strategy.Wait{Why: "it does not serve"}
	}
	if mine.Outcome.Result != cluster.Good {
		mine.Outcome.Result = cluster.Good
		return strategy.Put{Revision: mine, Why: "deployed"}
	}
	return strategy.Done{}
}

// onceOnly remembers, in place of looking, that it has enabled the new version.
func onceOnly() strategy.Strategy {
	enabled := map[string]bool{}
	return exchange(redBlack, func(in strategy.Input, step strategy.Step) strategy.Step {
		put, ok := step.(strategy.Put)
		if !ok || !put.Revision.Enabled || put.Revision.Release != in.Target.Release {
			return step
		}
		if enabled[put.Revision.UID] {
			return strategy.Wait{Why: "it was enabled already"}
		}
		enabled[put.Revision.UID] = true
		return step
	})
}

func wrongStrategies() []mutant {
	return []mutant{
		{
			name: "strategy-gate-is-asked-only", law: Decision, of: ofRedBlack,
			mistake: "A gate is asked, and what it says is not heard.",
			like:    "an analysis whose failure is a warning",
			strategy: misread(redBlack, func(in *strategy.Input) {
				if in.Checked.Name != "" {
					in.Checked.Verdict = health.Pass
				}
			}),
		},
		{
			name: "strategy-back-to-the-first", law: Convergence, of: ofRedBlack,
			mistake:  "Traffic goes back to the oldest good revision, and not to the newest.",
			like:     "a search from the wrong end of a list",
			strategy: backToTheFirst(),
		},
		{
			name: "strategy-switch-before-ready", law: BlackHole, of: ofBlueGreen,
			mistake:  "Pods that exist count as pods that are ready.",
			like:     "a selector that is switched to what still boots",
			strategy: everyone(blueGreen, func(r *cluster.Revision) { r.Ready = r.Pods }),
		},
		{
			name: "strategy-first-ready-pod", law: Floor, of: bareRoutes,
			mistake: "One ready pod is taken for a ready revision.",
			like:    "a rollback that moves all traffic at the first ready replica",
			strategy: everyone(blueGreen, func(r *cluster.Revision) {
				if r.Ready > 0 {
					r.Ready = r.Replicas
				}
			}),
		},
		{
			name: "strategy-off-before-on", law: Floor, of: bareLabels,
			mistake: "What serves loses its traffic before what is to serve has any.",
			like:    "disable and enable in the wrong order",
			strategy: puts(redBlack, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if put.Revision.Enabled && !found.Enabled {
					for _, old := range olds(in) {
						if old.Enabled {
							old.Enabled = false
							return strategy.Put{Revision: old, Why: "off first"}
						}
					}
				}
				return put
			}),
		},
		{
			name: "strategy-selects-nothing-first", law: BlackHole, of: bareRoutes,
			mistake: "A route is emptied before it is given to the new revision.",
			like:    "a patch that removes a selector, and another that adds one",
			strategy: exchange(blueGreen, func(in strategy.Input, step strategy.Step) strategy.Step {
				if to, ok := step.(strategy.SetRoute); ok && len(in.State.Routes[0].Weights) > 0 {
					to.Route.Weights = map[string]int{}
					return to
				}
				return step
			}),
		},
		{
			name: "strategy-shrinks-with-off", law: Order, of: ofRedBlack,
			mistake: "What leaves traffic loses its pods in the same write.",
			like:    "an old side that is scaled down in the step that disables it",
			strategy: puts(redBlack, func(_ strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if found.Enabled && !put.Revision.Enabled {
					put.Revision.Replicas = 0
				}
				return put
			}),
		},
		{
			name: "strategy-shrinks-after-switch", law: Order, of: ofBlueGreen,
			mistake: "The old side is scaled down as soon as the route was written.",
			like:    "a selector that is taken for the endpoints that follow it",
			strategy: waits(blueGreen, "endpoints of", func(in strategy.Input) strategy.Step {
				mine, _ := in.Mine()
				for _, old := range olds(in) {
					if old.Replicas > 0 && mine.Outcome.Result != cluster.Failed {
						old.Replicas = 0
						return strategy.Put{Revision: old, Why: "it was switched away from"}
					}
				}
				return nil
			}),
		},
		{
			name: "strategy-enable-disable-delete", law: Order, of: ofRedBlack,
			mistake:  "It enables the new, disables the old and deletes it, each as soon as the one before was answered.",
			like:     "a pipeline of three stages",
			strategy: strategy.Func(enableDisableDelete),
		},
		{
			name: "strategy-no-drain", law: Drain, of: ofRedBlack, first: "undo",
			mistake:  "What is out of the endpoints loses its pods at once.",
			like:     "requests that proxies still send to what is gone",
			strategy: strategy.RedBlack{Before: Gate("before"), After: Gate("after"), Drain: -1},
		},
		{
			name: "strategy-drains-from-the-write", law: Drain, of: ofRedBlack, first: "undo",
			mistake: "It drains from when the traffic was taken off, not from when it was seen to be gone.",
			like:    "a scale-down delay that begins with the step before it",
			strategy: misread(redBlack, func(in *strategy.Input) {
				for i, r := range in.State.Revisions {
					if r.Outcome.Result == cluster.Failed && r.Release == in.Target.Release {
						in.State.Revisions[i].Moved = r.Since
					}
				}
			}),
		},
		{
			name: "strategy-good-when-enabled", law: Decision, of: ofRedBlack,
			mistake: "It is recorded as good in the write that gives it traffic.",
			like:    "promoted, and then verified",
			strategy: puts(redBlack, func(in strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
				if put.Revision.Enabled && !found.Enabled && found.Release == in.Target.Release {
					put.Revision.Outcome.Result = cluster.Good
				}
				return put
			}),
		},
		{
			name: "strategy-failed-is-forgotten", law: Decision, of: ofRedBlack,
			mistake: "A release that was given up is tried again.",
			like:    "a rerun that does not know that it had failed",
			strategy: misread(redBlack, func(in *strategy.Input) {
				for i, r := range in.State.Revisions {
					if r.Release == in.Target.Release {
						in.State.Revisions[i].Outcome = cluster.Outcome{}
					}
				}
			}),
		},
		{
			name: "strategy-old-is-all-others", law: Sequence, of: ofRedBlack,
			mistake: "Every other revision is an old one, whatever its sequence.",
			like:    "the slower of two deployments, which disables the newer one",
			strategy: misread(redBlack, func(in *strategy.Input) {
				for i, r := range in.State.Revisions {
					if mine, ok := in.Mine(); ok && r.Seq > mine.Seq {
						in.State.Revisions[i].Seq = 0
					}
				}
			}),
		},
		{
			name: "strategy-traffic-before-capacity", law: Floor, of: bareLabels,
			mistake: "Traffic goes back to an older revision before that is large enough.",
			like:    "a weight that moves before the size does",
			strategy: exchange(misread(redBlack, func(in *strategy.Input) {
				if mine, ok := in.Mine(); ok && mine.Outcome.Result == cluster.Failed {
					for i, r := range in.State.Revisions {
						if r.Name == mine.Name && r.Replicas > 1 {
							in.State.Revisions[i].Replicas = 1
						}
					}
				}
			}), func(in strategy.Input, step strategy.Step) strategy.Step {
				if put, ok := step.(strategy.Put); ok && put.Revision.Replicas == 1 {
					found, _ := in.State.Named(put.Revision.Name)
					put.Revision.Replicas = found.Replicas
					return put
				}
				return step
			}),
		},
		{
			name: "strategy-unsettled-ignored", law: Convergence, of: ofBatches,
			mistake:  "When the template is written the pods are taken to follow.",
			like:     "a label that was put on some of the pods",
			strategy: everyone(redBlack, func(r *cluster.Revision) { r.Unsettled = 0 }),
		},
		{
			name: "strategy-deadline-starts-anew", law: Termination, of: ofRedBlack,
			mistake: "The time to get ready counts from each look.",
			like:    "a deadline that every event pushes away",
			strategy: misread(redBlack, func(in *strategy.Input) {
				for i := range in.State.Revisions {
					in.State.Revisions[i].Raised = in.State.At
				}
			}),
		},
		{
			name: "strategy-remembers", law: Purity, of: ofRedBlack,
			mistake:  "It remembers what it has done in place of looking.",
			like:     "expectations that a restart loses",
			strategy: onceOnly(),
		},
		{
			name: "strategy-sorts-its-input", law: Purity, of: ofRedBlack,
			mistake: "It brings the revisions into the order that it likes, in the State that it was given.",
			like:    "a cache that is changed in place by one of its readers",
			strategy: strategy.Func(func(in strategy.Input) strategy.Step {
				slices.SortFunc(in.State.Revisions, func(a, b cluster.Revision) int { return cmp.Compare(b.Seq, a.Seq) })
				return redBlack.Next(in)
			}),
		},
		{
			name: "strategy-no-data-passes", law: Convergence, of: ofRedBlack, first: "gate-before-fails",
			mistake: "A gate that has no data is a gate that has passed.",
			like:    "a query with a typing error in it, and every release is good",
			strategy: misread(redBlack, func(in *strategy.Input) {
				if in.Checked.Verdict == health.None && in.Checked.Name != "" {
					in.Checked.Verdict = health.Pass
				}
			}),
		},
		{
			name: "strategy-size-from-status", law: Floor, of: ofRedBlack,
			mistake: "The new revision gets as many replicas as are ready of the old one.",
			like:    "a surge that is counted from the status and not from the spec",
			strategy: puts(redBlack, func(in strategy.Input, put strategy.Put, _ cluster.Revision) strategy.Step {
				if put.Revision.Version == "" && in.Target.Replicas == 0 {
					put.Revision.Replicas = max(1, in.State.Serving())
				}
				return put
			}),
		},
		{
			name: "strategy-autoscaler-forgotten", law: Convergence, of: ofScaled,
			mistake:  "The autoscaler is left at the version that has no traffic any more.",
			like:     "a scaleTargetRef with the name of one version in it",
			strategy: misread(redBlack, unscaled),
		},
		{
			name: "strategy-pulls-at-replicas", law: Order, of: bareScaled,
			mistake: "What the new one needs to serve is wanted of the old one, too, whoever writes its size.",
			like:    "a deploy tool and an autoscaler that undo each other",
			strategy: exchange(redBlack, func(in strategy.Input, step strategy.Step) strategy.Step {
				mine, found := in.Mine()
				for _, old := range olds(in) {
					if found && !mine.Enabled && old.Enabled && old.Replicas <= mine.Replicas {
						old.Replicas = mine.Replicas + 1
						return strategy.Put{Revision: old, Why: "room for what comes back"}
					}
				}
				return step
			}),
		},
		{
			name: "strategy-never-done", law: Termination, of: ofRedBlack,
			mistake: "It stays to watch when all is done.",
			like:    "a rollout that is completed by an event that never comes",
			strategy: exchange(redBlack, func(_ strategy.Input, step strategy.Step) strategy.Step {
				if _, done := step.(strategy.Done); done {
					return strategy.Wait{Why: "it watches"}
				}
				return step
			}),
		},
	}
}

// unscaled takes the autoscalers out of a State.
func unscaled(in *strategy.Input) {
	in.State.Routes = slices.DeleteFunc(in.State.Routes, func(r cluster.Route) bool { return r.Scaler })
}

// backToTheFirst is red-black that takes all good revisions but the first for
// failed ones when it goes back.
func backToTheFirst() strategy.Strategy {
	hidden := misread(redBlack, func(in *strategy.Input) {
		mine, _ := in.Mine()
		first := true
		for i, r := range in.State.Revisions {
			if mine.Outcome.Result != cluster.Failed || r.Name == mine.Name || !in.State.IsGood(r) {
				continue
			}
			if !first {
				in.State.Revisions[i].Outcome.Result = cluster.Failed
			}
			first = false
		}
	})
	return puts(hidden, func(_ strategy.Input, put strategy.Put, found cluster.Revision) strategy.Step {
		if found.Outcome.Result == cluster.Good {
			put.Revision.Outcome = found.Outcome
		}
		return put
	})
}
