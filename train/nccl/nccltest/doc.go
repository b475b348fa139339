// Package nccltest builds what stands in for NCCL and the CUDA driver in tests: two shared libraries, compiled by the C compiler of
// the machine. GPU memory is the host's, streams are threads, and ranks are real processes that talk over sockets, so that the
// product's own code runs as it would over GPUs. What goes wrong is said by environment variables; see library/nccl.c and cuda.c.
package nccltest
