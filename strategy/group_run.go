// Several runs at once: the one place of the library that has goroutines.

package strategy

import (
	"context"
	"fmt"
	"runtime/debug"
	"sync"
)

// Turns is a Clock that runs what a Group or Waves would run side by side itself,
// so that one acts at a time: then what happens on a simulated cluster is the same
// every time. Package strategytest has one.
type Turns interface {
	Clock

	// InTurn calls member with 0 to n-1, each on a stack of its own, of which one
	// runs at a time until it sleeps by this Clock or ends. It returns when all
	// have ended. No member panics.
	InTurn(n int, member func(i int))
}

// sideBySide calls member with 0 to n-1 at once, and returns when all have ended.
// The first panic ends the context of all, and is then the caller's.
func sideBySide(ctx context.Context, clock Clock, n int, member func(ctx context.Context, i int)) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	var once sync.Once
	var first *panicked
	guarded := func(i int) {
		defer func() {
			if value := recover(); value != nil {
				p := &panicked{value: value, stack: debug.Stack()}
				once.Do(func() { first = p })
				cancel(p)
			}
		}()
		member(ctx, i)
	}
	if turns, ok := clock.(Turns); ok {
		turns.InTurn(n, guarded)
	} else {
		atOnce(n, guarded)
	}
	if first != nil {
		panic(first)
	}
}

func atOnce(n int, member func(i int)) {
	var all sync.WaitGroup
	for i := range n {
		all.Add(1)
		go func() {
			defer all.Done()
			member(i)
		}()
	}
	all.Wait()
}

// panicked is a panic of another goroutine, with the stack that it had there.
type panicked struct {
	value any
	stack []byte
}

// Error returns the value and the stack.
func (p *panicked) Error() string {
	return fmt.Sprintf("a member has panicked: %v\n\n%s", p.value, p.stack)
}

// Unwrap returns the value, if it is an error.
func (p *panicked) Unwrap() error {
	err, _ := p.value.(error)
	return err
}

// oneAtATime lets one goroutine at a time call trace.
func oneAtATime(trace func(Event)) func(Event) {
	if trace == nil {
		return nil
	}
	var mu sync.Mutex
	return func(e Event) {
		mu.Lock()
		defer mu.Unlock()
		trace(e)
	}
}
