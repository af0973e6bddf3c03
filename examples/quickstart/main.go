// Command quickstart shows two deployments of an app on a simulated cluster:
// one that is good, and one whose errors show only in traffic, which is rolled
// back. It needs no cluster, and no time: the simulator is its own clock.
//
//	go run ./examples/quickstart
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

func main() {
	if err := show(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// show tells the story. It fails if that does not end as it should.
func show(out io.Writer) error {
	world := fake.New(fake.World{})
	world.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("image web:1")})
	runner := strategy.Runner{Cluster: world, Clock: world, Trace: tracer(out, world)}
	redblack := strategy.RedBlack{Bake: 30 * time.Second, Drain: 5 * time.Second, After: errorRate{}}

	fmt.Fprintln(out, "web-v001 serves with three pods.   # serves   + ready, but dark   . not ready")
	fmt.Fprintln(out, "\nRelease 2 is good:")
	_, err := runner.Run(context.Background(), "web", cluster.Target{Release: "2", Template: []byte("image web:2")}, redblack)
	if err != nil {
		return err
	}
	fmt.Fprintln(out, "  => release 2 has all the traffic. web-v001 stays warm: an undo is one flip of labels.")

	fmt.Fprintln(out, "\nRelease 3 gets ready like any other, and then answers with errors:")
	_, err = runner.Run(context.Background(), "web", cluster.Target{Release: "3", Template: []byte("image web:3, which fails")}, redblack)
	var abort *strategy.AbortError
	if !errors.As(err, &abort) || abort.Kind != strategy.Failed {
		return fmt.Errorf("release 3 was to be given up, but: %w", err)
	}
	fmt.Fprintf(out, "  => %v\n", abort)
	return nil
}

// errorRate is a gate: here it asks the template, yours would ask your metrics.
type errorRate struct{}

func (errorRate) Check(_ context.Context, look health.Look) (health.Verdict, string, error) {
	if bytes.Contains(look.Target.Template, []byte("fails")) {
		return health.Fail, "4 % of its answers are 5xx", nil
	}
	return health.Pass, "", nil
}

// tracer prints each step once, beside what it was decided from.
func tracer(out io.Writer, clock strategy.Clock) func(strategy.Event) {
	began, last := clock.Now(), ""
	return func(e strategy.Event) {
		if e.Turn == 1 {
			began = clock.Now()
		}
		step := e.Step.String()
		if _, check := e.Step.(strategy.Check); check || step == last {
			return // asked at every look
		}
		last = step
		fmt.Fprintf(out, "  %4v  %-36s %s\n", clock.Now().Sub(began).Truncate(time.Second), picture(e.Input.State), step)
	}
}

// picture draws the pods of every revision that has some.
func picture(s cluster.State) string {
	var all []string
	for _, r := range s.Revisions {
		if r.Pods == 0 {
			continue
		}
		serves := min(s.ReliedOn(r.Name), r.Pods)
		dark := max(0, r.Ready-serves)
		all = append(all, strings.TrimPrefix(r.Name, "web-")+" "+
			strings.Repeat("#", serves)+strings.Repeat("+", dark)+strings.Repeat(".", max(0, r.Pods-serves-dark)))
	}
	return strings.Join(all, "  ")
}
