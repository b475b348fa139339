package train

import "errors"

// Transformer is the shape of a stack of usual transformer layers, whose MLP is four times as wide as the model.
type Transformer struct {
	Layers, Hidden, Heads, Sequence uint64
	Vocabulary                      uint64 // of the output; 0: it has none
	ElementBytes                    uint64 // of an activation: 2 for half precision, 4 for single
	Fused                           bool   // attention that keeps no Sequence x Sequence matrix (FlashAttention)
	Recompute                       bool   // activation checkpointing: only each layer's input is kept
}

// ActivationBytes is about what the forward pass keeps of one sample for the backward pass: Sequence*Hidden*(34 +
// 5*Heads*Sequence/Hidden) for each layer in half precision (Korthikanti et al., 2022, equation 2), in other precisions in
// proportion, and the outputs twice, once in single precision for the loss. What a framework keeps beside that is not in it.
func (t Transformer) ActivationBytes() (uint64, error) {
	for _, n := range []uint64{t.Layers, t.Hidden, t.Heads, t.Sequence, t.ElementBytes} {
		if n == 0 {
			return 0, errors.New("a transformer needs layers, a width, heads, a sequence length and a precision")
		}
	}
	for _, n := range []uint64{t.Layers, t.Hidden, t.Heads, t.Sequence, t.Vocabulary, t.ElementBytes} {
		if n > 1<<24 {
			return 0, errors.New("no transformer is as large as that")
		}
	}
	layer := 34 * t.Sequence * t.Hidden
	if !t.Fused {
		layer += 5 * t.Heads * t.Sequence * t.Sequence
	}
	if t.Recompute {
		layer = 2 * t.Sequence * t.Hidden
	}
	return t.Layers*layer/2*t.ElementBytes + t.Sequence*t.Vocabulary*(t.ElementBytes+4), nil
}
