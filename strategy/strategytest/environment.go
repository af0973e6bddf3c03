// What goes wrong in the world, as the suite's worlds can bring it about.

package strategytest

import (
	"fmt"
	"slices"
	"time"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
)

// happens brings a fault of the world about, before a call of a client is sent.
// It reports whether there was anything for it to befall.
func (t *trial) happens(c *client, e fault.Event, call fault.Call) bool {
	t.tale.says(c, "!! "+e.Describe())
	switch e.Fault {
	case fault.Pause:
		return t.pause(c, e.Form)
	case fault.ClockJump:
		t.w.SetClock(time.Hour)
		return true
	}
	t.judge.disturbed()
	switch e.Fault {
	case fault.SecondDeployer, fault.SecondCleaner:
		return t.rival(e, call)
	case fault.Person, fault.NotFound, fault.Exists, fault.Autoscaler:
		did := t.person(e, call)
		t.judge.rescaled()
		return did
	case fault.PodsFail, fault.PodsFlap:
		return t.pods(e)
	}
	return t.lasts(e, call)
}

// until lets something last for a while, or until all is mended.
func (t *trial) until(d time.Duration, end func()) bool {
	over := false
	once := func() {
		if !over {
			over = true
			end()
		}
	}
	t.rest = append(t.rest, once)
	if d > 0 {
		var stop func()
		stop = t.w.Every(d, func() bool { stop(); once(); return true })
	}
	return true
}

// pause stops the process between what it was about to do and doing it.
func (t *trial) pause(c *client, form int) bool {
	c.blind = true
	t.pass(time.Hour)
	if form == 0 {
		return true
	}
	t.judge.disturbed()
	_, _ = t.run(t.client(t.proof.deploy("newer", t.proof.Replicas)))
	return true
}

// lasts is what stands still or is missing for a while.
func (t *trial) lasts(e fault.Event, call fault.Call) bool {
	minute := []time.Duration{time.Minute, 0}[min(e.Form, 1)]
	freeze := func(what fake.Controller, d time.Duration) bool {
		t.w.Freeze(app, what)
		return t.until(d, func() { t.w.Thaw(app, what) })
	}
	switch e.Fault {
	case fault.Quota:
		t.w.Quota(app, []int{t.pods0() + 1, 0}[e.Form])
		return t.until([]time.Duration{0, time.Minute}[e.Form], func() { t.w.Quota(app, -1) })
	case fault.LimitRange:
		t.w.Quota(app, 0)
		return t.until(0, func() { t.w.Quota(app, -1) })
	case fault.Finalizer:
		t.w.Hold(app, call.Revision.Name)
		return t.until(minute, func() { t.w.LetGo(app, call.Revision.Name) })
	case fault.ControllerLag:
		if e.Form == 1 {
			r, ok := t.newest()
			return ok && t.w.OverCreate(app, r.Name, 1)
		}
		return freeze(fake.Replication, minute)
	case fault.StatusLag:
		return freeze(fake.Status, minute)
	case fault.EndpointLag:
		return freeze(fake.Endpoints, minute)
	case fault.CollectorLag:
		return freeze(fake.Collection, minute)
	case fault.SlowStart:
		return freeze(fake.Readiness, time.Minute)
	case fault.SlowStop:
		t.w.Stick(app)
		return t.until(minute, func() { t.w.Unstick(app) })
	case fault.ProxyLag:
		late := t.proof.world(t.schedule).ProxyLag > 10*time.Second
		t.judge.stuck = t.judge.stuck || late // and later than a drain takes, with these
		for n := range nodes {
			t.w.FreezeProxy(n)
		}
		return t.until(10*time.Second, func() {
			for n := range nodes {
				t.w.ThawProxy(n)
			}
		})
	case fault.ProxyStuck:
		t.judge.stuck = true
		t.w.FreezeProxy(0)
		return t.until(0, func() { t.w.ThawProxy(0) })
	case fault.NodeDrain:
		if e.Form == 1 {
			t.w.Budget(app, t.proof.Replicas)
		}
		t.w.DrainNode(0)
		return t.until(time.Minute, func() { t.w.MendNode(0); t.w.Budget(app, 0) })
	case fault.NodeLost:
		t.judge.stuck = true // nothing is sent from there any more
		t.w.LoseNode(0)
		return t.until(0, func() { t.w.MendNode(0) })
	}
	return false
}

// pods0 counts the pods that there are.
func (t *trial) pods0() int {
	n := 0
	for _, r := range t.w.State(app).Revisions {
		n += r.Pods
	}
	return n
}

// newest is the revision with the highest sequence.
func (t *trial) newest() (cluster.Revision, bool) {
	rs := t.w.State(app).Revisions
	if len(rs) == 0 {
		return cluster.Revision{}, false
	}
	return rs[len(rs)-1], true
}

// before is the revision below the newest; the newest, if there is no other.
func (t *trial) before() (cluster.Revision, bool) {
	rs := t.w.State(app).Revisions
	if len(rs) < 2 {
		return t.newest()
	}
	return rs[len(rs)-2], true
}

// serves is the revision that serves with most; the newest, if none does.
func (t *trial) serves() (cluster.Revision, bool) {
	s := t.w.State(app)
	found, ok := t.newest()
	for _, r := range s.Revisions {
		if s.Exposed(r.Name) > s.Exposed(found.Name) {
			found = r
		}
	}
	return found, ok
}

// dark is the newest revision that has no traffic, else the newest.
func (t *trial) dark() (cluster.Revision, bool) {
	s := t.w.State(app)
	found, ok := t.newest()
	for _, r := range s.Revisions {
		if !s.HasTraffic(r.Name) {
			found = r
		}
	}
	return found, ok
}

// pods makes pods fail.
func (t *trial) pods(e fault.Event) bool {
	r, ok := t.newest()
	if e.Form >= 2 {
		r, ok = t.before()
	}
	back := 5 * time.Second
	if e.Fault == fault.PodsFail {
		back = -1
	}
	n := 1
	if e.Form%2 == 1 {
		n = max(1, r.Replicas)
	}
	return ok && t.w.Crash(app, r.Name, n, back)
}

// dim is with how many replicas somebody else's revision appears: with none where
// they would be in traffic before anybody could keep them out.
func (t *trial) dim(replicas int) int {
	if slices.ContainsFunc(t.w.State(app).Routes, func(r cluster.Route) bool { return r.Open }) {
		return 0
	}
	return replicas
}

// rival lets somebody else deploy or clean up, from beginning to end.
func (t *trial) rival(e fault.Event, call fault.Call) bool {
	p := t.proof
	var c *client
	switch {
	case e.Fault == fault.SecondDeployer && e.Form >= 5:
		did := t.spinnaker(e.Form - 5)
		t.judge.rescaled()
		return did
	case e.Fault == fault.SecondCleaner && e.Form == 0:
		c = t.client(p.sweep(cleanup.Policy{}))
	case e.Fault == fault.SecondCleaner:
		c = t.client(p.sweep(cleanup.Policy{RunFailed: true}))
	case e.Form == 0:
		if _, taken := t.w.State(app).Named("web-v000"); taken {
			return false
		}
		t.w.AddFound(app, cluster.Revision{Name: "web-v000", Release: "older", Template: []byte("older"), Replicas: t.dim(p.Replicas)})
		c = t.client(p.deploy("older", p.Replicas))
	case e.Form == 1:
		if t.main.job.release == "" {
			return false
		}
		c = t.client(t.main.job)
	case e.Form == 3:
		c = t.client(p.deployment(cluster.Target{Release: "newer", Template: []byte(neverReady), Replicas: p.Replicas}))
	default:
		c = t.client(p.deploy("newer", p.Replicas))
		if e.Form == 4 {
			t.dieAfter(c, 1+call.Number%5)
		}
	}
	_, _ = t.run(c)
	return true
}

// spinnaker lets Spinnaker act, whose runs die half-way, and which knows no floor.
func (t *trial) spinnaker(form int) bool {
	newest, ok := t.newest()
	serves, _ := t.serves()
	switch {
	case !ok:
		return true // it finds nothing to do, as it would
	case form == 0:
		return t.w.SpinnakerEnable(app, newest.Name, 2)
	case form == 1:
		return t.w.SpinnakerDisable(app, serves.Name, 2)
	}
	t.w.SpinnakerHistory(app, 2)
	return true
}

// dieAfter lets a client die when its nth write is done.
func (t *trial) dieAfter(c *client, nth int) {
	after := c.cluster.After
	c.cluster.After = func(call fault.Call, s cluster.State, err error) {
		after(call, s, err)
		if call.Kind.Writes() {
			if nth--; nth == 0 {
				panic(killed{})
			}
		}
	}
}

// person lets somebody edit.
func (t *trial) person(e fault.Event, call fault.Call) bool {
	newest, ok := t.newest()
	serves, _ := t.serves()
	if !ok && e.Fault != fault.Exists {
		return false
	}
	scale := func(r cluster.Revision, by int) bool {
		return r.Replicas+by >= 0 && t.w.Edit(app, r.Name, func(r *cluster.Revision) { r.Replicas += by })
	}
	switch {
	case e.Fault == fault.Exists:
		r := call.Revision
		if _, taken := t.w.State(app).Named(r.Name); taken {
			return false
		}
		t.w.AddFound(app, cluster.Revision{Name: r.Name, Seq: r.Seq, Release: "newer", Template: []byte("newer"), Replicas: t.dim(1)})
		return true
	case e.Fault == fault.NotFound:
		name := call.Revision.Name
		if name == "" {
			name = newest.Name
		}
		if e.Form == 1 {
			return t.w.Recreate(app, name)
		}
		return t.w.Remove(app, name)
	case e.Fault == fault.Autoscaler:
		dark, _ := t.dark()
		return []func() bool{
			func() bool { return scale(serves, 1) },
			func() bool { return scale(serves, -1) },
			func() bool { return scale(dark, -dark.Replicas) },
			func() bool { return (newest.Replicas > 0 || t.dim(1) > 0) && scale(newest, 1) },
			func() bool { return t.until(time.Minute, t.w.Seize(app, newest.Name, 5*time.Second)) },
		}[e.Form]()
	}
	return []func() bool{
		func() bool { return scale(serves, -1) },
		func() bool { return t.w.FlipPod(app, serves.Name) },
		func() bool {
			return t.w.Edit(app, serves.Name, func(r *cluster.Revision) { r.Enabled = !r.Enabled })
		},
		func() bool { return t.w.Orphan(app, serves.Name) },
		func() bool { return t.w.Remove(app, newest.Name) },
		func() bool { return t.w.Remove(app, serves.Name) },
		func() bool { return t.w.Recreate(app, newest.Name) },
		func() bool {
			return t.w.Edit(app, newest.Name, func(r *cluster.Revision) { r.Note, r.Fence, r.Outcome = "", "", cluster.Outcome{} })
		},
		t.putBack,
		t.revert,
	}[e.Form]()
}

// putBack points every route at the revision below the newest; where pods carry
// what has traffic, it wipes what the routes have noted.
func (t *trial) putBack() bool {
	r, ok := t.before()
	for _, route := range t.w.State(app).Routes {
		ok = t.w.EditRoute(app, route.Name, func(to *cluster.Route) {
			to.Note, to.Fence = "", ""
			if to.Weights != nil {
				to.Weights = map[string]int{r.Name: 100}
			}
		}) && ok
	}
	return ok
}

// revert puts every route back to what it is now whenever somebody moves it.
func (t *trial) revert() bool {
	var stops []func()
	for _, route := range t.w.State(app).Routes {
		stops = append(stops, t.w.Revert(app, route.Name, route, 5*time.Second))
	}
	return t.until(time.Minute, func() {
		for _, stop := range stops {
			stop()
		}
	})
}

// nothingToBefall is what a fault of the world needs and an app without
// revisions has not: the reason why it is not tried there.
var nothingToBefall = map[fault.Fault]string{
	fault.NotFound:   "there is no revision that could be gone",
	fault.PodsFail:   "there are no pods",
	fault.PodsFlap:   "there are no pods",
	fault.Autoscaler: "there are no replicas",
	fault.Person:     "there is nothing to edit but the route, and that has nothing noted",
}

// describe is what counts of a world when nothing moves any more: all but times
// and fences.
func describe(s cluster.State) string {
	text := ""
	for _, r := range s.Revisions {
		text += fmt.Sprintf("%s %q x%d on=%t %v %d/%d ready, serves %d\n", r.Name, r.Release, r.Replicas, r.Enabled, r.Outcome.Result, r.Ready, r.Pods, s.Exposed(r.Name))
	}
	for _, r := range s.Routes {
		text += fmt.Sprintf("%s %v\n", r.Name, r.Weights)
	}
	return text
}
