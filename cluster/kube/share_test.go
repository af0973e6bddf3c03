// Work that is shared: who gets which turn of it.

package kube

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const patience = 10 * time.Second

func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	require.Eventually(t, ok, patience, time.Millisecond, what)
}

// waiting is how many wait for the next turn.
func (s *shared[T]) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.next == nil {
		return 0
	}
	return s.next.waiting
}

// slow is work that begins when it is told to, and ends when it is told to, or
// with its context. It returns how often it has begun.
type slow struct {
	shared  shared[int]
	begun   int
	running atomic.Int32
	begin   chan struct{} // one thing is received when it has begun
	end     chan error    // one thing is sent to end it
	ended   atomic.Int32  // by its context
}

func newSlow() *slow { return &slow{begin: make(chan struct{}), end: make(chan error)} }

func (s *slow) work(ctx context.Context) (int, error) {
	s.begun++
	if s.running.Add(1) > 1 {
		panic("two at a time")
	}
	defer s.running.Add(-1)
	s.begin <- struct{}{}
	select {
	case err := <-s.end:
		return s.begun, err
	case <-ctx.Done():
		s.ended.Add(1)
		return 0, ctx.Err()
	}
}

// outcome is what one that asked was told.
type outcome struct {
	n   int
	err error
}

// ask asks in a goroutine.
func (s *slow) ask(ctx context.Context) <-chan outcome {
	told := make(chan outcome, 1)
	go func() {
		n, err := s.shared.do(ctx, s.work)
		told <- outcome{n, err}
	}()
	return told
}

// askNext asks for the turn after the one that is being done, for which so many
// wait then.
func (s *slow) askNext(t *testing.T, ctx context.Context, n int) <-chan outcome {
	t.Helper()
	told := s.ask(ctx)
	eventually(t, "it waits", func() bool { return s.shared.waiting() == n })
	return told
}

func TestWorkIsSharedByThoseWhoAskedBeforeItBegan(t *testing.T) {
	s := newSlow()
	first := s.ask(t.Context())
	<-s.begin
	var others []<-chan outcome
	for n := range 10 {
		others = append(others, s.askNext(t, t.Context(), n+1))
	}
	s.end <- nil
	require.Equal(t, outcome{n: 1}, <-first)
	<-s.begin
	broken := errors.New("broken")
	late := s.askNext(t, t.Context(), 1)
	s.end <- broken
	for _, told := range others {
		require.Equal(t, outcome{2, broken}, <-told, "an error is everybody's who shares the work")
	}
	<-s.begin
	s.end <- nil
	require.Equal(t, outcome{n: 3}, <-late, "what began before it was asked for is not good enough")
	eventually(t, "nothing is being done", func() bool { s.shared.mu.Lock(); defer s.shared.mu.Unlock(); return s.shared.now == nil })
}

func TestWhoDoesNotWaitAnyMoreDisturbsNobody(t *testing.T) {
	type key struct{}
	for name, begun := range map[string]bool{"before it begins": false, "while it is done": true} {
		t.Run(name, func(t *testing.T) {
			s := newSlow()
			first := s.ask(t.Context())
			<-s.begin
			ctx, cancel := context.WithCancelCause(context.WithValue(t.Context(), key{}, "kept"))
			asked := s.askNext(t, ctx, 1) // whose turn it would be
			other := s.askNext(t, t.Context(), 2)
			gone := errors.New("gone")
			if !begun {
				cancel(gone)
				require.Equal(t, outcome{err: gone}, <-asked)
			}
			s.end <- nil
			<-s.begin
			cancel(gone)
			if begun {
				require.Equal(t, outcome{err: gone}, <-asked)
			}
			s.end <- nil
			require.Equal(t, outcome{n: 1}, <-first)
			require.Equal(t, outcome{n: 2}, <-other)
			require.Zero(t, s.ended.Load())
		})
	}
}

func TestWorkThatNobodyWaitsForEnds(t *testing.T) {
	s := newSlow()
	ctx, cancel := context.WithCancel(t.Context())
	asked := s.ask(ctx)
	<-s.begin
	ctx, never := context.WithCancel(t.Context())
	other := s.askNext(t, ctx, 1)
	never()
	require.ErrorIs(t, (<-other).err, context.Canceled)
	cancel()
	require.ErrorIs(t, (<-asked).err, context.Canceled)
	require.EqualValues(t, 1, s.ended.Load(), "it has ended before the last one went")
	next := s.ask(t.Context())
	<-s.begin
	s.end <- nil
	require.Equal(t, outcome{n: 2}, <-next, "what nobody waited for was not begun")
}

func TestWorkHasWhatTheContextOfTheFirstHolds(t *testing.T) {
	type key struct{}
	var s shared[any]
	got, err := s.do(context.WithValue(t.Context(), key{}, "kept"), func(ctx context.Context) (any, error) { return ctx.Value(key{}), nil })
	require.NoError(t, err)
	require.Equal(t, "kept", got)
}

// Whoever asks, in whatever order: what is returned began after it was asked for,
// and never two at a time.
func TestSharedWorkIsNeverOlderThanTheQuestion(t *testing.T) {
	var s shared[int64]
	var moments, running atomic.Int64
	var all sync.WaitGroup
	for n := range 8 {
		all.Add(1)
		go func() {
			defer all.Done()
			for i := range 200 {
				ctx, cancel := context.WithCancel(t.Context())
				if (n+i)%5 == 0 {
					cancel()
				}
				asked := moments.Add(1)
				began, err := s.do(ctx, func(context.Context) (int64, error) {
					if running.Add(1) > 1 {
						panic("two at a time")
					}
					defer running.Add(-1)
					return moments.Add(1), nil
				})
				cancel()
				if err == nil && began <= asked {
					t.Errorf("began at %d, asked at %d", began, asked)
				}
				if err != nil && !errors.Is(err, context.Canceled) {
					t.Error(err)
				}
			}
		}()
	}
	all.Wait()
}
