// Watches: every write after a revision, as it comes.

package apiserver

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// A watch is the body of its answer. Reading it waits for the next event.
type watch struct {
	server *Server
	ctx    context.Context
	req    *request
	selection
	marks  bool // bookmarks are wanted
	closed chan struct{}
	close  sync.Once

	// Guarded by the server's lock.
	unread []byte
	news   chan struct{} // closed when there is something unread
	ended  bool          // nothing comes after what is unread
}

// watching reports whether a list is to be a watch.
func watching(query url.Values) bool {
	on, err := strconv.ParseBool(query.Get("watch"))
	return err == nil && on
}

func (s *Server) serveWatch(ctx context.Context, req *request) answer {
	chosen, err := selects(req.query)
	if err != nil {
		return bad(err)
	}
	w := &watch{server: s, ctx: ctx, req: req, selection: chosen, closed: make(chan struct{}), news: make(chan struct{})}
	w.marks, _ = strconv.ParseBool(req.query.Get("allowWatchBookmarks"))
	sent := req.query.Get("resourceVersion")
	from, err := strconv.ParseUint(sent, 10, 63)
	if sent != "" && err != nil {
		return bad(fmt.Errorf("resourceVersion: Invalid value: %q: %w", sent, err))
	}
	if from == 0 {
		w.begin()
	} else {
		w.resume(int64(from))
	}
	s.store.watches = append(s.store.watches, w)
	return answer{code: http.StatusOK, stream: w}
}

// begin shows what there is.
func (w *watch) begin() {
	st := &w.server.store
	for _, l := range st.list(w.req.kind.name, w.req.namespace, st.revision) {
		if w.matches(l.version) {
			w.say("ADDED", alone(w.req.kind, l.object))
		}
	}
}

// resume shows what has happened since, or says that this is not known any more.
func (w *watch) resume(from int64) {
	st := &w.server.store
	if from < st.compacted {
		err := apierrors.NewResourceExpired(fmt.Sprintf("too old resource version: %d (%d)", from, st.compacted))
		w.say("ERROR", statusBody(err.Status()))
		w.ended = true
		return
	}
	for _, e := range st.events {
		if e.revision > from {
			w.show(e)
		}
	}
}

// show tells of one write. To who selects by labels, an object that begins to
// match is new, and one that ends to is deleted.
func (w *watch) show(e event) {
	if w.ended || e.key.kind != w.req.kind.name || w.req.namespace != "" && e.key.namespace != w.req.namespace {
		return
	}
	before, after := w.matches(e.before), w.matches(e.after)
	switch {
	case before && after:
		w.say("MODIFIED", alone(w.req.kind, e.after.object))
	case after:
		w.say("ADDED", alone(w.req.kind, e.after.object))
	case before:
		last := e.before.object.DeepCopyObject().(object)
		last.SetResourceVersion(strconv.FormatInt(e.revision, 10))
		w.say("DELETED", alone(w.req.kind, last))
	}
}

// mark tells how far the watch is.
func (w *watch) mark(revision int64) {
	if !w.marks || w.ended {
		return
	}
	o := w.req.kind.fresh()
	o.SetResourceVersion(strconv.FormatInt(revision, 10))
	w.say("BOOKMARK", alone(w.req.kind, o))
}

func (w *watch) say(what string, object []byte) {
	if len(w.unread) == 0 {
		close(w.news)
	}
	w.unread = fmt.Appendf(w.unread, "{\"type\":%q,\"object\":%s}\n", what, object)
}

// Read implements [io.Reader]: it returns what is there, or waits for the next
// event, the end of the request's context, or Close.
func (w *watch) Read(p []byte) (int, error) {
	for {
		w.server.mu.Lock()
		n := copy(p, w.unread)
		w.unread = w.unread[n:]
		if n > 0 && len(w.unread) == 0 {
			w.news = make(chan struct{})
		}
		news, ended := w.news, w.ended
		w.server.mu.Unlock()
		switch {
		case n > 0 || len(p) == 0:
			return n, nil
		case ended:
			return 0, io.EOF
		}
		select {
		case <-news:
		case <-w.closed:
			return 0, http.ErrBodyReadAfterClose
		case <-w.ctx.Done():
			return 0, w.ctx.Err()
		}
	}
}

// Close ends the watch.
func (w *watch) Close() error {
	w.close.Do(func() {
		close(w.closed)
		w.server.mu.Lock()
		defer w.server.mu.Unlock()
		st := &w.server.store
		st.watches = slices.DeleteFunc(st.watches, func(other *watch) bool { return other == w })
	})
	return nil
}
