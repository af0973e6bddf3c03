// The laws of a Cluster, over the real one.

package kube_test

import (
	"context"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/clustertest"
	"github.com/cutover-dev/cutover/cluster/kube"
)

// opener opens worlds with two apps, whose Services have such selectors.
func opener(o kube.Options, selector func(app string) map[string]string) func(t *testing.T) clustertest.World {
	return func(t *testing.T) clustertest.World {
		w := newWorld(t)
		if selector != nil {
			w.service("web", selector("web"))
			w.service("api", selector("api"))
		}
		return clustertest.World{
			Cluster: w.open(o), App: "web", Other: "api",
			Template: func(tag string) []byte { return template(t, map[string]string{"tier": "shop"}, tag) },
			Sleep:    sleep,
			Patience: patience,
		}
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	wait := time.NewTimer(d)
	defer wait.Stop()
	select {
	case <-wait.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func TestLabelTrafficKeepsTheLaws(t *testing.T) {
	t.Parallel()
	clustertest.TestCluster(t, opener(kube.Options{}, func(app string) map[string]string {
		return map[string]string{"load-balancer-" + app: "true"}
	}), cluster.Can{Enable: true})
}

func TestSelectorTrafficKeepsTheLaws(t *testing.T) {
	t.Parallel()
	clustertest.TestCluster(t, opener(kube.Options{Traffic: kube.Selector}, func(app string) map[string]string {
		return map[string]string{kube.RevisionLabel: app + "-v000"}
	}), cluster.Can{Select: true})
}

func TestDeploymentsKeepTheLaws(t *testing.T) {
	t.Parallel()
	clustertest.TestCluster(t, opener(kube.Options{Traffic: kube.Selector, Kind: kube.Deployment}, func(app string) map[string]string {
		return map[string]string{kube.RevisionLabel: app + "-v000"}
	}), cluster.Can{Select: true})
}

func TestWorkersKeepTheLaws(t *testing.T) {
	t.Parallel()
	clustertest.TestCluster(t, opener(kube.Options{}, nil), cluster.Can{})
}
