// Package kube is the real [cluster.Cluster]: revisions are ReplicaSets, or
// Deployments, of one namespace, and Services bring them traffic. It needs
// nothing installed in the cluster. What it has to remember it keeps in labels
// and annotations of those objects.
//
//	c, err := kube.New(config, kube.Options{Namespace: "shop"})
//	target, err := kube.Target(manifest, "web="+image)
//
// # Traffic
//
// With [Labels], the zero value, a Service selects pods by a label that is not
// part of any revision's own selector, such as load-balancer-web=true. Traffic
// is moved by setting and taking that label, first on the pod template, then pod
// by pod. This is Spinnaker's way, and its objects are understood.
//
// With [Selector] the Service's own selector names the revision, in the label
// cutover.dev/revision or whatever tells found revisions apart.
//
// # Taking over from a plain Deployment
//
// A Service named in [Options].Services whose selector is one that all versions
// have, such as app=web, and a Deployment that it selects, are taken over with
// [Selector] as they are: the Deployment is the first revision, found, of whatever
// Kind the next are. While the next one gets ready, the Service is kept to the
// Deployment's pods by their pod-template-hash. That pin goes when traffic moves, or
// when the release is given up and its pods are gone. While it is on,
//
//   - nobody may change the Deployment's pod template: the release is given up as
//     soon as that is seen, and the Service opened again; a pin that a run left
//     which has died empties the Service then
//   - a tool that insists on the Service's selector takes the pin off, and the
//     release is given up; kubectl apply of the manifest, without --server-side,
//     leaves it
//
// It is refused while the Deployment is being rolled out.
//
// # What is a revision of an app
//
// A workload that cutover made for it; one that Spinnaker says belongs to it; one
// with the app's name or that name and -v007; and one with the labels of
// [Options].Match. Somebody else's, as its controller owner shows, is none.
package kube

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"k8s.io/apimachinery/pkg/util/validation"
	"k8s.io/client-go/rest"

	"github.com/cutover-dev/cutover/cluster"
)

// A Kind is the kind of object that a revision is.
type Kind int

// The kinds of revisions.
const (
	ReplicaSet Kind = iota
	Deployment
)

// String returns the kind's name in Kubernetes.
func (k Kind) String() string { return k.resource().kind }

func (k Kind) resource() resource {
	if k == Deployment {
		return deployments
	}
	return replicaSets
}

// A Mode is the way in which traffic is moved.
type Mode int

// The ways to move traffic.
const (
	Labels   Mode = iota // by a label of the pods
	Selector             // by the selector of the Services
)

// String returns "labels" or "selector".
func (m Mode) String() string {
	if m == Selector {
		return "selector"
	}
	return "labels"
}

// Options say where the apps are and what brings them traffic.
type Options struct {
	// Namespace holds everything. It is required.
	Namespace string

	// Services bring traffic, all of them, and each must exist. None: those
	// Services that select pods of a revision, and not the pods of every one. A
	// Service that is to be taken over from a plain Deployment must be named.
	Services []string

	// Previews are Services that show a revision to testers.
	Previews []string

	// Kind is the kind of revisions.
	Kind Kind

	// Traffic is the way to move it. On a Deployment only Selector can: there a
	// changed pod label is a rollout, which replaces every pod.
	Traffic Mode

	// Batch is how many pods a Put writes at most, where traffic is a label of
	// theirs; 0 is 10. It must not be more than the app can lose at once.
	Batch int

	// Match are labels of pod templates by which workloads that others made are
	// taken for revisions, such as deployment=busybox.
	Match map[string]string

	// Autoscalers shows the HorizontalPodAutoscalers of an app as routes that are
	// Scalers, for strategies to point at the revision that serves: those that
	// name a revision of it, or one that is gone. Without it they stay as they
	// are, and whoever scales a revision that one of them names is in dispute
	// with it.
	Autoscalers bool

	// Budgets warns of PodDisruptionBudgets that would let more of the pods in
	// traffic be evicted because they count others, too. They are read once a
	// minute; if that is not allowed, a Warning says so.
	Budgets bool
}

const defaultBatch = 10

// A Cluster is a [cluster.Cluster] in one namespace. Its methods may be called
// from several goroutines at once.
type Cluster struct {
	options    Options
	api        *api
	preflights shared[struct{}]
	firsts     shared[*first] // the first rounds of looks
	hub        hub            // the watches

	mu      sync.Mutex     // guards what follows
	allowed map[right]bool // what the preflight has found to be
	apps    map[string]*memory

	budgets  budgets
	reserved map[string]*Reservation // by app
}

// New returns the Cluster that cfg leads to. It asks the cluster nothing yet.
// cfg is copied; without a QPS of its own requests are not throttled, and without
// a Timeout of its own one may take 30 seconds.
func New(cfg *rest.Config, o Options) (*Cluster, error) {
	if cfg == nil {
		return nil, errors.New("kube: New: the rest.Config is nil")
	}
	o, err := o.checked()
	if err != nil {
		return nil, err
	}
	api, err := newAPI(cfg, o.Namespace)
	if err != nil {
		return nil, fmt.Errorf("kube: New: %w", err)
	}
	return &Cluster{options: o, api: api, hub: hub{api: api}, allowed: map[right]bool{}, apps: map[string]*memory{}, reserved: map[string]*Reservation{}}, nil
}

// checked returns the options as they are used, or what is wrong with them.
func (o Options) checked() (Options, error) {
	var wrong []string
	if problems := validation.IsDNS1123Label(o.Namespace); len(problems) > 0 {
		wrong = append(wrong, fmt.Sprintf("Namespace %q is not the name of a namespace", o.Namespace))
	}
	if o.Batch < 0 {
		wrong = append(wrong, fmt.Sprintf("Batch is %d: want 0, which is %d, or more", o.Batch, defaultBatch))
	}
	if o.Kind != ReplicaSet && o.Kind != Deployment {
		wrong = append(wrong, fmt.Sprintf("Kind is %d: want ReplicaSet or Deployment", int(o.Kind)))
	}
	if o.Traffic != Labels && o.Traffic != Selector {
		wrong = append(wrong, fmt.Sprintf("Traffic is %d: want Labels or Selector", int(o.Traffic)))
	}
	o.Services, o.Previews = bare(o.Services), bare(o.Previews)
	for _, name := range o.Services {
		if slices.Contains(o.Previews, name) {
			wrong = append(wrong, fmt.Sprintf("Service %q is both in Services and in Previews", name))
		}
	}
	if slices.Contains(o.Services, "") || slices.Contains(o.Previews, "") {
		wrong = append(wrong, "a Service without a name")
	}
	if len(wrong) > 0 {
		return o, fmt.Errorf("kube: New: Options: %s", strings.Join(wrong, "; "))
	}
	if o.Batch == 0 {
		o.Batch = defaultBatch
	}
	match := make(map[string]string, len(o.Match))
	for k, v := range o.Match {
		match[k] = v
	}
	o.Match = match
	return o, nil
}

// routePrefix makes a Service's name the name of a route.
const routePrefix = "service/"

// bare returns the names without a leading "service/", sorted, each once.
func bare(names []string) []string {
	var all []string
	for _, name := range names {
		all = append(all, strings.TrimPrefix(name, routePrefix))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// checkApp refuses what can be no app.
func checkApp(app string) error {
	if problems := validation.IsDNS1123Subdomain(app); len(problems) > 0 || len(app) > validation.LabelValueMaxLength {
		return fmt.Errorf("kube: app %q: want lower-case letters, digits, '-' or '.', at most %d: %w",
			app, validation.LabelValueMaxLength, cluster.ErrRefused)
	}
	return nil
}

// start is what every method does first.
func start(ctx context.Context, app string) error {
	if err := ctx.Err(); err != nil {
		return fmt.Errorf("kube: app %q: nothing was sent: %w", app, context.Cause(ctx))
	}
	return checkApp(app)
}
