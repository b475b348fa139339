package train

import (
	"errors"
	"fmt"
	"math/bits"
)

// Footprint is what training a model takes of one device's memory. It gives the first guess at a batch size; what really
// fits depends on the allocator and on temporary buffers, which only a run can tell.
type Footprint struct {
	Parameters      uint64 // how many numbers the model has
	ParameterBytes  uint64 // each, in the precision of the weights and gradients: 4, or 2 for half precision
	OptimizerBytes  uint64 // each, of optimizer state: 0 plain SGD, 4 momentum, 8 Adam, 12 Adam with float32 masters
	ActivationBytes uint64 // per sample: what the forward pass keeps for the backward pass, inputs included
	FixedBytes      uint64 // whatever the batch: the driver's context, workspaces, gradient buckets
}

// ErrNoBatch says that not even one sample fits.
var ErrNoBatch = errors.New("not even a batch of one sample fits")

// BatchSize is the largest number of samples that fits into safety percent (1..100) of memory, in bytes. Weights and
// gradients count once each. It fails with [ErrNoBatch] where the model alone, or one sample more, is too much.
func (f Footprint) BatchSize(memory, safety uint64) (uint64, error) {
	if safety < 1 || safety > 100 {
		return 0, fmt.Errorf("a safety of %d %% is not within 1..100", safety)
	}
	if f.ActivationBytes == 0 {
		return 0, errors.New("the activations of a sample must take some bytes")
	}
	usable := memory/100*safety + memory%100*safety/100
	over, model := bits.Mul64(f.Parameters, 2*f.ParameterBytes+f.OptimizerBytes)
	fixed, carry := bits.Add64(model, f.FixedBytes, 0)
	if over != 0 || carry != 0 || fixed > usable || usable-fixed < f.ActivationBytes {
		return 0, fmt.Errorf("%w: the model and its optimizer take %d of %d usable bytes, a sample %d", ErrNoBatch, fixed, usable, f.ActivationBytes)
	}
	return (usable - fixed) / f.ActivationBytes, nil
}
