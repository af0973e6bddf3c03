// What is refused, and what the person who has to act is told.

package kube_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
)

func TestLooksThatAreRefused(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		world   func(w *world)
		options kube.Options
		says    string
	}{
		"no such Service": {
			world:   func(*world) {},
			options: kube.Options{Services: []string{"web"}},
			says:    `there is no Service "web" in namespace`,
		},
		"a Service without a selector": {
			world:   func(w *world) { w.service("web", nil) },
			options: kube.Options{Services: []string{"web"}},
			says:    `Service "web" has no selector`,
		},
		"a traffic label in matchLabels": {
			world: func(w *world) {
				w.service("web", live)
				w.set("web-v001", 0, live, live)
				w.set("web-v002", 0, app, app)
			},
			options: kube.Options{Services: []string{"web"}},
			says:    `traffic label load-balancer-web=true of Service "web" is in the selector (matchLabels) of ReplicaSet web-v001`,
		},
		"the same, and no Service declared": {
			world: func(w *world) {
				w.service("web", live)
				w.set("web-v001", 0, live, live)
				w.set("web-v002", 0, app, app)
			},
			says: `is in the selector (matchLabels) of ReplicaSet web-v001`,
		},
		"a Service that selects every version": {
			world: func(w *world) {
				w.service("web", app)
				w.set("web-v001", 0, app, live)
			},
			options: kube.Options{Services: []string{"service/web"}},
			says:    `Service "web" selects every version`,
		},
		"two Services that want a label to be two values": {
			world: func(w *world) {
				w.service("a", map[string]string{"lb": "a"})
				w.service("b", map[string]string{"lb": "b"})
				w.set("web", 0, app, app)
			},
			options: kube.Options{Services: []string{"a", "b"}},
			says:    `want label lb to be both "a" and "b"`,
		},
		"label traffic on a Deployment": {
			world: func(w *world) {
				w.service("web", live)
				w.deployment("web", 0, app, live)
			},
			options: kube.Options{Kind: kube.Deployment},
			says:    `on a Deployment a label flip is a rollout that replaces every pod`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			c.world(w)
			_, err := w.open(c.options).Observe(t.Context(), "web")
			require.ErrorIs(t, err, cluster.ErrRefused)
			require.ErrorContains(t, err, c.says)
		})
	}
}

func TestCreatesThatAreRefused(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("a", 60)
	for name, c := range map[string]struct {
		world   func(w *world)
		app     string
		labels  map[string]string
		options kube.Options
		edit    func(r *cluster.Revision)
		says    string
	}{
		"a name over 63 characters": {
			app: long, labels: app,
			says: "the name of a revision has at most 63 characters, this has 65",
		},
		"the traffic label in matchLabels": {
			labels: live,
			says:   `traffic label load-balancer-web=true of Service "web" is in the selector`,
			world:  func(w *world) { w.set("web-v000", 0, app, dark) },
		},
		"the traffic label in the very first matchLabels": {
			labels: live,
			says:   `traffic label load-balancer-web=true of Service "web" is in the selector (matchLabels)`,
		},
		"orphans that it would adopt": {
			labels: app,
			world: func(w *world) {
				labels := map[string]string{"app": "web", kube.RevisionLabel: "web-v001"}
				_, err := w.client.CoreV1().Pods(w.ns).Create(w.t.Context(), &corev1.Pod{
					ObjectMeta: metav1.ObjectMeta{Name: "orphan", Labels: labels}, Spec: podTemplate(nil).Spec,
				}, metav1.CreateOptions{})
				require.NoError(w.t, err)
			},
			says: "it would adopt pods that are there already (orphan)",
		},
		"a Deployment that would adopt it": {
			labels: app,
			world: func(w *world) {
				w.deployment("greedy", 0, map[string]string{kube.AppLabel: "web"}, map[string]string{kube.AppLabel: "web"})
			},
			says: "Deployment greedy would adopt it and scale it to 0",
		},
		"pods that its Service would never select": {
			labels: map[string]string{"app": "other"},
			world:  func(w *world) { w.set("web-v000", 0, app, dark) },
			says:   `app=web`,
		},
		"negative replicas": {labels: app, edit: func(r *cluster.Revision) { r.Replicas = -1 }, says: "-1 replicas"},
		"no template":       {labels: app, edit: func(r *cluster.Revision) { r.Template = nil }, says: "not a manifest"},
		"another namespace": {
			labels: app,
			edit: func(r *cluster.Revision) {
				r.Template = []byte(strings.Replace(string(r.Template), `"metadata":{`, `"metadata":{"namespace":"elsewhere",`, 1))
			},
			says: `the manifest is for namespace "elsewhere"`,
		},
		"an invalid template": {
			labels: app,
			edit: func(r *cluster.Revision) {
				r.Template = []byte(strings.Replace(string(r.Template), `"name":"main"`, `"name":"Not A Name"`, 1))
			},
			says: "create ReplicaSet web-v001",
		},
		"a field that this apiserver does not know": {
			labels: app,
			edit: func(r *cluster.Revision) {
				r.Template = []byte(strings.Replace(string(r.Template), `"name":"main"`, `"name":"main","fromTheFuture":1`, 1))
			},
			says: "fromTheFuture",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			w.service("web", live)
			if c.world != nil {
				c.world(w)
			}
			if c.app == "" {
				c.app = "web"
			}
			r := cluster.Revision{
				Name: cluster.RevisionName(c.app, 1, ""), Release: "1", Seq: 1, Replicas: 1, Template: template(t, c.labels, "1"),
			}
			if c.edit != nil {
				c.edit(&r)
			}
			k := w.open(c.options)
			err := k.Put(t.Context(), c.app, r)
			require.ErrorIs(t, err, cluster.ErrRefused)
			require.ErrorContains(t, err, c.says)
			require.NotContains(t, err.Error(), "hush", "the value of an environment variable")
			sets, err := w.client.AppsV1().ReplicaSets(w.ns).List(t.Context(), metav1.ListOptions{LabelSelector: kube.RevisionLabel})
			require.NoError(t, err)
			require.Empty(t, sets.Items)
		})
	}
}

func TestSomebodyElsesReplicaSetIsNotWritten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	owner := w.set("owner", 0, map[string]string{"a": "b"}, map[string]string{"a": "b"})
	yes := true
	w.set("web", 0, app, app, func(rs *appsv1.ReplicaSet) {
		rs.OwnerReferences = []metav1.OwnerReference{{APIVersion: "example.com/v1", Kind: "Rollout", Name: "web", UID: owner.UID, Controller: &yes}}
	})
	c := w.open(kube.Options{})
	s := w.look(c, "web")
	require.Empty(t, s.Revisions)
	require.Contains(t, s.Warnings[0], "controlled by Rollout web")
	rs := w.observed("web")
	owner = w.observed("owner")
	r := cluster.Revision{Name: "web", UID: string(rs.UID), Version: rs.ResourceVersion, Replicas: 3}
	require.ErrorIs(t, c.Put(t.Context(), "web", r), cluster.ErrRefused)
	require.ErrorIs(t, c.Delete(t.Context(), "web", r), cluster.ErrRefused)
	r = cluster.Revision{Name: "owner", UID: string(owner.UID), Version: owner.ResourceVersion}
	require.ErrorIs(t, c.Delete(t.Context(), "web", r), cluster.ErrRefused, "of another app")
}

// observed returns a ReplicaSet once its controller has seen it, and will not
// write it again.
func (w *world) observed(name string) *appsv1.ReplicaSet {
	w.t.Helper()
	var rs *appsv1.ReplicaSet
	w.eventually(name+" is observed", func() bool {
		rs = w.get(name)
		return rs.Status.ObservedGeneration == rs.Generation
	}, w.describe)
	return rs
}

func TestAnUnreachableClusterIsNoRefusal(t *testing.T) {
	t.Parallel()
	c, err := kube.New(&rest.Config{Host: "https://127.0.0.1:1"}, kube.Options{Namespace: "shop"})
	require.NoError(t, err)
	_, err = c.Observe(t.Context(), "web")
	require.Error(t, err)
	require.NotErrorIs(t, err, cluster.ErrRefused)
	require.NotErrorIs(t, err, cluster.ErrConflict)
	require.ErrorContains(t, err, "get namespace shop")
}

func TestANamespaceThatIsNotThereIsRefused(t *testing.T) {
	t.Parallel()
	c, err := kube.New(plane.Config(), kube.Options{Namespace: "nowhere"})
	require.NoError(t, err)
	_, err = c.Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "get namespace nowhere")
}

func TestANamespaceThatIsBeingDeletedIsRefused(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	before := w.open(kube.Options{})
	w.look(before, "web")
	_, err := w.client.CoreV1().ConfigMaps(w.ns).Create(t.Context(), &corev1.ConfigMap{
		ObjectMeta: metav1.ObjectMeta{Name: "keeps-it", Finalizers: []string{"example.com/hold"}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)
	t.Cleanup(func() {
		_, _ = w.client.CoreV1().ConfigMaps(w.ns).Update(t.Context(), &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: "keeps-it"}}, metav1.UpdateOptions{})
	})
	require.NoError(t, w.client.CoreV1().Namespaces().Delete(t.Context(), w.ns, metav1.DeleteOptions{}))

	_, err = w.open(kube.Options{}).Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "is being deleted")
	err = before.Put(t.Context(), "web", cluster.Revision{Name: "web-v001", Seq: 1, Template: template(t, app, "1")})
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "the namespace is being deleted")
}

// Every right that is needed is asked for beforehand, and one that is missing is
// named. With them all, nothing else is needed.
func TestRightsAreCheckedBeforehand(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.service("web", live)
	rules := []rbacv1.PolicyRule{
		{APIGroups: []string{"apps"}, Resources: []string{"replicasets"}, Verbs: []string{"get", "list", "create", "patch", "delete"}},
		{APIGroups: []string{"apps"}, Resources: []string{"deployments"}, Verbs: []string{"list"}},
		{APIGroups: []string{""}, Resources: []string{"services"}, Verbs: []string{"list"}},
		{APIGroups: []string{"discovery.k8s.io"}, Resources: []string{"endpointslices"}, Verbs: []string{"list"}},
	}
	w.grant("deployer", rules)
	cfg := plane.UserConfig(t, "deployer-"+w.ns)
	c, err := kube.New(cfg, kube.Options{Namespace: w.ns})
	require.NoError(t, err)
	_, err = c.Observe(t.Context(), "web")
	require.ErrorIs(t, err, cluster.ErrRefused)
	require.ErrorContains(t, err, "not allowed in namespace "+w.ns+": list pods, patch pods: grant it")

	w.grant("deployer-too", []rbacv1.PolicyRule{{APIGroups: []string{""}, Resources: []string{"pods"}, Verbs: []string{"list", "patch"}}})
	w.eventually("the grant is known", func() bool { _, err = c.Observe(t.Context(), "web"); return err == nil }, func() string { return err.Error() })
	require.NoError(t, c.Put(t.Context(), "web", cluster.Revision{
		Name: "web-v001", Release: "1", Seq: 1, Replicas: 1, Template: template(t, app, "1"), Enabled: true,
	}))
	w.serving(c, "web", "web-v001", 1)
	for range 2 {
		r := w.rested(c, "web", "web-v001")
		r.Enabled = !r.Enabled
		require.NoError(t, c.Put(t.Context(), "web", r))
	}
	r := w.rested(c, "web", "web-v001")
	require.NoError(t, c.Delete(t.Context(), "web", r))
}

// grant lets the world's own user do something in it.
func (w *world) grant(role string, rules []rbacv1.PolicyRule) {
	w.t.Helper()
	_, err := w.client.RbacV1().Roles(w.ns).Create(w.t.Context(), &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: role}, Rules: rules}, metav1.CreateOptions{})
	require.NoError(w.t, err)
	_, err = w.client.RbacV1().RoleBindings(w.ns).Create(w.t.Context(), &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: role},
		RoleRef:    rbacv1.RoleRef{APIGroup: "rbac.authorization.k8s.io", Kind: "Role", Name: role},
		Subjects:   []rbacv1.Subject{{APIGroup: "rbac.authorization.k8s.io", Kind: "User", Name: "deployer-" + w.ns}},
	}, metav1.CreateOptions{})
	require.NoError(w.t, err)
}
