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
)

// A verdict is what came of one mutant.
type verdict struct {
	outcome outcome
	check   string // that killed it
}

// tryAll returns the verdict on each mutant.
func tryAll(root string, mutants []mutant, parallel int, quick bool) ([]verdict, error) {
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
	for _, slow := range []bool{false, true} { // most die of a quick check: the first list is there soon
		if slow && quick {
			break
		}
		if err := b.pass(mutants, verdicts, known, slow, parallel); err != nil {
			return nil, err
		}
	}
	return verdicts, nil
}

// pass runs the quick checks of all mutants, or the slow ones too, and notes the
// verdicts.
func (b *bench) pass(mutants []mutant, verdicts []verdict, known *known, slow bool, parallel int) error {
	errs := make([]error, len(mutants))
	queue := make(chan int)
	var workers sync.WaitGroup
	for range parallel {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for i := range queue {
				verdicts[i], errs[i] = b.judge(mutants[i], known, slow)
			}
		}()
	}
	for i := range mutants {
		if i%50 == 0 {
			fmt.Fprintf(os.Stderr, "mutant %d of %d, slow checks: %v\n", i, len(mutants), slow)
		}
		queue <- i
	}
	close(queue)
	workers.Wait()
	return errors.Join(errs...)
}

// soundness readies the bench, if it is needed, and fails if a check that is
// about to be run does not pass on the tree as it is: then it would kill
// everything.
func (b *bench) soundness(mutants []mutant, known *known) error {
	needed := map[string]bool{}
	for _, m := range mutants {
		if _, all := b.recall(m, known); !all {
			for _, c := range b.checksOf(m.file) {
				needed[c.name] = true
			}
		}
	}
	if len(needed) == 0 {
		return nil
	}
	if err := b.join(mutants); err != nil {
		return err
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
	return nil
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

// judge runs the quick checks on a mutant, or the slow ones too, until one notices
// it.
func (b *bench) judge(m mutant, known *known, slow bool) (verdict, error) {
	if v, ok := b.recall(m, known); ok {
		return v, nil
	}
	t, err := b.try(&m)
	if err != nil {
		return verdict{}, err
	}
	defer t.over()
	for _, c := range b.checksOf(m.file) {
		if c.slow && !slow {
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

// key names a check of a mutant: by the mutant's whole text, and by all that the
// tests are made of.
func (b *bench) key(m mutant, c check) string {
	sum := sha256.New()
	for _, part := range []string{m.file, string(m.text), c.pkg, strings.Join(c.tests, " "), b.made[c.pkg]} {
		_, _ = fmt.Fprintf(sum, "%d:%s", len(part), part)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16])
}

// madeOf is a hash of what the tests of a package are made of: the files of all
// packages that they are built from, their own files and their testdata.
func (b *bench) madeOf(pkg string) (string, error) {
	sum := sha256.New()
	files := []string{"go.mod", "go.sum"}
	for _, dir := range b.reaches[pkg] {
		names, err := filepath.Glob(filepath.Join(b.tree, dir, "*.go"))
		if err != nil {
			return "", err
		}
		for _, path := range names {
			if dir == pkg || !strings.HasSuffix(path, "_test.go") {
				files = append(files, strings.TrimPrefix(path, b.tree+"/"))
			}
		}
	}
	data, err := filepath.Glob(filepath.Join(b.tree, pkg, "testdata", "*.*"))
	if err != nil {
		return "", err
	}
	for _, path := range data {
		files = append(files, strings.TrimPrefix(path, b.tree+"/"))
	}
	for _, file := range files {
		text, err := os.ReadFile(filepath.Join(b.tree, file))
		if err != nil {
			return "", err
		}
		_, _ = fmt.Fprintf(sum, "%s %d:%s", file, len(text), text)
	}
	return hex.EncodeToString(sum.Sum(nil)[:16]), nil
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
