// The checks that must notice a mutant, and how one is built and run.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// A check is one run of the tests of one package.
type check struct {
	name  string
	pkg   string        // from the module's root
	tests string        // a flag of the test binary: which tests
	limit time.Duration // a run that takes longer has failed
}

// checks are run in this order, those of the changed file's own package first
// among the quick ones, and only those whose package is built from it.
var checks = []check{
	{"guard", "internal/guard", "-test.run=.", quick},
	{"cluster", "cluster", "-test.run=.", quick},
	{"cleanup", "cleanup", "-test.run=.", quick},
	{"strategy", "strategy", "-test.skip=^(" + everyState + "|" + abandoned + "|" + lateWrites + "|" + everyFault + ")$", quick},
	{"every state", "strategy", "-test.run=^" + everyState + "$", slow},
	{"abandoned", "strategy", "-test.run=^" + abandoned + "$", slow},
	{"every fault", "strategy", "-test.run=^" + everyFault + "$", slow},
	{"late writes", "strategy", "-test.run=^" + lateWrites + "$", slow},
}

const (
	everyState = "TestFromEveryState"
	abandoned  = "TestAbandonedAtEveryCall"
	lateWrites = "TestLastWriteOfADeadRunArrivesInTheNextOne"
	everyFault = "TestEveryFaultAtEveryCall"

	quick = 20 * time.Second
	slow  = 60 * time.Second
)

// beside are the packages that tests are made of, as much as of their own files.
var beside = regexp.MustCompile(`^(fake|cluster/clustertest|strategy/strategytest)(/|$)`)

// copied is what the copy of the tree is made of.
var copied = []string{"cleanup", "cluster", "fake", "health", "internal", "strategy"}

// An outcome is what came of a check, or of all of them.
type outcome string

const (
	survived outcome = "survived" // the tests passed
	killed   outcome = "killed"
	timeout  outcome = "timeout" // which counts as killed
	invalid  outcome = "invalid" // it did not compile
)

// A bench is a copy of the tree, and where things are built.
type bench struct {
	tree    string
	reaches map[string][]string // the packages that a package's tests are built from
	tests   map[string]string   // a hash of what each package's tests are made of
}

func newBench(root, dir string) (*bench, error) {
	b := &bench{tree: filepath.Join(dir, "tree"), reaches: map[string][]string{}, tests: map[string]string{}}
	for _, name := range copied {
		if err := os.CopyFS(filepath.Join(b.tree, name), os.DirFS(filepath.Join(root, name))); err != nil {
			return nil, err
		}
	}
	for _, name := range []string{"go.mod", "go.sum"} {
		text, err := os.ReadFile(filepath.Join(root, name))
		if err != nil {
			return nil, err
		}
		if err := os.WriteFile(filepath.Join(b.tree, name), text, 0o644); err != nil {
			return nil, err
		}
	}
	for _, c := range checks {
		if b.reaches[c.pkg] != nil {
			continue
		}
		var err error
		if b.reaches[c.pkg], err = b.built(c.pkg); err != nil {
			return nil, err
		}
		if b.tests[c.pkg], err = b.testHash(c.pkg); err != nil {
			return nil, err
		}
	}
	return b, nil
}

// built lists the packages of this module that the tests of one are built from.
func (b *bench) built(pkg string) ([]string, error) {
	list := exec.Command("go", "list", "-deps", "-test", "-f", "{{.Dir}}", "./"+pkg)
	list.Dir = b.tree
	out, err := list.Output()
	if err != nil {
		return nil, fmt.Errorf("listing what the tests of %s are built from: %w", pkg, err)
	}
	var found []string
	for line := range strings.Lines(string(out)) {
		if dir, ours := strings.CutPrefix(strings.TrimSpace(line), b.tree+"/"); ours {
			found = append(found, dir)
		}
	}
	return found, nil
}

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
	case c.limit == slow:
		return 2
	case c.pkg != dir:
		return 1
	}
	return 0
}

// A trial is one mutant on the bench. With no mutant it is the tree as it is.
type trial struct {
	*bench
	dir     string // of its own
	overlay string // the file that says what is replaced
	file    string // that is replaced
}

func (b *bench) try(m *mutant) (*trial, error) {
	dir, err := os.MkdirTemp(filepath.Dir(b.tree), "trial-")
	if err != nil {
		return nil, err
	}
	t := &trial{bench: b, dir: dir, overlay: filepath.Join(dir, "overlay.json")}
	replace := map[string]string{}
	if m != nil {
		t.file = m.file
		changed := filepath.Join(dir, "changed.go")
		replace[filepath.Join(b.tree, m.file)] = changed
		if err := os.WriteFile(changed, m.text, 0o644); err != nil {
			return nil, err
		}
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return nil, err
	}
	return t, os.WriteFile(t.overlay, text, 0o644)
}

func (t *trial) binary(pkg string) string {
	return filepath.Join(t.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
}

// build makes the test binary of a package, if it is not there. It is false if
// the changed file does not compile.
func (t *trial) build(pkg string) (bool, error) {
	if _, err := os.Stat(t.binary(pkg)); err == nil {
		return true, nil
	}
	build := exec.Command("go", "test", "-c", "-trimpath", "-ldflags=-s -w", "-overlay", t.overlay, "-o", t.binary(pkg), "./"+pkg)
	build.Dir = t.tree
	out, err := build.CombinedOutput()
	switch {
	case err == nil:
		return true, nil
	case t.file != "" && (bytes.Contains(out, []byte(filepath.Base(t.file)+":")) || bytes.Contains(out, []byte("changed.go:"))):
		return false, nil
	}
	return false, fmt.Errorf("building the tests of %s: %w: %s", pkg, err, out)
}

// bounded keeps a mutant that allocates without end from taking the machine's
// memory (in KiB), where the shell can.
const bounded = `ulimit -v 6000000 2>/dev/null; exec "$0" "$@"`

// run runs one check.
func (t *trial) run(c check) (outcome, error) {
	if compiled, err := t.build(c.pkg); err != nil || !compiled {
		return invalid, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), c.limit+5*time.Second)
	defer cancel()
	test := exec.CommandContext(ctx, "sh", "-c", bounded, t.binary(c.pkg), c.tests, "-test.failfast", "-test.timeout="+c.limit.String())
	test.Dir = filepath.Join(t.tree, c.pkg)
	out, err := test.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil || bytes.Contains(out, []byte("panic: test timed out")):
		return timeout, nil
	case errors.As(err, &exit):
		return killed, nil
	case err != nil:
		return "", fmt.Errorf("running %s: %w", c.name, err)
	case bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("the check %q runs no test: %s does not fit the tests of %s", c.name, c.tests, c.pkg)
	}
	return survived, nil
}
