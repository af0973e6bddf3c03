// Command prepare builds the binaries of package controlplane into the user's
// cache, so that tests find them there, and prints where they are.
package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"os/signal"
	"slices"

	"github.com/cutover-dev/cutover/e2e/controlplane"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	defer stop()
	binaries, err := controlplane.Binaries(ctx)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	for _, name := range slices.Sorted(maps.Keys(binaries)) {
		fmt.Println(binaries[name])
	}
}
