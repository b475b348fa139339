package policy

import (
	"time"

	"ainexus.io/nexus"
)

// Outlook answers from one version of a history how long jobs will run. It remembers what it worked out, so
// that a question costs a look into a map.
type Outlook struct {
	// Patience is how long a job lets others pass: [PatienceFor] the line; [Patience] unless it is set.
	Patience time.Duration

	history *nexus.History
	taught  bool
	spreads map[string]*spread
	delays  map[wait]*spread
}

// Look makes the outlook of a history; nil is the history of a place where nothing has ended yet.
func Look(h *nexus.History) *Outlook {
	if h == nil {
		h = &nexus.History{}
	}
	i, known := find(h.Runs, "all")
	taught := known && sum(h.Runs[i].Counts) >= enough*fresh
	return &Outlook{Patience: Patience, history: h, taught: taught, spreads: map[string]*spread{}, delays: map[wait]*spread{}}
}

// Version is that of the history.
func (o *Outlook) Version() uint64 { return o.history.Version }

// Taught reports whether enough jobs have ended to expect anything of others.
func (o *Outlook) Taught() bool { return o.taught }

// enough is how many ends teach something.
const enough = 16

func sum(counts []int64) (total int64) {
	for _, n := range counts {
		total += n
	}
	return total
}

// Expectation is how long a job will have run in total when it ends: a tenth of its kind run shorter than Low,
// half shorter than Median, a tenth longer than High.
type Expectation struct {
	Low, Median, High, Mean time.Duration
	// Known says that jobs of its kind have ended before; else it is what jobs do elsewhere.
	Known bool
}

// trust is how many observations of the wider kind stand in while a kind has few of its own.
const trust = 4

// elsewhere stands in where nothing has ended yet: from a minute to a day, half of them below twenty minutes.
func elsewhere() *spread {
	var s spread
	for b := bucketOf(60); b <= bucketOf(86400); b++ {
		s[b] = fresh
	}
	return &s
}

// of is the spread of a job's kind.
func (o *Outlook) of(kinds []string) *spread {
	if len(kinds) == 0 {
		return elsewhere()
	}
	if s := o.spreads[kinds[0]]; s != nil {
		return s
	}
	like := o.of(kinds[1:])
	s := like
	if i, ok := find(o.history.Runs, kinds[0]); ok {
		s = blend(&o.history.Runs[i], like, trust)
	}
	o.spreads[kinds[0]] = s
	return s
}

// Expect tells how long a job will run in total, given that it has run for `ran` already. What outlives all of its
// kind is expected to run as long again.
func (o *Outlook) Expect(j *nexus.Job, ran time.Duration) Expectation {
	of := kindsOf(j)
	s := o.of(of)
	_, known := find(o.history.Runs, of[len(of)-2])
	least := int64(max(0, ran) / time.Second)
	if s.above(least) < fresh/2 {
		return Expectation{Low: ran * 11 / 10, Median: 2 * ran, High: 5 * ran, Mean: 2 * ran, Known: known}
	}
	return Expectation{
		Low:    seconds(s.quantile(100, least)),
		Median: seconds(s.quantile(500, least)),
		High:   seconds(s.quantile(900, least)),
		Mean:   seconds(s.mean(least, 1<<40)),
		Known:  known,
	}
}

// Mean is the mean of what a job will run in total, given that it ran for `ran`, where runs above `limit` count as `limit`.
func (o *Outlook) Mean(j *nexus.Job, ran, limit time.Duration) time.Duration {
	return seconds(o.of(kindsOf(j)).mean(int64(max(0, ran)/time.Second), int64(limit/time.Second)))
}

func seconds(n int64) time.Duration { return time.Duration(n) * time.Second }
