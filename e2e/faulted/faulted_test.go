// The runs: each meets what was drawn for it, is run again undisturbed, and has
// to have kept every law, and to end as if nothing had been.

package faulted_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/fake/fault"
)

var errCrashed = errors.New("the process has crashed")

// machine is the clock of a Transport here: a timeout comes at once, and what is
// under way gets older as it does anywhere.
type machine struct{}

func (machine) Now() time.Time                             { return time.Now() }
func (machine) Sleep(context.Context, time.Duration) error { return nil }

// seed is the same each time, so that what lands is what was tried, or another.
func seed(t *testing.T) uint64 {
	t.Helper()
	text := os.Getenv("CUTOVER_SEED")
	if text == "" {
		return 1
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err, "CUTOVER_SEED")
	return seed
}

func TestFaultedRollouts(t *testing.T) {
	seed, runs := seed(t), 60
	if os.Getenv("LONG") != "" {
		runs = 200
	}
	t.Logf("CUTOVER_SEED=%d", seed)
	trials := &trials{creates: map[string]int{}, plans: map[string]string{}}
	t.Run("run", func(t *testing.T) {
		kinds := scenarios()
		for i := range runs {
			s := kinds[i%len(kinds)]
			t.Run(fmt.Sprintf("%d-%s", i, s.name), func(t *testing.T) {
				t.Parallel()
				trials.run(t, s, drawPlan(seed, uint64(i), s), fmt.Sprintf("CUTOVER_SEED=%d, run %d", seed, i))
			})
		}
	})
	trials.audited(t)
}

// Without a fault every scenario keeps the laws, and comes to its end at once;
// how many requests that takes is where faults are drawn.
func TestUndisturbedRuns(t *testing.T) {
	trials := &trials{creates: map[string]int{}, plans: map[string]string{}}
	t.Run("run", func(t *testing.T) {
		for _, s := range scenarios() {
			if s.after != nil {
				continue // it is about what was under way
			}
			t.Run(s.name, func(t *testing.T) {
				t.Parallel()
				var none draw
				for _, c := range []class{all, writes, creates, lists, watches} {
					none.events = append(none.events, drawn{class: c})
				}
				tr := trials.run(t, s, none, "no fault")
				for i, l := range tr.layers {
					t.Logf("%d %s", l.Requests(), none.events[i].name)
				}
				require.Zero(t, tr.fired())
				require.Equal(t, s.creates, tr.layers[2].Requests())
			})
		}
	})
	trials.audited(t)
}

// trials are what is judged together, by the one audit log.
type trials struct {
	sync.Mutex
	creates map[string]int // allowed, by namespace
	plans   map[string]string
}

// A trial is one run of a scenario, and what is found about it.
type trial struct {
	*world
	scenario
	draw     draw
	layers   []*fault.Transport
	happened []string
	breaches []string
	mu       sync.Mutex
}

func (ts *trials) run(t *testing.T, s scenario, d draw, id string) *trial {
	tr := &trial{world: newWorld(t, s.mode), scenario: s, draw: d}
	if s.fails {
		tr.gate = bad{}
	}
	if s.prepare != nil {
		s.prepare(tr.world)
	}
	prepared := 0
	if s.creates == 0 && s.leaves[newer] == "failed" {
		prepared = 1 // by the upgrade before an undo
	}
	ts.Lock()
	ts.creates[tr.ns], ts.plans[tr.ns] = tr.allowed()+prepared, fmt.Sprintf("%s, %s: %v", id, s.name, d)
	ts.Unlock()
	tr.record()
	defer func() {
		tally.Lock()
		defer tally.Unlock()
		tally.runs++
		tally.fired += tr.fired()
		tally.breaches += len(tr.breaches)
	}()
	tr.play()
	for _, b := range tr.breaches {
		t.Errorf("%s\n%s, %s\nplan: %v\nhappened: %q\nserving %v, revisions %v", b, id, s.name, d, tr.happened, tr.served(), tr.revisions())
	}
	t.Logf("plan: %v; happened: %q", d, tr.happened)
	return tr
}

// allowed is how many creates there may be.
func (tr *trial) allowed() int {
	n := tr.creates
	for _, e := range tr.environment() {
		switch {
		case e.Fault == fault.SecondDeployer && e.Form == 2, e.Fault == fault.Person && e.Form == 4:
			n++
		}
	}
	return n
}

// world0 are the events of the world that were drawn.
func (tr *trial) environment() []fault.Event {
	var events []fault.Event
	for _, d := range tr.draw.events {
		for _, e := range d.Plan {
			if e.Fault == fault.Quota || e.Fault > fault.NamespaceGone && e.Fault < fault.Cancel {
				events = append(events, e)
			}
		}
	}
	return events
}

func (tr *trial) breach(format string, args ...any) {
	tr.breaches = append(tr.breaches, fmt.Sprintf(format, args...))
}

func (tr *trial) fired() int {
	n := 0
	for _, l := range tr.layers {
		n += l.Fired()
	}
	return n
}

// play runs it under faults, then undisturbed, then once more, and judges.
func (tr *trial) play() {
	first, err := tr.faulted()
	tr.note("the first run: %v", err)
	if !tr.deceived() && tr.after == nil {
		tr.judgeEnd("the first run", err, false)
	}
	tr.mending.Wait()
	if !tr.draw.late {
		tr.land()
	}
	second, err := tr.undisturbed()
	tr.note("the second run: %v", err)
	tr.judgeEnd("the second run", err, true)
	tr.land()
	third, err := tr.undisturbed()
	tr.note("the third run: %v", err)
	tr.judgeEnd("the third run", err, true)
	if sent := third.sent(); len(sent) > 0 && !tr.draw.late {
		tr.breach("minimal change: a finished run that is run again writes %q", sent)
	}
	for _, r := range []*register{first, second, third} {
		tr.breaches = append(tr.breaches, r.breaches...)
	}
	log, strict := tr.recorded(), true
	for _, e := range tr.environment() {
		strict = strict && !blamed(e)
	}
	tr.breaches = append(tr.breaches, judgeLog(log, tr.events.begin, replicas, strict)...)
}

// deceived reports whether a list lost items without a word: nobody can tell that
// from there being no more, so that what a run has then said is not judged.
func (tr *trial) deceived() bool {
	return slices.ContainsFunc(tr.happened, func(s string) bool { return strings.HasPrefix(s, fmt.Sprintf("F%02d.", int(fault.Truncated))) })
}

func (tr *trial) note(format string, args ...any) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.happened = append(tr.happened, fmt.Sprintf(format, args...))
}

func (tr *trial) land() {
	for _, l := range tr.layers {
		l.Land()
	}
}

// faulted runs it under the faults that were drawn, a layer for each.
func (tr *trial) faulted() (*register, error) {
	ctx, cancel := context.WithCancelCause(tr.t.Context())
	defer cancel(nil)
	dead, stop := context.WithTimeout(ctx, 2*patience)
	defer stop()
	var wrap []func(http.RoundTripper) http.RoundTripper
	for _, crashes := range []bool{false, true} { // a crash is above all: nothing is under way through it
		for _, d := range tr.draw.events {
			if d.crashes() == crashes {
				l := tr.layer(d, cancel)
				tr.layers = append(tr.layers, l)
				wrap = append(wrap, func(next http.RoundTripper) http.RoundTripper { l.Next = next; return l })
			}
		}
	}
	seen := &register{}
	return seen, tr.run(dead, runner(tr.open(append(wrap, seen.over)...)), tr.world)
}

func (tr *trial) layer(d drawn, cancel context.CancelCauseFunc) *fault.Transport {
	return &fault.Transport{
		Plan: d.Plan, Only: d.only, RetryAfter: d.retryAfter, Clock: machine{},
		Crash:       func() { cancel(errCrashed) },
		Cancel:      func() { cancel(errors.New("the caller has had enough")) },
		Environment: tr.happen,
		Happens: func(e fault.Event, r *http.Request) {
			tr.note("%v: %s %s", e, r.Method, r.URL.Path)
		},
	}
}

func (tr *trial) undisturbed() (*register, error) {
	ctx, cancel := context.WithTimeout(tr.t.Context(), 2*patience)
	defer cancel()
	seen, run := &register{}, tr.run
	if tr.after != nil {
		run = tr.after
	}
	return seen, run(ctx, runner(tr.open(seen.over)), tr.world)
}

// judgeEnd judges what a run has said: success only if it is so, and an
// undisturbed one must come to the end that it has without faults.
func (tr *trial) judgeEnd(which string, err error, undisturbed bool) {
	meddled := false // somebody else decides about the end, too
	broken := false  // pods fail for good
	person := false
	for _, e := range tr.environment() {
		meddled = meddled || e.Fault == fault.SecondDeployer && e.Form == 2
		broken = broken || e.Fault == fault.PodsFail
		person = person || blamed(e)
	}
	switch {
	case meddled && undisturbed:
		tr.judgeSuperseded(which)
	case meddled, broken && givenUp(err):
		// as it may be
	case tr.ends(err):
		tr.judgeServing(which, err, person)
	case undisturbed:
		tr.breach("convergence: %s ends with: %v", which, err)
	case err == nil:
		tr.breach("no lies: %s ends without an error", which)
	}
}

// judgeServing requires that the one that should be is alone in traffic.
func (tr *trial) judgeServing(which string, err error, person bool) {
	served, revisions := tr.served(), tr.revisions()
	if person && !maps.Equal(served, map[string]int{tr.alone: replicas}) {
		tr.comes(func() bool { served = tr.served(); return len(served) == 1 && served[tr.alone] > 0 })
	}
	if len(served) != 1 || served[tr.alone] < replicas && !person || served[tr.alone] == 0 {
		tr.breach("no lies: %s ends with %v, and %v serve; %s should, alone", which, err, served, tr.alone)
	}
	if tr.leaves != nil && !maps.Equal(revisions, tr.leaves) && !person {
		tr.breach("convergence: %s leaves %v, should leave %v", which, revisions, tr.leaves)
	}
}

// judgeSuperseded requires that the newest release is alone in traffic.
func (tr *trial) judgeSuperseded(which string) {
	newest := keys(tr.revisions())
	name := newest[len(newest)-1]
	served := tr.served()
	if len(served) != 1 || served[name] != replicas {
		tr.breach("no lies: after %s %v serve; %s should, alone", which, served, name)
	}
}

// audited judges every namespace by the audit log.
func (ts *trials) audited(t *testing.T) {
	entries, err := plane.Audit(deployer)
	require.NoError(t, err)
	require.NotEmpty(t, entries)
	for ns, breaches := range auditLaws(entries, ts.creates) {
		for _, b := range breaches {
			tally.breaches++
			t.Errorf("%s\n%s", b, ts.plans[ns])
		}
	}
}
