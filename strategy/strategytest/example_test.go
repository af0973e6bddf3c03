// A strategy of one's own, proved; and one that is wrong, refuted.

package strategytest_test

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// announced is a strategy of one's own: blue-green or red-black, as the cluster
// can, which brings traffic to a release only once somebody has announced it.
type announced struct {
	by func(release string) bool
}

func (a announced) Next(in strategy.Input) strategy.Step {
	r := strategy.Rules{After: strategytest.Gate("errors"), Bake: 10 * time.Second}
	return r.Next(in, a.wait, r.BringUp, r.Serve, strategy.Supersede, r.Alone, r.Watch)
}

func (a announced) wait(_ strategy.Input, mine cluster.Revision) strategy.Step {
	if mine.Enabled || a.by(mine.Release) {
		return nil
	}
	return strategy.Wait{Why: mine.Release + " has yet to be announced"}
}

// A strategy of one's own, proved: every fault at every call, and every small
// state, in some seconds.
func ExampleCheck() {
	mine := announced{by: func(string) bool { return true }}
	stats, err := strategytest.Check(mine, strategytest.Options{Replicas: 2})
	fmt.Println(err, stats.Breaches, stats.Fired+stats.Skipped == stats.Points, stats.Runs > 1000)
	// Output: <nil> 0 true true
}

// forgetful is the same, but for one rule that was forgotten.
type forgetful struct{}

func (forgetful) Next(in strategy.Input) strategy.Step {
	r := strategy.Rules{}
	return r.Next(in, r.BringUp, r.Serve, strategy.Supersede, r.Watch)
}

// What is wrong with a strategy is shown by the shortest way to see it.
func ExampleCheck_refuted() {
	_, err := strategytest.Check(forgetful{}, strategytest.Options{Replicas: 2})
	var breach *strategytest.Breach
	if !errors.As(err, &breach) {
		fmt.Println(err)
		return
	}
	fmt.Println("law:", breach.Law)
	fmt.Println("why:", breach.Why)
	for _, line := range strings.Split(breach.Tale, "\n") {
		fmt.Println(strings.TrimSpace(line))
	}
	// Output:
	// law: decision
	// why: run1 records web-v006 as good: web-v005 has traffic
	// 0s  run1   v005 ##                        deploy build-2
	// 0s  run1   v005 ##                        create web-v006 x2 off: release build-2
	// 0s         v005 ## v006 ..                   create revision web-v006
	// 0s  run1   v005 ## v006 ..                wait: 0 of 2 pods ready
	// 5s  run1   v005 ## v006 ++                put web-v006 x2 on: it is ready
	// 5s         v005 ## v006 ++                   update revision web-v006
	// 5s         v005 ## v006 ++                   update pod web-v006-12
	// 5s         v005 ## v006 ++                   update pod web-v006-13
	// 5s  run1   v005 ## v006 ++                wait: the cluster has not taken up what was last wanted of web-v006
	// 10s  run1   v005 ## v006 ##                put web-v006 x2 on good: alone in traffic, and passed
}
