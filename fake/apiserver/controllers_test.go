// What the controllers behind the server do, step by step.

package apiserver_test

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const slicesPath = "/apis/discovery.k8s.io/v1/namespaces/default/endpointslices"

// pods lists those in the namespace default.
func (w *world) pods(t *testing.T) []map[string]any {
	t.Helper()
	_, list := w.get(t, podsPath)
	var all []map[string]any
	for _, item := range list["items"].([]any) {
		all = append(all, item.(map[string]any))
	}
	return all
}

// owners are the names of who owns an object.
func owners(object map[string]any) []string {
	names := []string{}
	refs, _ := at(object, "metadata", "ownerReferences").([]any)
	for _, ref := range refs {
		names = append(names, ref.(map[string]any)["name"].(string))
	}
	return names
}

func (w *world) patch(t *testing.T, path, body string) map[string]any {
	t.Helper()
	code, object := w.send(t, http.MethodPatch, path, "application/merge-patch+json", body)
	require.Equal(t, http.StatusOK, code, "%v", object)
	return object
}

// A pod that loses the label of its selector is let go, and another takes its
// place; when it gets the label again one of them is too many.
func TestAReplicaSetLetsGoAndAdopts(t *testing.T) {
	w := newWorld()
	w.set(t, "web", 2)
	w.step()
	pods := w.pods(t)
	require.Len(t, pods, 2)
	name := at(pods[0], "metadata", "name").(string)
	w.patch(t, podsPath+"/"+name, `{"metadata":{"labels":{"app":"other"}}}`)
	w.step()
	require.Len(t, w.pods(t), 3)
	_, stray := w.get(t, podsPath+"/"+name)
	require.Empty(t, owners(stray))

	w.patch(t, podsPath+"/"+name, `{"metadata":{"labels":{"app":"web"}}}`)
	w.step()
	require.NoError(t, w.sleep(t.Context(), 5*time.Second))
	require.Len(t, w.pods(t), 2)
	for _, pod := range w.pods(t) {
		require.Equal(t, []string{"web"}, owners(pod))
	}
}

// The controller reports a generation only when it has acted on it.
func TestAStatusIsNeverAheadOfThePods(t *testing.T) {
	w := newWorld()
	w.set(t, "web", 1)
	require.NoError(t, w.sleep(t.Context(), 3*time.Second))
	after := w.patch(t, setsPath+"/web", `{"spec":{"replicas":3}}`)
	require.EqualValues(t, 2, at(after, "metadata", "generation"))
	require.EqualValues(t, 1, at(after, "status", "observedGeneration"))
	w.step()
	_, now := w.get(t, setsPath+"/web")
	require.EqualValues(t, 2, at(now, "status", "observedGeneration"))
	require.Len(t, w.pods(t), 3)
	require.EqualValues(t, 1, at(now, "status", "readyReplicas"), "two of them are still booting")
}

// A pod is ready when it has booted, and gone when it has stopped, and its
// endpoint says so in between.
func TestAPodBootsAndStops(t *testing.T) {
	w := newWorld()
	w.kubelet.Boot, w.kubelet.Stop = 2*time.Second, 3*time.Second
	w.service(t, "web", "app", "a")
	w.pod(t, "a")
	conditions := func() string {
		_, list := w.get(t, slicesPath)
		for _, slice := range list["items"].([]any) {
			endpoints, _ := at(slice.(map[string]any), "endpoints").([]any)
			for _, e := range endpoints {
				c := at(e.(map[string]any), "conditions").(map[string]any)
				return fmt.Sprintf("ready %v serving %v terminating %v", c["ready"], c["serving"], c["terminating"])
			}
		}
		return "none"
	}
	var seen []string
	note := func() {
		if now := conditions(); len(seen) == 0 || seen[len(seen)-1] != now {
			seen = append(seen, now)
		}
	}
	for range 12 {
		require.NoError(t, w.sleep(t.Context(), beat))
		note()
	}
	w.send(t, http.MethodDelete, podsPath+"/a", "", "")
	for range 16 {
		require.NoError(t, w.sleep(t.Context(), beat))
		note()
	}
	require.Equal(t, []string{
		"ready false serving false terminating false", "ready true serving true terminating false",
		"ready false serving true terminating true", "none",
	}, seen)
}

// A slice holds a hundred endpoints, and who stays, stays where it is.
func TestSlicesHoldAHundred(t *testing.T) {
	w := newWorld()
	w.service(t, "web", "app", "web")
	w.set(t, "web", 150)
	require.NoError(t, w.sleep(t.Context(), 3*time.Second))
	sizes := func() []int {
		_, list := w.get(t, slicesPath)
		var all []int
		for _, slice := range list["items"].([]any) {
			endpoints, _ := at(slice.(map[string]any), "endpoints").([]any)
			all = append(all, len(endpoints))
		}
		slices.Sort(all)
		return all
	}
	require.Equal(t, []int{50, 100}, sizes())
	w.patch(t, setsPath+"/web", `{"spec":{"replicas":0}}`)
	require.NoError(t, w.sleep(t.Context(), 5*time.Second))
	require.Equal(t, []int{0}, sizes())
}

// What becomes of the pods of a deleted ReplicaSet is what the delete said.
func TestADeleteTakesItsDependentsAsItSays(t *testing.T) {
	for policy, want := range map[string]struct{ sets, pods, owned int }{
		"Background": {0, 0, 0}, "Foreground": {0, 0, 0}, "Orphan": {0, 2, 0},
	} {
		t.Run(policy, func(t *testing.T) {
			w := newWorld()
			w.set(t, "web", 2)
			require.NoError(t, w.sleep(t.Context(), 3*time.Second))
			code, _ := w.send(t, http.MethodDelete, setsPath+"/web?propagationPolicy="+policy, "", "")
			require.Equal(t, http.StatusOK, code)
			code, _ = w.get(t, setsPath+"/web")
			require.Equal(t, policy == "Background", code == http.StatusNotFound, "it goes at once only in the background")
			require.NoError(t, w.sleep(t.Context(), 5*time.Second))

			_, sets := w.get(t, setsPath)
			require.Len(t, items(sets), want.sets)
			pods, owned := w.pods(t), 0
			for _, pod := range pods {
				owned += len(owners(pod))
			}
			require.Len(t, pods, want.pods)
			require.Equal(t, want.owned, owned)
		})
	}
}

// Of a deleted Deployment nothing is left: neither sets nor pods.
func TestADeploymentRollsAndGoes(t *testing.T) {
	w := newWorld()
	const path = "/apis/apps/v1/namespaces/default/deployments"
	w.post(t, path, `{"metadata":{"name":"web"},"spec":{"replicas":4,"selector":{"matchLabels":{"app":"web"}},
		"template":{"metadata":{"labels":{"app":"web"}},"spec":{"containers":[{"name":"main","image":"i:1"}]}}}}`)
	require.NoError(t, w.sleep(t.Context(), 5*time.Second))
	w.patch(t, path+"/web", `{"spec":{"template":{"metadata":{"labels":{"on":"true"}}}}}`)
	least := 4
	for range 80 {
		require.NoError(t, w.sleep(t.Context(), beat))
		ready := 0
		for _, pod := range w.pods(t) {
			if at(pod, "metadata", "deletionTimestamp") == nil && slices.ContainsFunc(at(pod, "status", "conditions").([]any), func(c any) bool {
				return c.(map[string]any)["type"] == "Ready" && c.(map[string]any)["status"] == "True"
			}) {
				ready++
			}
		}
		least = min(least, ready)
	}
	require.Equal(t, 3, least, "a quarter may be missing, and was")
	_, d := w.get(t, path+"/web")
	require.EqualValues(t, 4, at(d, "status", "updatedReplicas"))
	require.EqualValues(t, 4, at(d, "status", "availableReplicas"))
	require.EqualValues(t, 2, at(d, "status", "observedGeneration"))
	_, sets := w.get(t, setsPath)
	require.Len(t, items(sets), 2)

	w.send(t, http.MethodDelete, path+"/web", "", "")
	require.NoError(t, w.sleep(t.Context(), 5*time.Second))
	_, sets = w.get(t, setsPath)
	require.Empty(t, items(sets))
	require.Empty(t, w.pods(t))
}

// A deleted namespace takes nothing new, is emptied, and goes.
func TestANamespaceIsEmptiedAndGoes(t *testing.T) {
	w := newWorld()
	w.set(t, "web", 2)
	require.NoError(t, w.sleep(t.Context(), 3*time.Second))
	w.send(t, http.MethodDelete, "/api/v1/namespaces/default", "", "")
	code, status := w.send(t, http.MethodPost, podsPath, "application/json", `{"metadata":{"name":"late"},"spec":{"containers":[{"name":"main","image":"i"}]}}`)
	require.Equal(t, http.StatusForbidden, code)
	require.Equal(t, "NamespaceTerminating", status["details"].(map[string]any)["causes"].([]any)[0].(map[string]any)["reason"])
	require.NoError(t, w.sleep(t.Context(), 10*time.Second))
	code, _ = w.get(t, "/api/v1/namespaces/default")
	require.Equal(t, http.StatusNotFound, code)
}
