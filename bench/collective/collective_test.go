package main

import (
	"io"
	"strings"
	"testing"

	"ainexus.io/train/collective"
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

func TestARankAnswersWithOneTimePerIteration(t *testing.T) {
	group, err := collective.Join(t.Context(), collective.Config{Size: 1})
	if err != nil {
		t.Fatal(err)
	}
	defer group.Close()
	var out strings.Builder
	if err := obey(group, strings.NewReader("4096 3\n64 1\n0 0\n64 1\n"), &out); err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(out.String(), "\n")
	if len(lines) != 4 || lines[0] != "ready" || len(strings.Fields(lines[1])) != 3 || len(strings.Fields(lines[2])) != 1 {
		t.Errorf("answered %q", out.String())
	}
	if err := obey(group, strings.NewReader("many\n"), io.Discard); err == nil {
		t.Error("obeyed an order that is none")
	}
}

// A peer that is not there leaves nothing behind and says why.
func TestAPeerThatDoesNotStart(t *testing.T) {
	b, err := newBench(true, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	defer b.close()
	absent := side{name: "absent", command: gloo("/nonexistent/python")}
	if r, err := start(t.Context(), b, absent, 2); err == nil || r != nil {
		t.Errorf("it started: %v", r)
	}
}
