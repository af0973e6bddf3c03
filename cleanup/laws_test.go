// The laws of Decide over every small State, where its bounds lie, and the steps
// that follow from it.

package cleanup_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// everyRevision is one revision in every way that Decide may tell apart.
func everyRevision(seq int64) []cluster.Revision {
	var all []cluster.Revision
	for _, on := range []bool{false, true} {
		for _, way := range []struct {
			behind    bool
			unsettled int
			arm       string
		}{{}, {behind: true}, {unsettled: 1}, {arm: "baseline"}} {
			r := found(seq, 2, 2, on)
			r.Behind, r.Unsettled, r.Arm = way.behind, way.unsettled, way.arm
			all = append(all, r, ours(r, cluster.Undecided), ours(r, cluster.Good), ours(r, cluster.Failed))
		}
	}
	return all
}

func everyPolicy() []cleanup.Policy {
	return []cleanup.Policy{{}, {RunFailed: true}, {NoFloor: true}, {RunFailed: true, NoFloor: true},
		{Keep: "web-v001"}, {Keep: "web-v001", RunFailed: true}, {Keep: "web-v002", RunFailed: true, NoFloor: true}}
}

// everyState calls f with all States of two revisions and the policies for them.
func everyState(f func(cluster.State, cleanup.Policy)) {
	for _, one := range everyRevision(1) {
		for _, two := range everyRevision(2) {
			for n := range 4 {
				s := state([]cluster.Revision{one, two}, service("web", serving{"web-v001": n % 2 * 2, "web-v002": n / 2 * 2}))
				for _, p := range everyPolicy() {
					f(s, p)
				}
			}
		}
	}
}

// lasts is how many of a revision's endpoints will still serve if nobody writes
// any more. Here it has two pods, and both serve or neither does.
func lasts(s cluster.State, r cluster.Revision) int {
	toldOff := r.Unsettled
	if !r.Enabled {
		toldOff = r.Pods - r.Unsettled
	}
	return max(0, s.Routes[0].Serving[r.Name]-toldOff)
}

// mayBeKept is the first question: does it serve, and will it go on to?
func mayBeKept(s cluster.State, r cluster.Revision, p cleanup.Policy) bool {
	most := max(lasts(s, s.Revisions[0]), lasts(s, s.Revisions[1]))
	n := lasts(s, r)
	return n > 0 && n == most && // of two, 90 % is both, and of one, one
		r.Arm == "" && r.Outcome.Result != cluster.Failed && (p.Keep == "" || p.Keep == r.Name)
}

// mayStillBeNeeded is asked of what is newer than what is kept, or an arm beside
// it: a run may be at work on it.
func mayStillBeNeeded(r, kept cluster.Revision, p cleanup.Policy) bool {
	above := r.Seq > kept.Seq || r.Arm != "" && r.Seq == kept.Seq
	return above && !p.RunFailed && r.Outcome.Result != cluster.Failed
}

// What is deleted is dark, and what is touched at all is beside one that is kept,
// which serves: the newest that may be. Only what may still be needed, or is on
// its way out, stays beside it.
func TestDecideOverEveryState(t *testing.T) {
	everyState(func(s cluster.State, p cleanup.Policy) {
		var kept *cluster.Revision
		undecided := false
		for i, r := range s.Revisions {
			if mayBeKept(s, r, p) {
				kept = &s.Revisions[i]
			}
			undecided = undecided || r.Release != "" && r.Outcome.Result == cluster.Undecided
		}
		underway := undecided && !p.RunFailed
		decisions := cleanup.Decide(s, p)
		if len(decisions) != 2 {
			t.Fatalf("%d decisions", len(decisions))
		}
		for i, d := range decisions {
			r := s.Revisions[i]
			want := cleanup.Keep
			switch {
			case underway: // its run may be about to need it
			case kept == nil:
				if p.NoFloor && s.Serving() == 0 && s.Dark(r) && !mayStillBeNeeded(r, cluster.Revision{}, p) {
					want = cleanup.Delete // whatever happens, nothing serves
				}
			case r.Name == kept.Name || mayStillBeNeeded(r, *kept, p):
			case s.Dark(r):
				want = cleanup.Delete
			case r.Behind && !r.Enabled && r.Unsettled == 0: // it was just taken
			default:
				want = cleanup.Disable
			}
			if d.Revision.Name != r.Name || d.Verb != want || d.Why == "" || d.Evidence == "" {
				t.Fatalf("%+v\n%+v\n%v: it should be: %s", s, p, d, want)
			}
		}
	})
}

// The floor is 90 % of the most that one serves with, or what was named.
func TestWhereTheFloorLies(t *testing.T) {
	for most := 1; most <= 30; most++ {
		for n := 1; n <= most; n++ {
			s := state([]cluster.Revision{found(1, most, most, true), found(2, most, most, true)}, service("web", serving{"web-v001": most, "web-v002": n}))
			for named := 0; named <= n+1; named++ {
				enough := 10*n >= 9*most
				if named > 0 {
					enough = n >= named
				}
				if got := cleanup.Decide(s, cleanup.Policy{RunFailed: true, Floor: named})[1].Verb == cleanup.Keep; enough && !got || !enough && most >= named && got {
					t.Fatalf("%d of %d serve, a floor of %d is named, kept: %t", n, most, named, got)
				}
				want := named
				if named == 0 {
					for want = 1; 10*want < 9*most; want++ {
					}
				}
				bounds, _ := cleanup.Strategy{Policy: cleanup.Policy{Floor: named}}.Bounds(strategy.Input{State: s})
				require.Equal(t, want, bounds.Floor)
			}
		}
	}
	bounds, _ := cleanup.Strategy{}.Bounds(strategy.Input{})
	require.Equal(t, 1, bounds.Floor, "where nothing serves")
}

// What serves on a route that selects everything, and of which nobody has said
// whether it brings traffic, cannot be taken out of it: it stays.
func TestAFixedRouteKeepsWhatItServes(t *testing.T) {
	for n, want := range map[int]cleanup.Verb{0: cleanup.Delete, 1: cleanup.Keep, 3: cleanup.Keep} {
		all := service("all", serving{"web-v001": 3, "web-v002": n})
		all.Fixed = true
		s := state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 3, false)}, all, service("web", serving{"web-v001": 3}))
		d := cleanup.Decide(s, cleanup.Policy{RunFailed: true})
		require.Equal(t, cleanup.Keep, d[0].Verb)
		require.Equal(t, want, d[1].Verb, "%d endpoints on it", n)
		if want == cleanup.Keep {
			require.Contains(t, d[1].Why, "service/all")
		}
	}
}

// Arms of what is kept go with its run; those of older releases are left over.
func TestArms(t *testing.T) {
	arm := func(seq int64) cluster.Revision {
		r := ours(found(seq, 3, 3, false), cluster.Good)
		r.Name, r.Arm = cluster.RevisionName("web", seq, "baseline"), "baseline"
		return r
	}
	s := state([]cluster.Revision{found(1, 3, 3, false), arm(1), found(2, 3, 3, true), arm(2), arm(3)}, service("web", serving{"web-v002": 3}))
	for failed, want := range map[bool][]cleanup.Verb{
		false: {cleanup.Delete, cleanup.Delete, cleanup.Keep, cleanup.Keep, cleanup.Keep},
		true:  {cleanup.Delete, cleanup.Delete, cleanup.Keep, cleanup.Delete, cleanup.Delete},
	} {
		var got []cleanup.Verb
		for _, d := range cleanup.Decide(s, cleanup.Policy{RunFailed: failed}) {
			got = append(got, d.Verb)
		}
		require.Equal(t, want, got, "the run failed: %t", failed)
	}
}

// Whoever reads a decision is told by which rule, and about what.
func TestReasons(t *testing.T) {
	two := []cluster.Revision{found(1, 3, 3, true), ours(found(2, 3, 3, false), cluster.Undecided)}
	s := state(two, service("web", serving{"web-v001": 3}))
	for _, d := range cleanup.Decide(s, cleanup.Policy{}) {
		require.Equal(t, cleanup.Keep, d.Verb)
		require.Contains(t, d.Why, "web-v002 may be under way")
	}
	require.Equal(t, "the newest that really serves", cleanup.Decide(s, cleanup.Policy{RunFailed: true})[0].Why)
	require.Equal(t, "it serves, and is the one to keep", cleanup.Decide(s, cleanup.Policy{RunFailed: true, Keep: "web-v001"})[0].Why)
	leaving := found(2, 3, 3, false)
	leaving.Behind = true
	s.Revisions[1] = leaving
	require.Contains(t, cleanup.Decide(s, cleanup.Policy{RunFailed: true})[1].Why, "the cluster has not followed yet")
	s.Strays = 1
	for _, p := range everyPolicy() {
		for _, d := range cleanup.Decide(s, p) {
			require.Equal(t, cleanup.Keep, d.Verb)
			require.Contains(t, d.Why, "pods of no revision")
		}
	}
	alone := state([]cluster.Revision{found(1, 3, 0, true)}, service("web", nil))
	require.NotContains(t, cleanup.Decide(alone, cleanup.Policy{})[0].Why, "name those that do", "one Service is not several")
}

// Pods of nobody are in traffic: something serves, and nothing is deleted as if
// nothing did.
func TestStraysServe(t *testing.T) {
	s := state([]cluster.Revision{found(1, 3, 0, false)}, service("web", nil))
	p := cleanup.Policy{RunFailed: true, NoFloor: true}
	require.Equal(t, cleanup.Delete, cleanup.Decide(s, p)[0].Verb)
	s.Strays = 1
	require.Equal(t, cleanup.Keep, cleanup.Decide(s, p)[0].Verb)
}

func TestEvidence(t *testing.T) {
	r := found(1, 3, 2, true)
	half := r
	half.Unsettled = 1
	preview := service("preview", serving{"web-v001": 2})
	preview.Preview = true
	for want, s := range map[string]cluster.State{
		"2 of 3 pods ready, serves nowhere":                                                             state([]cluster.Revision{r}, service("web", nil)),
		"2 of 3 pods ready, serves service/web 1":                                                       state([]cluster.Revision{r}, service("web", serving{"web-v001": 1})),
		"2 of 3 pods ready, serves service/admin 2, service/web 1":                                      state([]cluster.Revision{r}, service("admin", serving{"web-v001": 2}), service("web", serving{"web-v001": 1}), preview),
		"2 of 3 pods ready, serves as a worker 2":                                                       {Revisions: []cluster.Revision{r}},
		"0 of 3 pods ready, serves nowhere":                                                             {Revisions: []cluster.Revision{found(1, 3, 0, true)}},
		"1 of 3 pods ready, serves as a worker 1":                                                       {Revisions: []cluster.Revision{found(1, 3, 1, true)}},
		"2 of 3 pods ready, serves nowhere, good":                                                       state([]cluster.Revision{ours(r, cluster.Good)}, service("web", nil)),
		"2 of 3 pods ready, serves nowhere, failed":                                                     state([]cluster.Revision{ours(r, cluster.Failed)}, service("web", nil)),
		"2 of 3 pods ready, serves service/web 1, the traffic of 1 pods is not as it should be":         state([]cluster.Revision{half}, service("web", serving{"web-v001": 1})),
		"2 of 3 pods ready, serves service/web 1, failed, the traffic of 1 pods is not as it should be": state([]cluster.Revision{ours(half, cluster.Failed)}, service("web", serving{"web-v001": 1})),
	} {
		require.Equal(t, want, cleanup.Decide(s, cleanup.Policy{})[0].Evidence)
	}
}

// What the cleanup does next agrees with what was decided: it deletes only what
// may be deleted, takes only what may be taken, is done only when nothing may
// be, and gives up only if something may not be decided.
func TestNextOverEveryState(t *testing.T) {
	everyState(func(s cluster.State, p cleanup.Policy) {
		about := map[string]cleanup.Verb{}
		decided := map[cleanup.Verb]int{}
		leaving := false
		for _, d := range cleanup.Decide(s, p) {
			about[d.Revision.Name] = d.Verb
			decided[d.Verb]++
			leaving = leaving || d.Revision.Behind
		}
		wrong := ""
		switch step := (cleanup.Strategy{Policy: p}).Next(strategy.Input{App: "web", State: s, Watched: s.At.Add(-5 * time.Minute)}).(type) {
		case strategy.Delete:
			if about[step.Revision.Name] != cleanup.Delete {
				wrong = "it deletes what may not go"
			}
		case strategy.Put:
			if step.Revision.Enabled == (about[step.Revision.Name] != cleanup.Keep) || decided[cleanup.Keep] == 2 && !step.Revision.Enabled {
				wrong = "it takes what is kept, or brings back what is not"
			}
			if !step.Revision.Enabled && decided[cleanup.Delete] > 0 {
				wrong = "what is dark goes first: it costs one write"
			}
		case strategy.Done:
			if decided[cleanup.Delete]+decided[cleanup.Disable] > 0 {
				wrong = "it is done, and something is left to do"
			}
		case strategy.Abort:
			if step.Kind != strategy.Unfit || decided[cleanup.Keep] < 2 || p.NoFloor {
				wrong = "it gives up, and could go on"
			}
		case strategy.Wait:
			if !leaving && decided[cleanup.Disable] == 0 {
				wrong = "it waits for nothing"
			}
		default:
			wrong = fmt.Sprintf("it says %T", step)
		}
		if wrong != "" {
			t.Fatalf("%s\n%+v\n%+v\n%v", wrong, s, p, (cleanup.Strategy{Policy: p}).Next(strategy.Input{App: "web", State: s, Watched: s.At}))
		}
	})
}

// While a run may be under way nothing is written, not even for what is kept;
// and that is no failure.
func TestNothingIsDoneWhileARunMayBeUnderWay(t *testing.T) {
	everyState(func(s cluster.State, p cleanup.Policy) {
		undecided := false
		for _, r := range s.Revisions {
			undecided = undecided || r.Release != "" && r.Outcome.Result == cluster.Undecided
		}
		if !undecided || p.RunFailed {
			return
		}
		if step := (cleanup.Strategy{Policy: p}).Next(strategy.Input{App: "web", State: s, Watched: s.At}); step != (strategy.Done{}) {
			t.Fatalf("%+v\n%+v\n%v", s, p, step)
		}
	})
}

// Where nothing serves and that was not accepted, a person has to see to it,
// however many revisions there are.
func TestGivesUpWhereNothingServes(t *testing.T) {
	var dark []cluster.Revision
	for n := int64(1); n <= 3; n++ {
		dark = append(dark, found(n, 3, 0, false))
		abort := next(state(dark, service("web", nil)), cleanup.Policy{}, noon).(strategy.Abort)
		require.Equal(t, strategy.Unfit, abort.Kind)
	}
}

// A revision without a place in the order is newer than nothing: it is no part
// of a run under way.
func TestWhatHasNoPlaceIsNewerThanNothing(t *testing.T) {
	s := state([]cluster.Revision{found(0, 3, 0, false), found(1, 3, 0, false)}, service("web", nil))
	d := cleanup.Decide(s, cleanup.Policy{NoFloor: true})
	require.Equal(t, cleanup.Delete, d[0].Verb)
	require.Equal(t, cleanup.Keep, d[1].Verb)
}

// next is the step of a cleanup after a run that failed.
func next(s cluster.State, p cleanup.Policy, watched time.Time) strategy.Step {
	p.RunFailed = true
	return cleanup.Strategy{Policy: p}.Next(strategy.Input{App: "web", State: s, Watched: watched})
}

// What is dark drains before it is deleted: from when this observer saw it leave
// traffic or, if it never has, from its first look. What a writer noted says when
// it was told to leave; its endpoints may have followed much later.
func TestDrain(t *testing.T) {
	ago := func(seconds int) time.Time { return noon.Add(-time.Duration(seconds) * time.Second) }
	for _, c := range []struct {
		name         string
		drain        time.Duration
		since, moved time.Time
		route        time.Time // when a writer last changed it
		pods         int
		left         time.Duration
	}{
		{name: "seen to leave just as long ago as it takes", moved: ago(30), pods: 3, left: 0},
		{name: "seen to leave not so long ago", moved: ago(29), pods: 3, left: time.Second},
		{name: "told to leave long before it was seen to", since: ago(100), route: ago(100), moved: ago(10), pods: 3, left: 20 * time.Second},
		{name: "told again since it was seen to leave", since: ago(10), route: ago(10), moved: ago(20), pods: 3, left: 10 * time.Second},
		{name: "this is the first look", since: ago(100), moved: noon, pods: 3, left: 30 * time.Second},
		{name: "this is the first look, and nobody is there", since: ago(100), moved: noon, left: 0},
		{name: "a drain of its own", drain: time.Minute, moved: ago(20), pods: 3, left: 40 * time.Second},
		{name: "no drain", drain: -1, moved: noon, pods: 3, left: 0},
	} {
		dark := found(2, c.pods, c.pods, false)
		dark.Since, dark.Moved = c.since, c.moved
		s := state([]cluster.Revision{found(1, 3, 3, true), dark}, service("web", serving{"web-v001": 3}))
		s.Routes[0].Since = c.route
		switch step := next(s, cleanup.Policy{Drain: c.drain}, ago(100)).(type) {
		case strategy.Delete:
			require.Zero(t, c.left, c.name)
			require.Equal(t, dark.Name, step.Revision.Name)
			require.Contains(t, step.Why, fmt.Sprintf("%d of %d pods ready", c.pods, c.pods), "whoever reads the trace sees what was seen")
		case strategy.Wait:
			require.Equal(t, c.left, step.Until.Sub(noon), c.name)
		default:
			t.Fatalf("%s: %v", c.name, step)
		}
	}
}

// Pods that were told to go drain as well, and what is looked for next is the first
// of several drains to end.
func TestWhoDrains(t *testing.T) {
	going, dark := found(2, 0, 3, false), found(3, 3, 3, false)
	going.Pods, going.Leaving = 3, 3
	going.Moved, dark.Moved = noon.Add(-20*time.Second), noon.Add(-10*time.Second)
	ends := func(revisions ...cluster.Revision) time.Duration {
		s := state(append([]cluster.Revision{found(1, 3, 3, true)}, revisions...), service("web", serving{"web-v001": 3}))
		return next(s, cleanup.Policy{}, noon.Add(-time.Hour)).(strategy.Wait).Until.Sub(noon)
	}
	require.Equal(t, 10*time.Second, ends(going))
	require.Equal(t, 10*time.Second, ends(going, dark))
	going.Moved, dark.Moved = dark.Moved, going.Moved
	require.Equal(t, 10*time.Second, ends(going, dark))
}

// Nothing is taken out of traffic while what is kept was raised a moment ago and more
// of it may yet serve.
func TestWaitsForWhatIsKeptToServe(t *testing.T) {
	kept := found(2, 4, 4, true)
	for ago, waits := range map[time.Duration]bool{0: true, 10*time.Minute - 1: true, 10 * time.Minute: false} {
		kept.Raised = noon.Add(-ago)
		s := state([]cluster.Revision{found(1, 3, 3, true), kept}, service("web", serving{"web-v001": 3, "web-v002": 3}))
		step := next(s, cleanup.Policy{}, noon)
		if waits {
			require.Equal(t, strategy.Wait{Why: "3 of 4 endpoints of web-v002 serve: the others may yet come"}, step)
			continue
		}
		require.Equal(t, "web-v001", step.(strategy.Put).Revision.Name)
	}
	kept.Raised = noon
	s := state([]cluster.Revision{found(1, 3, 3, true), kept}, service("web", serving{"web-v001": 3, "web-v002": 4}))
	require.Equal(t, "web-v001", next(s, cleanup.Policy{}, noon).(strategy.Put).Revision.Name)
}

// While what is dark drains, what still has traffic loses it: one drain for all.
func TestDrainsTogether(t *testing.T) {
	s := state([]cluster.Revision{found(1, 3, 3, false), found(2, 3, 3, true), found(3, 3, 3, true)}, service("web", serving{"web-v002": 3, "web-v003": 3}))
	step := next(s, cleanup.Policy{}, noon).(strategy.Put)
	require.Equal(t, "web-v002", step.Revision.Name)
	require.False(t, step.Revision.Enabled)
	require.Equal(t, "web-v001", next(s, cleanup.Policy{Drain: -1}, noon).(strategy.Delete).Revision.Name)
}

// What is kept gets the traffic of all its pods before anything is taken.
func TestWhatIsKeptIsMadeWhole(t *testing.T) {
	half := found(1, 3, 3, true)
	half.Unsettled = 1
	s := state([]cluster.Revision{half, found(2, 3, 3, true)}, service("web", serving{"web-v001": 2, "web-v002": 1}))
	require.Equal(t, half, next(s, cleanup.Policy{}, noon).(strategy.Put).Revision)

	half.Enabled, half.Unsettled = false, 3 // whoever meant to take it has not begun: it stays as it is
	s = state([]cluster.Revision{half, found(2, 3, 3, true)}, service("web", serving{"web-v001": 3, "web-v002": 1}))
	step := next(s, cleanup.Policy{}, noon).(strategy.Put)
	require.Equal(t, "web-v002", step.Revision.Name)
	require.False(t, step.Revision.Enabled)
}

// A cleanup that has taken the last pod out of traffic is not done before the
// cluster has followed.
func TestWaitsForWhatIsOnItsWayOut(t *testing.T) {
	leaving := found(2, 3, 3, false)
	leaving.Behind = true
	s := state([]cluster.Revision{found(1, 3, 3, true), leaving}, service("web", serving{"web-v001": 3}))
	require.Contains(t, next(s, cleanup.Policy{}, noon).(strategy.Wait).Why, "web-v002")

	s.Revisions[1].Behind, s.Revisions[0].Behind = false, true // what is kept may take its time
	require.IsType(t, strategy.Delete{}, next(s, cleanup.Policy{Drain: -1}, noon))
	s.Revisions = s.Revisions[:1]
	require.Equal(t, strategy.Done{}, next(s, cleanup.Policy{}, noon))
}

// It waits ten minutes for the cluster to follow, from the last write or from
// its own first look, and then says so.
func TestWaitsForTheClusterTenMinutes(t *testing.T) {
	leaving := found(2, 3, 3, false)
	leaving.Behind = true
	selected := found(2, 3, 3, false)
	behind := state([]cluster.Revision{found(1, 3, 3, true), leaving}, service("web", serving{"web-v001": 3}))
	serves := state([]cluster.Revision{found(1, 3, 3, true), selected}, service("web", serving{"web-v001": 3, "web-v002": 1}))
	for name, s := range map[string]cluster.State{"behind": behind, "still in traffic": serves} {
		for _, c := range []struct {
			written, watched time.Duration // ago
			ends             bool
		}{
			{written: 10 * time.Minute, watched: 10 * time.Minute, ends: true},
			{written: 10*time.Minute - time.Second, watched: 10 * time.Minute},
			{written: time.Hour, watched: 10*time.Minute - time.Second},
			{written: time.Hour, watched: time.Hour, ends: true},
		} {
			s.Revisions[1].Since = noon.Add(-c.written)
			step := next(s, cleanup.Policy{}, noon.Add(-c.watched))
			if !c.ends {
				require.IsType(t, strategy.Wait{}, step, "%s: %+v", name, c)
				continue
			}
			abort, ok := step.(strategy.Abort)
			require.True(t, ok, "%s: %+v: %v", name, c, step)
			require.Equal(t, strategy.Unsafe, abort.Kind)
			require.Contains(t, abort.Why, "web-v002")
		}
	}
}

// A pod that was just deleted is still listed where it served, and is nobody's:
// ten seconds after endpoints last moved, or ten minutes after the first look,
// that is taken for what it will stay.
func TestWaitsForPodsOnTheirWayOut(t *testing.T) {
	s := state([]cluster.Revision{found(1, 3, 3, false), found(2, 3, 3, true)}, service("web", serving{"web-v001": 1, "web-v002": 3}))
	s.Strays = 1
	for _, p := range []cleanup.Policy{{}, {NoFloor: true}} {
		for _, c := range []struct {
			moved, watched time.Duration // ago
			ends           bool
		}{
			{moved: time.Hour, watched: 0},
			{moved: time.Hour, watched: 10*time.Second - 1},
			{moved: time.Hour, watched: 10 * time.Second, ends: true},
			{moved: 10*time.Second - 1, watched: 5 * time.Minute},
			{moved: 10 * time.Second, watched: 5 * time.Minute, ends: true},
			{moved: 0, watched: 10*time.Minute - 1},
			{moved: 0, watched: 10 * time.Minute, ends: true},
		} {
			s.Revisions[0].Moved, s.Revisions[1].Moved = noon.Add(-c.moved), noon.Add(-time.Hour)
			step := next(s, p, noon.Add(-c.watched))
			if !c.ends {
				require.Contains(t, step.String(), "wait: 1 pods of no revision are in traffic", "%+v", c)
				continue
			}
			if p.NoFloor {
				require.Equal(t, strategy.Done{}, step)
			} else {
				require.Contains(t, step.String(), "abort (unfit): nothing is decided while 1 pods of no revision", "%+v", c)
			}
		}
	}
}

func TestNothingToCleanUp(t *testing.T) {
	require.Equal(t, strategy.Done{}, next(state(nil, service("web", nil)), cleanup.Policy{}, noon))
}

// Traffic is taken in the way that the cluster moves it: a route is given to what
// is kept alone, a label is turned off. What is off already, and still listed, is
// waited for.
func TestTrafficIsTakenWhereItIsMoved(t *testing.T) {
	both := map[string]int{"web-v001": 100, "web-v002": 100}
	alone := map[string]int{"web-v001": 100}
	for _, c := range []struct {
		name    string
		can     cluster.Can
		weights map[string]int
		want    strategy.Step
	}{
		{"a selector names it", cluster.Can{Select: true}, both, strategy.SetRoute{}},
		{"a selector names it no more", cluster.Can{Select: true}, alone, strategy.Wait{}},
		{"labels", cluster.Can{Enable: true}, nil, strategy.Put{}},
		{"labels, whatever weights say", cluster.Can{Enable: true}, both, strategy.Put{}},
	} {
		s := state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 3, true)}, service("web", serving{"web-v001": 3, "web-v002": 1}))
		s.Can, s.Routes[0].Weights = c.can, c.weights
		step := next(s, cleanup.Policy{}, noon)
		require.IsType(t, c.want, step, "%s: %v", c.name, step)
		switch step := step.(type) {
		case strategy.SetRoute:
			require.Equal(t, alone, step.Route.Weights)
		case strategy.Put:
			require.Equal(t, "web-v002", step.Revision.Name)
			require.False(t, step.Revision.Enabled)
		}
	}
	workers := state([]cluster.Revision{found(1, 3, 3, true), found(2, 3, 1, true)})
	require.False(t, next(workers, cleanup.Policy{}, noon).(strategy.Put).Revision.Enabled, "a worker")

	// Nothing is left to take, and yet it is not dark: there is no step for it.
	off := found(2, 3, 3, true)
	s := state([]cluster.Revision{found(1, 3, 3, true), off}, service("web", serving{"web-v001": 3}))
	s.Can, s.Routes[0].Weights = cluster.Can{Select: true}, alone
	require.Equal(t, strategy.Done{}, next(s, cleanup.Policy{}, noon))
}
