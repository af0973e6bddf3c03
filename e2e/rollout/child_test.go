// The test binary as a process of its own, to be killed: it runs one task
// against the cluster that its environment names.

package rollout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"time"

	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

const (
	childTask      = "CUTOVER_E2E_TASK"
	childNamespace = "CUTOVER_E2E_NAMESPACE"
	childConfig    = "CUTOVER_E2E_KUBECONFIG"
	childKeeps     = "CUTOVER_E2E_KEEPS"   // the version of the workers to keep
	childVariant   = "CUTOVER_E2E_VARIANT" // which of the variants of a cleanup
)

// tasks are what a child process can be asked to do.
var tasks = map[string]func(ctx context.Context, open func(kube.Options) (*kube.Cluster, error)) error{}

// childProcess is the command that does a task in this world.
func (w *world) childProcess(task string, env ...string) func(*controlplane.Proxy) *exec.Cmd {
	return func(proxy *controlplane.Proxy) *exec.Cmd {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), childTask+"="+task, childNamespace+"="+w.ns, childConfig+"="+proxy.Kubeconfig())
		cmd.Env = append(cmd.Env, env...)
		return cmd
	}
}

// child does a task and returns the exit code.
func child(task string) int {
	do := tasks[task]
	if do == nil {
		fmt.Fprintln(os.Stderr, "no such task:", task)
		return 2
	}
	open := func(o kube.Options) (*kube.Cluster, error) {
		config, err := clientcmd.BuildConfigFromFlags("", os.Getenv(childConfig))
		if err != nil {
			return nil, err
		}
		config.UserAgent = os.Getenv(childNamespace)
		o.Namespace = os.Getenv(childNamespace)
		return kube.New(config, o)
	}
	if err := do(context.Background(), open); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// quick is a Runner that does not wait for people.
func quick(c cluster.Cluster) strategy.Runner {
	return strategy.Runner{Cluster: c, Poll: 20 * time.Millisecond, Skew: -1, Stay: true, Trace: func(e strategy.Event) { fmt.Println(e) }}
}
