// Package apiserver is a simulated kube-apiserver: an [http.RoundTripper] that
// answers the requests of a client as the real one would, out of memory. A
// client of client-go runs over it unchanged, with no network and no process:
//
//	server := apiserver.New(clock)
//	config := &rest.Config{Host: "http://simulated", Transport: server}
//
// It knows ReplicaSets, Deployments, Pods, Services, Namespaces, EndpointSlices
// and SelfSubjectAccessReviews, in JSON; and HorizontalPodAutoscalers,
// PodDisruptionBudgets and Leases, which it takes as they come and which nobody
// acts on. Of those it keeps what the store of the
// real one promises: resourceVersions, UIDs, generations, conflicts, graceful
// deletion, finalizers, dry runs, lists in pages of one revision, and watches.
// The controllers behind it are methods that a test calls when it likes, one
// step each: see [Server.StepReplicaSets], [Kubelet], [Server.StepEndpointSlices]
// and [Server.Collect].
//
// There is no goroutine, wall clock or chance in it: the same calls at the same
// times make the same world, UIDs and generated names too. Faults are not its
// business: wrap it in a RoundTripper that loses requests or answers.
//
// What it answers is compared with the real one, program by program, by a test
// of this repository. What it does not have: server-side apply, strategic merge
// patches and managedFields; deleting a collection; authentication, quotas and
// admission beyond namespaces; defaults and checks of fields that no deployer of
// apps reads, probes and volumes for instance.
package apiserver

import (
	"net/http"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
)

// A Server is one simulated apiserver with its store. Its methods may be called
// from several goroutines at once; each request and each step is one moment.
type Server struct {
	clock  func() time.Time
	kinds  []*kind
	scheme *runtime.Scheme

	mu    sync.Mutex // guards what follows
	store store
	allow func(Review) bool

	addresses int // of pods so far
}

// A Review is a question of authorization: may the caller do this? Group is ""
// for the core API; Namespace is "" for what is in none; Name and Subresource
// are "" where the request has none.
type Review struct {
	Verb, Group, Resource, Subresource, Namespace, Name string
}

// New returns a server whose time is what clock says; it must not go back. Like
// a real one it begins with the namespace "default". Others are made by POST.
func New(clock func() time.Time) *Server {
	s := &Server{clock: clock, scheme: newScheme(), kinds: newKinds()}
	s.store.begin()
	home := &corev1.Namespace{}
	home.Name = corev1.NamespaceDefault
	if _, err := s.create(s.kindOf("Namespace"), home, false); err != nil {
		panic("apiserver: " + err.Error())
	}
	return s
}

// Allow makes a hook decide who may do what: a request that it denies is
// answered with 403, and a SelfSubjectAccessReview with its word. It must not
// call the Server. Nil, as in the beginning, allows everything.
func (s *Server) Allow(decide func(Review) bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.allow = decide
}

// Revision returns the resourceVersion of the last write.
func (s *Server) Revision() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.store.revision
}

// Compact forgets what the store was before now, as a real one does every five
// minutes: a list that is continued, and a watch that begins, from before are
// answered with 410.
func (s *Server) Compact() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.store.compact()
}

// Bookmark sends the present resourceVersion to every watch that asked for
// bookmarks, as a real server does about once a minute.
func (s *Server) Bookmark() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.store.watches {
		w.mark(s.store.revision)
	}
}

// RoundTrip implements [http.RoundTripper]. An error is that of the request's
// context or body; then nothing was changed. All else is an answer.
func (s *Server) RoundTrip(r *http.Request) (*http.Response, error) {
	body, err := readBody(r)
	if err != nil {
		return nil, err
	}
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.respond(r, s.answer(r, body)), nil
}
