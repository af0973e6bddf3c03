// What the comparison with a real cluster has shown: where a look at this one
// once said something else.

package fake_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

func TestTheCreationOfAFoundRevisionCountsAsRaised(t *testing.T) {
	c := fake.New(fake.World{})
	c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 2, Enabled: true})
	r := c.State("web").Revisions[0]
	require.Equal(t, r.Created, r.Raised)
	require.False(t, r.Raised.IsZero())
}

func TestWhileARevisionIsBehindAPodMayYetAppearWhateverIsWanted(t *testing.T) {
	c := fake.New(fake.World{})
	c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Enabled: true})
	require.Zero(t, c.State("web").Revisions[0].Pods)

	c.Edit("web", "web-v001", func(r *cluster.Revision) { r.Enabled = false })
	r := c.State("web").Revisions[0]
	require.True(t, r.Behind)
	require.Equal(t, 1, r.Pods, "nobody can tell what its controller still goes by")

	require.NoError(t, c.Sleep(t.Context(), time.Second))
	r = c.State("web").Revisions[0]
	require.False(t, r.Behind)
	require.Zero(t, r.Pods)
}

func TestPodsWithTheWrongTrafficAreWrittenBeforeThoseWithAnotherFence(t *testing.T) {
	c := fake.New(fake.World{Batch: 1})
	c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 2, Enabled: true})
	require.True(t, c.FlipPod("web", "web-v001"), "the oldest is off, the other on")

	r := c.State("web").Revisions[0]
	r.Enabled, r.Fence = false, "run"
	require.NoError(t, c.Put(t.Context(), "web", r))
	require.Zero(t, c.State("web").Revisions[0].Unsettled, "one write was enough to turn the traffic of the one that had any")
}

func TestAnEndpointWhosePodIsGoneIsAStray(t *testing.T) {
	c := fake.New(fake.World{EndpointLag: time.Minute, Grace: time.Second})
	c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 2, Enabled: true})
	require.True(t, c.KillPod("web", "web-v001"))
	require.Zero(t, c.State("web").Strays, "it terminates, and is the revision's")

	require.NoError(t, c.Sleep(t.Context(), 2*time.Second))
	require.Equal(t, 1, c.State("web").Strays)
	require.NoError(t, c.Sleep(t.Context(), time.Minute))
	require.Zero(t, c.State("web").Strays)
}

func TestASelectorSelectsNoRevisionThatIsGone(t *testing.T) {
	c := fake.New(fake.World{Can: cluster.Can{Select: true}})
	c.AddFound("web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 2, Enabled: true})
	require.True(t, c.Remove("web", "web-v001"))
	require.Equal(t, map[string]int{}, c.State("web").Routes[0].Weights)
}

func TestAPutWithoutAFenceLeavesThatOfNewPods(t *testing.T) {
	c := fake.New(fake.World{})
	require.NoError(t, c.Put(t.Context(), "web", cluster.Revision{Name: "web-v001", Seq: 1, Replicas: 1, Fence: "run"}))
	require.NoError(t, c.Sleep(t.Context(), time.Second))
	require.True(t, c.Edit("web", "web-v001", func(r *cluster.Revision) { r.Fence = "" }))

	r := c.State("web").Revisions[0]
	r.Outcome.Result = cluster.Good
	require.NoError(t, c.Put(t.Context(), "web", r))
	require.False(t, c.State("web").Revisions[0].Behind, "nothing has changed that pods are born from")
}
