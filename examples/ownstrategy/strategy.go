// A strategy of one's own: new releases get traffic in office hours.

package main

import (
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

// OfficeHours brings a release up dark at any hour, and lets it take traffic over
// from Monday to Friday, while those are there who would have to mend it. What
// was begun is finished, and what goes wrong goes back at any hour; where nothing
// serves, nothing waits. It is red-black or blue-green, as the cluster can.
type OfficeHours struct {
	Open, Close int            // hours of the day: from 9 until 16, say
	Zone        *time.Location // of the office; nil: UTC
	Bake        time.Duration  // alone in traffic before it is good
	After       health.Gate    // asked while it bakes; nil passes
}

// Next implements strategy.Strategy: the rules of package strategy, one of ours first.
func (o OfficeHours) Next(in strategy.Input) strategy.Step {
	if o.Open < 0 || o.Open >= o.Close || o.Close > 24 {
		return strategy.Abort{Kind: strategy.Unfit, Why: fmt.Sprintf("an office that opens at %d and closes at %d is never open", o.Open, o.Close)}
	}
	r := strategy.Rules{Bake: o.Bake, After: o.After}
	return r.Next(in, o.wait, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
}

// wait is our rule: what is dark stays so until the office opens.
func (o OfficeHours) wait(in strategy.Input, mine cluster.Revision) strategy.Step {
	opens := o.opens(in.State.At)
	if mine.Enabled || in.State.Serving() == 0 || !opens.After(in.State.At) {
		return nil
	}
	why := fmt.Sprintf("%d of %d pods ready, and the office opens on %s", mine.Ready, mine.Replicas, opens.Format("Monday at 15:04"))
	return strategy.Wait{Why: why, Until: opens}
}

// opens returns at if the office is open then, else when it opens next.
func (o OfficeHours) opens(at time.Time) time.Time {
	if o.Zone != nil {
		at = at.In(o.Zone)
	}
	for day := at.Weekday(); day == time.Saturday || day == time.Sunday || at.Hour() < o.Open || at.Hour() >= o.Close; day = at.Weekday() {
		at = at.Truncate(15 * time.Minute).Add(15 * time.Minute) // zones differ by no less
	}
	return at
}
