package train

import (
	"errors"
	"math"
	"testing"

	"pgregory.net/rapid"
)

func TestBatchSize(t *testing.T) {
	const gib = 1 << 30
	adam := Footprint{Parameters: 125_000_000, ParameterBytes: 4, OptimizerBytes: 8, ActivationBytes: 512 << 20, FixedBytes: gib}
	for _, c := range []struct {
		what           string
		model          Footprint
		memory, safety uint64
		want           uint64
		fails          error
	}{
		{"125 M parameters with Adam on 40 GiB", adam, 40 * gib, 80, 58, nil},
		{"all of the memory", adam, 40 * gib, 100, 74, nil},
		{"the model does not fit", adam, 2 * gib, 80, 0, ErrNoBatch},
		{"numbers past 64 bits", Footprint{Parameters: math.MaxUint64, ParameterBytes: 4, ActivationBytes: 1}, 40 * gib, 80, 0, ErrNoBatch},
		{"exactly one sample", Footprint{ActivationBytes: gib}, gib, 100, 1, nil},
	} {
		got, err := c.model.BatchSize(c.memory, c.safety)
		if got != c.want || !errors.Is(err, c.fails) {
			t.Errorf("%s: %d, %v; want %d, %v", c.what, got, err, c.want, c.fails)
		}
	}
	for _, safety := range []uint64{0, 101} {
		if _, err := adam.BatchSize(gib, safety); err == nil {
			t.Errorf("a safety of %d %% was taken", safety)
		}
	}
}

func TestBatchSizeIsTheLargestThatFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := Footprint{
			Parameters:      rapid.Uint64Range(0, 1e9).Draw(t, "parameters"),
			ParameterBytes:  rapid.SampledFrom([]uint64{2, 4}).Draw(t, "bytes"),
			OptimizerBytes:  rapid.SampledFrom([]uint64{0, 4, 8, 12}).Draw(t, "optimizer"),
			ActivationBytes: rapid.Uint64Range(1, 1e9).Draw(t, "activations"),
			FixedBytes:      rapid.Uint64Range(0, 1e9).Draw(t, "fixed"),
		}
		memory := rapid.Uint64Range(0, 1<<38).Draw(t, "memory")
		takes := func(batch uint64) uint64 {
			return f.Parameters*(2*f.ParameterBytes+f.OptimizerBytes) + f.FixedBytes + batch*f.ActivationBytes
		}
		batch, err := f.BatchSize(memory, 80)
		if err == nil && takes(batch) > memory*80/100 {
			t.Fatalf("a batch of %d takes %d of %d bytes", batch, takes(batch), memory)
		}
		if takes(batch+1) <= memory*80/100 {
			t.Fatalf("a batch of %d would fit too", batch+1)
		}
	})
}

// GPT-2 small in half precision, worked out by hand: 12 layers of 1024*768*(34 + 5*12*1024/768) bytes, and the outputs.
func TestActivationsOfATransformer(t *testing.T) {
	gpt2 := Transformer{Layers: 12, Hidden: 768, Heads: 12, Sequence: 1024, Vocabulary: 50257, ElementBytes: 2}
	const outputs = 1024 * 50257 * 6
	fused, recompute, single := gpt2, gpt2, gpt2
	fused.Fused, recompute.Recompute, single.ElementBytes = true, true, 4
	for _, c := range []struct {
		shape Transformer
		want  uint64
	}{
		{gpt2, 12*(34*1024*768+5*12*1024*1024) + outputs},
		{fused, 12*34*1024*768 + outputs},
		{recompute, 12*2*1024*768 + outputs},
		{single, 2*12*(34*1024*768+5*12*1024*1024) + 1024*50257*8},
	} {
		if got, err := c.shape.ActivationBytes(); err != nil || got != c.want {
			t.Errorf("%+v: %d (%v), not %d", c.shape, got, err, c.want)
		}
	}
	for _, wrong := range []Transformer{{}, {Layers: 1, Hidden: 1, Heads: 1, Sequence: 1}, {Layers: 1 << 40, Hidden: 1, Heads: 1, Sequence: 1, ElementBytes: 2}} {
		if got, err := wrong.ActivationBytes(); err == nil {
			t.Errorf("%+v: %d", wrong, got)
		}
	}
}
