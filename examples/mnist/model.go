package main

import (
	"fmt"
	"math"
	"math/rand/v2"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas32"

	"ainexus.io/train"
)

// network is a perceptron: fully connected layers with ReLU between them and softmax at the end.
type network struct {
	layers []*layer
	// of the last forward pass, for rows samples
	rows   int
	logits []float32
}

// layer computes out = in*weight + bias for every row.
type layer struct {
	in, out      int
	weight, bias *train.Param // in*out values, row by row, and out values
	input        []float32    // of the last forward pass: rows*in
	output       []float32    // rows*out, after ReLU in all layers but the last
	delta        []float32    // rows*out: the loss's derivative by output, before ReLU
}

// newNetwork returns a network with the given widths, its weights drawn after He from the seed.
func newNetwork(seed uint64, widths ...int) *network {
	random := rand.New(rand.NewPCG(seed, 0))
	n := &network{}
	for i := 1; i < len(widths); i++ {
		l := &layer{in: widths[i-1], out: widths[i]}
		l.weight = &train.Param{Name: fmt.Sprintf("layer%d.weight", i), Data: make([]float32, l.in*l.out)}
		l.bias = &train.Param{Name: fmt.Sprintf("layer%d.bias", i), Data: make([]float32, l.out)}
		spread := math.Sqrt(2 / float64(l.in))
		for j := range l.weight.Data {
			l.weight.Data[j] = float32(random.NormFloat64() * spread)
		}
		n.layers = append(n.layers, l)
	}
	return n
}

// params returns the parameters in the order of the layers.
func (n *network) params() []*train.Param {
	var list []*train.Param
	for _, l := range n.layers {
		list = append(list, l.weight, l.bias)
	}
	return list
}

func matrix(rows, cols int, data []float32) blas32.General {
	return blas32.General{Rows: rows, Cols: cols, Stride: cols, Data: data}
}

// resize returns a slice of n values, the old one if it is large enough.
func resize(s []float32, n int) []float32 {
	if cap(s) < n {
		return make([]float32, n)
	}
	return s[:n]
}

// forward computes the logits of rows images, each 784 values.
func (n *network) forward(images []float32, rows int) {
	n.rows = rows
	in := images
	for i, l := range n.layers {
		l.input = in
		l.output = resize(l.output, rows*l.out)
		for r := range rows {
			copy(l.output[r*l.out:(r+1)*l.out], l.bias.Data)
		}
		blas32.Gemm(blas.NoTrans, blas.NoTrans, 1, matrix(rows, l.in, in), matrix(l.in, l.out, l.weight.Data),
			1, matrix(rows, l.out, l.output))
		if i < len(n.layers)-1 {
			for j, v := range l.output {
				l.output[j] = max(v, 0)
			}
		}
		in = l.output
	}
	n.logits = in
}

// score returns the summed cross entropy of the last forward pass and how many images it got right. With a delta it
// stores the derivative of the mean by the logits there.
func (n *network) score(labels []byte, delta []float32) (loss float64, right int) {
	classes := len(n.logits) / n.rows
	for r := range n.rows {
		row := n.logits[r*classes : (r+1)*classes]
		top := 0
		for j, v := range row {
			if v > row[top] {
				top = j
			}
		}
		if top == int(labels[r]) {
			right++
		}
		sum := 0.0
		for _, v := range row {
			sum += math.Exp(float64(v - row[top]))
		}
		loss += math.Log(sum) - float64(row[labels[r]]-row[top])
		if delta == nil {
			continue
		}
		for j, v := range row {
			delta[r*classes+j] = float32(math.Exp(float64(v-row[top])) / sum / float64(n.rows))
		}
		delta[r*classes+int(labels[r])] -= 1 / float32(n.rows)
	}
	return loss, right
}

// backward trains on one batch: it fills the gradients of the mean cross entropy, from the last layer to the first, and
// says of each when it is complete. It returns the summed loss and how many images were right.
func (n *network) backward(images []float32, labels []byte, ready func(*train.Param)) (loss float64, right int) {
	n.forward(images, len(labels))
	last := n.layers[len(n.layers)-1]
	last.delta = resize(last.delta, n.rows*last.out)
	loss, right = n.score(labels, last.delta)
	for i := len(n.layers) - 1; i >= 0; i-- {
		l := n.layers[i]
		blas32.Gemm(blas.Trans, blas.NoTrans, 1, matrix(n.rows, l.in, l.input), matrix(n.rows, l.out, l.delta),
			0, matrix(l.in, l.out, l.weight.Grad))
		clear(l.bias.Grad)
		for r := range n.rows {
			for j, v := range l.delta[r*l.out : (r+1)*l.out] {
				l.bias.Grad[j] += v
			}
		}
		ready(l.bias)
		ready(l.weight)
		if i > 0 {
			n.through(l, n.layers[i-1])
		}
	}
	return loss, right
}

// through carries the derivative from a layer back to the one below, through that one's ReLU.
func (n *network) through(l, below *layer) {
	below.delta = resize(below.delta, n.rows*l.in)
	blas32.Gemm(blas.NoTrans, blas.Trans, 1, matrix(n.rows, l.out, l.delta), matrix(l.in, l.out, l.weight.Data),
		0, matrix(n.rows, l.in, below.delta))
	for j, v := range below.output {
		if v <= 0 {
			below.delta[j] = 0
		}
	}
}
