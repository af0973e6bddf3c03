// What a look says of a Service that is open or pinned, what selector a write gives
// it, and which Deployments take part beside ReplicaSets.

package kube

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

// plainly are the options by which a plain Deployment is taken over.
func plainly(kind Kind) Options {
	return Options{Namespace: "shop", Kind: kind, Traffic: Selector, Services: []string{"web"}}
}

// found is a Deployment that its controller has seen, at its second template.
func found(t *testing.T, name string, replicas int32, template pairs) *workload {
	t.Helper()
	w := set(t, name, replicas, own, template, note(deploymentRevision, "2"))
	w.kind = Deployment
	return w
}

// part is a ReplicaSet of a Deployment.
func part(t *testing.T, of *workload, revision, hash string, replicas, ready int32) *workload {
	t.Helper()
	labels := maps.Clone(of.labels())
	labels[templateHash] = hash
	return set(t, of.Metadata.Name+"-"+hash, replicas, labels, labels, note(deploymentRevision, revision), func(w *workload) {
		yes := true
		w.Metadata.Labels, w.Status.ReadyReplicas = labels, ready
		w.Metadata.OwnerReferences = []metav1.OwnerReference{{UID: types.UID(of.uid()), Controller: &yes, Kind: "Deployment", Name: of.Metadata.Name}}
	})
}

// next is a revision that cutover made.
func next(t *testing.T, replicas int32, edit ...func(*workload)) *workload {
	t.Helper()
	labels := pairs{"app": "web", RevisionLabel: "web-v001"}
	edit = append(edit, note(ReleaseAnnotation, "2"), func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "web", RevisionLabel: "web-v001"} })
	return set(t, "web-v001", replicas, labels, labels, edit...)
}

func unseen(w *workload) { w.Metadata.Generation, w.Status.ObservedGeneration = 1, 0 }

var (
	bare1   = pairs{"app": "web"}
	pinned1 = pairs{"app": "web", templateHash: "one"}
	pinned2 = pairs{"app": "web", templateHash: "two"}
	moved   = pairs{"app": "web", RevisionLabel: "web-v001"}
)

// What a look says of a Service depends on the Deployment's ReplicaSets.
func TestAPinIsNamedOnlyWhileItHolds(t *testing.T) {
	web := found(t, "web", 3, bare1)
	settled := []*workload{part(t, web, "1", "one", 0, 0), part(t, web, "2", "two", 3, 3)}
	rolling := []*workload{part(t, web, "1", "one", 2, 2), part(t, web, "2", "two", 1, 1)}
	for name, c := range map[string]struct {
		sets         []*workload
		with         *workload
		selector     pairs
		names        []string
		open, pinned bool
	}{
		"plain, alone":                     {settled, nil, bare1, []string{"web"}, true, false},
		"plain, the next has no pods":      {settled, next(t, 0), bare1, []string{"web"}, true, false},
		"plain, the next is not seen yet":  {settled, next(t, 0, unseen), bare1, []string{"web"}, true, false},
		"plain, the next has pods":         {settled, next(t, 3), bare1, []string{"web", "web-v001"}, true, false},
		"pinned":                           {settled, next(t, 3), pinned2, []string{"web"}, false, true},
		"pinned to a template of before":   {settled, next(t, 3), pinned1, []string{}, false, true},
		"pinned to one that is being left": {rolling, next(t, 3), pinned1, []string{}, false, true},
		"switched":                         {settled, next(t, 3), moved, []string{"web-v001"}, false, false},
		"moved, and the next was scaled":   {settled, next(t, 0), moved, []string{"web-v001"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			all := []*workload{found(t, "web", 3, bare1)}
			if c.with != nil {
				all = append(all, c.with)
			}
			s := service("web", c.selector)
			s.Annotations = pairs{SinceAnnotation: stamp(noon)}
			r, err := enroll("web", plainly(ReplicaSet), all, c.sets, []corev1.Service{s})
			require.NoError(t, err)
			route := r.route(r.routes[0], nil)
			require.Equal(t, c.names, append([]string{}, sorted(route.Weights)...))
			require.Equal(t, []bool{c.open, c.pinned}, []bool{route.Open, route.Pinned}, "open, pinned")
			for _, w := range r.revisions {
				_, named := route.Weights[w.Metadata.Name]
				require.Equal(t, named, r.enabled(w), w)
			}
		})
	}
}

func TestAim(t *testing.T) {
	web := found(t, "web", 3, bare1)
	settled := []*workload{part(t, web, "1", "one", 0, 0), part(t, web, "2", "two", 3, 3)}
	rolling := []*workload{part(t, web, "1", "one", 2, 2), part(t, web, "2", "two", 1, 1)}
	farther := []*workload{part(t, web, "1", "one", 1, 1), part(t, web, "2", "two", 2, 2)}
	old, both := map[string]int{"web": 100}, map[string]int{"web-v001": 100}
	for name, c := range map[string]struct {
		sets   []*workload
		next   *workload
		from   pairs
		to     cluster.Route
		want   pairs
		is     error
		reason string
	}{
		"kept to the old one":                     {settled, next(t, 0), bare1, cluster.Route{Weights: old, Pinned: true}, pinned2, nil, ""},
		"as it is":                                {settled, next(t, 0), bare1, cluster.Route{Weights: old}, bare1, nil, ""},
		"pinned, as it is":                        {settled, next(t, 3), pinned2, cluster.Route{Weights: old, Pinned: true}, pinned2, nil, ""},
		"switched":                                {settled, next(t, 3), pinned2, cluster.Route{Weights: both, Pinned: true}, moved, nil, ""},
		"switched back":                           {settled, next(t, 3), moved, cluster.Route{Weights: old}, pinned2, nil, ""},
		"opened":                                  {settled, next(t, 0), pinned2, cluster.Route{Weights: old}, bare1, nil, ""},
		"lost, and opened":                        {rolling, next(t, 0), pinned1, cluster.Route{Weights: old}, bare1, nil, ""},
		"lost, and kept to the new template":      {settled, next(t, 3), pinned1, cluster.Route{Weights: old, Pinned: true}, pinned2, nil, ""},
		"losing, and kept where more pods are":    {rolling, next(t, 3), pinned1, cluster.Route{Weights: old, Pinned: true}, pinned1, nil, ""},
		"losing more, and moved to the others":    {farther, next(t, 3), pinned1, cluster.Route{Weights: old, Pinned: true}, pinned2, nil, ""},
		"two templates":                           {rolling, next(t, 0), bare1, cluster.Route{Weights: old, Pinned: true}, nil, cluster.ErrRefused, "has pods of two templates"},
		"two templates, on the way back":          {rolling, next(t, 3), moved, cluster.Route{Weights: old}, nil, cluster.ErrRefused, "has pods of two templates"},
		"opened while the next has pods":          {settled, next(t, 3), pinned2, cluster.Route{Weights: old}, nil, cluster.ErrRefused, "scale that to 0 first"},
		"opened while the next is said to":        {settled, next(t, 0, func(w *workload) { w.Status.Replicas = 3 }), pinned2, cluster.Route{Weights: old}, nil, cluster.ErrConflict, "still shows some"},
		"no ReplicaSet of it has been seen":       {nil, next(t, 0), bare1, cluster.Route{Weights: old, Pinned: true}, nil, cluster.ErrRefused, "no label"},
		"kept to two":                             {settled, next(t, 3), pinned2, cluster.Route{Weights: map[string]int{"web": 1, "web-v001": 1}, Pinned: true}, bare1, nil, ""},
		"opened, though it never was of this one": {settled, next(t, 3), pairs{"app": "web", "tier": "x", templateHash: "two"}, cluster.Route{Weights: old}, nil, cluster.ErrRefused, "is not one for the pods"},
	} {
		t.Run(name, func(t *testing.T) {
			s := service("web", c.from)
			s.Annotations = pairs{SinceAnnotation: stamp(noon)}
			r, err := enroll("web", plainly(ReplicaSet), []*workload{found(t, "web", 3, bare1), c.next}, c.sets, []corev1.Service{s})
			require.NoError(t, err)
			got, err := r.aim(r.routes[0].Service, c.to)
			if c.is != nil {
				require.ErrorIs(t, err, c.is)
				require.ErrorContains(t, err, c.reason)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

// Labels that charts put on everything are no versions.
func TestOpenBesideLabelsOfAnInstallation(t *testing.T) {
	labels := pairs{"app": "web", "release": "shop"}
	for name, selector := range map[string]pairs{"release": labels, "the end of its name": {"app": "web"}} {
		web := found(t, "shop-web", 3, labels)
		r, err := enroll("shop-web", plainly(Deployment), []*workload{web}, []*workload{part(t, web, "2", "two", 3, 3)}, []corev1.Service{service("web", selector)})
		require.NoError(t, err)
		require.True(t, r.route(r.routes[0], nil).Open, name)
	}
}

// A revision must not get traffic by getting pods.
func TestARaiseIntoTrafficIsRefused(t *testing.T) {
	web := found(t, "web", 3, bare1)
	for name, c := range map[string]struct {
		selector pairs
		refused  bool
	}{"plain": {bare1, true}, "pinned": {pinned2, false}, "its own": {moved, false}} {
		r, err := enroll("web", plainly(ReplicaSet), []*workload{web, next(t, 0)}, []*workload{part(t, web, "2", "two", 3, 3)}, []corev1.Service{service("web", c.selector)})
		require.NoError(t, err)
		if err := r.checkRaise(r.named("web-v001"), 3); c.refused {
			require.ErrorIs(t, err, cluster.ErrRefused, name)
			require.ErrorContains(t, err, "keep the Service to one revision first")
		} else {
			require.NoError(t, err, name)
		}
		require.NoError(t, r.checkRaise(r.named("web-v001"), 0), name)
	}
}

// The ReplicaSets of a Deployment that takes part are no strangers.
func TestItsReplicaSetsAreNoWarning(t *testing.T) {
	web := found(t, "web", 3, bare1)
	o := plainly(ReplicaSet)
	o.Match = bare1
	sets := []*workload{part(t, web, "2", "two", 3, 3)}
	r, err := enroll("web", o, append(sets, web), sets, []corev1.Service{service("web", bare1)})
	require.NoError(t, err)
	require.Empty(t, r.warnings)
	require.Equal(t, []*workload{web}, r.revisions)
}

// Where revisions are ReplicaSets, only that Deployment takes part which a declared
// Service selects, or did.
func TestWhichDeploymentsAreAdopted(t *testing.T) {
	web, other := found(t, "web", 3, bare1), found(t, "other", 3, bare1)
	for name, c := range map[string]struct {
		options  Options
		selector pairs
		want     bool
	}{
		"selected":           {plainly(ReplicaSet), bare1, true},
		"kept to":            {plainly(ReplicaSet), pinned2, true},
		"left":               {plainly(ReplicaSet), moved, true},
		"another's Service":  {plainly(ReplicaSet), pairs{"app": "x"}, false},
		"not declared":       {Options{Traffic: Selector}, bare1, false},
		"traffic is a label": {Options{Services: []string{"web"}}, bare1, false},
	} {
		all := c.options.candidates("web", nil, []*workload{web, other}, []corev1.Service{service("web", c.selector)})
		if c.want {
			require.Equal(t, []*workload{web}, all, name)
		} else {
			require.Empty(t, all, name)
		}
	}
}
