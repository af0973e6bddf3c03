// What clients asked of the apiserver, from its audit log.

package controlplane

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"
)

// An Entry is one request that the apiserver has answered.
type Entry struct {
	Verb        string // get, list, watch, create, update, patch, delete, deletecollection
	Resource    string // plural, such as "replicasets"; "" if URI is no resource
	Subresource string // such as "scale" and "status"
	Namespace   string
	Name        string // "" for lists, and for what was created with a generated name
	Code        int    // the HTTP status of the answer
	User        string
	UserAgent   string
	Time        time.Time // when the request arrived, by the apiserver's clock
	URI         string
}

// String is the entry in one line.
func (e Entry) String() string {
	what := e.what()
	if e.Resource == "" {
		what = e.URI
	}
	return fmt.Sprintf("%s %s %s → %d", e.Verb, what, strings.Trim(e.Namespace+"/"+e.Name, "/"), e.Code)
}

func (e Entry) what() string {
	if e.Subresource != "" {
		return e.Resource + "/" + e.Subresource
	}
	return e.Resource
}

// Audit returns the requests whose user agent begins with userAgentPrefix, in
// the order in which they were completed; "" is everyone's, the controllers'
// included.
//
// Whoever has read an answer to its end finds the request here: the apiserver
// writes the entry first. A watch appears when it has ended, not before.
// Requests that never reached the apiserver, or that it had not finished when
// it was killed, do not appear at all. Whether a request that failed half-way,
// its client gone, appears with the code it would have had is not promised.
func (p *Plane) Audit(userAgentPrefix string) ([]Entry, error) {
	all, err := p.audited.upTo(p.auditFile())
	if err != nil {
		return nil, err
	}
	var entries []Entry
	for _, e := range all {
		if strings.HasPrefix(e.UserAgent, userAgentPrefix) {
			entries = append(entries, e)
		}
	}
	return entries, nil
}

// An auditLog is what was read of a log that grows: no line is read twice.
type auditLog struct {
	mu      sync.Mutex
	read    int64 // bytes
	entries []Entry
}

// upTo returns the entries of a file up to its last whole line.
func (l *auditLog) upTo(file string) ([]Entry, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("controlplane: read the audit log: %w", err)
	}
	defer func() { _ = f.Close() }()
	raw, err := io.ReadAll(io.NewSectionReader(f, l.read, math.MaxInt64-l.read))
	if err != nil {
		return nil, fmt.Errorf("controlplane: read the audit log: %w", err)
	}
	raw = raw[:bytes.LastIndexByte(raw, '\n')+1] // a line being written is not there yet
	for line := range bytes.Lines(raw) {
		var event auditEvent
		if err := json.Unmarshal(line, &event); err != nil {
			return nil, fmt.Errorf("controlplane: audit log %s: %w in line %q", file, err, line)
		}
		if event.Stage == "ResponseComplete" {
			l.entries = append(l.entries, event.entry())
		}
		l.read += int64(len(line))
	}
	return slices.Clip(l.entries), nil
}

// auditEvent is what is of interest in an event of audit.k8s.io/v1.
type auditEvent struct {
	Stage      string    `json:"stage"`
	Verb       string    `json:"verb"`
	RequestURI string    `json:"requestURI"`
	UserAgent  string    `json:"userAgent"`
	Received   time.Time `json:"requestReceivedTimestamp"`
	User       struct {
		Username string `json:"username"`
	} `json:"user"`
	ObjectRef struct {
		Resource    string `json:"resource"`
		Subresource string `json:"subresource"`
		Namespace   string `json:"namespace"`
		Name        string `json:"name"`
	} `json:"objectRef"`
	ResponseStatus struct {
		Code int `json:"code"`
	} `json:"responseStatus"`
}

func (e auditEvent) entry() Entry {
	return Entry{
		Verb:        e.Verb,
		Resource:    e.ObjectRef.Resource,
		Subresource: e.ObjectRef.Subresource,
		Namespace:   e.ObjectRef.Namespace,
		Name:        e.ObjectRef.Name,
		Code:        e.ResponseStatus.Code,
		User:        e.User.Username,
		UserAgent:   e.UserAgent,
		Time:        e.Received,
		URI:         e.RequestURI,
	}
}

// Mutating returns the entries that asked for a change of the cluster, whether
// they got it or not (see Code). Dry runs and access reviews ask for none.
func Mutating(entries []Entry) []Entry {
	var asked []Entry
	for _, e := range entries {
		if slices.Contains([]string{"create", "update", "patch", "delete", "deletecollection"}, e.Verb) &&
			!strings.HasSuffix(e.Resource, "reviews") && !e.dryRun() {
			asked = append(asked, e)
		}
	}
	return asked
}

func (e Entry) dryRun() bool {
	u, err := url.Parse(e.URI)
	return err == nil && u.Query().Has("dryRun")
}

// Count returns how many entries there are of each kind, written as "patch
// services" or "update replicasets/scale". What is no resource counts under its
// path: "get /readyz".
func Count(entries []Entry) map[string]int {
	counts := map[string]int{}
	for _, e := range entries {
		what := e.what()
		if what == "" {
			what, _, _ = strings.Cut(e.URI, "?")
		}
		counts[e.Verb+" "+what]++
	}
	return counts
}

func (p *Plane) auditFile() string { return filepath.Join(p.dir, "logs", "audit.log") }

func (p *Plane) auditPolicyFile() string { return filepath.Join(p.dir, "audit-policy.yaml") }

// auditPolicy keeps one event for each request, without the objects in it.
const auditPolicy = `apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived, ResponseStarted]
rules:
- level: Metadata
`

func (p *Plane) writeAuditPolicy() error {
	if err := os.WriteFile(p.auditPolicyFile(), []byte(auditPolicy), 0o644); err != nil {
		return fmt.Errorf("write the audit policy: %w", err)
	}
	return nil
}
