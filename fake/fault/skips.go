// Which fault has no meaning at which kind of call, and why. There is no other
// way not to try one.

package fault

// Skip returns why a fault cannot happen at this kind of call of a Cluster, or
// "" if it can.
func Skip(f Fault, k Kind) string {
	if why := skips[f].always; why != "" {
		return why
	}
	if k == Check && f < Crash {
		return "a gate has a client of its own: its failures are F47"
	}
	return skips[f].at[k]
}

type skip struct {
	always string
	at     map[Kind]string
}

const (
	reads     = "a read has no effect that could be lost, late or twice"
	noCompare = "a read compares with nothing"
	noList    = "a write reads no list"
	noCreate  = "only a create can find its name taken"
	noDecide  = "this kind of call is not admitted: it writes nothing"
	noSize    = "only what carries a template can be too large"
	isNothing = "there is nothing yet that could be gone"
	noRoute   = "routes are not made or deleted by anybody here: a Service that is gone is a refused look, F27"
	noScale   = "it writes no replicas"
	noGate    = "only a gate"
	noWatch   = "no call of a Cluster carries anything from a watch, which is a hint: the Transport has it"
	noDelete  = "only a delete meets a finalizer"
	notDenied = "a terminating namespace refuses to create, and nothing else"
)

var skips = [Count + 1]skip{
	TimeoutDone:   {at: map[Kind]string{Look: reads}},
	Late:          {at: map[Kind]string{Look: reads}},
	Duplicate:     {at: map[Kind]string{Look: reads}},
	Reorder:       {at: map[Kind]string{Look: reads}},
	Conflict:      {at: map[Kind]string{Look: noCompare}},
	Exists:        {at: map[Kind]string{Look: noCreate, Put: noCreate, Route: noCreate, Delete: noCreate}},
	NotFound:      {at: map[Kind]string{Create: isNothing, Route: noRoute}},
	ExpiredWatch:  {always: noWatch},
	ExpiredList:   {at: map[Kind]string{Create: noList, Put: noList, Route: noList, Delete: noList}},
	StaleRead:     {at: map[Kind]string{Create: noList, Put: noList, Route: noList, Delete: noList}},
	TimeTravel:    {at: map[Kind]string{Create: noList, Put: noList, Route: noList, Delete: noList}},
	Truncated:     {at: map[Kind]string{Create: noList, Put: noList, Route: noList, Delete: noList}},
	WatchBroken:   {always: noWatch},
	Malformed:     {at: map[Kind]string{Put: noSize, Route: noSize, Delete: noSize}},
	Denied:        {at: map[Kind]string{Look: noDecide, Check: noDecide}},
	Mutated:       {at: map[Kind]string{Look: noDecide, Check: noDecide, Route: noScale, Delete: noScale}},
	Forbidden:     {at: map[Kind]string{Check: "a gate has a client of its own: its failures are F47"}},
	NamespaceGone: {at: map[Kind]string{Look: notDenied, Put: notDenied, Route: notDenied, Delete: notDenied, Check: notDenied}},
	Finalizer:     {at: map[Kind]string{Look: noDelete, Create: noDelete, Put: noDelete, Route: noDelete, Check: noDelete}},
	Gate:          {at: map[Kind]string{Look: noGate, Create: noGate, Put: noGate, Route: noGate, Delete: noGate}},
}
