// Groups and waves with a mistake, made from the real ones.

package strategytest

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

// trio is a group of three, of which the last one gets ready after the others.
func trio() []Side {
	of := strategy.RedBlack{Ready: time.Minute, After: Gate("after"), Drain: 5 * time.Second}
	return []Side{
		{Name: "first", Strategy: of},
		{Name: "second", Strategy: of},
		{Name: "third", Strategy: of, World: fake.World{Boot: 15 * time.Second}},
	}
}

var (
	joined  = GroupOptions{Replicas: 1, Poll: 10 * time.Second}
	ofGroup = twin{name: "group", joined: func(m mutant) *groupProof {
		o := joined
		o.Engine = m.group
		return newGroupProof(trio(), o)
	}}
	ofWaves = twin{name: "waves", joined: func(m mutant) *groupProof {
		return newWavesProof(redBlack, WavesOptions{Replicas: joined.Replicas, Poll: joined.Poll, Engine: m.waves})
	}}
)

// dieJoined proves a group or waves until a law is broken: every scenario
// undisturbed, and then with faults.
func (m mutant) dieJoined() (d death) {
	p := m.of.joined(m)
	list := p.scenarios()
	slices.SortStableFunc(list, func(a, b string) int {
		switch m.first {
		case a:
			return -1
		case b:
			return 1
		}
		return 0
	})
	for _, s := range list {
		d.runs++
		if _, _, breach := p.try(groupSchedule{scenario: s}, false); breach != nil {
			d.Breach = p.explain(breach)
			return d
		}
	}
	for i := range list {
		for member := range p.sides {
			stats, err := p.every(list[i], member)
			d.runs += stats.Runs
			if errors.As(err, &d.Breach) {
				return d
			}
		}
	}
	return d
}

// survivesJoined plays the schedule that has killed a mutant.
func (w twin) survivesJoined(s Schedule) *Breach {
	var breach *Breach
	_, err := w.joined(mutant{}).replay(s.Scenario)
	errors.As(err, &breach)
	return breach
}

// gaveUpAll is the error of a group that was given up as a whole.
func gaveUpAll(g strategy.Group) error {
	e := &strategy.GroupError{What: "it was given up"}
	for _, m := range g.Members {
		e.Members = append(e.Members, strategy.MemberResult{Name: m.App, Err: &strategy.AbortError{App: m.App, Kind: strategy.Failed}})
	}
	return e
}

// hasty takes a revision that is made for one that is ready.
func hasty(of strategy.Strategy) strategy.Strategy {
	return strategy.Func(func(in strategy.Input) strategy.Step {
		step := of.Next(in)
		mine, found := in.Mine()
		if _, waits := step.(strategy.Wait); waits && found && !mine.Enabled && mine.Outcome.Result == cluster.Undecided && mine.Ready < mine.Replicas {
			mine.Enabled = true
			return strategy.Put{Revision: mine, Why: "the others are ready"}
		}
		return step
	})
}

func wrongGroups() []mutant {
	return []mutant{
		{
			name: "group-all-but-one-ready", law: Together, of: ofGroup,
			mistake: "The gate opens when all but the last one are ready.",
			like:    "a quorum, where the last one to start is the one that does not",
			group: func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
				last := &g.Members[len(g.Members)-1]
				last.Strategy = hasty(last.Strategy)
				return g.Run(ctx, r)
			},
		},
		{
			name: "group-one-release-each", law: Together, of: ofGroup,
			mistake: "Each member is made, judged and switched before the next one is made.",
			like:    "a script that deploys a list of apps",
			group: func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
				for i := range g.Members {
					if err := (strategy.Group{Members: g.Members[i : i+1]}).Run(ctx, r); err != nil {
						return gaveUpAll(g)
					}
				}
				return nil
			},
		},
		{
			name: "group-order-forgotten", law: InOrder, of: ofGroup,
			mistake: "One is switched before the one before it serves alone.",
			like:    "a step of a pipeline that is over when its deploy was begun",
			group: func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
				for i := range g.Members[1:] {
					g.Members[1+i].Beside = true
				}
				return g.Run(ctx, r)
			},
		},
		{
			name: "group-first-back-first", law: Reverse, of: ofGroup, first: "gate-after-2",
			mistake: "What was switched is given back in the order in which it was switched.",
			like:    "a rollback that walks the same list",
			group: func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
				stop, cancel := context.WithCancel(ctx)
				defer cancel()
				trace := r.Trace
				r.Trace = func(e strategy.Event) {
					trace(e)
					if put, is := e.Step.(strategy.Put); is && put.Revision.Outcome.Result == cluster.Failed {
						cancel()
					}
				}
				if err := g.Run(stop, r); stop.Err() == nil {
					return err
				}
				r.Trace = trace
				for i := range g.Members {
					if err := (strategy.Group{Members: g.Members[i : i+1]}).Undo(ctx, r, "it failed"); err != nil {
						return err
					}
				}
				return gaveUpAll(g)
			},
		},
		{
			name: "group-back-after-all", law: Forward, of: ofGroup, first: "gate-after-3",
			mistake: "What fails after the last switch is given back, too.",
			like:    "an automatic rollback of what has migrated the data already",
			group: func(ctx context.Context, r strategy.Runner, g strategy.Group) error {
				err := g.Run(ctx, r)
				if err != nil && ctx.Err() == nil {
					_ = r.Clock.Sleep(ctx, time.Minute)
					_ = g.Undo(ctx, r, "it failed")
				}
				return err
			},
		},
		{
			name: "waves-go-on", law: InWaves, of: ofWaves,
			mistake: "The next wave begins when the one before has ended, whatever came of it.",
			like:    "a loop over regions that collects errors and shows them at the end",
			waves: func(ctx context.Context, r strategy.Runner, w strategy.Waves) error {
				var errs []error
				for _, wave := range w.Waves {
					one := w
					one.Waves = []strategy.Wave{wave}
					errs = append(errs, one.Run(ctx, r))
				}
				return errors.Join(errs...)
			},
		},
		{
			name: "waves-all-at-once", law: InWaves, of: ofWaves,
			mistake: "All places are deployed to at once.",
			like:    "a matrix build over regions",
			waves: func(ctx context.Context, r strategy.Runner, w strategy.Waves) error {
				w.Waves = []strategy.Wave{slices.Concat(w.Waves...)}
				return w.Run(ctx, r)
			},
		},
	}
}
