// The laws by name, in the order in which they are tried: what others rest on
// comes first.

package clustertest

import "github.com/cutover-dev/cutover/cluster"

var laws = []law{
	{"an app that was never deployed is empty and no error", always, neverDeployed},
	{"a state says what the cluster can do", always, can},
	{"a created revision is found as it was put", always, createdAsPut},
	{"the next look sees every write that was answered", always, ownWrites},
	{"a name is created once", always, createdOnce},
	{"of creates that race one wins", always, racingCreates},
	{"a found template makes pods under a new name", always, foundTemplate},
	{"revisions come by rising sequence, arms after their release", always, order},
	{"an app shows nothing of another", always, apart},
	{"a look is a value", always, value},
	{"nothing that was given is kept or changed", always, given},
	{"a canceled context is an error and changes nothing", always, canceled},

	{"a put with a stale version is a conflict and changes nothing", always, stalePut},
	{"a put to another object of the name is a conflict", always, otherObject},
	{"a put to what is gone is a conflict", always, gonePut},
	{"of puts that race at most one wins", always, racingPuts},
	{"a put that changes nothing writes nothing", always, idlePut},
	{"what is fixed at creation stays", always, fixed},
	{"an empty note or fence leaves the stored one", always, emptyLeaves},
	{"negative replicas are refused before anything is written", always, negative},
	{"replicas are followed", always, replicas},
	{"an outcome is stored with its why", always, outcome},
	{"a note comes back letter by letter", always, note},

	{"enabled pods serve and disabled ones stop", labels, enabled},
	{"nothing is left to do when no pod is unsettled and none is to be born so", labels, unsettled},
	{"a fence reaches the object and every pod", always, fence},
	{"a write from before a fence is a conflict", always, fenced},
	{"moved is the look at which serving was last seen to change", routed, moved},

	{"an unknown route is refused", routed, unknownRoute},
	{"a route write with a stale version is a conflict and changes nothing", routed, staleRoute},
	{"what a route carries comes back", routed, carried},
	{"an empty note, fence or from leaves the route's stored one", routed, emptyLeavesRoute},
	{"weights are unsupported where routes take none", plain, noWeights},
	{"revisions that a route names serve and others stop", named, chosen},

	{"a delete needs a uid and a version", always, bareDelete},
	{"a delete with a stale version is a conflict and the revision stays", always, staleDelete},
	{"deleting what is gone is no error", always, goneDelete},
	{"a deleted name can be created again as another object", always, reused},
	{"a delete does not take the next object of the name", always, otherDelete},
	{"a delete takes the pods along", routed, podsDeleted},

	{"the clock of a look never goes back", always, clock},
	{"no time of an object is after the look", always, times},
	{"raised moves when replicas rise and not else", always, raised},
	{"since moves when enabled or outcome change and not else", always, since},
	{"a route's since moves when weights change and not else", named, routeSince},
}

// Which laws apply.

func always(cluster.Can) bool { return true }

// labels: traffic is moved by Enabled. For a worker too, which has no routes.
func labels(can cluster.Can) bool { return can.Enable || can == cluster.Can{} }

// named: routes choose revisions.
func named(can cluster.Can) bool { return can.Select || can.Weigh }

// routed: there are routes.
func routed(can cluster.Can) bool { return can != cluster.Can{} }

// plain: there are routes, and they take no weights.
func plain(can cluster.Can) bool { return routed(can) && !named(can) }
