// Command ownstrategy shows a strategy of one's own, in strategy.go, on a
// simulated cluster: a release of a Friday evening waits, dark and ready, for
// Monday; and one that proves bad just after closing time goes back at once.
// That it lives with every fault, main_test.go proves in one line.
//
//	go run ./examples/ownstrategy
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
	ctx := context.Background()
	world := fake.New(fake.World{Start: time.Date(2025, time.January, 3, 17, 30, 0, 0, time.UTC)})
	world.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("image web:1")})
	runner := strategy.Runner{Cluster: world, Trace: tracer(out)}
	how := OfficeHours{Open: 9, Close: 16, Bake: time.Minute, After: errorRate{}}

	fmt.Fprintln(out, "web-v001 serves with three pods.   # serves   + ready, but dark   . not ready")
	fmt.Fprintln(out, "\nRelease 2 comes on a Friday evening:")
	if _, err := runner.Run(ctx, "web", cluster.Target{Release: "2", Template: []byte("image web:2")}, how); err != nil {
		return err
	}

	fmt.Fprintln(out, "\nRelease 3 comes just before the office closes, and fails after that:")
	closes := time.Date(2025, time.January, 6, 16, 0, 0, 0, time.UTC)
	if err := world.Sleep(ctx, closes.Add(-20*time.Second).Sub(world.Now())); err != nil {
		return err
	}
	_, err := runner.Run(ctx, "web", cluster.Target{Release: "3", Template: []byte("image web:3, which fails")}, how)
	var abort *strategy.AbortError
	if !errors.As(err, &abort) || abort.Kind != strategy.Failed {
		return fmt.Errorf("release 3 was to be given up, but: %w", err)
	}
	fmt.Fprintf(out, "  => %v\n", abort)
	return nil
}

// errorRate is a gate: here it asks the template, and the time since it got
// traffic; yours would ask your metrics.
type errorRate struct{}

func (errorRate) Check(_ context.Context, look health.Look) (health.Verdict, string, error) {
	if bytes.Contains(look.Revision.Template, []byte("fails")) && look.State.At.Sub(look.Revision.Since) > 30*time.Second {
		return health.Fail, "4 % of its answers are 5xx", nil
	}
	return health.Pass, "", nil
}

// tracer prints each step once, beside the time and what it was decided from.
func tracer(out io.Writer) func(strategy.Event) {
	last := ""
	return func(e strategy.Event) {
		step := e.Step.String()
		if _, check := e.Step.(strategy.Check); check || step == last {
			return // asked at every look
		}
		last = step
		fmt.Fprintf(out, "  %s  %-30s %s\n", e.Input.State.At.Format("Mon 15:04:05"), picture(e.Input.State), step)
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
