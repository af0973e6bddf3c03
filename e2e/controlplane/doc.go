// Package controlplane runs a real Kubernetes control plane for tests: etcd,
// kube-apiserver, kube-controller-manager and kube-scheduler, with kwok in the
// place of kubelets. ReplicaSets make pods, pods are scheduled and become ready,
// EndpointSlices follow; only containers there are none.
//
//	func TestSwitch(t *testing.T) {
//		plane := controlplane.Start(t, controlplane.Options{})
//		ns := plane.Namespace(t)
//		client := kubernetes.NewForConfigOrDie(plane.Config())
//		…
//	}
//
// # Binaries
//
// Each binary is looked for in $KUBEBUILDER_ASSETS, then in the user's cache
// directory, and is otherwise compiled from the module in e2e/binaries, which
// pins every version. The first compilation takes some minutes and a test binary
// has ten by default, so do it beforehand:
//
//	go run ./controlplane/prepare
//
// Compiling needs that folder: from a test binary built with -trimpath it is
// found only while the working directory is inside the e2e module, as it is
// under go test. A plane with everything in $KUBEBUILDER_ASSETS needs nothing.
//
// # Pods
//
// A pod becomes ready as soon as it is scheduled and is gone as soon as it is
// deleted, unless its annotations say otherwise. Put them on a pod template, or
// on a living pod: kwok acts on each change.
//
//	cutover.test/ready: slow          runs at once, ready 3 s later
//	cutover.test/ready-after: 500ms   how much later, instead of 3 s
//	cutover.test/ready: never         runs, not ready; a ready pod loses its readiness
//	cutover.test/ready: crash         CrashLoopBackOff, one more restart every 2 s
//	cutover.test/terminate: slow      stays Terminating for 5 s when deleted
//	cutover.test/terminate-after: 1s  how long, instead of 5 s
//	cutover.test/terminate: never     stays Terminating
//
// Taking the annotation away lets the pod go on: never and crash then become
// ready, a Terminating pod goes. Pods of a Job succeed once they were ready.
// These rules are kwok Stages; Options.Stages replaces and adds some.
//
// # What is not promised
//
// No container runs, so there are no logs, no exec, no probes, no traffic, and
// the image is never looked at. Probes and preStop hooks in a pod are ignored,
// terminationGracePeriodSeconds too. Times say what the controllers cost, not
// what a kubelet would. There is no cloud, no DNS, no kube-proxy, and nothing
// signs CertificateSigningRequests.
package controlplane
