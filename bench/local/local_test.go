package main

import (
	"testing"
)

func TestEverySizeIsReducedOftenEnough(t *testing.T) {
	for _, p := range plans() {
		if n := p.rounds * p.iterations; n < 30 {
			t.Errorf("%d bytes are reduced only %d times by each side", p.bytes, n)
		}
		if p.bytes%4 != 0 {
			t.Errorf("%d bytes are no whole number of float32", p.bytes)
		}
	}
}

func TestEveryLineHasItsOwnName(t *testing.T) {
	seen := make(map[string]bool)
	for _, f := range figures() {
		for _, line := range f.Lines {
			if seen[line.What] {
				t.Errorf("two lines are called %q", line.What)
			}
			seen[line.What] = true
		}
	}
}
