package nccl_test

import (
	"context"

	"ainexus.io/train"
	"ainexus.io/train/nccl"
)

// Where there are GPUs and NCCL, gradients go over them; elsewhere the same program does without.
func ExampleFind() {
	script := func(t *train.Trainer) error { return t.Barrier(0) }
	_ = train.Run(context.Background(), train.Options{Carrier: nccl.Find}, script)
}
