// What becomes of old revisions, from a small State a row.

package strategy_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/strategy"
)

// goodSince is a finished rollout of the second of these, good for so long.
func goodSince(since time.Duration, others ...cluster.Revision) strategy.Input {
	s := byLabels(endpoints{"web-v005": 3}, append(others, rev(5, on, isGood, turnedOn, func(r *cluster.Revision) { r.Since = ago(since) }))...)
	return to("b-v005", s)
}

func TestTheWayBack(t *testing.T) {
	way, other := rev(4, isGood), rev(3, isGood)
	small := rev(4, isGood, sized(1, 1))
	keeps := func(k strategy.Retention, rows ...row) { t.Helper(); says(t, strategy.RedBlack{Keep: k}, rows) }
	keeps(strategy.Retention{},
		row{"it stays warm", goodSince(time.Hour, way), "done"},
		row{"all others lose their replicas", goodSince(time.Hour, other, way), "put web-v003 x0 off good: web-v005 is good, and the way back is web-v004"},
		row{"be it one", goodSince(time.Hour, rev(3, sized(1, 1), isGood), way), "put web-v003 x0 off good"},
		row{"though there is no way back", goodSince(time.Hour, rev(3, hasFailed)), "put web-v003 x0 off failed: web-v005 is good, and the way back is none"},
		row{"but no arm does", goodSince(time.Hour, rev(3, anArm), way), "done"})
	keeps(strategy.Retention{Shrink: time.Hour},
		row{"it shrinks when its time has come", goodSince(time.Hour, way), "put web-v004 x0 off good: web-v005 has been good for 1h0m0s"},
		row{"and not before", goodSince(time.Hour-time.Second, way), "done; due later: shrink web-v004 to 0"})
	keeps(strategy.Retention{Shrink: 1, ShrinkTo: 1},
		row{"to what is wanted, after the shortest of times", goodSince(time.Hour, way), "put web-v004 x1 off good: web-v005 has been good for 1ns"},
		row{"and then no more", goodSince(time.Hour, small), "done"})
	keeps(strategy.Retention{Destroy: 1},
		row{"it is deleted after the shortest of times", goodSince(time.Hour, way), "delete web-v004: web-v005 has been good for 1ns"})
}

// Only what is known to be dark is deleted.
func TestTheWayBackIsNotDeletedWhileTheClusterHasNotFollowed(t *testing.T) {
	in := goodSince(time.Hour, rev(4, isGood, isBehind))
	in.State = bySelector("web-v005", in.State.Routes[0].Serving, in.State.Revisions...)
	says(t, strategy.BlueGreen{Keep: strategy.Retention{Destroy: 1}}, []row{{"not deleted", in, "wait: the cluster has not taken up"}})
	says(t, strategy.BlueGreen{Keep: strategy.Retention{Shrink: 1}}, []row{{"but shrunk", in, "put web-v004 x0 off good"}})
}

func TestAReleaseThatFailedSinceLosesItsReplicas(t *testing.T) {
	in := to("b-v001", byLabels(live, rev(1, on, isGood, turnedOn), rev(2, hasFailed)))
	says(t, strategy.RedBlack{}, []row{{"it is newer", in, "put web-v002 x0 off failed"}})
}

func TestHistory(t *testing.T) {
	var old []cluster.Revision // of ours, without replicas, one below the other
	for seq := range int64(12) {
		old = append(old, rev(seq-12, isGood, sized(0, 0), func(r *cluster.Revision) { r.Name = "old" + string(rune('a'+seq)) }))
	}
	with := func(n int) strategy.Input { return goodSince(time.Hour, append(old[12-n:], rev(4, isGood))...) }
	for _, c := range []struct{ history, stay int }{{0, 10}, {-1, 0}, {1, 1}, {2, 2}} {
		keep := strategy.RedBlack{Keep: strategy.Retention{History: c.history}}
		says(t, keep, []row{{"as many as may stay", with(c.stay), "done"}, {"one more: the oldest goes", with(c.stay + 1), "delete old" + string(rune('a'+12-c.stay-1))}})
	}
}

// Done says when the first of several things falls due, and what it is.
func TestDoneSaysWhatFallsDueFirst(t *testing.T) {
	later := rev(3, isGood, times(ago(10*time.Second)))
	keep := strategy.RedBlack{Drain: time.Minute, Keep: strategy.Retention{Shrink: 10 * time.Second, Destroy: time.Hour}}
	in := goodSince(0, later, rev(4, isGood, times(ago(time.Hour))))
	done, ok := keep.Next(in).(strategy.Done)
	require.True(t, ok)
	require.Equal(t, "shrink web-v004 to 0", done.What)
	require.Equal(t, noon.Add(10*time.Second), done.Due)

	keep.Keep.Shrink = 55 * time.Second
	done, ok = keep.Next(in).(strategy.Done)
	require.True(t, ok)
	require.Equal(t, "scale web-v003 down", done.What, "it has drained by then")
	require.Equal(t, noon.Add(50*time.Second), done.Due)
}
