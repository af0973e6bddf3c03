// Every interleaving of the calls of two clients: at each of their calls, either
// may be the one to go on.

package strategytest

import (
	"context"
	"fmt"
	"iter"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/internal/digest"
	"github.com/cutover-dev/cutover/strategy"
)

// InterleavingStats counts what CheckInterleavings did.
type InterleavingStats struct {
	States int // of the world and both clients, from each of which either went on
	Runs   int // plays from the beginning
	Depth  int // calls of the longest
}

// Rivals returns the names of what CheckInterleavings can let act on one app:
// two releases, the same one twice, a release and its undo, a release and a
// cleanup.
func Rivals() []string {
	var names []string
	for _, r := range newProof(nil, func(context.Context, strategy.Runner, string) error { return nil }, Options{}).rivals() {
		names = append(names, r.name)
	}
	return names
}

// CheckInterleavings lets two clients act on one app in every order of their
// calls. The error is the first Breach. A cleanup that is told that the run
// failed is not among them: while that is not so, each may write one object for
// what it sees of the other, and no comparison of versions can stop the two.
func CheckInterleavings(s strategy.Strategy, o Options, name string) (stats InterleavingStats, err error) {
	p := newProof(s, nil, o)
	for _, r := range p.rivals() {
		if r.name == name {
			return p.interleave(r)
		}
	}
	return stats, fmt.Errorf("strategytest: there are no rivals %q", name)
}

// rivals are two jobs in one world.
type rivals struct {
	name  string
	start func(*trial)
	jobs  [2]job
}

func (p *proof) rivals() []rivals {
	two, three := p.deploy("build-2", p.Replicas), p.deploy("build-3", p.Replicas)
	return []rivals{
		{"two releases", older, [2]job{two, three}},
		{"the same release", older, [2]job{two, two}},
		{"a release and an undo", deployed("build-2"), [2]job{three, p.undo("build-2")}},
		{"a release and a cleanup", older, [2]job{two, p.sweep(cleanup.Policy{})}},
	}
}

// A turn-taking client runs until its next call, and no further.
type player struct {
	client *client
	next   func() (fault.Call, bool)
	stop   func()
	call   fault.Call // that it is about to make
	wake   time.Time  // it sleeps until then
	over   bool
	result outcome
}

// interleave explores, depth first: a path is who went on at each call.
func (p *proof) interleave(r rivals) (stats InterleavingStats, err error) {
	seen := map[uint64]bool{}
	paths := [][]byte{nil}
	for len(paths) > 0 {
		path := paths[len(paths)-1]
		paths = paths[:len(paths)-1]
		stats.Runs++
		more, breach := p.follow(r, path, seen)
		if breach != nil {
			breach.Tale = p.retell(r, path)
			return stats, breach
		}
		stats.Depth = max(stats.Depth, len(path)+1)
		paths = append(paths, more...)
	}
	stats.States = len(seen)
	return stats, nil
}

// follow plays a path, and goes on from its end with the first player as long as
// that comes to new states; the paths on which the other one goes on there are
// left to be explored.
func (p *proof) follow(r rivals, path []byte, seen map[uint64]bool) (more [][]byte, breach *Breach) {
	t, players, end := p.table(r, nil)
	defer end()
	defer func() {
		switch found := recover().(type) {
		case nil:
		case *Breach:
			breach = found
		default:
			panic(found)
		}
	}()
	t.begin(r, players)
	for _, who := range path {
		t.goes(players[who])
	}
	path = append([]byte{}, path...)
	for !players[0].over || !players[1].over {
		state := t.position(players)
		if seen[state] {
			return more, nil
		}
		seen[state] = true
		who := byte(0)
		if players[0].over {
			who = 1
		} else if !players[1].over {
			more = append(more, append(append([]byte{}, path...), 1))
		}
		t.goes(players[who])
		if path = append(path, who); len(path) > longest {
			t.judge.breach(Termination, fmt.Sprintf("after %d calls %s and %s still act in turn", len(path), players[0].client.job.name, players[1].client.job.name))
		}
	}
	t.concludes(players)
	return more, nil
}

// longest is after how many calls two clients count as endless: they need less than
// a hundred, in the world that they are given.
const longest = 200

// retell plays a path, and what the first player does after it, and tells it.
func (p *proof) retell(r rivals, path []byte) string {
	told := &tale{}
	t, players, end := p.table(r, told)
	defer end()
	func() {
		defer func() { _ = recover() }() // the breach, which is known
		t.begin(r, players)
		for _, who := range path {
			t.goes(players[who])
		}
		for !players[0].over || !players[1].over {
			if !players[0].over {
				t.goes(players[0])
			} else {
				t.goes(players[1])
			}
		}
		t.concludes(players)
	}()
	return told.String()
}

// table sets a world up for two.
func (p *proof) table(r rivals, listens *tale) (t *trial, players []*player, end func()) {
	name := "interleaving: " + r.name
	t = p.trial(Schedule{Scenario: name}, scenario{name: name, start: r.start}, listens)
	players = []*player{{}, {}}
	return t, players, func() {
		for _, pl := range players {
			if pl.stop != nil {
				pl.stop()
			}
		}
	}
}

// begin starts both, up to their first call.
func (t *trial) begin(r rivals, players []*player) {
	t.open()
	for i := range players {
		pl := players[i]
		pl.client = t.client(r.jobs[i])
		pl.next, pl.stop = iter.Pull(t.calls(pl))
		t.resume(pl)
	}
	t.main = players[0].client
}

// calls yields before every call of a client.
func (t *trial) calls(pl *player) iter.Seq[fault.Call] {
	return func(yield func(fault.Call) bool) {
		before := pl.client.cluster.Before
		stopped := false
		wait := func(call fault.Call) {
			if stopped || !yield(call) {
				stopped = true
				panic(killed{})
			}
		}
		pl.client.cluster.Before = func(call fault.Call) {
			wait(call)
			before(call)
		}
		pl.client.sleeps = func(d time.Duration) {
			pl.wake = t.w.Now().Add(d)
			wait(fault.Call{Kind: fault.Look})
		}
		pl.result, _ = t.run(pl.client)
	}
}

// goes lets a player go on to its next call; if it sleeps, time passes first.
func (t *trial) goes(pl *player) {
	if pl.over {
		return
	}
	if d := pl.wake.Sub(t.w.Now()); d > 0 {
		t.pass(d)
	}
	pl.wake = time.Time{}
	t.resume(pl)
}

func (t *trial) resume(pl *player) {
	call, ok := pl.next()
	pl.call, pl.over = call, !ok
}

// position is the state of the world and of both players.
func (t *trial) position(players []*player) uint64 {
	values := []any{t.w.Digest(), t.judge.floor}
	for _, pl := range players {
		call := pl.call
		call.Number = 0
		values = append(values, pl.over, pl.result, pl.wake, call, pl.client.looked, pl.client.state, pl.client.event.Memory())
	}
	return digest.Of(t.w.Now(), values...)
}

// concludes judges what both have left.
func (t *trial) concludes(players []*player) {
	t.pass(5 * time.Minute)
	settles := false
	for _, pl := range players {
		settles = settles || pl.result.settles() && pl.client.job.release != ""
		if pl.result.unfinished() {
			t.judge.breach(Convergence, fmt.Sprintf("%s ends as %v, and nothing has failed", pl.client.job.name, pl.result))
		}
	}
	if !settles {
		t.judge.breach(Convergence, fmt.Sprintf("neither has ended well: %v and %v", players[0].result, players[1].result))
	}
	t.judge.settled(done)
}

// A sleeper is the clock of a client that takes turns.
type sleeper struct {
	strategy.Clock
	sleeps func(time.Duration)
}

func (s sleeper) Sleep(ctx context.Context, d time.Duration) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	s.sleeps(d)
	return nil
}
