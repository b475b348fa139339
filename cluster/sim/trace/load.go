package trace

import (
	"cmp"
	"fmt"
	"math"
	"math/rand"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Load is made-up work: jobs that arrive independently of one another, whose sizes are drawn from a mix and whose
// durations are log-normal, many short ones and a few very long ones, as in the public traces.
type Load struct {
	Rate   float64       // jobs per hour
	For    time.Duration // how long they keep coming
	Start  time.Time
	Mix    []Size
	Median time.Duration // of the durations. 0 means 10 minutes
	Spread float64       // standard deviation of a duration's natural logarithm. 0 means 2
	Queues int           // how many queues they spread over. 0 means 1
	Seed   int64
}

// Size is a number of GPUs and how often it is asked for, against the others.
type Size struct {
	GPUs   int
	Weight float64
}

// DefaultMix is roughly what the Philly trace asks for.
func DefaultMix() []Size { return []Size{{1, 70}, {2, 8}, {4, 10}, {8, 9}, {16, 3}} }

// ParseMix reads "1:70,2:10,8:20".
func ParseMix(text string) ([]Size, error) {
	var mix []Size
	for _, item := range strings.Split(text, ",") {
		size, weight, ok := strings.Cut(strings.TrimSpace(item), ":")
		gpus, err := count("number of GPUs", size)
		w, weightErr := strconv.ParseFloat(weight, 64)
		if !ok || err != nil || weightErr != nil || !(w > 0 && w <= 1e9) {
			return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%s is no size with a weight", quoted(item)),
				Hint: "a mix such as 1:70,2:10,8:20 has GPUs and how often they are asked for"}
		}
		mix = append(mix, Size{gpus, w})
	}
	return mix, nil
}

// maxJobs bounds made-up work.
const maxJobs = 1_000_000

// Jobs makes the jobs, in the order of their submission.
func (l Load) Jobs() ([]Job, error) {
	if !(l.Rate > 0 && l.Rate <= 1e6) || l.For <= 0 || l.Rate*l.For.Hours() > maxJobs {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: fmt.Sprintf("%g jobs per hour for %s is no load that can be made up", l.Rate, l.For),
			Hint: fmt.Sprintf("more than none, and at most %d jobs", maxJobs)}
	}
	r := rand.New(rand.NewSource(l.Seed))
	mix := l.Mix
	if len(mix) == 0 {
		mix = DefaultMix()
	}
	median, spread := cmp.Or(l.Median, 10*time.Minute), cmp.Or(l.Spread, 2)
	var jobs []Job
	for at := time.Duration(0); ; {
		at += time.Duration(r.ExpFloat64() / l.Rate * float64(time.Hour))
		if at >= l.For || len(jobs) >= maxJobs {
			return jobs, nil
		}
		j := Job{ID: fmt.Sprintf("made-%06d", len(jobs)+1), Submit: l.Start.Add(at.Truncate(time.Second)), GPUs: draw(r, mix)}
		seconds := math.Min(median.Seconds()*math.Exp(spread*r.NormFloat64()), (30 * 24 * time.Hour).Seconds())
		j.Duration = max(time.Second, time.Duration(seconds)*time.Second)
		j.Queue = fmt.Sprintf("q%d", r.Intn(max(1, l.Queues)))
		jobs = append(jobs, j)
	}
}

// draw picks a size by weight.
func draw(r *rand.Rand, mix []Size) int {
	total := 0.0
	for _, s := range mix {
		total += s.Weight
	}
	x := r.Float64() * total
	for _, s := range mix {
		if x -= s.Weight; x < 0 {
			return s.GPUs
		}
	}
	return mix[len(mix)-1].GPUs
}
