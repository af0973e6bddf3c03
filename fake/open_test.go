// Routes that know no revisions: what the contract of cluster says of open and
// pinned ones.

package fake_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// plain is a world with a plain web that serves with three pods, by a route that
// would bring traffic to any pod.
func plain(t *testing.T) *bareWorld {
	w := &bareWorld{t: t, Cluster: fake.New(fake.World{Can: cluster.Can{Select: true}, Routes: []cluster.Route{{Name: "service/web", Open: true}}})}
	w.AddFound("web", cluster.Revision{Name: "web", Replicas: 3, Enabled: true, Template: []byte("old")})
	w.pass(time.Minute)
	return w
}

type bareWorld struct {
	*fake.Cluster
	t *testing.T
}

func (w *bareWorld) pass(d time.Duration) { require.NoError(w.t, w.Sleep(context.Background(), d)) }

func (w *bareWorld) route() cluster.Route { return w.State("web").Routes[0] }

func (w *bareWorld) found(name string) cluster.Revision {
	r, ok := w.State("web").Named(name)
	require.True(w.t, ok, name)
	return r
}

// set sets the route as it is but for what edit does.
func (w *bareWorld) set(edit func(*cluster.Route)) error {
	r := w.route()
	edit(&r)
	return w.SetRoute(context.Background(), "web", r)
}

func (w *bareWorld) pin() error   { return w.set(func(r *cluster.Route) { r.Pinned = true }) }
func (w *bareWorld) unpin() error { return w.set(func(r *cluster.Route) { r.Pinned = false }) }

func (w *bareWorld) to(names ...string) error {
	return w.set(func(r *cluster.Route) {
		r.Weights = map[string]int{}
		for _, name := range names {
			r.Weights[name] = 100
		}
	})
}

// create makes the next revision, and raise gives it replicas.
func (w *bareWorld) create(replicas int) error {
	return w.Put(context.Background(), "web", cluster.Revision{Name: "web-v001", Seq: 1, Release: "b1", Template: []byte("new"), Replicas: replicas})
}

func (w *bareWorld) raise(name string, replicas int) error {
	r := w.found(name)
	r.Replicas = replicas
	return w.Put(context.Background(), "web", r)
}

// Whatever gets a ready pod would get traffic, so nothing does beside what has it.
func TestAnOpenRouteKeepsOthersFromHavingPods(t *testing.T) {
	w := plain(t)
	require.True(t, w.route().Open)
	require.Equal(t, 3, w.State("web").ReliedOn("web"))
	require.ErrorIs(t, w.create(3), cluster.ErrRefused)
	require.NoError(t, w.create(0))
	require.ErrorIs(t, w.raise("web-v001", 3), cluster.ErrRefused)
	require.NoError(t, w.raise("web", 4), "it has it already")
	w.AddFound("web", cluster.Revision{Name: "web-v002", Seq: 2, Release: "somebody", Replicas: 1, Template: []byte("other")})
	w.pass(time.Minute)
	require.Equal(t, 1, w.State("web").ReliedOn("web-v002"), "who does not ask has brought it traffic")
	require.Len(t, w.route().Weights, 2)
}

func TestAPinKeepsARouteToPodsThatAreThere(t *testing.T) {
	w := plain(t)
	require.NoError(t, w.create(0))
	require.NoError(t, w.pin())
	was := w.route()
	require.True(t, was.Pinned && !was.Open)
	require.Equal(t, map[string]int{"web": 100}, was.Weights)
	require.NoError(t, w.raise("web-v001", 3))
	w.pass(time.Minute)
	require.Equal(t, 3, w.found("web-v001").Ready)
	require.Zero(t, w.State("web").Exposed("web-v001"))
	require.Equal(t, 3, w.State("web").ReliedOn("web"))

	require.ErrorIs(t, w.unpin(), cluster.ErrRefused, "it would select web-v001, too")
	require.NoError(t, w.raise("web-v001", 0))
	require.ErrorIs(t, w.unpin(), cluster.ErrConflict, "its pods have yet to go")
	w.pass(time.Minute)
	require.NoError(t, w.unpin())
	require.True(t, w.route().Open && !w.route().Pinned)
	require.True(t, w.route().Since.After(was.Since))
	w.pass(time.Minute)
	require.Equal(t, 3, w.State("web").ReliedOn("web"))
}

// The pods of a new template have another hash, and the pin does not move.
func TestAPinEmptiesWhenTheTemplateChanges(t *testing.T) {
	w := plain(t)
	require.NoError(t, w.create(0))
	require.NoError(t, w.pin())
	require.True(t, w.RollOut("web", "web", []byte("hotfix")))
	require.NoError(t, w.pin(), "as it is")
	least := 3
	for range 60 {
		w.pass(500 * time.Millisecond)
		least = min(least, w.found("web").Ready)
	}
	require.Equal(t, 3, least, "the rollout itself costs nothing")
	require.Equal(t, 3, w.found("web").Pods)
	require.Equal(t, "hotfix", string(w.found("web").Template))
	require.True(t, w.route().Pinned)
	require.Empty(t, w.route().Weights)
	require.Zero(t, w.State("web").Serving())

	require.NoError(t, w.set(func(r *cluster.Route) { r.Weights = map[string]int{"web": 100} }), "kept to the new template")
	w.pass(time.Minute)
	require.Equal(t, 3, w.State("web").ReliedOn("web"))
}

// Where nothing is pinned a rollout is nobody's business, but a pin is refused
// meanwhile: it could name only one of the two templates.
func TestAPinIsRefusedInARollout(t *testing.T) {
	w := plain(t)
	require.True(t, w.RollOut("web", "web", []byte("hotfix")))
	require.ErrorIs(t, w.pin(), cluster.ErrConflict, "its controller has not seen it yet")
	w.pass(time.Second)
	require.ErrorIs(t, w.pin(), cluster.ErrRefused)
	require.ErrorIs(t, w.create(0), cluster.ErrRefused, "and what could not be kept out is not made")
	w.pass(time.Minute)
	require.Equal(t, 3, w.State("web").Serving())
	require.NoError(t, w.create(0))
	require.NoError(t, w.pin())
}

// A revision of cutover's has a label of its own. The way back is a pin.
func TestThereAndBackFromAPin(t *testing.T) {
	w := plain(t)
	require.NoError(t, w.create(0))
	require.NoError(t, w.pin())
	require.NoError(t, w.raise("web-v001", 3))
	w.pass(time.Minute)
	require.NoError(t, w.to("web-v001"))
	w.pass(time.Minute)
	require.Equal(t, []bool{false, false}, []bool{w.route().Open, w.route().Pinned})
	require.Equal(t, 3, w.State("web").ReliedOn("web-v001"))
	require.Zero(t, w.State("web").Exposed("web"))
	require.NoError(t, w.to("web"))
	w.pass(time.Minute)
	require.True(t, w.route().Pinned)
	require.Equal(t, 3, w.State("web").ReliedOn("web"))
	require.Zero(t, w.State("web").Exposed("web-v001"))
	require.ErrorIs(t, w.to(), cluster.ErrRefused)
}

// What a look shows of a pin is a world again.
func TestAPinnedWorldFromALook(t *testing.T) {
	w := plain(t)
	require.NoError(t, w.create(0))
	require.NoError(t, w.pin())
	require.NoError(t, w.raise("web-v001", 3))
	w.pass(time.Minute)
	again := &bareWorld{t: t, Cluster: fake.From("web", w.State("web"), fake.World{})}
	require.Equal(t, w.State("web").Routes, again.State("web").Routes)
	again.pass(time.Minute)
	require.Equal(t, 3, again.State("web").ReliedOn("web"))
	require.Zero(t, again.State("web").Exposed("web-v001"))
	require.ErrorIs(t, again.unpin(), cluster.ErrRefused)
}
