// Package machine is what a benchmark stands on: [Setup] installs the peers that it compares with, [Describe] says on
// what and under which load the figures were taken, [FreePort], [Until] and [Reap] start, await and end what is measured, [ModernPython] is a peer that may be there, and
// the rest reads memory and processes from /proc, the same way for us and for a peer.
//
// A figure without its conditions is worth little, so every benchmark prints them, to stderr: stdout is for rows.
package machine
