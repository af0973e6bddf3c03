// Traffic by labels: every revision's pods carry whether they have any.

package strategy

import (
	"fmt"

	"github.com/cutover-dev/cutover/cluster"
)

// byLabel moves traffic by Put's Enabled, revision by revision.
type byLabel struct{}

func (byLabel) hold(Input, cluster.Revision) Step { return nil }

func (byLabel) release(Input, cluster.Revision) Step { return nil }

func (byLabel) to(_ Input, r cluster.Revision, why string) Step {
	if r.Enabled && r.Unsettled == 0 {
		return behind(r)
	}
	r = note(r, turnedOn, "")
	r.Enabled = true
	return Put{r, why}
}

func (byLabel) claim(_ Input, r cluster.Revision) Step {
	if noted(r, turnedOn) {
		return nil
	}
	return Put{note(r, turnedOn, ""), "somebody else has turned it on, and it may be"}
}

func (byLabel) off(in Input, keep cluster.Revision, why string) Step {
	for _, r := range in.State.Revisions {
		if r.Name == keep.Name {
			continue
		}
		if r.Outcome.Result == cluster.Undecided && in.State.IsGood(r) {
			// It had traffic before cutover knew it: the write that takes this
			// records that it may be gone back to.
			r.Outcome = hadTraffic
		}
		if step := darken(in, r, why); step != nil {
			return step
		}
	}
	return nil
}

func (byLabel) leave(in Input, r, _ cluster.Revision) Step {
	return darken(in, r, r.Name+" leaves traffic")
}

// darken takes traffic off a revision, until nothing sends it any.
func darken(in Input, r cluster.Revision, why string) Step {
	switch {
	case r.Enabled || r.Unsettled > 0:
		r.Enabled = false
		return Put{r, why}
	case in.State.Exposed(r.Name) == 0:
		return behind(r)
	}
	return Wait{Why: fmt.Sprintf("%d endpoints of %s are still in traffic", in.State.Exposed(r.Name), r.Name)}
}
