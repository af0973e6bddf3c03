// Standing between the library and the apiserver.

package kube_test

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/stretchr/testify/require"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

var errLost = errors.New("lost on the way")

// podPatched returns the pod that a request patches.
func podPatched(r *http.Request) (string, bool) {
	_, name, ok := strings.Cut(r.URL.Path, "/pods/")
	return name, ok && r.Method == http.MethodPatch
}

// read returns a request's body, and leaves it to be read again.
func read(r *http.Request) []byte {
	raw, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err) // it is in memory
	}
	r.Body = io.NopCloser(bytes.NewReader(raw))
	return raw
}

// mirrorSlice makes an IPv6 slice of a Service's only IPv4 one.
func (w *world) mirrorSlice(service string) {
	w.t.Helper()
	slices := w.client.DiscoveryV1().EndpointSlices(w.ns)
	all, err := slices.List(w.t.Context(), metav1.ListOptions{LabelSelector: discoveryv1.LabelServiceName + "=" + service})
	require.NoError(w.t, err)
	require.Len(w.t, all.Items, 1)
	six := all.Items[0]
	six.ObjectMeta = metav1.ObjectMeta{Name: service + "-six", Labels: map[string]string{discoveryv1.LabelServiceName: service}}
	six.AddressType = discoveryv1.AddressTypeIPv6
	for i := range six.Endpoints {
		six.Endpoints[i].Addresses = []string{"fd00::1"}
	}
	_, err = slices.Create(w.t.Context(), &six, metav1.CreateOptions{})
	require.NoError(w.t, err)
}
