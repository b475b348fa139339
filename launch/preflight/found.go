package preflight

import (
	"context"
	"encoding/json"
	"fmt"
	"time"
)

// Found is what the nodes found, by rank. What a node did not tell in time is nil.
type Found struct {
	Nodes []*Node
	Reach [][]Miss // ports of others that a node could not reach; nil: it did not tell
	Pairs []Pair   // with a missing one for what was not measured
	Whole *Speed   // of all nodes together
	Mute  []string // steps that a node did not end in time
}

// Node is what a node says of itself.
type Node struct {
	Rank      int     `json:"rank"`
	Node      string  `json:"node"`
	Addr      string  `json:"addr"`   // at which the others reach it
	Device    string  `json:"device"` // the interface that has it
	SpeedMbit int     `json:"speed_mbit"`
	GPUs      int     `json:"gpus"`
	Fabric    string  `json:"fabric"` // what NCCL would use: sockets, or NCCL_IB_HCA
	Open      []int   `json:"open"`   // ports that it listened on, the last one the kernel's choice
	Taken     []Taken `json:"taken,omitempty"`
}

// Taken is a port that a node could not listen on.
type Taken struct {
	Port int    `json:"port"`
	Why  string `json:"why"`
}

// Miss is a port of another node that cannot be reached.
type Miss struct {
	To   int    `json:"to"`
	Port int    `json:"port"`
	Why  string `json:"why"`
}

// Pair is what two nodes measured between them.
type Pair struct {
	A       int     `json:"a"` // the lower rank
	B       int     `json:"b"`
	Bytes   float64 `json:"bytes_per_second"`  // that each sends while the two reduce; 0: not measured
	RTT     float64 `json:"rtt_seconds"`       // median
	Ahead   float64 `json:"ahead_seconds"`     // B's clock before A's
	Unsure  float64 `json:"unsure_seconds"`    // half of the shortest round trip: what Ahead may be wrong by
	Trouble string  `json:"trouble,omitempty"` // why something was not measured
}

// Speed is how fast some nodes reduce together.
type Speed struct {
	Bytes   float64 `json:"bytes_per_second"` // that each sends
	Trouble string  `json:"trouble,omitempty"`
}

// add takes what a pair measured, or the better of what it measured before and now.
func (f *Found) add(p Pair) {
	for i, before := range f.Pairs {
		if before.A != p.A || before.B != p.B {
			continue
		}
		if p.Trouble != "" || p.Unsure > before.Unsure && before.Unsure > 0 {
			p.RTT, p.Ahead, p.Unsure = before.RTT, before.Ahead, before.Unsure
		}
		p.Bytes, p.Trouble = max(p.Bytes, before.Bytes), before.Trouble
		f.Pairs[i] = p
		return
	}
	f.Pairs = append(f.Pairs, p)
}

// best is the speed of the fastest pair.
func (f Found) best() (bytes float64) {
	for _, p := range f.Pairs {
		bytes = max(bytes, p.Bytes)
	}
	return bytes
}

// slow says which pairs are far slower than the fastest; nil where none is.
func (f Found) slow() func(a, b int) bool {
	list, best := map[[2]int]bool{}, f.best()
	for _, p := range f.Pairs {
		if p.Trouble == "" && p.Bytes < slowLink*best {
			list[[2]int{p.A, p.B}] = true
		}
	}
	if len(list) == 0 {
		return nil
	}
	return func(a, b int) bool { return list[[2]int{a, b}] }
}

// tell leaves a value for the others.
func (c *check) tell(ctx context.Context, step string, value any) error {
	data, err := json.Marshal(value)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, c.Limit)
	defer cancel()
	return c.store.Set(ctx, key(step, c.rank), data)
}

func key(step string, rank int) string { return fmt.Sprintf("preflight/%s/%d", step, rank) }

// gather hears what all nodes left. Those that do not within the limit are passed over.
func gather[T any](ctx context.Context, c *check, step string, limit time.Duration) ([]*T, error) {
	list := make([]*T, len(c.agents))
	patience, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	for rank := range list {
		data, err := c.store.Get(patience, key(step, rank))
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case err != nil && patience.Err() != nil:
			// A look at those behind it, who may be there.
			moment, done := context.WithTimeout(ctx, 200*time.Millisecond)
			data, err = c.store.Get(moment, key(step, rank))
			done()
			if err != nil && ctx.Err() == nil {
				continue
			}
		}
		if err != nil {
			return nil, err
		}
		list[rank] = new(T)
		if err := json.Unmarshal(data, list[rank]); err != nil {
			return nil, fmt.Errorf("what node %s says of %s: %w", c.agents[rank].Node, step, err)
		}
	}
	return list, nil
}
