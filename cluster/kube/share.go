// Work that several ask for at once, and that is done once for all of them.

package kube

import (
	"context"
	"sync"
)

// A shared is work whose result is good for everybody who asked before it began.
// It is done once at a time: those who ask while it is being done wait, and share
// the next time. Nothing is kept for those who come later.
type shared[T any] struct {
	mu   sync.Mutex
	now  *turn[T] // is being done; nil: none
	next *turn[T] // begins when that has ended; nil: nobody waits for it
}

// A turn is the work done once.
type turn[T any] struct {
	work    func() // sets what follows
	result  T
	err     error
	done    chan struct{}      // closed when they are set
	end     context.CancelFunc // of the work
	waiting int
}

// do returns what came of work that began after do was called, by whoever of
// those who share it asked first. A ctx that ends ends the waiting of its caller
// alone; the work ends when nobody waits for it any more.
func (s *shared[T]) do(ctx context.Context, work func(context.Context) (T, error)) (T, error) {
	t := s.join(ctx, work)
	select {
	case <-t.done:
		return t.result, t.err
	case <-ctx.Done():
		s.leave(t)
		var none T
		return none, context.Cause(ctx)
	}
}

// join returns a turn that has not begun, and lets it begin if none is being done.
func (s *shared[T]) join(ctx context.Context, work func(context.Context) (T, error)) *turn[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		s.next = newTurn(ctx, work)
	}
	t := s.next
	t.waiting++
	if s.now == nil {
		s.now, s.next = t, nil
		go s.run(t)
	}
	return t
}

// newTurn has what the context of the first to ask holds, but not its end.
func newTurn[T any](ctx context.Context, work func(context.Context) (T, error)) *turn[T] {
	own, end := context.WithCancel(context.WithoutCancel(ctx))
	t := &turn[T]{done: make(chan struct{}), end: end}
	t.work = func() { t.result, t.err = work(own) }
	return t
}

// run does one turn after the other, until nobody waits for another.
func (s *shared[T]) run(t *turn[T]) {
	for ; t != nil; t = s.advance() {
		t.work()
		t.end()
		close(t.done)
	}
}

func (s *shared[T]) advance() *turn[T] {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.next = s.next, nil
	return s.now
}

// leave is for who does not wait for the turn any more. The last one to go sees
// to it that nothing of it is left.
func (s *shared[T]) leave(t *turn[T]) {
	s.mu.Lock()
	t.waiting--
	last, begun := t.waiting == 0, s.next != t
	if last {
		t.end()
	}
	if last && !begun {
		s.next = nil
	}
	s.mu.Unlock()
	if last && begun {
		<-t.done
	}
}
