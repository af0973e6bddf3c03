// The decorator over any Cluster: what goes wrong at a call happens here, what
// goes wrong in the world is asked of the Environment.

package fault

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/internal/digest"
)

// A Kind is a kind of call.
type Kind int

// The kinds of calls: the four of a Cluster, a Put told from what creates, and
// the question that a gate is asked.
const (
	Look Kind = iota
	Create
	Put
	Route
	Delete
	Check
)

var kinds = [...]string{"look", "create", "put", "route", "delete", "check"}

// String returns "look", "create", "put", "route", "delete" or "check".
func (k Kind) String() string { return kinds[k] }

// Writes reports whether calls of this kind write.
func (k Kind) Writes() bool { return k != Look && k != Check }

// A Call is one call of the decorated client.
type Call struct {
	Number   int // counted from 1
	Kind     Kind
	App      string
	Revision cluster.Revision // of a Create, Put or Delete
	Route    cluster.Route    // of a Route
}

// String returns, for example, "7 put web-v002".
func (c Call) String() string {
	return fmt.Sprintf("%d %v %s", c.Number, c.Kind, c.Revision.Name+c.Route.Name)
}

// Clock is the time by which writes that are under way get too old to arrive.
type Clock interface {
	Now() time.Time
	Sleep(ctx context.Context, d time.Duration) error
}

// Errors of a decorated call. They wrap what a real client would say.
var (
	errReset    = errors.New("injected: connection reset by peer")
	errTimeout  = errors.New("injected: timeout awaiting response headers")
	errConflict = fmt.Errorf("injected: somebody else was first: %w", cluster.ErrConflict)
	errRefused  = fmt.Errorf("injected: forbidden: %w", cluster.ErrRefused)
	errRead     = errors.New("injected: the read is stale, cut short or malformed")
)

// A Cluster is a [cluster.Cluster] whose calls go wrong as planned. It belongs
// to one goroutine.
type Cluster struct {
	Inner cluster.Cluster
	Clock Clock
	Plan  Plan

	// Environment does what is no matter of a single call: it is asked before
	// the call is sent, and reports whether it could. Nil: it never can.
	Environment func(Event, Call) bool

	// Crash ends the process at once: it does not return. Cancel ends the
	// context of the caller.
	Crash, Cancel func()

	// Before, if set, is told of every call before it is sent, After of how it
	// was answered. Arrives brackets what arrives without its sender: a write
	// that is late, or delivered again.
	Before  func(Call)
	After   func(Call, cluster.State, error)
	Arrives func(Call, func())

	// Lands is how long a write may be under way; 0: a minute. What is older
	// never arrives.
	Lands time.Duration

	calls    int
	fired    int
	underway []letter
	again    repeat // an error that repeats itself
	denied   [len(kinds)]error
}

// A letter is a write that is under way without anybody who waits for it.
type letter struct {
	call      Call
	deliver   func(context.Context) error
	due       int // arrives before this call is sent
	afterNext bool
	sent      time.Time
}

type repeat struct {
	err  error
	left int
	kind Kind
}

var _ cluster.Cluster = (*Cluster)(nil)

// Calls returns how many calls there were.
func (c *Cluster) Calls() int { return c.calls }

// Digest returns a number that is the same for two decorators that go on alike
// as long as no event of the plan comes about: what is under way, and what
// repeats itself.
func (c *Cluster) Digest() uint64 {
	values := []any{c.again.left, c.again.kind}
	for _, err := range c.denied {
		values = append(values, err != nil)
	}
	for _, l := range c.underway {
		call := l.call
		call.Number = 0
		values = append(values, call, l.due-c.calls, l.afterNext, l.sent)
	}
	return digest.Of(c.Clock.Now(), values...)
}

// Fired returns how many events of the plan came about.
func (c *Cluster) Fired() int { return c.fired }

// Observe implements cluster.Cluster.
func (c *Cluster) Observe(ctx context.Context, app string) (s cluster.State, err error) {
	call := Call{Kind: Look, App: app}
	err = c.call(ctx, &call, func(ctx context.Context) (err error) {
		s, err = c.Inner.Observe(ctx, app)
		return err
	})
	if err != nil {
		s = cluster.State{}
	}
	c.answered(call, s, err)
	return s, err
}

// Put implements cluster.Cluster.
func (c *Cluster) Put(ctx context.Context, app string, r cluster.Revision) error {
	call := Call{Kind: Put, App: app, Revision: r}
	if r.Version == "" {
		call.Kind = Create
	}
	err := c.call(ctx, &call, func(ctx context.Context) error { return c.Inner.Put(ctx, app, call.Revision) })
	c.answered(call, cluster.State{}, err)
	return err
}

// SetRoute implements cluster.Cluster.
func (c *Cluster) SetRoute(ctx context.Context, app string, r cluster.Route) error {
	call := Call{Kind: Route, App: app, Route: r}
	err := c.call(ctx, &call, func(ctx context.Context) error { return c.Inner.SetRoute(ctx, app, r) })
	c.answered(call, cluster.State{}, err)
	return err
}

// Delete implements cluster.Cluster.
func (c *Cluster) Delete(ctx context.Context, app string, r cluster.Revision) error {
	call := Call{Kind: Delete, App: app, Revision: r}
	err := c.call(ctx, &call, func(ctx context.Context) error { return c.Inner.Delete(ctx, app, r) })
	c.answered(call, cluster.State{}, err)
	return err
}

// Ask is a call site of a gate: it runs ask, unless the plan says otherwise. It
// returns the event of a Gate fault that is planned here.
func (c *Cluster) Ask(ctx context.Context, app string, ask func(context.Context)) (Event, bool) {
	call := Call{Kind: Check, App: app}
	var gate Event
	planned := false
	for _, e := range c.Plan {
		if e.Call == c.calls+1 && e.Fault == Gate {
			gate, planned = e, true
		}
	}
	err := c.call(ctx, &call, func(ctx context.Context) error { ask(ctx); return nil })
	c.answered(call, cluster.State{}, err)
	return gate, planned
}

func (c *Cluster) answered(call Call, s cluster.State, err error) {
	if c.After != nil {
		c.After(call, s, err)
	}
}

// Land lets everything that is still under way arrive, if it may be for so long,
// and returns how much that was.
func (c *Cluster) Land() int { return c.land(func(letter) bool { return true }) }

func (c *Cluster) land(now func(letter) bool) (arrived int) {
	waiting := c.underway
	c.underway = nil
	for _, l := range waiting {
		switch {
		case !now(l):
			c.underway = append(c.underway, l)
		case c.Clock.Now().Sub(l.sent) < c.lands():
			c.arrive(l)
			arrived++
		}
	}
	return arrived
}

func (c *Cluster) lands() time.Duration {
	if c.Lands == 0 {
		return time.Minute
	}
	return c.Lands
}

// arrive delivers a write. Whoever sent it does not hear of it.
func (c *Cluster) arrive(l letter) {
	deliver := func() { _ = l.deliver(context.Background()) }
	if c.Arrives != nil {
		c.Arrives(l.call, deliver)
		return
	}
	deliver()
}

// send puts a write on its way, to arrive before the call of this number.
func (c *Cluster) send(call Call, do func(context.Context) error, due int) {
	c.underway = append(c.underway, letter{call: call, deliver: do, due: due, sent: c.Clock.Now()})
}

const never = 1 << 30 // only when all is over

// call makes one call, and what was planned for it.
func (c *Cluster) call(ctx context.Context, call *Call, do func(context.Context) error) error {
	c.calls++
	call.Number = c.calls
	c.land(func(l letter) bool { return c.calls >= l.due })
	if c.Before != nil {
		c.Before(*call)
	}
	if call.Kind.Writes() {
		defer c.land(func(l letter) bool { return l.afterNext && l.call.Number < c.calls })
	}
	if err := c.denied[call.Kind]; err != nil {
		return err
	}
	if c.again.left > 0 && c.again.kind == call.Kind {
		c.again.left--
		return c.again.err
	}
	for _, e := range c.Plan {
		if e.Call == c.calls {
			err, answered := c.happen(ctx, e, call, do)
			if answered {
				return err
			}
		}
	}
	return do(ctx)
}

// happen carries one event out. If that answers the call, it says what.
func (c *Cluster) happen(ctx context.Context, e Event, call *Call, do func(context.Context) error) (err error, answered bool) {
	if Skip(e.Fault, call.Kind) != "" {
		return nil, false
	}
	c.fired++
	switch e.Fault {
	case Reset:
		return errReset, true
	case TimeoutLost:
		_ = c.Clock.Sleep(context.Background(), 30*time.Second)
		return errTimeout, true
	case TimeoutDone:
		_ = do(ctx)
		return errTimeout, true
	case Late:
		c.send(*call, do, []int{c.calls + 2, c.calls + 4, never}[e.Form])
		return errTimeout, true
	case Duplicate:
		err = do(ctx)
		c.send(*call, do, c.calls+2*e.Form)
		if e.Form == 0 {
			c.land(func(l letter) bool { return c.calls >= l.due })
		}
		return err, true
	case Reorder:
		c.send(*call, do, never)
		c.underway[len(c.underway)-1].afterNext = true
		return errTimeout, true
	case Conflict:
		return c.repeated(e.Form == 1, call.Kind, errConflict), true
	case TooMany:
		return c.repeated(e.Form == 1, call.Kind, errors.New("injected: 429 too many requests")), true
	case ServerError, GatewayTimeout:
		return c.server(ctx, e.Form == 1, do, e.Fault), true
	case Unavailable:
		if e.Form == 1 {
			return c.repeated(true, call.Kind, errors.New("injected: 503 service unavailable")), true
		}
		return c.server(ctx, e.Form == 2, do, e.Fault), true
	case ExpiredList, StaleRead, TimeTravel, Truncated:
		return fmt.Errorf("%w (%v)", errRead, e.Fault), true
	case Malformed:
		if call.Kind == Create {
			return fmt.Errorf("injected: request entity too large: %w", cluster.ErrRefused), true
		}
		return fmt.Errorf("%w (%v)", errRead, e.Fault), true
	case Denied, Forbidden, NamespaceGone:
		return c.deny(e, call.Kind), true
	case Exists:
		return c.exists(ctx, e, *call, do)
	case Mutated:
		call.Revision.Replicas = max(0, call.Revision.Replicas-1+2*e.Form)
		return nil, false
	case Crash:
		return c.crash(ctx, e, *call, do)
	case Cancel:
		return c.cancel(ctx, e, do)
	case Gate:
		return nil, false // Ask's matter
	}
	if c.Environment == nil || !c.Environment(e, *call) {
		c.fired--
	}
	return nil, false
}

func (c *Cluster) repeated(five bool, k Kind, err error) error {
	if five {
		c.again = repeat{err, 4, k}
	}
	return err
}

func (c *Cluster) server(ctx context.Context, effect bool, do func(context.Context) error, f Fault) error {
	if effect {
		_ = do(ctx)
	}
	return fmt.Errorf("injected: %v", f)
}

// deny refuses this call, or every one of its kind from now on; a policy does
// that with every write.
func (c *Cluster) deny(e Event, k Kind) error {
	if e.Form == 0 && e.Fault != NamespaceGone {
		return errRefused
	}
	c.denied[k] = errRefused
	for i := range c.denied {
		if e.Fault == Denied && Kind(i).Writes() {
			c.denied[i] = errRefused
		}
	}
	return errRefused
}

// Admit ends every refusal that was to last.
func (c *Cluster) Admit() { clear(c.denied[:]); c.again = repeat{} }

func (c *Cluster) exists(ctx context.Context, e Event, call Call, do func(context.Context) error) (error, bool) {
	if e.Form == 0 {
		_ = do(ctx)
		return errConflict, true
	}
	if c.Environment == nil || !c.Environment(e, call) {
		c.fired--
	}
	return nil, false
}

func (c *Cluster) crash(ctx context.Context, e Event, call Call, do func(context.Context) error) (error, bool) {
	switch e.Form {
	case 1:
		_ = do(ctx)
	case 2, 3:
		if !call.Kind.Writes() {
			c.fired--
			return nil, false
		}
		c.send(call, do, []int{c.calls + 4, never}[e.Form-2])
	}
	c.Crash()
	return nil, false
}

func (c *Cluster) cancel(ctx context.Context, e Event, do func(context.Context) error) (error, bool) {
	if e.Form == 0 {
		c.Cancel()
		return do(ctx), true // which a canceled context ends before it is sent
	}
	err := do(ctx)
	c.Cancel()
	return err, true
}
