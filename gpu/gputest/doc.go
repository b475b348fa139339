// Package gputest builds what stands in for an NVIDIA driver in tests: a shared library with NVML's functions,
// compiled by the C compiler of the machine, and a program that prints what nvidia-smi prints. The product runs its real code
// path against them.
//
//	lib := gputest.Build(t)
//	gputest.Write(t, lib, gputest.Uniform(8, "NVIDIA H100 80GB HBM3", 81559))
//	// run the product with NVML_LIBRARY=lib
//
// The library reads its fleet afresh at every call, from the file "fleet" beside it, so a test may let a GPU fall
// off the bus, block or come back while the product runs, in whatever process.
package gputest
