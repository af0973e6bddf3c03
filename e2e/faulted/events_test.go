// The watch log: every revision of the pods, ReplicaSets, Services and
// EndpointSlices of a world, in the order of their resourceVersions.

package faulted_test

import (
	"fmt"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/watch"
)

// An event is one object at one revision.
type event struct {
	revision int64
	seen     time.Time // by the machine's clock
	kind     string
	deleted  bool
	object   metav1.Object
}

func (e event) String() string {
	what := "is"
	if e.deleted {
		what = "was deleted"
	}
	return fmt.Sprintf("revision %d, %s %s %s", e.revision, e.kind, e.object.GetName(), what)
}

// events is a log that is being written.
type events struct {
	sources map[string]source
	begin   int64 // from this revision on the log is complete
	stop    []func()
	ended   sync.WaitGroup

	mu  sync.Mutex
	all []event
	now map[string]string // resourceVersion by kind and name, as the log has it
	err error
	end bool // what comes now is the end of the watches
}

// A source is a kind of object that is watched.
type source struct {
	list  func(metav1.ListOptions) (runtime.Object, error)
	watch func(metav1.ListOptions) (watch.Interface, error)
}

// record begins the log with what there is now.
func (w *world) record() {
	w.t.Helper()
	ctx := w.t.Context()
	pods, sets := w.client.CoreV1().Pods(w.ns), w.client.AppsV1().ReplicaSets(w.ns)
	services, endpoints := w.client.CoreV1().Services(w.ns), w.client.DiscoveryV1().EndpointSlices(w.ns)
	l := &events{now: map[string]string{}, sources: map[string]source{
		"pods":           {func(o metav1.ListOptions) (runtime.Object, error) { return pods.List(ctx, o) }, func(o metav1.ListOptions) (watch.Interface, error) { return pods.Watch(ctx, o) }},
		"replicasets":    {func(o metav1.ListOptions) (runtime.Object, error) { return sets.List(ctx, o) }, func(o metav1.ListOptions) (watch.Interface, error) { return sets.Watch(ctx, o) }},
		"services":       {func(o metav1.ListOptions) (runtime.Object, error) { return services.List(ctx, o) }, func(o metav1.ListOptions) (watch.Interface, error) { return services.Watch(ctx, o) }},
		"endpointslices": {func(o metav1.ListOptions) (runtime.Object, error) { return endpoints.List(ctx, o) }, func(o metav1.ListOptions) (watch.Interface, error) { return endpoints.Watch(ctx, o) }},
	}}
	w.events = l
	w.t.Cleanup(l.close)
	for _, kind := range keys(l.sources) {
		l.follow(w.t, kind)
	}
}

func (l *events) follow(t *testing.T, kind string) {
	t.Helper()
	list, err := l.sources[kind].list(metav1.ListOptions{})
	require.NoError(t, err)
	at, err := meta.ListAccessor(list)
	require.NoError(t, err)
	require.NoError(t, meta.EachListItem(list, func(o runtime.Object) error { l.add(kind, watch.Event{Type: watch.Added, Object: o}); return nil }))
	revision, err := strconv.ParseInt(at.GetResourceVersion(), 10, 64)
	require.NoError(t, err)
	l.begin = max(l.begin, revision)
	stream, err := l.sources[kind].watch(metav1.ListOptions{ResourceVersion: at.GetResourceVersion()})
	require.NoError(t, err)
	l.stop = append(l.stop, stream.Stop)
	l.ended.Add(1)
	go func() {
		defer l.ended.Done()
		for e := range stream.ResultChan() {
			l.add(kind, e)
		}
	}()
}

func (l *events) add(kind string, e watch.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.end {
		return
	}
	object, err := meta.Accessor(e.Object)
	if err != nil || e.Type == watch.Error {
		l.err = fmt.Errorf("the watch of %s: %v", kind, e)
		return
	}
	revision, err := strconv.ParseInt(object.GetResourceVersion(), 10, 64)
	if err != nil {
		l.err = err
		return
	}
	l.all = append(l.all, event{revision, time.Now(), kind, e.Type == watch.Deleted, object})
	key := kind + " " + object.GetName()
	l.now[key] = object.GetResourceVersion()
	if e.Type == watch.Deleted {
		delete(l.now, key)
	}
}

// caughtUp reports whether the log ends with what there is now.
func (l *events) caughtUp() bool {
	now := map[string]string{}
	for kind, s := range l.sources {
		list, err := s.list(metav1.ListOptions{})
		if err != nil {
			return false
		}
		_ = meta.EachListItem(list, func(o runtime.Object) error {
			if object, err := meta.Accessor(o); err == nil {
				now[kind+" "+object.GetName()] = object.GetResourceVersion()
			}
			return nil
		})
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(now) != len(l.now) {
		return false
	}
	for key, version := range now {
		if l.now[key] != version {
			return false
		}
	}
	return true
}

// close ends the log.
func (l *events) close() {
	l.mu.Lock()
	l.end = true
	l.mu.Unlock()
	for _, stop := range l.stop {
		stop()
	}
	l.ended.Wait()
	l.stop = nil
}

// recorded waits until the log is complete, ends it and returns it in order.
func (w *world) recorded() []event {
	w.t.Helper()
	w.eventually("the watch log is complete", w.events.caughtUp)
	w.events.close()
	require.NoError(w.t, w.events.err)
	slices.SortStableFunc(w.events.all, func(a, b event) int { return int(a.revision - b.revision) })
	return w.events.all
}
