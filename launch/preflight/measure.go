package preflight

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"io"
	"slices"
	"time"
)

// turns is how many turns it takes until each of n nodes has met each other one, one at a time.
func turns(n int) int { return max(0, n+n%2-1) }

// partner is whom a node meets in a turn, or -1: the circle method of round-robin tournaments.
func partner(rank, turn, n int) int {
	m := n + n%2 // with an odd number the last one is nobody
	other := (turn - rank + 2*(m-1)) % (m - 1)
	switch {
	case rank == m-1:
		other = turn * (m / 2) % (m - 1)
	case other == rank:
		other = m - 1
	}
	if other >= n {
		return -1
	}
	return other
}

// pair is this node's part in a turn. The higher rank of the two tells what was measured, nil is what others tell.
func (c *check) pair(ctx context.Context, try, turn int, f Found, meant func(a, b int) bool) *Pair {
	other := partner(c.rank, turn, len(c.agents))
	if other < 0 || !meant(min(c.rank, other), max(c.rank, other)) {
		return nil
	}
	p := &Pair{A: min(c.rank, other), B: max(c.rank, other)}
	ctx, cancel := context.WithTimeout(ctx, c.Limit*2/3)
	defer cancel()
	switch {
	case f.cut(p.A, p.B):
		p.Trouble = "they do not reach each other"
	default:
		if c.rank == p.B {
			if err := c.ping(ctx, f.Nodes[p.A], p); err != nil {
				p.Trouble = plain(err)
			}
		}
		s := c.reduce(ctx, fmt.Sprintf("preflight/ring/%d/%d/%d/", try, turn, p.A), []int{p.A, p.B})
		if p.Bytes = s.Bytes; s.Trouble != "" {
			p.Trouble = s.Trouble
		}
	}
	if c.rank != p.B {
		return nil
	}
	return p
}

// cut says whether one of two does not reach the port that the kernel chose for the other. NCCL's and gloo's are such, and the
// reduction's, so then there is nothing to measure.
func (f Found) cut(a, b int) bool {
	if f.Nodes[a] == nil || f.Nodes[b] == nil || f.Reach[a] == nil || f.Reach[b] == nil {
		return true
	}
	misses := func(from, to int) bool {
		open := f.Nodes[to].Open
		return len(open) == 0 || slices.ContainsFunc(f.Reach[from], func(m Miss) bool { return m.To == to && m.Port == open[len(open)-1] })
	}
	return misses(a, b) || misses(b, a)
}

// ping measures round trips to a node, and its clock against ours.
func (c *check) ping(ctx context.Context, to *Node, p *Pair) error {
	conn, err := knock(ctx, to.Addr, to.Open[len(to.Open)-1], askClock)
	if err != nil {
		return err
	}
	defer conn.Close()
	var trips []time.Duration
	for range pings {
		var answer [8]byte
		before, began := c.Now(), time.Now()
		if _, err := conn.Write([]byte{'?'}); err != nil {
			return err
		}
		if _, err := io.ReadFull(conn, answer[:]); err != nil {
			return err
		}
		trip := time.Since(began)
		if len(trips) == 0 || trip < slices.Min(trips) {
			theirs := time.Unix(0, int64(binary.BigEndian.Uint64(answer[:])))
			p.Ahead, p.Unsure = before.Add(trip/2).Sub(theirs).Seconds(), trip.Seconds()/2
		}
		trips = append(trips, trip)
	}
	slices.Sort(trips)
	p.RTT = trips[len(trips)/2].Seconds()
	return nil
}

// whole measures all nodes together, if all reach one another.
func (c *check) whole(ctx context.Context, f Found) Speed {
	ranks := make([]int, len(c.agents))
	for a := range ranks {
		ranks[a] = a
		for b := range a {
			if f.cut(a, b) {
				return Speed{Trouble: "not all reach one another"}
			}
		}
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit*2/3)
	defer cancel()
	return c.reduce(ctx, "preflight/ring/whole/", ranks)
}

const (
	firstReduce = 16 << 10 // float32
	mostReduce  = 8 << 20
)

// reduce measures how fast some nodes reduce: the best of several runs, growing until one takes long enough to be measured. How
// long a run took is itself reduced, so that all decide alike.
func (c *check) reduce(ctx context.Context, prefix string, ranks []int) (s Speed) {
	limit := c.Limit / 2
	ring, err := c.Join(ctx, c.store, prefix, hostOf(c.agents[c.rank].Addr), slices.Index(ranks, c.rank), len(ranks), limit)
	if err != nil {
		return Speed{Trouble: plain(err)}
	}
	defer ring.Close()
	share := 2 * float64(len(ranks)-1) / float64(len(ranks)) // of the buffer that each sends
	data, spent := make([]float32, firstReduce), 0.0
	for run := 0; spent < pairTime.Seconds() && run < 64; run++ {
		began := time.Now()
		if err := ring.Sum(data); err != nil {
			return Speed{Bytes: s.Bytes, Trouble: err.Error()}
		}
		took := []float32{float32(time.Since(began).Seconds())}
		if err := ring.Sum(took); err != nil {
			return Speed{Bytes: s.Bytes, Trouble: err.Error()}
		}
		mean := float64(took[0]) / float64(len(ranks))
		if run > 0 { // the first one warms up
			s.Bytes = max(s.Bytes, share*float64(4*len(data))/mean)
			spent += mean
		}
		if mean < pairTime.Seconds()/8 && len(data) < mostReduce {
			data = make([]float32, 4*len(data))
		}
	}
	return s
}

// agree makes one report of what was found: the node with the store judges, the others read it.
func (c *check) agree(ctx context.Context, f Found) (Report, error) {
	if !c.judges {
		ctx, cancel := context.WithTimeout(ctx, c.Limit)
		defer cancel()
		data, err := c.store.Get(ctx, "preflight/report")
		var report Report
		if err == nil {
			err = json.Unmarshal(data, &report)
		}
		if err != nil {
			return report, fmt.Errorf("reading the report of node %s: %w", c.keeper, err)
		}
		return report, c.tell(ctx, "read", true)
	}
	report := Judge(f)
	data, err := json.Marshal(report)
	if err != nil {
		return report, err
	}
	if err := c.store.Set(ctx, "preflight/report", data); err != nil {
		return report, err
	}
	if err := c.tell(ctx, "read", true); err != nil {
		return report, err
	}
	_, err = gather[bool](ctx, c, "read", c.Limit)
	return report, err
}
