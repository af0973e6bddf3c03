// Package rollout_test deploys and cleans up on a real control plane: what people
// have written down about red-black, blue-green and their failures, each killed
// at every write, and every bad input that must be refused before the first one.
package rollout_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

var (
	plane *controlplane.Plane // shared: each test has a namespace of its own
	tool  string              // the path of examples/redblack
)

func TestMain(m *testing.M) {
	if task := os.Getenv(childTask); task != "" {
		os.Exit(child(task))
	}
	code, err := run(m)
	if err == nil && code == 0 {
		err = goleak.Find()
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "redblack-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	tool = filepath.Join(dir, "redblack")
	if out, err := exec.Command("go", "build", "-o", tool, "github.com/cutover-dev/cutover/examples/redblack").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("building examples/redblack: %w\n%s", err, out)
	}
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
