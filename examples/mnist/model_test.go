package main

import (
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"io"
	"math"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/train"
)

// The gradients are those that small changes of the parameters show.
func TestGradientsAreDerivatives(t *testing.T) {
	n := newNetwork(3, 6, 5, 4)
	images := make([]float32, 3*6)
	for i := range images {
		images[i] = float32(math.Sin(float64(i)))
	}
	labels := []byte{1, 3, 0}
	for _, p := range n.params() {
		p.Grad = make([]float32, len(p.Data))
	}
	var order []string
	n.backward(images, labels, func(p *train.Param) { order = append(order, p.Name) })
	if len(order) != 4 || order[0] != "layer2.bias" || order[3] != "layer1.weight" {
		t.Errorf("gradients became ready in the order %v", order)
	}
	loss := func() float64 {
		n.forward(images, len(labels))
		sum, _ := n.score(labels, nil)
		return sum / float64(len(labels))
	}
	for _, p := range n.params() {
		for i, got := range p.Grad {
			const h = 1e-3
			old := p.Data[i]
			p.Data[i] = old + h
			up := loss()
			p.Data[i] = old - h
			down := loss()
			p.Data[i] = old
			if want := (up - down) / (2 * h); math.Abs(float64(got)-want) > 2e-3 {
				t.Errorf("%s[%d]: gradient %v, the loss changes by %v", p.Name, i, got, want)
			}
		}
	}
}

// few writes the first images of the real sets to a directory, in their own format: small enough for the race detector.
func few(t *testing.T, training, test int) (dir string) {
	t.Helper()
	dir = t.TempDir()
	for name, size := range map[string]int{
		"train-images-idx3-ubyte.gz": 16 + training*pixels, "train-labels-idx1-ubyte.gz": 8 + training,
		"t10k-images-idx3-ubyte.gz": 16 + test*pixels, "t10k-labels-idx1-ubyte.gz": 8 + test,
	} {
		count := training
		if name[0] == 't' && name[1] == '1' {
			count = test
		}
		if err := cut(filepath.Join(dataDir(), name), filepath.Join(dir, name), size, count); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// cut copies the first size bytes of a compressed file of images or labels, with another count in its header.
func cut(from, to string, size, count int) error {
	in, err := os.Open(from)
	if err != nil {
		return err
	}
	defer in.Close()
	plain, err := gzip.NewReader(in)
	if err != nil {
		return err
	}
	data := make([]byte, size)
	if _, err := io.ReadFull(plain, data); err != nil {
		return err
	}
	binary.BigEndian.PutUint32(data[4:], uint32(count))
	var out bytes.Buffer
	packed := gzip.NewWriter(&out)
	if _, err := packed.Write(data); err != nil {
		return err
	}
	if err := packed.Close(); err != nil {
		return err
	}
	return os.WriteFile(to, out.Bytes(), 0o644)
}

// Four ranks reach the loss of one on the same batches of real images, to 1e-4.
func TestFourRanksReachTheLossOfOne(t *testing.T) {
	data := few(t, 2560, 10)
	losses := map[int]float64{1: lossOf(t, data, 1), 4: lossOf(t, data, 4)}
	if diff := math.Abs(losses[1] - losses[4]); diff > 1e-4 || losses[1] > 1 {
		t.Errorf("the losses are %v", losses)
	}
}

// lossOf trains one pass over 2,560 images and returns the final parameters' loss on them.
func lossOf(t *testing.T, data string, ranks int) float64 {
	t.Helper()
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	s := settings{epochs: 1, batch: 64, rate: 0.05, hidden: 32, data: data, seed: 2}
	result := math.NaN()
	var all sync.WaitGroup
	for rank := range ranks {
		env := train.Env{Rank: rank, WorldSize: ranks, LocalWorldSize: ranks, MasterAddr: "127.0.0.1",
			MasterPort: server.Addr().(*net.TCPAddr).Port, StoreServed: true}
		opts := train.Options{Env: &env, Checkpoints: t.TempDir(), JoinTimeout: 20 * time.Second}
		all.Go(func() {
			err := train.Run(t.Context(), opts, func(tr *train.Trainer) error {
				r := &worker{settings: s, Trainer: tr, out: io.Discard}
				if err := r.prepare(); err != nil {
					return err
				}
				if _, err := r.epoch(0, 0); err != nil || rank != 0 {
					return err
				}
				sum, count := 0.0, r.training.Count()
				for i := range count {
					r.input.fill(r.training, []int{i})
					r.net.forward(r.input.images, 1)
					one, _ := r.net.score(r.input.labels, nil)
					sum += one
				}
				result = sum / float64(count)
				return nil
			})
			if err != nil {
				t.Errorf("rank %d of %d: %v", rank, ranks, err)
			}
		})
	}
	all.Wait()
	return result
}

// Images that are not there are told with what to do about it.
func TestMissingImages(t *testing.T) {
	err := runAs(t.Context(), settings{batch: 1, data: t.TempDir(), checkpoints: t.TempDir()}, train.Env{WorldSize: 1}, os.Stdout)
	if err == nil || !strings.Contains(err.Error(), "-data says where they are") {
		t.Errorf("the error is %v", err)
	}
}
