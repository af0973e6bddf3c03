// Building binaries from e2e/binaries into the cache.

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// progress is how often a build says that it is still at it.
const progress = 15 * time.Second

// build builds the named binaries, one at a time, each into place at once.
func (c cache) build(ctx context.Context, names []string) error {
	unlock, err := c.lock(ctx)
	if err != nil {
		return err
	}
	defer unlock()
	_, names = lookup(names, c.dir) // another process may have built them meanwhile
	if len(names) == 0 {
		return nil
	}
	say("building %s (Kubernetes %s) into %s; minutes the first time, seconds later",
		strings.Join(names, ", "), c.version, c.dir)
	for _, name := range names {
		if err := c.buildOne(ctx, name); err != nil {
			return err
		}
	}
	removeOld(filepath.Dir(c.dir), c.dir, 30*24*time.Hour)
	return nil
}

func (c cache) buildOne(ctx context.Context, name string) error {
	dir, err := os.MkdirTemp(c.dir, ".build-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, name)

	begun := time.Now()
	done := make(chan struct{})
	ticking := make(chan struct{})
	go func() {
		defer close(ticking)
		tick := time.NewTicker(progress)
		defer tick.Stop()
		for {
			select {
			case <-tick.C:
				say("building %s: %.0f s so far", name, time.Since(begun).Seconds())
			case <-done:
				return
			}
		}
	}()
	said, err := c.command(ctx, name, out).CombinedOutput()
	close(done)
	<-ticking
	if err != nil {
		return fmt.Errorf("build %s from %s in %s: %w after %.0f s; the compiler said:\n%s",
			name, packages[name], c.source, errors.Join(err, context.Cause(ctx)), time.Since(begun).Seconds(), bytes.TrimSpace(said))
	}
	if err := os.Rename(out, filepath.Join(c.dir, name)); err != nil {
		return err
	}
	say("building %s: done after %.0f s", name, time.Since(begun).Seconds())
	return nil
}

// command is the go build of one binary, deaf to the settings of whoever runs
// the tests: they are for their code, not for this.
func (c cache) command(ctx context.Context, name, out string) *exec.Cmd {
	version := strings.SplitN(strings.TrimPrefix(c.version, "v"), ".", 3)
	flags := []string{"-s", "-w"}
	for _, pkg := range []string{"k8s.io/component-base/version", "k8s.io/client-go/pkg/version"} {
		flags = append(flags,
			"-X", pkg+".gitVersion="+c.version,
			"-X", pkg+".gitMajor="+version[0],
			"-X", pkg+".gitMinor="+version[1])
	}
	cmd := exec.CommandContext(ctx, "go", "build", "-trimpath", "-buildvcs=false",
		"-ldflags", strings.Join(flags, " "), "-o", out, packages[name])
	cmd.Dir = c.source
	cmd.Env = append(os.Environ(),
		"CGO_ENABLED=0", "GOFLAGS=-mod=readonly", "GOWORK=off",
		"GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH, "PWD="+c.source)
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// lock waits until no other process builds into the cache.
func (c cache) lock(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(c.dir, ".lock")
	f, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, err
	}
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	begun, said := time.Now(), time.Time{}
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return func() { _ = f.Close() }, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return nil, errors.Join(fmt.Errorf("lock %s: %w", path, err), f.Close())
		}
		if time.Since(said) > progress {
			said = time.Now()
			say("waiting for another process that builds into %s: %.0f s so far", c.dir, time.Since(begun).Seconds())
		}
		select {
		case <-ctx.Done():
			return nil, errors.Join(fmt.Errorf("waiting for another process that builds into %s: %w", c.dir, context.Cause(ctx)), f.Close())
		case <-tick.C:
		}
	}
}

// removeOld removes the folders of other keys that no plane has used for that
// long. It is a courtesy: what cannot be removed stays.
func removeOld(base, keep string, age time.Duration) {
	entries, err := os.ReadDir(base)
	if err != nil {
		return
	}
	for _, e := range entries {
		path := filepath.Join(base, e.Name())
		if info, err := e.Info(); err == nil && e.IsDir() && path != keep && time.Since(info.ModTime()) > age {
			_ = os.RemoveAll(path)
		}
	}
}

func say(format string, args ...any) {
	fmt.Fprintf(os.Stderr, "controlplane: "+format+"\n", args...)
}
