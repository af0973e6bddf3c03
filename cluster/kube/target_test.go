package kube

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const replicaSetYAML = `# the web shop
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: web
  namespace: shop
  labels: {team: shop}
  annotations: {example.com/owner: someone}
spec:
  replicas: 3
  minReadySeconds: 5
  selector:
    matchLabels: {app: web}
  template:
    metadata:
      labels: {app: web}
      annotations: {example.com/a: b}
    spec:
      initContainers:
      - {name: setup, image: example/setup:1}
      containers:
      - name: main
        image: example/web:1
        env:
        - {name: PASSWORD, value: hush-hush}
      - {name: side, image: example/side:1}
`

func TestTargetKeepsWhatWasWritten(t *testing.T) {
	target, err := Target([]byte("---\n"+replicaSetYAML+"---\n# nothing more\n"), "main=example/web:2", "setup=example/setup@sha256:ab")
	require.NoError(t, err)
	require.Equal(t, 3, target.Replicas)
	require.Empty(t, target.Release)
	require.JSONEq(t, `{
		"apiVersion": "apps/v1", "kind": "ReplicaSet",
		"metadata": {"namespace": "shop", "labels": {"team": "shop"}, "annotations": {"example.com/owner": "someone"}},
		"spec": {
			"minReadySeconds": 5,
			"selector": {"matchLabels": {"app": "web"}},
			"template": {
				"metadata": {"labels": {"app": "web"}, "annotations": {"example.com/a": "b"}},
				"spec": {
					"initContainers": [{"name": "setup", "image": "example/setup@sha256:ab"}],
					"containers": [
						{"name": "main", "image": "example/web:2", "env": [{"name": "PASSWORD", "value": "hush-hush"}]},
						{"name": "side", "image": "example/side:1"}
					]
				}
			}
		}
	}`, string(target.Template))
	again, err := Target(target.Template)
	require.NoError(t, err)
	require.Equal(t, string(target.Template), string(again.Template), "a target is its own manifest")
	require.Zero(t, again.Replicas)
}

func TestTargetTakesPodTemplates(t *testing.T) {
	want := `{"apiVersion":"apps/v1","kind":"ReplicaSet","spec":{"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"image":"i:2","name":"c"}]}}}}`
	for name, manifest := range map[string]string{
		"alone":         `{metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "i:1"}]}}`,
		"a PodTemplate": `{apiVersion: v1, kind: PodTemplate, metadata: {name: x}, template: {metadata: {labels: {app: web}}, spec: {containers: [{name: c, image: "i:1"}]}}}`,
		"no image yet":  `{metadata: {labels: {app: web}}, spec: {containers: [{name: c}]}}`,
		"JSON":          `{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"c","image":"i:1"}]}}`,
	} {
		target, err := Target([]byte(manifest), "i:2")
		require.NoError(t, err, name)
		require.Equal(t, want, string(target.Template), name)
	}
}

func TestTargetKeepsWhatOnlyADeploymentHas(t *testing.T) {
	target, err := Target([]byte(strings.Replace(replicaSetYAML, "kind: ReplicaSet", "kind: Deployment", 1) + "  strategy: {type: Recreate}\n"))
	require.NoError(t, err)
	m, err := readManifest(target.Template)
	require.NoError(t, err)
	require.Equal(t, Deployment, m.kind)
	require.Equal(t, map[string]any{"type": "Recreate"}, m.doc["spec"].(map[string]any)["strategy"])
	m.become(ReplicaSet)
	require.NotContains(t, m.doc["spec"], "strategy")
}

func TestTargetSaysWhatIsWrong(t *testing.T) {
	edit := func(old, new string) string { return strings.Replace(replicaSetYAML, old, new, 1) }
	for name, c := range map[string]struct {
		manifest string
		images   []string
		says     string
	}{
		"nothing":               {"", nil, "it is empty"},
		"only comments":         {"# hi\n---\n", nil, "it is empty"},
		"two documents":         {replicaSetYAML + "---\n" + replicaSetYAML, nil, "more than one document"},
		"no map":                {"[1, 2]", nil, "this is no map of fields"},
		"a list":                {"{apiVersion: v1, kind: List, items: []}", nil, `kind "List": want a ReplicaSet`},
		"a StatefulSet":         {edit("ReplicaSet", "StatefulSet"), nil, `kind "StatefulSet": want a ReplicaSet`},
		"an old version":        {edit("apps/v1", "extensions/v1beta1"), nil, `apiVersion "extensions/v1beta1"`},
		"an unknown field":      {edit("minReadySeconds", "minReadySecond"), nil, `unknown field "spec.minReadySecond"`},
		"another case":          {edit("minReadySeconds", "MinReadySeconds"), nil, `unknown field "spec.MinReadySeconds"`},
		"unknown in a template": {"{spec: {containers: [{name: c, image: i, imag: j}]}}", nil, `unknown field "spec.containers[0].imag"`},
		"given twice":           {edit("  replicas: 3", "  replicas: 3\n  replicas: 4"), nil, `line 11: key "replicas" already set in map`},
		"a wrong type":          {edit("replicas: 3", "replicas: many"), nil, "json: cannot unmarshal string into Go struct field ReplicaSetSpec.spec.replicas of type int32"},
		"negative replicas":     {edit("replicas: 3", "replicas: -3"), nil, "spec.replicas: want a number that is not negative"},
		"no containers":         {"{spec: {containers: []}}", nil, "there is none"},
		"no image":              {"{spec: {containers: [{name: c}]}}", nil, "it has no image"},
		"no name":               {"{spec: {containers: [{image: i}]}}", nil, "it has no name"},
		"a foreign selector":    {edit("matchLabels: {app: web}", "matchLabels: {app: api}"), nil, "it does not select the pods of spec.template"},
		"a bad selector":        {edit("matchLabels: {app: web}", "matchExpressions: [{key: a, operator: Maybe}]"), nil, "it is not a valid selector"},
		"no such container":     {replicaSetYAML, []string{"nope=i"}, `there is no container "nope", there are ["main" "side" "setup"]`},
		"which container":       {replicaSetYAML, []string{"i:2"}, "an image for one of 2 containers: write container=image"},
		"an empty image":        {replicaSetYAML, []string{"main="}, "want container=image"},
		"a tab":                 {"spec:\n\tcontainers: []", nil, "line 2"},
		"a binary":              {"\x00\x01\x02", nil, "cannot be read"},
		"a map as a key":        {"? {a: hush-hush}\n: {b: hush-hush}", nil, "it cannot be read"},
		"env that is a number":  {edit("value: hush-hush", "value: 4711"), nil, "cannot unmarshal number"},
		"env that is a map":     {edit("value: hush-hush", "value: {hush-hush: hush-hush}"), nil, "cannot unmarshal object"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := Target([]byte(c.manifest), c.images...)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hush")
			require.NotContains(t, err.Error(), "4711")
		})
	}
}

// FuzzTarget: no input makes it panic, tell a secret, or return what it does not
// take again.
func FuzzTarget(f *testing.F) {
	f.Add(replicaSetYAML, "main=i")
	f.Add(`{"spec":{"containers":[{"name":"c","image":"i","env":[{"name":"A","value":"q1w2e3r4"}]}]}}`, "i")
	f.Add("? {a: b}\n: q1w2e3r4", "")
	f.Add("spec: &a [*a, q1w2e3r4]", "=")
	f.Add("a: !!binary q1w2e3r4\nkind: q1w2e3r4x", "a=b=c")
	f.Fuzz(func(t *testing.T, manifest, image string) {
		target, err := Target([]byte(manifest), image)
		if err != nil {
			for _, line := range strings.Split(manifest, "\n") {
				if _, value, ok := strings.Cut(line, "value:"); ok && strings.Contains(value, "q1w2e3r4") && strings.Contains(err.Error(), "q1w2e3r4") {
					t.Fatalf("the error tells a value: %v", err)
				}
			}
			return
		}
		if !json.Valid(target.Template) || target.Replicas < 0 {
			t.Fatalf("made %d of %q", target.Replicas, target.Template)
		}
		again, err := Target(target.Template)
		if err != nil || string(again.Template) != string(target.Template) {
			t.Fatalf("not taken again: %v\n%s\n%s", err, target.Template, again.Template)
		}
	})
}
