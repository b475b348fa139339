// Package sampler decides which samples of a data set each rank sees, and in which order.
//
// A [Sampler] cuts the data set as PyTorch's DistributedSampler does: the order of an epoch (shuffled by seed and epoch,
// or sequential) is made divisible by the world size, by repeating its beginning or by dropping its end, and dealt
// out like cards: rank r gets places r, r+n, r+2n, ... So after k samples on every rank the job as a whole has used
// exactly the first k*n places of the order, whatever n is, which is what lets [Sampler.From] go on in the middle of an
// epoch at another world size.
//
// The shuffled order is this package's own (PCG and Fisher-Yates, written here so that no release changes it), not that
// of torch.randperm. The package is pure: it holds no random state, and the same arguments give the same indices.
package sampler
