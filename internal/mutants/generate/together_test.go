// All mutants in one program do what each does alone.

package main

import (
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

// small has a function of each shape that the choice has to be made in, and of
// one mutant of it, without its only return, that does not compile.
const small = `package main

import "fmt"

type number int

func (number) any(_ int, more ...int) bool { return len(more) > 1 }

func (n *number) raise() { *n++ }

func order(a, b int) (least int, ok bool) {
	least = min(a, b)
	return least, a < b
}

func only(a int) int {
	switch {
	default:
		return a
	}
}

func count(n int) int {
	if n <= 0 {
		return 0
	}
	return 1 + count(n-1)
}

func generic[T any](list []T) bool { return len(list) == 2 }

func main() {
	var n number
	n.raise()
	least, ok := order(2, 1)
	fmt.Println(n, n.any(1), n.any(1, 2), n.any(1, 2, 3), least, ok, only(3), count(4), generic([]int{1, 2}))
}
`

func TestTogetherTheyDoWhatEachDoesAlone(t *testing.T) {
	mutants, err := mutate("main.go", []byte(small))
	require.NoError(t, err)
	for i := range mutants {
		mutants[i].number = i + 1
	}
	program := func(text []byte) string {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "main.go"), text, 0o644))
		require.NoError(t, os.WriteFile(filepath.Join(dir, "go.mod"), []byte("module small\n\ngo 1.24\n"), 0o644))
		return dir
	}
	build := func(dir string) error {
		build := exec.Command("go", "build", "-o", "small", ".")
		build.Dir = dir
		return build.Run()
	}
	says := func(dir string, number int) string {
		run := exec.Command("./small")
		run.Dir, run.Env = dir, append(os.Environ(), triedMutant+"="+strconv.Itoa(number))
		out, err := run.CombinedOutput()
		require.NoError(t, err, "%s", out)
		return string(out)
	}
	union := program([]byte(small))
	b := &bench{dir: union, tree: union, invalid: map[int]bool{}}
	require.NoError(t, b.join(mutants))
	require.NoError(t, build(union))
	original := program([]byte(small))
	require.NoError(t, build(original))
	require.Equal(t, says(original, 0), says(union, 0))
	invalid, tried, alone := 0, 0, 0
	for _, m := range mutants {
		if !m.together() {
			alone++
			require.Equal(t, "generic", m.function)
			continue
		}
		if m.function == "count" && m.is != "return 2 + count(n-1)" {
			continue // some of these count without end
		}
		dir := program(m.text)
		if build(dir) != nil {
			invalid++
			require.True(t, b.invalid[m.number], m.id())
			continue
		}
		tried++
		require.False(t, b.invalid[m.number], m.id())
		require.Equal(t, says(dir, 0), says(union, m.number), m.id())
	}
	require.Equal(t, 1, invalid)
	require.Positive(t, alone)
	require.Greater(t, tried, 8)
}

func TestACompilersComplaintIsAMutants(t *testing.T) {
	unions := map[string]*union{"a/a.go": {owners: []int{0, 7, 7, 8}}}
	require.Equal(t, []int{7, 8}, blamed([]byte("# a\na/a.go:4:2: missing return\n./a/a.go:2:1: x declared and not used\na/a.go:3:1: y\n"), unions))
	require.Empty(t, blamed([]byte("a/a.go:4:2: missing return\na/a.go:1:1: x\n"), unions), "the original's")
	require.Empty(t, blamed([]byte("a/b.go:4:2: missing return\n"), unions), "another file's")
	require.Empty(t, blamed([]byte("no space left on device\n"), unions))
}
