// Package saved reads the checkpoints that a job's workers left on disk: which there are, how old they are, and whether
// every byte is the one that was written. It writes none; train/checkpoint and the Python package do.
package saved
