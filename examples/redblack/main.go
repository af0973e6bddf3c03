// Command redblack deploys an image to an app of a real cluster, red-black, and
// prints each step. It is a program to start from: the whole of a deploy tool is
// in run.
//
//	go run ./examples/redblack -namespace shop -app web -manifest web.yaml -image shop/web:2
//
// Without -manifest the template of what serves now gets the new image. Run
// again with the same -release after a crash, it goes on; with -undo it takes
// that release back. It exits with 0 if the release is good and alone in
// traffic, 1 if it was given up or stopped, 2 if it was not even begun.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/strategy"
)

type settings struct {
	kubeconfig, namespace, app, service string
	manifest, image, release, undo      string
	undoes                              bool // -undo was given, be its reason empty
	replicas                            int
	redblack                            strategy.RedBlack
	runner                              strategy.Runner
}

func main() {
	s := settings{}
	flag.StringVar(&s.kubeconfig, "kubeconfig", "", "path of the kubeconfig; empty: $KUBECONFIG, ~/.kube/config, or the pod's own account")
	flag.StringVar(&s.namespace, "namespace", "default", "where the app is")
	flag.StringVar(&s.app, "app", "", "the app's name: revisions are called app-v001, …")
	flag.StringVar(&s.service, "service", "", "the Service that brings its traffic; empty: those that select its pods")
	flag.StringVar(&s.manifest, "manifest", "", "YAML of a ReplicaSet, a Deployment or a pod template; empty: that of what serves now")
	flag.StringVar(&s.image, "image", "", "image, or container=image, to deploy")
	flag.StringVar(&s.release, "release", "", "name of this deployment, a build id say; empty: made from the template")
	flag.StringVar(&s.undo, "undo", "", "take -release back, for this reason")
	flag.IntVar(&s.replicas, "replicas", 0, "replicas; 0: the manifest's, or as many as serve now")
	flag.DurationVar(&s.redblack.Ready, "ready", 0, "to get ready within; 0: 10m")
	flag.DurationVar(&s.redblack.Bake, "bake", time.Minute, "alone in traffic before it is good")
	flag.DurationVar(&s.redblack.Drain, "drain", 0, "after the last traffic; 0: 30s, negative: none")
	flag.DurationVar(&s.redblack.Keep.Shrink, "shrink", 0, "shrink the old side so long after; 0: when the next release is good")
	flag.IntVar(&s.redblack.Keep.ShrinkTo, "shrink-to", 0, "to so many replicas")
	flag.DurationVar(&s.redblack.Keep.Destroy, "destroy", 0, "delete the old side so long after; 0: not by time")
	flag.BoolVar(&s.runner.Stay, "stay", false, "stay until nothing is due")
	flag.DurationVar(&s.runner.Poll, "poll", 0, "between two looks; 0: 2s")
	flag.DurationVar(&s.runner.Skew, "skew", 0, "how far clocks may differ; 0: 30s, negative: not at all")
	flag.Parse()
	flag.Visit(func(f *flag.Flag) { s.undoes = s.undoes || f.Name == "undo" })
	if flag.NArg() > 0 || s.app == "" || s.undoes && s.release == "" {
		fmt.Fprintf(os.Stderr, "redblack: -app is needed, -undo needs -release, and nothing but flags is: %q\n", flag.Args())
		os.Exit(2)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, s); err != nil {
		fmt.Fprintln(os.Stderr, err)
		var abort *strategy.AbortError
		if begun := errors.As(err, &abort) && (abort.Kind != strategy.Unfit || abort.Wrote); begun || ctx.Err() != nil || errors.Is(err, strategy.ErrGaveUp) {
			os.Exit(1)
		}
		os.Exit(2)
	}
}

// run is the deploy tool.
func run(ctx context.Context, s settings) error {
	config, err := restConfig(s.kubeconfig)
	if err != nil {
		return err
	}
	options := kube.Options{Namespace: s.namespace}
	if s.service != "" {
		options.Services = []string{s.service}
	}
	c, err := kube.New(config, options)
	if err != nil {
		return err
	}
	target, err := s.target(ctx, c)
	if err != nil {
		return err
	}
	var how strategy.Strategy = s.redblack
	if s.undoes {
		how = strategy.Undo(s.redblack, s.undo)
	}
	s.runner.Cluster, s.runner.Trace = c, trace()
	done, err := s.runner.Run(ctx, s.app, target, how)
	if err == nil && !done.Due.IsZero() {
		fmt.Printf("due at %s: %s\n", done.Due.Local().Format(time.Kitchen), done.What)
	}
	return err
}

func restConfig(path string) (*rest.Config, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = path
	config, err := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, nil).ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("reading the kubeconfig: %w", err)
	}
	return config, nil
}

// target is what to deploy: from the manifest, or from what serves now.
func (s settings) target(ctx context.Context, c cluster.Cluster) (cluster.Target, error) {
	if s.undoes {
		return cluster.Target{Release: s.release}, nil
	}
	manifest, err := s.template(ctx, c)
	if err != nil {
		return cluster.Target{}, err
	}
	var images []string
	if s.image != "" {
		images = append(images, s.image)
	}
	target, err := kube.Target(manifest, images...)
	if err != nil {
		return cluster.Target{}, err
	}
	target.Release = s.release
	if s.replicas != 0 {
		target.Replicas = s.replicas
	}
	return target, nil
}

func (s settings) template(ctx context.Context, c cluster.Cluster) ([]byte, error) {
	if s.manifest != "" {
		return os.ReadFile(s.manifest)
	}
	state, err := c.Observe(ctx, s.app)
	if err != nil {
		return nil, err
	}
	for i := len(state.Revisions) - 1; i >= 0; i-- {
		if r := state.Revisions[i]; state.IsGood(r) {
			return r.Template, nil
		}
	}
	return nil, fmt.Errorf("app %s in namespace %s has no good revision to take the template of: name a -manifest", s.app, s.namespace)
}

// trace prints each step when it differs from the last one, and each warning
// once.
func trace() func(strategy.Event) {
	began, last, warned := time.Now(), "", map[string]bool{}
	return func(e strategy.Event) {
		for _, w := range e.Input.State.Warnings {
			if !warned[w] {
				fmt.Printf("warning: %s\n", w)
			}
			warned[w] = true
		}
		if line := e.String(); line != last {
			last = line
			fmt.Printf("%7v  %s\n", time.Since(began).Truncate(100*time.Millisecond), line)
		}
	}
}
