// A plane does what its documentation says, shown on real planes.

package controlplane

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	appsv1 "k8s.io/api/apps/v1"
	batchv1 "k8s.io/api/batch/v1"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
)

// shared is the plane of the tests that disturb nobody else.
var shared *Plane

func TestMain(m *testing.M) {
	if os.Getenv(childVariable) != "" {
		os.Exit(m.Run()) // see TestNothingSurvivesAKilledProcess
	}
	var err error
	if shared, err = New(context.Background(), Options{}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	code := m.Run()
	if err := shared.Stop(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	if err := goleak.Find(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func TestTwoPlanesSideBySide(t *testing.T) {
	planes := make([]*Plane, 2)
	var group sync.WaitGroup
	begun := time.Now()
	for i := range planes {
		group.Go(func() {
			plane, err := New(t.Context(), Options{Nodes: i + 1})
			if assert.NoError(t, err) {
				planes[i] = plane
			}
		})
	}
	group.Wait()
	t.Logf("both are up after %v", time.Since(begun))
	for _, plane := range planes {
		require.NotNil(t, plane)
		t.Cleanup(func() { assert.NoError(t, plane.Stop()) })
	}
	for i, plane := range planes {
		nodes, err := clientOf(t, plane.Config()).CoreV1().Nodes().List(t.Context(), metav1.ListOptions{})
		require.NoError(t, err)
		require.Len(t, nodes.Items, i+1, "each plane has its own nodes")
	}

	// What happens to one is nothing to the other.
	dir := planes[0].dir
	require.NoError(t, planes[0].Stop())
	require.NoDirExists(t, dir)
	ns := planes[1].Namespace(t)
	client := clientOf(t, planes[1].Config())
	create(t, client, replicaSet(ns, "web", 2, nil))
	eventually(t, "2 ready pods", func(ctx context.Context) (bool, any) {
		ready := readyPods(ctx, t, client, ns)
		return len(ready) == 2, ready
	})
}

func TestPodsBecomeReadyAndEndpointsFollow(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	_, err := client.CoreV1().Services(ns).Create(t.Context(), &corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: "web"},
		Spec:       corev1.ServiceSpec{Selector: map[string]string{"app": "web"}, Ports: []corev1.ServicePort{{Port: 80}}},
	}, metav1.CreateOptions{})
	require.NoError(t, err)

	begun := time.Now()
	create(t, client, replicaSet(ns, "web", 3, nil))
	eventually(t, "3 ready pods", func(ctx context.Context) (bool, any) {
		rs, err := client.AppsV1().ReplicaSets(ns).Get(ctx, "web", metav1.GetOptions{})
		return err == nil && rs.Status.ReadyReplicas == 3, rs
	})
	t.Logf("3 pods are ready after %v", time.Since(begun))
	eventually(t, "3 ready endpoints with addresses of their own", func(ctx context.Context) (bool, any) {
		ready := readyEndpoints(ctx, t, client, ns, "web")
		return len(slices.Compact(slices.Sorted(slices.Values(ready)))) == 3, ready
	})
	t.Logf("3 endpoints are ready after %v", time.Since(begun))
}

func TestFreezeAndThaw(t *testing.T) {
	ns, client := shared.Namespace(t), clientOf(t, shared.Config())
	create(t, client, replicaSet(ns, "web", 1, nil))
	eventually(t, "1 ready pod", func(ctx context.Context) (bool, any) {
		ready := readyPods(ctx, t, client, ns)
		return len(ready) == 1, ready
	})

	require.NoError(t, shared.Freeze(ControllerManager))
	t.Cleanup(func() { assert.NoError(t, shared.Thaw(ControllerManager)) })
	require.NoError(t, shared.Freeze(ControllerManager), "twice is no error")
	scale(t, client, ns, "web", 3)
	// That nothing happens takes some time to see. Scheduler and kwok are busy
	// meanwhile: a bare pod goes all the way ten times over.
	for i := range 10 {
		name := fmt.Sprintf("bare-%d", i)
		createPod(t, client, ns, name, nil)
		eventually(t, name+" ready", func(ctx context.Context) (bool, any) {
			pod, err := client.CoreV1().Pods(ns).Get(ctx, name, metav1.GetOptions{})
			return err == nil && isReady(*pod), pod
		})
	}
	pods, err := client.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{LabelSelector: "app=web"})
	require.NoError(t, err)
	require.Len(t, pods.Items, 1, "a frozen controller makes no pods")

	require.NoError(t, shared.Thaw(ControllerManager))
	eventually(t, "3 pods of the ReplicaSet", func(ctx context.Context) (bool, any) {
		pods, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{LabelSelector: "app=web"})
		return err == nil && len(pods.Items) == 3, err
	})
}

func TestStopOfAFrozenPlane(t *testing.T) {
	plane, err := New(t.Context(), Options{Components: []Component{ControllerManager}})
	require.NoError(t, err)
	for _, c := range []Component{ControllerManager, APIServer, Etcd} {
		require.NoError(t, plane.Freeze(c))
	}
	require.ErrorContains(t, plane.Freeze(Kwok), "does not run")
	begun := time.Now()
	require.NoError(t, plane.Stop())
	require.NoError(t, plane.Stop(), "again is no error")
	t.Logf("stopped in %v", time.Since(begun))
	require.Less(t, time.Since(begun), 5*time.Second)
}

func TestAuditCountsAClientsRequests(t *testing.T) {
	ns := shared.Namespace(t)
	cfg := shared.Config()
	cfg.UserAgent = "audited/" + ns
	client := clientOf(t, cfg)
	services := client.CoreV1().Services(ns)

	service := &corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: "web"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}}
	made, err := services.Create(t.Context(), service, metav1.CreateOptions{})
	require.NoError(t, err)
	again := service.DeepCopy()
	again.Name, again.GenerateName = "", "web-"
	_, err = services.Create(t.Context(), again, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
	require.NoError(t, err)
	for i := range 3 {
		patch := fmt.Sprintf(`{"metadata":{"labels":{"n":"%d"}}}`, i)
		_, err = services.Patch(t.Context(), made.Name, types.MergePatchType, []byte(patch), metav1.PatchOptions{})
		require.NoError(t, err)
	}
	_, err = services.Get(t.Context(), "none", metav1.GetOptions{})
	require.True(t, apierrors.IsNotFound(err), err)
	create(t, client, replicaSet(ns, "web", 0, nil))
	scale(t, client, ns, "web", 0)

	// Not eventually: the answers are here, so the entries are.
	entries, err := shared.Audit(cfg.UserAgent)
	require.NoError(t, err)
	require.Equal(t, map[string]int{
		"create services": 2, "patch services": 3, "get services": 1, "create replicasets": 1, "patch replicasets/scale": 1,
	}, Count(entries), entries)
	require.Equal(t, map[string]int{
		"create services": 1, "patch services": 3, "create replicasets": 1, "patch replicasets/scale": 1,
	}, Count(Mutating(entries)), entries)
	first := entries[0]
	require.Equal(t, "create services "+ns+"/"+made.Name+" → 201", first.String())
	require.Equal(t, "admin", first.User)
	require.WithinDuration(t, time.Now(), first.Time, time.Minute)
	missing := entries[slices.IndexFunc(entries, func(e Entry) bool { return e.Verb == "get" })]
	require.Equal(t, 404, missing.Code)

	everyone, err := shared.Audit("")
	require.NoError(t, err)
	require.Greater(t, len(everyone), len(entries), "the controllers ask too")
}

// Each of a few hundred answers is followed by a look into the log.
func TestAuditIsThereWithTheAnswer(t *testing.T) {
	ns := shared.Namespace(t)
	cfg := shared.Config()
	cfg.UserAgent = "at-once/" + ns
	client := clientOf(t, cfg)
	for n := 1; n <= 200; n++ {
		_, err := client.RbacV1().ClusterRoles().List(t.Context(), metav1.ListOptions{}) // a large answer
		require.NoError(t, err)
		entries, err := shared.Audit(cfg.UserAgent)
		require.NoError(t, err)
		require.Len(t, entries, n)
	}
}

func TestUserHasNoRightsButItsOwn(t *testing.T) {
	ns, admin := shared.Namespace(t), clientOf(t, shared.Config())
	cfg := shared.UserConfig(t, "jane", "developers")
	jane := clientOf(t, cfg)
	_, err := jane.CoreV1().Pods(ns).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), err)

	_, err = admin.RbacV1().RoleBindings(ns).Create(t.Context(), binding("developers"), metav1.CreateOptions{})
	require.NoError(t, err)
	eventually(t, "pods may be listed", func(ctx context.Context) (bool, any) {
		_, err := jane.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
		return err == nil, err
	})
	_, err = jane.CoreV1().Pods(ns).Create(t.Context(), &corev1.Pod{}, metav1.CreateOptions{})
	require.True(t, apierrors.IsForbidden(err), err)

	path := filepath.Join(t.TempDir(), "jane")
	require.NoError(t, WriteKubeconfig(path, cfg))
	require.Contains(t, runKubectl(t, shared, path, "auth", "whoami"), "jane")
	require.Contains(t, runKubectl(t, shared, shared.Kubeconfig(), "auth", "whoami"), "system:masters")
}

func TestServerSaysItsVersion(t *testing.T) {
	version, err := clientOf(t, shared.Config()).Discovery().ServerVersion()
	require.NoError(t, err)
	source, err := sourceDir()
	require.NoError(t, err)
	pinned, _, err := pins(source)
	require.NoError(t, err)
	if os.Getenv(assetsVariable) == "" {
		require.Equal(t, pinned, version.GitVersion)
		require.Contains(t, runKubectl(t, shared, shared.Kubeconfig(), "version"), "Client Version: "+pinned)
	}
}

func TestStartFailureSaysWhy(t *testing.T) {
	for c, want := range map[Component]string{
		APIServer: "no-such-flag",
		Scheduler: "no-such-flag",
		Kwok:      "no-such-flag",
	} {
		t.Run(string(c), func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "plane")
			_, err := New(t.Context(), Options{Dir: dir, Flags: map[Component][]string{c: {"--no-such-flag=1"}}})
			require.ErrorContains(t, err, want)
			require.ErrorContains(t, err, string(c))
			require.FileExists(t, filepath.Join(dir, "logs", string(c)+".log"), "a directory of one's own stays")
		})
	}
	_, err := New(t.Context(), Options{Timeout: time.Millisecond})
	require.ErrorContains(t, err, "Options.Timeout")
	_, err = New(t.Context(), Options{Components: []Component{"kubelet"}})
	require.ErrorContains(t, err, `"kubelet"`)
	full := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(full, "precious"), nil, 0o600))
	_, err = New(t.Context(), Options{Dir: full})
	require.ErrorContains(t, err, "precious")
	require.FileExists(t, filepath.Join(full, "precious"))
}

// What the tests of this package share.

func clientOf(t *testing.T, cfg *rest.Config) *kubernetes.Clientset {
	t.Helper()
	client, err := kubernetes.NewForConfig(cfg)
	require.NoError(t, err)
	t.Cleanup(func() { closeIdle(client) })
	return client
}

// eventually asks until the answer is yes, for a minute at most. The second
// value is shown if it never is.
func eventually(t *testing.T, what string, ask func(context.Context) (bool, any)) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var last any
	err := poll(ctx, nil, func(context.Context) (ok bool) {
		ok, last = ask(t.Context()) // the last answer is to be seen, not that time was up
		return ok
	})
	require.NoError(t, err, "wait for %s; last seen: %v", what, last)
}

func replicaSet(ns, name string, replicas int32, annotations map[string]string) *appsv1.ReplicaSet {
	labels := map[string]string{"app": name}
	return &appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, Namespace: ns},
		Spec: appsv1.ReplicaSetSpec{
			Replicas: &replicas,
			Selector: &metav1.LabelSelector{MatchLabels: labels},
			Template: corev1.PodTemplateSpec{
				ObjectMeta: metav1.ObjectMeta{Labels: labels, Annotations: annotations},
				Spec:       podSpec(),
			},
		},
	}
}

func podSpec() corev1.PodSpec {
	return corev1.PodSpec{Containers: []corev1.Container{{Name: "main", Image: "none"}}}
}

func create(t *testing.T, client kubernetes.Interface, rs *appsv1.ReplicaSet) {
	t.Helper()
	_, err := client.AppsV1().ReplicaSets(rs.Namespace).Create(t.Context(), rs, metav1.CreateOptions{})
	require.NoError(t, err)
}

func createPod(t *testing.T, client kubernetes.Interface, ns, name string, annotations map[string]string) {
	t.Helper()
	pod := &corev1.Pod{ObjectMeta: metav1.ObjectMeta{Name: name, Annotations: annotations}, Spec: podSpec()}
	_, err := client.CoreV1().Pods(ns).Create(t.Context(), pod, metav1.CreateOptions{})
	require.NoError(t, err)
}

func createJob(t *testing.T, client kubernetes.Interface, ns, name string) {
	t.Helper()
	spec := podSpec()
	spec.RestartPolicy = corev1.RestartPolicyNever
	job := &batchv1.Job{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: batchv1.JobSpec{Template: corev1.PodTemplateSpec{Spec: spec}}}
	_, err := client.BatchV1().Jobs(ns).Create(t.Context(), job, metav1.CreateOptions{})
	require.NoError(t, err)
}

func scale(t *testing.T, client kubernetes.Interface, ns, name string, replicas int) {
	t.Helper()
	_, err := client.AppsV1().ReplicaSets(ns).Patch(t.Context(), name, types.MergePatchType,
		fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas), metav1.PatchOptions{}, "scale")
	require.NoError(t, err)
}

func isReady(pod corev1.Pod) bool {
	return slices.ContainsFunc(pod.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}

func readyPods(ctx context.Context, t *testing.T, client kubernetes.Interface, ns string) []string {
	t.Helper()
	pods, err := client.CoreV1().Pods(ns).List(ctx, metav1.ListOptions{})
	require.NoError(t, err)
	var ready []string
	for _, pod := range pods.Items {
		if isReady(pod) {
			ready = append(ready, pod.Name)
		}
	}
	return ready
}

func readyEndpoints(ctx context.Context, t *testing.T, client kubernetes.Interface, ns, service string) []string {
	t.Helper()
	slicesOf, err := client.DiscoveryV1().EndpointSlices(ns).List(ctx,
		metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	require.NoError(t, err)
	var ready []string
	for _, slice := range slicesOf.Items {
		for _, endpoint := range slice.Endpoints {
			if endpoint.Conditions.Ready != nil && *endpoint.Conditions.Ready {
				ready = append(ready, endpoint.Addresses...)
			}
		}
	}
	return ready
}

func runKubectl(t *testing.T, plane *Plane, kubeconfig string, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), plane.Kubectl, append([]string{"--kubeconfig=" + kubeconfig}, args...)...)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, string(out))
	return string(out)
}
