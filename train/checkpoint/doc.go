// Package checkpoint keeps a job's work on disk so that it survives whatever happens to the job.
//
// A checkpoint P is a file with a manifest P.nexus.json beside it; it is valid only if the manifest is there and every
// file that it lists has the size and SHA-256 it says. The manifest is written last: to a temporary name, synced,
// renamed, and the directory synced. So a crash, a kill or a full disk during a save leaves the checkpoints
// before it as they were, and [Dir.Latest] passes over what is truncated or damaged, and says so.
//
// # Fencing
//
// A directory has one writer: whoever called [Dir.Claim] last. A claim is recorded in the file EPOCH with the writer's
// job and [Epoch] and a number that grows with each claim; saving checks, under the directory's lock, that the claim
// is still its own. A writer of the same job with an older epoch cannot even claim. So the checkpoints of two epochs never
// interleave, although a worker that was thought dead may come back. The newest checkpoint is the one with the
// highest step of the newest claim that has any.
//
// # Contents
//
// [State] is everything a training run needs to go on as if nothing had happened: parameters, optimizer, place in
// the data, random numbers, and the world size it was saved at. Nothing in it is cut by rank, so any number of ranks can
// resume. It is stored as a small JSON header and raw little-endian float32.
package checkpoint
