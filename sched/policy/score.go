package policy

import (
	"fmt"
	"slices"

	"ainexus.io/nexus"
)

// Site is what a [Scorer] sees of a node: what is free on it and what it has.
type Site struct {
	Name                string
	CPU, CPUTotal       nexus.CPU
	Memory, MemoryTotal nexus.MiB
	Model               int      // the interned model of the GPUs, 1..63; 0 for none
	GPUs                []Device // in order of index
}

// Device is one GPU of a [Site]. Free equals Total where nobody has any part of it; a sick device has
// neither.
type Device struct{ Free, Total nexus.MiB }

// Request is what a job asks of one node.
type Request struct {
	CPU    nexus.CPU
	Memory nexus.MiB
	GPUs   int       // whole devices
	Share  nexus.MiB // of one device; 0 with GPUs > 0 and for none
	Models uint64    // bit i: model i will do; 0: any
}

// Demand is a [Request] with how often it was seen or is expected. Counts are of jobs: a request that was
// seen once is believed less than one that was seen a hundred times.
type Demand struct {
	Request
	Count int64
}

// Supply is a kind of node with how many there are.
type Supply struct {
	CPU    nexus.CPU
	Memory nexus.MiB
	Model  int       // as in [Site]
	GPUs   int       // devices of one node
	Device nexus.MiB // memory of one device
	Count  int64
}

// Scorer ranks the nodes that fit a request; the caller has checked the fit. It is a value: the same
// arguments give the same answer for as long as it lives.
type Scorer interface {
	// Score is higher for a better node; among equals the smallest name is meant to win. device is the
	// index in s.GPUs that a share goes to, -1 for other requests: they take the first idle devices.
	Score(s *Site, r *Request) (score int64, device int)
}

// The names of the scorers. Ours is the default.
const (
	ByWorth      = "worth"
	ByRandom     = "random"
	ByBestFit    = "bestfit"
	ByDotProd    = "dotprod"
	ByPacking    = "packing"
	ByClustering = "clustering"
	ByFGD        = "fgd"
)

// Scorers lists the names that [NewScorer] knows, the default first.
func Scorers() []string {
	return []string{ByWorth, ByRandom, ByBestFit, ByDotProd, ByPacking, ByClustering, ByFGD}
}

// Adapts reports whether the scorer of that name looks at the mix: it is worth making anew when the mix
// has changed.
func Adapts(name string) bool { return slices.Contains([]string{"", ByWorth, ByFGD}, name) }

// NewScorer makes the scorer of that name, the default for "". The seed is for [Random].
func NewScorer(name string, seed int64, mix []Demand, supply []Supply) (Scorer, error) {
	switch name {
	case "", ByWorth:
		return NewWorth(mix, supply), nil
	case ByRandom:
		return Random{seed}, nil
	case ByBestFit:
		return BestFit{}, nil
	case ByDotProd:
		return DotProd{}, nil
	case ByPacking:
		return Packing{}, nil
	case ByClustering:
		return Clustering{}, nil
	case ByFGD:
		return NewFGD(mix, supply), nil
	}
	return nil, fmt.Errorf("%q is no placement score; known: %v", name, Scorers())
}
