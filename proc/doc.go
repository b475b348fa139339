// Package proc is one process group: it is started, signalled, waited for, reaped and kept.
//
// A [Group] starts the workers of an attempt, each in a session of its own, from one OS thread that lives as
// long as the group: the kernel kills a worker whose group's process died (PR_SET_PDEATHSIG looks at threads).
// Where cgroups can be used the workers are born in one ([Cgroup]), which holds limits and tells of the
// kernel's OOM killer. What a worker writes goes through a [Capture] into a bounded [LogFile], a [Tail] and,
// with a prefix, a [Live] terminal.
//
// Whoever supervises may be killed at any moment. Its [Keeper] is a process that waits at a pipe only the
// supervisor holds; when the pipe ends, [Keep] kills all that is left of the attempt: its cgroup, and every
// process whose environment says NEXUS_ATTEMPT=<name>, however often it forked or changed its session.
// [KillAttempt] and [Empty] do the same for whoever cleans up later.
//
// A process is told from a later one with the same pid by its [Identity]. What an ending means, and what
// to do next, is left to the launcher. On systems other than Linux there are no cgroups, no parent-death
// signal and no OOM report; the keeper does its best with process groups.
package proc
