// What needs /proc to be seen.

package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const childVariable = "CONTROLPLANE_TEST_CHILD"

// A child process with a plane is killed; nothing of the plane is left.
func TestNothingSurvivesAKilledProcess(t *testing.T) {
	if dir := os.Getenv(childVariable); dir != "" {
		plane, err := New(t.Context(), Options{Components: []Component{Kwok}})
		require.NoError(t, err)
		require.NoError(t, plane.Freeze(Kwok))
		pids := []string{plane.dir}
		for _, c := range plane.components {
			pid, err := plane.pid(c)
			require.NoError(t, err)
			pids = append(pids, fmt.Sprint(pid))
		}
		require.NoError(t, os.WriteFile(filepath.Join(dir, "new"), []byte(strings.Join(pids, " ")), 0o600))
		require.NoError(t, os.Rename(filepath.Join(dir, "new"), filepath.Join(dir, "up")))
		<-t.Context().Done() // never
	}
	dir := t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	out, err := os.Create(filepath.Join(dir, "out"))
	require.NoError(t, err)
	defer out.Close()
	child.Stdout, child.Stderr = out, out
	require.NoError(t, child.Start())
	var told []string
	eventually(t, "the child's plane is up", func(context.Context) (bool, any) {
		raw, err := os.ReadFile(filepath.Join(dir, "up"))
		told = strings.Fields(string(raw))
		said, _ := os.ReadFile(out.Name())
		return err == nil, string(said)
	})
	require.Len(t, told, 4, "a directory and three processes")
	require.NoError(t, child.Process.Kill())
	_ = child.Wait()
	eventually(t, "directory and processes are gone", func(context.Context) (bool, any) {
		var left []string
		for i, what := range told {
			if i > 0 {
				what = filepath.Join("/proc", what, "exe") // a zombie has none
			}
			if _, err := os.Stat(what); err == nil {
				left = append(left, what)
			}
		}
		return len(left) == 0, left
	})
}
