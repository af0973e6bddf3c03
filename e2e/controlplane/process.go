// Starting processes, knowing their ids, reading their logs, and killing all
// of them, also when the test process is killed itself.

package controlplane

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// launcher writes a script that runs the binary and leaves its process id in
// the plane's pids folder: envtest starts etcd and the apiserver itself and does
// not tell. exec keeps the id.
func (p *Plane) launcher(c Component) (string, error) {
	path := filepath.Join(p.dir, "bin", string(c))
	script := fmt.Sprintf("#!/bin/sh\necho $$ >%s\nexec %s \"$@\"\n",
		quote(p.pidFile(c)), quote(p.binaries[string(c)]))

	// A process forked elsewhere in this program while the script is open for
	// writing would keep it open, and running it would fail with ETXTBSY.
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte(script), 0o755); err != nil {
		return "", fmt.Errorf("write the launcher of %s: %w", c, err)
	}
	return path, nil
}

func quote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }

func (p *Plane) pidFile(c Component) string { return filepath.Join(p.dir, "pids", string(c)) }

// pid returns the process id of a running component, which is its group's too.
func (p *Plane) pid(c Component) (int, error) {
	raw, err := os.ReadFile(p.pidFile(c))
	if errors.Is(err, os.ErrNotExist) {
		return 0, errors.New("it does not run: not among Options.Components, or it has ended (see its log)")
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil || pid <= 1 {
		return 0, fmt.Errorf("%s holds no process id: %q", p.pidFile(c), raw)
	}
	return pid, nil
}

// process is a component started by this package, not by envtest.
type process struct {
	group int
	done  chan struct{} // closed when it has ended
	err   error         // how; valid after done
}

// start runs a component in a process group of its own, its output in its log.
func (p *Plane) start(c Component, args ...string) (*process, error) {
	path, err := p.launcher(c)
	if err != nil {
		return nil, err
	}
	log, err := p.openLog(c)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the child has it
	cmd := exec.Command(path, args...)
	cmd.Stdout, cmd.Stderr = log, log
	cmd.Dir = p.dir
	cmd.Env = append(os.Environ(), "HOME="+p.dir, "KUBECONFIG=") // no configuration of the user's
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", c, err)
	}
	proc := &process{group: cmd.Process.Pid, done: make(chan struct{})}
	p.mu.Lock()
	p.processes[c] = proc
	p.mu.Unlock()
	p.reaped.Go(func() {
		proc.err = cmd.Wait()
		_ = os.Remove(p.pidFile(c)) // the id may soon be another's
		close(proc.done)
	})
	return proc, nil
}

// Log returns the path of the file that holds what c has written so far.
func (p *Plane) Log(c Component) string { return filepath.Join(p.dir, "logs", string(c)+".log") }

func (p *Plane) openLog(c Component) (*os.File, error) {
	f, err := os.OpenFile(p.Log(c), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("open the log of %s: %w", c, err)
	}
	return f, nil
}

// tail returns the end of c's log, for error messages.
func (p *Plane) tail(c Component) string {
	const most = 3000
	raw, err := os.ReadFile(p.Log(c))
	if err != nil {
		return fmt.Sprintf("(no log of %s: %v)", c, err)
	}
	if len(raw) > most {
		raw = raw[len(raw)-most:]
		if i := bytes.IndexByte(raw, '\n'); i >= 0 {
			raw = raw[i+1:]
		}
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return fmt.Sprintf("(%s has written nothing)", c)
	}
	return fmt.Sprintf("end of the log of %s:\n%s", c, raw)
}

// kill ends every component at once, frozen ones included. What they would
// still have written to disk is thrown away with the plane.
func (p *Plane) kill() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, proc := range p.processes {
		select {
		case <-proc.done:
		default:
			_ = syscall.Kill(-proc.group, syscall.SIGKILL)
		}
	}
	for _, c := range []Component{APIServer, Etcd} { // envtest's, known by their pid files only
		if pid, err := p.pid(c); err == nil {
			_ = syscall.Kill(-pid, syscall.SIGKILL)
		}
	}
}

// awaitGone waits until no process of the plane's groups is left.
func (p *Plane) awaitGone(limit time.Duration) error {
	deadline := time.Now().Add(limit)
	for _, c := range []Component{Etcd, APIServer} { // the others are waited for by start
		for {
			pid, err := p.pid(c)
			if err != nil || errors.Is(syscall.Kill(-pid, 0), syscall.ESRCH) {
				break
			}
			if time.Now().After(deadline) {
				return fmt.Errorf("%s (process %d) is still there %v after SIGKILL", c, pid, limit)
			}
			time.Sleep(time.Millisecond)
		}
	}
	p.reaped.Wait()
	return nil
}

// watchdog is a shell that outlives this process by a moment. While we live it
// waits for a line; if its input ends without one, it kills the plane and, with
// a second argument, removes the plane's directory. This holds however we end
// (SIGKILL, a panic of go test -timeout), on every unix, and for the processes
// envtest starts, none of which is true of PR_SET_PDEATHSIG.
const watchdog = `
trap '' HUP INT TERM
read -r line && exit 0
for f in "$1"/pids/*; do
	read -r pid <"$f" && kill -KILL "-$pid"
done 2>/dev/null
[ -z "$2" ] || rm -rf -- "$1"
`

// guard is the running watchdog.
type guard struct {
	cmd  *exec.Cmd
	pipe io.WriteCloser
	once sync.Once
}

func (p *Plane) startGuard() (*guard, error) {
	args := []string{"-c", watchdog, "watchdog", p.dir}
	if p.temporary {
		args = append(args, "remove")
	}
	cmd := exec.Command("/bin/sh", args...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	pipe, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the watchdog that cleans up if this process is killed: %w", err)
	}
	return &guard{cmd: cmd, pipe: pipe}, nil
}

// dismiss sends the watchdog home.
func (g *guard) dismiss() {
	g.once.Do(func() {
		_, _ = io.WriteString(g.pipe, "done\n")
		_ = g.pipe.Close()
		_ = g.cmd.Wait()
	})
}
