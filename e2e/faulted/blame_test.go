// Who is to blame for endpoints that are lost.

package faulted_test

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
)

// A story is a log that is written by hand.
type story struct {
	events []event
	now    time.Time
}

func (s *story) tell(o metav1.Object, deleted bool) {
	o.SetResourceVersion(fmt.Sprint(len(s.events) + 1))
	s.events = append(s.events, event{int64(len(s.events) + 1), s.now, "", deleted, o})
}

func (s *story) service() {
	s.tell(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Name: app}, Spec: corev1.ServiceSpec{Selector: map[string]string{traffic: "on"}}}, false)
}

// scaled is a ReplicaSet with so many replicas, as manager wrote them.
func (s *story) scaled(name string, n int32, manager string) {
	s.tell(&appsv1.ReplicaSet{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID(name), ManagedFields: wrote(manager, "f:replicas")},
		Spec:       appsv1.ReplicaSetSpec{Replicas: &n},
	}, false)
}

// pod is one of a ReplicaSet's, ready, with or without traffic by cutover.
func (s *story) pod(of string, i int, on string, deleted bool) {
	yes, name := true, fmt.Sprintf("%s-%d", of, i)
	s.tell(&corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: name, UID: types.UID(name), Labels: map[string]string{traffic: on}, ManagedFields: wrote("cutover", traffic),
			OwnerReferences: []metav1.OwnerReference{{Kind: "ReplicaSet", Name: of, UID: types.UID(of), Controller: &yes}},
		},
		Status: corev1.PodStatus{Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}},
	}, deleted)
}

// orphan takes a pod from its ReplicaSet.
func (s *story) orphan(of string, i int) {
	s.pod(of, i, "on", false)
	pod := s.events[len(s.events)-1].object.(*corev1.Pod)
	pod.OwnerReferences = nil
}

func wrote(manager, field string) []metav1.ManagedFieldsEntry {
	raw, _ := json.Marshal(map[string]any{field: map[string]any{}})
	return []metav1.ManagedFieldsEntry{{Manager: manager, FieldsV1: metav1.NewFieldsV1(string(raw))}}
}

// Two versions of three are in traffic, and somebody takes one pod of the first, or
// makes it nobody's. What cutover takes off the second right then was decided before:
// nobody could know. What it takes off later, or after a write of its own, is its
// doing.
func TestBugReplicasThatAPersonTookWereCutoversDoing(t *testing.T) {
	takes := func(who string) func(*story) {
		return func(s *story) { s.scaled(old, replicas-1, who) }
	}
	goes := func(who string) func(*story) {
		return func(s *story) { takes(who)(s); s.pod(old, 0, "on", true) }
	}
	orphan := func(s *story) { s.orphan(old, 0) }
	for _, c := range []struct {
		name    string
		happens func(*story)
		before  time.Duration
		blamed  bool
	}{
		{"a person takes a replica", takes("kubectl"), time.Second, false},
		{"a person takes a replica, and the pod goes", goes("kubectl"), time.Second, false},
		{"a person makes a pod nobody's", orphan, time.Second, false},
		{"a person takes a replica long before", takes("kubectl"), grace + time.Second, true},
		{"a person takes a replica long before, and the pod goes", goes("kubectl"), grace + time.Second, true},
		{"a person makes a pod nobody's long before", orphan, grace + time.Second, true},
		{"cutover takes a replica", takes("cutover"), time.Second, true},
		{"cutover takes a replica, and the pod goes", goes("cutover"), time.Second, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := &story{now: time.Unix(1000, 0)}
			s.service()
			for _, revision := range []string{old, newer} {
				s.scaled(revision, replicas, "cutover")
				for i := range replicas {
					s.pod(revision, i, "on", false)
				}
			}
			begin := int64(len(s.events))
			c.happens(s)
			s.now = s.now.Add(c.before)
			for i := range replicas {
				s.pod(newer, i, "off", false)
			}
			breaches := judgeLog(s.events, begin, replicas, false)
			require.Equal(t, c.blamed, len(breaches) > 0, "%q", breaches)
		})
	}
}
