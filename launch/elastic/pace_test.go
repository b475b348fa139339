package elastic

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// recording is the own times of a healthy run of real PyTorch, by step and rank; testdata/record.py made it.
func recording(t *testing.T, work string) [][]time.Duration {
	t.Helper()
	data, err := os.ReadFile(filepath.Join("testdata", work+".steps"))
	if err != nil {
		t.Fatal(err)
	}
	var steps [][]time.Duration
	for line := range strings.Lines(string(data)) {
		var step []time.Duration
		for field := range strings.FieldsSeq(line) {
			n, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			step = append(step, time.Duration(n)*time.Microsecond)
		}
		steps = append(steps, step)
	}
	return steps[1:] // where the first one began is not known
}

// played is a run in virtual time: the ranks' own times of each step, and what delays some of them.
type played struct {
	ranks  int
	length time.Duration
	own    func(step, rank int) time.Duration
}

// suspects plays the run as the parts of it do: a step lasts as long as its slowest rank works, a rank reports five times a
// second the median of the steps since its last report, the agent looks every second. It returns who was ever suspect, and who
// is at the end.
func (p played) suspects() (ever, last []int) {
	const every, look = 200 * time.Millisecond, time.Second
	var pace Pace
	told := make([]Worked, p.ranks)
	since := make([][]time.Duration, p.ranks)
	written := make([]time.Duration, p.ranks)
	now, next := time.Duration(0), look
	for step := 0; now < p.length; step++ {
		slowest := time.Duration(0)
		for rank := range p.ranks {
			own := p.own(step, rank)
			slowest = max(slowest, own)
			since[rank] = append(since[rank], own)
		}
		now += slowest + time.Millisecond
		for rank := range p.ranks {
			if now-written[rank] >= every {
				told[rank] = Worked{Rank: rank, Step: int64(step + 1), Own: median(since[rank])}
				since[rank], written[rank] = nil, now
			}
		}
		for ; next <= now; next += look {
			pace.Look(told)
			for _, s := range pace.Suspects() {
				if !slices.Contains(ever, s.Rank) {
					ever = append(ever, s.Rank)
				}
			}
		}
	}
	for _, s := range pace.Suspects() {
		last = append(last, s.Rank)
	}
	return ever, last
}

func median(list []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(list))
	return (sorted[(len(sorted)-1)/2] + sorted[len(sorted)/2]) / 2
}

var works = []string{"small", "loader", "ragged", "saving"}

// healthy makes a run from a recording: of 2 to 16 ranks, each of which goes through the recorded times of one rank from a
// place of its own, in steps of a tenth of the recorded length or of up to ten seconds more, with what happens to healthy runs.
func healthy(random *rand.Rand, recorded [][]time.Duration) (p played, about string) {
	p.ranks = []int{2, 2, 3, 4, 4, 8, 16}[random.IntN(7)]
	scale, more := 1.0, time.Duration(0)
	switch random.IntN(3) {
	case 0:
		scale = 0.1
	case 1:
		more = time.Duration(math.Pow(10, random.Float64()*4-3) * float64(time.Second))
	}
	p.length = 5*time.Minute + 1000*more
	from, column := make([]int, p.ranks), make([]int, p.ranks)
	for rank := range p.ranks {
		from[rank], column[rank] = random.IntN(len(recorded)), random.IntN(len(recorded[0]))
	}
	collects := random.Float64() < 0.5  // garbage, each rank when it likes
	evaluates := random.Float64() < 0.5 // rank 0, now and then
	slows := random.Float64() < 0.5     // the whole node, for a minute
	warms := random.Float64() < 0.5     // each rank compiles for its first steps
	period := 20 + random.IntN(200)
	slowFrom := random.IntN(3000)
	noise := rand.New(rand.NewPCG(random.Uint64(), 1))
	p.own = func(step, rank int) time.Duration {
		d := float64(recorded[(from[rank]+step)%len(recorded)][column[rank]])*scale + float64(more)*(1+0.05*noise.NormFloat64())
		if collects && noise.IntN(50) == 0 {
			d += 0.1 * float64(time.Second)
		}
		if evaluates && rank == 0 && step%period == period-1 {
			d *= 20
		}
		if slows && step >= slowFrom && step < slowFrom+1000 {
			d *= 2.5
		}
		if warms && step < 5 {
			d *= 1 + 30*noise.Float64()
		}
		return time.Duration(d)
	}
	return p, fmt.Sprintf("%d ranks, scale %.1f and %s more, collects %t, evaluates %t every %d, slows %t, warms %t", p.ranks, scale, more, collects, evaluates, period, slows, warms)
}

func TestNoHealthyRunOf200IsBlamed(t *testing.T) {
	random := rand.New(rand.NewPCG(*paceSeed, 200))
	for run := range *paceRuns {
		work := works[run%len(works)]
		p, about := healthy(random, recording(t, work))
		if ever, _ := p.suspects(); ever != nil {
			t.Errorf("run %d (%s, %s): ranks %v were suspect", run, work, about, ever)
		}
	}
}

// A rank that is slow is found, and it alone: from twice the others' time on; where batches differ in size by chance, and of three ranks, whose
// deviation one of them alone decides, from four times. (The recordings are of a machine with eight other programs per processor.)
func TestASlowRankIsFound(t *testing.T) {
	random := rand.New(rand.NewPCG(*paceSeed, 7))
	for run := range *paceRuns {
		work := works[run%len(works)]
		p, about := healthy(random, recording(t, work))
		slow, factor := random.IntN(p.ranks), []float64{2, 3, 5}[random.IntN(3)]
		if work == "ragged" || p.ranks == 3 {
			factor = max(4, factor)
		}
		well := p.own
		p.own = func(step, rank int) time.Duration {
			d := well(step, rank)
			if rank == slow {
				return time.Duration(factor*float64(d)) + 5*time.Millisecond
			}
			return d
		}
		ever, last := p.suspects()
		if !slices.Equal(ever, []int{slow}) || !slices.Equal(last, ever) {
			t.Errorf("run %d (%s, %s): rank %d takes %v times as long; ever suspect %v, at the end %v", run, work, about, slow, factor, ever, last)
		}
	}
}

// A suspect that is well again is cleared, also where all have become slower meanwhile. Who does not tell is neither judged nor waited for.
func TestASuspectIsCleared(t *testing.T) {
	recorded := recording(t, "small")
	p := played{ranks: 4, length: 4 * time.Minute, own: func(step, rank int) time.Duration {
		d := recorded[step%len(recorded)][rank] + 20*time.Millisecond
		switch {
		case rank == 3:
			return 0
		case step < 1500 && rank == 1:
			return 2 * d
		case step >= 1500:
			return 2 * d
		}
		return d
	}}
	if ever, last := p.suspects(); !slices.Equal(ever, []int{1}) || last != nil {
		t.Errorf("ever suspect: %v; at the end: %v", ever, last)
	}
}
