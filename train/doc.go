// Package train is for Go programs that train on several processes at once. A launcher (nexus, torchrun, mpirun, srun, an
// indexed Kubernetes Job) starts the same program once per rank; [Run] finds out which rank this is, connects the
// ranks and hands the script a [Trainer]. Started by hand, without any configuration, the same program runs alone.
//
//	err := train.Run(ctx, train.Options{Checkpoints: "ckpt"}, func(t *train.Trainer) error {
//		model := newModel()
//		sgd := train.NewSGD(model.Params, 0.1, 0.9)
//		ddp, err := t.Wrap(model.Params, sgd)  // all ranks get rank 0's parameters
//		...
//		at, err := t.Resume()                  // the latest checkpoint, or the zero Position
//		...
//		for batch := range batches {
//			loss := model.Backward(batch, ddp.MarkReady) // gradients travel while the rest is computed
//			if err := ddp.Sync(); err != nil { ... }     // all ranks hold the mean gradient
//			sgd.Step()
//			stop, err := t.Step(train.Report{Loss: loss})
//			...
//			if stop { return t.SaveAndAck() }            // all ranks at the same step
//		}
//	})
//
// # What holds
//
// Same seed, same world size on as many hosts with as many ranks each, same input: same bits, on every rank and in every run ([Trainer.VerifyReplicas] checks the
// former). When a rank dies, fails or panics, whatever collective the others are in ends within two seconds with
// an error that names it. SIGTERM reaches the ranks at different times; the ranks agree on one step at which
// [Trainer.Step] tells all of them to stop, so that all save the same step. Checkpoints are valid or not there, fenced
// against workers that come back from the dead, and fit any world size; see package checkpoint. [Trainer.SaveInBackground] writes one while training goes on.
//
// # What it leaves to others
//
// The mathematics of the model: a [Param] is a name and two rows of float32. Starting, restarting and killing ranks:
// the launcher. Exit codes: the script's main.
package train
