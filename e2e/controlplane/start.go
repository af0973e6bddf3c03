// Bringing up the components of a plane, with their flags.

package controlplane

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/envtest"
)

func (p *Plane) startAll(ctx context.Context, limit time.Duration) error {
	if err := p.makeDir(); err != nil {
		return err
	}
	var err error
	if p.guard, err = p.startGuard(); err != nil {
		return err
	}
	defer context.AfterFunc(ctx, p.kill)() // envtest does not look at ctx
	if err := p.startServer(limit); err != nil {
		return errors.Join(err, context.Cause(ctx))
	}
	if err := p.connect(); err != nil {
		return err
	}
	if err := p.awaitServer(ctx); err != nil {
		return err
	}

	// All at once, since each takes a second or so to come up; then one by one.
	waits := []func(context.Context) error{}
	for _, c := range p.components {
		start := map[Component]func() (func(context.Context) error, error){
			ControllerManager: p.startControllerManager,
			Scheduler:         p.startScheduler,
			Kwok:              p.startKwok,
		}[c]
		if start == nil {
			continue
		}
		wait, err := start()
		if err != nil {
			return err
		}
		waits = append(waits, wait)
	}
	for _, wait := range waits {
		if err := wait(ctx); err != nil {
			return err
		}
	}
	return nil
}

// startServer starts etcd and the apiserver.
func (p *Plane) startServer(limit time.Duration) error {
	etcd := &envtest.Etcd{DataDir: filepath.Join(p.dir, "etcd"), StartTimeout: limit}
	server := &envtest.APIServer{CertDir: filepath.Join(p.dir, "certs"), StartTimeout: limit}
	p.envtest = envtest.ControlPlane{Etcd: etcd, APIServer: server, KubectlPath: p.Kubectl}

	var err error
	if etcd.Path, err = p.launcher(Etcd); err != nil {
		return err
	}
	if server.Path, err = p.launcher(APIServer); err != nil {
		return err
	}
	etcdLog, err := p.openLog(Etcd)
	if err != nil {
		return err
	}
	defer etcdLog.Close()
	etcd.Out, etcd.Err = etcdLog, etcdLog
	serverLog, err := p.openLog(APIServer)
	if err != nil {
		return err
	}
	defer serverLog.Close()
	server.Out, server.Err = serverLog, serverLog

	if err := p.writeAuditPolicy(); err != nil {
		return err
	}
	flags := server.Configure()
	flags.Set("audit-policy-file", p.auditPolicyFile())
	flags.Set("audit-log-path", p.auditFile())
	flags.Set("audit-log-mode", "blocking")
	flags.Set("audit-log-maxsize", "100000") // MB: never rotate
	flags.Set("service-cluster-ip-range", "10.0.0.0/16")
	if p.runs(ControllerManager) {
		// envtest turns ServiceAccount admission off, for want of a controller
		// that makes the accounts. Here is one.
		flags.Disable("disable-admission-plugins")
	}
	for c, set := range map[Component]func(name, value string){
		Etcd:      func(n, v string) { etcd.Configure().Append(n, v) },
		APIServer: func(n, v string) { flags.Append(n, v) },
	} {
		for _, flag := range p.options.Flags[c] {
			name, value, ok := strings.Cut(strings.TrimPrefix(flag, "--"), "=")
			if !ok || !strings.HasPrefix(flag, "--") {
				return fmt.Errorf("Options.Flags[%s]: %q is not of the form --name=value", c, flag)
			}
			set(name, value)
		}
	}
	if err := p.envtest.Start(); err != nil {
		return fmt.Errorf("start etcd and kube-apiserver: %w\n%s\n%s", err, p.tail(Etcd), p.tail(APIServer))
	}
	return nil
}

// connect makes the administrator's client and the files others need.
func (p *Plane) connect() error {
	var err error
	if p.admin, err = p.user("admin", "system:masters"); err != nil {
		return err
	}
	if err := os.WriteFile(p.caFile(), p.admin.CAData, 0o644); err != nil {
		return err
	}
	if err := WriteKubeconfig(p.Kubeconfig(), p.admin); err != nil {
		return err
	}
	p.client, err = kubernetes.NewForConfig(p.admin)
	return err
}

func (p *Plane) caFile() string { return filepath.Join(p.dir, "certs", "ca.crt") }

func (p *Plane) startControllerManager() (func(context.Context) error, error) {
	healthy, err := p.startServing(ControllerManager, "/healthz",
		"--kubeconfig="+p.Kubeconfig(),
		"--authentication-kubeconfig="+p.Kubeconfig(),
		"--authorization-kubeconfig="+p.Kubeconfig(),
		"--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000", // else its throttle is what a test measures
		"--root-ca-file="+p.caFile(),
		"--service-account-private-key-file="+filepath.Join(p.dir, "certs", "sa-signer.key"),
		"--concurrent-deployment-syncs=20",
		"--concurrent-replicaset-syncs=20",
		"--concurrent-statefulset-syncs=20",
		"--concurrent-daemonset-syncs=20",
		"--concurrent-job-syncs=20",
		"--concurrent-endpoint-syncs=20",
		"--concurrent-service-endpoint-syncs=20",
		"--concurrent-gc-syncs=20",
		"--concurrent-namespace-syncs=20",
		"--concurrent-serviceaccount-token-syncs=20",
		"--concurrent-resource-quota-syncs=20",
		"--concurrent-horizontal-pod-autoscaler-syncs=20",
	)
	return func(ctx context.Context) error {
		if err := healthy(ctx); err != nil {
			return err
		}
		return p.awaitServiceAccount(ctx, metav1.NamespaceDefault)
	}, err
}

func (p *Plane) startScheduler() (func(context.Context) error, error) {
	return p.startServing(Scheduler, "/readyz",
		"--kubeconfig="+p.Kubeconfig(),
		"--authentication-kubeconfig="+p.Kubeconfig(),
		"--authorization-kubeconfig="+p.Kubeconfig(),
		"--leader-elect=false",
		"--kube-api-qps=500", "--kube-api-burst=1000",
	)
}

func (p *Plane) startKwok() (func(context.Context) error, error) {
	config := filepath.Join(p.dir, "kwok.yaml")
	if err := os.WriteFile(config, []byte(kwokConfig(p.options.Stages)), 0o644); err != nil {
		return nil, err
	}
	proc, err := p.start(Kwok, append([]string{
		"--kubeconfig=" + p.Kubeconfig(),
		"--config=" + config,
		"--manage-all-nodes=true",
		"--node-lease-duration-seconds=40", // else the node is taken for dead after 40 s
		"--node-ip=10.127.0.1",
		"--cidr=10.128.0.1/9",
	}, p.options.Flags[Kwok]...)...)
	return func(ctx context.Context) error { return p.makeNodes(ctx, proc) }, err
}

// startServing starts a component that has a port for its health, and returns
// the wait for its answer at path. Between choosing a free port and binding it
// another process may come first; then there is a second and a third try.
func (p *Plane) startServing(c Component, path string, args ...string) (func(context.Context) error, error) {
	var proc *process
	var url string
	try := func() error {
		port, err := freePort()
		if err != nil {
			return fmt.Errorf("find a free port for %s: %w", c, err)
		}
		url = "https://" + net.JoinHostPort("127.0.0.1", strconv.Itoa(port)) + path
		args := append(slices.Clone(args), "--bind-address=127.0.0.1", "--secure-port="+strconv.Itoa(port))
		proc, err = p.start(c, append(args, p.options.Flags[c]...)...)
		return err
	}
	return func(ctx context.Context) error {
		for tries := 1; ; tries++ {
			err := p.awaitHealth(ctx, c, proc, url)
			if err == nil || tries == 3 || !strings.Contains(err.Error(), "address already in use") {
				return err
			}
			if err := try(); err != nil {
				return err
			}
		}
	}, try()
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// makeNodes creates the fake nodes and waits until pods can be put on them.
func (p *Plane) makeNodes(ctx context.Context, kwok *process) error {
	for i := range max(p.options.Nodes, 1) {
		name := "node-" + strconv.Itoa(i)
		node := &corev1.Node{ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Annotations: map[string]string{"kwok.x-k8s.io/node": "fake", "node.alpha.kubernetes.io/ttl": "0"},
			Labels: map[string]string{
				corev1.LabelHostname: name, corev1.LabelOSStable: "linux", corev1.LabelArchStable: "amd64",
			},
		}}
		if _, err := p.client.CoreV1().Nodes().Create(ctx, node, metav1.CreateOptions{}); err != nil {
			return fmt.Errorf("create %s: %w", name, err)
		}
	}
	for i := range max(p.options.Nodes, 1) {
		if err := p.awaitNode(ctx, kwok, "node-"+strconv.Itoa(i)); err != nil {
			return err
		}
	}
	return p.firstPod(ctx, kwok)
}

// firstPod lets kwok give out one address before any other pod is there. It makes
// its pool of addresses when the first is asked for, without a lock: of the first
// pods, if they come together, two may have the same address, for ever.
// A mirror pod needs neither a scheduler nor a ServiceAccount.
func (p *Plane) firstPod(ctx context.Context, kwok *process) error {
	if _, replaced := p.options.Stages["pod-start"]; replaced {
		return nil // who says what a pod does gives addresses, too
	}
	pods := p.client.CoreV1().Pods(metav1.NamespaceDefault)
	pod, err := pods.Create(ctx, &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "first-address", Annotations: map[string]string{
			corev1.MirrorPodAnnotationKey: "first-address", ReadyAnnotation: Never,
		}},
		Spec: corev1.PodSpec{NodeName: "node-0", Containers: []corev1.Container{{Name: "none", Image: "none"}}},
	}, metav1.CreateOptions{})
	if err != nil {
		return fmt.Errorf("create the first pod: %w", err)
	}
	if err := p.awaitAddress(ctx, kwok, pod); err != nil {
		return err
	}
	if err := pods.Delete(ctx, pod.Name, *metav1.NewDeleteOptions(0)); err != nil && !apierrors.IsNotFound(err) {
		return fmt.Errorf("delete the first pod: %w", err)
	}
	return nil
}

func (p *Plane) process(c Component) *process {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.processes[c]
}

// makeDir makes the plane's directory and the folders in it.
func (p *Plane) makeDir() error {
	p.dir = p.options.Dir
	if p.dir == "" {
		dir, err := os.MkdirTemp("", "controlplane-")
		if err != nil {
			return err
		}
		p.dir, p.temporary = dir, true
	}
	dir, err := filepath.Abs(p.dir)
	if err != nil {
		return err
	}
	p.dir = dir
	if entries, err := os.ReadDir(p.dir); err == nil && len(entries) > 0 {
		p.dir = "" // not ours: touch nothing in it
		return fmt.Errorf("Options.Dir: %s is not empty (it holds %s): name an empty or missing directory", dir, entries[0].Name())
	}
	for _, sub := range []string{"bin", "pids", "logs", "etcd", "certs", "kubeconfigs"} {
		if err := os.MkdirAll(filepath.Join(p.dir, sub), 0o755); err != nil {
			return err
		}
	}
	return nil
}
