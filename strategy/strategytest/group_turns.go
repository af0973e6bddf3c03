// A clock by which several runs over simulated clusters take turns, so that what
// happens is the same every time.

package strategytest

import (
	"context"
	"iter"
	"time"

	"github.com/cutover-dev/cutover/fake"
)

// Turns is a [strategy.Turns] over simulated clusters: the Clock for the Runner of
// a Group or of Waves in a test. One member acts at a time, until it sleeps; when
// all sleep, the same time passes in every cluster.
type Turns struct {
	worlds []*fake.Cluster
	began  []time.Time
	now    *turn // whose turn it is; nil: nobody's
	taken  int
}

// A turn is what one member has of the stage.
type turn struct {
	number int
	resume func() (struct{}, bool)
	stop   func()
	yield  func(struct{}) bool
	ctx    context.Context // it wakes when this ends
	wake   time.Time
	last   int // when it had its last turn
	over   bool
}

// InTurn returns a clock for these clusters, at least one. Time must pass in them
// by this clock only.
func InTurn(worlds ...*fake.Cluster) *Turns {
	t := &Turns{worlds: worlds}
	for _, w := range worlds {
		t.began = append(t.began, w.Now())
	}
	return t
}

// Now returns the time in the cluster that is the furthest, as the first one counts
// it.
func (t *Turns) Now() time.Time { return t.began[0].Add(t.passed()) }

func (t *Turns) passed() time.Duration {
	most := time.Duration(0)
	for i, w := range t.worlds {
		most = max(most, w.Now().Sub(t.began[i]))
	}
	return most
}

// Sleep lets the others have their turns until d has passed, or ctx ends.
func (t *Turns) Sleep(ctx context.Context, d time.Duration) error {
	if t.now == nil {
		t.pass(max(d, 0))
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	t.rest(ctx, t.Now().Add(d))
	return ctx.Err()
}

// rest ends the turn of whoever has it until a time.
func (t *Turns) rest(ctx context.Context, until time.Time) {
	if me := t.now; me != nil {
		me.ctx, me.wake = ctx, until
		if !me.yield(struct{}{}) {
			panic(killed{})
		}
	}
}

// pass lets time pass in every cluster, to the same point.
func (t *Turns) pass(d time.Duration) {
	to := t.passed() + d
	for i, w := range t.worlds {
		if behind := to - w.Now().Sub(t.began[i]); behind > 0 {
			_ = w.Sleep(context.Background(), behind)
		}
	}
}

// InTurn implements strategy.Turns.
func (t *Turns) InTurn(n int, member func(i int)) {
	turns := make([]*turn, n)
	for i := range turns {
		me := &turn{number: i, ctx: context.Background(), wake: t.Now()}
		me.resume, me.stop = iter.Pull(func(yield func(struct{}) bool) {
			me.yield = yield
			member(i)
		})
		turns[i] = me
	}
	defer func() {
		for _, me := range turns {
			t.now = me
			me.stop()
		}
		t.now = nil
	}()
	for next := t.next(turns); next != nil; next = t.next(turns) {
		t.pass(max(0, next.wake.Sub(t.Now())))
		t.taken++
		t.now, next.last = next, t.taken
		_, more := next.resume()
		t.now, next.over = nil, !more
	}
}

// next returns whose turn it is: who wakes first and, of several, who had no turn
// for the longest time; nil when all are over.
func (t *Turns) next(turns []*turn) *turn {
	var first *turn
	now := t.Now()
	for _, me := range turns {
		if me.over {
			continue
		}
		if me.ctx.Err() != nil || me.wake.Before(now) {
			me.wake = now
		}
		if first == nil || me.wake.Before(first.wake) || me.wake.Equal(first.wake) && me.last < first.last {
			first = me
		}
	}
	return first
}
