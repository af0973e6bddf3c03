// Canaries with a mistake, where a router divides the traffic.

package strategytest

import (
	"maps"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

var (
	weighed    = strategy.Canary{Stages: []strategy.Stage{{Percent: 5}, {Percent: 20}}, Drain: 15 * time.Second}
	ofWeights  = twin{name: "Canary by weight, bare loop", strategy: weighed, options: with(Options{World: fake.World{Can: cluster.Can{Weigh: true}}}, loop{}.run)}
	wrongShare = func(change func(in strategy.Input, step strategy.Step) strategy.Step) strategy.Strategy {
		return strategy.Func(func(in strategy.Input) strategy.Step { return change(in, weighed.Next(in)) })
	}
)

func wrongWeights() []mutant {
	return []mutant{
		{
			name: "canary-share-at-once", law: Share, of: ofWeights,
			mistake: "A revision gets its share with the write that names it, before anything is seen to serve.",
			like:    "a weight for a subset that the proxies do not know yet",
			strategy: wrongShare(func(in strategy.Input, step strategy.Step) strategy.Step {
				to, ok := step.(strategy.SetRoute)
				if !ok || len(to.Route.Weights) != 2 {
					return step
				}
				weights := maps.Clone(to.Route.Weights)
				for name, share := range weights {
					if share == 100 {
						weights[name] = 95
					}
					if share == 0 {
						weights[name] = 5
					}
				}
				to.Route.Weights = weights
				return to
			}),
		},
		{
			name: "canary-share-of-nobody", law: Share, of: ofWeights,
			mistake: "What the canary gets is taken from nobody: the weights make more than 100.",
			like:    "a router that divides by the sum of its weights, and one that refuses it",
			strategy: wrongShare(func(in strategy.Input, step strategy.Step) strategy.Step {
				to, ok := step.(strategy.SetRoute)
				if !ok {
					return step
				}
				weights := maps.Clone(to.Route.Weights)
				for name, share := range in.State.Traffic()[0].Weights {
					if _, named := weights[name]; named {
						weights[name] = max(weights[name], share)
					}
				}
				to.Route.Weights = weights
				return to
			}),
		},
		{
			name: "canary-cut-below-its-share", law: Share, of: ofWeights,
			mistake: "The old revision keeps one endpoint fewer than its share of the traffic needs.",
			like:    "capacity rounded down where the weight was rounded up",
			strategy: wrongShare(func(in strategy.Input, step strategy.Step) strategy.Step {
				put, ok := step.(strategy.Put)
				if !ok {
					return step
				}
				found, exists := in.State.Named(put.Revision.Name)
				if exists && put.Revision.Replicas > 0 && put.Revision.Replicas < found.Replicas {
					put.Revision.Replicas--
				}
				return put
			}),
		},
	}
}
