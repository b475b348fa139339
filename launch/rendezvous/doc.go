// Package rendezvous is where the agents of a job meet: sockets, hearts and clocks around the decisions of package
// elastic.
//
// [Join] looks for the meeting at an endpoint. Whoever can bind it serves; everybody else dials it, and is sent on to
// who leads where that is somebody else by now. Each agent also listens on a port of its own, at which the others
// find it again when the leader is gone. The agents of a meeting are a star: each keeps one link, to the leader.
//
// # Hearts
//
// A link that is reset or closed says that the other process is gone; it is dialled once more before that is
// believed. Silence is told by the kernels: each side sends a few bytes every [Timing.Beat], and what the other's
// kernel has not acknowledged within [Timing.Silence] ends the link (TCP_USER_TIMEOUT). The kernel answers
// for a process that gets no processor, so busy workers make nobody dead. Only an agent that says nothing at all for
// [Timing.Stuck] is given up although its kernel is there.
//
// # The wire
//
// A line that names the protocol, then frames: four bytes of length, a JSON document, and, where the job has a
// token, a keyed sum over it and its place in the sequence. Who opens a link proves that it knows the job's id and
// token before anything of the job is told to it, and is proven the same. Frames of strangers are small, there are
// few of them at a time, and they have seconds.
package rendezvous
