// The world as one number.

package fake

import "github.com/cutover-dev/cutover/internal/digest"

// Digest returns a number that is the same for two worlds that go on alike if
// the same is done to them: everything there is but the log of writes, with
// times as they are seen from now. What an actor will do is not part of it, only
// when.
func (c *Cluster) Digest() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	writes, now, world := c.writes, c.now, c.world
	c.writes, c.world = nil, World{}
	defer func() { c.writes, c.world = writes, world }()
	return digest.Of(now, c)
}
