// Named programs: each sentence was not so on the simulated server once, or is
// what a deployer of apps lives by.

package apiserver_test

var examples = []struct{ name, program string }{
	{"a ReplicaSet does not take the labels of its pods", `
POST replicasets json {"metadata":{"name":"a"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
`},
	{"a write that changes nothing is none", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"metadata":{"annotations":{"x":"y"}}}
PATCH replicasets/a merge {"metadata":{"annotations":{"x":"y"}}}
PATCH replicasets/a merge {"metadata":{"resourceVersion":null}}
PATCH replicasets/a merge {"spec":{"nonsense":1}}
PATCH replicasets/a?dryRun=All merge {"spec":{"replicas":7}}
GET replicasets/a
`},
	{"a generation counts changes of the spec", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"spec":{"replicas":2}}
PATCH replicasets/a/status merge {"spec":{"replicas":5},"status":{"replicas":2,"observedGeneration":2}}
PATCH replicasets/a merge {"status":{"replicas":9}}
POST deployments json {"metadata":{"name":"d"},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH deployments/d merge {"metadata":{"annotations":{"x":"y"}}}
PATCH deployments/d merge {"metadata":{"labels":{"x":"y"}}}
PATCH deployments/d/status merge {"status":{"observedGeneration":3},"metadata":{"labels":{"q":"y"}}}
POST services json {"metadata":{"name":"s","generation":7},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
PATCH services/s merge {"spec":{"selector":{"on":"true"}}}
POST endpointslices json {"metadata":{"name":"e"},"addressType":"IPv4","endpoints":[{"addresses":["10.1.1.1"]}],"ports":[{"port":80}]}
PATCH endpointslices/e merge {"metadata":{"labels":{"x":"y"}}}
PATCH endpointslices/e merge {"metadata":{"annotations":{"x":"y"}}}
PATCH endpointslices/e merge {"endpoints":[]}
`},
	{"a write compares what it names", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"metadata":{"uid":"wrong"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"resourceVersion":"1"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"resourceVersion":"x"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"resourceVersion":"0"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"uid":"wrong","resourceVersion":"1"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"name":"other"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"name":null},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"namespace":null},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"namespace":"other","resourceVersion":"1"},"spec":{"replicas":4}}
PATCH replicasets/a merge {"metadata":{"name":"c","namespace":"other"},"spec":{"replicas":4}}
PUT replicasets/a json {"metadata":{"name":"c","namespace":"other"}}
PATCH replicasets/none merge {}
`},
	{"a create is refused for a reason", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST replicasets json {"metadata":{"name":"b","resourceVersion":"1","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST replicasets?dryRun=All json {"metadata":{"name":"b","resourceVersion":"1","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST replicasets json {"metadata":{"name":"A"}}
POST replicasets json {"kind":"Deployment","apiVersion":"apps/v1"}
POST replicasets json {"kind":"ReplicaSet","apiVersion":"v1"}
POST replicasets json {"metadata":{"namespace":"other"}}
POST replicasets json nonsense
POST replicasets?dryRun=None yaml {}
POST replicasets?dryRun=None json {}
POST replicasets?fieldValidation=Strict json {"metadata":{"name":"c"},"nonsense":1}
POST replicasets json {"metadata":{"name":"b","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST replicasets json {"metadata":{"name":"b","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"b"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
POST endpointslices json {"metadata":{"name":"e"},"addressType":"IPv5","endpoints":[{"addresses":[]}]}
POST services json {"metadata":{"name":"s.t"},"spec":{"ports":[{"port":0}]}}
POST /api/v1/namespaces/nowhere/pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
`},
	{"what is being deleted still has its name", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
DELETE replicasets/a json {"propagationPolicy":"Foreground"}
DELETE replicasets/a
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"metadata":{"finalizers":["x.y/z"]}}
PATCH replicasets/a merge {"spec":{"replicas":3}}
PATCH replicasets/a merge {"metadata":{"finalizers":null}}
GET replicasets/a
`},
	{"a delete compares what it names", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
DELETE replicasets/a json {"preconditions":{"uid":"x"}}
DELETE replicasets/a json {"preconditions":{"resourceVersion":"1"}}
DELETE replicasets/a json {"preconditions":{"uid":"$UID0.","resourceVersion":"$VERSION0."},"dryRun":["All"]}
DELETE replicasets/a json {"propagationPolicy":"Wrong"}
DELETE replicasets/a json {"orphanDependents":true,"propagationPolicy":"Orphan"}
DELETE replicasets/a json {"kind":"DeleteOptions","apiVersion":"v1","preconditions":{"uid":"$UID0.","resourceVersion":"$VERSION0."},"propagationPolicy":"Background"}
DELETE replicasets/a json {}
`},
	{"a pod goes gracefully, and sooner if told so", `
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
PATCH pods/p/status merge {"status":{"phase":"Running","podIP":"10.1.1.1"},"spec":{"nodeName":"other"},"metadata":{"labels":{"x":"y"}}}
DELETE pods/p?gracePeriodSeconds=20
DELETE pods/p
DELETE pods/p?gracePeriodSeconds=10
PATCH pods/p merge {"metadata":{"labels":{"on":"true"}}}
DELETE pods/p json {"gracePeriodSeconds":0}
GET pods/p
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}
DELETE pods/p
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","terminationGracePeriodSeconds":0,"containers":[{"name":"m","image":"i:1"}]}}
DELETE pods/p?dryRun=All
DELETE pods/p
`},
	{"a second delete may say otherwise", `
POST services json {"metadata":{"name":"s"},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
DELETE services/s?propagationPolicy=Orphan
DELETE services/s?propagationPolicy=Background
GET services/s
POST services json {"metadata":{"name":"t"},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
DELETE services/t?propagationPolicy=Orphan
DELETE services/t?propagationPolicy=Background&dryRun=All
DELETE replicasets/a
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
DELETE replicasets/a?propagationPolicy=Foreground
DELETE replicasets/a?propagationPolicy=Background&dryRun=All
DELETE replicasets/a?propagationPolicy=Orphan
DELETE replicasets/a?propagationPolicy=Background
GET replicasets/a
`},
	{"of a pod's spec little may change", `
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
PATCH pods/p merge {"spec":{"nodeName":"other"}}
PATCH pods/p merge {"spec":{"tolerations":null}}
PATCH pods/p operations [{"op":"replace","path":"/spec/containers/0/image","value":"i:2"}]
PUT pods/p json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:2"}]}}
`},
	{"a JSON patch applies as a whole or not at all", `
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
PATCH pods/p operations [{"op":"add","path":"/metadata/labels/on","value":"true"},{"op":"test","path":"/metadata/uid","value":"x"}]
PATCH pods/p operations [{"op":"test","path":"/metadata/uid","value":"$UID0."},{"op":"test","path":"/metadata/annotations","value":null},{"op":"add","path":"/metadata/annotations","value":{"a.b/c":"d"}}]
PATCH pods/p operations [{"op":"test","path":"/metadata/annotations/a.b~1c","value":"d"},{"op":"remove","path":"/metadata/annotations/a.b~1c"}]
PATCH pods/p operations [{"op":"remove","path":"/metadata/annotations/none"}]
PATCH pods/p operations [{"op":"add","path":"/a/b/c","value":1}]
PATCH pods/p operations [{"op":"add","path":"/metadata/labels/on","value":1}]
PATCH pods/p operations [{"op":"replace","path":"","value":{}}]
PATCH pods/p operations {}
PATCH pods/p operations [{"op":1}]
PATCH pods/p?fieldValidation=Ignore operations [{"op":1}]
GET pods/p
`},
	{"an image tells when it is pulled", `
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i"}]}}
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:latest"}]}}
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"r:5000/i"}]}}
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"r:5000/i:2"}]}}
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}}
POST pods?dryRun=All json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:latest@sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"}]}}
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
PUT pods/p json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m"}]}}
`},
	{"a finalizer has a name of its own", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"metadata":{"finalizers":["short"]}}
PATCH replicasets/a/status merge {"metadata":{"finalizers":["short"]}}
PATCH replicasets/a merge {"metadata":{"finalizers":["orphan"]}}
`},
	{"a patch that is none is refused", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {
PATCH replicasets/a merge []
PATCH replicasets/a merge null
PATCH replicasets/a merge "x"
PATCH replicasets/a yaml {}
PATCH replicasets/a json {}
PATCH replicasets/a merge {"spec":{"replicas":"1"}}
PATCH replicasets/a?fieldValidation=Ignore merge []
PATCH replicasets/a?fieldValidation=Ignore merge "x"
PATCH replicasets/a?fieldValidation=Strict merge {"spec":{"nonsense":1}}
PATCH replicasets/a operations [
PATCH replicasets/a?fieldValidation=Ignore operations [
`},
	{"a patch says nothing twice", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
PATCH replicasets/a merge {"metadata":{"labels":{"on":"true"},"labels":{"on":"false"}}}
PATCH replicasets/a?fieldValidation=Strict merge {"metadata":{"labels":{"on":"true"},"labels":{"on":"0 no"}}}
PATCH replicasets/a?fieldValidation=Ignore merge {"metadata":{"labels":{"on":"true"},"labels":{"on":"false"}}}
PATCH replicasets/a?fieldValidation=Strict operations [{"op":"replace","op":"add","path":"/metadata/labels/on","value":"true"}]
PATCH replicasets/a?fieldValidation=Strict operations [{"op":"add","path":"/metadata/labels/on","value":"true","nonsense":1}]
PATCH replicasets/a operations [{"op":"add","path":"/metadata/labels/on","value":"true","nonsense":1}]
PATCH replicasets/a merge {"spec":{"nonsense":1},"spec":{"nonsense":1}}
`},
	{"a delete of dependents that takes its time is accepted", `
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
POST pods json {"metadata":{"name":"q","labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}
DELETE pods/p json {"orphanDependents":false}
DELETE pods/q json {"orphanDependents":false}
DELETE pods/p json {"propagationPolicy":"Foreground"}
DELETE pods/p json {"gracePeriodSeconds":0,"orphanDependents":false}
`},
	{"a Service keeps its address", `
POST services json {"metadata":{"name":"s"},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
PATCH services/s merge {"spec":{"clusterIP":"10.0.0.9"}}
PATCH services/s merge {"spec":{"selector":{"app":null}}}
PUT services/s json {"metadata":{"name":"s"},"spec":{"sessionAffinity":"ClientIP","selector":{"app":"a"},"ports":[{"port":80}]}}
POST services json {"metadata":{"name":"h"},"spec":{"clusterIP":"None"}}
PUT services/new json {"metadata":{"name":"new","resourceVersion":"1"},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
PUT services/newer json {"metadata":{"name":"newer","uid":"mine"},"spec":{"selector":{"app":"a"},"ports":[{"port":80}]}}
DELETE services/s
DELETE services/s
`},
	{"scale is the replicas and no more", `
POST replicasets json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"replicas":1,"selector":{"matchLabels":{"app":"a"}},"template":{"metadata":{"labels":{"app":"a"}},"spec":{"containers":[{"name":"m","image":"i:1"}]}}}}
GET replicasets/a/scale
PATCH replicasets/a/scale merge {"spec":{"replicas":3}}
PATCH replicasets/a/scale merge {"spec":{"replicas":-3}}
PATCH replicasets/a/scale merge {"metadata":{"name":"other"}}
PATCH replicasets/a/scale merge {"metadata":{"name":null,"namespace":"other"}}
PATCH replicasets/a/scale merge {"metadata":{"uid":"other"},"spec":{"replicas":-1}}
PATCH replicasets/a/scale merge {"metadata":{"uid":"other"}}
PATCH replicasets/a/scale merge {"metadata":{"resourceVersion":"1"},"spec":{"replicas":5}}
PUT replicasets/a/scale json {"metadata":{"name":"a"},"spec":{"replicas":8}}
PUT replicasets/a/scale json {"metadata":{"name":"a","uid":"other"},"spec":{"replicas":-1}}
PUT replicasets/b/scale json {"metadata":{"name":"a"},"spec":{"replicas":-1}}
GET pods/a/scale
`},
	{"pages go on where they ended", `
POST pods json {"metadata":{"name":"c","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
POST pods json {"metadata":{"name":"a","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
POST pods json {"metadata":{"name":"b","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
GET pods?limit=2
GET pods?limit=2&continue=$TOKEN0.
GET pods?limit=1&labelSelector=app=a
GET pods?limit=1&continue=$TOKEN0.&resourceVersion=1
GET pods?continue=nonsense
GET pods?limit=1&fieldSelector=metadata.name=a
GET pods?labelSelector=a,,b
GET pods?resourceVersion=x
GET pods?watch=1&resourceVersion=x
`},
	{"a watch sees what its selector begins and ends to match", `
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
PATCH pods/p merge {"metadata":{"labels":{"on":"true"}}}
PATCH pods/p merge {"metadata":{"labels":{"k":"v"}}}
PATCH pods/p merge {"metadata":{"labels":{"on":"false"}}}
DELETE pods/p?gracePeriodSeconds=0
WATCH pods?watch=1&resourceVersion=$VERSION0.
WATCH pods?watch=1&labelSelector=on=true&resourceVersion=$VERSION0.
WATCH pods?watch=1
`},
	{"a path leads somewhere or nowhere", `
GET /apis/apps/v1/nonsense
GET /apis/nonsense/v1/pods
GET pods/a/nonsense
GET /api/v1/namespaces/nowhere
GET /api/v1/namespaces/nowhere/pods
PUT pods json {}
DELETE replicasets/a/status
`},
	{"a namespace that is deleted takes nothing new", `
DELETE /api/v1/namespaces/$NS
POST pods json {"metadata":{"name":"p","labels":{"app":"a"}},"spec":{"nodeName":"n","containers":[{"name":"m","image":"i:1"}]}}
GET /api/v1/namespaces/$NS
`},
	{"access is reviewed", `
POST /apis/authorization.k8s.io/v1/selfsubjectaccessreviews json {"apiVersion":"authorization.k8s.io/v1","kind":"SelfSubjectAccessReview","spec":{"resourceAttributes":{"namespace":"$NS","verb":"get","group":"apps","resource":"replicasets"}}}
`},
}
