// The tale of a trial, for a person: what was done, what went wrong, and what
// served at the time, a line each.

package strategytest

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
)

// A tale is told while a trial is played. A nil one is told nothing.
type tale struct {
	trial *trial
	began time.Time
	lines []string
	last  string
}

// String returns the lines that were told.
func (l *tale) String() string { return strings.Join(l.lines, "\n") }

func (l *tale) line(who, what string) {
	if l == nil || l.trial == nil || !l.trial.judge.armed {
		return
	}
	if what == l.last {
		return // it waits
	}
	l.last = what
	if l.began.IsZero() {
		l.began = l.trial.w.Now()
	}
	l.lines = append(l.lines, fmt.Sprintf("%8s  %-6s %-30s %s", l.trial.w.Now().Sub(l.began).Round(100*time.Millisecond), who, sketch(l.trial.w.State(app)), what))
}

// sketch shows the pods of each revision: # serves, + ready, . not, - going.
func sketch(s cluster.State) string {
	var b strings.Builder
	for _, r := range s.Revisions {
		serves := s.Exposed(r.Name)
		fmt.Fprintf(&b, "%s %s%s%s ", strings.TrimPrefix(r.Name, "web-"), strings.Repeat("#", serves),
			strings.Repeat("+", max(0, r.Ready-serves)), strings.Repeat(".", max(0, r.Pods-max(r.Ready, serves))))
	}
	return b.String()
}

func (l *tale) says(c *client, what string) {
	if l != nil {
		l.line(c.id, what)
	}
}

func (l *tale) turn(c *client, e strategy.Event) {
	if l == nil || e.Step == nil || e.Err != nil {
		return
	}
	l.line(c.id, e.Step.String())
}

func (l *tale) call(c *client, call fault.Call) {}

// answer tells of a call that failed.
func (l *tale) answer(c *client, call fault.Call, err error) {
	if l == nil || err == nil {
		return
	}
	text := err.Error()
	if inner := errors.Unwrap(err); inner != nil && len(text) > 200 {
		text = inner.Error()
	}
	l.line(c.id, fmt.Sprintf("%v: %s", call, text))
}

// change tells of a write that has just been committed.
func (l *tale) change(ours bool) {
	if l == nil || !ours {
		return
	}
	l.line("", "   "+l.trial.judge.last())
}
