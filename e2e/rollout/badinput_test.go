// Bad input gets a clear error before the first write.

package rollout_test

import (
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/e2e/controlplane"
	"github.com/cutover-dev/cutover/strategy"
)

const foreign = `
---
apiVersion: apps/v1
kind: ReplicaSet
metadata: {name: another}
spec:
  replicas: 1
  selector: {matchLabels: {app: another}}
  template:
    metadata: {labels: {app: another, load-balancer-imageresizer: "true"}}
    spec: {containers: [{name: another, image: "example/another:1"}]}
`

const owner = `
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: greedy}
spec:
  replicas: 1
  selector: {matchExpressions: [{key: own, operator: DoesNotExist}]}
  template:
    metadata: {labels: {app: greedy}}
    spec: {containers: [{name: greedy, image: "example/greedy:1"}]}
`

// broken is one thing wrong with what is otherwise the tutorial.
type broken struct {
	name    string
	objects func(string) string     // of the tutorial's
	target  func(t *cluster.Target) // nil: as it is
	options func(o *kube.Options)   // nil: as they are
	app     string                  // "": the tutorial's
	config  func(*testing.T, *world) *rest.Config
	ready   func(*world) bool // of the world; nil: at once
	kind    strategy.Kind     // 0: it gave up
	says    string
}

func brokens() []broken {
	replace := func(old, with string) func(string) string {
		return func(s string) string {
			if !strings.Contains(s, old) {
				panic("the tutorial has no " + old)
			}
			return strings.ReplaceAll(s, old, with)
		}
	}
	return []broken{
		{name: "no such Service", options: func(o *kube.Options) { o.Services = []string{"nothing"} }, kind: strategy.Refused, says: `no Service "nothing"`},
		{name: "a Service without a selector", objects: replace("selector: {load-balancer-imageresizer: \"true\"}", "clusterIP: None"),
			options: func(o *kube.Options) { o.Services = []string{app} }, kind: strategy.Refused, says: "has no selector"},
		{name: "the traffic label is in matchLabels", objects: replace("matchLabels: {", `matchLabels: {load-balancer-imageresizer: "true", `), kind: strategy.Unfit, says: "matchLabels"},
		{name: "the traffic label is in the new one's matchLabels", target: func(t *cluster.Target) {
			t.Template = []byte(strings.Replace(string(t.Template), `"matchLabels":{`, `"matchLabels":{"load-balancer-imageresizer":"true",`, 1))
		}, kind: strategy.Refused, says: "matchLabels"},
		{name: "the selector catches foreign pods", objects: func(s string) string { return s + foreign },
			ready: func(w *world) bool { return w.endpoints() == 3 }, kind: strategy.Unfit, says: "pods of no revision"},
		{name: "a Deployment would adopt the new ReplicaSet", objects: func(s string) string {
			// the old one has a label that keeps it from being adopted itself
			return strings.Replace(s, "{name: imageresizer-v001}", `{name: imageresizer-v001, labels: {own: "true"}}`, 1) + owner
		}, kind: strategy.Refused, says: "greedy"},
		{name: "label traffic on a Deployment", options: func(o *kube.Options) { o.Kind = kube.Deployment },
			objects: replace("kind: ReplicaSet", "kind: Deployment"), kind: strategy.Refused, says: "rollout"},
		{name: "a name that is too long", app: strings.Repeat("a", 60), objects: func(s string) string { return strings.Split(s, "---")[0] },
			options: func(o *kube.Options) { o.Services = []string{app} }, kind: strategy.Refused, says: "63"},
		{name: "negative replicas", target: func(t *cluster.Target) { t.Replicas = -1 }, kind: strategy.Unfit, says: "-1 replicas"},
		{name: "as many as serve, and nothing serves", objects: replace("replicas: 2", "replicas: 0"), target: func(t *cluster.Target) { t.Replicas = 0 },
			ready: func(w *world) bool { return w.endpoints() == 0 }, kind: strategy.Unfit, says: "nothing serves"},
		{name: "no template", target: func(t *cluster.Target) { t.Template = nil }, kind: strategy.Unfit, says: "no template"},
		{name: "an unreachable cluster", config: func(*testing.T, *world) *rest.Config {
			return &rest.Config{Host: "http://127.0.0.1:1"}
		}, says: "gave up"},
		{name: "a forbidden verb", config: withoutDelete, kind: strategy.Refused, says: "delete"},
		{name: "a namespace that is being deleted", ready: func(w *world) bool {
			// a finalizer keeps it there
			ns, err := w.client.CoreV1().Namespaces().Get(w.t.Context(), w.ns, metav1.GetOptions{})
			require.NoError(w.t, err)
			if ns.DeletionTimestamp == nil {
				require.NoError(w.t, w.client.CoreV1().Namespaces().Delete(w.t.Context(), w.ns, metav1.DeleteOptions{}))
			}
			return ns.DeletionTimestamp != nil
		}, objects: func(s string) string {
			return s + "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: keep, finalizers: [cutover.test/keep]}\n"
		}, kind: strategy.Refused, says: "being deleted"},
	}
}

func TestBadInput(t *testing.T) {
	t.Parallel()
	for _, b := range brokens() {
		t.Run(b.name, func(t *testing.T) {
			t.Parallel()
			objects := tutorial
			if b.objects != nil {
				objects = b.objects(objects)
			}
			w := newWorld(t, objects)
			if b.ready == nil && b.objects == nil {
				b.ready = func(w *world) bool { return w.endpoints() == 2 }
			}
			if b.ready != nil {
				w.eventually("the world is as it should be", func() bool { return b.ready(w) })
			}
			err := w.attempt(b)
			t.Log(err)
			require.ErrorContains(t, err, b.says)
			var abort *strategy.AbortError
			if b.kind == 0 {
				require.ErrorIs(t, err, strategy.ErrGaveUp)
			} else {
				require.ErrorAs(t, err, &abort)
				require.Equal(t, b.kind.String(), abort.Kind.String())
				require.Contains(t, err.Error(), "To do: ")
			}
			entries, err := plane.Audit(w.ns)
			require.NoError(t, err)
			require.Empty(t, controlplane.Mutating(entries), "nothing was written")
		})
	}
}

func (w *world) attempt(b broken) error {
	cfg := plane.Config()
	if b.config != nil {
		cfg = b.config(w.t, w)
	}
	cfg.UserAgent = w.ns
	options := kube.Options{Namespace: w.ns}
	if b.options != nil {
		b.options(&options)
	}
	c, err := kube.New(cfg, options)
	require.NoError(w.t, err)
	target, err := kube.Target([]byte(second))
	require.NoError(w.t, err)
	target.Release = "release-2"
	if b.target != nil {
		b.target(&target)
	}
	name := app
	if b.app != "" {
		name = b.app
	}
	runner := strategy.Runner{Cluster: c, Poll: 20 * time.Millisecond, GiveUp: 2 * time.Second}
	_, err = runner.Run(w.t.Context(), name, target, strategy.RedBlack{Ready: 5 * time.Second})
	return err
}

// A manifest, an image or a kubeconfig that cannot be read is an error of the
// tool before it asks anything; and no error repeats what may be a secret.
func TestMalformedFiles(t *testing.T) {
	t.Parallel()
	w := newWorld(t, tutorial)
	for _, c := range []struct{ name, manifest, kubeconfig, image, says string }{
		{"a field that does not exist", second + "\n  replica: 3\n", "", "", "replica"},
		{"no YAML", "kind: [", "", "", "manifest"},
		{"another kind", "apiVersion: apps/v1\nkind: StatefulSet\nmetadata: {name: x}\n", "", "", "StatefulSet"},
		{"no such container", second, "", "sidecar=example/x:1", "sidecar"},
		{"a secret beside a wrong field", strings.Replace(second, "image:", "env: [{name: PASSWORD, value: hunter2}], imag:", 1), "", "", "imag"},
		{"a kubeconfig that is none", second, "apiVersion: v1\nkind: Config\nclusters: 7\n", "", "kubeconfig"},
	} {
		t.Run(c.name, func(t *testing.T) {
			kubeconfig := plane.Kubeconfig()
			if c.kubeconfig != "" {
				kubeconfig = w.file(c.kubeconfig)
			}
			args := []string{"-kubeconfig", kubeconfig, "-namespace", w.ns, "-app", app, "-manifest", w.file(c.manifest)}
			if c.image != "" {
				args = append(args, "-image", c.image)
			}
			out, err := exec.Command(tool, args...).CombinedOutput()
			var exit *exec.ExitError
			require.ErrorAs(t, err, &exit)
			require.Equal(t, 2, exit.ExitCode(), "%s", out)
			require.Contains(t, string(out), c.says)
			require.NotContains(t, string(out), "hunter2")
			t.Log(string(out))
		})
	}
	require.Equal(t, []string{"imageresizer-v001 2"}, w.kubectl("get", "rs", "--no-headers", "-o", "custom-columns=:.metadata.name,:.spec.replicas"))
}

// A GitOps tool that manages the very field that will be written is named.
func TestForeignManagerIsAWarning(t *testing.T) {
	t.Parallel()
	w := newWorld(t, strings.Split(tutorial, "---")[0])
	cmd := exec.Command(plane.Kubectl, "--kubeconfig", plane.Kubeconfig(), "-n", w.ns, "apply", "--server-side", "--field-manager", "argocd-controller", "-f", "-")
	cmd.Stdin = strings.NewReader(strings.Split(tutorial, "---")[1])
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	w.serve(2)

	deploy, err := exec.Command(tool, "-kubeconfig", plane.Kubeconfig(), "-namespace", w.ns, "-app", app, "-manifest", w.file(second),
		"-poll", "20ms", "-skew", "-1ns", "-bake", "0", "-drain", "-1ns").CombinedOutput()
	require.NoError(t, err, "%s", deploy)
	require.Contains(t, string(deploy), "warning: ")
	require.Contains(t, string(deploy), "argocd-controller")
	w.held(2)
}

// withoutDelete is a user who may do all that is needed, but delete.
func withoutDelete(t *testing.T, w *world) *rest.Config {
	rule := func(group string, verbs []string, resources ...string) rbacv1.PolicyRule {
		return rbacv1.PolicyRule{APIGroups: []string{group}, Resources: resources, Verbs: verbs}
	}
	all := []string{"get", "list", "watch", "create", "update", "patch"}
	_, err := w.client.RbacV1().Roles(w.ns).Create(t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "deployer"}, Rules: []rbacv1.PolicyRule{
		rule("apps", all, "replicasets", "deployments"), rule("", all, "pods", "services"), rule("discovery.k8s.io", all, "endpointslices"),
	}}, metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = w.client.RbacV1().RoleBindings(w.ns).Create(t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "deployer"},
		Subjects:   []rbacv1.Subject{{Kind: "User", Name: w.ns, APIGroup: "rbac.authorization.k8s.io"}},
		RoleRef:    rbacv1.RoleRef{Kind: "Role", Name: "deployer", APIGroup: "rbac.authorization.k8s.io"},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	return plane.UserConfig(t, w.ns)
}
