// The scenarios: where a schedule begins, what is then run, and what may be run
// when that has died.

package strategytest

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// A scenario is where a schedule begins: a world, and a job in it.
type scenario struct {
	name  string
	start func(*trial)
	job   job
	from  *cluster.State // the world is as this shows; nil: a new one
}

// What may follow a run that has died.
const (
	Again   = ""        // the same release is run again
	Next    = "next"    // the next release is
	Undo    = "undo"    // it is undone
	Cleanup = "cleanup" // a cleanup runs, told that the run failed
	Nothing = "nothing" // nobody ever acts again
)

// The releases of the scenarios: "build-1" is older than what is deployed,
// "build-2" or, where that is there already, "build-3".
func target(release string, replicas int) cluster.Target {
	return cluster.Target{Release: release, Template: []byte(release), Replicas: replicas}
}

// neverReady is a mark in a template whose pods never get ready.
const neverReady = "never ready"

// deploy is the job of deploying a release.
func (p *proof) deploy(release string, replicas int) job {
	return p.deployment(target(release, replicas))
}

func (p *proof) deployment(to cluster.Target) job {
	return job{name: "deploy " + to.Release, release: to.Release, replicas: to.Replicas, run: func(ctx context.Context, r strategy.Runner) error {
		_, err := p.Engine(ctx, r, app, to, p.strategy)
		return err
	}}
}

// undo is the job of undoing a release.
func (p *proof) undo(release string) job {
	return job{name: "undo " + release, release: release, undo: true, run: func(ctx context.Context, r strategy.Runner) error {
		_, err := p.Engine(ctx, r, app, cluster.Target{Release: release}, strategy.Undo(p.strategy, "by ops"))
		return err
	}}
}

// redo is the job of taking the undo of a release back.
func (p *proof) redo(release string) job {
	return job{name: "redo " + release, release: release, redo: true, run: func(ctx context.Context, r strategy.Runner) error {
		_, err := p.Engine(ctx, r, app, cluster.Target{Release: release}, strategy.Redo(p.strategy, "it was not the app"))
		return err
	}}
}

// sweep is the job of cleaning up.
func (p *proof) sweep(policy cleanup.Policy) job {
	return job{name: "cleanup", run: func(ctx context.Context, r strategy.Runner) error {
		_, err := cleanup.Run(ctx, r, app, policy)
		return err
	}}
}

// job is what is run in place of a job that has died.
func (p *proof) job(then string, died job) job {
	switch then {
	case Next:
		return p.deploy("build-9", p.Replicas)
	case Undo:
		return p.undo(died.release)
	case Cleanup:
		return p.sweep(cleanup.Policy{RunFailed: true})
	}
	return died
}

// follows lists what may be run in place of a job that has died.
func (p *proof) follows(j job) []string {
	switch {
	case p.cleaner != nil:
		return []string{Again, Nothing}
	case j.undo:
		return []string{Again, Next, Cleanup, Nothing}
	}
	return []string{Again, Next, Undo, Cleanup, Nothing}
}

// older puts a revision into traffic that nobody knows who deployed.
func older(t *trial) {
	t.w.AddFound(app, cluster.Revision{Name: "web-v005", Seq: 5, Replicas: t.proof.Replicas, Enabled: true, Template: []byte("found")})
}

// deployed deploys a release beside it, undisturbed.
func deployed(release string) func(*trial) {
	return func(t *trial) {
		older(t)
		t.quietly(t.proof.deploy(release, 0))
	}
}

// quietly runs a job before anything is judged. It must end well: a scenario
// that cannot be brought about proves nothing.
func (t *trial) quietly(j job) {
	if o, err := t.run(t.client(j)); o != done {
		t.judge.breach(Convergence, fmt.Sprintf("undisturbed, before anything else, %s ends as %v%s", j.name, o, because(err)))
	}
	t.pass(time.Minute)
}

// dead lets a run of a release die at its nth write, done.
func dead(release string, nth int) func(*trial) {
	return func(t *trial) {
		older(t)
		c := t.client(t.proof.deploy(release, 0))
		t.dieAfter(c, nth)
		_, _ = t.run(c)
		t.pass(time.Minute)
	}
}

// halfUndone deploys a release, and lets its undo die at its nth write, done; 0: it
// ends.
func halfUndone(nth int) func(*trial) {
	return func(t *trial) {
		deployed("build-2")(t)
		c := t.client(t.proof.undo("build-2"))
		if nth > 0 {
			t.dieAfter(c, nth)
		}
		_, _ = t.run(c)
		t.pass(time.Minute)
	}
}

// below lets a release die half-way, and a newer one fail.
func below(bad job) func(*trial) {
	return func(t *trial) {
		dead("build-2", 6)(t)
		_, _ = t.run(t.client(bad))
		t.pass(time.Minute)
	}
}

// shrunk shrinks what served before.
func shrunk(t *trial) {
	deployed("build-2")(t)
	old, ok := t.w.State(app).Named("web-v005")
	if !ok {
		return
	}
	old.Replicas = 1
	_ = t.w.Put(context.Background(), app, old) // nobody else writes here
	t.pass(time.Minute)
}

// scenariosOf lists the scenarios of a strategy that asks these gates.
func (p *proof) scenariosOf(gates []string) []scenario {
	fails := func(j job, gate string) job {
		j.gates = map[string]string{gate: "fail"}
		return j
	}
	stays := func(j job) job { j.stay = true; return j }
	bad := p.deployment(cluster.Target{Release: "build-2", Template: []byte(neverReady)})
	all := []scenario{
		{name: "first", start: func(*trial) {}, job: p.deploy("build-2", p.Replicas)},
		{name: "upgrade", start: older, job: p.deploy("build-2", 0)},
		{name: "never-ready", start: older, job: bad},
		{name: "rerun", start: deployed("build-2"), job: stays(p.deploy("build-2", 0))},
		{name: "third", start: deployed("build-2"), job: stays(p.deploy("build-3", 0))},
		{name: "undo", start: deployed("build-2"), job: p.undo("build-2")},
		{name: "redo", start: halfUndone(0), job: p.redo("build-2")},
		{name: "redo-warm", start: halfUndone(3), job: p.redo("build-2")},
		{name: "over-created", start: dead("build-2", 1), job: p.deploy("build-3", 0)},
		{name: "over-half-on", start: dead("build-2", 3), job: p.deploy("build-3", 0)},
		{name: "over-both", start: dead("build-2", 6), job: p.deploy("build-3", 0)},
		{name: "undo-below", start: below(p.deployment(cluster.Target{Release: "build-3", Template: []byte(neverReady)})), job: p.undo("build-2")},
	}
	if !p.bounds.Apart { // else nobody may have scaled it up again
		all = append(all, scenario{name: "undo-shrunk", start: shrunk, job: p.undo("build-2")})
	}
	for _, gate := range gates {
		all = append(all, scenario{name: "gate-" + gate + "-fails", start: older, job: fails(p.deploy("build-2", 0), gate)})
	}
	if len(gates) > 0 {
		last := gates[len(gates)-1]
		all = append(all, scenario{name: "redo-" + last + "-fails", start: halfUndone(3), job: fails(p.redo("build-2"), last)})
		all = append(all, scenario{name: "third-" + last + "-fails", start: deployed("build-2"), job: fails(p.deploy("build-3", 0), last)})
		if p.Replicas > 1 {
			all = append(all, scenario{name: "smaller-" + last + "-fails", start: older, job: fails(p.deploy("build-2", p.Replicas-1), last)})
		}
	}
	return all
}

// left puts a revision there that is dark, as what a deployment has left.
func left(t *trial, name string, seq int64, replicas int, on bool) {
	t.w.AddFound(app, cluster.Revision{Name: name, Seq: seq, Replicas: replicas, Enabled: on, Template: []byte(name)})
}

// sweeps lists the scenarios of a cleanup.
func (p *proof) sweeps() []scenario {
	if slices.ContainsFunc(p.World.Routes, func(r cluster.Route) bool { return r.Open }) {
		return p.pinned()
	}
	return p.halves()
}

// pinned are what a run that died leaves where whatever has pods is in traffic: a
// route that is kept to what serves, and a revision without pods, or with some.
func (p *proof) pinned() []scenario {
	return []scenario{
		{name: "one", start: older, job: p.cleaning()},
		{name: "pinned", start: dead("build-2", 2), job: p.cleaning()},
		{name: "pinned-raised", start: dead("build-2", 3), job: p.cleaning()},
	}
}

// cleaning is the job of the cleanup under test.
func (p *proof) cleaning() job {
	return job{name: "cleanup", run: func(ctx context.Context, r strategy.Runner) error { return p.cleaner(ctx, r, app) }}
}

// halves are the three half-states that people are left with, and their variants.
func (p *proof) halves() []scenario {
	n := p.Replicas
	half := func(t *trial, name string) {
		for range n - 1 {
			t.w.FlipPod(app, name)
		}
	}
	all := []struct {
		name  string
		start func(*trial)
	}{
		{"dark-candidate", func(t *trial) { older(t); left(t, "web-v006", 6, n, false) }},
		{"both-live", func(t *trial) { older(t); left(t, "web-v006", 6, n, true) }},
		{"old-leaving", func(t *trial) { older(t); left(t, "web-v006", 6, n, true); half(t, "web-v005") }},
		{"new-half-on", func(t *trial) { older(t); left(t, "web-v006", 6, n, false); half(t, "web-v006") }},
		{"old-dark", func(t *trial) { left(t, "web-v005", 5, n, false); left(t, "web-v006", 6, n, true) }},
		{"leftovers", func(t *trial) {
			left(t, "web-v003", 3, n, false)
			left(t, "web-v004", 4, 0, false)
			older(t)
			left(t, "web-v006", 6, n, false)
			left(t, "web-v007", 7, n, false)
		}},
		{"candidate-fails", func(t *trial) {
			older(t)
			left(t, "web-v006", 6, n, true)
			t.w.SetReady(app, "web-v006", 0)
		}},
		{"one", older},
		{"none-serves", func(t *trial) {
			left(t, "web-v005", 5, n, false)
			left(t, "web-v006", 6, n, false)
		}},
	}
	var scenarios []scenario
	for _, s := range all {
		scenarios = append(scenarios, scenario{name: s.name, start: func(t *trial) { s.start(t); t.pass(time.Minute) }, job: p.cleaning()})
	}
	return scenarios
}
