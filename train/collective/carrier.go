package collective

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Carrier carries the larger collectives of a rank another way than through memory and TCP, such as NCCL over GPUs. It is called
// by one goroutine at a time, except for Abort. Buffers are the host's, and left alone once a call has returned.
type Carrier interface {
	// ID makes what all ranks need to join one another. Rank 0's is asked.
	ID() ([]byte, error)
	// Join returns when the carriers of all ranks have met.
	Join(id []byte, rank, size int) error
	// AllReduce replaces data, floats of 32 or 64 bits, by the sum over all ranks.
	AllReduce(data []byte, bits int) error
	// ReduceScatter leaves this rank's part of the sum of src in dst.
	ReduceScatter(dst, src []byte, bits int) error
	// AllGather collects src of all ranks in dst.
	AllGather(dst, src []byte) error
	// Broadcast copies root's data to all ranks.
	Broadcast(data []byte, root int) error
	// Abort makes what runs, and whatever is called later, end with an error soon. It returns at once, may be called from
	// any goroutine, and again.
	Abort()
	// Close gives everything back.
	Close() error
}

// Absent is why a rank has no carrier although nothing is wrong: the ranks then do without.
type Absent string

// Error is the reason.
func (a Absent) Error() string { return string(a) }

// carryLeast is from how many bytes on a collective goes by the carrier: below, the way to a GPU and back costs more than
// it saves. A guess: it was measured on no GPU.
const carryLeast = 64 << 10

// carried says whether a collective goes by the carrier; all ranks say the same. Min and Max do not: theirs of a NaN is a
// NaN, NCCL's is not.
func (g *Group) carried(h header) bool {
	return g.carrier != nil && h.bytes >= carryLeast && h.kind != kindBarrier && (h.op == Sum || h.op == Mean)
}

// carrierError is an error of the carrier; who is to blame is not known yet.
type carrierError struct{ err error }

func carriers(err error) error {
	if err == nil {
		return nil
	}
	return &carrierError{err}
}

func (e *carrierError) Error() string { return e.err.Error() }
func (e *carrierError) Unwrap() error { return e.err }

// carry takes carriers into use if every rank has one.
func (g *Group) carry(ctx context.Context, c Config, limit time.Duration) error {
	if c.Carrier == nil {
		return nil
	}
	carrier, why := c.Carrier()
	votes := make([]byte, g.size)
	if err := g.begin(header{kind: kindAllGather, elem: elemByte, bytes: uint64(len(votes))}, limit); err != nil {
		return err
	}
	mine := byte(1)
	if why != nil {
		mine = 0
	}
	err := g.end(g.gather(votes, []byte{mine}, elemByte))
	lacking := bytes.IndexByte(votes, 0)
	if err != nil || lacking >= 0 {
		if carrier != nil {
			carrier.Close()
		}
		if err == nil && lacking == g.rank { // of several, one tells it
			g.tellAbsent(why)
		}
		return err
	}
	g.state.Lock()
	g.carrier = carrier
	g.state.Unlock()
	return g.meet(ctx, c)
}

func (g *Group) tellAbsent(why error) {
	const message = "the ranks talk over memory and TCP"
	if errors.As(why, new(Absent)) && g.rank == 0 { // else rank 0 has one: an odd machine
		g.log.Info(message, "reason", why)
		return
	}
	g.log.Warn(message, "reason", why)
}

// meet joins the carriers: rank 0's id goes through the store. A rank that fails breaks the group, so that the others do not wait
// for it: what is there and does not work is told, not gone around.
func (g *Group) meet(ctx context.Context, c Config) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	met := make(chan error, 1)
	go func() { met <- g.introduce(ctx, c) }()
	select {
	case err := <-met:
		return g.settled(carriers(err))
	case <-ctx.Done():
	case <-g.broken:
		cancel(g.Err())
	}
	err := context.Cause(ctx)
	if errors.Is(err, context.DeadlineExceeded) {
		err = errors.New("the other ranks' carriers did not come in time")
	}
	g.carrier.Abort()
	<-met
	return g.settled(carriers(err))
}

func (g *Group) introduce(ctx context.Context, c Config) error {
	name := c.Prefix + "carrier"
	if g.rank == 0 {
		id, err := g.carrier.ID()
		if err != nil {
			return err
		}
		if err := c.Store.Set(ctx, name, id); err != nil {
			return fmt.Errorf("leaving the carriers' id: %w", err)
		}
		return g.carrier.Join(id, g.rank, g.size)
	}
	id, err := c.Store.Get(ctx, name)
	if err != nil {
		return fmt.Errorf("getting the carriers' id: %w", err)
	}
	return g.carrier.Join(slices.Clone(id), g.rank, g.size)
}

// byCarrier makes a collective's error the carrier's, and a sum the mean where that was asked for.
func (g *Group) byCarrier(err error, result []byte, e elem, op Op) error {
	if err != nil {
		return carriers(err)
	}
	if f := foldOf(e, op); op == Mean && f.divide != nil {
		f.divide(result, g.size)
	}
	return nil
}

// blameCarrier finds out why a carrier failed: mostly because a rank died, which the control connections tell.
func (g *Group) blameCarrier(failed *carrierError) error {
	wait := time.NewTimer(settle)
	defer wait.Stop()
	select {
	case <-g.broken:
	case <-g.closed:
		return ErrClosed
	case <-wait.C:
		g.fail(verdict{Kind: verdictPeer, Rank: g.rank, Reason: "failed: " + failed.Error()}, nil)
		<-g.broken
	}
	return g.Err()
}

// abortCarrier ends what runs there.
func (g *Group) abortCarrier() {
	g.state.Lock()
	c := g.carrier
	g.state.Unlock()
	if c != nil {
		c.Abort()
	}
}

// dropCarrier gives the carrier back. What runs on it ends first.
func (g *Group) dropCarrier() {
	if g.carrier == nil {
		return
	}
	if _, _, running := g.doing(); running || g.verdict.Load() != nil {
		g.carrier.Abort()
	}
	g.turn.Lock()
	defer g.turn.Unlock()
	g.carrier.Close()
}
