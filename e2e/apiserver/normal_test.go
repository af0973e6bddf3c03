// The normal form of an answer: what must be equal on both servers. What may
// differ is taken out here, and nowhere else.

package apiserver_test

import (
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
)

// Allowed differences:
//
//  1. UIDs are drawn by chance: compared by when they were first seen.
//  2. resourceVersions count other writes, too: compared by rank.
//  3. Times are those of the two clocks: compared by whether they are there.
//  4. Continue tokens hold a resourceVersion: compared by when they were seen.
//  5. Generated names and cluster addresses are drawn by chance.
//  6. managedFields are not simulated. The real server also counts a write that
//     changes nothing but them, so that no program makes one: a /scale that finds
//     its replicas as it wants them, or a clusterIP set to null.
//  7. Of an invalid object the real server may tell a cause several times, and in
//     another order: compared as a set, without the message that repeats them.
//  8. Messages that name a Go type, a key of the store or the formats that are
//     understood, and those that show the whole object, are left out or cut.

// normal returns an answer's normal form.
func (s *side) normal(body []byte) string {
	var tree any
	if json.Unmarshal(body, &tree) != nil {
		return strconv.Quote(string(body))
	}
	s.register(tree)
	tree = s.strip("", tree)
	raw, err := json.MarshalIndent(tree, "", " ")
	require.NoError(s.t, err)
	return string(raw)
}

// register notes what is seen for the first time, in the order of the answer.
func (s *side) register(tree any) {
	switch node := tree.(type) {
	case []any:
		for _, v := range node {
			s.register(v)
		}
	case map[string]any:
		if meta, ok := node["metadata"].(map[string]any); ok {
			s.registerMeta(meta)
		}
		for _, k := range []string{"object", "items"} {
			s.register(node[k])
		}
	}
}

func (s *side) registerMeta(meta map[string]any) {
	if token, _ := meta["continue"].(string); token != "" && !slices.Contains(s.tokens, token) {
		s.tokens = append(s.tokens, token)
	}
	version, _ := meta["resourceVersion"].(string)
	uid, _ := meta["uid"].(string)
	if uid == "" {
		return // a list
	}
	if !slices.Contains(s.uids, uid) {
		s.uids = append(s.uids, uid)
	}
	if version != "" && !slices.Contains(s.versions, version) {
		s.versions = append(s.versions, version)
	}
	name, _ := meta["name"].(string)
	if base, _ := meta["generateName"].(string); base != "" && !slices.Contains(s.generated, name) {
		s.generated = append(s.generated, name)
	}
}

// strip returns the tree without what may differ.
func (s *side) strip(key string, tree any) any {
	switch node := tree.(type) {
	case []any:
		for i, v := range node {
			node[i] = s.strip(key, v)
		}
	case map[string]any:
		delete(node, "managedFields")
		s.stripList(node)
		stripStatus(node)
		for k, v := range node {
			node[k] = s.strip(k, v)
		}
	case string:
		return s.text(key, node)
	}
	return tree
}

// stripList is about the version of a list, which is at least that of all that
// was seen before it.
func (s *side) stripList(node map[string]any) {
	meta, ok := node["metadata"].(map[string]any)
	if _, list := node["items"]; !ok || !list {
		return
	}
	if node["items"] == nil {
		node["items"] = []any{}
	}
	version, err := strconv.ParseInt(meta["resourceVersion"].(string), 10, 64)
	require.NoError(s.t, err)
	meta["resourceVersion"] = "of a list"
	if meta["continue"] == nil && version < s.newest() {
		meta["resourceVersion"] = "older than what was seen"
	}
}

// stripStatus is about errors.
func stripStatus(node map[string]any) {
	if text, _ := node["message"].(string); node["reason"] == "UnsupportedMediaType" || goType.MatchString(text) {
		delete(node, "message")
	}
	details, _ := node["details"].(map[string]any)
	causes, _ := details["causes"].([]any)
	if node["kind"] != "Status" || len(causes) == 0 {
		return
	}
	var once []any
	seen := map[string]bool{}
	for _, c := range causes {
		cause := c.(map[string]any)
		if cause["field"] == "patch" {
			delete(cause, "message")
		}
		if text, ok := cause["message"].(string); ok {
			cause["message"], _, _ = strings.Cut(text, "\n@@")
		}
		if key := fmt.Sprint(cause); !seen[key] {
			seen[key] = true
			once = append(once, cause)
		}
	}
	slices.SortFunc(once, func(a, b any) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	details["causes"] = once
	if node["reason"] == "Invalid" {
		delete(node, "message")
	}
}

// newest is the highest version that was seen.
func (s *side) newest() int64 {
	var most int64
	for _, v := range s.versions {
		n, err := strconv.ParseInt(v, 10, 64)
		require.NoError(s.t, err)
		most = max(most, n)
	}
	return most
}

var (
	moment   = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$`)
	drawn    = regexp.MustCompile(`\b(g\d+)-[bcdfghjklmnpqrstvwxz2456789]{5}\b`) // each base is used once
	inStore  = regexp.MustCompile(`StorageError: .*, AdditionalErrorMsg: `)
	goType   = regexp.MustCompile(`^error decoding patch: |^json: cannot unmarshal `)
	inParens = regexp.MustCompile(`\((\d+)\)`)
)

// text is one value without what may differ.
func (s *side) text(key, value string) string {
	switch {
	case moment.MatchString(value):
		return "a time"
	case key == "resourceVersion" && value != "of a list" && value != "older than what was seen":
		return s.rank(value)
	case key == "clusterIP" || key == "clusterIPs":
		if value != "None" {
			return "an address"
		}
	case key == "continue":
		return fmt.Sprintf("token %d", slices.Index(s.tokens, value))
	}
	for i, uid := range s.uids {
		value = strings.ReplaceAll(value, uid, fmt.Sprintf("uid %d", i))
	}
	value = drawn.ReplaceAllString(value, "$1-drawn")
	value = strings.ReplaceAll(inStore.ReplaceAllString(value, ""), s.ns, "NS")
	return inParens.ReplaceAllStringFunc(value, func(found string) string {
		if i := slices.Index(s.versions, strings.Trim(found, "()")); i >= 0 {
			return fmt.Sprintf("(version %d)", i)
		}
		return found
	})
}

// rank is when a version was first seen, and how many are lower.
func (s *side) rank(version string) string {
	i := slices.Index(s.versions, version)
	n, err := strconv.ParseInt(version, 10, 64)
	if err != nil || i < 0 {
		return "version " + version
	}
	lower := 0
	for _, v := range s.versions {
		if m, _ := strconv.ParseInt(v, 10, 64); m < n {
			lower++
		}
	}
	return fmt.Sprintf("version %d, above %d", i, lower)
}
