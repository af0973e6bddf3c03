// Waves: one app in several places, some of them first. What went wrong in the
// first wave is not done to the second.

package strategy

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
)

// Waves deploy the same release of one app in several places, which are clusters
// or namespaces of one, wave after wave. The places of a wave are ordinary runs
// side by side. When all of them are good the gate is asked about the whole wave,
// and then the next one begins.
//
// A place that fails stops neither the others of its wave nor what they do: each
// ends by itself, as good or given back. But no further wave begins. Waves that
// are good stay good; Undo takes all of them back.
//
// Nothing but the clusters is remembered: run again, what is good is looked at and
// not written, and the gate after a wave is not asked again once the release is
// found in the one after it.
type Waves struct {
	App      string
	Target   cluster.Target
	Strategy Strategy
	Waves    []Wave
	Between  health.SetGate // asked about a wave that is good, before the next one; nil passes
	Judge    time.Duration  // Between has failed if it has not passed so long after it was first asked; 0: 10m
}

// A Wave is the places that are deployed to at once.
type Wave []Place

// A Place is where an app runs.
type Place struct {
	Name    string          // for a person
	Cluster cluster.Cluster // of its own: a namespace is one
}

// Run deploys wave after wave. It returns nil when the release was seen good and
// alone in traffic everywhere; an [*AbortError] of kind Unfit, before any look, if the
// waves themselves do not fit; else a [*GroupError] with what came of every place so
// far: places of which nothing is said were not begun. If ctx ends, what is under way
// stops, and the error Is ctx's; between two waves it is no GroupError.
//
// What [Group.Run] says of goroutines, and of the Runner's fields, holds here. The
// Runner's Cluster is not used. With Stay the next wave begins when nothing falls
// due any more in the one before.
func (w Waves) Run(ctx context.Context, r Runner) error {
	if why := w.unfit(); why != "" {
		return &AbortError{App: w.App, Release: w.Target.Named().Release, Kind: Unfit, Why: why, Serving: serving(cluster.State{})}
	}
	r.Trace = oneAtATime(r.Trace)
	var before []*station
	for i, wave := range w.Waves {
		if i > 0 {
			if err := w.between(ctx, r, i, before); err != nil {
				return err
			}
		}
		before = w.sail(ctx, r, wave, w.Strategy)
		if err := w.came(fmt.Sprintf("wave %d of %d is not good, and no further one was begun", i+1, len(w.Waves)),
			"mend what is named, then run the same waves again, or a new release if this one was given up", before); err != nil {
			return err
		}
	}
	return nil
}

// Undo takes the release back everywhere, the last wave first. Places that do not
// know it have nothing to take back; that none knows it is an [*AbortError] of kind
// Unfit. It goes on in spite of errors, for each place that is back is better than
// none, and returns a [*GroupError] with all of them; run again it goes on from there.
func (w Waves) Undo(ctx context.Context, r Runner, why string) error {
	if unfit := w.unfit(); unfit != "" {
		return &AbortError{App: w.App, Release: w.Target.Named().Release, Kind: Unfit, Why: unfit, Serving: serving(cluster.State{})}
	}
	r.Trace = oneAtATime(r.Trace)
	var all []*station
	for _, wave := range slices.Backward(w.Waves) {
		all = append(all, w.sail(ctx, r, wave, ifThere{undo{w.Strategy, why}})...)
	}
	err := w.came("it is not taken back everywhere", "mend what is named, then undo it again", all)
	if err == nil && !slices.ContainsFunc(all, (*station).knows) {
		return &AbortError{App: w.App, Release: w.Target.Named().Release, Kind: Unfit,
			Why: "no place has a revision of this release to undo", Serving: serving(all[0].last.State)}
	}
	return err
}

// ifThere is an undo that is done where there is nothing to undo.
type ifThere struct{ undo }

// Next implements Strategy.
func (s ifThere) Next(in Input) Step {
	if _, found := in.Mine(); !found && !in.Target.Unnamed() {
		return Done{}
	}
	return s.undo.Next(in)
}

func (w Waves) unfit() string {
	if w.Strategy == nil {
		return "there is no strategy"
	}
	if w.Judge < 0 {
		return "Judge of the waves must not be negative"
	}
	var places []Place
	for i, wave := range w.Waves {
		if len(wave) == 0 {
			return fmt.Sprintf("wave %d has no places", i+1)
		}
		places = append(places, wave...)
	}
	if len(places) == 0 {
		return "there are no waves"
	}
	for i, p := range places {
		if p.Cluster == nil {
			return fmt.Sprintf("the place %q has no Cluster", p.Name)
		}
		for _, q := range places[:i] {
			switch {
			case p.Name == q.Name:
				return fmt.Sprintf("two places are called %q", p.Name)
			case same(p.Cluster, q.Cluster):
				return fmt.Sprintf("%s and %s are the same place: two runs of one app in one cluster are rivals", q.Name, p.Name)
			}
		}
	}
	return ""
}

// A station is one place while it is deployed to, and what came of it.
type station struct {
	place  Place
	runner Runner
	err    error

	mu   sync.Mutex
	last Input
}

// knows reports whether the last look showed the release.
func (s *station) knows() bool { _, found := s.last.Mine(); return found }

// watched returns the strategy, whose last look is kept.
func (s *station) watched(of Strategy) Strategy {
	watched := Func(func(in Input) Step {
		s.mu.Lock()
		s.last = in
		s.mu.Unlock()
		return of.Next(in)
	})
	if f, declares := of.(Bounder); declares {
		return struct {
			Strategy
			Bounder
		}{watched, f}
	}
	return watched
}

// sail deploys one wave, and returns when every run of it has ended.
func (w Waves) sail(ctx context.Context, r Runner, wave Wave, s Strategy) []*station {
	stations := make([]*station, len(wave))
	for i, place := range wave {
		runner := r
		runner.Cluster = place.Cluster
		if r.ID != "" {
			runner.ID = r.ID + "-" + place.Name
		}
		stations[i] = &station{place: place, runner: runner.withDefaults(), err: errNoEnd}
	}
	sideBySide(ctx, r.Clock, len(wave), func(ctx context.Context, i int) {
		at := stations[i]
		_, at.err = at.runner.Run(ctx, w.App, w.Target, at.watched(s))
	})
	return stations
}

// came returns the error of what came of these places, if one of them has one.
func (w Waves) came(what, todo string, stations []*station) error {
	e := &GroupError{What: fmt.Sprintf("release %s of %s: %s", w.Target.Named().Release, w.App, what), ToDo: todo}
	for i, at := range stations {
		e.Members = append(e.Members, MemberResult{at.place.Name, w.Target.Named().Release, at.err, serving(at.last.State)})
		if at.err != nil {
			e.order = append(e.order, i)
		}
	}
	if len(e.order) == 0 {
		return nil
	}
	return e
}

// between asks the gate about the wave before the i-th, unless that has begun
// already.
func (w Waves) between(ctx context.Context, r Runner, i int, before []*station) error {
	if w.Between == nil || w.begun(ctx, w.Waves[i]) {
		return nil
	}
	clock := before[0].runner.Clock
	poll, from := before[0].runner.Poll, clock.Now()
	judge := orElse(w.Judge, 10*time.Minute)
	for {
		verdict, why, err := w.ask(ctx, before)
		switch {
		case ctx.Err() != nil:
			return fmt.Errorf("cutover %s: release %s: stopped after wave %d of %d, which is good: %w. To do: run the same waves again, they go on from there",
				w.App, w.Target.Named().Release, i, len(w.Waves), ctx.Err())
		case err == nil && verdict == health.Pass:
			return nil
		case err == nil && verdict == health.Fail:
			return w.held(i, because("the gate after it has failed", why), before)
		case slices.ContainsFunc(before, (*station).refused):
			return w.held(i, "it cannot be looked at for the gate after it", before)
		case clock.Now().Sub(from) >= judge:
			return w.held(i, because(fmt.Sprintf("the gate after it has not passed within %v", judge), lastWord(verdict, why, err)), before)
		}
		if err := clock.Sleep(ctx, poll); err != nil && ctx.Err() == nil {
			return fmt.Errorf("cutover %s: the clock cannot sleep: %w", w.App, err)
		}
	}
}

func lastWord(v health.Verdict, why string, err error) string {
	if err != nil {
		return err.Error()
	}
	return because("it is "+v.String(), why)
}

// ask looks at every place again, and asks the gate once.
func (w Waves) ask(ctx context.Context, about []*station) (health.Verdict, string, error) {
	ctx, cancel := context.WithTimeout(ctx, maxAge)
	defer cancel()
	var looks []health.Look
	for _, at := range about {
		state, err := at.place.Cluster.Observe(ctx, w.App)
		if at.err = w.unseen(at, err); at.err != nil {
			return health.Pending, "", at.err
		}
		looks = append(looks, standing{in: Input{App: w.App, Target: w.Target.Named(), State: state}}.look())
	}
	return w.Between.Check(ctx, looks)
}

// unseen is what came of a place that could not be looked at for a gate, if that
// is how it stays.
func (w Waves) unseen(at *station, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, cluster.ErrRefused):
		why := fmt.Sprintf("looking at %s in %s: %v", w.App, at.place.Name, err)
		return &AbortError{App: w.App, Release: w.Target.Named().Release, Kind: Refused, Why: why, Serving: serving(at.last.State), Err: err}
	}
	return fmt.Errorf("%w: looking at %s in %s: %w", ErrGaveUp, w.App, at.place.Name, err)
}

// refused reports whether a place will not be looked at however often it is asked.
func (s *station) refused() bool { return errors.Is(s.err, cluster.ErrRefused) }

// begun reports whether the release is found in a place of a wave. What cannot be
// looked at does not count.
func (w Waves) begun(ctx context.Context, wave Wave) bool {
	for _, place := range wave {
		state, err := place.Cluster.Observe(ctx, w.App)
		if _, found := state.Find(w.Target.Named().Release); err == nil && found {
			return true
		}
	}
	return false
}

// held is the error of waves that have stopped between two.
func (w Waves) held(i int, why string, before []*station) error {
	var next []string
	for _, wave := range w.Waves[i:] {
		for _, place := range wave {
			next = append(next, place.Name)
		}
	}
	e := &GroupError{
		What: fmt.Sprintf("release %s of %s: wave %d of %d is good, and %s; not begun: %s",
			w.Target.Named().Release, w.App, i, len(w.Waves), why, strings.Join(next, ", ")),
		ToDo: "run the same waves again when what is named is mended or the gate will pass, or undo them",
	}
	for k, at := range before {
		e.Members = append(e.Members, MemberResult{at.place.Name, w.Target.Named().Release, at.err, serving(at.last.State)})
		if at.err != nil {
			e.order = append(e.order, k)
		}
	}
	return e
}
