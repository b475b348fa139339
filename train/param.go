package train

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math"

	"ainexus.io/train/checkpoint"
)

// Param is a named row of numbers that training changes, and its gradient.
type Param struct {
	Name string
	Data []float32
	// Grad is as long as Data. Left nil, [Trainer.Wrap] makes it, in the place where it is sent from: that saves copying.
	Grad []float32
}

// Optimizer remembers something from step to step that belongs into a checkpoint.
type Optimizer interface {
	// State returns the optimizer's rows. They are the optimizer's own: filling them restores it.
	State() []checkpoint.Tensor
}

// Digest returns the SHA-256 of parameters, in hex: of names, lengths and values, bit by bit.
func Digest(params []*Param) string {
	sum := sha256.New()
	buf := make([]byte, 0, 64<<10)
	for _, p := range params {
		buf = binary.LittleEndian.AppendUint64(buf[:0], uint64(len(p.Name)))
		buf = append(buf, p.Name...)
		buf = binary.LittleEndian.AppendUint64(buf, uint64(len(p.Data)))
		for _, v := range p.Data {
			if len(buf)+4 > cap(buf) {
				sum.Write(buf)
				buf = buf[:0]
			}
			buf = binary.LittleEndian.AppendUint32(buf, math.Float32bits(v))
		}
		sum.Write(buf)
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// checkParams refuses what could not be told apart or would not fit.
func checkParams(params []*Param) error {
	names := make(map[string]bool, len(params))
	for i, p := range params {
		switch {
		case p == nil:
			return fmt.Errorf("parameter %d is nil", i)
		case names[p.Name]:
			return fmt.Errorf("two parameters are called %q", p.Name)
		case p.Grad != nil && len(p.Grad) != len(p.Data):
			return fmt.Errorf("parameter %q has %d values and %d gradients", p.Name, len(p.Data), len(p.Grad))
		}
		names[p.Name] = true
	}
	return nil
}

// SGD is stochastic gradient descent with momentum, as PyTorch's: v = m*v + g, p = p - lr*v.
type SGD struct {
	Rate     float32 // learning rate; may be changed between steps
	Momentum float32
	params   []*Param
	velocity [][]float32
}

// NewSGD returns an optimizer for params.
func NewSGD(params []*Param, rate, momentum float32) *SGD {
	s := &SGD{Rate: rate, Momentum: momentum, params: params}
	for _, p := range params {
		s.velocity = append(s.velocity, make([]float32, len(p.Data)))
	}
	return s
}

// Step moves the parameters against their gradients.
func (s *SGD) Step() {
	for i, p := range s.params {
		velocity, data, grad := s.velocity[i], p.Data, p.Grad
		for j, g := range grad {
			// The conversions keep the compiler from fusing multiply and add, which would give other bits
			// on other processors.
			velocity[j] = float32(s.Momentum*velocity[j]) + g
			data[j] -= float32(s.Rate * velocity[j])
		}
	}
}

// State returns the velocities.
func (s *SGD) State() []checkpoint.Tensor {
	list := make([]checkpoint.Tensor, len(s.params))
	for i, p := range s.params {
		list[i] = checkpoint.Tensor{Name: "velocity/" + p.Name, Data: s.velocity[i]}
	}
	return list
}
