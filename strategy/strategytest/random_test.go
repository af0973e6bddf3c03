// Random schedules, how many there are in an hour, and that a token is all it
// takes to see one again.

package strategytest_test

import (
	"flag"
	"os"
	"runtime"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// drawn draws a strategy, its settings and its world.
func drawn(t *rapid.T) (strategy.Strategy, strategytest.Options) {
	seconds := func(name string, of ...int) time.Duration {
		return time.Duration(rapid.SampledFrom(of).Draw(t, name)) * time.Second
	}
	keep := strategy.Retention{}
	if rapid.Bool().Draw(t, "keep") {
		keep = strategy.Retention{Shrink: 20 * time.Second, ShrinkTo: rapid.IntRange(0, 2).Draw(t, "shrink to"), Destroy: 40 * time.Second,
			History: rapid.IntRange(-1, 2).Draw(t, "history")}
	}
	rb := strategy.RedBlack{Bake: seconds("bake", 0, 10, 60), Drain: seconds("drain", 30, 45), Keep: keep}
	if rapid.Bool().Draw(t, "before") {
		rb.Before = strategytest.Gate("before")
	}
	if rapid.Bool().Draw(t, "after") {
		rb.After = strategytest.Gate("after")
	}
	o := strategytest.Options{Replicas: rapid.IntRange(1, 4).Draw(t, "replicas"), Poll: seconds("poll", 2, 5, 9)}
	if rapid.Bool().Draw(t, "by labels") {
		o.World.Batch = rapid.IntRange(0, 2).Draw(t, "batch")
		return rb, o
	}
	o.World.Can = cluster.Can{Select: true}
	return strategy.BlueGreen{Bake: rb.Bake, Drain: rb.Drain, Keep: keep, Before: rb.Before, After: rb.After,
		Overlap: rapid.SampledFrom([]strategy.Overlap{strategy.WhereNeeded, strategy.Always, strategy.Never}).Draw(t, "overlap")}, o
}

// The same schedules each time, so that what lands is what was tried; others with
// CUTOVER_SEED, and more with CUTOVER_CHECKS.
func TestRandomSchedules(t *testing.T) {
	checks, seed := 3000, "1"
	if s := os.Getenv("CUTOVER_SEED"); s != "" {
		seed = s
	}
	if n, err := strconv.Atoi(os.Getenv("CUTOVER_CHECKS")); err == nil {
		checks = n
	}
	require.NoError(t, flag.Set("rapid.seed", seed))
	require.NoError(t, flag.Set("rapid.checks", strconv.Itoa(checks)))
	require.NoError(t, flag.Set("rapid.nofailfile", "true")) // the token is enough
	fired := strategytest.TestRandom(t, checks, drawn)
	require.Greater(t, fired, checks/2)
}

// Any schedule, whatever runs beside it.
func TestATokenMakesTheSameTale(t *testing.T) {
	s := subjects()[0]
	generate := strategytest.Schedules(s.strategy, s.options)
	for seed := range 10 {
		token := generate.Example(seed).String()
		want, _ := strategytest.Replay(s.strategy, s.options, token)
		require.NotEmpty(t, want)
		for _, procs := range []int{1, 2} {
			was := runtime.GOMAXPROCS(procs)
			var side sync.WaitGroup
			for range 2 {
				side.Add(1)
				go func() {
					defer side.Done()
					for range 25 {
						got, _ := strategytest.Replay(s.strategy, s.options, token)
						if got != want {
							t.Errorf("%s: another tale:\n%s", token, got)
						}
					}
				}()
			}
			side.Wait()
			runtime.GOMAXPROCS(was)
		}
	}
}

func TestAScheduleIsItsText(t *testing.T) {
	s := subjects()[0]
	rapid.Check(t, func(t *rapid.T) {
		schedule := strategytest.Schedules(s.strategy, s.options).Draw(t, "schedule")
		parsed, err := strategytest.ParseSchedule(schedule.String())
		require.NoError(t, err)
		require.Equal(t, schedule, parsed)
	})
	for _, wrong := range []string{"", "upgrade F99.0@1", "upgrade F01.7@1", "upgrade F01.0@0", "upgrade then dance", "upgrade s9", "upgrade nonsense"} {
		_, err := strategytest.ParseSchedule(wrong)
		require.Error(t, err, wrong)
	}
}

// BenchmarkSchedules plays schedules on all cores, and counts those in which a
// fault came about, by the hour.
func BenchmarkSchedules(b *testing.B) {
	s := subjects()[0]
	s.options.World = fake.World{}
	s.strategy = strategy.RedBlack{Before: strategytest.Gate("before"), After: strategytest.Gate("after"), Bake: 10 * time.Second, Drain: 45 * time.Second, Keep: keep}
	generate := strategytest.Schedules(s.strategy, s.options)
	var mu sync.Mutex
	next, counted := 0, 0
	var calls []int
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		play := strategytest.Play(s.strategy, s.options)
		for pb.Next() {
			mu.Lock()
			next++
			seed := next
			mu.Unlock()
			played, err := play(generate.Example(seed))
			if err != nil {
				b.Error(err)
			}
			mu.Lock()
			if played.Fired > 0 {
				counted++
				calls = append(calls, played.Calls)
			}
			mu.Unlock()
		}
	})
	if counted == 0 {
		return
	}
	slices.Sort(calls)
	perHour := float64(counted) / b.Elapsed().Hours()
	b.ReportMetric(perHour/1e6, "Mschedules/h")
	b.ReportMetric(float64(calls[len(calls)/2]), "calls-median")
	b.Logf("%d of %d schedules counted: %.1f million an hour on %d cores, %d calls (median)", counted, next, perHour/1e6, runtime.GOMAXPROCS(0), calls[len(calls)/2])
}
