// Package collective lets the ranks of a job compute together over TCP: all-reduce, reduce-scatter, all-gather,
// broadcast and barrier.
//
// [Join] makes a [Group]. The ranks find one another through a [Store], usually the launcher's key-value store: rank 0
// leaves a random token there, each rank the address it listens on. Two ranks are linked only where an algorithm needs
// it (a ring and a binomial tree), so a rank holds O(log n) connections. Whoever connects must answer a challenge with
// the token's key, so a stray client can neither enter nor keep a rank waiting.
//
// A link is a pair of connections. The data connection carries nothing but the collectives' bytes, in the order in
// which the ranks call them; each begins with a header, so ranks that call different collectives get an error that names
// both. The control connection is silent until something is wrong: a rank that dies, fails or waits in vain is told to
// all others along every link, and the collective fails everywhere with that rank named ([PeerError],
// [TimeoutError]). A group that failed once stays failed; the launcher starts a new round. A process that ends is
// noticed at once; a machine that vanishes without a word, after about ten seconds of unanswered keep-alives; a
// stopped process, which its kernel still answers for, only by the time limit.
//
// Small messages go up and down the tree (few messages), large ones around the ring (each rank sends 2(n-1)/n of the
// buffer, whatever n). Both add in an order that depends on the rank count and the length alone, and every rank gets
// the bits that one rank computed: same input and world size, same bits.
//
// Buffers travel as they lie in memory, without copies: all ranks must have the same byte order, which the handshake
// checks. A collective allocates nothing once the group has warmed up.
package collective
