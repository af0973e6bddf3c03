// Package kube_test tries package cluster/kube on a real control plane.
package kube_test

import (
	"context"
	"fmt"
	"os"
	"testing"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

// plane is shared by all tests. Each has namespaces of its own.
var plane *controlplane.Plane

func TestMain(m *testing.M) { os.Exit(run(m)) }

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
