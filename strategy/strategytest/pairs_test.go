// Every ordered pair of faults, and every interleaving of two clients: by hand,
// with make faults-pairs. What a run has proved is kept in the user's cache
// directory, by the test's own code, so that one that was stopped goes on.

package strategytest_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cleanup"
	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/strategy"
	"github.com/cutover-dev/cutover/strategy/strategytest"
)

// small are the subjects in the smallest world that has all there is: two
// replicas, and one gate. They wait for a minute, not for ten: every look of a wait
// is a place for another fault.
func small() []subject {
	const wait = time.Minute
	after := strategytest.Gate("after")
	labels := strategytest.Options{Replicas: 2, Poll: 10 * time.Second}
	selector := strategytest.Options{Replicas: 2, Poll: 10 * time.Second, World: fake.World{Can: cluster.Can{Select: true}}}
	return []subject{
		{name: "RedBlack", options: labels, strategy: strategy.RedBlack{After: after, Ready: wait, Judge: wait, Drain: 15 * time.Second}},
		{name: "BlueGreen", options: selector, strategy: strategy.BlueGreen{After: after, Ready: wait, Judge: wait, Drain: 15 * time.Second}},
		{name: "Rolling", options: labels, strategy: strategy.Rolling{After: after, Ready: wait, Judge: wait}},
		{name: "Recreate", options: labels, strategy: strategy.Recreate{After: after, Ready: wait, Judge: wait}},
		{name: "Canary", options: labels, strategy: strategy.Canary{Stages: []strategy.Stage{{Percent: 50, Gate: after}}, Ready: wait, Judge: wait, Drain: 15 * time.Second}},
		{name: "Cleanup", options: labels, cleaner: sweep(cleanup.Policy{RunFailed: true})},
	}
}

// strategies are those of small that are no cleanups.
func strategies() []subject {
	return slices.DeleteFunc(small(), func(s subject) bool { return s.strategy == nil })
}

// rivals are the strategies in a world that is small enough for two clients: a canary
// has one replica there, for its steps are too many else, and looks less often. Where
// two runs of one release act, which share every write, the world follows at once, and
// there is one replica of all.
func rivals(name string) []subject {
	all := strategies()
	i := slices.IndexFunc(all, func(s subject) bool { return s.name == "Canary" })
	canary := all[i].strategy.(strategy.Canary)
	canary.Drain = -1
	all[i].strategy, all[i].options = canary, strategytest.Options{Replicas: 1, Poll: 30 * time.Second}
	for i := range all {
		if o := &all[i].options; name == "the same release" {
			o.Replicas, o.World.Lag, o.World.Boot, o.World.EndpointLag, o.World.Grace = 1, -1, -1, -1, -1
		}
	}
	return all
}

// kept runs a proof, unless its result was kept by a run of this very code.
func kept[T any](t *testing.T, name string, prove func() (T, error)) (result T) {
	file := filepath.Join(keptIn(t), strings.NewReplacer("/", "-", " ", "-").Replace(name)+".json")
	if known, err := os.ReadFile(file); err == nil {
		require.NoError(t, json.Unmarshal(known, &result))
		return result
	}
	result, err := prove()
	if err != nil {
		t.Error(err)
		return result
	}
	known, err := json.Marshal(result)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(file, known, 0o600))
	return result
}

// keptIn is a directory for this very code.
var keptIn = func() func(t *testing.T) string {
	find := sync.OnceValues(func() (string, error) {
		self, err := os.Executable()
		if err != nil {
			return "", err
		}
		f, err := os.Open(self)
		if err != nil {
			return "", err
		}
		defer func() { _ = f.Close() }()
		sum := sha256.New()
		if _, err := io.Copy(sum, f); err != nil {
			return "", err
		}
		cache, err := os.UserCacheDir()
		dir := filepath.Join(cache, "cutover", "pairs", hex.EncodeToString(sum.Sum(nil)[:8]))
		return dir, errors.Join(err, os.MkdirAll(dir, 0o700))
	})
	return func(t *testing.T) string {
		dir, err := find()
		require.NoError(t, err)
		return dir
	}
}()

// byHand leaves out what takes an hour.
func byHand(t *testing.T) {
	if os.Getenv("CUTOVER_PAIRS") == "" {
		t.Skip("an hour's work: make faults-pairs")
	}
}

func TestPairs(t *testing.T) {
	byHand(t)
	var mu sync.Mutex
	var all strategytest.PairStats
	t.Run("all", func(t *testing.T) {
		for _, s := range small() {
			names := strategytest.Scenarios
			if s.cleaner != nil {
				names = func(strategy.Strategy, strategytest.Options) []string {
					return strategytest.CleanupScenarios(s.cleaner, s.options)
				}
			}
			for _, scenario := range names(s.strategy, s.options) {
				t.Run(s.name+"/"+scenario, func(t *testing.T) {
					t.Parallel()
					began := time.Now()
					stats := kept(t, t.Name(), func() (strategytest.PairStats, error) { return s.pairs(scenario, false) })
					t.Logf("%s: %d pairs, %d of them merged with another, %d states pruned, %.0f s", t.Name(), stats.Pairs, stats.Merged, stats.Pruned, time.Since(began).Seconds())
					mu.Lock()
					defer mu.Unlock()
					all.Add(stats.Stats)
					all.Pairs, all.Merged, all.Pruned = all.Pairs+stats.Pairs, all.Merged+stats.Merged, all.Pruned+stats.Pruned
				})
			}
		}
	})
	interleaved := interleavings(t, strategytest.Rivals(), rivals)
	t.Logf("faults-pairs: %d pairs, %d of them merged, %d states pruned, %d states of two clients, %d breaches", all.Pairs, all.Merged, all.Pruned, interleaved, all.Breaches)
}

func (s subject) pairs(scenario string, unpruned bool) (strategytest.PairStats, error) {
	if s.cleaner != nil {
		return strategytest.CheckCleanupPairs(s.cleaner, s.options, scenario, unpruned)
	}
	return strategytest.CheckPairs(s.strategy, s.options, scenario, unpruned)
}

// interleavings lets rivals act in every order, and returns how many states
// there were.
func interleavings(t *testing.T, names []string, of func(name string) []subject) (states int) {
	var mu sync.Mutex
	t.Run("interleavings", func(t *testing.T) {
		for _, name := range names {
			for _, s := range of(name) {
				t.Run(s.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					began := time.Now()
					stats := kept(t, t.Name(), func() (strategytest.InterleavingStats, error) {
						return strategytest.CheckInterleavings(s.strategy, s.options, name)
					})
					t.Logf("%s: %d states, %d plays, up to %d calls, %.0f s", t.Name(), stats.States, stats.Runs, stats.Depth, time.Since(began).Seconds())
					mu.Lock()
					defer mu.Unlock()
					states += stats.States
				})
			}
		}
	})
	return states
}

// What pairs, and what the small world alone, have found: by what was wrong.
func TestBugsOfTheSmallWorld(t *testing.T) {
	for bug, at := range map[string]struct{ of, token string }{
		"a canary had no room for what an autoscaler had made of the one it superseded": {"Canary", "over-both F42.0@5"},
		"the suite blamed whoever wrote, when an admission made none of one":            {"RedBlack", "upgrade F45.0@1 F26.0@13"},
		"and when it made one of two, of which one served":                              {"Cleanup", "old-leaving F09.0@1 F26.0@3"},
		"and when the status stood still, and showed a pod ready that had just failed":  {"BlueGreen", "redo F31.0@7 F36.0@8"},
	} {
		s := small()[slices.IndexFunc(small(), func(s subject) bool { return s.name == at.of })]
		play := func() (string, error) { return strategytest.Replay(s.strategy, s.options, at.token) }
		if s.cleaner != nil {
			play = func() (string, error) { return strategytest.ReplayCleanup(s.cleaner, s.options, at.token) }
		}
		tale, err := play()
		require.NoError(t, err, "%s\n%s", bug, tale)
	}
}

// Two releases, in every order of their calls, are small enough for every day where
// a strategy writes little; the others are tried by hand, with the pairs.
func TestTwoDeployers(t *testing.T) {
	of := small()[:2]
	for i := range of {
		of[i].name = "every day/" + of[i].name
	}
	require.Greater(t, interleavings(t, []string{"two releases"}, func(string) []subject { return of }), 1000)
}

// Two runs of one release, each of which saw what the other one had touched last,
// touched the same revision in turn for ever before they gave it the route.
func TestBugTwoRunsOfOneReleaseTouchedInTurn(t *testing.T) {
	of := rivals("the same release")[1:2]
	require.Equal(t, "BlueGreen", of[0].name)
	require.Greater(t, interleavings(t, []string{"the same release"}, func(string) []subject { return of }), 1000)
}

// What was pruned would have found nothing else: of two cleanups, ours and one
// that is wrong, the pairs break the same laws with and without pruning.
func TestPruningLosesNothing(t *testing.T) {
	blind := func(ctx context.Context, r strategy.Runner, app string) error {
		s, err := r.Cluster.Observe(ctx, app)
		if err != nil {
			return nil // and tomorrow is another day
		}
		for _, old := range s.Revisions {
			if !s.HasTraffic(old.Name) {
				_ = r.Cluster.Delete(ctx, app, old)
			}
		}
		return nil
	}
	for name, s := range map[string]subject{
		"ours":  {cleaner: sweep(cleanup.Policy{RunFailed: true}), options: strategytest.Options{Replicas: 1, Poll: 10 * time.Second}},
		"blind": {cleaner: blind, options: strategytest.Options{Replicas: 1, Poll: 10 * time.Second}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pruned, some := s.pairs("one", false)
			unpruned, all := s.pairs("one", true)
			t.Logf("%d pairs of %d", pruned.Pairs, unpruned.Pairs)
			require.Less(t, pruned.Pairs, unpruned.Pairs)
			require.Equal(t, laws(all), laws(some))
			require.Equal(t, name == "ours", all == nil)
		})
	}
}

// laws lists the laws that an error says were broken.
func laws(err error) []string {
	var broken []string
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		for _, err := range many.Unwrap() {
			broken = append(broken, laws(err)...)
		}
	}
	var breach *strategytest.Breach
	if len(broken) == 0 && errors.As(err, &breach) {
		broken = []string{breach.Law}
	}
	slices.Sort(broken)
	return slices.Compact(broken)
}
