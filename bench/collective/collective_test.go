package main

import (
	"io"
	"strings"
	"testing"

	"ainexus.io/bench/program"
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

func TestEveryLineHasItsOwnNameAndTheTablesDemand(t *testing.T) {
	seen := make(map[string]bool)
	for _, world := range []int{2, 4} {
		for _, line := range lines(world) {
			if seen[line.What] {
				t.Errorf("two lines are called %q", line.What)
			}
			seen[line.What] = true
			// MPI is the goal, not a demand: the row of a peer that is twice as fast says so.
			if fine := line.Against(2, 1).OK; fine != strings.Contains(line.What, "OpenMPI") {
				t.Errorf("%q is fine with twice its peer's time: %v", line.What, fine)
			}
		}
	}
}

// A peer that is not there leaves nothing behind and says why.
func TestAPeerThatDoesNotStart(t *testing.T) {
	b := &program.Bench{Quick: true, Log: io.Discard}
	if err := b.Open(); err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	absent := side{name: "absent", command: gloo("/nonexistent/python")}
	if r, err := start(t.Context(), b, absent, 2); err == nil || r != nil {
		t.Errorf("it started: %v", r)
	}
}
