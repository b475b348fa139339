// Package kube is a Kubernetes cluster as a place where jobs run: NexusJobs and NexusQueues in, Jobs and Pods out.
//
//	NexusJob -> Changes -> (engine plans) -> Apply -> status [Starting] -> Service, Job <job>-<attempt> -> pods
//	pods, Job -> status [Running] -> [Succeeded | Failed | Pending]
//
// # Who owns what
//
// The status of the NexusJob is the record: phase, attempt, seats, the budget. It is written before anything is done
// about it, and whoever holds it in memory can die at any instant: what is to be done next follows from the status,
// the Job and the pods (step.go). An attempt has one Job, whose name carries the attempt's number and which is never
// used again. It is over only when its Job has ended and no pod of it is left alive.
//
// Everything is told by watches; nothing is listed in a cycle. [view] keeps what was told, and what of it the planner
// has not heard of. What we wrote ourselves counts at once, before the watch brings it (resource versions are compared).
//
// A Job of somebody's that names a queue has its record in an annotation (foreign.go); to the planner, and to most of this
// package, a NexusJob stands for it. Its attempts are from one unsuspension to the next suspension.
//
// # Who counts what
//
// Every pod that is bound to a node and not over counts, ours or not. The pods of living attempts are what the planner
// placed; all others are the node's [nexus.Taken] (node.go). The kube-scheduler has the last word: where it finds no
// room for a pod, because the picture was old, the whole attempt goes back in line and nothing is charged.
//
// [Client] is for users: what they see and ask for, by their own rights (remote*.go). Their code travels by package code.
//
// What a plan should be is left to the planner, which devices of a node a pod gets to the device plugin, ranks and
// workers to the agent in the pods (`nexus launch`).
package kube
