package nccl

import (
	"ainexus.io/train/collective"
)

// Options say where the libraries are. The zero value is right on most machines.
type Options struct {
	NCCL string // path of the library; default libnccl.so.2, as the loader finds it
	CUDA string // path of the driver's library; default libcuda.so.1
}

// Find makes a carrier for this rank, which is number localRank of localSize ranks on its machine; 0 ranks: not known. Its GPU
// is the first of its part of those that CUDA shows. [collective.Absent] says that this machine has none, any other error
// that it has and they cannot be used.
func Find(localRank, localSize int) (collective.Carrier, error) {
	return Options{}.Find(localRank, localSize)
}
