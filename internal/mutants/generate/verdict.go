// Trying all mutants, and remembering what came of it.

package main

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A verdict is what came of one mutant.
type verdict struct {
	outcome outcome
	check   string // that killed it
}

// tryAll returns the verdict on each mutant.
func tryAll(root string, mutants []mutant, parallel int) ([]verdict, error) {
	dir, err := os.MkdirTemp("", "mutants-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	b, err := newBench(root, dir)
	if err != nil {
		return nil, err
	}
	known, err := openKnown()
	if err != nil {
		return nil, err
	}
	defer func() { _ = known.file.Close() }()
	if err := b.soundness(mutants, known); err != nil {
		return nil, err
	}
	verdicts := make([]verdict, len(mutants))
	for _, upTo := range []time.Duration{quick, slow} { // most die of a quick check: the first list is there soon
		if err := b.pass(mutants, verdicts, known, upTo, parallel); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// pass runs, of all mutants, the checks that are not slower than a limit, and
// notes the verdicts.
func (b *bench) pass(mutants []mutant, verdicts []verdict, known *known, upTo time.Duration, parallel int) error {
	errs := make([]error, len(mutants))
	queue := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range queue {
				verdicts[i], errs[i] = b.judge(mutants[i], known, upTo)
			}
		}()
	}
	for i := range mutants {
		if i%50 == 0 {
			fmt.Fprintf(os.Stderr, "mutant %d of %d, checks of %v\n", i, len(mutants), upTo)
		}
		queue <- i
	}
	close(queue)
	workers.Wait()
	return errors.Join(errs...)
}

// soundness fails if a check that is about to be run does not pass on the tree
// as it is: then it would kill everything.
func (b *bench) soundness(mutants []mutant, known *known) error {
	needed := map[string]bool{}
	for _, m := range mutants {
		if _, all := b.recall(m, known); !all {
			for _, c := range b.checksOf(m.file) {
				needed[c.name] = true
			}
		}
	}
	t, err := b.try(nil)
	if err != nil {
		return err
	}
	for _, c := range checks {
		if !needed[c.name] {
			continue
		}
		if came, err := t.run(c); err != nil || came != survived {
			return fmt.Errorf("the check %q does not pass on the tree as it is: %s, %v", c.name, came, err)
		}
	}
	return os.RemoveAll(t.dir)
}

// recall returns the verdict on a mutant, if what is known is enough for one.
func (b *bench) recall(m mutant, known *known) (verdict, bool) {
	all := true
	for _, c := range b.checksOf(m.file) {
		came, ok := known.get(b.key(m, c))
		if ok && came != survived {
			return verdict{came, c.name}, true
		}
		all = all && ok
	}
	return verdict{outcome: survived}, all
}

// judge runs the checks on a mutant that are not slower than a limit, until one
// notices it.
func (b *bench) judge(m mutant, known *known, upTo time.Duration) (verdict, error) {
	if v, ok := b.recall(m, known); ok {
		return v, nil
	}
	t, err := b.try(&m)
	if err != nil {
		return verdict{}, err
	}
	defer func() { _ = os.RemoveAll(t.dir) }()
	for _, c := range b.checksOf(m.file) {
		if c.limit > upTo {
			break
		}
		key := b.key(m, c)
		came, ok := known.get(key)
		if !ok {
			if came, err = t.run(c); err != nil {
				return verdict{}, err
			}
			if err := known.put(key, came, c, m); err != nil {
				return verdict{}, err
			}
		}
		if came != survived {
			return verdict{came, c.name}, nil
		}
	}
	return verdict{outcome: survived}, nil
}

// key names a check of a mutant: by its whole text, and by all that the tests
// are made of.
func (b *bench) key(m mutant, c check) string {
	sum := sha256.New()
	for _, part := range []string{m.file, string(m.text), c.pkg, c.tests, b.tests[c.pkg]} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// testHash is a hash of what the tests of a package are made of: its test files
// and testdata, and the packages beside them that it is built from.
func (b *bench) testHash(pkg string) (string, error) {
	sum := sha256.New()
	add := func(files []string, err error) error {
		for _, path := range files {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			_, _ = fmt.Fprintf(sum, "%s %d:%s", strings.TrimPrefix(path, b.tree), len(text), text)
		}
		return err
	}
	err := errors.Join(
		add(filepath.Glob(filepath.Join(b.tree, pkg, "*_test.go"))),
		add(filepath.Glob(filepath.Join(b.tree, pkg, "testdata", "*.*"))),
	)
	for _, dir := range b.reaches[pkg] {
		if dir != pkg && beside.MatchString(dir) {
			err = errors.Join(err, add(filepath.Glob(filepath.Join(b.tree, dir, "*.go"))))
		}
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), err
}

// known is the file of what came of checks before: a line each, only ever added
// to.
type known struct {
	mu   sync.Mutex
	came map[string]outcome
	file *os.File
}

func openKnown() (*known, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return nil, err
	}
	path := filepath.Join(cache, "cutover", "mutants.txt")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o644)
	if err != nil {
		return nil, err
	}
	k := &known{came: map[string]outcome{}, file: file}
	lines := bufio.NewScanner(file)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		if words := strings.SplitN(lines.Text(), "\t", 3); len(words) == 3 {
			k.came[words[0]] = outcome(words[1])
		}
	}
	return k, lines.Err()
}

func (k *known) get(key string) (outcome, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	came, ok := k.came[key]
	return came, ok
}

func (k *known) put(key string, came outcome, c check, m mutant) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.came[key] = came
	_, err := fmt.Fprintf(k.file, "%s\t%s\t%s\t%s\n", key, came, c.name, m.id())
	return err
}
