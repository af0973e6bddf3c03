// The newest that was seen of each kind of object: what is older is no answer.

package kube

import (
	"encoding/json"
	"math"
	"strconv"
	"sync"
)

// A horizon is the newest resourceVersion that lists and writes were answered
// with, by kind of object. An apiserver never answers a list with an older one;
// a cache in front of it, or one that was restored, may. Versions of one kind
// can be compared as numbers, those of two kinds cannot.
type horizon struct {
	mu     sync.Mutex
	newest map[resource]uint64
}

// of returns what was known of a kind until now; 0: nothing.
func (h *horizon) of(what resource) uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.newest[what]
}

// saw notes a version and returns it. One that is no number is newer than all,
// for nobody can say that it is not, and is not noted.
func (h *horizon) saw(what resource, version string) uint64 {
	n, err := strconv.ParseUint(version, 10, 64)
	if err != nil {
		return math.MaxUint64
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.newest == nil {
		h.newest = map[resource]uint64{}
	}
	h.newest[what] = max(h.newest[what], n)
	return n
}

// wrote notes what a write has made of an object, if the answer says it.
func (h *horizon) wrote(what resource, answer []byte) {
	var object struct {
		Metadata struct{ ResourceVersion string } `json:"metadata"`
	}
	if json.Unmarshal(answer, &object) == nil {
		h.saw(what, object.Metadata.ResourceVersion)
	}
}
