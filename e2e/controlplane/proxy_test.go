// A proxy cuts a client off before or after the effect, and nowhere else.

package controlplane

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

var errKill = errors.New("killed here")

func TestProxyPassesThrough(t *testing.T) {
	ns, proxy := shared.Namespace(t), shared.Proxy(t)
	cfg := proxy.Config()
	cfg.UserAgent = "through-the-proxy/" + ns
	client := clientOf(t, cfg)
	_, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("one"), metav1.CreateOptions{})
	require.NoError(t, err)
	_, err = client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("one"), metav1.CreateOptions{})
	require.True(t, apierrors.IsAlreadyExists(err), err)
	entries, err := shared.Audit(cfg.UserAgent)
	require.NoError(t, err)
	require.Equal(t, map[string]int{"create configmaps": 2}, Count(entries))
	require.Equal(t, 2, proxy.Requests())

	out := runKubectl(t, shared, proxy.Kubeconfig(), "get", "configmap", "-n", ns)
	require.Contains(t, out, "one")
}

func TestProxyBeforeHasNoEffect(t *testing.T) {
	ns, proxy := shared.Namespace(t), shared.Proxy(t)
	seen, bodies := make(chan int, 3), make(chan string, 3)
	proxy.Before(func(r *http.Request) error {
		body, err := io.ReadAll(r.Body)
		seen <- Sequence(r)
		bodies <- string(body)
		if err != nil || Sequence(r) == 2 {
			return errKill
		}
		return nil
	})
	client, direct := clientOf(t, proxy.Config()), clientOf(t, shared.Config())
	for _, name := range []string{"one", "two", "three"} {
		_, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap(name), metav1.CreateOptions{})
		if name == "two" {
			require.ErrorContains(t, err, "EOF")
			continue
		}
		require.NoError(t, err, "a hook may read the body")
	}
	require.Equal(t, []int{1, 2, 3}, []int{<-seen, <-seen, <-seen})
	require.Contains(t, <-bodies, "one")
	for name, exists := range map[string]bool{"one": true, "two": false, "three": true} {
		_, err := direct.CoreV1().ConfigMaps(ns).Get(t.Context(), name, metav1.GetOptions{})
		require.Equal(t, exists, err == nil, "%s: %v", name, err)
	}
}

func TestProxyAfterHasItsEffect(t *testing.T) {
	ns, proxy := shared.Namespace(t), shared.Proxy(t)
	direct := clientOf(t, shared.Config())
	existed := make(chan error, 2)
	proxy.After(func(r *http.Request, status int) error {
		_, err := direct.CoreV1().ConfigMaps(ns).Get(r.Context(), "one", metav1.GetOptions{})
		existed <- err
		if r.Method == http.MethodPost && status == http.StatusCreated {
			return errKill
		}
		return nil
	})
	client := clientOf(t, proxy.Config())
	_, err := client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("one"), metav1.CreateOptions{})
	require.ErrorContains(t, err, "EOF")
	require.NoError(t, <-existed, "it exists when the hook is called")
	_, err = client.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("one"), metav1.CreateOptions{})
	require.True(t, apierrors.IsAlreadyExists(err), "the answer to the second is let through: %v", err)
}

// A client that is killed while its request is under way does not take it back.
func TestProxyCarriesThroughWhatItForwarded(t *testing.T) {
	ns, proxy := shared.Namespace(t), shared.Proxy(t)
	ctx, kill := context.WithCancel(t.Context())
	gone := make(chan struct{})
	proxy.Before(func(*http.Request) error { kill(); <-gone; return nil })
	client, direct := clientOf(t, proxy.Config()), clientOf(t, shared.Config())
	_, err := client.CoreV1().ConfigMaps(ns).Create(ctx, configMap("one"), metav1.CreateOptions{})
	require.ErrorIs(t, err, context.Canceled)
	close(gone)
	eventually(t, "the ConfigMap exists", func(ctx context.Context) (bool, any) {
		_, err := direct.CoreV1().ConfigMaps(ns).Get(ctx, "one", metav1.GetOptions{})
		return err == nil, err
	})
}

func TestProxyStreamsWatches(t *testing.T) {
	ns, proxy := shared.Namespace(t), shared.Proxy(t)
	client, direct := clientOf(t, proxy.Config()), clientOf(t, shared.Config())
	w, err := client.CoreV1().ConfigMaps(ns).Watch(t.Context(), metav1.ListOptions{FieldSelector: "metadata.name=one"})
	require.NoError(t, err)
	defer w.Stop()
	for _, want := range []watch.EventType{watch.Added, watch.Deleted} {
		if want == watch.Added {
			_, err = direct.CoreV1().ConfigMaps(ns).Create(t.Context(), configMap("one"), metav1.CreateOptions{})
		} else {
			err = direct.CoreV1().ConfigMaps(ns).Delete(t.Context(), "one", metav1.DeleteOptions{})
		}
		require.NoError(t, err)
		var got watch.Event
		eventually(t, string(want), func(context.Context) (bool, any) {
			select {
			case got = <-w.ResultChan():
				return true, got
			default:
				return false, nil
			}
		})
		require.Equal(t, want, got.Type)
	}

	proxy.After(func(*http.Request, int) error { return errKill })
	_, err = http.Get(proxy.Config().Host + "/api/v1/configmaps?watch=true") // client-go would try again
	require.ErrorContains(t, err, "EOF", "a stream is cut before it begins")
}

func TestProxyHasTheRightsItWasGiven(t *testing.T) {
	ns := shared.Namespace(t)
	proxy, err := NewProxy(shared.UserConfig(t, "nobody"))
	require.NoError(t, err)
	defer proxy.Close()
	_, err = clientOf(t, proxy.Config()).CoreV1().ConfigMaps(ns).List(t.Context(), metav1.ListOptions{})
	require.True(t, apierrors.IsForbidden(err), err)
	require.True(t, strings.Contains(err.Error(), "nobody"), err)
}

func configMap(name string) *corev1.ConfigMap {
	return &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: name}}
}

func binding(group string) *rbacv1.RoleBinding {
	return &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: group},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.GroupKind, APIGroup: rbacv1.GroupName, Name: group}},
		RoleRef:    rbacv1.RoleRef{Kind: "ClusterRole", APIGroup: rbacv1.GroupName, Name: "view"},
	}
}
