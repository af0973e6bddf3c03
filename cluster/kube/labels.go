// The keys under which cutover keeps on the objects what it has to know, the
// keys of others that it reads, and small questions about sets of labels.

package kube

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
)

// Labels that cutover writes. A revision that it made has both, and nothing
// else, in its own metadata: a Deployment whose selector matches a ReplicaSet's
// metadata labels adopts it. RevisionLabel is in its selector and its pods too.
const (
	AppLabel      = "cutover.dev/app"      // the app that a revision is one of
	RevisionLabel = "cutover.dev/revision" // the revision's name
)

// Annotations that cutover writes, on revisions unless it says otherwise. Routes
// are Services and autoscalers.
const (
	ReleaseAnnotation  = "cutover.dev/release"  // which deployment asked for the revision
	ArmAnnotation      = "cutover.dev/arm"      // of what kind a companion is
	SequenceAnnotation = "cutover.dev/sequence" // its place in the order of releases
	EnabledAnnotation  = "cutover.dev/enabled"  // "true" or "false"; only where no Service brings traffic
	OutcomeAnnotation  = "cutover.dev/outcome"  // "good" or "failed"
	WhyAnnotation      = "cutover.dev/why"      // why it has this outcome
	NoteAnnotation     = "cutover.dev/note"     // the strategy's own step; on routes too
	FenceAnnotation    = "cutover.dev/fence"    // the run that last wrote; on routes, pod templates and pods too
	SinceAnnotation    = "cutover.dev/since"    // when traffic or outcome last changed; on routes too
	RaisedAnnotation   = "cutover.dev/raised"   // when replicas last rose
	FromAnnotation     = "cutover.dev/from"     // on routes: the revision served before cutover first wrote
	KeeperAnnotation   = "cutover.dev/keeper"   // on routes: the tool that had what cutover writes before its last switch
	ServicesAnnotation = "cutover.dev/services" // JSON: the traffic Services when the revision was made
	LabelsAnnotation   = "cutover.dev/labels"   // JSON: the manifest's metadata labels, see AppLabel
)

const ownPrefix = "cutover.dev/"

// What others write, and cutover understands when found.
const (
	monikerCluster   = "moniker.spinnaker.io/cluster"        // "replicaSet web"
	monikerSequence  = "moniker.spinnaker.io/sequence"       // "7": an annotation, and a label
	artifactName     = "artifact.spinnaker.io/name"          // "web", without -v007
	loadBalancers    = "traffic.spinnaker.io/load-balancers" // JSON: ["service web"]
	loadBalancerKey  = "load-balancer-"                      // label load-balancer-<service>: "true" or "false"
	templateHash     = "pod-template-hash"                   // on what a Deployment made
	lastApplied      = "kubectl.kubernetes.io/last-applied-configuration"
	deploymentPrefix = "deployment.kubernetes.io/"
	artifactPrefix   = "artifact.spinnaker.io/"
)

// carries reports whether labels have every one of the pairs.
func carries(labels, pairs map[string]string) bool {
	for k, v := range pairs {
		if got, ok := labels[k]; !ok || got != v {
			return false
		}
	}
	return true
}

// sorted returns the keys in order, for errors and queries that do not change
// from one look to the next.
func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// written is pairs as a person writes them.
func written(pairs map[string]string) string {
	var list []string
	for _, k := range sorted(pairs) {
		list = append(list, k+"="+pairs[k])
	}
	return strings.Join(list, ",")
}

// isSwitch reports whether a label was made to be turned on and off: its value
// is a truth, or its key is Spinnaker's.
func isSwitch(key, value string) bool {
	return value == "true" || value == "false" || strings.HasPrefix(key, loadBalancerKey)
}

// opposite returns what a switched-off label holds; "" if it is taken away.
func opposite(value string) string {
	switch value {
	case "true":
		return "false"
	case "false":
		return "true"
	}
	return ""
}

// serviceNames reads a list such as ["service web"]. What cannot be read is an
// empty list, as Spinnaker takes it.
func serviceNames(annotation string) []string {
	var entries, names []string
	if json.Unmarshal([]byte(annotation), &entries) != nil {
		return nil
	}
	for _, entry := range entries {
		kind, name, ok := strings.Cut(strings.TrimSpace(entry), " ")
		if name = strings.TrimSpace(name); ok && strings.EqualFold(kind, "service") && name != "" {
			names = append(names, name)
		}
	}
	return names
}

// asJSON is for values that always have a JSON form.
func asJSON(v any) []byte {
	raw, err := json.Marshal(v)
	if err != nil {
		panic("kube: a value without a JSON form: " + err.Error())
	}
	return raw
}
