package cutover_test

import (
	"context"
	"fmt"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
)

// The example of the README, on a simulated cluster.
func Example() {
	world := fake.New(fake.World{})
	world.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("web:1")})

	runner := strategy.Runner{Cluster: world, Clock: world}
	target := cluster.Target{Release: "build-2", Template: []byte("web:2")}
	_, err := runner.Run(context.Background(), "web", target, strategy.RedBlack{Bake: 5 * time.Minute})
	fmt.Println(err)

	for _, r := range world.State("web").Revisions {
		fmt.Println(r.Name, r.Outcome.Result, world.State("web").ReliedOn(r.Name))
	}
	// Output:
	// <nil>
	// web-v001 good 0
	// web-v002 good 3
}
