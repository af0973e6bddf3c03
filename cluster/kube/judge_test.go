package kube

import (
	"encoding/json"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	corev1 "k8s.io/api/core/v1"
	discoveryv1 "k8s.io/api/discovery/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/cutover-dev/cutover/cluster"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

type pairs = map[string]string

// set is a ReplicaSet that its controller has seen.
func set(t testing.TB, name string, replicas int32, match, template pairs, edit ...func(*workload)) *workload {
	t.Helper()
	w := &workload{kind: ReplicaSet}
	w.Metadata.Name, w.Metadata.UID, w.Metadata.ResourceVersion = name, types.UID("uid-"+name), "7"
	w.Metadata.CreationTimestamp = metav1.NewTime(noon.Add(-time.Hour))
	w.Metadata.Generation, w.Status.ObservedGeneration = 3, 3
	w.Spec.Replicas, w.Status.Replicas = &replicas, replicas
	w.Spec.Selector = &metav1.LabelSelector{MatchLabels: match}
	w.Spec.Template.Metadata.Labels = template
	for _, e := range edit {
		e(w)
	}
	read, err := read(ReplicaSet, mustJSON(t, w))
	require.NoError(t, err)
	return read
}

func mustJSON(t testing.TB, v any) []byte {
	t.Helper()
	raw, err := json.Marshal(v)
	require.NoError(t, err)
	return raw
}

// note puts an annotation on a ReplicaSet.
func note(key, value string) func(*workload) {
	return func(w *workload) {
		if w.Metadata.Annotations == nil {
			w.Metadata.Annotations = pairs{}
		}
		w.Metadata.Annotations[key] = value
	}
}

func service(name string, selector pairs) corev1.Service {
	return corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Name: name, UID: types.UID("uid-" + name), ResourceVersion: "5"},
		Spec:       corev1.ServiceSpec{Selector: selector},
	}
}

// pod is a ready one of a ReplicaSet's.
func pod(of string, n int, with pairs, edit ...func(*corev1.Pod)) corev1.Pod {
	yes := true
	p := corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{
			Name: fmt.Sprint(of, "-", n), UID: types.UID(fmt.Sprint("pod-", of, "-", n)), Labels: with,
			OwnerReferences: []metav1.OwnerReference{{UID: types.UID("uid-" + of), Controller: &yes}},
		},
		Status: corev1.PodStatus{Phase: corev1.PodRunning, Conditions: []corev1.PodCondition{{
			Type: corev1.PodReady, Status: corev1.ConditionTrue, LastTransitionTime: metav1.NewTime(noon.Add(-10 * time.Second)),
		}}},
	}
	for _, e := range edit {
		e(&p)
	}
	return p
}

func leaving(p *corev1.Pod) { now := metav1.NewTime(noon); p.DeletionTimestamp = &now }

func unready(p *corev1.Pod) { p.Status.Conditions[0].Status = corev1.ConditionFalse }

func evicted(p *corev1.Pod) { p.Status.Phase = corev1.PodFailed }

// endpoints is a slice that shows these pods, all of them ready.
func endpoints(service string, of ...corev1.Pod) discoveryv1.EndpointSlice {
	yes := true
	s := discoveryv1.EndpointSlice{ObjectMeta: metav1.ObjectMeta{Labels: pairs{discoveryv1.LabelServiceName: service}}}
	for _, p := range of {
		s.Endpoints = append(s.Endpoints, discoveryv1.Endpoint{
			Conditions: discoveryv1.EndpointConditions{Ready: &yes}, TargetRef: &corev1.ObjectReference{UID: p.UID},
		})
	}
	return s
}

var (
	own  = pairs{"app": "web"}
	on   = pairs{"app": "web", "load-balancer-web": "true"}
	off  = pairs{"app": "web", "load-balancer-web": "false"}
	none = pairs{"app": "web"}
)

func TestJudgePods(t *testing.T) {
	for name, c := range map[string]struct {
		set  *workload
		pods []corev1.Pod
		want []int // Pods, Ready, Unsettled
		late bool  // Behind
	}{
		"all as wanted":        {set(t, "web", 2, own, on), []corev1.Pod{pod("web", 1, on), pod("web", 2, on)}, []int{2, 2, 0}, false},
		"one is not labelled":  {set(t, "web", 2, own, on), []corev1.Pod{pod("web", 1, on), pod("web", 2, off)}, []int{2, 2, 1}, false},
		"one is still live":    {set(t, "web", 2, own, none), []corev1.Pod{pod("web", 1, on), pod("web", 2, off)}, []int{2, 2, 1}, false},
		"one is leaving":       {set(t, "web", 1, own, off), []corev1.Pod{pod("web", 1, off), pod("web", 2, on, leaving)}, []int{2, 1, 0}, false},
		"one is not ready":     {set(t, "web", 1, own, on), []corev1.Pod{pod("web", 1, on, unready)}, []int{1, 0, 0}, false},
		"one was evicted":      {set(t, "web", 1, own, on), []corev1.Pod{pod("web", 1, on), pod("web", 2, on, evicted)}, []int{1, 1, 0}, false},
		"one has other labels": {set(t, "web", 1, own, on), []corev1.Pod{pod("web", 1, pairs{"app": "x"})}, []int{0, 0, 0}, false},
		"one is another's":     {set(t, "web", 1, own, on), []corev1.Pod{pod("api", 1, on)}, []int{0, 0, 0}, false},
		"not yet made":         {set(t, "web", 3, own, on, func(w *workload) { w.Status.Replicas = 0 }), nil, []int{3, 0, 0}, false},
		"over quota":           {set(t, "web", 3, own, on, func(w *workload) { w.Status.Replicas = 1 }), []corev1.Pod{pod("web", 1, on)}, []int{3, 1, 0}, false},
		"not yet seen":         {set(t, "web", 3, own, on, behind), []corev1.Pod{pod("web", 1, on)}, []int{3, 1, 0}, true},
		"not yet seen, none":   {set(t, "web", 0, own, on, behind), nil, []int{1, 0, 0}, true},
		"available later":      {set(t, "web", 1, own, on, func(w *workload) { w.Spec.MinReadySeconds = 11 }), []corev1.Pod{pod("web", 1, on)}, []int{1, 0, 0}, false},
		"available now":        {set(t, "web", 1, own, on, func(w *workload) { w.Spec.MinReadySeconds = 10 }), []corev1.Pod{pod("web", 1, on)}, []int{1, 1, 0}, false},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := enroll("web", Options{}, []*workload{c.set}, nil, []corev1.Service{service("web", on)})
			require.NoError(t, err)
			require.Equal(t, cluster.Can{Enable: true}, r.can)
			got := r.judge(evidence{at: noon, pods: c.pods}).Revisions[0]
			require.Equal(t, c.want, []int{got.Pods, got.Ready, got.Unsettled})
			require.Equal(t, c.late, got.Behind)
		})
	}
}

func behind(w *workload) { w.Status.ObservedGeneration = 2 }

func TestJudgeEndpoints(t *testing.T) {
	a, b := pod("web", 1, on), pod("web", 2, on)
	orphan := pod("web", 3, on, func(p *corev1.Pod) { p.OwnerReferences = nil })
	gone := pod("web", 4, on)
	for name, c := range map[string]struct {
		pods   []corev1.Pod
		slices []discoveryv1.EndpointSlice
		want   int
		strays int
	}{
		"in two slices":           {[]corev1.Pod{a, b}, []discoveryv1.EndpointSlice{endpoints("web", a), endpoints("web", b)}, 2, 0},
		"in two address families": {[]corev1.Pod{a}, []discoveryv1.EndpointSlice{endpoints("web", a), endpoints("web", a)}, 1, 0},
		"another Service's":       {[]corev1.Pod{a}, []discoveryv1.EndpointSlice{endpoints("web-metrics", a)}, 0, 0},
		"the pod is not ready":    {[]corev1.Pod{pod("web", 1, on, unready)}, []discoveryv1.EndpointSlice{endpoints("web", a)}, 0, 0},
		"the pod is leaving":      {[]corev1.Pod{pod("web", 1, on, leaving)}, []discoveryv1.EndpointSlice{endpoints("web", a)}, 0, 0},
		"an orphan":               {[]corev1.Pod{a, orphan}, []discoveryv1.EndpointSlice{endpoints("web", a, orphan)}, 1, 1},
		"a pod that is not there": {[]corev1.Pod{a}, []discoveryv1.EndpointSlice{endpoints("web", a, gone)}, 1, 1},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := enroll("web", Options{}, []*workload{set(t, "web", 2, own, on)}, nil, []corev1.Service{service("web", on)})
			require.NoError(t, err)
			s := r.judge(evidence{at: noon, pods: c.pods, slices: c.slices})
			require.Equal(t, c.want, s.Exposed("web"))
			require.Equal(t, c.strays, s.Strays)
		})
	}
}

func TestEndpointConditionsThatAreNotSaid(t *testing.T) {
	yes, no := true, false
	require.True(t, serves(discoveryv1.EndpointConditions{}))
	require.True(t, serves(discoveryv1.EndpointConditions{Ready: &yes, Serving: &yes, Terminating: &no}))
	require.False(t, serves(discoveryv1.EndpointConditions{Ready: &no, Serving: &yes}))
	require.False(t, serves(discoveryv1.EndpointConditions{Ready: &yes, Serving: &no}))
	require.False(t, serves(discoveryv1.EndpointConditions{Ready: &yes, Terminating: &yes}), "publishNotReadyAddresses")
}

func TestWhichServicesMoveTraffic(t *testing.T) {
	v1, v2 := set(t, "web-v001", 1, own, on), set(t, "web-v002", 1, own, none)
	dark1, dark2 := set(t, "web-v001", 1, own, off), set(t, "web-v002", 1, own, none)
	for name, c := range map[string]struct {
		revisions []*workload
		service   pairs
		flip      pairs // nil: no route
	}{
		"the label alone":                     {[]*workload{v1, v2}, pairs{"load-balancer-web": "true"}, pairs{"load-balancer-web": "true"}},
		"with the app's":                      {[]*workload{v1, v2}, on, pairs{"load-balancer-web": "true"}},
		"all dark, one by value":              {[]*workload{dark1, dark2}, pairs{"load-balancer-web": "true"}, pairs{"load-balancer-web": "true"}},
		"all dark, and the key nowhere":       {[]*workload{dark2}, on, pairs{"load-balancer-web": "true"}},
		"another app's label":                 {[]*workload{dark2}, pairs{"load-balancer-api": "true"}, nil},
		"another part of the product":         {[]*workload{v1, v2}, pairs{"app": "web", "component": "db"}, nil},
		"metrics over all":                    {[]*workload{v1, v2}, own, nil},
		"nothing deployed, a switch":          {nil, pairs{"web": "true", "app": "web"}, pairs{"web": "true"}},
		"nothing deployed, nothing to switch": {nil, own, nil},
	} {
		t.Run(name, func(t *testing.T) {
			r, err := enroll("web", Options{}, c.revisions, nil, []corev1.Service{service("web", c.service)})
			require.NoError(t, err)
			if c.flip == nil {
				require.Empty(t, r.traffic())
				return
			}
			require.Len(t, r.routes, 1)
			require.Equal(t, c.flip, r.routes[0].flip)
		})
	}
}

func TestASpinnakerServiceIsTrafficByItsAnnotation(t *testing.T) {
	w := set(t, "web-v001", 1, own, none, note(loadBalancers, `["service shop", "ingress x", "bad"]`))
	r, err := enroll("web", Options{}, []*workload{w}, nil, []corev1.Service{service("shop", pairs{"lb": "shop"})})
	require.NoError(t, err)
	require.Equal(t, pairs{"lb": "shop"}, r.routes[0].flip)
	require.True(t, r.off(w.labels()))
}

func TestTurning(t *testing.T) {
	r, err := enroll("web", Options{Services: []string{"a", "b"}}, []*workload{set(t, "web", 1, own, own)}, nil,
		[]corev1.Service{service("a", pairs{"lb-a": "true"}), service("b", pairs{"lb-b": "yes"})})
	require.NoError(t, err)
	for _, c := range []struct{ have, on, off pairs }{
		{pairs{}, pairs{"lb-a": "true", "lb-b": "yes"}, pairs{}},
		{pairs{"lb-a": "false"}, pairs{"lb-a": "true", "lb-b": "yes"}, pairs{"lb-a": "false"}},
		{pairs{"lb-a": "true"}, pairs{"lb-a": "true", "lb-b": "yes"}, pairs{"lb-a": "false"}},
		{pairs{"lb-a": "true", "lb-b": "yes"}, pairs{"lb-a": "true", "lb-b": "yes"}, pairs{"lb-a": "false"}},
	} {
		require.Equal(t, c.on, applied(c.have, r.turn(c.have, true)))
		require.Equal(t, c.off, applied(c.have, r.turn(c.have, false)))
		require.True(t, r.as(applied(c.have, r.turn(c.have, false)), false))
	}
}

func applied(have pairs, change map[string]*string) pairs {
	have = maps.Clone(have)
	for k, v := range change {
		if v == nil {
			delete(have, k)
		} else {
			have[k] = *v
		}
	}
	return have
}

func TestWhoIsARevision(t *testing.T) {
	for _, c := range []struct {
		name string
		edit func(*workload)
		want bool
	}{
		{"web", nil, true},
		{"web-v007", nil, true},
		{"web-v", nil, false},
		{"web-v1a", nil, false},
		{"web-api", nil, false},
		{"webshop-v001", nil, false},
		{"x", note(monikerCluster, "replicaSet web"), true},
		{"x", note(monikerCluster, "deployment web"), false},
		{"x", note(artifactName, "web"), true},
		{"x", func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "web"} }, true},
		{"web-v001", func(w *workload) { w.Metadata.Labels = pairs{AppLabel: "api"} }, false},
	} {
		edit := c.edit
		if edit == nil {
			edit = func(*workload) {}
		}
		require.Equal(t, c.want, set(t, c.name, 1, own, own, edit).belongs("web", nil), c.name)
	}
	require.True(t, set(t, "x", 1, own, on).belongs("web", pairs{"load-balancer-web": "true"}))
	require.False(t, set(t, "x", 1, own, off).belongs("web", pairs{"load-balancer-web": "true"}))
}

func TestOrder(t *testing.T) {
	at := func(d time.Duration) func(*workload) {
		return func(w *workload) { w.Metadata.CreationTimestamp = metav1.NewTime(noon.Add(d)) }
	}
	r, err := enroll("web", Options{Match: own}, []*workload{
		set(t, "web-v010", 0, own, own),
		set(t, "web-v009", 0, own, own),
		set(t, "baseline", 0, own, own, note(SequenceAnnotation, "9"), note(ArmAnnotation, "baseline"), at(-time.Minute)),
		set(t, "web-1.10", 0, own, own, at(2*time.Second)),
		set(t, "web", 0, own, own, at(time.Second)),
		set(t, "web-v002", 0, own, own, note(monikerSequence, "1000")),
	}, nil, nil)
	require.NoError(t, err)
	var names []string
	for _, w := range r.revisions {
		names = append(names, w.Metadata.Name)
	}
	require.Equal(t, []string{"web", "web-1.10", "web-v009", "baseline", "web-v010", "web-v002"}, names)
}

func TestTheQueryForPodsIsAsNarrowAsLabelsCanTell(t *testing.T) {
	query := func(all ...*workload) string {
		r, err := enroll("web", Options{Match: pairs{}}, all, nil, nil)
		require.NoError(t, err)
		return r.podQuery()
	}
	require.Equal(t, "app in (web)", query(set(t, "web-v001", 0, own, own), set(t, "web-v002", 0, pairs{"app": "web", "x": "y"}, pairs{"app": "web", "x": "y"})))
	require.Equal(t, "v in (1,2)", query(set(t, "web-v001", 0, pairs{"v": "1"}, pairs{"v": "1"}), set(t, "web-v002", 0, pairs{"v": "2"}, pairs{"v": "2"})))
	require.Empty(t, query(set(t, "web-v001", 0, pairs{"a": "1"}, pairs{"a": "1"}), set(t, "web-v002", 0, pairs{"b": "2"}, pairs{"b": "2"})))
}

// The other annotations are read by cluster.State's own tests; here it is that
// nothing in them makes the look fail.
func FuzzAnnotations(f *testing.F) {
	f.Add("7", "2026-01-02T12:00:00Z", `["service web"]`, "3 abc", `{"a":"b"}`)
	f.Add("-1", "yesterday", `[`, "", "[]")
	f.Add("99999999999999999999", "", `[["service web"]]`, " ", "null")
	f.Fuzz(func(t *testing.T, seq, when, lbs, fence, kept string) {
		w := set(t, "web", 1, own, on, note(SequenceAnnotation, seq), note(SinceAnnotation, when), note(RaisedAnnotation, when),
			note(loadBalancers, lbs), note(LabelsAnnotation, kept), note(FenceAnnotation, fence), note(OutcomeAnnotation, seq), behind)
		r, err := enroll("web", Options{}, []*workload{w}, nil, []corev1.Service{service("web", on)})
		if err != nil {
			t.Fatal(err)
		}
		got := r.judge(evidence{at: noon}).Revisions[0]
		if got.Seq < 0 || got.Seq >= maxSequence || got.Raised.IsZero() || got.Outcome.Result != cluster.Undecided && seq != "good" && seq != "failed" {
			t.Fatalf("%+v", got)
		}
	})
}
