// The scenarios: the world that a schedule begins in, and the job that is then
// done in it.

package lockstep_test

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// replicas is how large a deployment is.
const replicas = 2

// epoch is when every world begins.
var epoch = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)

// A mode is a strategy, and the way of moving traffic that it needs.
type mode struct {
	name    string
	can     cluster.Can
	traffic kube.Mode
	keep    strategy.Retention
	overlap strategy.Overlap
}

var (
	redBlack  = mode{name: "redblack", can: cluster.Can{Enable: true}, traffic: kube.Labels}
	blueGreen = mode{name: "bluegreen", can: cluster.Can{Select: true}, traffic: kube.Selector}
)

// labels reports whether traffic is a label of pods.
func (m mode) labels() bool { return m.traffic == kube.Labels }

// strategy is the mode's, with everything short: each look costs real time.
func (m mode) strategy(p *play) strategy.Strategy {
	before, after := gate{p, "before"}, gate{p, "after"}
	if m.labels() {
		return strategy.RedBlack{
			Ready: 30 * time.Second, Before: before, After: after, Judge: 30 * time.Second,
			Bake: 5 * time.Second, Drain: 10 * time.Second, Keep: m.keep,
		}
	}
	return strategy.BlueGreen{
		Ready: 30 * time.Second, Before: before, After: after, Judge: 30 * time.Second,
		Bake: 5 * time.Second, Drain: 10 * time.Second, Keep: m.keep, Overlap: m.overlap,
	}
}

// A gate passes, unless the scenario has it fail.
type gate struct {
	play *play
	name string
}

func (g gate) Check(context.Context, health.Look) (health.Verdict, string, error) {
	if g.play.scenario.fails == g.name {
		return health.Fail, "5xx", nil
	}
	return health.Pass, "", nil
}

// A scenario is a world to begin in, and a job.
type scenario struct {
	name  string
	mode  mode
	start func(*play)
	job   job
	fails string  // the gate that does
	ends  outcome // if nothing goes wrong
}

// A job is what a process is told to do.
type job struct {
	release string // "": a cleanup
	undo    bool
	stay    bool
	run     func(context.Context, *play, strategy.Runner) error
}

func deploy(release string, n int) job { return deployment(release, n, "") }

// deployment is the job of deploying what is marked so.
func deployment(release string, n int, mark string) job {
	to := cluster.Target{Release: release, Template: manifest(release, mark), Replicas: n}
	return job{release: release, run: func(ctx context.Context, p *play, r strategy.Runner) error {
		_, err := r.Run(ctx, app, to, p.scenario.mode.strategy(p))
		return err
	}}
}

func undo(release string) job {
	return job{release: release, undo: true, run: func(ctx context.Context, p *play, r strategy.Runner) error {
		_, err := r.Run(ctx, app, cluster.Target{Release: release}, strategy.Undo(p.scenario.mode.strategy(p), "by ops"))
		return err
	}}
}

func sweep(policy cleanup.Policy) job {
	policy.Drain = 10 * time.Second
	return job{run: func(ctx context.Context, _ *play, r strategy.Runner) error {
		_, err := cleanup.Run(ctx, r, app, policy)
		return err
	}}
}

// instead is what is run in place of a job that has died.
func instead(then string, died job) job {
	switch then {
	case strategytest.Next:
		return deploy("build-9", replicas)
	case strategytest.Undo:
		return undo(died.release)
	case strategytest.Cleanup:
		return sweep(cleanup.Policy{RunFailed: true})
	}
	return died
}

// follows lists what may be run in place of a job that has died.
func follows(j job) []string {
	switch {
	case j.release == "":
		return []string{strategytest.Again}
	case j.undo:
		return []string{strategytest.Again, strategytest.Next, strategytest.Cleanup}
	}
	return []string{strategytest.Again, strategytest.Next, strategytest.Undo, strategytest.Cleanup}
}

// neverReady marks a template whose pods never get ready.
const neverReady = "never-ready"

// manifest is a template of the real client's; the simulated one looks for a mark.
func manifest(release, mark string) []byte {
	target, err := kube.Target(fmt.Appendf(nil, `
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: ignored}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}, annotations: {mark: "%s"}}
    spec: {containers: [{name: main, image: "example/web:%s"}]}
`, mark, release))
	if err != nil {
		panic(err) // it is the one above
	}
	return target.Template
}

// ready is the simulated world's.
func ready(boot time.Duration) func([]byte) (time.Duration, bool) {
	return func(template []byte) (time.Duration, bool) {
		return boot, !bytes.Contains(template, []byte(neverReady))
	}
}

// older is a world in which something serves, and nobody knows who deployed it.
func older(p *play) { p.found("web-v005", replicas, true) }

// deployed is one in which a release was deployed beside it.
func deployed(release string) func(*play) {
	return func(p *play) {
		older(p)
		_, _ = p.run(deploy(release, 0))
		p.pass(time.Minute)
	}
}

// dead is one in which a run of a release has died at its nth write, done.
func dead(release string, nth int) func(*play) {
	return func(p *play) {
		older(p)
		p.dieAfter = nth
		_, _ = p.run(deploy(release, 0))
		p.dieAfter = 0
		p.pass(time.Minute)
	}
}

func scenarios() []scenario {
	var all []scenario
	for _, m := range []mode{redBlack, blueGreen} {
		retains, overlaps := m, m
		retains.keep = strategy.Retention{Shrink: 20 * time.Second, Destroy: 40 * time.Second, History: -1}
		overlaps.overlap = strategy.Always
		stays := deploy("build-3", 0)
		stays.stay = true
		failed := outcome(strategy.Failed.String())
		own := []scenario{
			{name: "first", start: func(*play) {}, job: deploy("build-2", replicas), ends: done},
			{name: "upgrade", start: older, job: deploy("build-2", 0), ends: done},
			{name: "gate-before-fails", start: older, job: deploy("build-2", 0), fails: "before", ends: failed},
			{name: "gate-after-fails", start: older, job: deploy("build-2", 0), fails: "after", ends: failed},
			{name: "never-ready", start: older, job: deployment("build-2", 0, neverReady), ends: failed},
			{name: "undo", start: deployed("build-2"), job: undo("build-2"), ends: done},
			{name: "rerun", start: deployed("build-2"), job: deploy("build-2", 0), ends: done},
			{name: "third", mode: retains, start: deployed("build-2"), job: stays, ends: done},
			{name: "over-created", start: dead("build-2", 1), job: deploy("build-3", 0), ends: done},
			{name: "over-half", start: dead("build-2", 3), job: deploy("build-3", 0), ends: done},
			{name: "over-both", start: dead("build-2", 6), job: deploy("build-3", 0), ends: done},
		}
		if !m.labels() {
			own = append(own, scenario{name: "overlap", mode: overlaps, start: older, job: deploy("build-2", 0), ends: done})
		}
		for _, s := range append(own, sweeps(m)...) {
			if s.name = m.name + "/" + s.name; s.mode.name == "" {
				s.mode = m
			}
			all = append(all, s)
		}
	}
	return all
}

// sweeps are the half-states that a cleanup is called for. Where a selector
// moves traffic, two revisions share it only while a run is under way.
func sweeps(m mode) []scenario {
	flip := func(p *play, name string) {
		for range replicas - 1 {
			p.sim.FlipPod(app, name)
		}
	}
	failed := sweep(cleanup.Policy{RunFailed: true})
	unfit := outcome(strategy.Unfit.String())
	all := []scenario{
		{name: "dark-candidate", start: func(p *play) { older(p); p.found("web-v006", replicas, false) }, job: failed, ends: done},
		{name: "leftovers", start: func(p *play) {
			p.found("web-v003", replicas, false)
			p.found("web-v004", 0, false)
			older(p)
			p.found("web-v006", replicas, false)
			p.found("web-v007", replicas, false)
		}, job: sweep(cleanup.Policy{}), ends: done},
		{name: "old-dark", start: func(p *play) { p.found("web-v005", replicas, false); p.found("web-v006", replicas, true) }, job: failed, ends: done},
		{name: "one", start: older, job: failed, ends: done},
		{name: "none-serves", start: func(p *play) {
			p.found("web-v005", replicas, false)
			p.found("web-v006", replicas, false)
		}, job: failed, ends: unfit},
	}
	if !m.labels() {
		return all
	}
	return append(all,
		scenario{name: "both-live", start: func(p *play) { older(p); p.found("web-v006", replicas, true) }, job: failed, ends: done},
		scenario{name: "old-leaving", start: func(p *play) { older(p); p.found("web-v006", replicas, true); flip(p, "web-v005") }, job: failed, ends: done},
		scenario{name: "new-half-on", start: func(p *play) { older(p); p.found("web-v006", replicas, false); flip(p, "web-v006") }, job: failed, ends: done},
		scenario{name: "candidate-fails", start: func(p *play) {
			older(p)
			p.found("web-v006", replicas, true)
			p.sim.SetReady(app, "web-v006", 0)
		}, job: failed, ends: done},
	)
}
