// A cleanup of what an autoscaler names, or a Service is pinned beside.

package rollout_test

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

// superfluous is what a deployment of the tutorial's second version has left: its
// pods are ready, and have no traffic.
var superfluous = strings.NewReplacer("imageresizer-v001", "imageresizer-v002", `, load-balancer-imageresizer: "true"}}`, "}}", "release-1", "release-2").
	Replace(tutorial[strings.Index(tutorial, "---"):])

// runFailed cleans up after a run that is known to be over.
var runFailed = cleanup.Policy{RunFailed: true, Drain: -1}

func init() {
	tasks["cleanup, autoscaled"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		c, err := open(kube.Options{Autoscalers: true})
		if err != nil {
			return err
		}
		_, err = cleanup.Run(ctx, quick(c), app, runFailed)
		return err
	}
}

// The autoscaler names the dark one: it is pointed at what serves before that goes,
// wherever the process is killed.
func TestCleanupPointsAnAutoscalerAtWhatItKeepsKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: withAutoscaler(tutorial+superfluous, 2, app, "ReplicaSet", "imageresizer-v002", "imageresizer-v001"), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.childProcess("cleanup, autoscaled") },
		over:    func(w *world) bool { return len(w.kubectl("get", "pods", "--no-headers")) == 2 },
		brief:   true,
	}.killedEverywhere(t)
}

// At no moment did an autoscaler name what is not there.
func TestCleanupLeavesNoAutoscalerPointingAtNothing(t *testing.T) {
	t.Parallel()
	w := withAutoscaler(tutorial+superfluous, 2, app, "ReplicaSet", "imageresizer-v002", "imageresizer-v001")(t)
	cfg := plane.Config()
	cfg.UserAgent = w.ns
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns, Autoscalers: true})
	require.NoError(t, err)
	look, err := c.Observe(t.Context(), app)
	require.NoError(t, err)
	found := cleanup.Diagnose(app, look, runFailed)
	require.Contains(t, found.Findings, cleanup.IdleScaler)
	require.Contains(t, found.String(), "horizontalpodautoscaler/imageresizer: it scales imageresizer-v002, which has no traffic")

	deleted := 0
	runner := quick(c)
	runner.Trace = func(e strategy.Event) {
		if _, deletes := e.Step.(strategy.Delete); deletes && e.Err == nil {
			deleted++
			h, err := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns).Get(t.Context(), app, metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, "imageresizer-v001", h.Spec.ScaleTargetRef.Name)
		}
	}
	_, err = cleanup.Run(t.Context(), runner, app, runFailed)
	require.NoError(t, err)
	require.Positive(t, deleted)
	w.held(2)
}

// A run that took over a plain Deployment has died, with the Service pinned: before
// its revision had pods, and after. The cleanup takes the pods, and then the pin.
func TestCleanupTakesALeftoverPinOff(t *testing.T) {
	eachKind(t, func(t *testing.T, kind kube.Kind) {
		for _, p := range []point{{"after", 2}, {"after", 3}} { // the pin; the raise
			t.Run(p.String(), func(t *testing.T) {
				w, c := newPlain(t, kind)
				both := w.watchSides()
				_, reached := w.process(w.childProcess("adopt", childKind+"="+kind.String()), p)
				require.True(t, reached)
				require.NotEmpty(t, w.selects()["pod-template-hash"])

				_, err := cleanup.Run(t.Context(), quick(c), "web", cleanup.Policy{Drain: -1})
				require.NoError(t, err)
				require.NotEmpty(t, w.selects()["pod-template-hash"], "nobody has said that the run is over")

				decisions, err := cleanup.Run(t.Context(), quick(c), "web", runFailed)
				require.NoError(t, err)
				require.Len(t, decisions, 1)
				w.asBefore()
				both.apart(w)
				w.held(3)
			})
		}
	})
}
