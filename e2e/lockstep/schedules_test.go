// Which schedules are played, and the count of them.

package lockstep_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

var (
	long   = os.Getenv("LONG") != ""
	replay = os.Getenv("CUTOVER_REPLAY")
)

// workers is how many schedules are played at once. A world waits more than it
// works.
const workers = 4

// total is the count of all tests.
var total count

type count struct {
	mu                            sync.Mutex
	schedules, calls, divergences int
}

func (c *count) add(calls int, d *divergence) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.schedules++
	c.calls += calls
	if d != nil {
		c.divergences++
	}
}

func (c *count) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return fmt.Sprintf("lockstep: %d schedules, %d calls compared, %d divergences", c.schedules, c.calls, c.divergences)
}

// An entry is a schedule to play, and what came of it.
type entry struct {
	schedule strategytest.Schedule

	ended outcome
	calls int
	fired int
	found *divergence
}

// all plays every entry, and fails the test with the first differences.
func all(t *testing.T, entries []*entry) {
	t.Helper()
	next := make(chan *entry)
	var working sync.WaitGroup
	for range workers {
		working.Add(1)
		go func() {
			defer working.Done()
			for e := range next {
				e.ended, e.calls, e.fired, e.found = once(e.schedule)
				total.add(e.calls, e.found)
			}
		}()
	}
	for _, e := range entries {
		next <- e
	}
	close(next)
	working.Wait()
	const shown = 30
	n := 0
	for _, e := range entries {
		if e.found != nil {
			if n++; n <= shown {
				t.Error(e.found)
			}
		}
	}
	if n > shown {
		t.Errorf("and %d more", n-shown)
	}
}

// Undisturbed, every scenario is the same on both, and ends as it should.
func TestUndisturbed(t *testing.T) {
	var entries []*entry
	for _, s := range scenarios() {
		entries = append(entries, &entry{schedule: strategytest.Schedule{Scenario: s.name}})
	}
	all(t, entries)
	for _, e := range entries {
		s, _, _ := find(e.schedule.Scenario)
		if e.found == nil {
			require.Equal(t, s.ends, e.ended, s.name)
		}
	}
}

// writesOf returns how many calls an undisturbed job makes, and which of them
// write.
func writesOf(t *testing.T, name string) (calls int, kinds map[int]fault.Kind) {
	t.Helper()
	s, at, ok := find(name)
	require.True(t, ok, name)
	var p *play
	kinds = map[int]fault.Kind{}
	func() {
		defer func() {
			if d, ok := recover().(*divergence); ok {
				d.schedule = name
				t.Error(d)
			}
		}()
		p = stage(strategytest.Schedule{Scenario: name}, s, at)
		p.client = p.decorate(nil)
		p.client.Before = func(c fault.Call) {
			calls = c.Number
			if c.Kind.Writes() {
				kinds[c.Number] = c.Kind
			}
		}
		_, _ = p.run(s.job)
	}()
	return calls, kinds
}

// atWrites are the faults of a single write.
var atWrites = []fault.Fault{
	fault.Reset, fault.TimeoutLost, fault.TimeoutDone, fault.Late, fault.Duplicate, fault.Reorder, fault.Conflict, fault.Exists,
	fault.NotFound, fault.TooMany, fault.ServerError, fault.Unavailable, fault.GatewayTimeout, fault.Crash,
}

// Whatever goes wrong at one write goes wrong alike.
func TestEveryFaultOfAWrite(t *testing.T) {
	names := []string{"redblack/gate-after-fails"}
	if long {
		names = []string{"redblack/upgrade", "redblack/gate-before-fails", "redblack/gate-after-fails",
			"bluegreen/upgrade", "bluegreen/gate-before-fails", "bluegreen/gate-after-fails"}
	}
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			_, kinds := writesOf(t, name)
			var entries []*entry
			for call, kind := range kinds {
				for _, f := range atWrites {
					for form := range f.Forms() {
						if fault.Skip(f, kind) == "" {
							entries = append(entries, &entry{schedule: strategytest.Schedule{
								Scenario: name, Faults: fault.Plan{{Call: call, Fault: f, Form: form}},
							}})
						}
					}
				}
			}
			all(t, entries)
			for _, e := range entries {
				if e.found == nil {
					require.Positive(t, e.fired, e.schedule)
				}
			}
		})
	}
}

// Whatever goes wrong, in whatever order, goes wrong alike.
func TestAtRandom(t *testing.T) {
	n, seed := 100, uint64(1)
	if long {
		n = 1000
	}
	for name, set := range map[string]func(uint64){
		"CUTOVER_SCHEDULES": func(v uint64) { n = int(v) },
		"CUTOVER_SEED":      func(v uint64) { seed = v },
	} {
		if text := os.Getenv(name); text != "" {
			v, err := strconv.ParseUint(text, 10, 32)
			require.NoError(t, err, name)
			set(v)
		}
	}
	t.Logf("%d schedules from seed %d", n, seed)
	lengths := map[string]int{}
	for _, s := range scenarios() {
		lengths[s.name], _ = writesOf(t, s.name)
	}
	var entries []*entry
	for i := range n {
		entries = append(entries, drawn(rand.New(rand.NewPCG(seed, uint64(i))), lengths))
	}
	all(t, entries)
	fired := 0
	for _, e := range entries {
		fired += e.fired
	}
	require.Greater(t, fired, n/2, "faults that came about")
}

// inWorld are the faults of the world that both have. Not here are what has no
// counterpart on the real side (proxies, the clock), what is a second deployer's
// or cleaner's (they are clients like this one), finalizers and orphans, which
// nobody mirrors, and a status that stands still: every revision of a simulated
// world is Behind then, on a real one those whose spec was written since.
var inWorld = []fault.Fault{
	fault.Autoscaler, fault.Person, fault.Person, fault.Person, fault.Quota, fault.ControllerLag, fault.EndpointLag, fault.CollectorLag,
	fault.PodsFail, fault.PodsFlap, fault.SlowStart, fault.SlowStop, fault.NodeDrain, fault.NodeLost, fault.Cancel,
}

func drawn(r *rand.Rand, lengths map[string]int) *entry {
	list := scenarios()
	s := list[r.IntN(len(list))]
	e := &entry{schedule: strategytest.Schedule{Scenario: s.name}}
	if at := paces[r.IntN(len(paces))]; at.name != "" && r.IntN(2) == 0 {
		e.schedule.Scenario += "/" + at.name
	}
	for range 1 + r.IntN(3) {
		from := atWrites
		if r.IntN(2) == 0 {
			from = inWorld
		}
		f := from[r.IntN(len(from))]
		e.schedule.Faults = append(e.schedule.Faults, fault.Event{Call: 1 + r.IntN(lengths[s.name]+2), Fault: f, Form: r.IntN(len(f.Forms()))})
	}
	then := follows(s.job)
	e.schedule.Then = then[r.IntN(len(then))]
	return e
}

// A token is all that it takes to see a schedule again: CUTOVER_REPLAY is one.
func TestReplay(t *testing.T) {
	token := replay
	if token == "" {
		token = "redblack/upgrade F03.0@7 F45.1@12"
	}
	s, err := strategytest.ParseSchedule(token)
	require.NoError(t, err)
	first, again := &entry{schedule: s}, &entry{schedule: s}
	all(t, []*entry{first})
	all(t, []*entry{again})
	require.Equal(t, first.calls, again.calls, "calls")
	require.Equal(t, first.ended, again.ended)
}
