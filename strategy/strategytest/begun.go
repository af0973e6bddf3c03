// Where plays begin: each scenario is brought about once, and every further play of it
// takes up a copy of that world.

package strategytest

import (
	"slices"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// open brings the world to where its scenario begins, if no play has before.
func (t *trial) open() {
	if !t.takeUp() {
		t.start()
		t.keep()
	}
}

// begun is a play at the place where its scenario begins.
type begun struct {
	w       *fake.Cluster
	judge   judge
	clients int
}

// same reports whether every play of the scenario begins alike, and nobody listens to
// how it comes about. An autoscaler acts, and what acts is not copied.
func (t *trial) same() bool {
	scaled := slices.ContainsFunc(t.proof.World.Routes, func(r cluster.Route) bool { return r.Scaler })
	return t.tale == nil && t.scenario.from == nil && t.schedule.Speeds == Speeds{} && !scaled
}

// keep keeps the world as it is where the scenario begins, for the next play of it.
func (t *trial) keep() {
	if t.same() {
		t.proof.begun.Store(t.scenario.name, begun{t.w.Copy(nil), t.judge.copied(nil), t.clients})
	}
}

// takeUp begins with what a play before has kept.
func (t *trial) takeUp() bool {
	kept, ok := t.proof.begun.Load(t.scenario.name)
	if !ok || !t.same() {
		return false
	}
	b := kept.(begun)
	t.w, t.judge, t.clients = b.w.Copy(t.changed), b.judge.copied(t), b.clients
	t.judge.arm() // what it begins with depends on what will go wrong
	return true
}

// copied is what a judge knows before he is armed, for another trial.
func (j judge) copied(t *trial) judge {
	j.trial = t
	j.gates, j.condemned = slices.Clone(j.gates), slices.Clone(j.condemned)
	return j
}
