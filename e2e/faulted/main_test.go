// Package faulted_test runs rollouts and cleanups on a real control plane while
// HTTP requests, controllers, pods and people fail them, and judges every
// revision of what there was by a complete watch log.
//
//	go -C e2e test -v -parallel 4 ./faulted              # fifty runs
//	LONG=1 go -C e2e test -v -parallel 4 ./faulted       # two hundred
//	CUTOVER_SEED=7 go -C e2e test -v -run 'Rollouts/^12-' ./faulted
package faulted_test

import (
	"context"
	"fmt"
	"os"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

var plane *controlplane.Plane // shared: each run has a namespace of its own

// tally is what the last line says.
var tally struct {
	sync.Mutex
	runs, fired, breaches int
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	fmt.Printf("faulted rollouts: %d runs, %d faults fired, %d breaches\n", tally.runs, tally.fired, tally.breaches)
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	if plane, err = controlplane.New(context.Background(), controlplane.Options{}); err != nil {
		return 1, err
	}
	defer func() {
		if stopped := plane.Stop(); stopped != nil {
			err = stopped
		}
	}()
	return m.Run(), nil
}
