package local

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// minder looks after one living attempt, from its order to its end. All that it must remember is in the records and in
// the attempt directory; its fields only spare it from saying things twice.
type minder struct {
	place   *Place
	id      string
	attempt int
	dir     attempt.Dir
	poke    chan struct{} // cap 1: the record or the directory changed

	found   bool            // the attempt was alive when the place began
	child   int             // pid of the agent that we started
	gone    <-chan struct{} // closed when it ended
	tries   int             // agents that ended without having claimed the attempt
	trouble string          // why the last one could not be started

	round    int
	notes    map[string]bool
	suspects []nexus.Suspect
	renewed  time.Time
	seen     time.Duration // by the mono clock, when renewed last changed
	silent   bool
	stopped  nexus.StopKind
	deadline time.Duration // by the mono clock: an agent that was told to stop is killed then; 0: not told
	killed   bool
}

// mind makes sure that a living attempt has its minder, and pokes it. Found says that it was begun by an earlier daemon.
func (p *Place) mind(r store.Record, found bool) {
	switch r.Job.Phase {
	case nexus.Starting, nexus.Running, nexus.Stopping:
	default:
		return
	}
	name := attempt.Name(r.Job.ID, r.Job.Attempt)
	p.mu.Lock()
	defer p.mu.Unlock()
	if m, ok := p.minders[name]; ok {
		m.wake()
		return
	}
	if p.ctx.Err() != nil {
		return
	}
	m := &minder{place: p, id: r.Job.ID, attempt: r.Job.Attempt, dir: p.dirOf(r.Job.ID, r.Job.Attempt),
		poke: make(chan struct{}, 1), found: found, round: -1, notes: map[string]bool{}, seen: p.clock.mono()}
	p.minders[name] = m
	p.working.Go(func() {
		m.run(p.ctx)
		p.dirs.forget(string(m.dir))
		p.mu.Lock()
		defer p.mu.Unlock()
		delete(p.minders, name)
	})
}

func (p *Place) dirOf(id string, n int) attempt.Dir {
	return attempt.At(filepath.Join(p.opts.State, "attempts"), id, n)
}

func (m *minder) wake() {
	select {
	case m.poke <- struct{}{}:
	default:
	}
}

// record is the job, as long as this attempt of it lives.
func (m *minder) record() (store.Record, bool) {
	r, ok := m.place.view.get(m.id)
	if !ok || r.Job.Attempt != m.attempt {
		return r, false
	}
	return r, r.Job.Phase == nexus.Starting || r.Job.Phase == nexus.Running || r.Job.Phase == nexus.Stopping
}

// run does what the state of the attempt asks for until it is over.
func (m *minder) run(ctx context.Context) {
	for ctx.Err() == nil {
		r, ok := m.record()
		if !ok {
			return
		}
		agent, claimed, locked, err := m.look()
		switch {
		case err != nil:
			m.place.log.Error("looking at an attempt", "job", m.id, "attempt", m.attempt, "error", err)
			m.pause(ctx, time.Second)
		case claimed && locked:
			m.watch(ctx, agent)
		case claimed:
			m.finish(ctx, r, agent)
		case locked:
			m.pause(ctx, 20*time.Millisecond) // somebody is claiming it
		default:
			m.begin(ctx, r)
		}
	}
}

// look reads who claimed the attempt and whether an agent lives. The claim is read first: a claim that is there
// while the lock is free afterwards has lost its agent for good.
func (m *minder) look() (agent nexus.Agent, claimed, locked bool, err error) {
	agent, err = m.dir.Agent()
	claimed = !attempt.Missing(err) || m.spoken()
	if err != nil && !attempt.Missing(err) {
		m.place.log.Error("reading who claimed an attempt", "job", m.id, "attempt", m.attempt, "error", err)
	}
	locked, err = m.dir.Locked()
	if attempt.Missing(err) {
		locked, err = false, nil
	}
	return agent, claimed, locked, err
}

// spoken reports whether an agent got as far as a round or a result: it has claimed the attempt, whatever became of
// the file that says so.
func (m *minder) spoken() bool {
	if _, err := m.dir.Rounds(); !attempt.Missing(err) {
		return true
	}
	_, err := m.dir.Result()
	return !attempt.Missing(err)
}

// watch follows a living agent until it is gone.
func (m *minder) watch(ctx context.Context, agent nexus.Agent) {
	gone := m.gone
	if agent.PID != m.child || gone == nil {
		gone = m.departure(ctx, agent)
	}
	m.place.dirs.follow(string(m.dir), m.wake)
	look := m.place.opts.Silence
	if !m.place.dirs.works() {
		look = min(look, 250*time.Millisecond)
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if _, ok := m.record(); !ok {
			return
		}
		next := look
		if left := m.tend(ctx, agent); left > 0 {
			next = min(next, left)
		}
		timer.Reset(next)
		select {
		case <-gone:
			m.gone, m.child = nil, 0
			return
		case <-m.poke:
		case <-timer.C:
		case <-ctx.Done():
			return
		}
	}
}

// departure is closed when the agent is gone: by the kernel's word where there is one, else by the lock.
func (m *minder) departure(ctx context.Context, agent nexus.Agent) <-chan struct{} {
	id := proc.Identity{Boot: agent.Boot, PID: agent.PID, Start: agent.Start}
	if gone, err := departure(ctx, &m.place.working, id); err == nil {
		return gone
	}
	gone := make(chan struct{})
	m.place.working.Go(func() {
		for ctx.Err() == nil {
			if locked, err := m.dir.Locked(); err == nil && !locked {
				close(gone)
				return
			}
			rest(ctx, 200*time.Millisecond)
		}
	})
	return gone
}

// tend brings the record up to what the agent says, and the agent what was decided. It returns after how long it
// wants to be called again at the latest; 0: whenever something changes.
func (m *minder) tend(ctx context.Context, agent nexus.Agent) time.Duration {
	r, ok := m.record()
	if !ok {
		return 0
	}
	if status, err := m.dir.Status(); err == nil {
		m.hear(ctx, r, status)
	}
	m.listen(ctx)
	if r.Job.Phase == nexus.Stopping {
		return m.stop(ctx, r, agent)
	}
	return 0
}

// hear takes in the agent's status: that its workers run, a new round, notes.
func (m *minder) hear(ctx context.Context, r store.Record, status nexus.Status) {
	if !status.Renewed.Equal(m.renewed) {
		m.renewed, m.seen = status.Renewed, m.place.clock.mono()
		if m.silent {
			m.silent = false
			m.tell(ctx, nexus.EventNote, "the agent answers again")
		}
	}
	if r.Job.Phase == nexus.Starting && status.State != nexus.AgentSetup && status.State != "" {
		m.place.began(ctx, r.Job)
	}
	if status.Round > m.round {
		if m.round >= 0 {
			m.tell(ctx, nexus.EventRound, m.roundSentence(status.Round))
		}
		m.round = status.Round
	}
	for _, sentence := range nexus.SuspectsChanged(m.suspects, status.Suspects) {
		m.tell(ctx, nexus.EventNote, sentence)
	}
	m.suspects = status.Suspects
	for _, note := range status.Notes {
		if !m.notes[note] {
			m.notes[note] = true
			m.tell(ctx, nexus.EventNote, note)
		}
	}
}

// roundSentence says why the workers were restarted.
func (m *minder) roundSentence(round int) string {
	if rounds, err := m.dir.Rounds(); err == nil {
		for _, r := range rounds.Rounds {
			if r.Number == round-1 && r.Ending != "" {
				return fmt.Sprintf("round %d begins: %s; %d restarts left", round, r.Ending, rounds.RestartsLeft)
			}
		}
	}
	return fmt.Sprintf("round %d begins", round)
}

// listen looks at an agent that gave no sign for long. Nothing follows from it but a word to the user: it may be
// stopped, or the machine may have slept.
func (m *minder) listen(ctx context.Context) {
	if m.silent || m.place.clock.mono()-m.seen < m.place.opts.Silence {
		return
	}
	m.silent = true
	m.place.log.Warn("an agent does not answer", "job", m.id, "attempt", m.attempt)
	m.tell(ctx, nexus.EventNote, fmt.Sprintf("the agent has not answered for %s (stopped?); the job is left alone", m.place.opts.Silence))
}

// stop hands the order to the agent, and kills one that does not follow it in time.
func (m *minder) stop(ctx context.Context, r store.Record, agent nexus.Agent) time.Duration {
	m.place.opts.passed("to be stopped")
	grace := graceOf(r.Job.Spec)
	if m.stopped != r.Job.Stop {
		if order, err := m.dir.Stop(); err != nil || order.Kind != r.Job.Stop {
			if err := m.dir.WriteStop(nexus.StopOrder{Kind: r.Job.Stop, Grace: grace}); err != nil {
				m.place.log.Error("ordering an agent to stop", "job", m.id, "attempt", m.attempt, "error", err)
				return time.Second
			}
		}
		m.stopped = r.Job.Stop
		m.place.opts.passed("told to stop")
		if m.deadline == 0 {
			m.deadline = m.place.clock.mono() + time.Duration(grace) + m.place.opts.StopMargin
		}
	}
	if left := m.deadline - m.place.clock.mono(); left > 0 {
		return left
	}
	id := proc.Identity{Boot: agent.Boot, PID: agent.PID, Start: agent.Start}
	if !m.killed && id.Alive() {
		m.killed = true
		m.place.log.Warn("killing an agent that does not stop", "job", m.id, "attempt", m.attempt, "pid", agent.PID)
		m.tell(ctx, nexus.EventNote, "the agent did not stop in time and is killed")
		kill(id)
	}
	return time.Second
}

func graceOf(spec nexus.Spec) nexus.Duration {
	if spec.Checkpoint != nil {
		return spec.Checkpoint.Grace
	}
	return defaultGrace
}

// defaultGrace is what workers without a checkpoint get between TERM and KILL.
const defaultGrace = nexus.Duration(30 * time.Second)

// tell records an event of this attempt. One that cannot be recorded is logged: the attempt matters more.
func (m *minder) tell(ctx context.Context, kind nexus.EventKind, text string) {
	m.place.tell(ctx, nexus.Event{Job: m.id, Attempt: m.attempt, Kind: kind, Message: text})
}

func (p *Place) tell(ctx context.Context, e nexus.Event) {
	e.At = p.Now()
	if err := p.store.Do(ctx, func(tx *store.Tx) error { return tx.Event(e) }); err != nil && ctx.Err() == nil {
		p.log.Error("recording an event", "job", e.Job, "event", e.Message, "error", err)
	}
}

// began records that the workers run.
func (p *Place) began(ctx context.Context, job nexus.Job) {
	err := p.change(ctx, job.ID, func(r *store.Record) (string, error) {
		if r.Job.Attempt != job.Attempt || r.Job.Phase != nexus.Starting {
			return "", errMoved
		}
		r.Job.Phase = nexus.Running
		return "running", nil
	})
	p.opts.passed("running")
	if err != nil && !errors.Is(err, errMoved) && ctx.Err() == nil {
		p.log.Error("recording that a job runs", "job", job.ID, "error", err)
	}
}

// errMoved says that the basis of a decision is gone.
var errMoved = errors.New("the job has moved on")

// change is one durable step of one job: edit changes the record and says in words what happened.
func (p *Place) change(ctx context.Context, id string, edit func(*store.Record) (string, error), also ...func(*store.Tx) error) error {
	at := p.Now()
	return p.store.Do(ctx, func(tx *store.Tx) error {
		_, err := step(tx, id, at, func(_ *store.Tx, r *store.Record) (string, error) { return edit(r) })
		if err != nil {
			return err
		}
		for _, write := range also {
			if err := write(tx); err != nil {
				return err
			}
		}
		return nil
	})
}

// step is what [Place.change] does, inside of a transaction. An edit that refuses has written nothing.
func step(tx *store.Tx, id string, at time.Time, edit func(*store.Tx, *store.Record) (string, error)) (nexus.Job, error) {
	r, err := tx.Job(id)
	if err != nil {
		return nexus.Job{}, err
	}
	text, err := edit(tx, &r)
	if err != nil {
		return r.Job, err
	}
	if err := tx.Update(r); err != nil {
		return r.Job, err
	}
	if err := tx.Event(nexus.Event{At: at, Job: id, Attempt: r.Job.Attempt, Kind: nexus.EventPhase,
		Message: fmt.Sprintf("%s: %s", r.Job.Phase, text)}); err != nil {
		return r.Job, err
	}
	if r.Job.Phase.Over() && !r.Was.Over() {
		return r.Job, settle(tx, r.Job, at)
	}
	return r.Job, nil
}

// pause waits for a poke, the end of ctx, or so long.
func (m *minder) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-m.poke:
	case <-timer.C:
	}
}

// rest waits for the end of ctx, or so long.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
