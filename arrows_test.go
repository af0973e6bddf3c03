// The golden of which package imports which.

package cutover_test

import (
	"flag"
	"maps"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write the golden of the import arrows anew")

// Which package imports which is a decision, so it stands in a file: a line per
// package, with what it imports of cutover, and the modules that whoever imports
// it gets with it. A new arrow, or a new burden, is seen in review.
func TestArrows(t *testing.T) {
	const module = "github.com/cutover-dev/cutover"
	list := func(args ...string) []string {
		out, err := exec.Command("go", append([]string{"list"}, args...)...).Output()
		require.NoError(t, err)
		return strings.Split(strings.TrimSpace(string(out)), "\n")
	}
	var got strings.Builder
	for _, line := range list("-f", `{{.ImportPath}} {{join .Imports " "}}`, "./...") {
		words := strings.Fields(line)
		got.WriteString(strings.Replace(words[0], module, ".", 1) + ":")
		for _, i := range words[1:] {
			if ours, ok := strings.CutPrefix(i, module); ok {
				got.WriteString(" ." + ours)
			}
		}
		burden := map[string]bool{}
		for _, m := range list("-deps", "-f", `{{with .Module}}{{.Path}}{{end}}`, words[0]) {
			if m != "" && m != module {
				burden[m] = true
			}
		}
		if len(burden) > 0 {
			got.WriteString("\n    with " + strings.Join(slices.Sorted(maps.Keys(burden)), " "))
		}
		got.WriteString("\n")
	}
	const golden = "testdata/arrows.txt"
	if *update {
		require.NoError(t, os.MkdirAll("testdata", 0o755))
		require.NoError(t, os.WriteFile(golden, []byte(got.String()), 0o644))
	}
	want, err := os.ReadFile(golden)
	require.NoError(t, err)
	require.Equal(t, string(want), got.String())
}
