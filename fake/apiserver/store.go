// The store: every object at every revision since the last compaction, and the
// events between them.

package apiserver

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
)

// An object is one of the kinds that are kept. What is in the store is never
// changed: who wants another writes a copy.
type object interface {
	runtime.Object
	metav1.Object
}

// A key says where an object is. Its order is the order of lists.
type key struct{ kind, namespace, name string }

func (k key) compare(other key) int {
	return slices.Compare([]string{k.namespace, k.name}, []string{other.namespace, other.name})
}

// A version is an object from one revision on; without an object it is gone.
type version struct {
	revision int64
	object   object
	raw      []byte // its JSON without apiVersion and kind, as lists show it
}

// An event is what a write did. An object that was made has no before, one that
// was deleted no after: then before carries the revision of its deletion.
type event struct {
	key           key
	revision      int64
	before, after *version
}

// store keeps the versions by key, oldest first.
type store struct {
	revision  int64
	compacted int64 // events at this revision and before it are forgotten
	versions  map[key][]version
	events    []event
	made      int64 // objects so far: UIDs, generated names and addresses come from it
	watches   []*watch
}

func (st *store) begin() {
	st.revision = 1
	st.versions = map[key][]version{}
}

// get returns the present object; nil: there is none.
func (st *store) get(k key) object {
	if all := st.versions[k]; len(all) > 0 {
		return all[len(all)-1].object
	}
	return nil
}

// at returns the version of an object at a revision; nil: there was none.
func (st *store) at(k key, revision int64) *version {
	all := st.versions[k]
	for i := len(all) - 1; i >= 0; i-- {
		if all[i].revision <= revision {
			if all[i].object == nil {
				return nil
			}
			return &all[i]
		}
	}
	return nil
}

// list returns the objects of a kind at a revision, in order. An empty namespace
// is all of them.
func (st *store) list(kind, namespace string, revision int64) []listed {
	var all []listed
	for k := range st.versions {
		if k.kind != kind || namespace != "" && k.namespace != namespace {
			continue
		}
		if v := st.at(k, revision); v != nil {
			all = append(all, listed{k, v})
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return a.key.compare(b.key) })
	return all
}

// listed is one object of a list.
type listed struct {
	key key
	*version
}

// put writes an object, which is the store's from then on.
func (st *store) put(k key, o object) {
	st.revision++
	o.SetResourceVersion(strconv.FormatInt(st.revision, 10))
	now := version{st.revision, o, encode(o)}
	st.record(event{key: k, revision: st.revision, before: st.at(k, st.revision), after: &now}, now)
}

// remove deletes an object and returns it as it was in the end.
func (st *store) remove(k key) object {
	was := st.at(k, st.revision)
	st.revision++
	last := was.object.DeepCopyObject().(object)
	last.SetResourceVersion(strconv.FormatInt(st.revision, 10))
	before := version{was.revision, last, encode(last)}
	st.record(event{key: k, revision: st.revision, before: &before}, version{revision: st.revision})
	return last
}

func (st *store) record(e event, now version) {
	st.versions[e.key] = append(st.versions[e.key], now)
	st.events = append(st.events, e)
	for _, w := range st.watches {
		w.show(e)
	}
}

// compact forgets everything but the present.
func (st *store) compact() {
	st.compacted, st.events = st.revision, nil
	for k, all := range st.versions {
		if last := all[len(all)-1]; last.object == nil {
			delete(st.versions, k)
		} else {
			st.versions[k] = []version{last}
		}
	}
}

// uid returns an identity that no object had before.
func (st *store) uid() string {
	st.made++
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", st.made)
}

// suffix is what ends the next generated name: letters that make no words.
func (st *store) suffix() string {
	const alphabet = "bcdfghjklmnpqrstvwxz2456789"
	text := []byte(strings.Repeat("b", 5))
	for i, n := len(text)-1, st.made+1; i >= 0; i, n = i-1, n/int64(len(alphabet)) {
		text[i] = alphabet[n%int64(len(alphabet))]
	}
	return string(text)
}

// encode is the JSON of an object as lists show it.
func encode(o any) []byte {
	raw, err := json.Marshal(o)
	if err != nil {
		panic("apiserver: an object without a JSON form: " + err.Error())
	}
	return raw
}

// alone is the JSON of an object by itself, with its apiVersion and kind.
func alone(kind *kind, o object) []byte {
	named := o.DeepCopyObject()
	named.GetObjectKind().SetGroupVersionKind(kind.gvk())
	return encode(named)
}

func (k *kind) gvk() schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: k.group, Version: k.version, Kind: k.name}
}
