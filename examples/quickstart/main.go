// Command quickstart shows, on a simulated cluster: a good red-black deployment;
// one whose errors show only in traffic, which is rolled back; a blue-green one;
// and a cleanup after somebody else's deployment died half-way. It needs no
// cluster, and no time: the simulator is its own clock.
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

	"github.com/cutover-dev/cutover/cleanup"
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
	fmt.Fprintln(out, "web-v001 serves with three pods.   # serves   + ready, but dark   . not ready")
	for _, part := range []func(io.Writer) error{redBlack, blueGreen, clean} {
		if err := part(out); err != nil {
			return err
		}
	}
	return nil
}

// redBlack deploys a release that is good, and one that is not.
func redBlack(out io.Writer) error {
	world := fake.New(fake.World{})
	world.AddFound("web", serving(1))
	runner := strategy.Runner{Cluster: world, Clock: world, Trace: tracer(out, world)}
	how := strategy.RedBlack{Bake: 30 * time.Second, Drain: 5 * time.Second, After: errorRate{}}

	fmt.Fprintln(out, "\nRed-black, release 2 is good:")
	if _, err := runner.Run(context.Background(), "web", release("2", "image web:2"), how); err != nil {
		return err
	}
	fmt.Fprintln(out, "  => release 2 has all the traffic. web-v001 stays warm: an undo flips labels, and needs no new pod.")

	fmt.Fprintln(out, "\nRed-black, release 3 gets ready like any other, and then answers with errors:")
	_, err := runner.Run(context.Background(), "web", release("3", "image web:3, which fails"), how)
	var abort *strategy.AbortError
	if !errors.As(err, &abort) || abort.Kind != strategy.Failed {
		return fmt.Errorf("release 3 was to be given up, but: %w", err)
	}
	fmt.Fprintf(out, "  => %v\n", abort)
	return nil
}

// blueGreen moves a Service's selector.
func blueGreen(out io.Writer) error {
	world := fake.New(fake.World{Can: cluster.Can{Select: true}})
	world.AddFound("web", serving(1))
	runner := strategy.Runner{Cluster: world, Clock: world, Trace: tracer(out, world)}

	fmt.Fprintln(out, "\nBlue-green, one write moves all the traffic:")
	_, err := runner.Run(context.Background(), "web", release("2", "image web:2"), strategy.BlueGreen{})
	fmt.Fprintln(out, "  => an undo moves it back in one, too.")
	return err
}

// clean tidies up after a deployer that died while it turned version 2 on.
func clean(out io.Writer) error {
	world := fake.New(fake.World{})
	world.AddFound("web", serving(1))
	half := serving(2)
	half.Enabled = false
	world.AddFound("web", half)
	world.FlipPod("web", "web-v002")
	if err := world.Sleep(context.Background(), time.Second); err != nil {
		return err
	}
	known := cleanup.Policy{RunFailed: true, Drain: 5 * time.Second}

	fmt.Fprintln(out, "\nCleanup, somebody's deployment died after it had enabled one pod of three:")
	for _, line := range strings.Split(strings.TrimSpace(cleanup.Diagnose("web", world.State("web"), known).String()), "\n") {
		fmt.Fprintln(out, "  "+line)
	}
	decisions, err := cleanup.Run(context.Background(), strategy.Runner{Cluster: world, Clock: world, Trace: tracer(out, world)}, "web", known)
	for _, d := range decisions {
		fmt.Fprintf(out, "  => %v\n", d)
	}
	return err
}

func serving(seq int64) cluster.Revision {
	return cluster.Revision{Name: cluster.RevisionName("web", seq, ""), Seq: seq, Replicas: 3, Enabled: true, Template: []byte("image web:1")}
}

func release(name, template string) cluster.Target {
	return cluster.Target{Release: name, Template: []byte(template)}
}

// errorRate is a gate: here it asks the template, yours would ask your metrics.
type errorRate struct{}

func (errorRate) Check(_ context.Context, look health.Look) (health.Verdict, string, error) {
	if bytes.Contains(look.Revision.Template, []byte("fails")) {
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
		fmt.Fprintf(out, "  %4v  %-30s %s\n", clock.Now().Sub(began).Truncate(time.Second), picture(e.Input.State), step)
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
