// The check that the vocabulary carries what the field does: one State literal
// per case, what State's own questions answer about it, and what red-black says
// is the next step. A case that cannot be written down here is a case that
// cutover cannot handle.

package cluster_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

var (
	noon    = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	good    = cluster.Outcome{Result: cluster.Good}
	failed  = cluster.Outcome{Result: cluster.Failed, Why: "not ready"}
	labels  = cluster.Can{Enable: true}
	selects = cluster.Can{Select: true}
	weighs  = cluster.Can{Enable: true, Weigh: true}
)

// rev is a revision that cutover made, with all pods ready.
func rev(seq int64, replicas int, change ...func(*cluster.Revision)) cluster.Revision {
	r := cluster.Revision{
		Name: cluster.RevisionName("web", seq, ""), Release: cluster.RevisionName("build", seq, ""), Seq: seq,
		Template: []byte("t"), Replicas: replicas, Pods: replicas, Ready: replicas,
		Created: noon.Add(-time.Hour), Raised: noon.Add(-time.Hour), Since: noon.Add(-time.Hour), Moved: noon.Add(-time.Hour),
		UID: "u", Version: "1",
	}
	for _, c := range change {
		c(&r)
	}
	return r
}

func on(r *cluster.Revision)      { r.Enabled = true }
func isGood(r *cluster.Revision)  { r.Outcome = good }
func hasFail(r *cluster.Revision) { r.Outcome = failed }
func found(name string) func(*cluster.Revision) {
	return func(r *cluster.Revision) { r.Name, r.Release, r.Seq = name, "", 0 }
}

func service(name string, serving map[string]int) cluster.Route {
	return cluster.Route{Name: "service/" + name, Serving: serving, Version: "1"}
}

type serving = map[string]int

type fit struct {
	name     string
	state    cluster.State
	target   cluster.Target
	asks     func(*testing.T, cluster.State)
	next     string // RedBlack's step
	switches string // BlueGreen's step, where routes select
}

func TestFit(t *testing.T) {
	for _, f := range fits() {
		t.Run(f.name, func(t *testing.T) {
			f.state.At = noon
			f.asks(t, f.state)
			if f.target.Template == nil {
				f.target.Template = []byte("t")
			}
			in := strategy.Input{App: "web", Target: f.target.Named(), State: f.state, Watched: noon}
			assert.Equal(t, f.next, strategy.RedBlack{}.Next(in).String())
			assert.Equal(t, f.state.Can.Select, f.switches != "", "say what BlueGreen does")
			if f.switches != "" {
				assert.Equal(t, f.switches, strategy.BlueGreen{}.Next(in).String())
			}
		})
	}
}

func fits() []fit {
	baseline := rev(2, 1, on, func(r *cluster.Revision) { r.Arm, r.Name = "baseline", "web-v002-baseline" })
	return []fit{
		{
			name: "red-black by label, half-way",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{
				rev(1, 3, on, isGood), rev(2, 3, on, func(r *cluster.Revision) { r.Unsettled = 2 }),
			}, Routes: []cluster.Route{service("web", serving{"web-v001": 3, "web-v002": 1})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				back, ok := s.NewestGood(s.Revisions[1])
				assert.True(t, ok)
				assert.Equal(t, "web-v001", back.Name)
				assert.Equal(t, 1, s.ReliedOn("web-v002"))
				assert.False(t, s.Dark(s.Revisions[1]))
				assert.Equal(t, 4, s.Serving())
			},
			next: "put web-v002 x3 on: it is ready",
		},
		{
			name: "blue-green by selector",
			state: cluster.State{Can: selects, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3)},
				Routes: []cluster.Route{{Name: "service/web", Weights: map[string]int{"web-v001": 100}, Serving: serving{"web-v001": 3}}}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, s.HasTraffic("web-v001"))
				assert.False(t, s.HasTraffic("web-v002"))
				assert.True(t, s.Dark(s.Revisions[1]))
			},
			next:     "abort (unfit): RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector",
			switches: "route service/web to web-v002: it is ready",
		},
		{
			name: "blue-green by selector with overlap",
			state: cluster.State{Can: selects, Revisions: []cluster.Revision{rev(1, 150, on, isGood), rev(2, 150, on)},
				Routes: []cluster.Route{{Name: "service/web", From: "web-v001", Note: "overlap", Weights: map[string]int{"web-v001": 50, "web-v002": 50}, Serving: serving{"web-v001": 150, "web-v002": 90}}}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.Equal(t, 150, s.ReliedOn("web-v001"))
				assert.Equal(t, 90, s.Exposed("web-v002"))
				assert.True(t, s.IsGood(s.Revisions[0]))
			},
			next:     "abort (unfit): RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector",
			switches: "wait: 90 of 150 endpoints of web-v002 on service/web",
		},
		{
			name: "weighted canary with a baseline arm",
			state: cluster.State{Can: weighs, Revisions: []cluster.Revision{rev(1, 10, on, isGood), rev(2, 1, on), baseline},
				Routes: []cluster.Route{{Name: "route/web", Note: "step 1", Weights: map[string]int{"web-v001": 80, "web-v002": 10, "web-v002-baseline": 10},
					Serving: serving{"web-v001": 10, "web-v002": 1, "web-v002-baseline": 1}}}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				mine, _ := s.Find("build-v002")
				assert.Equal(t, "web-v002", mine.Name, "an arm is never the release")
				assert.False(t, s.IsGood(s.Revisions[2]), "an arm is never gone back to")
				assert.EqualValues(t, 3, s.NextSeq(), "an arm takes no sequence")
			},
			next: "abort (unfit): RedBlack moves traffic by pod labels, and route/web divides it by weight: take the weights off",
		},
		{
			name: "several Services, half switched",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3, on)},
				Routes: []cluster.Route{service("admin", serving{"web-v001": 3}), service("web", serving{"web-v001": 3, "web-v002": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.Equal(t, 0, s.ReliedOn("web-v002"), "one route does not have it")
				assert.Equal(t, 3, s.Exposed("web-v002"), "one route has")
			},
			next: "wait: 0 of 3 endpoints serve",
		},
		{
			name: "preview and metrics Services",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3)},
				Routes: []cluster.Route{
					{Name: "service/metrics", Preview: true, Serving: serving{"web-v001": 3, "web-v002": 3}},
					{Name: "service/preview", Preview: true, Serving: serving{"web-v002": 3}},
					service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, s.Dark(s.Revisions[1]), "a preview is no traffic")
				assert.Equal(t, 3, s.Serving())
			},
			next: "put web-v002 x3 on: it is ready",
		},
		{
			name:   "a worker without a Service",
			state:  cluster.State{Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3, on)}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, s.Worker())
				assert.Equal(t, 3, s.ReliedOn("web-v002"))
				assert.Equal(t, 6, s.Serving())
			},
			next: "abort (unfit): RedBlack moves traffic, and no route brings any to this app: name its Service; or, if it is a worker, use Rolling or Recreate",
		},
		{
			name: "a group: every member is an ordinary app",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 2, on, isGood),
				rev(2, 2, func(r *cluster.Revision) { r.Release, r.Note = "group-7", "prepared" })},
				Routes: []cluster.Route{service("consumer", serving{"web-v001": 2})}},
			target: cluster.Target{Release: "group-7"},
			asks: func(t *testing.T, s cluster.State) {
				mine, ok := s.Find("group-7")
				assert.True(t, ok, "members are joined by their release")
				assert.Equal(t, "prepared", mine.Note)
			},
			next: "put web-v002 x2 on: it is ready",
		},
		{
			name: "Deployment-per-revision",
			state: cluster.State{Can: selects, Revisions: []cluster.Revision{rev(0, 1, on, found("busybox-1.10")), rev(1, 1)},
				Routes: []cluster.Route{{Name: "service/busybox1", Weights: map[string]int{"busybox-1.10": 100}, Serving: serving{"busybox-1.10": 1}}}},
			target: cluster.Target{Release: "build-v001"},
			asks: func(t *testing.T, s cluster.State) {
				back, _ := s.NewestGood(s.Revisions[1])
				assert.Equal(t, "busybox-1.10", back.Name, "found in traffic: good")
			},
			next:     "abort (unfit): RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector",
			switches: "route service/busybox1 to web-v001: it is ready",
		},
		{
			name: "adopting a plain Deployment",
			state: cluster.State{Can: selects, Revisions: []cluster.Revision{rev(0, 4, on, found("web"))},
				Routes:   []cluster.Route{{Name: "service/web", Weights: map[string]int{"web": 100}, Serving: serving{"web": 4}}},
				Warnings: []string{"deployment/web: the field spec.replicas is managed by helm"}},
			asks: func(t *testing.T, s cluster.State) {
				assert.EqualValues(t, 1, s.NextSeq())
				assert.True(t, s.IsGood(s.Revisions[0]))
			},
			next:     "abort (unfit): RedBlack turns traffic on and off by pod labels, and this cluster cannot for this app: use BlueGreen, which moves a Service's selector",
			switches: "create web-v001 x4 off: release template-e3b98a4da31a127d",
		},
		{
			name: "an autoscaler has changed the replicas",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 10, on, isGood)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 10})}},
			target: cluster.Target{Release: "build-v002"},
			asks:   func(t *testing.T, s cluster.State) { assert.Equal(t, 10, s.Serving()) },
			next:   "create web-v002 x10 off: release build-v002",
		},
		{
			name: "an autoscaler names what serves, and another one what is gone",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 10, on, isGood), rev(2, 8)},
				Routes: []cluster.Route{{Name: "horizontalpodautoscaler/gone", Scaler: true, Weights: map[string]int{}, Version: "1"},
					{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "1"},
					service("web", serving{"web-v001": 10})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.Len(t, s.Traffic(), 1)
				assert.Equal(t, 10, s.ReliedOn("web-v001"), "an autoscaler has no endpoints")
				assert.True(t, s.Dark(s.Revisions[1]))
				by, ok := s.ScalerOf("web-v001")
				assert.True(t, ok)
				assert.Equal(t, "horizontalpodautoscaler/web", by.Name)
				_, ok = s.ScalerOf("web-v002")
				assert.False(t, ok)
			},
			next: "put web-v002 x10 off: an autoscaler has made what serves that large",
		},
		{
			name: "an autoscaler names the old one, which is out of traffic",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, isGood), rev(2, 3, on)},
				Routes: []cluster.Route{{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "1"},
					service("web", serving{"web-v002": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, s.Dark(s.Revisions[0]), "a name there is no traffic")
			},
			next: "route horizontalpodautoscaler/web to web-v002: web-v002 serves",
		},
		{
			name: "an autoscaler names a large old one, and what serves is small",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 9, isGood), rev(2, 3, on, isGood), rev(3, 3)},
				Routes: []cluster.Route{{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "1"},
					service("web", serving{"web-v002": 3})}},
			target: cluster.Target{Release: "build-v003"},
			asks:   func(t *testing.T, s cluster.State) { assert.Equal(t, 3, s.Serving()) },
			next:   "put web-v003 x3 on: it is ready",
		},
		{
			name: "undone, and the way back has no replicas, which turns its autoscaler off",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 0, isGood), rev(2, 3, on, hasFail)},
				Routes: []cluster.Route{{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "1"},
					service("web", serving{"web-v002": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				_, named := s.ScalerOf("web-v001")
				assert.True(t, named)
			},
			next: "put web-v001 x3 off good: capacity first: traffic goes back to it",
		},
		{
			name: "a worker that an autoscaler scales",
			state: cluster.State{Revisions: []cluster.Revision{rev(1, 3, on, isGood)},
				Routes: []cluster.Route{{Name: "horizontalpodautoscaler/web", Scaler: true, Weights: map[string]int{"web-v001": 100}, Version: "1"}}},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, s.Worker())
				assert.Equal(t, 3, s.ReliedOn("web-v001"))
			},
			next: "abort (unfit): RedBlack moves traffic, and no route brings any to this app: name its Service; or, if it is a worker, use Rolling or Recreate",
		},
		{
			name: "undone",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{
				rev(1, 3, isGood), rev(2, 3, on, func(r *cluster.Revision) { r.Outcome = cluster.Outcome{Result: cluster.Failed, Why: "undone by ops"} })},
				Routes: []cluster.Route{service("web", serving{"web-v002": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				assert.False(t, s.IsGood(s.Revisions[1]))
				back, _ := s.NewestGood(s.Revisions[1])
				assert.Equal(t, "web-v001", back.Name)
			},
			next: "put web-v001 x3 on good: traffic goes back to it",
		},
		{
			name: "a newer release supersedes an unfinished one",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3), rev(3, 3)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v003"},
			asks: func(t *testing.T, s cluster.State) {
				back, _ := s.NewestGood(s.Revisions[2])
				assert.Equal(t, "web-v001", back.Name, "an undecided one is not gone back to")
			},
			next: "put web-v003 x3 on: it is ready", // what it supersedes is given up only when it serves itself
		},
		{
			name: "the slower deployer is superseded",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 3), rev(3, 3)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks:   func(t *testing.T, s cluster.State) { _, ok := s.Find("build-v002"); assert.True(t, ok) },
			next:   "abort (superseded): web-v003 is newer (release build-v003, undecided)",
		},
		{
			name: "an old template is deployed again",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{
				rev(1, 3, isGood, func(r *cluster.Revision) { r.Release = cluster.Target{Template: []byte("old")}.Named().Release }), rev(2, 3, on, isGood)},
				Routes: []cluster.Route{service("web", serving{"web-v002": 3})}},
			target: cluster.Target{Template: []byte("old")},
			asks: func(t *testing.T, s cluster.State) {
				assert.True(t, cluster.Target{Template: []byte("old")}.Named().Unnamed())
			},
			next: "create web-v003 x3 off: release " + cluster.Target{Template: []byte("old")}.Named().Release,
		},
		{
			name: "a good release below failed ones is run again",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 0, hasFail)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v001"},
			asks:   func(t *testing.T, s cluster.State) { assert.True(t, s.Dark(s.Revisions[1])) },
			next:   "done",
		},
		{
			name: "a failed release is tried again under its own name",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood), rev(2, 0, hasFail)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks:   func(t *testing.T, s cluster.State) { assert.False(t, s.IsGood(s.Revisions[1])) },
			next:   "abort (failed): not ready",
		},
		{
			name: "a number is used again once its object is gone",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, on, isGood),
				rev(2, 3, func(r *cluster.Revision) { r.Release, r.UID = "somebody-else", "other" })},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks: func(t *testing.T, s cluster.State) {
				_, ok := s.Find("build-v002")
				assert.False(t, ok, "a release is not known by its name")
			},
			next: "create web-v003 x3 off: release build-v002",
		},
		{
			name: "strays in traffic",
			state: cluster.State{Can: labels, Strays: 2, Revisions: []cluster.Revision{rev(1, 3, on, isGood)},
				Routes: []cluster.Route{service("web", serving{"web-v001": 3})}},
			target: cluster.Target{Release: "build-v002"},
			asks:   func(t *testing.T, s cluster.State) { assert.Equal(t, 3, s.Serving(), "strays are nobody's") },
			next:   "wait: 2 pods of no revision are in traffic",
		},
		{
			name: "a third, retained version",
			state: cluster.State{Can: labels, Revisions: []cluster.Revision{rev(1, 3, isGood), rev(2, 3, isGood), rev(3, 3, on, isGood)},
				Routes: []cluster.Route{service("web", serving{"web-v003": 3})}},
			target: cluster.Target{Release: "build-v003"},
			asks: func(t *testing.T, s cluster.State) {
				back, _ := s.NewestGood(s.Revisions[2])
				assert.Equal(t, "web-v002", back.Name)
			},
			next: "put web-v001 x0 off good: web-v003 is good, and the way back is web-v002",
		},
	}
}
