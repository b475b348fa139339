// Package collective lets the ranks of a job compute together: all-reduce, reduce-scatter, all-gather, broadcast and
// barrier, through shared memory inside a host and over TCP between hosts.
//
// [Join] makes a [Group]. The ranks find one another through a [Store], usually the launcher's key-value store: rank 0
// leaves a random token there, each rank the address it listens on and which host it is on. Two ranks are linked only
// where an algorithm needs it (a ring and a binomial tree, over all ranks and over the first ones of the hosts), so a
// rank holds O(log n) connections. Whoever connects must answer a challenge with the token's key, so a stray client can
// neither enter nor keep a rank waiting.
//
// A link is a pair of connections. The data connection carries nothing but the collectives' bytes, in the order in
// which the ranks call them; each begins with a header, so ranks that call different collectives get an error that names
// both. The control connection is silent until something is wrong: a rank that dies, fails or waits in vain is told to
// all others along every link, and the collective fails everywhere with that rank named ([PeerError],
// [TimeoutError]). A group that failed once stays failed; the launcher starts a new round. A process that ends is
// noticed at once; a machine that vanishes without a word, after about ten seconds of unanswered keep-alives; a
// stopped process, which its kernel still answers for, only by the time limit.
//
// # Shared memory
//
// Ranks share a host if they have the boot id, the namespaces of processes, network and users, and the user in common.
// Each lays out an anonymous file, 4 MiB that take room only as they are used, and the others map it: no name is left
// behind by a rank that is killed, and the size of /dev/shm is no limit. If one rank cannot reach what it needs, the
// whole group keeps to TCP and says so once for each host ([Config].Log). What goes through it is written down in
// segment.go and work.go. The control connections stay: they tell that a rank which others wait for is dead.
//
// A rank that waits looks at the counter it waits for, then offers its processor to others, and after some
// offers sleeps in the kernel until it is woken. It spins, briefly, only if the host has a processor for each rank.
//
// # Carriers
//
// A [Carrier] (NCCL, in package nccl) takes over large sums, gathers and broadcasts if every rank has one. Links and control
// connections stay, and with them time limits and who is to blame: when the group breaks, the carrier is aborted.
//
// # Algorithms
//
// On one host, small all-reduces take one step: everybody reads everything. Large ones take two, in blocks that go
// through the processor's cache: each rank reduces its part, and all collect the parts. Over TCP small messages go up
// and down the tree (few messages), large ones around the ring (each rank sends 2(n-1)/n of the buffer, whatever n).
// Where several hosts have several ranks each, all-reduce, broadcast and barrier go through memory to the first rank of a
// host, over TCP among those, and back; reduce-scatter and all-gather go over TCP.
//
// On one host the order of additions is that of TCP, which depends on the rank count and the length alone; with several
// ranks on several hosts it depends on who is on which too. Every rank gets the bits that one rank computed, or that all
// computed in the same order: same input and same placement, same bits.
//
// Buffers travel as they lie in memory: all ranks must have the same byte order, which the handshake checks. A
// collective that no carrier takes allocates nothing once the group has warmed up.
package collective
