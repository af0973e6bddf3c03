// Half-states on the simulated cluster, cleaned up under faults and by two at once.

package cleanup_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

var errLost = errors.New("connection reset")

// faulty is a Cluster whose nth call goes wrong: it never arrives, or its answer
// is lost.
type faulty struct {
	cluster.Cluster
	calls, nth int
	effect     bool
	err        error
}

func (f *faulty) call(do func() error) error {
	f.calls++
	if f.calls != f.nth {
		return do()
	}
	if f.effect {
		_ = do()
	}
	return f.err
}

func (f *faulty) Observe(ctx context.Context, app string) (s cluster.State, err error) {
	err = f.call(func() (err error) { s, err = f.Cluster.Observe(ctx, app); return err })
	return s, err
}
func (f *faulty) Put(ctx context.Context, app string, r cluster.Revision) error {
	return f.call(func() error { return f.Cluster.Put(ctx, app, r) })
}
func (f *faulty) Delete(ctx context.Context, app string, r cluster.Revision) error {
	return f.call(func() error { return f.Cluster.Delete(ctx, app, r) })
}

// halfState is what a run that died has left.
type halfState struct {
	name   string
	make   func(*fake.Cluster)
	policy cleanup.Policy
	keeps  string
}

func halfStates() []halfState {
	add := func(w *fake.Cluster, seq int64, on bool, template string) {
		w.AddFound("web", cluster.Revision{Name: cluster.RevisionName("web", seq, ""), Seq: seq, Replicas: 3, Enabled: on, Template: []byte(template)})
	}
	flip := func(w *fake.Cluster, name string, pods int) {
		for range pods {
			w.FlipPod("web", name)
		}
	}
	return []halfState{
		{"the deploy was stuck", func(w *fake.Cluster) { add(w, 1, true, "t"); add(w, 2, false, "t"); w.SetReady("web", "web-v002", 0) }, cleanup.Policy{RunFailed: true}, "web-v001"},
		{"the enable died", func(w *fake.Cluster) { add(w, 1, true, "t"); add(w, 2, false, "t"); flip(w, "web-v002", 1) }, cleanup.Policy{RunFailed: true}, "web-v001"},
		{"the disable died", func(w *fake.Cluster) { add(w, 1, false, "t"); flip(w, "web-v001", 1); add(w, 2, true, "t") }, cleanup.Policy{}, "web-v002"},
		{"many have piled up", func(w *fake.Cluster) {
			add(w, 1, false, "t")
			add(w, 2, false, "t")
			add(w, 3, true, "t")
			add(w, 4, true, "t")
			add(w, 5, false, "t")
		}, cleanup.Policy{RunFailed: true}, "web-v004"},
	}
}

func (h halfState) world(t *testing.T, where string) *fake.Cluster {
	armed := false
	var w *fake.Cluster
	w = fake.New(fake.World{Changed: func() {
		if armed && w.State("web").Serving() < 3 {
			t.Fatalf("%s: %d endpoints serve", where, w.State("web").Serving())
		}
	}})
	h.make(w)
	require.NoError(t, w.Sleep(context.Background(), time.Minute))
	armed = true
	return w
}

func TestRunLeavesOneRevisionAlone(t *testing.T) {
	for _, h := range halfStates() {
		t.Run(h.name, func(t *testing.T) {
			calls := 1 << 20
			for nth := 0; nth <= calls; nth++ {
				for _, effect := range []bool{false, true} {
					where := fmt.Sprintf("%s: call %d is lost, effect %t", h.name, nth, effect)
					w := h.world(t, where)
					f := &faulty{Cluster: w, nth: nth, effect: effect, err: errLost}
					decisions, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: f, Clock: w, ID: "cleaner", Skew: -1}, "web", h.policy)
					require.NoError(t, err, where)
					require.Len(t, decisions, 1, where)
					s := w.State("web")
					require.Len(t, s.Revisions, 1, where)
					require.Equal(t, h.keeps, s.Revisions[0].Name, where)
					require.Equal(t, 3, s.ReliedOn(h.keeps), where)
					if nth == 0 {
						calls = f.calls
					}
				}
			}
		})
	}
}

// What a cleanup costs: a delete for what is dark, and for what is in traffic
// its disable as well, which is one write and one for each of its pods.
func TestRunWritesNoMoreThanItMust(t *testing.T) {
	const dark, lit = 1, 1 + 3 + 1
	for i, want := range []int{dark, lit, lit, 3*dark + lit} {
		h := halfStates()[i]
		w := h.world(t, h.name)
		before := len(w.Writes())
		_, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: w, Clock: w, ID: "cleaner", Skew: -1}, "web", h.policy)
		require.NoError(t, err)
		require.Len(t, w.Writes()[before:], want, "%s: %v", h.name, w.Writes()[before:])
	}
}

func TestWhatIsNewerStaysUnlessItsRunFailed(t *testing.T) {
	h := halfStates()[0]
	w := h.world(t, h.name)
	before := len(w.Writes())
	decisions, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: w, Clock: w, ID: "cleaner"}, "web", cleanup.Policy{})
	require.NoError(t, err)
	require.Empty(t, w.Writes()[before:])
	require.Contains(t, decisions[1].Why, "say that it failed")
}

func TestNothingServesNothingIsDeleted(t *testing.T) {
	w := fake.New(fake.World{})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Template: []byte("t")})
	w.AddFound("web", cluster.Revision{Name: "web-v002", Seq: 2, Replicas: 3, Template: []byte("t")})
	before := len(w.Writes())
	_, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: w, Clock: w, ID: "cleaner"}, "web", cleanup.Policy{RunFailed: true})
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Unfit, abort.Kind)
	require.Empty(t, w.Writes()[before:])
}

// A pod has just gone, and traffic still lists it when the cleanup begins: that
// is over in a moment, and no reason to give up.
func TestAPodThatHasJustGone(t *testing.T) {
	h := halfStates()[2]
	w := h.world(t, h.name)
	w.SetStrays("web", 1)
	clock := after{w, func() { w.SetStrays("web", 0) }}
	_, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: w, Clock: clock, ID: "cleaner"}, "web", h.policy)
	require.NoError(t, err)
	require.Len(t, w.State("web").Revisions, 1)
}

// after is a clock that lets something happen in the first sleep.
type after struct {
	*fake.Cluster
	do func()
}

func (a after) Sleep(ctx context.Context, d time.Duration) error {
	a.do()
	return a.Cluster.Sleep(ctx, d)
}

// A look that fails, in whatever way, deletes nothing.
func TestNoLookNoDelete(t *testing.T) {
	for _, broken := range []error{fmt.Errorf("list pods: %w", cluster.ErrRefused), errLost} {
		h := halfStates()[3]
		w := h.world(t, h.name)
		before := len(w.Writes())
		ctx, cancel := context.WithCancel(context.Background())
		runner := strategy.Runner{Cluster: blind{w, broken}, Clock: w, ID: "cleaner", GiveUp: time.Minute}
		_, err := cleanup.Run(ctx, runner, "web", h.policy)
		cancel()
		require.ErrorIs(t, err, broken)
		require.Empty(t, w.Writes()[before:])
	}
}

type blind struct {
	cluster.Cluster
	err error
}

func (b blind) Observe(context.Context, string) (cluster.State, error) {
	return cluster.State{}, b.err
}

// Two cleaners at once end as one does.
func TestTwoCleaners(t *testing.T) {
	for _, h := range halfStates() {
		w := h.world(t, h.name)
		second := func() {
			_, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: w, Clock: w, ID: "second", Skew: -1}, "web", h.policy)
			require.NoError(t, err)
		}
		for turn := 1; turn < 8; turn++ {
			w = h.world(t, h.name)
			first := strategy.Runner{Cluster: w, Clock: w, ID: "first", Skew: -1, Trace: func(e strategy.Event) {
				if e.Turn == turn && e.Err == nil {
					second() // between the look and the write of the first
				}
			}}
			_, err := cleanup.Run(context.Background(), first, "web", h.policy)
			require.NoError(t, err, "%s, turn %d", h.name, turn)
			s := w.State("web")
			require.Len(t, s.Revisions, 1)
			require.Equal(t, h.keeps, s.Revisions[0].Name)
		}
	}
}
