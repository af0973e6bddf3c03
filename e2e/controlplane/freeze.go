// Stopping a component in mid-air, and letting it go on.

package controlplane

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Freeze stops c where it is, until Thaw. When Freeze returns, no thread of c
// runs. A request that c had already sent is answered by the apiserver all the
// same, and may be about to take effect.
//
// To freeze what is frozen is no error. Stop thaws by killing. Beware of what
// the others make of a long silence: 40 s after kwok was frozen its nodes are
// taken for dead.
func (p *Plane) Freeze(c Component) error {
	pid, err := p.pid(c)
	if err != nil {
		return fmt.Errorf("controlplane: freeze %s: %w", c, err)
	}
	if err := freeze(pid); err != nil {
		return fmt.Errorf("controlplane: freeze %s: %w", c, err)
	}
	deadline := time.Now().Add(10 * time.Second)
	for !frozen(pid) {
		if time.Now().After(deadline) {
			return fmt.Errorf("controlplane: freeze %s: process %d still runs 10 s after SIGSTOP", c, pid)
		}
		time.Sleep(time.Millisecond)
	}
	return nil
}

// Thaw lets c go on. To thaw what is not frozen is no error.
func (p *Plane) Thaw(c Component) error {
	pid, err := p.pid(c)
	if err != nil {
		return fmt.Errorf("controlplane: thaw %s: %w", c, err)
	}
	if err := thaw(pid); err != nil {
		return fmt.Errorf("controlplane: thaw %s: %w", c, err)
	}
	return nil
}

func freeze(pid int) error { return syscall.Kill(-pid, syscall.SIGSTOP) }

func thaw(pid int) error { return syscall.Kill(-pid, syscall.SIGCONT) }

// frozen reports whether every thread of the process is stopped. Where there is
// no /proc to tell, it takes the signal's word for it.
func frozen(pid int) bool {
	if _, err := os.Stat("/proc/self/stat"); err != nil {
		return true
	}
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			continue // a thread that has ended
		}
		// "id (name) state …", where the name may hold anything
		if i := bytes.LastIndexByte(raw, ')'); i < 0 || i+2 >= len(raw) || raw[i+2] != 'T' {
			return false
		}
	}
	return true
}
