package cli

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/gpu"
	"ainexus.io/nexus"
	"ainexus.io/train"
)

// batchFlags are what a model is, in words.
type batchFlags struct {
	params, precision, optimizer, activations, memory, fixed string
	safety                                                   int
	shape                                                    train.Transformer
}

// batchGuess is the answer.
type batchGuess struct {
	BatchSize       uint64    `json:"batch_size"`
	Memory          nexus.MiB `json:"memory"` // of the device
	Safety          int       `json:"safety"` // percent of it that may be used
	ModelBytes      uint64    `json:"model_bytes"`
	ActivationBytes uint64    `json:"activation_bytes"` // per sample
	FixedBytes      uint64    `json:"fixed_bytes"`
}

func (p *program) batchSizeCommand() *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use: "batch-size", Short: "Guess the largest batch that fits into a GPU", Args: noArgs,
		Long: "Guesses the largest batch per GPU from the size of the model, its precision, its optimizer and what a sample's\n" +
			"activations take. It is arithmetic, a place to begin: ainexus.find_batch_size measures on the device itself.\n\n" +
			"  nexus batch-size --params 124M --layers 12 --hidden 768 --heads 12 --sequence 1024 --vocabulary 50257 --memory 80GiB",
		RunE: func(cmd *cobra.Command, _ []string) error {
			foot, err := f.footprint(cmd)
			if err != nil {
				return err
			}
			memory, err := f.device(p, cmd)
			if err != nil {
				return err
			}
			size, err := foot.BatchSize(uint64(memory)<<20, uint64(f.safety))
			if err != nil {
				return &nexus.Error{Code: nexus.CodeUnfit, Message: err.Error(), Hint: "half precision, a smaller model, --recompute, or more memory"}
			}
			guess := batchGuess{size, memory, f.safety, foot.Parameters * (2*foot.ParameterBytes + foot.OptimizerBytes), foot.ActivationBytes, foot.FixedBytes}
			if ok, err := p.document(guess); ok {
				return err
			}
			_, err = fmt.Fprintf(p.out, "%d samples per GPU, by arithmetic: of %s, %d %% may be used; weights, gradients and optimizer take %s, a sample %s, all else %s\n"+
				"measure it: ainexus.find_batch_size(model, input_shape), docs/python.md\n",
				size, memory, f.safety, bytesText(int64(guess.ModelBytes)), bytesText(int64(foot.ActivationBytes)), bytesText(int64(foot.FixedBytes)))
			return err
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&f.params, "params", "", "how many parameters the model has: 124M, 7B")
	flags.StringVar(&f.precision, "precision", "mixed", "fp32; mixed: single-precision weights, half-precision activations; half: all of it")
	flags.StringVar(&f.optimizer, "optimizer", "adam", "sgd, momentum or adam (AdamW is the same)")
	flags.StringVar(&f.activations, "activations", "", "what the forward pass keeps of a sample: 60MiB; or say the shape of a transformer:")
	flags.Uint64Var(&f.shape.Layers, "layers", 0, "layers of the transformer")
	flags.Uint64Var(&f.shape.Hidden, "hidden", 0, "its width")
	flags.Uint64Var(&f.shape.Heads, "heads", 0, "its attention heads")
	flags.Uint64Var(&f.shape.Sequence, "sequence", 0, "tokens of a sample")
	flags.Uint64Var(&f.shape.Vocabulary, "vocabulary", 0, "size of the output's vocabulary")
	flags.BoolVar(&f.shape.Fused, "flash", false, "attention keeps no matrix of all pairs of tokens")
	flags.BoolVar(&f.shape.Recompute, "recompute", false, "activation checkpointing: only each layer's input is kept")
	flags.StringVar(&f.memory, "memory", "", "of the GPU: 80GiB (default: the smallest GPU of this machine)")
	flags.StringVar(&f.fixed, "fixed", "1GiB", "what is taken whatever the batch: driver context, workspaces, buckets")
	flags.IntVar(&f.safety, "safety", 80, "percent of the memory that may be used")
	p.outputFlag(cmd, "json", "yaml")
	return cmd
}

func (f batchFlags) footprint(cmd *cobra.Command) (foot train.Footprint, err error) {
	if f.safety < 1 || f.safety > 100 {
		return foot, usage(cmd, "a safety of %d %% is not within 1..100", f.safety)
	}
	if foot.Parameters, err = countOf(f.params); err != nil {
		return foot, usage(cmd, "--params: %s", err)
	}
	states, known := map[string]uint64{"sgd": 0, "momentum": 1, "adam": 2, "adamw": 2}[f.optimizer]
	if !known {
		return foot, usage(cmd, "%q is no optimizer that is known here: sgd, momentum or adam", f.optimizer)
	}
	switch f.precision {
	case "fp32":
		foot.ParameterBytes, f.shape.ElementBytes = 4, 4
	case "mixed":
		foot.ParameterBytes, f.shape.ElementBytes = 4, 2
	case "half":
		foot.ParameterBytes, f.shape.ElementBytes = 2, 2
	default:
		return foot, usage(cmd, "%q is no precision: fp32, mixed or half", f.precision)
	}
	foot.OptimizerBytes = states * foot.ParameterBytes
	fixed, err := nexus.ParseMiB(f.fixed)
	if err != nil {
		return foot, usage(cmd, "--fixed: %s", err)
	}
	foot.FixedBytes = uint64(fixed) << 20
	if f.activations != "" {
		size, err := nexus.ParseMiB(f.activations)
		if err != nil {
			return foot, usage(cmd, "--activations: %s", err)
		}
		foot.ActivationBytes = uint64(size) << 20
		return foot, nil
	}
	if foot.ActivationBytes, err = f.shape.ActivationBytes(); err != nil {
		return foot, usage(cmd, "say --activations, or --layers, --hidden, --heads and --sequence: %s", err)
	}
	return foot, nil
}

// device is the memory that was said, or that of this machine's smallest GPU.
func (f batchFlags) device(p *program, cmd *cobra.Command) (nexus.MiB, error) {
	if f.memory != "" {
		memory, err := nexus.ParseMiB(f.memory)
		if err != nil {
			return 0, usage(cmd, "--memory: %s", err)
		}
		return memory, nil
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), 10*time.Second)
	defer cancel()
	least, err := p.smallestGPU(ctx)
	if err != nil || least == 0 {
		return 0, usage(cmd, "there is no GPU here: say --memory, 80GiB for example")
	}
	return least, nil
}

// countOf reads "124M", "7B", "1.5G" or a plain number.
func countOf(text string) (uint64, error) {
	number, scale := text, 1.0
	if at := len(text) - 1; at > 0 {
		if times, ok := map[byte]float64{'k': 1e3, 'K': 1e3, 'M': 1e6, 'B': 1e9, 'G': 1e9, 'T': 1e12}[text[at]]; ok {
			number, scale = text[:at], times
		}
	}
	n, err := strconv.ParseFloat(number, 64)
	if err != nil || !(n > 0) || n*scale > 1e15 {
		return 0, fmt.Errorf("%q is not a number such as 124M or 7B", text)
	}
	return uint64(n * scale), nil
}

// smallestGPU is the memory of this machine's smallest GPU that is not kept by its driver; 0: there is none.
func (p *program) smallestGPU(ctx context.Context) (least nexus.MiB, err error) {
	sample, err := gpu.Read(ctx, gpu.Options{Library: p.getenv("NVML_LIBRARY"), Child: ownArgv(verbSampler)})
	if err != nil {
		return 0, err
	}
	for _, d := range sample.Devices {
		if memory := nexus.MiB(d.MemoryMiB - d.ReservedMiB); memory > 0 && (least == 0 || memory < least) {
			least = memory
		}
	}
	return least, nil
}
