// Package gpu knows the devices of this machine, and whether they are well.
//
// A [Reader] is asked with [Reader.Sample] and answers with a [Sample]: one [Device] per GPU with its memory,
// utilisation, temperature and power, and for each one that is not well a sentence that says why. The facts come
// from NVIDIA's management library (NVML), called without cgo; where that is missing, from the nvidia-smi program;
// where both are missing the list is empty and Sample.Reason says so. Nothing here invents a device.
//
// A GPU that has fallen off the bus can block a call into the driver for ever. So the calls happen in a child
// process ([ServeChild]: one JSON line in, some JSON lines out) and the Reader holds a watch. Before each device the
// child says which one it is about to ask; when it then stays silent for too long the Reader kills it, starts another
// that leaves that device out, and tells the device as last seen, unwell. A child that even the kernel cannot
// end is left to the kernel and never waited for. Without Options.Child the same code runs inside the caller's process,
// for tests and commands that end soon: there a blocked call costs a thread, which nothing can free.
//
// Nothing here ticks. The caller decides when to sample; a child that is not asked for a while ends itself, which
// also lets go of the devices so that an operator can reset one. On a machine without devices no child remains.
//
// A device is known by its UUID. [Visible] reads a CUDA_VISIBLE_DEVICES value back into devices and [Own] tells which
// of them belong to one worker. What the numbers mean for a job is left to the planner, which process belongs to
// which job to the agent, and how they are published to metrics.
//
// Built with the tag nogpu the package holds no foreign calls at all and asks nvidia-smi only.
package gpu
