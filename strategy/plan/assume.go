// What a plan takes for granted, and says so.

package plan

import (
	"fmt"
	"strings"
	"time"

	"github.com/cutover-dev/cutover/fake"
)

// Assumptions say how fast the cluster is taken to follow. They change when
// things happen and, where a deadline or a hold is shorter than they are, what
// happens. Where they are zero they are those of a cluster in good health.
type Assumptions struct {
	Ready     time.Duration // a pod is ready so long after it was made, those that are not ready now too; 0: 10s
	Follow    time.Duration // a controller acts on a write after this; 0: 1s
	Endpoints time.Duration // endpoints follow pods and selectors after this; 0: 1s
	Grace     time.Duration // a pod that is told to go is gone after this; 0: 30s
	Batch     int           // how many pods are written between two looks at most; 0: 10, as package kube does
}

func (a Assumptions) unfit() error {
	if a.Ready < 0 || a.Follow < 0 || a.Endpoints < 0 || a.Grace < 0 || a.Batch < 0 {
		return fmt.Errorf("no assumption may be negative: %+v", a)
	}
	return nil
}

func (a Assumptions) withDefaults() Assumptions {
	for _, d := range []struct {
		field *time.Duration
		zero  time.Duration
	}{{&a.Ready, 10 * time.Second}, {&a.Follow, time.Second}, {&a.Endpoints, time.Second}, {&a.Grace, 30 * time.Second}} {
		if *d.field == 0 {
			*d.field = d.zero
		}
	}
	if a.Batch == 0 {
		a.Batch = 10
	}
	return a
}

// world is the simulated cluster that is as fast as that.
func (a Assumptions) world() fake.World {
	return fake.World{Boot: a.Ready, Lag: a.Follow, EndpointLag: a.Endpoints, Grace: a.Grace, Batch: a.Batch}
}

// String returns them as conditions: "pods are ready in 10s, …".
func (a Assumptions) String() string {
	return strings.Join([]string{
		fmt.Sprintf("pods are ready in %v", a.Ready),
		fmt.Sprintf("controllers follow in %v", a.Follow),
		fmt.Sprintf("endpoints in %v", a.Endpoints),
		fmt.Sprintf("pods that are told to go are gone in %v", a.Grace),
		fmt.Sprintf("at most %d pods are written between two looks", a.Batch),
		"no call fails",
		"nobody else writes",
	}, ", ")
}
