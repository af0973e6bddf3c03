package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestShow(t *testing.T) {
	var first, second bytes.Buffer
	require.NoError(t, show(&first))
	require.NoError(t, show(&second))
	require.Equal(t, first.String(), second.String(), "the simulator is deterministic")
	require.Contains(t, first.String(), "Serving now: web-v002 3.")

	readme, err := os.ReadFile("../../README.md")
	require.NoError(t, err)
	require.Contains(t, string(readme), first.String(), "the README shows what it prints")
}
