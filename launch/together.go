package launch

import (
	"context"
	"fmt"
	"net"
	"strings"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/launch/fabric"
	"ainexus.io/launch/rendezvous"
	"ainexus.io/nexus"
)

// together is the attempt of several nodes: the meeting says which rounds there are, and this agent runs its part.
func (a *agent) together(ctx context.Context) nexus.Result {
	meeting, err := rendezvous.Join(rendezvous.Options{
		Endpoint: a.meet.Endpoint, ID: a.runID, Token: a.meet.Token, IsHost: a.meet.IsHost,
		Node: a.order.Seat.Node, Workers: a.order.Seat.Workers, Rank: a.meet.Rank, LocalAddr: a.meet.LocalAddr,
		Settings: a.meet.settings(a), Timing: rendezvous.Timing{Beat: a.meet.Beat, Silence: a.meet.Silence},
		ConnectTimeout: a.meet.ConnectTimeout, OpenStore: a.openStore, Say: a.say, Clock: a.clock, Logger: a.log,
	})
	if err != nil {
		return a.result(ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: words(err)}, 0)
	}
	a.meeting = meeting
	defer meeting.Close()
	ended, number := ctx.Done(), 0
	timer := time.NewTicker(look)
	defer timer.Stop()
	for {
		select {
		case o := <-a.orders():
			switch o := o.(type) {
			case elastic.Begin:
				number = o.Record.Number
				a.part(ctx, o)
				if a.leaving != nil && a.leaving.grace <= 0 {
					return a.result(a.stopped(*a.leaving, a.began), number)
				}
			case elastic.Finish:
				return a.last(o.Outcome, number)
			}
		case request := <-a.stops:
			a.leave(request)
			if request.grace <= 0 {
				return a.result(a.stopped(request, a.began), number)
			}
		case <-ended:
			ended = nil
			a.leave(a.ctxEnded())
		case <-timer.C:
			if request, over := a.overtime(a.clock.Mono()); over {
				a.leave(request)
			}
		}
	}
}

// orders are what the meeting wants; nil, which never comes, where there is none.
func (a *agent) orders() <-chan elastic.Output {
	if a.meeting == nil {
		return nil
	}
	return a.finished.or(a.meeting.Events())
}

// part is this node's part in a round.
func (a *agent) part(ctx context.Context, b elastic.Begin) {
	host, port, _ := net.SplitHostPort(b.Store)
	own, _, _ := net.SplitHostPort(b.Record.Agents[b.Group].Addr)
	a.place = place{
		group: b.Group, groups: len(b.Record.Agents), first: b.Record.First(b.Group), world: b.Record.World(),
		addr: host, device: fabric.DeviceOf(own), hosts: map[string]int{},
	}
	for _, of := range b.Record.Agents {
		at, _, _ := net.SplitHostPort(of.Addr)
		a.place.hosts[at] += of.Workers
	}
	fmt.Sscan(port, &a.place.port)
	var e ending
	if err := a.record(b.Record.State); err != nil {
		e = ending{cause: nexus.CauseSetup, rank: -1, exit: 1, message: words(fmt.Errorf("recording round %d: %w", b.Record.Number, err))}
	} else {
		why := ""
		if b.Record.Why != "" {
			why = " (" + b.Record.Why + ")"
		}
		a.say(fmt.Sprintf("round %d%s: node %s is %d of %d with ranks %d to %d of %d; the store is at %s", b.Record.Number, why, a.order.Seat.Node,
			b.Group, a.place.groups, a.place.first, a.place.first+a.order.Seat.Workers-1, a.place.world, b.Store))
		if e := a.ended; e.fault != nil && strings.HasPrefix(b.Record.Why, fmt.Sprintf("rank %d on ", e.rank)) {
			a.screen.fault(e, a.endedIn) // the cause was ours
		}
		e = a.round(ctx, b.Record.Number)
		a.ended, a.endedIn = e, b.Record.Number
		a.closeRound(e)
	}
	a.meeting.Closed(b.Record.Number, a.report(e))
}

// report is an ending as the others need to know it.
func (a *agent) report(e ending) elastic.Report {
	r := elastic.Report{
		OK: e.ok, Cause: e.cause, Rank: e.rank, Exit: e.exit, Message: e.message, Tail: e.tail, OutOf: e.outOf,
		Proof: e.proof, Fault: e.fault,
	}
	if e.told || a.leaving != nil && !e.cause.Charged() {
		r.Cause = "" // what was asked for is nobody's failure
	}
	if !e.at.IsZero() {
		r.Age = max(0, time.Since(e.at))
	}
	return r
}

// last is the result of it all.
func (a *agent) last(o elastic.Outcome, number int) nexus.Result {
	if o.Left && a.leaving != nil {
		return a.result(a.stopped(*a.leaving, a.clock.Mono()), number)
	}
	return a.result(ending{
		ok: o.OK, cause: o.Cause, rank: o.Rank, exit: o.Exit, message: o.Message, tail: o.Tail, fault: o.Fault, outOf: o.OutOf, lost: -1,
	}, number)
}

// carryOut does what the meeting wants while workers run.
func (a *agent) carryOut(r *round, o elastic.Output) {
	grace := failureGrace
	switch o := o.(type) {
	case elastic.End:
		if o.Number != r.number {
			return
		}
		switch o.Stop {
		case elastic.StopKill:
			grace = 0
		case elastic.StopSave:
			grace = a.grace
		}
	case elastic.Finish:
		a.finished = &finished{o}
		grace = 0
	default:
		return
	}
	if r.asked.IsZero() {
		r.told = true
		a.end(r, grace)
		return
	}
	r.deadline = min(r.deadline, a.clock.Mono()+grace)
}

// tellFailed tells the others at once that they wait for nobody.
func (a *agent) tellFailed(r *round) {
	if a.meeting != nil {
		a.meeting.Failed(r.number)
	}
}

// leave takes this node out of the meeting.
func (a *agent) leave(request stopRequest) {
	switch {
	case a.meeting == nil:
	case a.leaving == nil:
		a.leaving = &request
		a.meeting.Leave()
	default: // asked again: at once, perhaps
		a.leaving.grace = min(a.leaving.grace, request.grace)
	}
}

// finished is the meeting's last word, heard while workers ran.
type finished struct{ word elastic.Finish }

// or is the last word again, or else what comes.
func (f *finished) or(events <-chan elastic.Output) <-chan elastic.Output {
	if f == nil {
		return events
	}
	again := make(chan elastic.Output, 1)
	again <- f.word
	return again
}

// openStore opens an empty store for a round at an address of this node: on 29500 if that is free, unless a port is given.
func (a *agent) openStore(_ int, host string) (string, error) {
	if a.store != nil && a.master.addr != host {
		a.store.Close()
		a.store = nil
	}
	a.master.addr = host
	if err := a.emptyStore(); err != nil {
		return "", err
	}
	return a.store.Addr().String(), nil
}
