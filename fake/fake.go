// Package fake is a simulated cluster and its clock, for tests and for dry
// runs.
//
// It simulates the contract of [cluster.Cluster] and the controllers behind it:
// pods are born some time after they are asked for, from the template that the
// controller has seen, which may be an older one; they boot, become ready, and
// only then, and late, the endpoints follow. It knows no objects of Kubernetes
// and proves nothing about them; what it proves is that a caller can live with
// a cluster that follows slowly.
//
// Time passes in Sleep and nowhere else. There is no goroutine, no wall clock
// and no chance: the same calls make the same world. Several goroutines may
// call; then time passes for all of them when one sleeps. Members of a
// strategy.Group, or places of Waves, need a clock on which they act in turn:
// strategytest.InTurn.
//
// A call that fails is a decorator's to make. What goes wrong behind the calls is
// here: controllers that stand still, nodes that are lost, and people and other
// programs who write what they like. None of it happens unless a method asks for
// it, and [Cluster.Heal] ends it all.
package fake

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A World says how a simulated cluster is made and how fast it follows. The
// zero value is a quick, well-behaved one that moves traffic by Put's Enabled.
// A negative duration is none at all: then that controller follows at once.
type World struct {
	Start  time.Time       // the first instant; zero: the start of 2025
	Routes []cluster.Route // what every app's routes begin as; none: one, "service/<app>". One that is Open selects whatever has pods, where Can is Select
	Worker bool            // apps have no traffic routes whatever Routes says; Enabled is kept on pods
	Can    cluster.Can     // how traffic is moved; zero: Enable, or nothing for a Worker

	Lag         time.Duration // the controller follows a Put after this, by the old template until then; 0: 100 ms
	Boot        time.Duration // a pod is ready this long after its birth; 0: 2 s
	EndpointLag time.Duration // endpoints follow readiness, traffic and routes after this; 0: 200 ms
	Grace       time.Duration // a pod that is told to go is gone after this; 0: 1 s
	Batch       int           // how many pods one Put writes at most; 0: all
	Nodes       int           // how many nodes the pods are spread over, each to the emptiest, of those the lowest; 0: 1, at most 64
	ProxyLag    time.Duration // every node's proxy follows the endpoints after this; 0: at once, and nobody looks at what it holds

	// Ready tells how long pods of a template boot, and whether they ever get
	// ready. Nil: after Boot, always. It must be a function of its argument.
	Ready func(template []byte) (boot time.Duration, ever bool)

	// Changed is called after every single change, be it a write, one pod of a
	// write or what a controller did; a law that is checked here is checked
	// always. It may call every method of the Cluster; look with State rather
	// than Observe, which remembers what it saw.
	Changed func()
}

// withDefaults returns the World with every zero replaced by what it means.
func (w World) withDefaults() World {
	if w.Start.IsZero() {
		w.Start = time.Date(2025, time.January, 1, 0, 0, 0, 0, time.UTC)
	}
	if w.Can == (cluster.Can{}) && !w.Worker {
		w.Can.Enable = true
	}
	w.Lag = orElse(w.Lag, 100*time.Millisecond)
	w.Boot = orElse(w.Boot, 2*time.Second)
	w.EndpointLag = orElse(w.EndpointLag, 200*time.Millisecond)
	w.Grace = orElse(w.Grace, time.Second)
	w.ProxyLag = max(w.ProxyLag, 0)
	w.Nodes = min(max(w.Nodes, 1), mostNodes)
	if w.Changed == nil {
		w.Changed = func() {}
	}
	return w
}

func orElse(d, zero time.Duration) time.Duration {
	if d == 0 {
		return zero
	}
	return max(d, 0)
}

// A Cluster is the simulated cluster and its clock. Make one with [New] or
// [From].
type Cluster struct {
	world World

	mu     sync.Mutex // held for one change at a time, never while Changed is called
	now    time.Time
	ahead  time.Duration   // of the clock as looks show it, see SetClock
	apps   []*application  // in the order of their first mention
	serial int             // the last number given to a UID, a Version or a pod
	used   map[string]bool // UIDs and Versions that came from outside, see From
	writes []Write

	settled bool      // no controller has anything to do at this instant
	nextAt  time.Time // if settled: when one will; zero: never

	nodes    []node
	unplaced bool     // a pod waits for a node
	proxied  bool     // what the proxies hold is kept, see held
	actors   []*actor // by when they were registered
	figures  []int    `digest:"-"` // room for those of one revision, see watched
}

var _ cluster.Cluster = (*Cluster)(nil)

// New returns a cluster in which nothing has been deployed.
func New(w World) *Cluster {
	w = w.withDefaults()
	return &Cluster{world: w, now: w.Start, nodes: make([]node, w.Nodes), proxied: w.ProxyLag > 0}
}

// An application is all there is of one app.
type application struct {
	name      string
	revisions []*set // in the order of their creation
	routes    []*route
	orphans   []*pod // pods of deleted revisions, and those that nobody owns
	strays    int
	warnings  []string
	contested bool
	gone      int // pods that are gone and yet remembered

	frozen  [controllers]bool // controllers that stand still
	limited bool              // no pod is made while quota exist
	quota   int
	stuck   bool // pods that are told to go now do not
	budget  int  // ready pods that a drained node must leave
}

// A set is a revision: the stored object, what its controller has seen of it,
// and its pods.
type set struct {
	cluster.Revision        // the fields that are stored; those found are made by a look
	template         birth  // what the controller works by
	coming           []late // what it has not seen yet, oldest first
	pods             []*pod // by age, terminating ones too
	seen             seen   // what Observe saw last

	extra    int       // pods that the controller has made beyond those wanted
	extraAt  time.Time // when it notices that
	held     bool      // a finalizer keeps the object
	deleting bool      // it would be gone, if it were not held
	reported int       // Ready, as the status said when it was frozen
}

// A birth is how many pods a controller wants and what they are born with.
type birth struct {
	replicas int
	enabled  bool
	fence    string
	template int // how often that was changed before
}

// late is a birth that the controller sees when its time has come.
type late struct {
	birth
	at time.Time
}

// last returns what is stored of the birth: what the controller will have seen
// in the end.
func (r *set) last() birth {
	if n := len(r.coming); n > 0 {
		return r.coming[n-1].birth
	}
	return r.template
}

// A pod runs a revision.
type pod struct {
	name     string
	serial   int    // pods that are born later have higher ones
	of       string // the revision that it was born for, by which routes choose it
	enabled  bool   // where traffic is moved by Enabled: its own label
	fence    string
	template int         // by how many changes of it the pod's is made
	readyAt  time.Time   // zero: never
	ready    bool        // it says so itself; endpoints follow
	sick     bool        // kept from being ready, see SetReady
	leaving  bool        // terminating
	goneAt   time.Time   // if leaving
	gone     bool        // no more there, though endpoints may not have noticed
	ends     []endpoint  // by route
	end      [1]endpoint `digest:"-"` // room for one of them

	node    int       // where it runs; nowhere: it waits for a node
	crashed bool      // not ready until backAt
	backAt  time.Time // if crashed; zero: never
	stuck   bool      // leaving, and kept from it
	loose   bool      // nobody owns it, and nobody makes it go
}

// An endpoint is what one route knows of one pod.
type endpoint struct {
	listed bool
	turnAt time.Time // when listed turns; zero: it is as it should be
	held   nodeSet   // whose proxies hold it, if that is kept
	heldAt time.Time // when held follows listed; zero: it has
}

// A route is the stored object.
type route struct {
	cluster.Route
	bare bool    // nothing in it tells revisions apart but what SetRoute adds: see open.go
	pin  pin     // of one that is Pinned
	met  nodeSet // whose proxies ever held an endpoint of it
}

// Now returns the simulated time.
func (c *Cluster) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// at is the time as objects and looks carry it: in steps of a second.
func (c *Cluster) at() time.Time { return c.now.Add(c.ahead).Truncate(time.Second) }

// Sleep lets time pass, and everything happen that is due in it, in order. It
// returns early only with the context's error.
func (c *Cluster) Sleep(ctx context.Context, d time.Duration) error {
	until := c.Now().Add(max(d, 0))
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		c.follow()
		if !c.act() && !c.advance(until) {
			return nil
		}
	}
}

// app returns the app, which is made when it is first asked for.
func (c *Cluster) app(name string) *application {
	for _, a := range c.apps {
		if a.name == name {
			return a
		}
	}
	a := c.newApp(name, c.routesOf(name))
	for _, r := range a.routes {
		r.Version = c.fresh("")
	}
	return a
}

// newApp adds an app that has these routes.
func (c *Cluster) newApp(name string, routes []cluster.Route) *application {
	a := &application{name: name}
	for _, r := range routes {
		r.Weights, r.Serving = maps.Clone(r.Weights), nil
		stored := &route{Route: r, bare: r.Open || r.Pinned}
		if r.Pinned {
			stored.pin = pinOf(r)
		}
		a.routes = append(a.routes, stored)
	}
	slices.SortStableFunc(a.routes, func(x, y *route) int { return cmp.Compare(x.Name, y.Name) })
	c.apps = append(c.apps, a)
	return a
}

// routesOf returns the routes that a new app gets. A router that is asked by
// name begins with no names: nothing serves before somebody says so.
func (c *Cluster) routesOf(app string) []cluster.Route {
	if c.world.Worker {
		return slices.DeleteFunc(slices.Clone(c.world.Routes), cluster.Route.IsTraffic)
	}
	if c.world.Routes != nil {
		return c.world.Routes
	}
	r := cluster.Route{Name: "service/" + app}
	if !c.labels() {
		r.Weights = map[string]int{}
	}
	return []cluster.Route{r}
}

// labels reports whether Enabled is wanted, and kept on single pods, rather
// than found in the routes. A worker's is.
func (c *Cluster) labels() bool { return c.world.Can.Enable || c.world.Worker }

// named reports whether routes choose revisions by name.
func (c *Cluster) named() bool { return c.world.Can.Select || c.world.Can.Weigh }

// fresh returns a string that was never given out, for a UID or a Version.
func (c *Cluster) fresh(prefix string) string {
	for {
		c.serial++
		if s := prefix + strconv.Itoa(c.serial); !c.used[s] {
			return s
		}
	}
}

func (a *application) revision(name string) *set {
	for _, r := range a.revisions {
		if r.Name == name {
			return r
		}
	}
	return nil
}

func (a *application) route(name string) *route {
	for _, r := range a.routes {
		if r.Name == name {
			return r
		}
	}
	return nil
}

// live counts the pods that are not on their way out.
func (r *set) live() int {
	n := 0
	for _, p := range r.pods {
		if !p.leaving {
			n++
		}
	}
	return n
}

// ready counts the live pods that are ready.
func (r *set) ready() int {
	n := 0
	for _, p := range r.pods {
		if p.ready && !p.leaving {
			n++
		}
	}
	return n
}
