// What wakes a member of a group that waits for another one, so that it need not
// wait for its next look.

package strategy

import (
	"context"
	"sync"
)

// A bell wakes one run. It stays rung until it is hushed: what rings between a look
// and the rest that follows is heard, too. A nil one never rings.
type bell struct {
	mu   sync.Mutex
	rung bool
	wake context.CancelFunc // of who rests now; nil: nobody does
}

func (b *bell) ring() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = true
	if b.wake != nil {
		b.wake()
	}
}

func (b *bell) hush() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rung = false
}

// rest returns a context that ends with ctx, or when the bell rings; over lets it
// go.
func (b *bell) rest(ctx context.Context) (resting context.Context, over func()) {
	if b == nil {
		return ctx, func() {}
	}
	resting, cancel := context.WithCancel(ctx)
	b.mu.Lock()
	defer b.mu.Unlock()
	b.wake = cancel
	if b.rung {
		cancel()
	}
	return resting, func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.wake = nil
		cancel()
	}
}
