// Package lockstep_test runs the same schedules on the simulated cluster and on
// the real client over a real apiserver, call by call, and compares what each
// call has answered.
//
// The simulated cluster is the master of all controllers: there is no real one.
// What its controllers, nodes and people do is made real with plain writes
// before the real client's next call (see mirror), so that both clients act in
// the same world at the same instant.
//
// LONG=1 runs everything. CUTOVER_SCHEDULES is how many random schedules there
// are, CUTOVER_SEED from where, and CUTOVER_REPLAY=token plays a single one:
// "redblack/upgrade F03.0@7 then next".
package lockstep_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// plane is shared by all schedules. Each has a namespace of its own.
var plane *controlplane.Plane

// hand is whoever makes the simulated world real.
var hand *kubernetes.Clientset

func TestMain(m *testing.M) {
	code := run(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	fmt.Println(&total)
	os.Exit(code)
}

func run(m *testing.M) int {
	var err error
	plane, err = controlplane.New(context.Background(), controlplane.Options{
		Components: []controlplane.Component{controlplane.Etcd, controlplane.APIServer},
		Flags: map[controlplane.Component][]string{
			controlplane.Etcd: {"--unsafe-no-fsync=true"}, // nothing here outlives the machine
			// A list from a cache waits for it to catch up, up to 100 ms; the store has it now.
			controlplane.APIServer: {"--watch-cache=false"},
		},
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	cfg := plane.Config()
	cfg.ContentType = "application/vnd.kubernetes.protobuf"
	if hand, err = kubernetes.NewForConfig(cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer closeIdle(cfg)
	return m.Run()
}

// closeIdle ends the connections that all clients share.
func closeIdle(cfg *rest.Config) {
	if client, err := rest.HTTPClientFor(cfg); err == nil {
		client.CloseIdleConnections()
	}
}
