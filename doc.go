// Package cutover moves production traffic from one revision of an app to the
// next on Kubernetes, from inside your own process: no custom resource, no
// controller, no server. This package holds no code: it is the map.
//
// # The map
//
//   - cluster: the vocabulary. A Cluster (four methods), one look at an app (a
//     State of Revisions and Routes), and the errors that callers act on
//   - cluster/kube: the Cluster over client-go
//   - cluster/clustertest: the laws of a Cluster, to prove your own
//   - strategy: Strategy, the Runner; recreate, rolling, blue-green, red-black
//     and canary, and the Rules that they are made of; groups and waves
//   - strategy/plan: what a run would do, before it does anything
//   - strategy/strategytest: proves a strategy or a cleanup of your own, or shows
//     what is wrong with it
//   - cleanup: which revisions may go after a run that failed, and why
//   - health: gates, which say whether a revision is fit for more traffic
//   - fake: a simulated cluster that is its own clock; fake/fault: what can go
//     wrong, by name; fake/apiserver: a simulated apiserver
//   - examples: programs to start from
//
// # The loop
//
// All of cutover is one loop, in strategy.Runner:
//
//	look (Observe) → plan (Next, pure) → fence → guard → take ONE step → look again
//
// What was seen is a value, and what to do is a value: a strategy is a pure
// function from one to the other. Nothing is kept between two looks but what
// the cluster holds. So a run may be killed anywhere, and running it again is
// how it is resumed.
//
// # What the cluster remembers
//
// On each revision: its release, sequence, outcome (good or failed, and why),
// when its traffic and its replicas last changed, and the run that last wrote
// it. Good is written after the new revision was alone in traffic and passed, once
// more after a Redo; and on what served before cutover came, by the write that first
// takes traffic or replicas from it (where a selector moves traffic, the route notes
// that instead). The way back is the newest good one.
//
// # Guarantees
//
// Each is a law of strategytest by the same name, judged at every single change
// (make faults), and one that a wrong strategy, engine, guard or cleanup is shown
// to break (make mutants); but for Abandonment, which judges the world of the other
// laws once more, an hour after the last run has died.
//
//   - Floor: no write of ours may bring the ready endpoints of a traffic route
//     below the floor, nor lower them further if they are below; the floor is
//     what serves, up to the replicas that the target asks for, or your own, or
//     that of a strategy with Bounds (Rolling, Canary, Recreate)
//   - No black hole: no route is ever made to select nothing that is ready
//   - Scope: only objects of this app, with the UID that was read, are written
//   - Preconditions: every write is compared with what was read
//   - Evidence: one fresh and complete look pays for one step
//   - Order: capacity up, proof, traffic on, proof, traffic off the old one,
//     proof and drain, capacity down, delete; where a strategy says bounds of its
//     own, these in its place:
//   - Ceiling: no more replicas are wanted, of all revisions together
//   - Share: a router is told to send no revision more than its endpoints bear
//   - Apart: pods of two revisions never run side by side (Recreate)
//   - Fence: a write sent by a run that has died cannot undo what came after it
//   - Abandonment: killed at any write, with nobody ever acting again, the app
//     stays up; a Recreate's gap stays open until it is run again
//   - No lies: success of the strategies here means that a fresh look has shown
//     the target good and alone in traffic; unknown is unknown
//   - Minimal change: no write beyond those of an undisturbed run, but fence
//     touches; a finished rollout that is run again writes nothing but what has
//     fallen due since
//   - Convergence: after the last fault, running again ends it, with no manual
//     step
//
// # Not promised
//
// A person who edits a Service between a look and the write that follows cannot
// be fenced off. Red-black lets both versions serve for a moment. Progress
// needs a cluster that in the end answers: until then a run waits, and gives up
// with an error that says what serves.
package cutover
