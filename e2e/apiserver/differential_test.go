// Programs of requests, run on the simulated server and on the real one: what is
// answered must be the same after every step, up to the allowed differences.

package apiserver_test

import (
	"flag"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// compare runs a step on both sides and says how they differ; "": they do not.
func compare(both [2]*side, st step) string {
	simulated, real := both[0].do(st), both[1].do(st)
	if simulated == real {
		return ""
	}
	a, b := strings.Split(simulated, "\n"), strings.Split(real, "\n")
	var diff strings.Builder
	seen := map[string]int{}
	for _, l := range a {
		seen[l]++
	}
	for _, l := range b {
		seen[l]--
	}
	for _, l := range a {
		if seen[l] > 0 {
			fmt.Fprintf(&diff, "simulated: %s\n", l)
		}
	}
	for _, l := range b {
		if seen[l] < 0 {
			fmt.Fprintf(&diff, "real:      %s\n", l)
		}
	}
	if diff.Len() == 0 {
		return "in another order:\n" + simulated + "\nreal:\n" + real
	}
	return diff.String()
}

// TestExamples runs the programs that once showed a difference.
func TestExamples(t *testing.T) {
	for _, example := range examples {
		t.Run(example.name, func(t *testing.T) {
			both := sides(t)
			for _, st := range parse(t, example.program) {
				if d := compare(both, st); d != "" {
					t.Errorf("%s\n%s", st, d)
				}
			}
		})
	}
}

// programsWanted is how many random programs are run.
func programsWanted(t *testing.T) int {
	text := os.Getenv("CUTOVER_PROGRAMS")
	if text == "" {
		return 200
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, "CUTOVER_PROGRAMS")
	return n
}

// TestPrograms runs random programs of 30 to 50 steps: the same ones each time,
// so that what lands is what was tried. CUTOVER_PROGRAMS says how many, and
// CUTOVER_SEED which.
func TestPrograms(t *testing.T) {
	wanted, ran, steps := programsWanted(t), 0, 0
	answers := map[string]int{} // by method and code
	require.NoError(t, flag.Set("rapid.checks", strconv.Itoa(wanted)))
	require.NoError(t, flag.Set("rapid.nofailfile", "true"))
	seed := os.Getenv("CUTOVER_SEED")
	if seed == "" {
		seed = "1"
	}
	require.NoError(t, flag.Set("rapid.seed", seed))
	rapid.Check(t, func(rt *rapid.T) {
		both := sides(rt)
		d := &draw{T: rt, seen: both[0]}
		var program []string
		for range rapid.IntRange(30, 50).Draw(rt, "steps") {
			st := d.step()
			program = append(program, st.String())
			if difference := compare(both, st); difference != "" {
				rt.Fatalf("%s\n%s", strings.Join(program, "\n"), difference)
			}
			steps++
		}
		for answer, n := range both[0].answers {
			answers[answer] += n
		}
		ran++
	})
	require.GreaterOrEqual(t, ran, wanted, "programs that ran to their end")
	t.Logf("%d programs, %d steps: %v", ran, steps, answers)
}
