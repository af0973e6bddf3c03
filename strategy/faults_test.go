// Every fault at every call: each scenario is run once undisturbed, and then
// once per call and fault. Whatever happens, the app serves at every single
// change, a killed run leaves it serving for ever, and running again ends where
// the undisturbed run did.

package strategy_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// A fault happens at one call.
type fault int

const (
	none       fault = iota
	lost             // the request never arrives
	unanswered       // it takes effect, the answer is lost
	conflict         // somebody else was first
	late             // no answer, and it takes effect three calls later
	killBefore       // the process dies before it sends
	killAfter        // the process dies when the cluster has done it
	killLate         // the process dies, and the write arrives three calls into the next run
	latest           // no answer, and it arrives when the run is over
	killLatest       // the process dies, and the write arrives when the next run is over
)

var faults = map[fault]string{lost: "lost", unanswered: "unanswered", conflict: "conflict", late: "late",
	killBefore: "killed before", killAfter: "killed after", killLate: "killed, and it arrives late",
	latest: "late until after the end", killLatest: "killed, and it arrives after the end"}

// lands is how long a write may be under way; it is the Runner's FenceWait.
const lands = time.Minute

var (
	errLost   = errors.New("connection reset")
	errKilled = errors.New("killed")
)

// faulty is a Cluster whose nth call goes wrong.
type faulty struct {
	cluster.Cluster
	calls, nth int
	fault      fault
	isWrite    bool // the nth call was a write
	pending    func(context.Context) error
	due        int
	clock      strategy.Clock
	sent       time.Time
}

// over lets what is still under way arrive, if it may be for so long.
func (f *faulty) over() {
	if f.pending != nil && f.clock.Now().Sub(f.sent) < lands {
		_ = f.pending(context.Background()) // whoever sent it does not hear of it
	}
	f.pending = nil
}

func (f *faulty) call(ctx context.Context, write bool, do func(context.Context) error) error {
	f.calls++
	if f.pending != nil && f.calls >= f.due {
		f.over()
	}
	if f.calls != f.nth {
		return do(ctx)
	}
	f.isWrite = write
	switch f.fault {
	case lost:
		return errLost
	case conflict:
		return fmt.Errorf("injected: %w", cluster.ErrConflict)
	case unanswered:
		_ = do(ctx)
		return errLost
	case late:
		f.pending, f.due, f.sent = do, f.calls+3, f.clock.Now()
		return errLost
	case killBefore:
		return errKilled
	case killAfter:
		_ = do(ctx)
		return errKilled
	case killLate:
		f.pending, f.due, f.sent = do, f.calls+3, f.clock.Now()
		return errKilled
	case latest, killLatest:
		f.pending, f.due, f.sent = do, 1<<30, f.clock.Now()
		if f.fault == latest {
			return errLost
		}
		return errKilled
	}
	return do(ctx)
}

func (f *faulty) Observe(ctx context.Context, app string) (s cluster.State, err error) {
	err = f.call(ctx, false, func(ctx context.Context) (err error) { s, err = f.Cluster.Observe(ctx, app); return err })
	return s, err
}
func (f *faulty) Put(ctx context.Context, app string, r cluster.Revision) error {
	return f.call(ctx, true, func(ctx context.Context) error { return f.Cluster.Put(ctx, app, r) })
}
func (f *faulty) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	return f.call(ctx, true, func(ctx context.Context) error { return f.Cluster.SetRoute(ctx, app, r) })
}
func (f *faulty) Delete(ctx context.Context, app string, r cluster.Revision) error {
	return f.call(ctx, true, func(ctx context.Context) error { return f.Cluster.Delete(ctx, app, r) })
}

type scenario struct {
	name    string
	can     cluster.Can
	how     strategy.Strategy
	first   bool // nothing is there before
	prepare bool // build-2 is deployed before
	target  cluster.Target
	shrunk  bool // and web-v001 has shrunk since
	undo    bool
	stay    bool
	floor   int
}

// settings are what red-black and blue-green have in common.
type settings struct {
	before, after      health.Gate
	bake, ready, drain time.Duration
	keep               strategy.Retention
}

// scenarios are the same for every way to move traffic.
func scenarios() []scenario {
	var all []scenario
	for _, way := range []struct {
		name string
		can  cluster.Can
		make func(settings) strategy.Strategy
	}{
		{"red-black", cluster.Can{Enable: true}, func(s settings) strategy.Strategy {
			return strategy.RedBlack{Before: s.before, After: s.after, Bake: s.bake, Ready: s.ready, Drain: s.drain, Keep: s.keep}
		}},
		{"blue-green", cluster.Can{Select: true}, func(s settings) strategy.Strategy {
			return strategy.BlueGreen{Before: s.before, After: s.after, Bake: s.bake, Ready: s.ready, Drain: s.drain, Keep: s.keep}
		}},
		{"blue-green with overlap", cluster.Can{Select: true}, func(s settings) strategy.Strategy {
			return strategy.BlueGreen{Before: s.before, After: s.after, Bake: s.bake, Ready: s.ready, Drain: s.drain, Keep: s.keep, Overlap: strategy.Always}
		}},
	} {
		for _, s := range scenariosOf(way.make) {
			s.name, s.can = way.name+"/"+s.name, way.can
			all = append(all, s)
		}
	}
	return all
}

func scenariosOf(how func(settings) strategy.Strategy) []scenario {
	failing := health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		return health.Fail, "5xx", nil
	})
	next := cluster.Target{Release: "build-2", Template: []byte("build-2")}
	keep := strategy.Retention{Shrink: time.Minute, ShrinkTo: 1, Destroy: 2 * time.Minute}
	return []scenario{
		{name: "first deployment", first: true, target: cluster.Target{Release: "build-2", Template: []byte("t"), Replicas: 3}, how: how(settings{})},
		{name: "upgrade", target: next, how: how(settings{bake: 10 * time.Second}), floor: 3},
		{name: "upgrade, and retention", target: next, how: how(settings{keep: keep, drain: 5 * time.Second}), stay: true, floor: 3},
		{name: "gate before fails", target: next, how: how(settings{before: failing}), floor: 3},
		{name: "gate after fails", target: next, how: how(settings{after: failing, bake: 10 * time.Second}), floor: 3},
		{name: "never ready", target: cluster.Target{Release: "build-2", Template: []byte("bad")}, how: how(settings{ready: time.Minute}), floor: 3},
		{name: "undo", prepare: true, undo: true, target: cluster.Target{Release: "build-2"}, how: how(settings{}), floor: 3},
		{name: "undo to a side that has shrunk", prepare: true, shrunk: true, undo: true, target: cluster.Target{Release: "build-2"}, how: how(settings{}), floor: 3},
		{name: "the release after", prepare: true, target: cluster.Target{Release: "build-3", Template: []byte("build-3")}, how: how(settings{drain: 5 * time.Second}), stay: true, floor: 3},
	}
}

// world makes the scenario's world, in which a breach of the floor is reported.
func (s scenario) world(t *testing.T, breach func(string)) *fake.Cluster {
	var w *fake.Cluster
	armed := false
	w = fake.New(fake.World{
		Batch: 2, Can: s.can,
		Ready: func(template []byte) (time.Duration, bool) {
			return 2 * time.Second, !bytes.Contains(template, []byte("bad"))
		},
		Changed: func() {
			if state := w.State("web"); armed && state.Serving() < s.floor {
				breach(fmt.Sprintf("%d endpoints serve, the floor is %d\n%s", state.Serving(), s.floor, shows(state)))
			}
		},
	})
	if !s.first {
		w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
	}
	if s.prepare {
		_, err := s.runner(w, w, "before").Run(context.Background(), "web", cluster.Target{Release: "build-2", Template: []byte("build-2")}, s.how)
		require.NoError(t, err)
	}
	if s.shrunk {
		old, _ := w.State("web").Named("web-v001")
		old.Replicas = 1
		require.NoError(t, w.Put(context.Background(), "web", old))
		require.NoError(t, w.Sleep(context.Background(), time.Minute))
	}
	armed = true
	return w
}

func (s scenario) runner(c cluster.Cluster, w *fake.Cluster, id string) strategy.Runner {
	return strategy.Runner{Cluster: c, Clock: w, ID: id, Skew: -1, Stay: s.stay, Poll: time.Second}
}

// run runs until the run is killed or ends, and then again until it ends.
func (s scenario) run(t *testing.T, w *fake.Cluster, f *faulty) (outcome string) {
	for i := range 3 {
		ctx, cancel := context.WithCancel(context.Background())
		runner := s.runner(f, w, fmt.Sprint("run", i))
		killed, turns := false, 0
		runner.Trace = func(e strategy.Event) {
			turns++
			if errors.Is(e.Err, errKilled) || turns > 5000 {
				killed = errors.Is(e.Err, errKilled)
				cancel()
			}
		}
		_, err := runner.Run(ctx, "web", s.target, s.strategy())
		cancel()
		if killed {
			w.Forget()
			continue
		}
		if err == nil {
			return "done"
		}
		var abort *strategy.AbortError
		require.ErrorAs(t, err, &abort)
		return abort.Kind.String()
	}
	t.Fatal("killed three times by one fault")
	return ""
}

// once runs until the first error, and no more.
func (s scenario) once(f *faulty, w *fake.Cluster, id string) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	runner := s.runner(f, w, id)
	runner.Trace = func(e strategy.Event) {
		if e.Err != nil {
			cancel()
		}
	}
	_, _ = runner.Run(ctx, "web", s.target, s.strategy())
}

func (s scenario) strategy() strategy.Strategy {
	if s.undo {
		return strategy.Undo(s.how, "by ops")
	}
	return s.how
}

// ends runs to the end, lets arrive what is still under way, and returns what
// counts of the end when nothing moves any more: all but times and fences.
func (s scenario) ends(t *testing.T, w *fake.Cluster, f *faulty) string {
	outcome := s.run(t, w, f)
	f.over()
	require.NoError(t, w.Sleep(context.Background(), 5*time.Minute))
	creates := 0
	for _, write := range w.Writes() {
		if write.Verb == "create" {
			creates++
		}
	}
	return fmt.Sprintf("%s, %d created\n%s", outcome, creates, shows(w.State("web")))
}

func TestEveryFaultAtEveryCall(t *testing.T) {
	runs := 0
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			w := s.world(t, func(why string) { t.Fatal(why) })
			reference := &faulty{Cluster: w, clock: w}
			want := s.ends(t, w, reference)
			require.Greater(t, reference.calls, 5)
			for kind := lost; kind <= killLatest; kind++ {
				for nth := 1; nth <= reference.calls; nth++ {
					where := fmt.Sprintf("%s: call %d of %d is %s", s.name, nth, reference.calls, faults[kind])
					w := s.world(t, func(why string) { t.Fatalf("%s: %s", where, why) })
					f := &faulty{Cluster: w, clock: w, nth: nth, fault: kind}
					got := s.ends(t, w, f)
					require.GreaterOrEqual(t, f.calls, nth, "%s: never came to it", where)
					require.Equal(t, want, got, where)
					runs++
				}
			}
		})
	}
	t.Logf("%d runs, each with one fault", runs)
}

// A process that died leaves the app serving, though nobody ever acts again.
func TestAbandonedAtEveryCall(t *testing.T) {
	for _, s := range scenarios() {
		t.Run(s.name, func(t *testing.T) {
			for _, kind := range []fault{killBefore, killAfter, killLate} {
				reached := true
				for nth := 1; reached; nth++ {
					where := fmt.Sprintf("%s: call %d is %s", s.name, nth, faults[kind])
					w := s.world(t, func(why string) { t.Fatalf("%s: %s", where, why) })
					f := &faulty{Cluster: w, clock: w, nth: nth, fault: kind}
					s.once(f, w, "only")
					if f.pending != nil {
						_ = f.pending(context.Background())
					}
					require.NoError(t, w.Sleep(context.Background(), time.Hour))
					require.GreaterOrEqual(t, w.State("web").Serving(), s.floor, where)
					reached = f.calls >= nth
				}
			}
		})
	}
}

// A run that died has sent one last write. Whatever is run next, that write may
// arrive at any call of it or when it is over: the floor holds at every change,
// and in the end one revision serves, alone, as the run has said.
func TestLastWriteOfADeadRunArrivesInTheNextOne(t *testing.T) {
	of := map[string]scenario{}
	for _, s := range scenarios() {
		of[s.name] = s
	}
	runs := 0
	for _, way := range []string{"red-black", "blue-green", "blue-green with overlap"} {
		fails, never := of[way+"/gate before fails"], of[way+"/never ready"]
		fails.target, never.target.Release = build("build-3"), "build-3"
		for _, dead := range []string{"upgrade", "upgrade, and retention", "undo"} {
			for _, next := range []scenario{of[way+"/undo"], of[way+"/the release after"], fails, never} {
				next.prepare = false
				t.Run(fmt.Sprintf("%s/%s, then %s", way, dead, next.name[len(way)+1:]), func(t *testing.T) {
					runs += deadRunThen(t, of[way+"/"+dead], next)
				})
			}
		}
	}
	t.Logf("%d runs, in each of which a write arrived late", runs)
}

// tells requires that one revision serves, alone, and that it is the one that
// the outcome of the run says.
func (s scenario) tells(t *testing.T, outcome string, end cluster.State, where string) {
	var who []cluster.Revision
	for _, r := range end.Revisions {
		if end.HasTraffic(r.Name) || !end.Dark(r) {
			who = append(who, r)
		}
	}
	require.Len(t, who, 1, "%s: %s\n%s", where, outcome, shows(end))
	require.Equal(t, 3, end.ReliedOn(who[0].Name), "%s: %s\n%s", where, outcome, shows(end))
	switch mine := who[0].Release == s.target.Release; {
	case outcome == "done" && !s.undo:
		require.True(t, mine, "%s: done\n%s", where, shows(end))
	case outcome == "done", outcome == strategy.Failed.String():
		require.False(t, mine, "%s: %s\n%s", where, outcome, shows(end))
	}
}

// deadRunThen kills a run at each write of it, which arrives at each call of the
// next run, or after it.
func deadRunThen(t *testing.T, dead, next scenario) (runs int) {
	for nth := 1; ; nth++ {
		where := fmt.Sprintf("call %d of the dead run", nth)
		once := func(arrives int) (calls int, reached bool) {
			w := dead.world(t, func(why string) { t.Fatalf("%s arrives at call %d: %s", where, arrives, why) })
			f := &faulty{Cluster: w, clock: w, nth: nth, fault: killLatest}
			dead.once(f, w, "dead")
			if reached = f.calls >= nth; !reached || !f.isWrite {
				return 0, reached
			}
			switch {
			case arrives == 0:
				f.pending = nil // never
			case arrives > 0:
				f.due = f.calls + arrives
			}
			before := f.calls
			outcome := next.run(t, w, f)
			require.NoError(t, w.Sleep(context.Background(), 5*time.Second)) // controllers are done
			f.over()
			require.NoError(t, w.Sleep(context.Background(), time.Hour))
			next.tells(t, outcome, w.State("web"), fmt.Sprintf("%s arrives at call %d", where, arrives))
			return f.calls - before, true
		}
		calls, reached := once(0)
		if !reached {
			return runs
		}
		for arrives := 1; arrives <= calls; arrives++ {
			once(arrives)
			runs++
		}
		if calls > 0 {
			once(-1) // after the end
			runs++
		}
	}
}

// An undisturbed run writes what its doc says and no more.
func TestWritesOfAnUndisturbedRun(t *testing.T) {
	for _, n := range []int{1, 3, 10} {
		w := fake.New(fake.World{})
		w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: n, Enabled: true, Template: []byte("old")})
		before := len(w.Writes())
		_, err := strategy.Runner{Cluster: w, Clock: w, ID: "run", Stay: true}.Run(context.Background(), "web",
			cluster.Target{Release: "build-2", Template: []byte("t")}, strategy.RedBlack{Keep: strategy.Retention{Shrink: time.Minute}})
		require.NoError(t, err)
		const create, good, shrink = 1, 1, 1
		require.Len(t, w.Writes()[before:], create+(1+n)+(1+n)+good+shrink, "%v", w.Writes()[before:])
	}
}
