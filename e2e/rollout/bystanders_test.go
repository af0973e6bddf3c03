// Rollouts beside an autoscaler, and beside another that has the same reservation.

package rollout_test

import (
	"context"
	"errors"
	"os/exec"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	autoscalingv2 "k8s.io/api/autoscaling/v2"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

// deployment is the next version of the tutorial, sized by what serves.
func deployment(release string) (cluster.Target, error) {
	target, err := kube.Target([]byte(second))
	target.Release, target.Replicas = release, 0
	return target, err
}

func init() {
	tasks["red-black, autoscaled"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		c, err := open(kube.Options{Autoscalers: true})
		if err != nil {
			return err
		}
		target, err := deployment("release-2")
		if err != nil {
			return err
		}
		_, err = quick(c).Run(ctx, app, target, strategy.RedBlack{Drain: -1, Keep: strategy.Retention{Shrink: time.Second}})
		return err
	}
	tasks["blue-green, autoscaled"] = func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error {
		o := busyboxOptions
		o.Autoscalers = true
		c, err := open(o)
		if err != nil {
			return err
		}
		target, err := kube.Target(busybox11())
		if err != nil {
			return err
		}
		target.Release, target.Replicas = "1.11", 0
		_, err = quick(c).Run(ctx, "busybox", target, strategy.BlueGreen{Drain: -1, Keep: strategy.Retention{Shrink: time.Second}})
		return err
	}
}

// withAutoscaler makes a world with an autoscaler of the old version, which names the
// new one in the end.
func withAutoscaler(objects string, least int32, service, kind, from, to string) func(*testing.T) *world {
	return func(t *testing.T) *world {
		w := serving(objects, int(least), service)(t)
		hpas := w.client.AutoscalingV2().HorizontalPodAutoscalers(w.ns)
		_, err := hpas.Create(t.Context(), &autoscalingv2.HorizontalPodAutoscaler{
			ObjectMeta: metav1.ObjectMeta{Name: service},
			Spec: autoscalingv2.HorizontalPodAutoscalerSpec{MinReplicas: &least, MaxReplicas: least + 3,
				ScaleTargetRef: autoscalingv2.CrossVersionObjectReference{APIVersion: "apps/v1", Kind: kind, Name: from}},
		}, metav1.CreateOptions{})
		require.NoError(t, err)
		t.Cleanup(func() {
			h, err := hpas.Get(context.WithoutCancel(t.Context()), service, metav1.GetOptions{})
			require.NoError(t, err)
			require.Equal(t, to, h.Spec.ScaleTargetRef.Name, "what the autoscaler names in the end")
		})
		return w
	}
}

func TestAutoscaledRedBlackKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: withAutoscaler(tutorial, 2, app, "ReplicaSet", "imageresizer-v001", "imageresizer-v002"), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.childProcess("red-black, autoscaled") },
		over:    func(w *world) bool { return w.pods()["imageresizer-v001"] == 0 },
		brief:   true,
	}.killedEverywhere(t)
}

func TestAutoscaledBlueGreenKilledAtEveryWrite(t *testing.T) {
	t.Parallel()
	errand{
		make: withAutoscaler(busybox, 2, "busybox1", "Deployment", "busybox-1.10", newVersion), floor: 2,
		command: func(w *world) func(*controlplane.Proxy) *exec.Cmd { return w.childProcess("blue-green, autoscaled") },
		over:    func(w *world) bool { return len(w.kubectl("get", "pods", "--no-headers")) == 2 },
		brief:   true,
	}.killedEverywhere(t)
}

// Two that both believe to have the app are as safe as two that never asked: what
// keeps them apart is not the reservation.
func TestTwoRunsWithOneReservation(t *testing.T) {
	t.Parallel()
	w := serving(tutorial, 2, app)(t)
	releases := []string{"release-2", "release-3"}
	errs := make([]error, len(releases))
	var both sync.WaitGroup
	for i, release := range releases {
		c := w.open()
		_, err := c.Reserve(t.Context(), app, "the same name", 0)
		require.NoError(t, err, "%s has it, too", release)
		target, err := deployment(release)
		require.NoError(t, err)
		both.Add(1)
		go func() {
			defer both.Done()
			runner := strategy.Runner{Cluster: c, Poll: 20 * time.Millisecond, Skew: -1}
			_, errs[i] = runner.Run(t.Context(), app, target, strategy.RedBlack{Drain: -1})
		}()
	}
	both.Wait()
	done := 0
	for i, err := range errs {
		var abort *strategy.AbortError
		switch {
		case err == nil:
			done++
		case errors.As(err, &abort) && abort.Kind == strategy.Superseded:
		default:
			t.Errorf("%s: %v", releases[i], err)
		}
	}
	require.GreaterOrEqual(t, done, 1, "%v", errs)
	s, err := w.open().Observe(t.Context(), app)
	require.NoError(t, err)
	var serves []string
	for _, r := range s.Revisions {
		if s.HasTraffic(r.Name) {
			serves = append(serves, r.Name)
		}
	}
	require.Len(t, serves, 1)
	newest := s.Revisions[len(s.Revisions)-1]
	require.Equal(t, newest.Name, serves[0], "the one with the highest sequence")
	require.Equal(t, cluster.Good, newest.Outcome.Result)
	w.held(2)
}
