// How fake nodes and pods behave: kwok Stages, the built-in ones and a plane's own.

package controlplane

import (
	"embed"
	"maps"
	"slices"
	"strings"
)

// The annotations by which a pod chooses how it behaves, and their values. The
// package documentation says what each does.
const (
	ReadyAnnotation          = "cutover.test/ready"           // Slow, Never or Crash
	ReadyAfterAnnotation     = "cutover.test/ready-after"     // with Slow: a duration like "500ms"
	TerminateAnnotation      = "cutover.test/terminate"       // Slow or Never
	TerminateAfterAnnotation = "cutover.test/terminate-after" // with Slow: a duration like "500ms"

	Slow  = "slow"
	Never = "never"
	Crash = "crash"
)

//go:embed stages/*.yaml
var stageFiles embed.FS

// Stages returns the built-in kwok Stages as YAML, by name. The map is the
// caller's own.
//
// When several Stages match an object, kwok draws one by lot. The built-in ones
// exclude each other; an added one has to see to it too, or replace its rival.
func Stages() map[string]string {
	entries, err := stageFiles.ReadDir("stages")
	if err != nil {
		panic(err) // they are part of the program
	}
	all := map[string]string{}
	for _, e := range entries {
		raw, err := stageFiles.ReadFile("stages/" + e.Name())
		if err != nil {
			panic(err)
		}
		all[strings.TrimSuffix(e.Name(), ".yaml")] = string(raw)
	}
	return all
}

// kwokConfig is the file kwok reads: the built-in Stages, with a plane's own
// over them.
func kwokConfig(own map[string]string) string {
	all := Stages()
	maps.Copy(all, own)
	var docs []string
	for _, name := range slices.Sorted(maps.Keys(all)) {
		if strings.TrimSpace(all[name]) != "" {
			docs = append(docs, strings.TrimSpace(all[name])+"\n")
		}
	}
	return strings.Join(docs, "---\n")
}
