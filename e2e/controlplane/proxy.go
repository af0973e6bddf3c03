// A proxy between a client and the apiserver, which can cut the client off
// before or after any of its requests.

package controlplane

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"k8s.io/client-go/rest"
)

// A Proxy passes HTTP on to an apiserver and the answers back. Clients reach it
// on loopback without credentials; it adds its own.
//
// A request is read whole, then forwarded; its answer is read whole, then sent.
// Once forwarded it is carried through even if the client has gone away.
// Watches, and whatever else has no end (logs with follow, exec), stream
// through and end with the client. Each request comes on a connection of its
// own, so cutting one off disturbs no other, and net/http does not quietly send
// it again. But client-go does: it repeats a GET whose connection broke, up to
// ten times, a second apart, each time a request of its own to the hooks; and a
// watch that is still cut then is an empty one, without an error.
type Proxy struct {
	target    *url.URL
	transport http.RoundTripper
	server    *http.Server
	listener  net.Listener
	file      string // kubeconfig
	served    chan struct{}
	close     func() error

	mu     sync.Mutex
	count  int
	before func(r *http.Request) error
	after  func(r *http.Request, status int) error
}

// NewProxy returns a Proxy to the apiserver that cfg describes, with cfg's
// rights. It is the caller's to Close.
func NewProxy(cfg *rest.Config) (*Proxy, error) {
	target, _, err := rest.DefaultServerUrlFor(cfg)
	if err != nil {
		return nil, fmt.Errorf("controlplane: proxy: %w", err)
	}
	own := rest.CopyConfig(cfg)
	own.UserAgent = "" // the client's is passed on
	own.Proxy = func(*http.Request) (*url.URL, error) { return nil, nil }
	transport, err := rest.TransportFor(own)
	if err != nil {
		return nil, fmt.Errorf("controlplane: proxy: %w", err)
	}
	file, err := os.CreateTemp("", "controlplane-proxy-*.kubeconfig")
	if err != nil {
		return nil, fmt.Errorf("controlplane: proxy: %w", err)
	}
	_ = file.Close()
	p := &Proxy{target: target, transport: transport, file: file.Name(), served: make(chan struct{})}
	p.close = sync.OnceValue(p.shut)
	if p.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, errors.Join(fmt.Errorf("controlplane: proxy: %w", err), os.Remove(p.file))
	}
	if err := WriteKubeconfig(p.file, p.Config()); err != nil {
		return nil, errors.Join(err, p.listener.Close(), os.Remove(p.file))
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ErrorLog: log.New(io.Discard, "", 0)}
	p.server.SetKeepAlivesEnabled(false)
	go func() {
		defer close(p.served)
		_ = p.server.Serve(p.listener)
	}()
	return p, nil
}

// Proxy returns a new Proxy with an administrator's rights, closed when the
// test has ended.
func (p *Plane) Proxy(tb testing.TB) *Proxy {
	tb.Helper()
	proxy, err := NewProxy(p.Config())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			tb.Error(err)
		}
	})
	return proxy
}

// Before sets the hook that is called before a request is forwarded, in place
// of the one before; nil is none. If it returns an error, the connection is
// closed without an answer and the apiserver never sees the request. The hook
// may read the body; all of it is forwarded nevertheless.
//
// Hooks are called from several goroutines at once, and one that waits makes
// only its own request wait. Sequence tells which request it is.
func (p *Proxy) Before(hook func(r *http.Request) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.before = hook
}

// After sets the hook that is called once the apiserver has answered in full,
// and before the client gets anything; nil is none. If it returns an error, the
// connection is closed without an answer: what was asked for has happened, if
// status says so. For a stream the hook is called when it begins. It is not
// called if the apiserver cannot be reached; the client then gets a 502.
func (p *Proxy) After(hook func(r *http.Request, status int) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.after = hook
}

// Requests returns how many requests have arrived.
func (p *Proxy) Requests() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.count
}

type sequenceKey struct{}

// Sequence returns the number of a request that was handed to a hook: 1 for the
// first that arrived at its Proxy. For any other request it is 0.
func Sequence(r *http.Request) int {
	n, _ := r.Context().Value(sequenceKey{}).(int)
	return n
}

// Config returns a new configuration of a client of the proxy, without a limit
// on its requests.
func (p *Proxy) Config() *rest.Config {
	return &rest.Config{Host: "http://" + p.listener.Addr().String(), QPS: -1, Burst: -1}
}

// Kubeconfig returns the path of a kubeconfig file for a client of the proxy.
// Close removes it.
func (p *Proxy) Kubeconfig() string { return p.file }

// Close ends the proxy and every connection through it. Closing again returns
// what the first Close returned.
func (p *Proxy) Close() error { return p.close() }

func (p *Proxy) shut() error {
	err := p.server.Close()
	<-p.served
	(&http.Client{Transport: p.transport}).CloseIdleConnections()
	if err = errors.Join(err, os.Remove(p.file)); err != nil {
		return fmt.Errorf("controlplane: close proxy: %w", err)
	}
	return nil
}

// arrive numbers a request and tells the hooks it will meet.
func (p *Proxy) arrive() (n int, before func(*http.Request) error, after func(*http.Request, int) error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.count++
	return p.count, p.before, p.after
}

func (p *Proxy) serve(w http.ResponseWriter, r *http.Request) {
	n, before, after := p.arrive()
	ctx := context.WithValue(r.Context(), sequenceKey{}, n)
	var body []byte
	if !endless(r) {
		// The client's going away shall not cancel what was forwarded. The
		// apiserver itself gives up after a minute.
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(context.WithoutCancel(ctx), 90*time.Second)
		defer cancel()
		var err error
		if body, err = io.ReadAll(r.Body); err != nil {
			panic(http.ErrAbortHandler) // the client broke off in the middle
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	r = r.WithContext(ctx)
	if before != nil && before(r) != nil {
		panic(http.ErrAbortHandler) // net/http closes the connection, and logs nothing
	}
	if !endless(r) {
		r.Body = io.NopCloser(bytes.NewReader(body)) // the hook may have read it
	}
	forward := httputil.ReverseProxy{
		Rewrite:       func(pr *httputil.ProxyRequest) { pr.SetURL(p.target) },
		Transport:     p.transport,
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0),
		ModifyResponse: func(resp *http.Response) error {
			if !endless(r) {
				whole, err := io.ReadAll(resp.Body)
				_ = resp.Body.Close()
				if err != nil {
					return err
				}
				resp.Body = io.NopCloser(bytes.NewReader(whole))
			}
			if after != nil && after(r, resp.StatusCode) != nil {
				return errCut
			}
			return nil
		},
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			if errors.Is(err, errCut) {
				panic(http.ErrAbortHandler)
			}
			http.Error(w, "controlplane: proxy: "+err.Error(), http.StatusBadGateway)
		},
	}
	forward.ServeHTTP(w, r)
}

var errCut = errors.New("cut off by the After hook")

// endless reports whether an answer may come bit by bit for ever.
func endless(r *http.Request) bool {
	q := r.URL.Query()
	yes := func(s string) bool { return s == "1" || s == "true" }
	return yes(q.Get("watch")) || yes(q.Get("follow")) ||
		strings.Contains(r.URL.Path, "/watch/") || r.Header.Get("Upgrade") != ""
}
