// Each kind of change, on a line that has it; and what every mutant must be.

package main

import (
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// of returns what mutate makes of a line in a function, as "was => is".
func of(t *testing.T, line string) []string {
	mutants, err := mutate("x.go", []byte("package x\n\nfunc f() {\n"+line+"\n}\n"))
	require.NoError(t, err)
	var got []string
	for _, m := range mutants {
		require.Equal(t, "f", m.function)
		require.Equal(t, 4, m.line)
		require.Equal(t, strings.TrimSpace(line), m.was)
		got = append(got, m.is)
	}
	return got
}

func TestEachKindOfChange(t *testing.T) {
	for _, c := range []struct {
		line string
		want []string
	}{
		{"x := a < b", []string{"x := a <= b"}},
		{"x := a >= 1", []string{"x := a > 1", "x := a >= 2"}},
		{"x := a == -1", []string{"x := a != -1", "x := a == -2"}},
		{"x := 2 * time.Second", []string{"x := 3 * time.Second"}},
		{"x := a && b", []string{"x := a || b", "x := !a && b", "x := a && !b"}},
		{"x := a && b || !c", []string{"x := (a && b) && !c", "x := !(a && b) || !c", "x := a && b || c",
			"x := (a || b) || !c", "x := !a && b || !c", "x := a && !b || !c"}},
		{"x := a && b && c", []string{"x := (a && b) || c", "x := a && b && !c", "x := (a || b) && c", "x := !a && b && c", "x := a && !b && c"}},
		{"if a < b { return }", []string{"if !(a < b) { return }", "if false && (a < b) { return }", "if a <= b { return }"}},
		{"if a == b { c() }", []string{"if a != b { c() }"}},
		{"switch { case a, !b: c() }", []string{"switch { case !a, !b: c() }", "switch { case a, b: c() }", "switch { case false && (a), false && (!b): c() }"}},
		{"switch a { case b: c() }", []string{"switch a { }"}},
		{"switch { default: d() }", []string{"switch { }"}},
		{"x := max(0, a)", []string{"x := min(0, a)", "x := max(1, a)"}},
		{"for { continue }", []string{"for { break }"}},
		{"for i := range 5 { a(i) }", nil},
		{"x := true", []string{"x := false"}},
		{"r.Enabled = on()", []string{"_ = on()"}},
		{"r.Note, x = a, b", []string{"_, _ = a, b"}},
		{"r.Trouble = nil", []string{"(dropped)"}},
		{"n++", []string{"(dropped)"}},
		{"x := []rule{a, b}", []string{"x := []rule{b}", "x := []rule{a, }"}},
		{`x := []string{"a", "1"}`, nil},
		{`return "a && 1 < 2", 3`, nil},
	} {
		require.Equal(t, c.want, of(t, c.line), c.line)
	}
}

func TestWhatThingsAreCalledIsNotChanged(t *testing.T) {
	mutants, err := mutate("x.go", []byte("package x\n\nfunc (r R) String() string { if r == 1 { return \"\" }; return \"1\" }\n"))
	require.NoError(t, err)
	require.Empty(t, mutants)
}

// Every mutant of every file parses, is unlike the original and unlike every
// other one, and has a place that is to be found.
func TestMutantsOfTheFilesThatAreChanged(t *testing.T) {
	for _, s := range sources {
		text, err := os.ReadFile("../../../" + s.file)
		require.NoError(t, err)
		mutants, err := mutate(s.file, text)
		require.NoError(t, err)
		require.NotEmpty(t, mutants, s.file)
		seen := map[string]bool{string(text): true}
		lines := strings.Split(string(text), "\n")
		for _, m := range mutants {
			require.False(t, seen[string(m.text)], m.id())
			seen[string(m.text)] = true
			_, err := parser.ParseFile(token.NewFileSet(), m.file, m.text, parser.SkipObjectResolution)
			require.NoError(t, err, m.id())
			require.True(t, strings.HasPrefix(m.was, strings.Join(strings.Fields(lines[m.line-1]), " ")), m.id())
			require.NotEqual(t, m.was, m.is)
		}
	}
}

func TestAnEquivalentIsFoundByWhatItSays(t *testing.T) {
	mutants, err := mutate("x.go", []byte("package x\n\nfunc f() bool { return a < b }\n"))
	require.NoError(t, err)
	entry := mutants[0].id() + ": a is never b"
	require.NoError(t, equivalents{entry}.mark(mutants))
	require.True(t, mutants[0].equivalent)
	require.Error(t, equivalents{strings.Replace(entry, "a < b", "a < c", 1)}.mark(mutants), "it fits nothing")
	require.Error(t, equivalents{mutants[0].id() + ":"}.mark(mutants), "it has no proof")

	_, err = count(mutants, []verdict{{outcome: killed}})
	require.ErrorContains(t, err, "listed as equivalent")
	total, err := count(mutants, []verdict{{outcome: survived}})
	require.NoError(t, err)
	require.Equal(t, tally{equivalent: 1}, total)
}

// The list is about files that are changed, and about mutants that there are.
func TestTheListOfEquivalents(t *testing.T) {
	list, err := readEquivalents("../equivalent.txt", regexp.MustCompile(""))
	require.NoError(t, err)
	var mutants []mutant
	for _, s := range sources {
		text, err := os.ReadFile("../../../" + s.file)
		require.NoError(t, err)
		of, err := mutate(s.file, text)
		require.NoError(t, err)
		mutants = append(mutants, of...)
	}
	require.NoError(t, list.mark(mutants))
}

func TestTallyIsGoodOnlyIfTheGuardAndDecideAreWhole(t *testing.T) {
	require.True(t, tally{killed: 95, of: 100, mustKilled: 9, mustOf: 9}.good())
	require.False(t, tally{killed: 94, of: 100, mustKilled: 9, mustOf: 9}.good())
	require.False(t, tally{killed: 99, of: 100, mustKilled: 8, mustOf: 9}.good())
	require.Contains(t, tally{killed: 999, of: 1000}.String(), "999 of 1000 killed (99.9 %)")
}
