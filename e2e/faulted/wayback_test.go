// What the way back is, if something was wrong with it when traffic moved.

package faulted_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// limping is a gate that lets a pod of the first version fail, and passes.
type limping struct{ *world }

func (l limping) Check(context.Context, health.Look) (health.Verdict, string, error) {
	pod := l.pods(old)[:1]
	l.annotate(pod, controlplane.Never)
	if !l.comes(func() bool { return l.served()[old] == replicas-1 }) {
		return health.Pending, "the pod is ready yet", nil
	}
	return health.Pass, "", nil
}

// A version that served, but for one pod of three, when a release took its
// traffic is what there is to go back to: it gets its traffic back. The release
// that was given up keeps its own beside it, for without it fewer would serve
// than are wanted, and the error says so: that choice is a person's.
func TestBugAVersionWithOnePodDownIsNoWayBack(t *testing.T) {
	t.Parallel()
	w := newWorld(t, kube.Labels)
	s := way(w.mode, bad{}).(strategy.RedBlack)
	s.Before = limping{w}
	err := deploy(t.Context(), runner(w.open()), w, "2", release, s)
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Stranded, abort.Kind)
	require.ErrorContains(t, err, "2 of 3 endpoints of web-v001 are back")
	require.Equal(t, replicas-1, w.served()[old], "it serves again")
}
