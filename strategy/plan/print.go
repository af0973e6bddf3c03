// A plan as a person reads it, before saying yes.

package plan

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// String returns a table of the steps, each beside what it follows from, and a
// summary: how it ends, what it writes, what pods it takes, what serves
// meanwhile, and what is taken for granted. It ends with a newline.
func (p Plan) String() string {
	var b strings.Builder
	fmt.Fprintf(&b, "plan for %s, release %s, from a look at %s; nothing was written\n",
		p.App, p.Release, p.Look.At.UTC().Format("2006-01-02 15:04:05 UTC"))
	for _, w := range p.Look.Warnings {
		fmt.Fprintf(&b, "warning: %s\n", w)
	}
	fmt.Fprintln(&b)
	p.table(&b)
	fmt.Fprintln(&b)
	for _, line := range [][2]string{
		{"ends", p.end()}, {"writes", p.written()}, {"pods", p.pods()}, {"traffic", p.traffic()}, {"provided", p.provided()},
	} {
		fmt.Fprintf(&b, "%-9s %s\n", line[0]+":", line[1])
	}
	return b.String()
}

func (p Plan) table(b *strings.Builder) {
	table := tabwriter.NewWriter(b, 0, 4, 2, ' ', 0)
	fmt.Fprintln(table, "AT\tPODS\tSERVES\tWRITES\tSTEP")
	for _, s := range p.Steps {
		pods := 0
		for _, r := range s.State.Revisions {
			pods += r.Pods
		}
		fmt.Fprintf(table, "%v\t%d\t%s\t%s\t%s\n", short(s.At), pods, served(exposed(s.State)), s.written(), s.text())
	}
	_ = table.Flush() // a strings.Builder does not fail
}

// text is the step, and what keeps it from being taken.
func (s Step) text() string {
	text := s.Step.String()
	if _, check := s.Step.(strategy.Check); check {
		text += " (taken to pass)"
	}
	if s.Err != nil {
		text += "; CANNOT BE TAKEN: " + s.Err.Error()
	}
	return text
}

// written counts the writes: "1 + 3 pods" are one object and three pods.
func (s Step) written() string {
	pods := 0
	for _, w := range s.Writes {
		if w.Kind == "pod" {
			pods++
		}
	}
	objects := len(s.Writes) - pods
	switch {
	case len(s.Writes) == 0:
		return "-"
	case pods == 0:
		return fmt.Sprint(objects)
	}
	return fmt.Sprintf("%d + %s", objects, count(pods, "pod"))
}

func (p Plan) end() string {
	at := fmt.Sprintf("after %v, serving then: %s", short(p.Takes), served(p.Serves))
	var abort *strategy.AbortError
	switch {
	case errors.As(p.Err, &abort):
		return fmt.Sprintf("ABORT (%v) %s; %s", abort.Kind, at, abort.Why)
	case p.Err != nil:
		return fmt.Sprintf("ERROR %s; %v", at, p.Err)
	case p.Done.Due.IsZero():
		return "done " + at + "; nothing falls due later"
	}
	return fmt.Sprintf("done %s; due after %v: %s", at, short(p.Done.Due.Sub(p.Look.At)), p.Done.What)
}

// written counts the writes by what they do, in the order in which they begin.
func (p Plan) written() string {
	var kinds []Write
	n := map[Write]int{}
	for _, w := range p.Writes() {
		w.Of = ""
		if n[w]++; n[w] == 1 {
			kinds = append(kinds, w)
		}
	}
	if len(kinds) == 0 {
		return "none"
	}
	parts := make([]string, len(kinds))
	for i, w := range kinds {
		parts[i] = count(n[w], w.Kind) + " " + strings.TrimSuffix(w.Verb, "e") + "ed"
	}
	return fmt.Sprintf("%d: %s", len(p.Writes()), strings.Join(parts, ", "))
}

// count returns "1 pod" or "3 pods".
func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (p Plan) pods() string {
	return fmt.Sprintf("at most %d exist (now %d), and %d are wanted (now %d)", p.Most.Exist, p.Now.Exist, p.Most.Wanted, p.Now.Wanted)
}

func (p Plan) traffic() string {
	text := fmt.Sprintf("more than one revision for %v, one for %v", short(p.Both), short(p.One))
	if p.None > 0 {
		text += fmt.Sprintf(", NONE for %v", short(p.None))
	}
	return text + fmt.Sprintf("; never fewer than %d endpoints (now %d)", p.Least, p.Look.Serving())
}

func (p Plan) provided() string {
	text := p.Assumed.String()
	if len(p.Gates) > 0 {
		text = "gates pass (" + strings.Join(p.Gates, ", ") + "), " + text
	}
	return text
}

// exposed is what serves in a state: endpoints by revision.
func exposed(s cluster.State) map[string]int {
	serves := map[string]int{}
	for _, r := range s.Revisions {
		if n := s.Exposed(r.Name); n > 0 {
			serves[r.Name] = n
		}
	}
	return serves
}

// served writes that down: "web-v001 3, web-v002 1".
func served(endpoints map[string]int) string {
	var parts []string
	for _, name := range slices.Sorted(maps.Keys(endpoints)) {
		parts = append(parts, fmt.Sprintf("%s %d", name, endpoints[name]))
	}
	if len(parts) == 0 {
		return "-"
	}
	return strings.Join(parts, ", ")
}

// short is a duration without digits that mean nothing.
func short(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
