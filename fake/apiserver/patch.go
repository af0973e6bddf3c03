// Changes of an object's JSON: merge patches (RFC 7386) and JSON patches
// (RFC 6902), with the answers that the real server gives to bad ones.

package apiserver

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strconv"
	"strings"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	kjson "sigs.k8s.io/json"
)

// mostOperations is how many a JSON patch may have.
const mostOperations = 10000

// apply returns the document as the patch makes it. Operations of the wrong type
// are refused before any is tried, if it is done strictly.
func apply(how types.PatchType, doc, patch []byte, strictly bool) ([]byte, error) {
	var tree any
	if err := json.Unmarshal(doc, &tree); err != nil {
		return nil, err
	}
	if how == types.MergePatchType {
		return applyMerge(tree, patch, strictly)
	}
	operations, err := readOperations(patch, strictly)
	switch {
	case err != nil && strictly:
		return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
	case err != nil:
		return nil, apierrors.NewBadRequest(err.Error())
	}
	if len(operations) > mostOperations {
		return nil, apierrors.NewRequestEntityTooLargeError(
			fmt.Sprintf("The allowed maximum operations in a JSON patch is %d, got %d", mostOperations, len(operations)))
	}
	for _, o := range operations {
		if err := o.apply(&tree); err != nil {
			return nil, generic(http.StatusUnprocessableEntity, "", schema.GroupResource{}, "", err.Error())
		}
	}
	return json.Marshal(tree)
}

// applyMerge applies a merge patch. An array takes the place of the document, if
// it is not done strictly.
func applyMerge(tree any, patch []byte, strictly bool) ([]byte, error) {
	var change map[string]any
	err := json.Unmarshal(patch, &change)
	switch {
	case err != nil && strictly:
		return nil, apierrors.NewBadRequest("error decoding patch: " + err.Error())
	case err != nil && json.Valid(patch) && patch[0] == '[':
		return patch, nil
	case err != nil || change == nil:
		return nil, apierrors.NewBadRequest("Invalid JSON Patch")
	}
	return json.Marshal(merge(tree, change))
}

// repeated returns what a patch, which could be applied, says twice or of nothing
// that there is.
func repeated(how types.PatchType, patch []byte) []error {
	if how == types.MergePatchType {
		var change map[string]any
		odd, _ := kjson.UnmarshalStrict(patch, &change)
		return odd
	}
	var all []operation
	odd, _ := kjson.UnmarshalStrict(patch, &all)
	for i, e := range odd {
		odd[i] = fmt.Errorf("json patch %w", e)
	}
	return odd
}

// merge returns now as change makes it: what is null goes.
func merge(now, change any) any {
	fields, ok := change.(map[string]any)
	if !ok {
		return change
	}
	into, ok := now.(map[string]any)
	if !ok {
		into = map[string]any{}
	}
	for k, v := range fields {
		if v == nil {
			delete(into, k)
		} else {
			into[k] = merge(into[k], v)
		}
	}
	return into
}

// operation is one of a JSON patch.
type operation struct {
	Op    string          `json:"op"`
	Path  *string         `json:"path"`
	From  *string         `json:"from"`
	Value json.RawMessage `json:"value"`
}

// readOperations reads a JSON patch. If that is not done strictly, an operation
// that cannot be read is one that nobody knows.
func readOperations(patch []byte, strictly bool) ([]operation, error) {
	var all []operation
	err := json.Unmarshal(patch, &all)
	if err == nil || strictly {
		return all, err
	}
	var each []map[string]json.RawMessage
	if err := json.Unmarshal(patch, &each); err != nil {
		return nil, err
	}
	all = make([]operation, len(each))
	for i := range each {
		if json.Unmarshal(encode(each[i]), &all[i]) != nil {
			all[i] = operation{Op: "unknown", Path: new(string)}
		}
	}
	return all, nil
}

// What is wrong with an operation.
var (
	errMissing = errors.New("missing value")
	errTest    = errors.New("test failed")
	errIndex   = errors.New("invalid index referenced")
)

func (o operation) apply(tree *any) error {
	if o.Path == nil {
		return fmt.Errorf("%s operation failed to decode path: %w", o.Op, errMissing)
	}
	path := *o.Path
	switch o.Op {
	case "add":
		return o.place(tree, path, o.value(), false)
	case "replace":
		if path == "" {
			*tree = o.value()
			return nil
		}
		return o.place(tree, path, o.value(), true)
	case "remove":
		_, err := o.take(tree, path)
		return err
	case "test":
		return o.test(*tree, path)
	case "move", "copy":
		return o.carry(tree, path)
	}
	//lint:ignore ST1005 as the real server says it
	return fmt.Errorf("Unexpected kind: %s", o.Op)
}

// value is what the operation brings; null is nil, and so is none.
func (o operation) value() any {
	var v any
	_ = json.Unmarshal(o.Value, &v) // it was read as JSON already
	return v
}

// missing says that the way to the path's last part is not there.
func (o operation) missing(path string) error {
	switch o.Op {
	case "test":
		return fmt.Errorf("test operation does not apply: is missing path: %s: %w", path, errMissing)
	case "replace":
		return fmt.Errorf("replace operation does not apply: doc is missing path: %s: %w", path, errMissing)
	}
	return fmt.Errorf("%s operation does not apply: doc is missing path: %q: %w", o.Op, path, errMissing)
}

// find returns what holds the last part of a path, and that part.
func find(tree any, path string) (holder any, last string, ok bool) {
	parts := strings.Split(path, "/")
	if len(parts) < 2 {
		return nil, "", false
	}
	for i, p := range parts {
		parts[i] = strings.NewReplacer("~1", "/", "~0", "~").Replace(p)
	}
	last = parts[len(parts)-1]
	for _, p := range parts[1 : len(parts)-1] {
		next, err := get(tree, p)
		if err != nil || next == nil {
			return nil, "", false
		}
		tree = next
	}
	switch tree.(type) {
	case map[string]any, []any:
		return tree, last, true
	}
	return nil, "", false
}

// get returns a part of an object or array; of an object, nil if it is missing.
func get(holder any, part string) (any, error) {
	switch h := holder.(type) {
	case map[string]any:
		return h[part], nil
	case []any:
		i, err := index(h, part, len(h)-1)
		if err != nil {
			return nil, err
		}
		return h[i], nil
	}
	return nil, errMissing
}

// index reads a place in an array, from 0 to most; negative ones count from the
// end.
func index(h []any, part string, most int) (int, error) {
	i, err := strconv.Atoi(part)
	if err != nil {
		return 0, err
	}
	if i > most || i < -len(h) {
		//lint:ignore ST1005 as the real server says it
		return 0, fmt.Errorf("Unable to access invalid index: %d: %w", i, errIndex)
	}
	if i < 0 {
		i += most + 1
	}
	return i, nil
}

// place puts a value at a path.
func (o operation) place(tree *any, path string, value any, instead bool) error {
	holder, last, ok := find(*tree, path)
	if !ok {
		return o.missing(path)
	}
	if h, ok := holder.(map[string]any); ok {
		h[last] = value
		return nil
	}
	h := holder.([]any)
	if instead {
		i, err := index(h, last, len(h)-1)
		if err != nil {
			return fmt.Errorf("replace operation does not apply: doc is missing key: %s: %w", path, errMissing)
		}
		h[i] = value
		return nil
	}
	if last == "-" {
		return rehang(tree, path, append(slices.Clone(h), value))
	}
	i, err := index(h, last, len(h))
	if err != nil {
		return fmt.Errorf("error in add for path: '%s': %w", path, err)
	}
	return rehang(tree, path, slices.Insert(slices.Clone(h), i, value))
}

// rehang puts another array in the place of the one that holds the last part of
// a path.
func rehang(tree *any, path string, array []any) error {
	at := path[:strings.LastIndex(path, "/")]
	if at == "" {
		*tree = array
		return nil
	}
	holder, last, _ := find(*tree, at)
	switch h := holder.(type) {
	case map[string]any:
		h[last] = array
	case []any:
		i, err := index(h, last, len(h)-1)
		if err != nil {
			return err
		}
		h[i] = array
	}
	return nil
}

// take removes and returns what is at a path.
func (o operation) take(tree *any, path string) (any, error) {
	holder, last, ok := find(*tree, path)
	if !ok {
		return nil, o.missing(path)
	}
	if h, ok := holder.(map[string]any); ok {
		v, ok := h[last]
		if !ok {
			return nil, fmt.Errorf("error in remove for path: '%s': Unable to remove nonexistent key: %s: %w", path, last, errMissing)
		}
		delete(h, last)
		return v, nil
	}
	h := holder.([]any)
	i, err := index(h, last, len(h)-1)
	if err != nil {
		return nil, fmt.Errorf("error in remove for path: '%s': %w", path, err)
	}
	v := h[i]
	return v, rehang(tree, path, slices.Delete(slices.Clone(h), i, i+1))
}

// test compares. What is missing is null.
func (o operation) test(tree any, path string) error {
	found := tree
	if path != "" {
		holder, last, ok := find(tree, path)
		if !ok {
			return o.missing(path)
		}
		var err error
		if found, err = get(holder, last); err != nil {
			return fmt.Errorf("error in test for path: '%s': %w", path, err)
		}
	}
	if !reflect.DeepEqual(found, o.value()) {
		return fmt.Errorf("testing value %s failed: %w", path, errTest)
	}
	return nil
}

// carry moves or copies.
func (o operation) carry(tree *any, path string) error {
	if o.From == nil {
		return fmt.Errorf("%s operation failed to decode from: %w", o.Op, errMissing)
	}
	holder, last, ok := find(*tree, *o.From)
	if !ok {
		return fmt.Errorf("%s operation does not apply: doc is missing from path: %s: %w", o.Op, *o.From, errMissing)
	}
	value, err := get(holder, last)
	if err != nil {
		return fmt.Errorf("error in %s for path: '%s': %w", o.Op, last, err)
	}
	if o.Op == "move" {
		if _, err := o.take(tree, *o.From); err != nil {
			return err
		}
	} else {
		var copied any
		if err := json.Unmarshal(encode(value), &copied); err != nil {
			return err
		}
		value = copied
	}
	return o.place(tree, path, value, false)
}
