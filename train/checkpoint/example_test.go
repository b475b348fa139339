package checkpoint_test

import (
	"fmt"
	"os"

	"ainexus.io/train/checkpoint"
)

func ExampleDir() {
	path, err := os.MkdirTemp("", "ckpt")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(path)

	dir := checkpoint.At(path, checkpoint.Options{Writer: checkpoint.Writer{Job: "j1", Epoch: checkpoint.Epoch{Attempt: 1}}})
	if err := dir.Claim(); err != nil {
		panic(err)
	}
	weights := []float32{0.5, -1}
	if _, err := dir.Save(checkpoint.State{Step: 100, WorldSize: 4, Params: []checkpoint.Tensor{{Name: "w", Data: weights}}}); err != nil {
		panic(err)
	}

	found, _, err := dir.Latest()
	if err != nil {
		panic(err)
	}
	state, err := checkpoint.Load(found)
	if err != nil {
		panic(err)
	}
	fmt.Println(state.Step, state.Params[0].Name, state.Params[0].Data)
	// Output: 100 w [0.5 -1]
}
