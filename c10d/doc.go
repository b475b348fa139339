// Package c10d speaks PyTorch's TCPStore protocol: the key-value store through which the ranks of a job find one
// another. [Listen] starts a server that real PyTorch processes join as clients; [Dial] is a client for Go ranks.
//
// # How a request travels
//
// Each connection has a reader and a writer goroutine. The reader takes one request off the wire, within the
// limits ([Limits]), and executes it against the store under one lock; the answer, and the wake-ups of others that the
// request causes, go into bounded outboxes. After the lock is given back the reader hands to the kernel what the kernel takes
// at once, which is nearly always everything; the writers write the rest. So a client that does not read its answers stalls
// nobody but itself, and in the end loses its own connection. Requests of different connections have no order but that in
// which their answers, where they have any, were seen.
//
// With [ServerOptions.OwnThread] connections begin in a loop instead: one thread that waits in epoll, reads what is there, executes
// whole requests and hands the answers to the kernel. It never waits for a client. A connection that needs that (its request is
// long and comes in pieces, its answer does not fit, its release is in doubt, its bytes are wrong) gets its two goroutines then, and keeps them.
//
// # Releases of PyTorch
//
// One port serves PyTorch 1.13 up to today's releases, without configuration. A connection that opens with a VALIDATE
// query and its magic number is of 2.2 or newer; any other is older. Older releases agree on the opcodes of set,
// get, add, check, wait and the number of keys, which is all that init_process_group needs. They disagree on the rest;
// see [Legacy] for how the server decides, and for how to decide it yourself.
//
// # Keys
//
// On the wire PyTorch's TCPStore puts a "/" before each user key, and a PrefixStore "prefix/" before that. The server
// takes keys as bytes. [Client] adds and strips the "/", so that Set("a") here and store.set("a") there are one key.
//
// # What is kept
//
// Everything is in memory and nothing is replicated: when the server is gone, so is the store. [Server.Reset] empties
// it and drops all connections, which is how one server can serve the rounds of a job one after the other: newer PyTorch
// does not separate the keys of rounds by itself. The protocol knows no authentication: whoever
// reaches the port can read and write. Bind it where only the job's own nodes can come.
package c10d
