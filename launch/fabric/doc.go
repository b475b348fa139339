// Package fabric knows what joins this node to the others of a gang and its GPUs to one another, and which settings of NCCL
// follow from that.
//
// [Read] collects [Facts] from /sys and /proc, of which a file system is the root, so that tests make machines up; the way
// to the other nodes is asked of the kernel by [Toward] and put in by [Facts.Over]. [Settings] and [Notes] are pure: facts
// in, values out, each with its reason. The launcher gives the settings to workers, `nexus doctor --nccl` shows them with
// the notes, so both say the same.
//
// NCCL finds most things by itself. What is set here is only what it cannot know (which network leads to the
// other nodes), what it gets wrong on common machines (ports of another network beside the fast ones), and what makes a failure
// end and be told.
package fabric
