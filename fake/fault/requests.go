// What a fault means at which HTTP request: the verbs that are told apart, the
// one table, and why a fault has no meaning at some of them.
//
//	fault   get           list          list, goes on  watch            create       update        delete
//	F01     reset, before it was sent: client-go sends what reads again, and nothing that writes
//	F02     no answer, nothing was sent
//	F03 F04 F06  –        –             –              –                sent (now, later, after the next write), no answer
//	F05     –             –             –              –                sent twice; the answer is the second's, or the first's
//	F07     –             –             –              –                409 Conflict (at a create: what a quota says)
//	F08     –             –             –              –                sent, and yet 409 AlreadyExists; or the environment's
//	F09     404           –             –              –                –            404 (form 1: the environment's)
//	F10     –             –             –              an ERROR event   –            –             –
//	F11     –             in pages, 410 410            –                –            –             –
//	F12     429, with the Retry-After that the Transport is told to send: client-go sends it again, writes too
//	F13 F14 F15   500, 503 and 504, before or after it was sent; 500 and 503 with that Retry-After
//	F16     an earlier answer to the same request: the last one            –         –             –
//	F17     an earlier answer: from before the last one                    –         –             –
//	F18     –             items are lost, and no word of more              –         –             –
//	F19     –             –             –              see its forms    –            –             –
//	F20     an answer that is cut short and unreadable                  413          cut short, with its effect
//	F21 F48 the client dies, its caller's context ends; before or after it was sent
//	F25     –             –             –              –                403 of an admission webhook
//	F27     403
//	F28     –             –             –              –                403, terminating –         –
//
// All other faults are the environment's.

package fault

import (
	"net/http"
	"slices"
	"strings"
)

// A Verb is what an HTTP request asks an apiserver for.
type Verb int

// The verbs. An access review writes nothing and is a Get, and so is whatever
// else is no list and no watch, such as discovery. PUT and PATCH are an Update.
const (
	VerbGet Verb = iota
	VerbList
	VerbMore // a list that goes on, by a continue token
	VerbWatch
	VerbCreate
	VerbUpdate
	VerbDelete
)

var verbs = [...]string{"get", "list", "list that goes on", "watch", "create", "update", "delete"}

// String returns, for example, "update".
func (v Verb) String() string { return verbs[v] }

// Writes reports whether requests of this verb write.
func (v Verb) Writes() bool { return v >= VerbCreate }

// VerbOf returns what a request asks for.
func VerbOf(r *http.Request) Verb {
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPost && strings.HasSuffix(r.URL.Path, "reviews"):
		return VerbGet
	case r.Method == http.MethodPost:
		return VerbCreate
	case r.Method == http.MethodPut, r.Method == http.MethodPatch:
		return VerbUpdate
	case r.Method == http.MethodDelete:
		return VerbDelete
	case q.Get("watch") == "1" || q.Get("watch") == "true":
		return VerbWatch
	case !collection(r.URL.Path):
		return VerbGet
	case q.Get("continue") != "":
		return VerbMore
	}
	return VerbList
}

// collection reports whether a path is that of all objects of a resource:
// /api/v1/RESOURCE or /apis/GROUP/VERSION/RESOURCE, after namespaces/NAME or not.
func collection(path string) bool {
	parts := strings.Split(strings.Trim(path, "/"), "/")
	switch {
	case parts[0] == "api" && len(parts) > 2:
		parts = parts[2:]
	case parts[0] == "apis" && len(parts) > 3:
		parts = parts[3:]
	default:
		return false
	}
	if len(parts) > 2 && parts[0] == "namespaces" {
		parts = parts[2:]
	}
	return len(parts) == 1
}

// SkipVerb returns why a fault cannot happen at a request of this verb, or "" if
// it can. What is left to the environment can happen at every one.
func SkipVerb(f Fault, v Verb) string {
	if only, ok := onlyAt[f]; ok && !slices.Contains(only.verbs, v) {
		return only.why
	}
	return ""
}

const (
	noPage    = "only a list comes in pages"
	noEarlier = "only what is read is read again"
	noStream  = "only a watch is one"
	notFound  = "a list of what is not there is empty, a watch silent, and a create is of what is not there"
)

var (
	atWrites = []Verb{VerbCreate, VerbUpdate, VerbDelete}
	atLists  = []Verb{VerbList, VerbMore}
)

// onlyAt lists the verbs of the faults that do not happen at all of them.
var onlyAt = map[Fault]struct {
	verbs []Verb
	why   string
}{
	TimeoutDone:   {atWrites, reads},
	Late:          {atWrites, reads},
	Duplicate:     {atWrites, reads},
	Reorder:       {atWrites, reads},
	Conflict:      {atWrites, noCompare},
	Exists:        {[]Verb{VerbCreate}, noCreate},
	NotFound:      {[]Verb{VerbGet, VerbUpdate, VerbDelete}, notFound},
	ExpiredWatch:  {[]Verb{VerbWatch}, noStream},
	ExpiredList:   {atLists, noPage},
	StaleRead:     {[]Verb{VerbGet, VerbList, VerbMore}, noEarlier},
	TimeTravel:    {[]Verb{VerbGet, VerbList, VerbMore}, noEarlier},
	Truncated:     {atLists, noPage},
	WatchBroken:   {[]Verb{VerbWatch}, noStream},
	Denied:        {atWrites, noDecide},
	Mutated:       {nil, "what a webhook makes of an object is the environment's, and comes with the answer"},
	NamespaceGone: {[]Verb{VerbCreate}, notDenied},
	Gate:          {nil, noGate},
}
