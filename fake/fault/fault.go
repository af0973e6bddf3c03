// Package fault is what can go wrong between a caller and its cluster, and
// behind it: forty-eight faults, each with a name and its forms; a [Plan], which
// says what goes wrong at which call; and the two decorators that carry a plan
// out: [Cluster] over any [cluster.Cluster], and [Transport] over HTTP, below a
// client's own retries.
//
// What goes wrong at a call itself, the decorators do. What goes wrong in the
// world (a node is lost, somebody edits, a second deployer runs) they ask of
// their Environment, at the same points.
package fault

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A Fault is one thing that can go wrong.
type Fault int

// The faults. Their numbers are part of a Plan's text and never change.
const (
	Reset          Fault = iota + 1 // F01 the connection is refused or reset before anything is sent
	TimeoutLost                     // F02 no answer; it had no effect
	TimeoutDone                     // F03 no answer; it had its effect
	Late                            // F04 no answer; it has its effect later
	Duplicate                       // F05 it arrives twice
	Reorder                         // F06 no answer; it arrives after the write that follows it
	Conflict                        // F07 somebody else has written the object in between
	Exists                          // F08 the object to create exists: it was us, or somebody else
	NotFound                        // F09 the object is gone, or another has its name
	ExpiredWatch                    // F10 a watch is too old
	ExpiredList                     // F11 a list cannot be continued
	TooMany                         // F12 429
	ServerError                     // F13 500
	Unavailable                     // F14 503
	GatewayTimeout                  // F15 504
	StaleRead                       // F16 a read shows less than was already written
	TimeTravel                      // F17 a read shows less than the one before
	Truncated                       // F18 a list is not complete
	WatchBroken                     // F19 a watch loses events, or never connects
	Malformed                       // F20 an answer that cannot be read, or an object that is too large
	Crash                           // F21 the process dies
	Pause                           // F22 the process is stopped for an hour
	Quota                           // F23 a quota leaves room for some of the pods
	LimitRange                      // F24 no new pod is admitted
	Denied                          // F25 a write is not admitted
	Mutated                         // F26 a write is changed when it is admitted
	Forbidden                       // F27 403
	NamespaceGone                   // F28 the namespace is terminating
	Finalizer                       // F29 a finalizer holds what is deleted
	ControllerLag                   // F30 the controller of replicas stands still, or makes too many
	StatusLag                       // F31 the status is an older one
	EndpointLag                     // F32 endpoints stand still
	CollectorLag                    // F33 pods of deleted revisions stay
	ProxyLag                        // F34 the proxies of nodes stand still
	ProxyStuck                      // F35 the proxy of one node never follows
	PodsFail                        // F36 pods fail for good
	PodsFlap                        // F37 pods fail for a while
	SlowStart                       // F38 pods take long to get ready
	SlowStop                        // F39 pods take long to go
	NodeDrain                       // F40 a node is drained
	NodeLost                        // F41 a node is lost
	Autoscaler                      // F42 an autoscaler writes replicas
	SecondDeployer                  // F43 somebody else deploys: an older, the same or a newer release
	SecondCleaner                   // F44 somebody else cleans up
	Person                          // F45 somebody edits
	ClockJump                       // F46 the cluster's clock jumps
	Gate                            // F47 a gate does not answer as it should
	Cancel                          // F48 the caller's context ends
)

// Count is how many faults there are: from 1 to Count.
const Count = int(Cancel)

// about is what there is to know of a fault. A form is one way in which it
// happens; forms too are part of a Plan's text.
type about struct {
	what  string
	forms []string
}

var faults = [Count + 1]about{
	Reset:          {"connection reset", []string{"before it was sent"}},
	TimeoutLost:    {"timeout without effect", []string{"30 s"}},
	TimeoutDone:    {"timeout with effect", []string{"at once"}},
	Late:           {"late effect", []string{"one call later", "three calls later", "after the end"}},
	Duplicate:      {"delivered twice", []string{"at once", "two calls later"}},
	Reorder:        {"overtaken by the next write", []string{"in flight"}},
	Conflict:       {"conflict", []string{"once", "five times"}},
	Exists:         {"already exists", []string{"it was us", "another deployer's"}},
	NotFound:       {"not found", []string{"deleted", "made anew"}},
	ExpiredWatch:   {"410 on a watch", []string{"once"}},
	ExpiredList:    {"410 on a continued list", []string{"once"}},
	TooMany:        {"429", []string{"once", "five times"}},
	ServerError:    {"500", []string{"without effect", "with effect"}},
	Unavailable:    {"503", []string{"without effect", "five times", "with effect"}},
	GatewayTimeout: {"504", []string{"without effect", "with effect"}},
	StaleRead:      {"stale read", []string{"once"}},
	TimeTravel:     {"read from before the last read", []string{"once"}},
	Truncated:      {"truncated list", []string{"once"}},
	WatchBroken:    {"broken watch", []string{"never connects", "closes at once", "an event is lost", "an event comes twice"}},
	Malformed:      {"malformed or huge", []string{"once"}},
	Crash:          {"crash", []string{"before", "after", "before, and it arrives three calls later", "before, and it arrives after the end"}},
	Pause:          {"pause of an hour", []string{"alone", "and a newer release meanwhile"}},
	Quota:          {"quota", []string{"for one pod more, until it is mended", "for none, for a minute"}},
	LimitRange:     {"no new pods", []string{"until it is mended"}},
	Denied:         {"admission denied", []string{"this write", "every write from now on"}},
	Mutated:        {"changed on admission", []string{"one replica less", "one replica more"}},
	Forbidden:      {"403", []string{"this call", "every call from now on"}},
	NamespaceGone:  {"namespace terminating", []string{"from now on"}},
	Finalizer:      {"finalizer", []string{"for a minute", "until it is mended"}},
	ControllerLag:  {"replicas stand still", []string{"for a minute", "one pod too many"}},
	StatusLag:      {"status lags", []string{"for a minute"}},
	EndpointLag:    {"endpoints stand still", []string{"for a minute", "until it is mended"}},
	CollectorLag:   {"pods of deleted revisions stay", []string{"for a minute", "until it is mended"}},
	ProxyLag:       {"proxies stand still", []string{"for ten seconds"}},
	ProxyStuck:     {"one proxy never follows", []string{"until it is mended"}},
	PodsFail:       {"pods fail", []string{"one of the newest", "all of the newest", "one of the one before"}},
	PodsFlap:       {"pods fail for five seconds", []string{"one of the newest", "all of the newest", "one of the one before", "all of the one before"}},
	SlowStart:      {"pods start slowly", []string{"a minute"}},
	SlowStop:       {"pods stop slowly", []string{"for a minute", "until it is mended"}},
	NodeDrain:      {"node drained", []string{"the first", "the first, under a budget"}},
	NodeLost:       {"node lost", []string{"the first, until it is mended"}},
	Autoscaler:     {"autoscaler", []string{"one more of what serves", "one less of what serves", "nothing of what is dark", "one more of the newest", "a Deployment that adopted the newest scales it to nothing, for a minute"}},
	SecondDeployer: {"second deployer", []string{"an older release", "the same release", "a newer release", "a newer release that fails", "a newer release that dies", "Spinnaker enables the newest, and dies at it", "Spinnaker disables what serves, and dies at it", "Spinnaker's history deletes all but two"}},
	SecondCleaner:  {"second cleaner", []string{"careful", "told that the run failed"}},
	Person:         {"a person", []string{"scales what serves down by one", "labels a pod otherwise", "edits the template", "orphans a pod", "deletes the newest", "deletes what serves", "makes the newest anew", "wipes what was noted", "puts the route back", "has it put back whenever it moves, for a minute"}},
	ClockJump:      {"clock jumps", []string{"an hour ahead"}},
	Gate:           {"gate", []string{"error", "no data", "pending for a minute", "fails"}},
	Cancel:         {"context canceled", []string{"before", "after"}},
}

// String returns, for example, "F03 timeout with effect".
func (f Fault) String() string {
	if f < 1 || int(f) > Count {
		return fmt.Sprintf("F%02d unknown", int(f))
	}
	return fmt.Sprintf("F%02d %s", int(f), faults[f].what)
}

// Forms returns the ways in which a fault happens, at least one.
func (f Fault) Forms() []string {
	if f < 1 || int(f) > Count {
		return nil
	}
	return slices.Clone(faults[f].forms)
}

// An Event is one fault, in one of its forms, at one call.
type Event struct {
	Call  int // of the decorated client, counted from 1
	Fault Fault
	Form  int // index in Forms
}

// String returns the event as a Plan's text has it: "F03.0@7".
func (e Event) String() string { return fmt.Sprintf("F%02d.%d@%d", int(e.Fault), e.Form, e.Call) }

// Describe returns the event for a person: "call 7: F03 timeout with effect, at once".
func (e Event) Describe() string {
	form := "unknown form"
	if forms := e.Fault.Forms(); e.Form >= 0 && e.Form < len(forms) {
		form = forms[e.Form]
	}
	return fmt.Sprintf("call %d: %v, %s", e.Call, e.Fault, form)
}

// A Plan says what goes wrong. Its text is its events with spaces between.
type Plan []Event

// String returns the plan's text.
func (p Plan) String() string {
	var events []string
	for _, e := range p {
		events = append(events, e.String())
	}
	return strings.Join(events, " ")
}

// Parse reads what Plan's String wrote.
func Parse(text string) (Plan, error) {
	var p Plan
	for _, word := range strings.Fields(text) {
		e, err := parseEvent(word)
		if err != nil {
			return nil, err
		}
		p = append(p, e)
	}
	return p, nil
}

func parseEvent(word string) (Event, error) {
	what, call, ok1 := strings.Cut(word, "@")
	number, form, ok2 := strings.Cut(strings.TrimPrefix(what, "F"), ".")
	var e Event
	n, err1 := strconv.Atoi(number)
	var err2, err3 error
	e.Fault = Fault(n)
	e.Form, err2 = strconv.Atoi(form)
	e.Call, err3 = strconv.Atoi(call)
	if !ok1 || !ok2 || !strings.HasPrefix(what, "F") || err1 != nil || err2 != nil || err3 != nil ||
		e.Call < 1 || e.Form < 0 || e.Form >= len(e.Fault.Forms()) {
		return Event{}, fmt.Errorf("fault: %q is no event: want something like F03.0@7", word)
	}
	return e, nil
}
