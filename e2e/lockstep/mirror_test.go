// The mirror: what the simulated controllers and people have done, done again
// with plain writes to a real apiserver.

package lockstep_test

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
	"github.com/cutover-dev/cutover/fake"
)

// A mirror makes the real namespace be as the simulated world is. It writes what
// controllers write: pods, their status, endpoints, and the status of
// ReplicaSets. ReplicaSets and Services themselves are the client's, and
// people's.
//
// It writes before the real client's next call rather than at each simulated
// change: nobody looks in between.
type mirror struct {
	ns      string
	sim     *fake.Cluster
	labels  bool                 // traffic is a label of pods
	renewed func(was, is string) // a ReplicaSet's version, by its status

	sets   map[string]*replicaSet // by the simulated UID
	latest map[string]*replicaSet // by name, deleted ones too
	pods   map[string]*pod        // by name
	slices map[string]string      // what was written last, by route
}

// A replicaSet is what the mirror knows of a real one.
type replicaSet struct {
	name       string
	uid        types.UID
	version    string // the simulated one at which it was read
	generation int64
	born       map[string]string // labels of its pods, but for the traffic label
	resource   string            // its resourceVersion when it was last read or written here

	written setStatus
}

// setStatus is what a controller tells of a ReplicaSet.
type setStatus struct {
	Replicas           int   `json:"replicas"`
	ReadyReplicas      int   `json:"readyReplicas"`
	ObservedGeneration int64 `json:"observedGeneration"`
}

func newMirror(ns string, sim *fake.Cluster, labels bool, renewed func(was, is string)) *mirror {
	return &mirror{
		ns: ns, sim: sim, labels: labels, renewed: renewed,
		sets: map[string]*replicaSet{}, latest: map[string]*replicaSet{}, pods: map[string]*pod{}, slices: map[string]string{},
	}
}

// ctx bounds whatever the mirror asks for. Nobody cancels it: a caller's context
// that has ended does not end what controllers do.
func (m *mirror) ctx() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), time.Minute)
}

// do makes one request, which must succeed.
func (m *mirror) do(what string, request func(ctx context.Context) error) {
	ctx, cancel := m.ctx()
	defer cancel()
	if err := request(ctx); err != nil {
		diverges("mirroring: "+what, err.Error())
	}
}

// sync brings the real namespace up to now.
func (m *mirror) sync() {
	s, pods := m.sim.State(app), m.sim.Pods(app)
	for _, r := range s.Revisions {
		m.read(r)
	}
	m.syncPods(pods)
	m.syncSlices(s, pods)
	for _, r := range s.Revisions {
		m.syncStatus(r, pods)
	}
}

// read reads the real ReplicaSet, if somebody has written it since.
func (m *mirror) read(r cluster.Revision) {
	set := m.sets[r.UID]
	if set != nil && set.version == r.Version {
		return
	}
	var found *appsv1.ReplicaSet
	m.do("get "+r.Name, func(ctx context.Context) (err error) {
		found, err = hand.AppsV1().ReplicaSets(m.ns).Get(ctx, r.Name, metav1.GetOptions{})
		return err
	})
	if set == nil {
		set = &replicaSet{name: r.Name, uid: found.UID}
		m.sets[r.UID], m.latest[r.Name] = set, set
	}
	if set.uid != found.UID {
		diverges("mirroring: get "+r.Name, fmt.Sprintf("its UID is %s, and was %s", found.UID, set.uid))
	}
	set.version, set.generation, set.resource = r.Version, found.Generation, found.ResourceVersion
	set.born = map[string]string{}
	for k, v := range found.Spec.Template.Labels {
		if k != trafficLabel {
			set.born[k] = v
		}
	}
}

// syncStatus writes what the simulated controller tells. While it is behind it
// tells of its pods, and that it has not seen the newest spec.
func (m *mirror) syncStatus(r cluster.Revision, pods []fake.Pod) {
	set := m.sets[r.UID]
	now := setStatus{ObservedGeneration: set.generation}
	if r.Behind {
		now.ObservedGeneration = set.written.ObservedGeneration
	}
	for _, p := range pods {
		if p.Owner == r.UID && !p.Leaving {
			now.Replicas++
			if p.Ready {
				now.ReadyReplicas++
			}
		}
	}
	if now == set.written {
		return
	}
	var found *appsv1.ReplicaSet
	m.do("patch the status of "+r.Name, func(ctx context.Context) (err error) {
		found, err = hand.AppsV1().ReplicaSets(m.ns).Patch(ctx, r.Name, types.MergePatchType,
			asJSON(map[string]any{"status": now}), metav1.PatchOptions{}, "status")
		return err
	})
	m.renewed(set.resource, found.ResourceVersion)
	set.written, set.resource = now, found.ResourceVersion
}

// written follows a write of the client, which has written pods by itself: they
// must be as the simulated ones are.
func (m *mirror) written(call string) {
	if !m.labels {
		return
	}
	var wrong []string
	simulated := map[string]fake.Pod{}
	for _, p := range m.sim.Pods(app) {
		simulated[podName(p)] = p
	}
	var found *corev1.PodList
	m.do("list pods", func(ctx context.Context) (err error) {
		found, err = hand.CoreV1().Pods(m.ns).List(ctx, metav1.ListOptions{})
		return err
	})
	for i := range found.Items {
		if p, there := simulated[found.Items[i].Name]; there { // else it has left meanwhile
			wrong = append(wrong, m.comparePod(p, &found.Items[i])...)
		}
	}
	diverges(call, wrong...)
}

func asJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic(err) // everything here has a JSON form
	}
	return raw
}
