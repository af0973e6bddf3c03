// The checks that must notice a mutant.

package main

import (
	"path/filepath"
	"slices"
	"time"
)

// A check is one run of the tests of one package.
type check struct {
	name  string
	pkg   string        // from the module's root
	tests []string      // flags of the test binary: which tests
	limit time.Duration // a run that takes more of the processor's time has failed
	slow  bool          // it is run when all mutants have been through those that are not
}

// checks are run in this order, those of the changed file's own package first
// among the quick ones, and only those whose package is built from it. First
// come those that kill many in little time.
var checks = []check{
	{"guard", "internal/guard", all, 3 * time.Second, false},
	{"cluster", "cluster", all, 3 * time.Second, false},
	{"strategy", "strategy", []string{"-test.skip=^TestAHundred"}, 3 * time.Second, false},
	{"cleanup", "cleanup", all, 5 * time.Second, false},
	{"undisturbed", suite, []string{"-test.run=^TestFaults$/./^undisturbed$"}, 10 * time.Second, false},
	{"random", suite, []string{"-test.run=^TestRandomSchedules$", "-rapid.shrinktime=1ms"}, 30 * time.Second, true},
	{"states red-black", suite, []string{"-test.run=^TestFaults$/^RedBlack$/^states$"}, 30 * time.Second, true},
	{"states overlap", suite, []string{"-test.run=^TestFaults$/^BlueGreen-overlap$/^states$"}, 30 * time.Second, true},
	{"states by selector", suite, []string{"-test.run=^TestFaults$/^(Rolling-batches|Recreate-selector)$/^states$"}, 30 * time.Second, true},
	{"states canary", suite, []string{"-test.run=^TestFaults$/^(Canary|Canary-weights)$/^states$"}, 60 * time.Second, true},
	{"faults rolling", suite, []string{"-test.run=^TestFaults$/^(Rolling|Rolling-batches)$/^every$/^(upgrade|undo|redo-warm|over-both)$"}, 90 * time.Second, true},
	{"faults canary", suite, []string{"-test.run=^TestFaults$/^Canary-weights$/^every$/^(undo|redo-warm|over-both|gate-stage-fails)$"}, 120 * time.Second, true},
	{"faults red-black", suite, []string{"-test.run=^TestFaults$/^RedBlack$/^every$/^(first|upgrade|undo|third|third-after-fails|over-created|gate-before-fails)$"}, 60 * time.Second, true},
}

const suite = "strategy/strategytest"

var all = []string{"-test.run=."}

// An outcome is what came of a check, or of all of them.
type outcome string

const (
	survived outcome = "survived" // the tests passed
	killed   outcome = "killed"
	timeout  outcome = "timeout" // which counts as killed
	invalid  outcome = "invalid" // it did not compile
)

// checksOf returns the checks that could notice a change of a file.
func (b *bench) checksOf(file string) []check {
	dir := filepath.Dir(file)
	var list []check
	for _, c := range checks {
		if slices.Contains(b.reaches[c.pkg], dir) {
			list = append(list, c)
		}
	}
	slices.SortStableFunc(list, func(x, y check) int { return place(x, dir) - place(y, dir) })
	return list
}

func place(c check, dir string) int {
	switch {
	case c.slow:
		return 2
	case c.pkg != dir:
		return 1
	}
	return 0
}
