// A play is one schedule, carried out on both clusters at once.

package lockstep_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/fake/fault"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// A play belongs to one goroutine.
type play struct {
	schedule strategytest.Schedule
	scenario scenario
	sim      *fake.Cluster
	both     *lockstep
	client   *fault.Cluster

	cancel   context.CancelFunc // of the run under way
	runs     int
	rest     []func() // what is yet to be mended
	dieAfter int      // a write; 0: none
}

// outcome is how a run has ended.
type outcome string

const (
	done     outcome = "done"
	died     outcome = "killed"
	canceled outcome = "canceled"
	gaveUp   outcome = "gave up"
)

// killed unwinds a process that has died.
type killed struct{}

// A pace is how fast a world follows, and how many pods a Put writes. Where a
// lag is negative controllers follow at once, though never inside a Put.
type pace struct {
	name                      string
	lag, boot, endpoints, end time.Duration
	batch                     int
}

// paces are those of a schedule whose scenario's third part says so; without one
// it is the first.
var paces = []pace{
	{"", 100 * time.Millisecond, 2 * time.Second, 200 * time.Millisecond, time.Second, 10},
	{"at-once", time.Millisecond, -1, -1, -1, 10},
	{"one-by-one", 100 * time.Millisecond, 2 * time.Second, 200 * time.Millisecond, time.Second, 1},
	{"late-controller", 7 * time.Second, 2 * time.Second, 200 * time.Millisecond, time.Second, 10},
	{"late-endpoints", 100 * time.Millisecond, time.Second, 8 * time.Second, time.Second, 10},
	{"slow-pods", 100 * time.Millisecond, 12 * time.Second, time.Second, 20 * time.Second, 1},
}

func paceOf(name string) (pace, bool) {
	for _, p := range paces {
		if p.name == name {
			return p, true
		}
	}
	return pace{}, false
}

func (p pace) world() fake.World {
	return fake.World{Lag: p.lag, Boot: p.boot, EndpointLag: p.endpoints, Grace: p.end, Batch: p.batch, Ready: ready(p.boot), Nodes: 2}
}

// stage makes the world of a schedule, on both sides.
func stage(s strategytest.Schedule, sc scenario, at pace) *play {
	p := &play{schedule: s, scenario: sc}
	w := at.world()
	w.Start, w.Can = epoch, sc.mode.can
	p.sim = fake.New(w)
	p.both = &lockstep{
		sim: p.sim, uids: map[string]string{}, versions: map[string]string{}, stamps: map[time.Time]time.Time{},
		options: kube.Options{Namespace: namespace(), Services: []string{app}, Traffic: sc.mode.traffic, Batch: at.batch},
	}
	p.both.mirror = newMirror(p.both.options.Namespace, p.sim, sc.mode.labels(), p.both.renewed)
	p.service()
	p.both.restart()
	p.client = p.decorate(nil)
	sc.start(p)
	return p
}

// namespace makes one. Nobody deletes it: the plane ends with the tests.
func namespace() string {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	ns, err := hand.CoreV1().Namespaces().Create(ctx, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "lockstep-"}}, metav1.CreateOptions{})
	if err != nil {
		diverges("create a namespace", err.Error())
	}
	return ns.Name
}

func (p *play) decorate(plan fault.Plan) *fault.Cluster {
	return &fault.Cluster{
		Inner: p.both, Clock: p.sim, Plan: plan,
		Crash:       func() { panic(killed{}) },
		Cancel:      func() { p.cancel() },
		Environment: p.happens,
		After: func(call fault.Call, _ cluster.State, _ error) {
			if p.dieAfter > 0 && call.Kind.Writes() {
				if p.dieAfter--; p.dieAfter == 0 {
					panic(killed{})
				}
			}
		},
	}
}

// endless is how many turns a run may take.
const endless = 600

// run lets a process do a job until it ends or dies.
func (p *play) run(j job) (o outcome, err error) {
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel = cancel
	p.runs++
	defer func() {
		cancel()
		switch v := recover().(type) {
		case nil:
		case killed:
			o = died
		default:
			panic(v)
		}
	}()
	turns := 0
	runner := strategy.Runner{
		Cluster: p.client, Clock: p.sim, ID: fmt.Sprintf("run%d", p.runs), Skew: -1, Poll: 5 * time.Second, Stay: j.stay,
		Trace: func(e strategy.Event) {
			if turns++; turns > endless {
				diverges("a run without end", e.String())
			}
			p.tell(e)
		},
	}
	err = j.run(ctx, p, runner)
	return outcomeOf(err), err
}

func outcomeOf(err error) outcome {
	var abort *strategy.AbortError
	switch {
	case err == nil:
		return done
	case errors.Is(err, context.Canceled):
		return canceled
	case errors.Is(err, strategy.ErrGaveUp):
		return gaveUp
	case errors.As(err, &abort):
		return outcome(abort.Kind.String())
	}
	return outcome("an error of no kind: " + err.Error())
}

// unfinished reports whether a person would run the same again.
func (o outcome) unfinished() bool {
	return o == died || o == canceled || o == gaveUp || o == outcome(strategy.Refused.String())
}

// pass lets time pass in which nobody acts.
func (p *play) pass(d time.Duration) { _ = p.sim.Sleep(context.Background(), d) }

// play carries the schedule out, and looks a last time when nothing moves any
// more. It returns how the job has ended first.
func (p *play) play() outcome {
	p.both.restart()
	p.client = p.decorate(p.schedule.Faults)
	first, _ := p.run(p.scenario.job)
	j := p.scenario.job
	for o, tries := first, 0; o.unfinished() && tries < 3; tries++ {
		if o == died {
			p.client.Land()
			j = instead(p.schedule.Then, p.scenario.job)
		}
		p.client.Admit()
		p.both.restart()
		o, _ = p.run(j)
	}
	p.client.Land()
	p.mend()
	p.pass(time.Minute)
	p.look()
	p.both.restart()
	_, _ = p.run(j)
	p.look()
	return first
}

func (p *play) look() { _, _ = p.both.Observe(context.Background(), app) }

func (p *play) mend() {
	for _, end := range p.rest {
		end()
	}
	p.rest = nil
	p.sim.Heal()
}

// tell prints what happens, if a single schedule is played.
func (p *play) tell(e strategy.Event) {
	if replay != "" {
		fmt.Printf("%8v run%d %s\n", p.sim.Now().Sub(epoch), p.runs, strings.ReplaceAll(e.String(), "\n", " "))
	}
}

// once plays a schedule. It returns its end, or the first difference.
func once(s strategytest.Schedule) (o outcome, calls, fired int, d *divergence) {
	sc, at, ok := find(s.Scenario)
	if !ok {
		return "", 0, 0, &divergence{schedule: s.String(), call: "the beginning", what: []string{"there is no such scenario"}}
	}
	var p *play
	defer func() {
		if p != nil {
			calls, fired = p.both.calls, p.client.Fired()
		}
		switch v := recover().(type) {
		case nil:
		case parted:
			o = "parted"
		case *divergence:
			d = v
			d.schedule = s.String()
		default:
			panic(v)
		}
	}()
	p = stage(s, sc, at)
	o = p.play()
	return o, calls, fired, nil
}

// find returns the scenario of a name such as "redblack/upgrade", and its pace if
// that follows: "redblack/upgrade/slow-pods".
func find(name string) (scenario, pace, bool) {
	parts := append(strings.Split(name, "/"), "", "")
	for _, s := range scenarios() {
		if s.name == parts[0]+"/"+parts[1] {
			at, ok := paceOf(parts[2])
			return s, at, ok
		}
	}
	return scenario{}, pace{}, false
}
