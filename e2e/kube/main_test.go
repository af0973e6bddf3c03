// Package kube_test tries package cluster/kube on a real control plane.
package kube_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"go.uber.org/goleak"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// plane is shared by all tests. Each has namespaces of its own.
var plane *controlplane.Plane

func TestMain(m *testing.M) {
	code := run(m)
	if err := goleak.Find(); code == 0 && err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) int {
	var err error
	if plane, err = controlplane.New(context.Background(), controlplane.Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() {
		if err := plane.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
	}()
	return m.Run()
}
