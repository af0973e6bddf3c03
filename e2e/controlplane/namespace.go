// A namespace for each test.

package controlplane

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// Namespace makes a namespace for the test, named after it, and returns its
// name. If there is a ControllerManager, it waits for the namespace's default
// ServiceAccount, without which no pod is admitted. The namespace is deleted
// after the test, without waiting for it to be gone.
func (p *Plane) Namespace(tb testing.TB) string {
	tb.Helper()
	ctx, cancel := context.WithTimeoutCause(tb.Context(), time.Minute, errors.New("a minute has passed"))
	defer cancel()
	ns, err := p.client.CoreV1().Namespaces().Create(ctx,
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: namespacePrefix(tb.Name())}}, metav1.CreateOptions{})
	if err != nil {
		tb.Fatalf("controlplane: create a namespace: %v", err)
	}
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		_ = p.client.CoreV1().Namespaces().Delete(ctx, ns.Name, metav1.DeleteOptions{}) // a kindness to the tests that follow
	})
	if p.runs(ControllerManager) {
		if err := p.awaitServiceAccount(ctx, ns.Name); err != nil {
			tb.Fatalf("controlplane: %v", err)
		}
	}
	return ns.Name
}

// namespacePrefix makes of a test's name what may begin a namespace's.
func namespacePrefix(test string) string {
	name := strings.Map(func(r rune) rune {
		switch {
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		}
		return '-'
	}, test)
	name = strings.Trim(name[:min(len(name), 40)], "-")
	return strings.TrimPrefix(name+"-", "-") + "t-"
}
