package kube

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"

	"github.com/cutover-dev/cutover/cluster"
)

func TestOptionsAreCheckedAsAWhole(t *testing.T) {
	_, err := Options{Batch: -1, Kind: 7, Services: []string{"a", ""}, Previews: []string{"service/a"}}.checked()
	for _, says := range []string{
		`Namespace "" is not the name of a namespace`, "Batch is -1", "Kind is 7", `Service "a" is both in Services and in Previews`, "a Service without a name",
	} {
		require.ErrorContains(t, err, says)
	}
	o, err := Options{Namespace: "shop", Services: []string{"service/b", "a", "b"}}.checked()
	require.NoError(t, err)
	require.Equal(t, []string{"a", "b"}, o.Services)
	require.Equal(t, defaultBatch, o.Batch)
}

// A selector is changed as little as makes it select one revision alone.
func TestPointingASelector(t *testing.T) {
	old := set(t, "shop-1.9", 1, pairs{"app": "shop", "version": "1.9"}, pairs{"app": "shop", "version": "1.9", "tier": "front"})
	older := set(t, "shop-1.8", 1, pairs{"app": "shop", "version": "1.8"}, pairs{"app": "shop", "version": "1.8", "tier": "front"})
	made := set(t, "shop-v001", 1, pairs{"app": "shop", RevisionLabel: "shop-v001"},
		pairs{"app": "shop", "version": "2.0", "tier": "front", RevisionLabel: "shop-v001"}, func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "shop"} })
	alike := set(t, "shop-v002", 1, pairs{"app": "shop", RevisionLabel: "shop-v002"},
		pairs{"app": "shop", "version": "1.9", "tier": "front", RevisionLabel: "shop-v002"}, func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "shop"} })
	for name, c := range map[string]struct {
		all  []*workload
		from pairs
		to   *workload
		want pairs
		says string
	}{
		"to one that cutover made":   {[]*workload{old, made}, pairs{"app": "shop", "version": "1.9"}, made, pairs{"app": "shop", "version": "2.0", RevisionLabel: "shop-v001"}, ""},
		"back to one that was found": {[]*workload{older, old, made}, pairs{"app": "shop", RevisionLabel: "shop-v001"}, old, pairs{"app": "shop", "version": "1.9"}, ""},
		"between found ones":         {[]*workload{older, old}, pairs{"version": "1.8"}, old, pairs{"version": "1.9"}, ""},
		"what all have stays":        {[]*workload{old, made}, pairs{"tier": "front", "version": "1.9"}, made, pairs{"tier": "front", "version": "2.0", RevisionLabel: "shop-v001"}, ""},
		"nobody's label":             {[]*workload{old, made}, pairs{"zone": "a", "version": "1.9"}, made, nil, "asks for zone=a, which the pods of ReplicaSet shop-v001 do not have"},
		"from one that is gone":      {[]*workload{made}, pairs{"app": "shop", "release": "1.9"}, made, pairs{"app": "shop", RevisionLabel: "shop-v001"}, ""},
		"gone, and known by name":    {[]*workload{made}, pairs{"app": "shop", "set": "shop-v000"}, made, pairs{"app": "shop", RevisionLabel: "shop-v001"}, ""},
		"one that cannot be told":    {[]*workload{old, alike}, pairs{"app": "shop", RevisionLabel: "shop-v002"}, old, nil, "no label tells the pods of ReplicaSet shop-1.9"},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := enroll("shop", Options{Traffic: Selector, Match: pairs{"app": "shop"}, Services: []string{"shop"}}, c.all, nil,
				[]corev1.Service{service("shop", c.from)})
			require.NoError(t, err)
			got, err := r.point(r.routes[0].Service, c.to, false)
			if c.says != "" {
				require.ErrorIs(t, err, cluster.ErrRefused)
				require.ErrorContains(t, err, c.says)
				return
			}
			require.NoError(t, err)
			require.Equal(t, c.want, got)
		})
	}
}

func TestADraftKeepsWhatItWasMadeFrom(t *testing.T) {
	found := set(t, "web-v006", 2, own, on, note("example.com/team", "shop"), note(monikerSequence, "6"), note(artifactName, "web"), note(lastApplied, "{}"))
	found.raw = []byte(`{"metadata":{"name":"web-v006","uid":"u","labels":{"moniker.spinnaker.io/sequence":"6","team":"shop"},
		"annotations":{"example.com/team":"shop","moniker.spinnaker.io/sequence":"6","artifact.spinnaker.io/name":"web"}},
		"spec":{"replicas":2,"selector":{"matchLabels":{"app":"web"}},
		"template":{"metadata":{"labels":{"app":"web","load-balancer-web":"true"},"creationTimestamp":null},
		"spec":{"containers":[{"name":"c","image":"i","aFieldOfTomorrow":12345678901234567890}]}}},"status":{"replicas":2}}`)
	r, err := enroll("web", Options{Namespace: "shop"}, []*workload{found}, nil, []corev1.Service{service("web", on)})
	require.NoError(t, err)
	m, w, born, err := r.draft(cluster.Revision{Name: "web-v007-baseline", Arm: "baseline", Release: "7", Seq: 7, Template: foundTemplate(found), Replicas: 1})
	require.NoError(t, err)
	require.False(t, born)
	require.Equal(t, pairs{AppLabel: "web", RevisionLabel: "web-v007-baseline"}, w.Metadata.Labels)
	require.Equal(t, "shop", w.annotation("example.com/team"))
	require.Equal(t, "7", w.annotation(SequenceAnnotation))
	require.Empty(t, w.annotation(monikerSequence)+w.annotation(artifactName), "Spinnaker is not to take it for its own")
	require.JSONEq(t, `{"team":"shop"}`, w.annotation(LabelsAnnotation))
	require.Equal(t, pairs{"app": "web", "load-balancer-web": "false", RevisionLabel: "web-v007-baseline"}, w.labels())
	require.Contains(t, string(m.json()), "aFieldOfTomorrow")

	// and found again, it gives the same manifest
	again, err := readManifest(m.json())
	require.NoError(t, err)
	require.Equal(t, m.texts(metaLabels...), pairs{AppLabel: "web", RevisionLabel: "web-v007-baseline"})
	require.Equal(t, pairs{"team": "shop"}, again.bare().texts(metaLabels...))
}

func TestAPodPatchComparesWhatItReplaces(t *testing.T) {
	yes := "true"
	for name, c := range map[string]struct {
		pod   corev1.Pod
		turn  map[string]*string
		fence string
		want  string
	}{
		"no annotation yet": {
			pod("web", 1, own), map[string]*string{"a/b~c": &yes}, "run-1",
			`[{"op":"test","path":"/metadata/uid","value":"pod-web-1"},
			{"op":"test","path":"/metadata/labels/a~1b~0c","value":null},{"op":"add","path":"/metadata/labels/a~1b~0c","value":"true"},
			{"op":"test","path":"/metadata/annotations","value":null},{"op":"add","path":"/metadata/annotations","value":{"cutover.dev/fence":"run-1"}}]`,
		},
		"a label goes, no fence is given": {
			pod("web", 1, on, func(p *corev1.Pod) { p.Annotations = pairs{FenceAnnotation: "run-0"} }), map[string]*string{"load-balancer-web": nil}, "",
			`[{"op":"test","path":"/metadata/uid","value":"pod-web-1"},
			{"op":"test","path":"/metadata/labels/load-balancer-web","value":"true"},{"op":"remove","path":"/metadata/labels/load-balancer-web"},
			{"op":"test","path":"/metadata/annotations/cutover.dev~1fence","value":"run-0"}]`,
		},
		"a touch": {
			pod("web", 1, on, func(p *corev1.Pod) { p.Annotations = pairs{"x": "y"} }), nil, "run-1",
			`[{"op":"test","path":"/metadata/uid","value":"pod-web-1"},
			{"op":"test","path":"/metadata/annotations/cutover.dev~1fence","value":null},{"op":"add","path":"/metadata/annotations/cutover.dev~1fence","value":"run-1"}]`,
		},
	} {
		got := podPatch(&c.pod, c.turn, c.fence)
		require.True(t, json.Valid(got), name)
		require.JSONEq(t, c.want, string(got), name)
	}
}
