// Which faults a run meets, drawn from a seed.

package faulted_test

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"

	"github.com/cutover-dev/cutover/fake/fault"
)

// A class is a kind of requests that are counted by themselves.
type class struct {
	name string
	only func(*http.Request) bool
}

func verb(name string, verbs ...fault.Verb) class {
	return class{name, func(r *http.Request) bool { return slices.Contains(verbs, fault.VerbOf(r)) }}
}

var (
	all     = class{"requests", nil}
	writes  = verb("writes", fault.VerbCreate, fault.VerbUpdate, fault.VerbDelete)
	creates = verb("creates", fault.VerbCreate)
	lists   = verb("lists", fault.VerbList, fault.VerbMore)
	watches = verb("watches", fault.VerbWatch)
)

// A drawn event is one event of one class of requests. "writes F03.0@2".
type drawn struct {
	class
	fault.Plan
	retryAfter string
}

func (d drawn) String() string {
	text := d.name + " " + d.Plan.String()
	if d.retryAfter != "" {
		text += " (Retry-After: " + d.retryAfter + ")"
	}
	return text
}

func (d drawn) crashes() bool {
	return slices.ContainsFunc(d.Plan, func(e fault.Event) bool { return e.Fault == fault.Crash })
}

// A draw is what one run meets.
type draw struct {
	events []drawn
	late   bool // what is under way arrives only after the second run
}

func (d draw) String() string {
	var parts []string
	for _, e := range d.events {
		parts = append(parts, e.String())
	}
	when := "before"
	if d.late {
		when = "after"
	}
	return fmt.Sprintf("%s; what is under way lands %s the second run", strings.Join(parts, ", "), when)
}

// environment are the faults of the world that this plane has, with their forms.
var environment = []fault.Event{
	{Fault: fault.Quota, Form: 0}, {Fault: fault.ControllerLag, Form: 0}, {Fault: fault.ControllerLag, Form: 0},
	{Fault: fault.PodsFlap, Form: 0}, {Fault: fault.PodsFlap, Form: 1}, {Fault: fault.PodsFlap, Form: 2}, {Fault: fault.PodsFlap, Form: 3},
	{Fault: fault.PodsFail, Form: 1},
	{Fault: fault.SecondDeployer, Form: 2}, {Fault: fault.SecondDeployer, Form: 1},
	{Fault: fault.Person, Form: 0}, {Fault: fault.Person, Form: 1}, {Fault: fault.Person, Form: 2}, {Fault: fault.Person, Form: 4},
}

// drawPlan draws one to three faults at requests; every third run has one of
// the world, too.
func drawPlan(seed, run uint64, s scenario) draw {
	dice := rand.New(rand.NewPCG(seed, run))
	d := draw{late: dice.IntN(2) == 1}
	if s.after != nil {
		d.late = true
		d.events = append(d.events, drawn{class: writes, Plan: fault.Plan{{Call: 1 + dice.IntN(s.calls.writes), Fault: fault.Crash, Form: 3}}})
	}
	for range 1 + dice.IntN(3) - len(d.events) {
		d.events = append(d.events, drawFault(dice, s))
	}
	if e := environment[dice.IntN(len(environment))]; run%3 == 2 && s.rollout {
		e.Call = 15 + dice.IntN(s.calls.all()-15)
		d.events = append(d.events, drawn{class: all, Plan: fault.Plan{e}})
	}
	return d
}

func drawFault(dice *rand.Rand, s scenario) drawn {
	candidates := []fault.Fault{fault.Forbidden, fault.Cancel, fault.Crash, fault.Crash, fault.Crash}
	for f := fault.Reset; f <= fault.Malformed; f++ {
		candidates = append(candidates, f)
	}
	e := fault.Event{Fault: candidates[dice.IntN(len(candidates))]}
	forms := len(e.Fault.Forms())
	switch e.Fault {
	case fault.Exists, fault.NotFound, fault.Forbidden:
		forms = 1 // the other one is the environment's, or never ends
	}
	e.Form = dice.IntN(forms)
	c, n := where(dice, e, s)
	e.Call = 1 + dice.IntN(n)
	d := drawn{class: c, Plan: fault.Plan{e}}
	if slices.Contains([]fault.Fault{fault.TooMany, fault.ServerError, fault.Unavailable}, e.Fault) {
		d.retryAfter = []string{"", "0", "1"}[dice.IntN(3)]
	}
	return d
}

// where draws among which requests a fault happens, and says how many they are.
func where(dice *rand.Rand, e fault.Event, s scenario) (class, int) {
	at := func(v fault.Verb) bool { return fault.SkipVerb(e.Fault, v) == "" }
	switch write, list, watch := at(fault.VerbCreate) || at(fault.VerbUpdate), at(fault.VerbList), at(fault.VerbWatch); {
	case e.Fault == fault.Exists && s.creates > 0:
		return creates, s.creates
	case watch && !write && !list:
		return watches, s.calls.watches
	case list && !write:
		return lists, s.calls.lists
	case !list && !watch, e.Fault == fault.Crash && e.Form > 1:
		return writes, s.calls.writes
	}
	switch dice.IntN(4) {
	case 0:
		return all, s.calls.all()
	case 1:
		return lists, s.calls.lists
	}
	return writes, s.calls.writes
}
