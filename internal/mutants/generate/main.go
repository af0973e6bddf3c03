// Command generate makes every small change of the code that decides (a
// comparison shifted, a rule dropped, a constant one higher, …), one at a time,
// and runs the tests on each. A change that no test notices is a survivor: a law
// that nobody has written down, or a line that could as well not be there.
//
//	go run ./internal/mutants/generate [-only REGEXP] [-p N] [-quick] [-survivors]
//
// What is changed stands in the table sources, what must notice it in the table
// checks. A change that is none (an equivalent mutant) is listed in
// internal/mutants/equivalent.txt, with its proof.
//
// The tree is copied first and never touched, so it may be edited meanwhile.
// All mutants are in one program, which is told which of them to be. What came of
// each test is kept in the user's cache directory, and is asked anew if anything
// has changed that the test is built from.
//
// With -quick the checks that take minutes are left out, and what only they would
// notice counts as a survivor.
//
// The exit status is 1 if less than 95 % are killed, or not all of those of the
// guard and of Decide; 2 if that could not be found out.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
)

// sources are the files that are changed.
var sources = []source{
	{file: "internal/guard/guard.go", all: true},
	{file: "internal/guard/share.go", all: true},
	{file: "strategy/beside.go"},
	{file: "cleanup/cleanup.go", all: true},
	{file: "cleanup/run.go"},
	{file: "cluster/state.go"},
	{file: "strategy/rules.go"},
	{file: "strategy/rollout.go"},
	{file: "strategy/giveback.go"},
	{file: "strategy/labels.go"},
	{file: "strategy/redblack.go"},
	{file: "strategy/bluegreen.go"},
	{file: "strategy/rolling.go"},
	{file: "strategy/recreate.go"},
	{file: "strategy/canary.go"},
	{file: "strategy/baseline.go"},
	{file: "strategy/weights.go"},
	{file: "strategy/roll.go"},
	{file: "strategy/stages.go"},
	{file: "strategy/notes.go"},
	{file: "strategy/amount.go"},
	{file: "strategy/undo.go"},
	{file: "strategy/retention.go"},
	{file: "strategy/run.go"},
	{file: "strategy/trouble.go"},
	{file: "strategy/fence.go"},
	{file: "strategy/abort.go"},
}

type source struct {
	file string
	all  bool // every mutant must be killed
}

const enough = 95 // percent of all mutants that must be killed

func main() {
	only := flag.String("only", "", "a regular expression: change only the files whose path it matches")
	parallel := flag.Int("p", 2, "how many mutants are tried at a time")
	quick := flag.Bool("quick", false, "leave out the slow checks: what only they would notice counts as a survivor")
	survivors := flag.Bool("survivors", false, "list the mutants that no test noticed")
	flag.Parse()
	total, err := run(*only, *parallel, *quick)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants-generated:", err)
		os.Exit(2)
	}
	if *survivors {
		for _, m := range total.survivors {
			fmt.Printf("%s:%d: %s\n\t- %s\n\t+ %s\n", m.file, m.line, m.function, m.was, m.is)
		}
	}
	fmt.Println(total)
	if !total.good() {
		os.Exit(1)
	}
}

func run(only string, parallel int, quick bool) (tally, error) {
	match, err := regexp.Compile(only)
	if err != nil {
		return tally{}, fmt.Errorf("reading -only: %w", err)
	}
	root, err := moduleRoot()
	if err != nil {
		return tally{}, err
	}
	var mutants []mutant
	for _, s := range sources {
		if !match.MatchString(s.file) {
			continue
		}
		text, err := os.ReadFile(filepath.Join(root, s.file))
		if err != nil {
			return tally{}, err
		}
		of, err := mutate(s.file, text)
		if err != nil {
			return tally{}, err
		}
		mutants = append(mutants, of...)
	}
	equal, err := readEquivalents(filepath.Join(root, "internal/mutants/equivalent.txt"), match)
	if err != nil {
		return tally{}, err
	}
	if err := equal.mark(mutants); err != nil {
		return tally{}, err
	}
	for i := range mutants {
		mutants[i].number = i + 1
	}
	verdicts, err := tryAll(root, mutants, max(1, parallel), quick)
	if err != nil {
		return tally{}, err
	}
	return count(mutants, verdicts)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for the module's root: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// A tally is what came of all mutants.
type tally struct {
	killed, of         int // without those that are equivalent or do not compile
	mustKilled, mustOf int // the same, of the files where every one must be killed
	equivalent         int
	invalid            int
	timeouts           int // of the killed
	survivors          []mutant
}

// count fails if a mutant that is listed as equivalent was noticed by a test:
// then its proof is wrong.
func count(mutants []mutant, verdicts []verdict) (tally, error) {
	must := map[string]bool{}
	for _, s := range sources {
		must[s.file] = s.all
	}
	var t tally
	for i, m := range mutants {
		v := verdicts[i]
		switch {
		case v.outcome == invalid:
			t.invalid++
			continue
		case m.equivalent && v.outcome != survived:
			return t, fmt.Errorf("%s:%d is listed as equivalent, but %s tells it from the original: %s", m.file, m.line, v.check, m.id())
		case m.equivalent:
			t.equivalent++
			continue
		}
		killed := 0
		if v.outcome == survived {
			t.survivors = append(t.survivors, m)
		} else {
			killed = 1
		}
		if v.outcome == timeout {
			t.timeouts++
		}
		t.killed, t.of = t.killed+killed, t.of+1
		if must[m.file] {
			t.mustKilled, t.mustOf = t.mustKilled+killed, t.mustOf+1
		}
	}
	return t, nil
}

func (t tally) good() bool { return t.killed*100 >= t.of*enough && t.mustKilled == t.mustOf }

func (t tally) String() string {
	percent := 100.0
	if t.of > 0 {
		percent = float64(t.killed*1000/t.of) / 10 // rounded down: 100 is all
	}
	return fmt.Sprintf("%d of the killed took too long\nmutants-generated: %d of %d killed (%.1f %%), %d equivalent, %d did not compile; Decide and guard: %d of %d",
		t.timeouts, t.killed, t.of, percent, t.equivalent, t.invalid, t.mustKilled, t.mustOf)
}
