// Random programs: the requests that a deployer of apps sends, and hostile
// variants of them, about so few names that they meet.

package apiserver_test

import (
	"fmt"
	"strconv"
	"strings"

	"pgregory.net/rapid"
)

// A draw makes steps, which refer to what both sides have seen so far.
type draw struct {
	*rapid.T
	seen *side
	made int
}

// one draws one of the words.
func (d *draw) one(words ...string) string { return rapid.SampledFrom(words).Draw(d.T, "one") }

// some draws one of the parts now and then, and "" else.
func (d *draw) some(part ...string) string {
	if rapid.IntRange(0, 2).Draw(d.T, "some") > 0 {
		return ""
	}
	return d.one(part...)
}

// odd draws one of the parts seldom: what is hostile must not drown the rest.
func (d *draw) odd(part ...string) string {
	if rapid.IntRange(0, 9).Draw(d.T, "odd") > 0 {
		return ""
	}
	return d.one(part...)
}

// mostly draws what is usual, and seldom one of the rest.
func (d *draw) mostly(usual string, odd ...string) string {
	if part := d.odd(odd...); part != "" {
		return part
	}
	return usual
}

// reference draws one of the values of its sort that were seen, mostly a late one.
func (d *draw) reference(sort string, seen []string, else_ string) string {
	if len(seen) == 0 {
		return else_
	}
	i := len(seen) - 1 - min(len(seen)-1, rapid.IntRange(0, 8).Draw(d.T, "back"))
	return fmt.Sprintf("%s%d.", sort, i)
}

func (d *draw) uid() string     { return d.reference("$UID", d.seen.uids, "none") }
func (d *draw) version() string { return d.reference("$VERSION", d.seen.versions, "1") }
func (d *draw) token() string   { return d.reference("$TOKEN", d.seen.tokens, "none") }

// kind draws the plural of a kind, such that workloads and pods come often.
func (d *draw) kind() string {
	return d.one("replicasets", "replicasets", "replicasets", "pods", "pods", "pods", "services", "services", "deployments", "endpointslices")
}

// name draws the name of an object.
func (d *draw) name() string {
	if len(d.seen.generated) > 0 && d.some("x") != "" {
		return d.reference("$NAME", d.seen.generated, "")
	}
	return d.one("a", "a", "a", "b", "b", "c")
}

// A target is an object that a request is about.
type target struct{ kind, name, uid, version string }

// path is that of the target.
func (t target) path() string { return t.kind + "/" + t.name }

// target draws one of the objects that are there, and seldom one that may not be.
func (d *draw) target(kinds ...string) target {
	if len(kinds) == 0 {
		kinds = []string{"replicasets", "pods", "services", "deployments", "endpointslices"}
	}
	there := d.seen.present(kinds)
	if len(there) == 0 || d.odd("x") != "" {
		return target{rapid.SampledFrom(kinds).Draw(d.T, "kind"), d.name(), d.uid(), d.version()}
	}
	return rapid.SampledFrom(there).Draw(d.T, "target")
}

// step draws the next request.
func (d *draw) step() step {
	draws := []func() step{
		d.create, d.create, d.create, d.get, d.list, d.list, d.goOn, d.merge, d.merge, d.merge, d.operations, d.operations,
		d.delete, d.status, d.status, d.scale, d.put, d.watch, d.nowhere,
	}
	return rapid.SampledFrom(draws).Draw(d.T, "step")()
}

// query joins what was drawn of a query.
func query(parts ...string) string {
	var some []string
	for _, p := range parts {
		if p != "" {
			some = append(some, p)
		}
	}
	if len(some) == 0 {
		return ""
	}
	return "?" + strings.Join(some, "&")
}

// writing draws what the query of a write says.
func (d *draw) writing() string {
	return query("fieldManager=cutover", d.odd("dryRun=All", "dryRun=All", "dryRun=None"), d.some("fieldValidation=Strict", "fieldValidation=Ignore"), d.odd("fieldValidation=None"))
}

func (d *draw) get() step {
	return step{method: "GET", path: d.target().path() + d.some("/status", "/scale")}
}

func (d *draw) list() step {
	return step{method: "GET", path: d.kind() + query(d.one("", "limit=1", "limit=2", "limit=500"), d.selector())}
}

func (d *draw) selector() string {
	return d.some("labelSelector=app%3Da", "labelSelector=app+in+(a,b),on%3Dtrue", "labelSelector=!on", "labelSelector=on", "labelSelector=on!%3Dtrue", "fieldSelector=metadata.name%3Da") + d.odd("&labelSelector=a,,b", "&labelSelector=app+in+()")
}

func (d *draw) goOn() step {
	return step{method: "GET", path: d.kind() + query("limit="+d.one("1", "2"), "continue="+d.token(), d.some("resourceVersion=1", "resourceVersion=0"))}
}

// labels draws the labels of a pod.
func (d *draw) labels() string {
	return d.one(`{"app":"a"}`, `{"app":"a","on":"true"}`, `{"app":"a","on":"false"}`, `{"app":"b","on":"true"}`, `{}`)
}

const container = `{"name":"main","image":"i:1"}`

func (d *draw) create() step {
	kind := d.kind()
	return step{"POST", kind + d.writing(), d.mostly("json", "yaml"), d.object(kind, d.metadata(kind))}
}

// metadata draws that of a new object.
func (d *draw) metadata(kind string) string {
	d.made++
	name, slashed := `"name":"`+d.name()+`"`, `"name":"x/y"`
	if kind == "services" {
		slashed = `"name":"x_y"` // the real server allocates an address before it looks at the name, and fails in another field
	}
	if odd := d.odd(fmt.Sprintf(`"generateName":"g%d-"`, d.made), `"name":"A_b"`, `"name":"x.y"`, slashed,
		`"name":"`+strings.Repeat("n", 64)+`"`); odd != "" {
		name = odd
	}
	parts := []string{name, `"labels":` + d.labels()}
	if owner := d.some(d.owner()); owner != "" {
		parts = append(parts, owner)
	}
	if odd := d.odd(`"resourceVersion":"1"`, `"uid":"mine"`, `"namespace":"elsewhere"`, `"generation":7`, `"finalizers":["x.y/z"]`, `"finalizers":["x.y/z"]`,
		`"finalizers":["short"]`, `"annotations":{"k":"v"}`, `"annotations":{"Not A Key!":"v"}`, `"deletionTimestamp":"2020-01-01T00:00:00Z"`, `"nonsense":1`,
		`"labels":{"app":"`+strings.Repeat("v", 64)+`"}`); odd != "" {
		parts = append(parts, odd)
	}
	return "{" + strings.Join(parts, ",") + "}"
}

func (d *draw) owner() string {
	return `"ownerReferences":[{"apiVersion":"apps/v1","kind":"ReplicaSet","name":"a","uid":"` + d.uid() + `"` + d.some(`,"controller":true`) + `}]`
}

// object draws a whole object.
func (d *draw) object(kind, metadata string) string {
	switch kind {
	case "pods":
		return fmt.Sprintf(`{"metadata":%s,"spec":{%s%s"containers":[%s]}}`, metadata, d.one(`"nodeName":"n",`, `"nodeName":"n",`, ""),
			d.odd(`"terminationGracePeriodSeconds":0,`, `"restartPolicy":"Never",`, `"restartPolicy":"Ever",`, `"nonsense":1,`), d.containers())
	case "services":
		selector, headless := d.labels(), d.some(`"clusterIP":"None",`)
		if selector == "{}" {
			headless = "" // would be for two address families, of which a later change is refused or not by what the cluster has
		}
		return fmt.Sprintf(`{"metadata":%s,"spec":{"selector":%s,%s%s"ports":[%s]}}`, metadata, selector, headless,
			d.some(`"sessionAffinity":"ClientIP",`, `"publishNotReadyAddresses":true,`), d.mostly(`{"port":80}`, `{"port":0}`, `{"port":80},{"port":81}`, ` `))
	case "endpointslices":
		return fmt.Sprintf(`{"metadata":%s,"addressType":%s,"endpoints":[%s]}`, metadata, d.mostly(`"IPv4"`, `""`, `"IPv5"`),
			d.mostly(`{"addresses":["10.1.1.1"],"conditions":{"ready":true}}`, `{"addresses":[]}`, ` `))
	}
	selector := d.mostly(`{"matchLabels":{"app":"a"}}`, `{"matchExpressions":[{"key":"app","operator":"In","values":["a"]}]}`,
		`{}`, `null`, `{"matchLabels":{"app":"!"}}`, `{"matchExpressions":[{"key":"app","operator":"Like"}]}`)
	return fmt.Sprintf(`{"metadata":%s,"spec":{"replicas":%s,%s"selector":%s,"template":{"metadata":{"labels":%s},"spec":{"containers":[%s]}}}}`,
		metadata, d.replicas(), d.odd(`"minReadySeconds":3,`, `"nonsense":1,`, `"minReadySeconds":-1,`), selector,
		d.mostly(d.one(`{"app":"a"}`, `{"app":"a","on":"true"}`, `{"app":"a","on":"false"}`), d.labels()), d.containers())
}

func (d *draw) containers() string {
	return d.mostly(container, ` `, `{"name":"Main","image":"i"}`, `{"name":"main"}`, container+","+container)
}

func (d *draw) replicas() string {
	return d.mostly(d.one("0", "1", "2", "3"), "-1", `"3"`, "null", "1.5", "99999999999")
}

// preconditions draws what a merge patch compares with.
func (d *draw) preconditions(t target) []string {
	var parts []string
	if d.one("", "x") != "" {
		parts = append(parts, `"resourceVersion":"`+d.mostly(t.version, d.version())+`"`)
	} else if odd := d.odd(`"resourceVersion":"x"`, `"resourceVersion":null`, `"resourceVersion":""`, `"resourceVersion":"0"`); odd != "" {
		parts = append(parts, odd)
	}
	if d.one("", "x") != "" {
		parts = append(parts, `"uid":"`+d.mostly(t.uid, d.uid())+`"`)
	}
	return parts
}

func (d *draw) merge() step {
	t := d.target()
	kind, meta := t.kind, d.preconditions(t)
	if part := d.one("", `"annotations":{"k":"v"}`, `"annotations":{"k":"w"}`, `"annotations":{"k":null}`, `"labels":{"on":"true"}`, `"labels":{"on":null}`, `"annotations":null`,
		`"finalizers":["x.y/z"]`, `"finalizers":null`, `"finalizers":null`, d.owner()); part != "" {
		meta = append(meta, part)
	}
	if part := d.odd(`"name":"other"`, `"namespace":"other"`, `"generation":9`, `"creationTimestamp":null`, `"deletionTimestamp":null`,
		`"labels":{"on":"`+strings.Repeat("v", 64)+`"}`, `"labels":{"on":1}`, `"deletionGracePeriodSeconds":3`); part != "" {
		meta = append(meta, part)
	}
	spec := map[string][]string{
		"services": {`"selector":{"app":"b"}`, `"selector":{"app":null,"on":"true"}`, `"selector":null`, `"clusterIP":"10.0.0.77"`, `"ports":[]`, `"selector":{"!":"x"}`},
		"pods": {`"nodeName":"m"`, `"containers":[{"name":"main","image":"i:2"}]`, `"containers":[]`, `"terminationGracePeriodSeconds":5`,
			`"tolerations":null`, `"nonsense":1`},
		"endpointslices": {`"x":1`},
	}[kind]
	if spec == nil {
		spec = []string{`"replicas":` + d.replicas(), `"replicas":` + d.replicas(), `"template":{"metadata":{"labels":{"on":"true"}}}`, `"template":{"metadata":{"labels":{"on":null}}}`,
			`"template":{"metadata":{"annotations":{"fence":"f"}}}`, `"template":{"metadata":{"labels":{"app":"z"}}}`, `"selector":{"matchLabels":{"app":"z"}}`,
			`"selector":null`, `"minReadySeconds":5`, `"nonsense":1`, `"template":{"spec":{"containers":null}}`}
	}
	body := fmt.Sprintf(`{"metadata":{%s}%s}`, strings.Join(meta, ","), prefixed(`,"spec":{`, d.one(append(spec, "", "", "", "")...), "}"))
	if odd := rapid.IntRange(0, 19).Draw(d.T, "odd"); odd == 0 {
		body = d.one(`{`, `[]`, `null`, `{"kind":"Other"}`, `{"apiVersion":"v2"}`, `{"metadata":null}`, `{"spec":null}`, `{"status":{"replicas":7}}`, `"x"`, ``, `{"endpoints":[]}`, `{"endpoints":[{"addresses":["10.1.1.2"]}]}`)
	}
	return step{"PATCH", t.path() + d.odd("/status") + d.writing(), d.mostly("merge", "json"), body}
}

func prefixed(before, text, after string) string {
	if text == "" {
		return ""
	}
	return before + text + after
}

func (d *draw) operations() step {
	var all []string
	t := d.target("pods", "pods", "replicasets", "services")
	if d.one("", "x") != "" {
		all = append(all, `{"op":"test","path":"/metadata/uid","value":"`+d.mostly(t.uid, d.uid())+`"}`)
	}
	if fine := d.one("", `{"op":"add","path":"/metadata/labels","value":{"app":"a","on":"true"}}`, `{"op":"add","path":"/metadata/annotations","value":{"k":"v"}}`); fine != "" {
		all = append(all, fine)
	}
	for range rapid.IntRange(0, 2).Draw(d.T, "operations") {
		all = append(all, d.one(
			`{"op":"test","path":"/metadata/labels/on","value":"true"}`, `{"op":"test","path":"/metadata/labels/on","value":null}`, `{"op":"test","path":"/metadata/annotations","value":null}`,
			`{"op":"test","path":"/metadata/annotations/k","value":null}`, `{"op":"test","path":"/metadata/generation","value":1}`, `{"op":"test","path":"/a/b/c","value":1}`,
			`{"op":"test","path":"/metadata/resourceVersion","value":"`+d.version()+`"}`, `{"op":"test","path":"/spec/replicas"}`,
			`{"op":"add","path":"/metadata/labels/on","value":"true"}`, `{"op":"add","path":"/metadata/labels/on","value":"false"}`, `{"op":"remove","path":"/metadata/labels/on"}`,
			`{"op":"add","path":"/metadata/annotations","value":{"cutover.dev/fence":"f"}}`, `{"op":"add","path":"/metadata/annotations/cutover.dev~1fence","value":"g"}`,
			`{"op":"replace","path":"/metadata/labels/on","value":"x"}`, `{"op":"replace","path":"/a/b","value":"x"}`, `{"op":"remove","path":"/metadata/finalizers"}`,
			`{"op":"remove","path":"/metadata/finalizers/0"}`, `{"op":"add","path":"/metadata/finalizers","value":["x.y/z"]}`, `{"op":"add","path":"/metadata/finalizers/-","value":"q.y/z"}`,
			`{"op":"remove","path":"/metadata/finalizers/5"}`, `{"op":"replace","path":"/spec/replicas","value":`+d.replicas()+`}`,
			`{"op":"copy","from":"/metadata/labels/app","path":"/metadata/labels/copied"}`, `{"op":"move","from":"/metadata/labels/app","path":"/metadata/labels/moved"}`,
			`{"op":"copy","from":"/metadata/labels/none","path":"/metadata/labels/copied"}`, `{"op":"jump","path":"/x"}`, `{"op":"add","value":1}`, `{"op":"remove","path":""}`,
			`{"op":"replace","path":"/metadata/uid","value":"`+d.uid()+`"}`, `{"op":"replace","path":"","value":{}}`, `{"op":"add","path":"/metadata/labels/on","value":1}`, `{"op":"test","path":"","value":{}}`,
			`{"op":"add","path":"/spec/template/metadata/labels/on","value":"true"}`, `{"op":"replace","path":"/spec/containers/0/image","value":"i:2"}`,
			`{"op":"add","path":"/spec/containers/9/image","value":"i:2"}`, `{"op":"replace","path":"/metadata/name","value":"other"}`))
	}
	body := "[" + strings.Join(all, ",") + "]"
	if odd := rapid.IntRange(0, 19).Draw(d.T, "odd"); odd == 0 {
		body = d.one(`{}`, `[`, `[{"op":1}]`, `null`, `[]`, `[{"op":"add","path":"/x","value":1,"nonsense":1}]`, `[{}]`)
	}
	return step{"PATCH", t.path() + d.writing(), "operations", body}
}

func (d *draw) delete() step {
	t := d.target()
	if d.one("", "", "x") != "" {
		return step{"DELETE", t.path() + query(d.odd("dryRun=All", "dryRun=None"), d.some("gracePeriodSeconds=5", "gracePeriodSeconds=0", "gracePeriodSeconds=-3"),
			d.some("propagationPolicy=Background", "propagationPolicy=Foreground", "propagationPolicy=Orphan"), d.odd("gracePeriodSeconds=x", "propagationPolicy=Wrong")), "-", ""}
	}
	var parts []string
	for _, part := range []string{
		d.one("", "", `"apiVersion":"v1","kind":"DeleteOptions"`),
		d.one("", `"preconditions":{"uid":"`+d.mostly(t.uid, d.uid())+`"}`, `"preconditions":{"resourceVersion":"`+d.mostly(t.version, d.version())+`"}`,
			`"preconditions":{"uid":"`+d.mostly(t.uid, d.uid())+`","resourceVersion":"`+d.mostly(t.version, d.version())+`"}`),
		d.some(`"propagationPolicy":"Background"`, `"propagationPolicy":"Foreground"`, `"propagationPolicy":"Orphan"`), d.odd(`"propagationPolicy":"Wrong"`, `"orphanDependents":true`, `"orphanDependents":false`),
		d.some(`"gracePeriodSeconds":20`, `"gracePeriodSeconds":0`, `"gracePeriodSeconds":-1`), d.odd(`"dryRun":["All"]`, `"nonsense":1`),
	} {
		if part != "" {
			parts = append(parts, part)
		}
	}
	return step{"DELETE", t.path(), d.mostly("json", "yaml"), "{" + strings.Join(parts, ",") + "}"}
}

func (d *draw) status() step {
	t := d.target("replicasets", "pods", "pods", "deployments", "services")
	status := map[string][]string{
		"replicasets": {`"observedGeneration":1,"replicas":2`, `"replicas":2,"readyReplicas":1,"availableReplicas":1`, `"replicas":1,"readyReplicas":2`, `"replicas":-1`, `"replicas":0`},
		"pods":        {`"phase":"Running","conditions":[{"type":"Ready","status":"True"}],"podIP":"10.1.1.1"`, `"phase":"Failed"`, `"phase":"Succeeded"`, `"conditions":[{"type":"Ready","status":"False"}]`, `"qosClass":""`},
		"deployments": {`"observedGeneration":1`, `"replicas":2`},
		"services":    {`"loadBalancer":null`},
	}[t.kind]
	meta := append(d.preconditions(t), d.some(`"labels":{"on":"true"}`, `"annotations":{"k":"s"}`, `"finalizers":null`))
	if meta[len(meta)-1] == "" {
		meta = meta[:len(meta)-1]
	}
	return step{"PATCH", t.path() + "/status" + d.odd("?dryRun=All"), "merge",
		fmt.Sprintf(`{"metadata":{%s},"spec":{%s},"status":{%s}}`, strings.Join(meta, ","), d.some(`"replicas":5`, `"nodeName":"m"`, `"selector":{"app":"s"}`), d.one(status...))}
}

// scale draws replicas that nothing had before: see the allowed differences.
func (d *draw) scale() step {
	t := d.target("replicasets", "deployments")
	path := t.path() + "/scale"
	d.made++
	replicas := d.one(strconv.Itoa(10+d.made), strconv.Itoa(10+d.made), "-1", `"3"`, "1.5", "99999999999")
	switch d.one("get", "put", "merge", "operations") {
	case "get":
		return step{method: "GET", path: path}
	case "put":
		return step{"PUT", path + d.some("?dryRun=All"), "json", fmt.Sprintf(`{"metadata":{"name":%q%s},"spec":{"replicas":%s}}`, d.mostly(t.name, d.name()),
			d.some(`,"resourceVersion":"`+t.version+`"`, `,"uid":"`+t.uid+`"`)+d.odd(`,"resourceVersion":"`+d.version()+`"`, `,"uid":"`+d.uid()+`"`, `,"namespace":"other"`), replicas)}
	case "merge":
		return step{"PATCH", path, "merge", fmt.Sprintf(`{"metadata":{%s},"spec":{"replicas":%s}}`, d.some(`"resourceVersion":"`+d.version()+`"`), replicas)}
	}
	return step{"PATCH", path, "operations", fmt.Sprintf(`[{"op":"replace","path":"/spec/replicas","value":%s}]`, replicas)}
}

func (d *draw) put() step {
	t, status := d.target(), d.some("/status")
	if t.kind == "services" {
		status = "" // a PUT of a status makes a Service without an address on the real server
	}
	meta := append(d.preconditions(t), `"name":"`+t.name+`"`, `"labels":`+d.labels())
	return step{"PUT", t.path() + status + d.writing(), "json", d.object(t.kind, d.mostly("{"+strings.Join(meta, ",")+"}", d.metadata(t.kind)))}
}

func (d *draw) watch() step {
	from := d.some("resourceVersion=0", "resourceVersion=")
	if len(d.seen.versions) == 0 {
		from = "resourceVersion=0"
	} else if from == "" {
		from = "resourceVersion=" + d.version()
	}
	return step{method: "WATCH", path: "pods" + query("watch="+d.one("1", "true"), from, d.some("labelSelector=app%3Da", "labelSelector=on%3Dtrue"))}
}

// nowhere draws what leads nowhere.
func (d *draw) nowhere() step {
	return rapid.SampledFrom([]step{
		{method: "GET", path: "/apis/apps/v1/nonsense"},
		{method: "GET", path: "/apis/nonsense/v1/pods"},
		{method: "GET", path: "/api/v1/namespaces/$NS"},
		{method: "GET", path: "/api/v1/namespaces/nowhere"},
		{method: "GET", path: "/api/v1/namespaces/nowhere/pods"},
		{"POST", "/api/v1/namespaces/nowhere/pods", "json", fmt.Sprintf(marker, "p")},
		{"PUT", "pods", "json", "{}"},
		{"PATCH", "replicasets", "merge", "{}"},
		{"POST", "replicasets/a", "json", "{}"},
		{"POST", "replicasets/a/scale", "json", "{}"},
		{"DELETE", "replicasets/a/status", "-", ""},
		{method: "GET", path: "replicasets/a/nonsense"},
		{method: "GET", path: "endpointslices/a/status"},
		{method: "GET", path: "pods?labelSelector=nonsense(("},
		{method: "GET", path: "pods?limit=x"},
		{method: "GET", path: "pods?resourceVersion=x"},
		{method: "GET", path: "pods?watch=1&resourceVersion=x"},
		{"POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "json", `{"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"$NS","verb":"get","resource":"pods"}}}`},
	}).Draw(d.T, "nowhere")
}
