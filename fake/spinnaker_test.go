package fake_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

func TestSpinnakerFlipsTheTemplateFirstAndThenPodByPod(t *testing.T) {
	for _, enable := range []bool{false, true} {
		for dieAfter, want := range map[int]struct{ flipped, left int }{
			0: {0, 0}, 1: {1, 3}, 2: {1, 2}, 3: {1, 1}, 4: {1, 0}, -1: {1, 0},
		} {
			c := fake.New(fake.World{})
			c.AddFound(app, cluster.Revision{Name: "web-v001", Replicas: 3, Enabled: !enable})
			was := named(t, c, "web-v001")
			spin := c.SpinnakerDisable
			if enable {
				spin = c.SpinnakerEnable
			}
			require.Equal(t, dieAfter != 0, spin(app, "web-v001", dieAfter))
			sleep(t, c, time.Minute)
			is := named(t, c, "web-v001")
			require.Equal(t, want.flipped == 1, is.Enabled == enable, "%t %d", enable, dieAfter)
			require.Equal(t, want.left, is.Unsettled, "%t %d", enable, dieAfter)
			require.Equal(t, was.Since, is.Since)
			require.Empty(t, c.Writes())
		}
	}
}

func TestSpinnakerFinishesWhatItLeft(t *testing.T) {
	c := running(t, fake.World{}, 3)
	require.True(t, c.SpinnakerDisable(app, "web-v001", 2))
	require.True(t, c.SpinnakerDisable(app, "web-v001", -1))
	require.Zero(t, named(t, c, "web-v001").Unsettled)
	require.False(t, c.SpinnakerDisable(app, "web-v001", -1), "nothing is left")
	require.False(t, c.SpinnakerDisable(app, "nobody", -1))
}

func TestSpinnakerHasNothingToFlipWhereRoutesNameRevisions(t *testing.T) {
	c := fake.New(fake.World{Can: cluster.Can{Select: true}})
	c.AddFound(app, cluster.Revision{Name: "web-v001", Replicas: 3, Enabled: true})
	require.False(t, c.SpinnakerDisable(app, "web-v001", -1))
	require.Equal(t, 3, c.State(app).ReliedOn("web-v001"))
}

func TestSpinnakersHistoryGoesByCreationAndNotByTraffic(t *testing.T) {
	c := fake.New(fake.World{})
	for i, age := range []time.Duration{2, 4, 1, 3} { // web-v001, which serves, is the oldest
		c.AddFound(app, cluster.Revision{
			Name: fmt.Sprintf("web-v00%d", i), Seq: int64(i), Replicas: 1, Enabled: i == 1, Created: c.Now().Add(-age * time.Hour),
		})
	}
	require.Equal(t, 2, c.SpinnakerHistory(app, 2))
	var left []string
	for _, r := range c.State(app).Revisions {
		left = append(left, r.Name)
	}
	require.Equal(t, []string{"web-v000", "web-v002"}, left)
	require.Zero(t, c.SpinnakerHistory(app, 2))
	require.Equal(t, 2, c.SpinnakerHistory(app, 0))
}
