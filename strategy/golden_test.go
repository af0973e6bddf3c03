// Golden traces: one scenario a file in testdata, of four parts. "given" sets
// the world up, "do" runs the strategy in it, "trace" is what the runs said and
// "then" what is left. go test -update writes the last two anew: read them.

package strategy_test

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
	"github.com/cutover-dev/cutover/health"
	"github.com/cutover-dev/cutover/strategy"
)

var update = flag.Bool("update", false, "write the golden traces anew")

func TestGolden(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			want, err := os.ReadFile(file)
			require.NoError(t, err)
			script, _, ok := bytes.Cut(want, []byte("\ntrace\n"))
			require.True(t, ok, "%s has no line «trace»", file)
			got := play(t, string(script))
			if *update {
				require.NoError(t, os.WriteFile(file, []byte(got), 0o644))
			}
			require.Equal(t, string(want), got)
		})
	}
}

// A stage is what a script plays on.
type stage struct {
	t       *testing.T
	world   *fake.Cluster
	rb      strategy.RedBlack // the settings that both have
	kind    string            // which strategy it is, if not red-black
	overlap strategy.Overlap
	surge   strategy.Amount
	pause   time.Duration
	runs    int
	stay    bool
	trace   bytes.Buffer
	last    [2]string // lines
	stopAt  int       // the write before which the next run is stopped; 0: none
	verdict map[string]string
}

// play plays a script and returns it with what came of it.
func play(t *testing.T, script string) string {
	s := &stage{t: t, verdict: map[string]string{}}
	world := fake.World{Ready: func(template []byte) (time.Duration, bool) {
		return 2 * time.Second, !bytes.Contains(template, []byte("bad"))
	}}
	if strings.Contains(script, "endpoints frozen") {
		world.EndpointLag = 1000 * time.Hour
	}
	if strings.Contains(script, "\n  blue-green\n") {
		world.Can = cluster.Can{Select: true}
	}
	if strings.Contains(script, "\n  weights\n") {
		world.Can = cluster.Can{Weigh: true}
	}
	s.world = fake.New(world)
	for _, line := range strings.Split(script, "\n") {
		if words := strings.Fields(line); strings.HasPrefix(line, "  ") && len(words) > 0 {
			s.play(words)
		}
	}
	return strings.TrimRight(script, "\n") + "\n\ntrace\n" + s.trace.String() + "\nthen\n" + shows(s.world.State("web"))
}

func (s *stage) play(words []string) {
	switch words[0] {
	case "revision": // revision web-v001 x3 on good release
		s.world.AddFound("web", revision(s.t, words[1:]))
	case "bake", "drain", "ready", "shrink", "destroy", "judge":
		d, err := time.ParseDuration(words[1])
		require.NoError(s.t, err)
		map[string]func(){
			"bake": func() { s.rb.Bake = d }, "drain": func() { s.rb.Drain = d }, "ready": func() { s.rb.Ready = d },
			"shrink": func() { s.rb.Keep.Shrink = d }, "destroy": func() { s.rb.Keep.Destroy = d }, "judge": func() { s.rb.Judge = d },
		}[words[0]]()
	case "shrink-to":
		s.rb.Keep.ShrinkTo, _ = strconv.Atoi(words[1])
	case "blue-green", "recreate", "rolling", "canary":
		s.kind = words[0]
	case "stage": // stage 20 40s
		percent, _ := strconv.Atoi(words[1])
		hold, err := time.ParseDuration(words[2])
		require.NoError(s.t, err)
		s.rb.Stages = append(s.rb.Stages, strategy.Stage{Percent: percent, Hold: hold, Gate: s.gate(fmt.Sprint("stage ", len(s.rb.Stages)+1))})
	case "highlander":
		s.rb.Highlander = true
	case "surge": // surge 1, and no endpoint may be missing
		s.surge = strategy.Amount(words[1])
	case "pause":
		d, err := time.ParseDuration(words[1])
		require.NoError(s.t, err)
		s.pause = d
	case "endpoints", "weights": // play has made the world so
	case "overlap":
		s.overlap = strategy.Always
	case "stay":
		s.stay = true
	case "gate": // gate before fail, gate stage 2 fail
		s.verdict[strings.Join(words[1:len(words)-1], " ")] = words[len(words)-1]
		if words[1] == "stage" {
			break
		}
		s.rb.Before, s.rb.After = s.gate("before"), s.gate("after")
	case "stop": // stop before write 3
		s.stopAt, _ = strconv.Atoi(words[3])
	case "strays":
		n, _ := strconv.Atoi(words[1])
		s.world.SetStrays("web", n)
	case "pass": // time
		d, err := time.ParseDuration(words[1])
		require.NoError(s.t, err)
		require.NoError(s.t, s.world.Sleep(context.Background(), d))
	case "deploy":
		s.run(words, s.how(), cluster.Target{Release: words[1], Template: []byte(words[1]), Replicas: replicas(s.t, words)})
	case "undo":
		s.run(words, strategy.Undo(s.how(), strings.Join(words[2:], " ")), cluster.Target{Release: words[1]})
	case "redo":
		s.run(words, strategy.Redo(s.how(), strings.Join(words[2:], " ")), cluster.Target{Release: words[1]})
	default:
		s.t.Fatalf("no such word: %q", words)
	}
}

// how is the strategy with the settings so far.
func (s *stage) how() strategy.Strategy {
	rb := s.rb
	switch s.kind {
	case "":
		return rb
	case "recreate":
		return strategy.Recreate{Ready: rb.Ready, Before: rb.Before, After: rb.After, Bake: rb.Bake}
	case "rolling":
		ro := strategy.Rolling{Surge: s.surge, Ready: rb.Ready, Before: rb.Before, After: rb.After, Bake: rb.Bake, Pause: s.pause}
		if s.surge != "" {
			ro.Unavailable = "0"
		}
		return ro
	case "canary":
		return strategy.Canary{Stages: rb.Stages, Baseline: true, Ready: rb.Ready, Before: rb.Before, After: rb.After, Bake: rb.Bake, Drain: rb.Drain}
	}
	return strategy.BlueGreen{Ready: rb.Ready, Before: rb.Before, After: rb.After, Judge: rb.Judge, Bake: rb.Bake, Drain: rb.Drain,
		Keep: rb.Keep, Overlap: s.overlap}
}

func (s *stage) gate(name string) health.Gate {
	return health.GateFunc(func(context.Context, health.Look) (health.Verdict, string, error) {
		switch s.verdict[name] {
		case "fail":
			return health.Fail, "5xx at 4 %", nil
		case "pending":
			return health.Pending, "too few requests", nil
		}
		return health.Pass, "", nil
	})
}

func (s *stage) run(words []string, what strategy.Strategy, target cluster.Target) {
	s.runs++
	fmt.Fprintf(&s.trace, "  %s\n", strings.Join(words, " "))
	began := s.world.Now()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	writes := 0
	runner := strategy.Runner{Cluster: s.world, Clock: s.world, ID: fmt.Sprint("run", s.runs), Skew: -1, Stay: s.stay}
	runner.Trace = func(e strategy.Event) {
		if e.Turn > 20000 {
			cancel() // no scenario is that long: it goes round in circles
		}
		switch e.Step.(type) {
		case strategy.Put, strategy.SetRoute, strategy.Delete:
			if writes++; writes == s.stopAt {
				cancel()
			}
		}
		if line := e.String(); line != s.last[0] && line != s.last[1] { // waits, and checks between them, once
			s.last = [2]string{s.last[1], line}
			fmt.Fprintf(&s.trace, "  %6v  %s\n", s.world.Now().Sub(began).Truncate(100*time.Millisecond), line)
		}
	}
	done, err := runner.Run(ctx, "web", target, what)
	switch {
	case err != nil:
		fmt.Fprintf(&s.trace, "          => %v\n", err)
	case !done.Due.IsZero():
		fmt.Fprintf(&s.trace, "          => done, and %v later: %s\n", done.Due.Sub(s.world.Now()).Truncate(time.Second), done.What)
	default:
		s.trace.WriteString("          => done\n")
	}
	s.stopAt, s.last = 0, [2]string{}
}

func replicas(t *testing.T, words []string) int {
	for _, w := range words {
		if x, ok := strings.CutPrefix(w, "x"); ok {
			n, err := strconv.Atoi(x)
			require.NoError(t, err)
			return n
		}
	}
	return 0
}

func revision(t *testing.T, words []string) cluster.Revision {
	r := cluster.Revision{Name: words[0], Replicas: replicas(t, words), Template: []byte("old"), Enabled: slices.Contains(words, "on")}
	if _, number, ok := strings.Cut(words[0], "-v"); ok {
		seq, err := strconv.Atoi(number)
		require.NoError(t, err)
		r.Seq = int64(seq)
	}
	switch {
	case slices.Contains(words, "good"):
		r.Outcome.Result = cluster.Good
	case slices.Contains(words, "failed"):
		r.Outcome.Result = cluster.Failed
	}
	for _, w := range words {
		if release, ok := strings.CutPrefix(w, "release="); ok {
			r.Release = release
		}
	}
	return r
}

// shows is a state, for a person.
func shows(s cluster.State) string {
	var b strings.Builder
	for _, r := range s.Revisions {
		traffic := "off"
		if r.Enabled {
			traffic = "on"
		}
		fmt.Fprintf(&b, "  %s x%d %s %s %s, %d ready, %d serve", r.Name, r.Replicas, traffic, r.Outcome.Result, r.Outcome.Why, r.Ready, s.ReliedOn(r.Name))
		if r.Unsettled > 0 {
			fmt.Fprintf(&b, ", %d unsettled", r.Unsettled)
		}
		b.WriteString("\n")
	}
	return strings.ReplaceAll(b.String(), " ,", ",")
}

// A GitOps tool that puts the selector back is not fought: the release is given
// up, and whoever reads the error knows who.
func TestRouteThatIsPutBackIsNotPulledAtAgain(t *testing.T) {
	w := fake.New(fake.World{Can: cluster.Can{Select: true}})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
	runner := strategy.Runner{Cluster: w, Clock: w, ID: "run", Skew: -1}
	reverts := 0
	runner.Trace = func(e strategy.Event) {
		route := w.State("web").Routes[0]
		if _, switched := route.Weights["web-v002"]; switched && e.Err == nil {
			reverts++
			route.Weights = map[string]int{"web-v001": 100}
			require.NoError(t, w.SetRoute(context.Background(), "web", route))
		}
	}
	_, err := runner.Run(context.Background(), "web", cluster.Target{Release: "build-2", Template: []byte("t")}, strategy.BlueGreen{Bake: time.Minute})
	var abort *strategy.AbortError
	require.ErrorAs(t, err, &abort)
	require.Equal(t, strategy.Failed, abort.Kind)
	require.Contains(t, err.Error(), "service/web was switched to it, and somebody has put it back to web-v001")
	require.Equal(t, 1, reverts, "it was switched once")
	require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
}

// Several Services are switched one after the other, and both versions keep
// their replicas until all have moved.
func TestSeveralServicesAreSwitchedOneByOne(t *testing.T) {
	w := fake.New(fake.World{Can: cluster.Can{Select: true}, Routes: []cluster.Route{{Name: "service/admin"}, {Name: "service/web"}}})
	w.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 3, Enabled: true, Template: []byte("old")})
	var steps []string
	runner := strategy.Runner{Cluster: w, Clock: w, ID: "run", Skew: -1, Trace: func(e strategy.Event) {
		if _, route := e.Step.(strategy.SetRoute); route {
			steps = append(steps, e.Step.String())
		}
		old, _ := e.Input.State.Named("web-v001")
		require.Equal(t, 3, old.Replicas)
	}}
	_, err := runner.Run(context.Background(), "web", cluster.Target{Release: "build-2", Template: []byte("t")}, strategy.BlueGreen{})
	require.NoError(t, err)
	require.Equal(t, []string{"route service/admin to web-v002: it is ready", "route service/web to web-v002: it is ready"}, steps)
}
