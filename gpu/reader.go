package gpu

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"
)

// ErrClosed is returned by [Reader.Sample] after [Reader.Close].
var ErrClosed = errors.New("the GPU reader is closed")

// Reader answers for the devices of this machine. Its methods may be called from several goroutines; samples are taken
// one after the other.
type Reader struct {
	opts  Options
	start func() (*peer, error)

	turn    chan struct{} // holds one token: whoever has it may touch what follows
	memory  memory
	peer    *peer
	stuck   []*peer // ended by us, not yet let go by the kernel
	asked   uint64
	suspect map[int]*suspect // devices that blocked or crashed a sampler, by number

	failures int
	problem  string    // of the last failure
	retry    time.Time // not before
	empty    Sample    // what a machine without devices said
	recheck  time.Time // until when that is believed

	closeOnce sync.Once
	closing   context.Context
	cancel    context.CancelFunc
}

// suspect is a device that is left out for a while.
type suspect struct {
	of      int // how many devices there were when it got its number
	times   int
	problem string
	retry   time.Time
}

// maxStuck is how many samplers may hang in the kernel before no other is started: one per bad device is
// bad luck, more is the machine.
const maxStuck = 2

// New makes a Reader. Nothing is started before the first [Reader.Sample].
func New(opts Options) *Reader {
	r := &Reader{opts: opts.withDefaults(), turn: make(chan struct{}, 1), suspect: map[int]*suspect{}}
	r.closing, r.cancel = context.WithCancel(context.Background())
	r.start = func() (*peer, error) {
		if len(r.opts.Child) == 0 {
			return startInside(open), nil
		}
		return startChild(r.opts.Child)
	}
	return r
}

// Read takes one sample and closes again: for a command that looks once.
func Read(ctx context.Context, opts Options) (Sample, error) {
	r := New(opts)
	// A sampler that cannot be ended has told so in the sample, and goes with the command.
	defer func() { _ = r.Close() }()
	return r.Sample(ctx)
}

// Sample asks for all devices. It returns an error only when ctx ends or the Reader is closed; everything that can be
// wrong with GPUs is in the sample. A healthy machine answers in milliseconds. A device that blocks costs
// Options.Timeout once (StartTimeout in a fresh sampler) before the others are told without it.
func (r *Reader) Sample(ctx context.Context) (Sample, error) {
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return Sample{}, ctx.Err()
	}
	if r.closing.Err() != nil {
		return Sample{}, ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(r.closing, cancel)()

	s, err := r.sample(ctx)
	if r.closing.Err() != nil {
		return Sample{}, ErrClosed
	}
	return s, err
}

// Close ends the sampler and returns when it is gone; one that the kernel holds is an error, after seconds.
func (r *Reader) Close() error {
	r.cancel()
	r.turn <- struct{}{}
	defer func() { <-r.turn }()
	r.closeOnce.Do(func() { r.drop(true) })
	if n := r.held(); n > 0 {
		return fmt.Errorf("closing the GPU reader: %d samplers hang in the driver and cannot be ended", n)
	}
	return nil
}

func (r *Reader) sample(ctx context.Context) (Sample, error) {
	if err := ctx.Err(); err != nil {
		return Sample{}, err
	}
	now := time.Now()
	if now.Before(r.recheck) {
		s := r.empty
		s.At = now
		return s, nil
	}
	if now.Before(r.retry) {
		return r.lost(), nil
	}
	crashed := wholeMachine
	for range 3 {
		s, err := r.ask(ctx)
		if err == nil {
			return r.accept(s), nil
		}
		if ctx.Err() != nil {
			return Sample{}, ctx.Err()
		}
		again := r.blame(err, &crashed)
		if !again {
			break
		}
	}
	r.failures++
	r.retry = time.Now().Add(r.opts.pause(r.failures))
	r.opts.Log.Error("GPUs cannot be read", "problem", r.problem, "failures", r.failures)
	return r.lost(), nil
}

// ask sends one request to the sampler, which is started if there is none.
func (r *Reader) ask(ctx context.Context) (Sample, error) {
	if r.peer != nil && r.peer.gone(0) {
		r.drop(false) // idle for long enough, or killed while nobody asked: both are quiet
	}
	if r.peer == nil {
		if r.held() >= maxStuck {
			return Sample{}, errors.New("samplers hang in the driver and cannot be ended; the machine needs a reboot")
		}
		started, err := r.start()
		if err != nil {
			return Sample{}, err
		}
		r.peer = started
	}
	patience := r.opts.Timeout
	if !r.peer.proven {
		patience = r.opts.StartTimeout
	}
	r.asked++
	ask := request{
		ID: r.asked, Library: r.opts.Library, NvidiaSMI: r.opts.NvidiaSMI,
		Processes: r.opts.Processes, Idle: r.opts.Idle,
	}
	now := time.Now()
	for index, s := range r.suspect {
		if now.Before(s.retry) {
			ask.Skip, ask.SkipOf = append(ask.Skip, index), s.of
		}
	}
	slices.Sort(ask.Skip)
	return r.peer.ask(ctx, ask, patience)
}

// blame finds out what a failed request says about which device, and whether asking again at once makes sense.
func (r *Reader) blame(err error, crashed *int) (again bool) {
	if r.peer == nil {
		r.problem = err.Error()
		return false
	}
	p := r.peer
	r.drop(false)
	one := p.at != wholeMachine
	switch {
	case errors.Is(err, errSilent) && one:
		r.accuse(p.at, p.of, "the driver blocked when this GPU was asked")
		return true
	case errors.Is(err, errSilent):
		r.problem = "the driver blocked when it was asked for the GPUs"
		return false
	}
	cause := err
	if p.gone(0) {
		cause = p.cause
	}
	r.problem = clean("the GPU sampler died: "+cause.Error(), 300)
	r.opts.Log.Warn("GPU sampler died", "problem", r.problem)
	if one && *crashed == p.at {
		r.accuse(p.at, p.of, "asking this GPU made the sampler die: "+cause.Error())
	}
	*crashed = p.at
	return true
}

// accuse leaves a device out of the next samples, for longer each time.
func (r *Reader) accuse(index, of int, problem string) {
	s := r.suspect[index]
	if s == nil || s.of != of {
		// Numbers from another count of devices may mean other devices: begin anew.
		for i, old := range r.suspect {
			if old.of != of {
				delete(r.suspect, i)
			}
		}
		s = &suspect{of: of}
		r.suspect[index] = s
	}
	s.times++
	s.problem = clean(problem, 300)
	s.retry = time.Now().Add(10 * r.opts.pause(s.times))
	r.problem = s.problem
	r.opts.Log.Error("GPU left out", "gpu", index, "problem", s.problem, "for", 10*r.opts.pause(s.times))
}

// accept takes a sample from the sampler into the memory.
func (r *Reader) accept(s Sample) Sample {
	r.failures, r.retry, r.problem = 0, time.Time{}, ""
	for i := range s.Devices {
		d := &s.Devices[i]
		left := r.suspect[d.Index]
		switch {
		case left == nil:
		case d.Problem == problemSkipped:
			d.Problem = left.problem
		default:
			delete(r.suspect, d.Index)
		}
	}
	if len(s.Devices) == 0 && len(r.memory.known) == 0 {
		r.drop(true)
		r.empty = s
		r.recheck = time.Now().Add(r.opts.Recheck)
		if s.Broken {
			r.recheck = time.Now().Add(min(r.opts.Recheck, maxBackoff*r.opts.Backoff))
			r.opts.Log.Error("GPUs cannot be read", "problem", s.Reason)
		}
		return s
	}
	before := slices.Clone(r.memory.known)
	if len(s.Devices) == 0 && s.Broken {
		told := r.memory.lost(s.Reason)
		s.Devices = told.Devices
	} else {
		s = r.memory.merge(s)
	}
	r.tell(before, s.Devices)
	return s
}

// tell logs the devices whose health changed.
func (r *Reader) tell(before, after []Device) {
	for _, d := range after {
		i := slices.IndexFunc(before, func(o Device) bool { return o.UUID == d.UUID && (d.UUID != "" || o.Index == d.Index) })
		was := i < 0 || before[i].Healthy
		switch {
		case was && !d.Healthy:
			r.opts.Log.Warn("GPU not well", "gpu", d.UUID, "index", d.Index, "problem", d.Problem)
		case !was && d.Healthy:
			r.opts.Log.Info("GPU well again", "gpu", d.UUID, "index", d.Index)
		}
	}
}

// lost is what can be said while nobody can be asked.
func (r *Reader) lost() Sample {
	s := r.memory.lost(r.problem)
	s.At, s.Source = time.Now(), SourceNone
	return s
}

// drop ends the sampler there is. One that stays is remembered until the kernel lets it go.
func (r *Reader) drop(kindly bool) {
	if r.peer == nil {
		return
	}
	if !r.peer.stop(kindly) {
		r.opts.Log.Error("GPU sampler cannot be ended", "pid", r.peer.pid)
		r.stuck = append(r.stuck, r.peer)
	}
	r.peer = nil
}

// held counts the samplers that are still stuck.
func (r *Reader) held() int {
	r.stuck = slices.DeleteFunc(r.stuck, func(p *peer) bool { return p.gone(0) })
	return len(r.stuck)
}
