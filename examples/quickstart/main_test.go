package main

import (
	"bytes"
	"flag"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

var update = flag.Bool("update", false, "write what it prints into the README")

// The README shows what the quickstart prints.
func TestShow(t *testing.T) {
	var first, second bytes.Buffer
	require.NoError(t, show(&first))
	require.NoError(t, show(&second))
	require.Equal(t, first.String(), second.String(), "the simulator is deterministic")

	const path, fence = "../../README.md", "```\n"
	readme, err := os.ReadFile(path)
	require.NoError(t, err)
	before, rest, found := bytes.Cut(readme, []byte("\n"+fence))
	require.True(t, found)
	shown, after, found := bytes.Cut(rest, []byte(fence))
	require.True(t, found)
	if *update {
		all := bytes.Join([][]byte{before, []byte("\n" + fence), first.Bytes(), []byte(fence), after}, nil)
		require.NoError(t, os.WriteFile(path, all, 0o644))
		shown = first.Bytes()
	}
	require.Equal(t, first.String(), string(shown), "run go test ./examples/quickstart -update, and read the difference")
}
