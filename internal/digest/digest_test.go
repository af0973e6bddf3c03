package digest_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/internal/digest"
)

type inner struct {
	at    time.Time
	names map[string]int
}

type outer struct {
	back  *outer
	inner *inner
	list  []inner
	on    bool
	f     func()
	spare int `digest:"-"`
}

func build(now time.Time) *outer {
	o := &outer{inner: &inner{at: now.Add(time.Second), names: map[string]int{"a": 1, "b": 2}}, list: []inner{{}}, on: true}
	o.back = o
	return o
}

var now = time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)

func TestTheSameAllTheWayDownIsTheSame(t *testing.T) {
	later := now.Add(time.Hour)
	require.Equal(t, digest.Of(now, build(now)), digest.Of(now, build(now)))
	require.Equal(t, digest.Of(now, build(now)), digest.Of(later, build(later)), "times count by their distance from now")
	o := build(now)
	o.spare, o.f = 7, func() {}
	require.Equal(t, digest.Of(now, build(now)), digest.Of(now, o), "what is left out does not count")
}

func TestAnyDifferenceCounts(t *testing.T) {
	was := digest.Of(now, build(now))
	for name, change := range map[string]func(*outer){
		"a flag":          func(o *outer) { o.on = false },
		"a time":          func(o *outer) { o.inner.at = now.Add(2 * time.Second) },
		"no time":         func(o *outer) { o.inner.at = time.Time{} },
		"a map's value":   func(o *outer) { o.inner.names["b"] = 3 },
		"a map's key":     func(o *outer) { o.inner.names["c"] = 0 },
		"a slice's end":   func(o *outer) { o.list = append(o.list, inner{}) },
		"a nil":           func(o *outer) { o.inner = nil },
		"no way back":     func(o *outer) { o.back = nil },
		"a nil in a list": func(o *outer) { o.list = nil },
	} {
		o := build(now)
		change(o)
		require.NotEqual(t, was, digest.Of(now, o), name)
	}
}
