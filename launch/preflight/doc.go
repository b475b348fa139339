// Package preflight looks, before a gang starts, whether its nodes can work together.
//
// [Run] is called on every node. The nodes meet as the launcher's agents do (package rendezvous), so what is in the way of a
// meeting is told by that. Each then listens on a sample of the ports that a gang uses, and tries those of all others;
// pairs of nodes, each with one other at a time, measure round trips, clocks and how fast they reduce together; in the end
// all of them reduce. What was found travels through a key-value store on the node that leads the meeting, reached by
// whichever of the ports lets it through.
//
// [Judge] is pure: from what was [Found] it makes the [Report]. The node with the store judges, and all
// return the same report.
//
// The reduction itself is handed in ([Options].Join), as are clock and facts of the node.
package preflight
