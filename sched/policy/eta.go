package policy

import (
	"math/bits"
	"strconv"
	"time"

	"ainexus.io/nexus"
)

// Ahead is what stands between a waiting job and its start.
type Ahead struct {
	// Work is what those ahead of it in line are expected to take, and it itself, in GPU-seconds: the sum of [Outlook.Work].
	Work int64
	// GPUs is how many the jobs of the line share: those of nodes that are ready, or that a limit lets them have.
	GPUs int
	// Head is how long the first in line of those who ask for as many GPUs has waited so far; 0: there is none.
	Head time.Duration
}

// Work is how many GPU-seconds a waiting job is expected to take yet: what [Outlook.Due] stretches, and what adds up to [Ahead.Work].
func (o *Outlook) Work(j *nexus.Job) int64 {
	ran := time.Duration(j.Served)
	rest := o.Mean(j, ran, ran+longest) - ran.Truncate(time.Second)
	if rest <= 0 {
		rest = min(ran, longest) // it outlived its kind
	}
	return int64(rest/time.Second) * int64(max(1, GPUs(&j.Spec)))
}

const (
	// least is the shortest wait that is told apart from none.
	least = time.Minute
	// never is the longest wait that is told apart from longer ones.
	never = 10 * 365 * 24 * time.Hour
)

// Start estimates when a waiting job starts. The plain wait is that of a fleet which works off what is ahead and nothing
// else; how far that is off for jobs of the kind - because others pass, a gang needs whole nodes, or holes
// open sooner - was learnt from waits that are over, and the interval is the middle 80 % of those.
func (o *Outlook) Start(j *nexus.Job, a Ahead, at time.Time) nexus.Estimate {
	plain := least + seconds(min(a.Work/int64(max(1, a.GPUs)), int64(never/time.Second))) + min(a.Head, never)
	s := o.waits(waitOf(j, plain))
	wait := func(thousandths int64) time.Time {
		return at.Add(seconds(min(int64(plain/time.Second)*s.quantile(thousandths, 0)/1000, int64(never/time.Second))))
	}
	low, high := wait(tail(o.history.Early)), wait(1000-tail(o.history.Late))
	high = high.Add(high.Sub(at) / 2) // the waits of a rush are learnt when it is over: leave air
	return nexus.Estimate{At: at, Low: low, Median: wait(500), High: high, Plain: nexus.Duration(plain)}
}

// tail is how many thousandths of the learnt waits an end of the interval cuts off: 100, corrected.
func tail(correction int64) int64 { return 100 + correction/1000 }

// correct moves an end of the interval after a start: a tenth of them ought to miss it. Waits of one rush are much
// alike, so that what was learnt before it is no fair sample; this keeps the share of misses right in the long run, whatever comes.
func correct(correction int64, missed bool) int64 {
	if missed {
		correction -= 9 * pace
	} else {
		correction += pace
	}
	return clamp(correction)
}

func clamp(correction int64) int64 { return min(max(correction, -95_000), 100_000) }

// pace is how fast the ends move: ten misses in a row move one by 9 thousandths.
const pace = 100

// LearnStart folds the start of a job that had to wait into a history; the estimate is the one that was made when it was
// first held.
func LearnStart(h *nexus.History, j *nexus.Job, e nexus.Estimate, started time.Time) {
	if e.Plain <= 0 || started.Before(e.At) {
		return
	}
	times := int64(started.Sub(e.At) * 1000 / max(1, time.Duration(e.Plain)))
	for _, kind := range waitOf(j, time.Duration(e.Plain)).kinds() {
		h.Waits = fold(h.Waits, kind, times, waitMemory, started)
	}
	h.Early, h.Late = correct(h.Early, started.Before(e.Low)), correct(h.Late, started.After(e.High))
	h.Version++
}

// wait is a kind of wait: how many GPUs are asked for, and how long the plain wait is, within a factor of four.
type wait struct{ gpus, long int }

func waitOf(j *nexus.Job, plain time.Duration) wait {
	return wait{GPUs(&j.Spec), bits.Len64(uint64(plain/time.Second)) / 2}
}

// kinds names the kinds that such a wait is of, the narrowest first.
func (w wait) kinds() []string {
	gpus := strconv.Itoa(w.gpus)
	return []string{"gpus/" + gpus + "/" + strconv.Itoa(w.long), "gpus/" + gpus, "all"}
}

// waits is the spread of waits of a kind.
func (o *Outlook) waits(w wait) *spread {
	if s := o.delays[w]; s != nil {
		return s
	}
	s, kinds := anyWait(), w.kinds()
	for i := len(kinds) - 1; i >= 0; i-- {
		if n, ok := find(o.history.Waits, kinds[i]); ok {
			s = blend(&o.history.Waits[n], s, trust)
		}
	}
	o.delays[w] = s
	return s
}

// anyWait stands in where nobody has waited yet: from a tenth to ten times the plain wait.
func anyWait() *spread {
	var s spread
	for b := bucketOf(100); b <= bucketOf(10000); b++ {
		s[b] = fresh
	}
	return &s
}
