package rank

import (
	"io"
	"slices"
	"strings"
	"testing"

	"ainexus.io/train/collective"
)

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

func TestReduceHearsEveryRank(t *testing.T) {
	for _, c := range []struct {
		story string
		lines []string
		want  []float64
		wrong string
	}{
		{"the slowest rank counts", []string{"1000000 5000000", "2000000 3e6"}, []float64{2, 5}, ""},
		{"a rank that stops early", []string{"1 2", "1"}, nil, "rank 1 timed 1 iterations of 2"},
		{"a rank that says something else", []string{"sorry", "1 2"}, nil, `rank 0 said "sorry"`},
		{"a rank that is gone", []string{"1 2"}, nil, "hearing from rank 1: EOF"},
	} {
		in := []*strings.Builder{{}, {}}
		got, err := Reduce(in, func(rank int) (string, error) {
			if rank == len(c.lines) {
				return "", io.EOF
			}
			return c.lines[rank], nil
		}, 4096, 2)
		if !slices.Equal(got, c.want) || (err == nil) != (c.wrong == "") || err != nil && !strings.HasPrefix(err.Error(), c.wrong) {
			t.Errorf("%s: %v, %v", c.story, got, err)
		}
		if in[0].String() != "4096 2\n" || in[1].String() != in[0].String() {
			t.Errorf("%s: asked %q and %q", c.story, in[0], in[1])
		}
	}
}
