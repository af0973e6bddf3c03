// Where mutants are built and run: a copy of the tree, with all of them in it.

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// copied is what the copy of the tree is made of.
var copied = []string{"cleanup", "cluster", "fake", "health", "internal", "strategy"}

// A bench is a copy of the tree, and where things are built.
type bench struct {
	dir     string
	tree    string
	reaches map[string][]string // the packages that a package's tests are built from
	made    map[string]string   // a hash of what each package's tests are made of
	invalid map[int]bool        // the mutants that do not compile
}

func newBench(root, dir string) (*bench, error) {
	b := &bench{dir: dir, tree: filepath.Join(dir, "tree"), reaches: map[string][]string{}, made: map[string]string{}, invalid: map[int]bool{}}
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
		if b.made[c.pkg], err = b.madeOf(c.pkg); err != nil {
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
	slices.Sort(found)
	return slices.Compact(found), nil
}

// join puts all mutants into the tree, where each can be chosen then. Those that
// do not compile are left out.
func (b *bench) join(mutants []mutant) error {
	of, packages := map[string][]mutant{}, map[string]bool{}
	for _, m := range mutants {
		of[m.file], packages["./"+filepath.Dir(m.file)] = append(of[m.file], m), true
	}
	originals := map[string][]byte{}
	for file := range of {
		text, err := os.ReadFile(filepath.Join(b.tree, file))
		if err != nil {
			return err
		}
		originals[file] = text
	}
	for {
		unions := map[string]*union{}
		for file, text := range originals {
			var err error
			if unions[file], err = together(file, text, of[file], b.invalid); err != nil {
				return err
			}
			if err := b.write(file, unions[file]); err != nil {
				return err
			}
		}
		build := exec.Command("go", append([]string{"build", "-gcflags=-e"}, slices.Sorted(maps.Keys(packages))...)...)
		build.Dir = b.tree
		out, err := build.CombinedOutput()
		if err == nil {
			return nil
		}
		numbers := blamed(out, unions)
		if len(numbers) == 0 {
			return fmt.Errorf("building all mutants in one: %w: %s", err, out)
		}
		for _, n := range numbers {
			b.invalid[n] = true
		}
	}
}

func (b *bench) write(file string, u *union) error {
	path := filepath.Join(b.tree, file)
	return errors.Join(
		os.WriteFile(path, u.text.Bytes(), 0o644),
		os.WriteFile(filepath.Join(filepath.Dir(path), "mutant_tried.go"), fmt.Appendf(nil, asking, u.pkg), 0o644),
	)
}

// A trial is one mutant on the bench: with the number 0, it is the tree as it is.
type trial struct {
	*bench
	dir     string // where its test binaries are
	overlay string // the file that says what is replaced; "": nothing is
	number  int
}

// try readies a mutant. Whoever has tried it calls over.
func (b *bench) try(m *mutant) (*trial, error) {
	if m == nil {
		return &trial{bench: b, dir: b.dir}, nil
	}
	if m.together() {
		return &trial{bench: b, dir: b.dir, number: m.number}, nil
	}
	dir, err := os.MkdirTemp(b.dir, "alone-")
	if err != nil {
		return nil, err
	}
	t := &trial{bench: b, dir: dir, overlay: filepath.Join(dir, "overlay.json"), number: m.number}
	changed := filepath.Join(dir, "changed.go")
	text, err := json.Marshal(map[string]any{"Replace": map[string]string{filepath.Join(b.tree, m.file): changed}})
	return t, errors.Join(err, os.WriteFile(changed, m.text, 0o644), os.WriteFile(t.overlay, text, 0o644))
}

// over removes what is of this trial alone.
func (t *trial) over() {
	if t.overlay != "" {
		_ = os.RemoveAll(t.dir)
	}
}

func (t *trial) binary(pkg string) string {
	return filepath.Join(t.dir, strings.ReplaceAll(pkg, "/", "-")+".test")
}

// build makes the test binary of a package, if it is not there. It is false if
// the mutant does not compile.
func (t *trial) build(pkg string) (bool, error) {
	if t.invalid[t.number] {
		return false, nil
	}
	if _, err := os.Stat(t.binary(pkg)); err == nil {
		return true, nil
	}
	build := exec.Command("go", "test", "-c", "-vet=off", "-trimpath", "-ldflags=-s -w", "-overlay="+t.overlay, "-o", t.binary(pkg), "./"+pkg)
	build.Dir = t.tree
	out, err := build.CombinedOutput()
	switch {
	case err == nil:
		return true, nil
	case bytes.Contains(out, []byte("changed.go:")):
		return false, nil
	}
	return false, fmt.Errorf("building the tests of %s: %w: %s", pkg, err, out)
}

// bounded keeps a mutant that allocates without end from taking the machine's
// memory (in KiB), and one that runs without end from taking the processor, where
// the shell can. Its first argument is how many seconds it may.
const bounded = `ulimit -v 6000000 2>/dev/null; ulimit -t "$1" 2>/dev/null; shift; exec "$0" "$@"`

// patience is how many times as long as it may run a check may take, by the
// clock: other things run on the machine, too.
const patience = 20

// run runs one check, on one core.
func (t *trial) run(c check) (outcome, error) {
	if compiled, err := t.build(c.pkg); err != nil || !compiled {
		return invalid, err
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience*c.limit)
	defer cancel()
	args := append([]string{"-c", bounded, t.binary(c.pkg), strconv.Itoa(int(c.limit.Seconds())),
		"-test.failfast", "-test.timeout=0"}, c.tests...) // a test that knows a deadline may do less
	test := exec.CommandContext(ctx, "sh", args...)
	test.Dir = filepath.Join(t.tree, c.pkg)
	test.Env = append(os.Environ(), triedMutant+"="+strconv.Itoa(t.number), "GOMAXPROCS=1")
	out, err := test.CombinedOutput()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil || errors.As(err, &exit) && !exit.Exited():
		return timeout, nil
	case errors.As(err, &exit):
		return killed, nil
	case err != nil:
		return "", fmt.Errorf("running %s: %w", c.name, err)
	case bytes.Contains(out, []byte("no tests to run")):
		return "", fmt.Errorf("the check %q runs no test: %v does not fit the tests of %s", c.name, c.tests, c.pkg)
	}
	return survived, nil
}
