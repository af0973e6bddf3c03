// Every ordered pair of faults. What follows a state is a function of the world
// and of what the client remembers: a state that was seen before needs no second
// fault, and once the second one has come, no second look at what comes of it.

package strategytest

import (
	"errors"
	"slices"

	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/internal/digest"
	"github.com/cutover-dev/cutover/strategy"
)

// PairStats counts what CheckPairs did.
type PairStats struct {
	Stats
	Pairs  int // that were run
	Pruned int // states at which every second fault had been tried already
	Merged int // of Pairs, those that came to a state that another pair had come to
}

// CheckPairs lets every fault happen, and after it every other one, each in its first
// form, at every call of one scenario; as second ones, those that are one to whoever
// makes the call only once. If unpruned is set it plays all of them to their end, else
// only those second ones that come to a state of the world and of the client that no
// other pair came to, and each only up to such a state. The release that mends a
// disturbed world in the end has no fault of its own. Scenarios returns the names.
func CheckPairs(s strategy.Strategy, o Options, scenario string, unpruned bool) (PairStats, error) {
	return newProof(s, nil, o).pairs(scenario, unpruned)
}

// CheckCleanupPairs is CheckPairs for a cleanup.
func CheckCleanupPairs(c Cleaner, o Options, scenario string, unpruned bool) (PairStats, error) {
	return newProof(nil, c, o).pairs(scenario, unpruned)
}

// Scenarios returns the names of the scenarios that a strategy is tried in.
func Scenarios(s strategy.Strategy, o Options) []string { return newProof(s, nil, o).names() }

// CleanupScenarios returns the names of the scenarios that a cleanup is tried in.
func CleanupScenarios(c Cleaner, o Options) []string { return newProof(nil, c, o).names() }

func (p *proof) names() []string {
	var names []string
	for _, s := range p.list {
		names = append(names, s.name)
	}
	return names
}

// A place is a call of the main client at which something may go wrong, and the
// state of everything before it.
type place struct {
	kind  fault.Kind
	state uint64
}

// pairs tries every pair in one scenario. It goes on after a breach, and reports
// the first of each law.
func (p *proof) pairs(name string, unpruned bool) (stats PairStats, err error) {
	s, ok := p.scenario(name)
	if !ok {
		return stats, &Breach{Law: Harness, Why: "there is no such scenario", Schedule: Schedule{Scenario: name}}
	}
	undisturbed, breach := p.try(Schedule{Scenario: name}, nil)
	if breach != nil {
		return stats, breach
	}
	stats.Scenarios = 1
	search := pairing{proof: p, scenario: s, unpruned: unpruned, stats: &stats,
		before: map[uint64]bool{}, after: map[uint64]bool{}, broken: map[string]error{}}
	for i, kind := range undisturbed.calls {
		for _, first := range events(i+1, kind) {
			search.seconds(first)
		}
	}
	var all []error
	for _, err := range search.broken {
		all = append(all, err)
	}
	stats.Breaches = len(all)
	return stats, errors.Join(all...)
}

// pairing is a search through the pairs of one scenario.
type pairing struct {
	*proof
	scenario      scenario
	unpruned      bool
	stats         *PairStats
	before, after map[uint64]bool  // the states seen: of one fault, and of two
	broken        map[string]error // the first breach of each law
}

// events lists what may go wrong at a call, in its first form: all of them, in pairs,
// would take a day.
func events(call int, kind fault.Kind) (all []fault.Event) {
	for f := fault.Fault(1); int(f) <= fault.Count; f++ {
		if fault.Skip(f, kind) == "" {
			all = append(all, fault.Event{Call: call, Fault: f})
		}
	}
	return all
}

// mere are the faults that are one to whoever makes the call: an error, and nothing
// has come of it. As a second fault Reset stands for them; as first ones they lead to
// no state that Reset does not.
var mere = []fault.Fault{fault.TooMany, fault.ServerError, fault.Unavailable, fault.GatewayTimeout,
	fault.ExpiredList, fault.StaleRead, fault.TimeTravel, fault.Truncated}

// seconds tries every second fault after a first one.
func (p *pairing) seconds(first fault.Event) {
	places, r, breach := p.probe(Schedule{Scenario: p.scenario.name, Faults: fault.Plan{first}})
	p.stats.Runs++
	if breach != nil {
		p.broken[breach.Law] = p.explain(breach)
		return
	}
	if r.fired == 0 {
		return
	}
	for i, at := range places {
		call := i + 1
		if call <= first.Call {
			continue
		}
		if !p.unpruned && p.before[at.state] {
			p.stats.Pruned++
			continue
		}
		p.before[at.state] = true
		for _, second := range events(call, at.kind) {
			if !slices.Contains(mere, second.Fault) {
				p.pair(fault.Plan{first, second})
			}
		}
	}
}

// soon is within how many calls of the second fault a play is looked at for where
// another one has been: later it costs more than it saves.
const soon = 24

// merged unwinds a play that has come to where another one has been.
type merged struct{}

func (p *pairing) pair(plan fault.Plan) {
	sequels := []string{Again}
	if plan[1].Fault == fault.Crash {
		sequels = []string{Again, Nothing}
	}
	for _, then := range sequels {
		p.stats.Pairs++
		p.stats.Runs++
		breach := p.play(Schedule{Scenario: p.scenario.name, Faults: plan, Then: then})
		if breach != nil && p.broken[breach.Law] == nil {
			p.broken[breach.Law] = p.explain(breach)
		}
	}
}

// play plays a pair until it comes to where another has been.
func (p *pairing) play(s Schedule) (breach *Breach) {
	if !p.unpruned {
		defer func() { p.noting = nil }()
		p.noting = func(t *trial, c *client, call fault.Call) {
			if after := call.Number - s.Faults[1].Call; c.cluster != t.main.cluster || after <= 0 || after > soon {
				return
			}
			state := t.digest(c, call)
			if p.after[state] {
				panic(merged{})
			}
			p.after[state] = true
		}
	}
	defer func() {
		if found := recover(); found == (merged{}) {
			p.stats.Merged++
		} else if found != nil {
			panic(found)
		}
	}()
	_, breach = p.try(s, nil)
	return breach
}

// probe plays a schedule and notes the state before each call of its main
// client.
func (p *proof) probe(s Schedule) (places []place, r result, breach *Breach) {
	p.noting = func(t *trial, c *client, call fault.Call) {
		if c.cluster == t.main.cluster && t.phase != mending {
			places = append(places, place{call.Kind, t.digest(c, call)})
		}
	}
	defer func() { p.noting = nil }()
	r, breach = p.try(s, nil)
	return places, r, breach
}

// digest makes one number of the world, of what is under way, of what the judge
// knows, and of what the client remembers and is about to do.
func (t *trial) digest(c *client, call fault.Call) uint64 {
	call.Number = 0
	j := &t.judge
	return digest.Of(t.w.Now(), t.w.Digest(), c.event.Memory(), c.cluster.Digest(), c.looked, c.blind, c.state, c.job.name, call,
		t.phase, j.floor, j.wild, j.stuck, j.late, j.mixed, j.condemned, j.ended, t.pendingUntil, len(t.rest), len(t.stack))
}
