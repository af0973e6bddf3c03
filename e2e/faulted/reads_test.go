// What a look makes of answers that are older than what is known.

package faulted_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/cluster/kube"
	"github.com/cutover-dev/cutover/fake/fault"
)

// A look must show every write that was answered, and nothing from before the
// last look: an answer that is older is an error, and never an older State.
func TestBugAnOldAnswerWasTakenForALook(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ resource, plan string }{
		{"replicasets", "F16.0@3"}, {"replicasets", "F17.0@3"}, {"pods", "F17.0@3"}, {"endpointslices", "F17.0@3"}, {"services", "F17.0@3"},
	} {
		t.Run(c.resource+" "+c.plan, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t, kube.Labels)
			plan, err := fault.Parse(c.plan)
			require.NoError(t, err)
			old := &fault.Transport{Plan: plan, Only: func(r *http.Request) bool {
				return fault.VerbOf(r) == fault.VerbList && strings.HasSuffix(r.URL.Path, "/"+c.resource)
			}}
			api := w.open(func(next http.RoundTripper) http.RoundTripper { old.Next = next; return old })
			for look := range 4 {
				s, err := api.Observe(t.Context(), app)
				if look == 2 {
					require.Equal(t, 1, old.Fired())
					require.Error(t, err, "the %s were from before", c.resource)
					continue
				}
				require.NoError(t, err)
				w.change(c.resource, look, api, s.Revisions[0])
			}
		})
	}
}

// change writes an object of this kind: a ReplicaSet as cutover does, so that
// nobody else has looked since, others as people and controllers do.
func (w *world) change(resource string, n int, c cluster.Cluster, r cluster.Revision) {
	w.t.Helper()
	body := []byte(fmt.Sprintf(`{"metadata":{"annotations":{"n":"%d"}}}`, n))
	merge, o := types.MergePatchType, metav1.PatchOptions{}
	var err error
	switch resource {
	case "replicasets":
		r.Outcome.Why = fmt.Sprint("look ", n)
		err = c.Put(w.t.Context(), app, r)
	case "pods":
		_, err = w.client.CoreV1().Pods(w.ns).Patch(w.t.Context(), w.pods(old)[0], merge, body, o)
	case "services":
		_, err = w.client.CoreV1().Services(w.ns).Patch(w.t.Context(), app, merge, body, o)
	case "endpointslices":
		list, none := w.client.DiscoveryV1().EndpointSlices(w.ns).List(w.t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + app})
		require.NoError(w.t, none)
		_, err = w.client.DiscoveryV1().EndpointSlices(w.ns).Patch(w.t.Context(), list.Items[0].Name, merge, body, o)
	}
	require.NoError(w.t, err)
}
