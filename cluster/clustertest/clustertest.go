// Package clustertest holds the laws of a [cluster.Cluster] and tries an
// implementation against them, be it simulated or a real control plane.
//
// An implementation joins with one line in a test of its own:
//
//	clustertest.TestCluster(t, open, cluster.Can{Enable: true})
//
// The suite has no false alarms by intent, and it can miss a fault: a law that
// was not broken in a trial may be broken in the next. What it can not demand
// at all, because the contract leaves it open or nobody outside can see it, is
// said at each law. It tries no failing network and no dying process; faults
// are decorators, and what has to survive them is a strategy.
package clustertest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/cutover-dev/cutover/cluster"
)

// A World is one place to try a law in. Every law gets a new one, in which
// neither app was ever deployed; worlds may be side by side in one cluster.
type World struct {
	Cluster cluster.Cluster

	// App and Other are two apps of which nothing is deployed. Where traffic
	// can be moved, each has its routes already.
	App, Other string

	// Template makes a valid template, whose pods get ready by themselves.
	// Another tag makes another template.
	Template func(tag string) []byte

	// Sleep lets time pass, for the cluster as well.
	Sleep func(ctx context.Context, d time.Duration) error

	// Patience is how long the cluster may take to follow one write. 0: 1 min.
	Patience time.Duration

	// Close, if it is set, is called when the law has been tried.
	Close func()
}

// A Breach is a law that was seen broken.
type Breach struct {
	Law    string // one of Laws
	Detail string // what was done, and what was found
}

// Error returns the law and how it was broken.
func (b *Breach) Error() string { return fmt.Sprintf("clustertest: %s: %s", b.Law, b.Detail) }

// Laws returns the names of all laws, in the order in which they are tried.
func Laws() []string {
	var names []string
	for _, l := range laws {
		names = append(names, l.name)
	}
	return names
}

// most is how many breaches Check reports before it stops.
const most = 10

// Check tries every law that applies to a cluster that can do this, each in a
// world of its own. The error joins a [Breach] for each law that is broken, ten
// at most; an error that is no Breach says that the suite itself could not go
// on.
func Check(ctx context.Context, open func() (World, error), can cluster.Can) error {
	var broken []error
	for _, l := range laws {
		if !l.applies(can) {
			continue
		}
		w, err := open()
		if err != nil {
			return errors.Join(append(broken, fmt.Errorf("clustertest: open a world: %w", err))...)
		}
		err = l.try(ctx, w, can)
		var breach *Breach
		if err != nil {
			broken = append(broken, err)
		}
		if err != nil && !errors.As(err, &breach) || len(broken) == most {
			break
		}
	}
	return errors.Join(broken...)
}

// TestCluster is Check as subtests, one for each law.
func TestCluster(t *testing.T, open func(t *testing.T) World, can cluster.Can) {
	for _, l := range laws {
		if !l.applies(can) {
			continue
		}
		t.Run(l.name, func(t *testing.T) {
			if err := l.try(t.Context(), open(t), can); err != nil {
				t.Error(err)
			}
		})
	}
}

// A law is a sentence that holds, and the trial that would show if not.
type law struct {
	name    string
	applies func(cluster.Can) bool
	trial   func(*trial)
}

// try returns a *Breach, or whatever kept the suite from going on.
func (l law) try(ctx context.Context, w World, can cluster.Can) (err error) {
	if w.Close != nil {
		defer w.Close()
	}
	if w.Patience == 0 {
		w.Patience = time.Minute
	}
	defer func() {
		switch p := recover().(type) {
		case nil:
		case breach:
			err = &Breach{Law: l.name, Detail: string(p)}
		case stopped:
			err = fmt.Errorf("clustertest: %s: %w", l.name, p.error)
		default:
			panic(p)
		}
	}()
	l.trial(&trial{World: w, ctx: ctx, can: can})
	return nil
}
