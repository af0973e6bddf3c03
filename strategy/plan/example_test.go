// What a plan looks like.

package plan_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/plan"
)

// errorRate is a gate: yours would ask your metrics.
var errorRate = health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
	return health.Fail, "a plan asks no gate", nil
})

// What a CI job prints before somebody approves. The cluster here is a simulated
// one; a real one is what kube.New returns.
func Example() {
	shop := fake.New(fake.World{})
	shop.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("web:1")})

	runner := strategy.Runner{Cluster: shop}
	target := cluster.Target{Release: "build-2", Template: []byte("web:2")}
	how := strategy.RedBlack{Bake: 5 * time.Minute, After: errorRate, Keep: strategy.Retention{Shrink: time.Hour}}
	p, err := plan.Of(context.Background(), runner, "web", target, how, plan.Assumptions{})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Print(p)
	// Output:
	// plan for web, release build-2, from a look at 2025-01-01 00:00:00 UTC; nothing was written
	//
	// AT     PODS  SERVES                  WRITES      STEP
	// 0s     3     web-v001 3              1           create web-v002 x3 off: release build-2
	// 0s     6     web-v001 3              -           wait: 0 of 3 pods ready
	// 12s    6     web-v001 3              1 + 3 pods  put web-v002 x3 on: it is ready
	// 12s    6     web-v001 3              -           wait: the cluster has not taken up what was last wanted of web-v002
	// 14s    6     web-v001 3, web-v002 3  1 + 3 pods  put web-v001 x3 off good: web-v002 serves
	// 14s    6     web-v001 3, web-v002 3  -           wait: 3 endpoints of web-v001 are still in traffic
	// 16s    6     web-v002 3              -           check web-v002: in traffic (taken to pass)
	// 16s    6     web-v002 3              -           wait: web-v002 bakes
	// 5m46s  6     web-v002 3              1           put web-v002 x3 on good: alone in traffic, and passed
	// 5m46s  6     web-v002 3              -           done; due later: shrink web-v001 to 0
	//
	// ends:     done after 5m46s, serving then: web-v002 3; due after 1h6m16s: shrink web-v001 to 0
	// writes:   10: 1 revision created, 3 revisions updated, 6 pods updated
	// pods:     at most 6 exist (now 3), and 6 are wanted (now 3)
	// traffic:  more than one revision for 2s, one for 5m44s; never fewer than 3 endpoints (now 3)
	// provided: gates pass ("in traffic" of web-v002), pods are ready in 10s, controllers follow in 1s, endpoints in 1s, pods that are told to go are gone in 30s, at most 10 pods are written between two looks, no call fails, nobody else writes
}
