// That a difference would be seen, whichever side it is on.

package lockstep_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

func TestADifferenceIsSeen(t *testing.T) {
	annotation := func(key, value string) map[string]any {
		return map[string]any{"metadata": map[string]any{"annotations": map[string]any{key: value}}}
	}
	for name, c := range map[string]struct {
		scenario string
		make     func(p *play) // on one side alone
		says     string
	}{
		"replicas": {"redblack/upgrade", func(p *play) {
			p.patch("web-v005", map[string]any{"spec": map[string]any{"replicas": 3}})
		}, "web-v005 Replicas: simulated 2, real 3"},
		"a note":     {"redblack/upgrade", func(p *play) { p.patch("web-v005", annotation(kube.NoteAnnotation, "x")) }, "web-v005 Note"},
		"an outcome": {"redblack/upgrade", func(p *play) { p.patch("web-v005", annotation(kube.OutcomeAnnotation, "good")) }, "web-v005 Outcome"},
		"a revision": {"redblack/upgrade", func(p *play) { p.deleteSet("web-v005") }, "number of revisions: simulated 1, real 0"},
		"a pod that is not ready": {"redblack/upgrade", func(p *play) {
			p.both.mirror.readiness(podName(p.sim.Pods(app)[0]), false)
		}, "web-v005 Ready: simulated 2, real 1"},
		"a pod without traffic": {"redblack/upgrade", func(p *play) {
			p.both.mirror.patchPod(podName(p.sim.Pods(app)[0]), map[string]any{"metadata": map[string]any{"labels": map[string]any{trafficLabel: "false"}}})
		}, "web-v005 Unsettled: simulated 0, real 1"},
		"a selector": {"bluegreen/upgrade", func(p *play) { p.point(selecting("")) }, "service/web Weights"},
		"a time": {"bluegreen/third", func(p *play) {
			p.patch("web-v006", annotation(kube.SinceAnnotation, epoch.Format(time.RFC3339)))
		}, "web-v006 Since"},
		"a person of the simulated world": {"bluegreen/upgrade", func(p *play) {
			p.sim.Edit(app, "web-v005", func(r *cluster.Revision) { r.Replicas = 1 })
		}, "web-v005 Replicas: simulated 1, real 2"},
	} {
		t.Run(name, func(t *testing.T) {
			s, at, ok := find(c.scenario)
			require.True(t, ok)
			p := stage(strategytest.Schedule{Scenario: c.scenario}, s, at)
			p.look()
			c.make(p)
			d := seen(p.look)
			require.NotNil(t, d)
			require.Contains(t, d.Error(), c.says)
		})
	}
}

// A write that one of the two refuses is seen at once, and so is a pod that only
// one of them has written.
func TestADifferentWriteIsSeen(t *testing.T) {
	for name, c := range map[string]struct {
		make func(p *play)
		says string
	}{
		"a conflict": {func(p *play) {
			p.patch("web-v005", map[string]any{"metadata": map[string]any{"annotations": map[string]any{"somebody": "else"}}})
		}, "simulated: <nil>\n    real: kube: get ReplicaSet web-v005"},
		"a pod": {func(p *play) {
			p.both.mirror.patchPod(podName(p.sim.Pods(app)[0]), map[string]any{"metadata": map[string]any{"ownerReferences": nil}})
		}, "traffic label of pod web-v005-"},
	} {
		t.Run(name, func(t *testing.T) {
			s, at, ok := find("redblack/upgrade")
			require.True(t, ok)
			p := stage(strategytest.Schedule{Scenario: "redblack/upgrade"}, s, at)
			p.look()
			r := p.sim.State(app).Revisions[0]
			r.Enabled = false
			c.make(p)
			d := seen(func() { _ = p.both.Put(t.Context(), app, r) })
			require.NotNil(t, d)
			require.Contains(t, d.Error(), c.says)
		})
	}
}

// seen returns the difference that unwinds a call.
func seen(call func()) (d *divergence) {
	defer func() {
		if v := recover(); v != nil {
			d = v.(*divergence)
		}
	}()
	call()
	return nil
}
