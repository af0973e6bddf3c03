// A plane: starting it, stopping it, and what a test asks of it.

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

// Options say what a plane is made of. The zero value is everything, with one
// node, in a temporary directory.
type Options struct {
	// Components are the processes to run; nil is all of them. Etcd and
	// APIServer always run, listed or not.
	Components []Component

	// Nodes is how many fake nodes there are; 0 is one. They are named node-0,
	// node-1 and so on, and are ready and free of taints once the plane has
	// started. Without Kwok there are none.
	Nodes int

	// Stages are kwok Stages in YAML, by name, over the built-in ones: a known
	// name replaces that Stage or, if the YAML is empty, drops it; any other
	// adds one. See the function Stages.
	Stages map[string]string

	// Flags are added to a component's own, each as "--name=value".
	Flags map[Component][]string

	// Dir is where the plane keeps its files: logs, kubeconfig, audit log,
	// etcd's data. It must be empty or missing, and stays when the plane is
	// stopped. "" is a temporary directory, removed by Stop.
	Dir string

	// Timeout bounds the start, once the binaries are there; 0 is two minutes.
	Timeout time.Duration
}

// A Plane is a running control plane. Its methods may be called from several
// goroutines at once.
type Plane struct {
	// Kubectl is the path of a kubectl of the same version.
	Kubectl string

	dir        string
	temporary  bool
	components []Component
	options    Options
	binaries   map[string]string

	envtest envtest.ControlPlane
	admin   *rest.Config
	client  *kubernetes.Clientset
	guard   *guard
	audited auditLog

	reaped    sync.WaitGroup
	mu        sync.Mutex // guards what follows, and the certificates envtest signs
	processes map[Component]*process
	stop      func() error
}

// Start starts a plane and stops it when the test has ended. It fails the test
// if that takes more than Options.Timeout, or the binaries cannot be had. It
// waits for binaries that are being compiled as long as it takes.
func Start(tb testing.TB, o Options) *Plane {
	tb.Helper()
	p, err := New(tb.Context(), o)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := p.Stop(); err != nil {
			tb.Error(err)
		}
	})
	return p
}

// New starts a plane, which is the caller's to Stop, for instance in TestMain.
// ctx bounds the start only. When New returns, every component answers, the
// nodes are ready, and the RBAC roles of a new cluster exist. An error carries
// the end of the log of the component in question; nothing is left running.
//
// Several planes may run at once, in one process or in many.
func New(ctx context.Context, o Options) (*Plane, error) {
	p := &Plane{options: o, processes: map[Component]*process{}}
	p.stop = sync.OnceValue(p.stopAll)
	for _, c := range allComponents() {
		if o.Components == nil || c == Etcd || c == APIServer || slices.Contains(o.Components, c) {
			p.components = append(p.components, c)
		}
	}
	for _, c := range o.Components {
		if !p.runs(c) {
			return nil, fmt.Errorf("controlplane: Options.Components: no component is called %q, there are %q", c, allComponents())
		}
	}
	names := []string{kubectl}
	for _, c := range p.components {
		names = append(names, string(c))
	}
	binaries, err := Binaries(ctx, names...)
	if err != nil {
		return nil, err
	}
	p.binaries, p.Kubectl = binaries, binaries[kubectl]

	limit := o.Timeout
	if limit == 0 {
		limit = 2 * time.Minute
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit,
		fmt.Errorf("the plane was not up after %v (Options.Timeout)", limit))
	defer cancel()
	if err := p.startAll(ctx, limit); err != nil {
		return nil, errors.Join(fmt.Errorf("controlplane: %w", err), p.Stop())
	}
	return p, nil
}

// Stop kills every process of the plane and removes its temporary directory.
// There is no orderly shutdown: what was answered is in the logs, what was not
// is lost. Stopping again returns what the first Stop returned.
func (p *Plane) Stop() error { return p.stop() }

func (p *Plane) stopAll() error {
	if p.dir == "" {
		return nil // it never came to starting anything
	}
	p.kill()
	err := p.envtest.Stop() // they are dead; this waits for them
	if errors.Is(err, syscall.ESRCH) {
		err = nil // it was waited for while envtest looked
	}
	if gone := p.awaitGone(10 * time.Second); gone != nil {
		err = errors.Join(err, gone)
	}
	if p.client != nil {
		closeIdle(p.client)
	}
	if p.guard != nil {
		p.guard.dismiss()
	}
	if p.temporary {
		err = errors.Join(err, os.RemoveAll(p.dir))
	} else {
		err = errors.Join(err, os.RemoveAll(filepath.Join(p.dir, "pids")))
	}
	if err != nil {
		return fmt.Errorf("controlplane: stop: %w", err)
	}
	return nil
}

// Config returns a new configuration of an administrator's client, without a
// limit on its requests. Its UserAgent is the caller's to set.
func (p *Plane) Config() *rest.Config { return rest.CopyConfig(p.admin) }

// Kubeconfig returns the path of a kubeconfig file of the administrator, for
// child processes. It is gone once the plane is stopped.
func (p *Plane) Kubeconfig() string { return filepath.Join(p.dir, "kubeconfigs", "admin") }

// UserConfig returns a configuration of a client that is the user of that name
// and those groups, with no rights beyond what RBAC gives them. Its requests
// are not limited. WriteKubeconfig makes a file of it.
func (p *Plane) UserConfig(tb testing.TB, name string, groups ...string) *rest.Config {
	tb.Helper()
	cfg, err := p.user(name, groups...)
	if err != nil {
		tb.Fatalf("controlplane: %v", err)
	}
	return cfg
}

func (p *Plane) user(name string, groups ...string) (*rest.Config, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	user, err := p.envtest.AddUser(
		envtest.User{Name: name, Groups: groups}, &rest.Config{QPS: -1, Burst: -1})
	if err != nil {
		return nil, fmt.Errorf("sign a certificate for user %q: %w", name, err)
	}
	return user.Config(), nil
}
