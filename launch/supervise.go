package launch

import (
	"cmp"
	"context"
	"fmt"
	"syscall"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// look is how often the agent looks at clocks and progress.
const look = time.Second

// settled is when starting is over: what only that needed is given back.
const settled = 2 * time.Second

// supervise waits until every worker has ended, and makes them end when it is time.
func (a *agent) supervise(ctx context.Context, r *round) {
	ended := ctx.Done()
	timer := time.NewTimer(0)
	defer timer.Stop()
	slim := time.NewTimer(settled)
	defer slim.Stop()
	for alive := len(r.workers); alive > 0; {
		select {
		case rank := <-r.exits:
			alive--
			state := nexus.AgentRunning
			if !r.workers[rank].Exit().OK() && r.asked.IsZero() {
				a.tellFailed(r)
				if alive > 0 {
					a.end(r, failureGrace)
				}
			}
			if !r.asked.IsZero() {
				state = nexus.AgentStopping
			}
			a.show(r, state)
		case s := <-a.forward:
			a.signal(r, s)
		case request := <-a.stops:
			a.obey(r, request)
		case o := <-a.orders():
			a.carryOut(r, o)
		case <-ended:
			ended = nil
			a.obey(r, a.ctxEnded())
		case <-slim.C:
			proc.Slim()
		case <-timer.C:
			now := a.clock.Mono()
			if r.asked.IsZero() {
				a.consider(r, now)
			} else if now >= r.deadline {
				r.deaf = max(r.deaf, alive)
				a.endAll()
			}
		}
		timer.Reset(a.next(r))
	}
}

// next is when to look at the clocks again.
func (a *agent) next(r *round) time.Duration {
	if r.asked.IsZero() {
		return cmp.Or(a.look, look)
	}
	return min(look, max(10*time.Millisecond, r.deadline-a.clock.Mono()))
}

// consider looks for a reason to end the round that nobody sends.
func (a *agent) consider(r *round, now time.Duration) {
	if request, over := a.overtime(now); over {
		a.obey(r, request)
		return
	}
	hung := r.watch.hung(now)
	a.lookAtPace(r)
	if a.lookForSurplus(r) {
		a.end(r, failureGrace)
		return
	}
	if hung {
		ranks := a.everywhere(r, r.watch.standings(a.askWhere(r)))
		r.hangRank, r.hang, r.hangStack = verdict(r.watch.limit, ranks)
		a.end(r, failureGrace)
	}
}

// overtime is the stop that max_duration asks for.
func (a *agent) overtime(now time.Duration) (stopRequest, bool) {
	limit := time.Duration(a.order.Spec.MaxDuration)
	if limit <= 0 || now-a.began < limit {
		return stopRequest{}, false
	}
	return stopRequest{
		cause: nexus.CauseTimeout, grace: a.grace, exit: 1, why: fmt.Sprintf("stopped after its max_duration of %s", a.order.Spec.MaxDuration),
	}, true
}

// ctxEnded is the stop for whoever ends the agent itself.
func (a *agent) ctxEnded() stopRequest {
	if a.bare {
		return stopRequest{cause: nexus.CauseCancel, grace: a.grace, exit: 130, why: "cancelled"}
	}
	return stopRequest{cause: nexus.CauseNode, grace: a.grace, exit: 1, why: "stopped with its agent"}
}

// obey begins a stop. One that is under way may be shortened, never prolonged.
func (a *agent) obey(r *round, request stopRequest) {
	a.leave(request)
	if r.stop == nil { // also where the round is failing: a stop wins
		r.stop = &request
	}
	if r.asked.IsZero() {
		a.end(r, request.grace)
		return
	}
	r.deadline = min(r.deadline, a.clock.Mono()+request.grace)
}

// end asks the workers to end: TERM now, KILL after grace.
func (a *agent) end(r *round, grace time.Duration) {
	r.asked, r.deadline = time.Now(), a.clock.Mono()+grace
	a.show(r, nexus.AgentStopping)
	if grace <= 0 {
		a.endAll()
		return
	}
	a.signal(r, syscall.SIGTERM)
}

func (a *agent) signal(r *round, s syscall.Signal) {
	for _, p := range r.workers {
		if p.Running() {
			ask(p, r.program.shell, s)
		}
	}
}
