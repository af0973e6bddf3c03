// Two States in normal form, and how they may differ.

package lockstep_test

import (
	"fmt"
	"maps"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// compare returns what the two looks at the same instant do not agree on.
// Template and Warnings are for nobody's decision, UIDs and Versions are opaque,
// and Created is by the real apiserver's own clock.
func compare(simulated, found cluster.State, pods []fake.Pod, stamps map[time.Time]time.Time) []string {
	var d differences
	d.add("At", simulated.At, found.At)
	d.add("Can", simulated.Can, found.Can)
	d.add("number of revisions", len(simulated.Revisions), len(found.Revisions))
	d.strays(simulated.Strays, found.Strays, pods)
	for _, r := range simulated.Revisions {
		other, ok := found.Named(r.Name)
		d.add(r.Name+" exists", true, ok)
		if ok {
			d.revision(r, other, spanned(simulated, found, r.Name))
		}
	}
	d.order(simulated, found)
	d.add("number of routes", len(simulated.Routes), len(found.Routes))
	for i, r := range simulated.Routes {
		if i < len(found.Routes) {
			d.route(r, found.Routes[i], stamps)
		}
	}
	return d
}

type differences []string

func (d *differences) add(what string, simulated, found any) {
	if simulated != found {
		*d = append(*d, fmt.Sprintf("%s: simulated %v, real %v", what, simulated, found))
	}
}

// order compares the order of revisions where their place says it: of two with
// one Seq the older comes first, and the real clock that says which has steps of
// a second.
func (d *differences) order(simulated, found cluster.State) {
	if len(simulated.Revisions) != len(found.Revisions) {
		return
	}
	for i, r := range simulated.Revisions {
		d.add(fmt.Sprintf("Seq at place %d", i), r.Seq, found.Revisions[i].Seq)
	}
}

func (d *differences) revision(simulated, found cluster.Revision, spanned bool) {
	in := func(field string) string { return simulated.Name + " " + field }
	d.add(in("Release"), simulated.Release, found.Release)
	d.add(in("Arm"), simulated.Arm, found.Arm)
	d.add(in("Seq"), simulated.Seq, found.Seq)
	d.add(in("Replicas"), simulated.Replicas, found.Replicas)
	d.add(in("Enabled"), simulated.Enabled || spanned, found.Enabled)
	d.add(in("Outcome"), simulated.Outcome, found.Outcome)
	d.add(in("Note"), simulated.Note, found.Note)
	d.add(in("Fence"), simulated.Fence, found.Fence)
	d.pods(simulated, found)
	d.add(in("Ready"), simulated.Ready, found.Ready)
	d.add(in("Unsettled"), simulated.Unsettled, found.Unsettled)
	d.add(in("Behind"), simulated.Behind, found.Behind)
	d.add(in("Since"), simulated.Since, found.Since)
	d.add(in("Moved"), simulated.Moved, found.Moved)
	born := simulated.Raised.Equal(simulated.Created)
	d.add(in("Raised is its creation"), born, found.Raised.Equal(found.Created))
	if !born {
		d.add(in("Raised"), simulated.Raised, found.Raised)
	}
}

func (d *differences) route(simulated, found cluster.Route, stamps map[time.Time]time.Time) {
	in := func(field string) string { return simulated.Name + " " + field }
	d.add("name of the route", simulated.Name, found.Name)
	d.add(in("Preview"), simulated.Preview, found.Preview)
	d.add(in("External"), simulated.External, found.External)
	d.add(in("Fixed"), simulated.Fixed, found.Fixed)
	d.add(in("Pinned"), simulated.Pinned, found.Pinned)
	d.add(in("has Weights"), simulated.Weights != nil, found.Weights != nil)
	d.weights(simulated, found)
	if !maps.Equal(simulated.Serving, found.Serving) {
		d.add(in("Serving"), fmt.Sprint(simulated.Serving), fmt.Sprint(found.Serving))
	}
	d.add(in("Note"), simulated.Note, found.Note)
	d.add(in("Fence"), simulated.Fence, found.Fence)
	d.add(in("From"), simulated.From, found.From)
	if stamp, ok := stamps[simulated.Since]; !ok || found.Since != stamp {
		d.add(in("Since"), simulated.Since, found.Since)
	}
}

// What follows are the differences that are meant or known, three of six. In each the
// simulated cluster knows, or fears, more than a look at a real one can show. The
// others are at [lockstep.renewed], [lockstep.SetRoute] and [lockstep.part].

// strays: endpoints of pods that a deleted revision has left are Strays to the
// simulated cluster until they are gone from the routes. On a real one they are
// none once the pods are seen to terminate, which depends on whether the labels
// that all revisions have in common still find them.
func (d *differences) strays(simulated, found int, pods []fake.Pod) {
	left := 0
	for _, p := range pods {
		if p.Owner == "" && p.Leaving && !p.Gone && len(p.Listed) > 0 {
			left++
		}
	}
	if found > simulated || found < simulated-left {
		d.add("Strays", simulated, found)
	}
}

// pods: while a revision is behind, the simulated cluster counts the pods that
// every spec on its way to the controller would make. A real look shows the last
// of these specs and what the controller has told before.
func (d *differences) pods(simulated, found cluster.Revision) {
	if found.Pods > simulated.Pods || found.Pods < simulated.Pods && !simulated.Behind {
		d.add(simulated.Name+" Pods", simulated.Pods, found.Pods)
	}
}

// weights: a real selector that is to select two revisions is one that names
// neither, and so names every other that has the same labels; of that one there
// were no pods when it was written. The simulated cluster's names are as written.
func (d *differences) weights(simulated, found cluster.Route) {
	named := maps.Clone(found.Weights)
	if len(simulated.Weights) >= 2 {
		maps.DeleteFunc(named, func(name string, _ int) bool { _, ok := simulated.Weights[name]; return !ok })
	}
	if !maps.EqualFunc(simulated.Weights, named, func(int, int) bool { return true }) {
		d.add(simulated.Name+" Weights", fmt.Sprint(simulated.Weights), fmt.Sprint(found.Weights))
	}
}

// spanned reports whether a revision is such another.
func spanned(simulated, found cluster.State, name string) bool {
	for i, r := range simulated.Routes {
		_, wanted := r.Weights[name]
		_, named := found.Routes[i].Weights[name]
		if len(r.Weights) >= 2 && named && !wanted {
			return true
		}
	}
	return false
}
