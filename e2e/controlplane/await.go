// Waiting until a component is there: bounded, and with its log if it is not.

package controlplane

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// awaitServer waits for the apiserver's post-start hooks: RBAC roles, priority
// levels, system namespaces.
func (p *Plane) awaitServer(ctx context.Context) error {
	var last error
	err := poll(ctx, nil, func(ctx context.Context) bool {
		_, last = p.client.Discovery().RESTClient().Get().AbsPath("/readyz").DoRaw(ctx)
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("wait for kube-apiserver to be ready: %w; its last answer: %v\n%s", err, last, p.tail(APIServer))
	}
	return nil
}

func (p *Plane) awaitHealth(ctx context.Context, c Component, proc *process, url string) error {
	transport := &http.Transport{
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true}, // self-signed, on loopback
		DisableKeepAlives: true,
	}
	client := &http.Client{Transport: transport, Timeout: 5 * time.Second}
	last := errors.New("none yet")
	err := poll(ctx, proc, func(ctx context.Context) bool {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
		if err != nil {
			last = err
			return false
		}
		resp, err := client.Do(req)
		if err != nil {
			last = err
			return false
		}
		defer resp.Body.Close()
		var body bytes.Buffer
		_, _ = body.ReadFrom(resp.Body)
		last = fmt.Errorf("%s: %s", resp.Status, strings.TrimSpace(body.String()))
		return resp.StatusCode == http.StatusOK
	})
	if err != nil {
		return fmt.Errorf("wait for %s: %w; last answer of %s: %w\n%s", c, err, url, last, p.tail(c))
	}
	return nil
}

func (p *Plane) awaitServiceAccount(ctx context.Context, namespace string) error {
	var last error
	err := poll(ctx, p.process(ControllerManager), func(ctx context.Context) bool {
		_, last = p.client.CoreV1().ServiceAccounts(namespace).Get(ctx, "default", metav1.GetOptions{})
		return last == nil
	})
	if err != nil {
		return fmt.Errorf("wait for the default ServiceAccount of namespace %s (a frozen %s makes none): %w; last answer: %w\n%s",
			namespace, ControllerManager, err, last, p.tail(ControllerManager))
	}
	return nil
}

func (p *Plane) awaitNode(ctx context.Context, kwok *process, name string) error {
	found := "nothing"
	err := poll(ctx, kwok, func(ctx context.Context) bool {
		node, err := p.client.CoreV1().Nodes().Get(ctx, name, metav1.GetOptions{})
		if err != nil {
			found = err.Error()
			return false
		}
		found = fmt.Sprintf("conditions %v, taints %v", node.Status.Conditions, node.Spec.Taints)
		ready := false
		for _, c := range node.Status.Conditions {
			ready = ready || c.Type == corev1.NodeReady && c.Status == corev1.ConditionTrue
		}
		if ready && len(node.Spec.Taints) > 0 && !p.runs(ControllerManager) {
			// Every node is born with the taint not-ready, which nobody else
			// would take away here.
			node.Spec.Taints = nil
			_, err := p.client.CoreV1().Nodes().Update(ctx, node, metav1.UpdateOptions{})
			if err != nil && !apierrors.IsConflict(err) {
				found = err.Error()
			}
			return err == nil
		}
		return ready && len(node.Spec.Taints) == 0
	})
	if err != nil {
		return fmt.Errorf("wait for %s to be ready and untainted: %w; found: %s\n%s", name, err, found, p.tail(Kwok))
	}
	return nil
}

func (p *Plane) awaitAddress(ctx context.Context, kwok *process, pod *corev1.Pod) error {
	var last error
	err := poll(ctx, kwok, func(ctx context.Context) bool {
		found, err := p.client.CoreV1().Pods(pod.Namespace).Get(ctx, pod.Name, metav1.GetOptions{})
		last = err
		return err == nil && found.Status.PodIP != ""
	})
	if err != nil {
		return fmt.Errorf("wait for pod %s to have an address: %w; last answer: %v\n%s", pod.Name, err, last, p.tail(Kwok))
	}
	return nil
}

// poll asks until the answer is yes, ctx ends, or proc (if any) does.
func poll(ctx context.Context, proc *process, done func(context.Context) bool) error {
	var ended <-chan struct{}
	if proc != nil {
		ended = proc.done
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if done(ctx) {
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ended:
			return fmt.Errorf("its process has ended: %v", proc.err)
		case <-tick.C:
		}
	}
}
