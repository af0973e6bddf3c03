// Rolling: the replicas of all other revisions become those of one, a few at a
// time, within two bounds. The way back is the same, the other way.

package strategy

import (
	"fmt"
	"slices"

	"github.com/cutover-dev/cutover/cluster"
)

// A roll is how far replicas may go beyond those wanted, and endpoints below.
type roll struct{ surge, unavailable Amount }

// quarter is what both are if nobody says.
const quarter Amount = "25%"

// beyond returns both for n replicas, as Kubernetes rounds them: surge up,
// unavailable down, and one of them at least 1.
func (ro roll) beyond(n int) (surge, unavailable int) {
	surge, unavailable = ro.surge.of(n, quarter, true), ro.unavailable.of(n, quarter, false)
	if surge == 0 && unavailable == 0 {
		unavailable = 1
	}
	return surge, min(unavailable, n)
}

func (ro roll) unfit() string { return unfitAmounts(ro.surge, ro.unavailable) }

// bounds are those of a roll to n replicas.
func (ro roll) bounds(n int) Bounds {
	surge, unavailable := ro.beyond(n)
	return Bounds{Floor: n - unavailable, Ceiling: n + surge}
}

// up wants more replicas of a revision, up to so many of the n that it is to have
// in the end, as far as the ceiling leaves room.
func (b Bounds) up(in Input, to cluster.Revision, upto, n int, why string) Step {
	room := b.Ceiling
	for _, r := range in.State.Revisions {
		room -= r.Replicas
	}
	if more := min(upto-to.Replicas, room); more > 0 {
		return resized(in, to, to.Replicas+more, n, why)
	}
	return nil
}

// down wants fewer replicas of another revision, as many as the floor can spare.
// What was given up goes first, and what traffic may go back to last.
func (b Bounds) down(in Input, to cluster.Revision, why string) Step {
	spare := -b.Floor
	for _, r := range in.State.Revisions {
		spare += surely(in.State, r)
	}
	way, _ := in.State.NewestGood(to)
	rest := slices.DeleteFunc(slices.Clone(in.State.Revisions), func(r cluster.Revision) bool { return r.Name == to.Name || r.Replicas == 0 })
	slices.SortStableFunc(rest, func(x, y cluster.Revision) int { return victim(in.State, way, x) - victim(in.State, way, y) })
	for _, r := range rest {
		lasting := in.State.Lasting(r.Name)
		idle := max(0, min(r.Replicas, r.Pods-r.Leaving)-max(r.Ready, lasting)) // these go first
		if dark := !lit(in.State, r); dark || lasting == 0 && spare >= 0 {
			idle = r.Replicas
		}
		if fewer := min(r.Replicas, idle+max(0, spare)); fewer > 0 {
			if step := parted(in, r, to, fewer); step != nil {
				return step
			}
			return resized(in, r, r.Replicas-fewer, Size(r), why)
		}
	}
	for _, r := range rest { // what was half turned on, or off, is needed
		needed := in.State.IsGood(r) || !in.State.HasTraffic(way.Name)
		if r.Unsettled > 0 && in.State.HasTraffic(r.Name) && needed {
			r.Enabled = true
			return Put{r, "every pod of it serves until it goes"}
		}
	}
	return nil
}

// surely is how many endpoints of a revision will be left when the cluster has
// taken what is too many.
func surely(s cluster.State, r cluster.Revision) int {
	lasting := s.Lasting(r.Name)
	return max(0, lasting-max(0, max(r.Ready, lasting)-r.Replicas))
}

// victim says which revisions lose replicas first.
func victim(s cluster.State, way, r cluster.Revision) int {
	switch {
	case r.Name == way.Name:
		return 2
	case s.IsGood(r):
		return 1
	}
	return 0
}

// others counts the replicas that other revisions still have.
func others(s cluster.State, to cluster.Revision) int {
	n := 0
	for _, r := range s.Revisions {
		if r.Name != to.Name {
			n += r.Replicas
		}
	}
	return n
}

// toward rolls to n replicas of one revision that is in traffic already. It
// returns nil when they are all there, and nobody else has any.
func (b Bounds) toward(in Input, to cluster.Revision, n int, why string) Step {
	if step := b.up(in, to, n, n, why); step != nil {
		return step
	}
	if step := b.down(in, to, why); step != nil {
		return step
	}
	if to.Replicas >= n && to.Ready >= n && others(in.State, to) == 0 {
		return nil
	}
	return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready, %d replicas of others left", to.Ready, n, to.Name, others(in.State, to))}
}

// toward is that of the bounds, unless weights divide the traffic: there it moves
// between the two, to what was seen to serve and from what may then go.
func (ru Rules) toward(in Input, b Bounds, to cluster.Revision, n int, why string) Step {
	if !in.State.Can.Weigh {
		return b.toward(in, to, n, why)
	}
	if step := b.up(in, to, n, n, why); step != nil {
		return step
	}
	if serves := in.State.ReliedOn(to.Name); serves < to.Replicas {
		return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s serve", serves, to.Replicas, to.Name)}
	}
	if step := ru.move.to(in, to, why); step != nil {
		return step
	}
	if step := cut(in, to, ru.Drain, why); step != nil || to.Replicas >= n && others(in.State, to) == 0 {
		return step
	}
	return Wait{Why: fmt.Sprintf("%d of %d replicas of %s, %d of others left", to.Replicas, n, to.Name, others(in.State, to))}
}

// enter brings a revision into traffic with its first replicas: they are made,
// get ready and are judged while it is dark. It returns nil when it is in
// traffic.
func (ru Rules) enter(in Input, b Bounds, to cluster.Revision, first, n int, judge Rule, why string) Step {
	if to.Enabled {
		if step := judge(in, to); step != nil {
			return step
		}
		return ru.move.to(in, to, why)
	}
	if to.Replicas == 0 {
		if step := b.up(in, to, first, n, why); step != nil {
			return step
		}
		if step := ru.down(in, b, to, "room for "+to.Name); step != nil {
			return step
		}
		return Wait{Why: "there is no room for a first replica of " + to.Name}
	}
	if to.Ready < to.Replicas {
		return Wait{Why: fmt.Sprintf("%d of %d pods of %s ready", to.Ready, to.Replicas, to.Name)}
	}
	if step := judge(in, to); step != nil {
		return step
	}
	return ru.move.to(in, to, why)
}

// takenBack gives a revision up that has taken the replicas of what it replaces: to
// gives them, and the traffic, back to the newest good one.
func (ru Rules) takenBack(to func(in Input, back, bad cluster.Revision) Step) Rule {
	return func(in Input, bad cluster.Revision) Step {
		back, ok := in.State.NewestGood(bad)
		if !ok && in.State.HasTraffic(bad.Name) {
			return Abort{Stranded, bad.Outcome.Why + "; no older revision is good, so it was left in traffic"}
		}
		stuck := func(found string) Step {
			return Abort{Stranded, bad.Outcome.Why + "; traffic does not go back: " + found}
		}
		if ok {
			if step := ru.within(in, to(in, back, bad), stuck, in.State.Revisions...); step != nil {
				return step
			}
		} else if step := darkWithout(in, bad, stuck); step != nil {
			return step
		}
		if bad.Replicas > 0 {
			return scale(bad, 0, "it was given up")
		}
		if bad.Behind {
			return ru.within(in, behind(bad), func(found string) Step { return Abort{Failed, bad.Outcome.Why + "; " + found} }, bad)
		}
		if step := ru.leftovers(in, back, bad); step != nil {
			return step
		}
		return Abort{Failed, bad.Outcome.Why}
	}
}

// rollBack goes back the way it came: within the same bounds, to all the replicas
// that the newest good one had.
func (ru Rules) rollBack(within func(in Input, n int) Bounds) Rule {
	return ru.takenBack(func(in Input, back, bad cluster.Revision) Step { return ru.backTo(in, within, back, bad) })
}

func (ru Rules) backTo(in Input, within func(in Input, n int) Bounds, back, bad cluster.Revision) Step {
	n := in.whole(back, bad)
	if n > Size(back) && n > 1 {
		return resized(in, back, back.Replicas, n, "so many are to serve when traffic is back")
	}
	bounds := within(in, n)
	if !lit(in.State, bad) && back.Replicas >= n {
		return ru.move.off(in, back, "traffic goes back") // nothing was taken from it
	}
	if step := ru.enter(in, bounds, back, max(1, bounds.Ceiling-n), n, nothing, "traffic goes back to it"); step != nil {
		return step
	}
	if step := ru.toward(in, bounds, back, n, "traffic goes back to "+back.Name); step != nil {
		return step
	}
	if serves := in.State.ReliedOn(back.Name); serves < min(n, back.Ready) {
		return Wait{Why: fmt.Sprintf("%d of %d endpoints of %s are back", serves, n, back.Name)}
	}
	return ru.move.off(in, back, "traffic goes back")
}

// down makes room.
func (ru Rules) down(in Input, b Bounds, to cluster.Revision, why string) Step {
	if in.State.Can.Weigh {
		return cut(in, to, ru.Drain, why)
	}
	return b.down(in, to, why)
}

// nothing is a Rule that has nothing to say.
func nothing(Input, cluster.Revision) Step { return nil }
