// What a strategy stores on a revision, in the same write as what it is about:
// its Note is a list of entries.

package strategy

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/cutover-dev/cutover/cluster"
)

const (
	entrySeparator = "; "

	// turnedOn notes that a rule has turned a revision on.
	turnedOn = "turned on"
	// sized notes how many replicas a revision has when it has all.
	sized = "size "
	// staged notes the stage that its replicas, or its weight, are those of.
	staged = "stage "
)

func entries(note string) []string {
	if note == "" {
		return nil
	}
	return strings.Split(note, entrySeparator)
}

func noted(r cluster.Revision, entry string) bool { return slices.Contains(entries(r.Note), entry) }

// note adds an entry, or replaces the one of the same kind.
func note(r cluster.Revision, kind, value string) cluster.Revision {
	r.Note = entered(r.Note, kind, value)
	return r
}

// entered is a note with another entry, or that one in place of one of its kind.
func entered(text, kind, value string) string {
	kept := slices.DeleteFunc(entries(text), func(e string) bool { return strings.HasPrefix(e, kind) })
	return strings.Join(append(kept, kind+value), entrySeparator)
}

// figure reads the number of an entry; 0: there is none.
func figure(text, kind string) int {
	for e := range strings.SplitSeq(text, entrySeparator) {
		rest, ok := strings.CutPrefix(e, kind)
		if !ok {
			continue
		}
		number, _, _ := strings.Cut(rest, " ")
		if n, err := strconv.Atoi(number); err == nil && n > 0 {
			return n
		}
	}
	return 0
}

// Size returns how many replicas a revision has when it has all: what was noted
// when it began with fewer, or lost some to another one, else what it has.
func Size(r cluster.Revision) int {
	if n := figure(r.Note, sized); n > 0 {
		return n
	}
	return r.Replicas
}

// whole is how many replicas a revision gets that is gone back to: all that it
// had, and as many as what is given up has in traffic. If somebody else took them
// all, nobody knows how many it had.
func (in Input) whole(back, bad cluster.Revision) int {
	n := max(Size(back), 1)
	if Size(back) == 0 {
		n = max(n, Size(bad))
	}
	if lit(in.State, bad) {
		n = max(n, bad.Replicas)
	}
	return n
}

// resized wants other replicas of a revision and notes, while they are fewer than
// all, how many that is. Of one that was in traffic before cutover knew it, the
// write that takes the first replica records that it may be gone back to.
func resized(in Input, r cluster.Revision, replicas, all int, why string) Step {
	switch {
	case replicas < all:
		r = note(r, sized, fmt.Sprint(all))
	case figure(r.Note, sized) > 0:
		r = note(r, sized, "as wanted") // an empty Note would leave what is stored
	}
	if r.Outcome.Result == cluster.Undecided && r.Release == "" && in.State.IsGood(r) {
		r.Outcome = hadTraffic
	}
	// Somebody else may have half turned it off: this write costs replicas, not that.
	r.Enabled = r.Enabled || r.Unsettled > 0 && in.State.HasTraffic(r.Name)
	r.Replicas = replicas
	return Put{r, why}
}

// hadTraffic is the outcome of a revision that served before cutover knew it.
var hadTraffic = cluster.Outcome{Result: cluster.Good, Why: "had traffic before"}
