package app

import (
	"context"
	"errors"
	"sync"
	"time"
)

// stopPatience bounds how long requests under way may hold up the end of the daemon.
const stopPatience = 5 * time.Second

// life is what of a daemon runs.
type life struct {
	open    func() // serves what was listened to last
	ctx     context.Context
	cancel  context.CancelFunc
	running sync.WaitGroup
	start   sync.Once
	stop    sync.Once
	done    chan struct{}
	err     error // once done is closed
}

func newLife() *life {
	l := &life{done: make(chan struct{})}
	l.ctx, l.cancel = context.WithCancel(context.Background())
	return l
}

// Start goes on with the jobs that live, plans, and answers requests. It returns at once; a second call does nothing.
func (d *Daemon) Start() {
	d.life.start.Do(func() {
		d.place.Start()
		d.life.running.Go(func() {
			_ = d.engine.Run(d.life.ctx) // it ends with the context only
		})
		d.life.open()
		d.scrapes[0].start()
		if d.opts.ExitWhenIdle > 0 {
			go d.leaveWhenIdle() // ends with the daemon, which it may be the one to stop
		}
		d.opts.Logger.Info("daemon started", "state", d.opts.State, "address", d.Addr())
	})
}

// Stop ends the daemon in the reverse order of its start: no more requests, no more plans, then the records are
// closed. Agents and workers run on. It may be called more than once and by several at a time, and takes seconds at
// most.
func (d *Daemon) Stop() error {
	d.life.stop.Do(func() {
		server := d.stopServing()
		d.life.cancel()
		d.life.running.Wait()
		d.life.err = errors.Join(server, d.closeScrapes(), d.closeJournal(), d.place.Stop(), d.closeReader())
		d.opts.Logger.Info("daemon stopped", "state", d.opts.State)
		close(d.life.done)
	})
	<-d.life.done
	return d.life.err
}

// Done is closed when the daemon has stopped, by [Daemon.Stop] or because it was idle.
func (d *Daemon) Done() <-chan struct{} { return d.life.done }

// Wait returns when the daemon has stopped, with what went wrong at that.
func (d *Daemon) Wait() error {
	<-d.life.done
	return d.life.err
}

func (d *Daemon) stopServing() error {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	d.mu.Lock()
	server := d.server
	d.mu.Unlock()
	return server.Stop(ctx)
}

// leaveWhenIdle stops the daemon once no job has lived or waited and nobody has asked for long enough.
func (d *Daemon) leaveWhenIdle() {
	patience := d.opts.ExitWhenIdle
	tick := time.NewTicker(max(patience/10, 10*time.Millisecond))
	defer tick.Stop()
	idle := time.Now()
	for {
		select {
		case <-d.life.done:
			return
		case <-d.life.ctx.Done():
			return
		case <-tick.C:
		}
		d.mu.Lock()
		active, last := d.server.Activity()
		d.mu.Unlock()
		if active > 0 || !d.place.Idle() {
			idle = time.Now()
			continue
		}
		if time.Since(idle) < patience || time.Since(last) < patience {
			continue
		}
		if d.closeDoor() {
			_ = d.Stop() // Wait tells
			return
		}
		idle = time.Now()
	}
}

// closeDoor stops serving, and opens again where a job came in at the last moment: an acknowledged job must not be
// left behind by a daemon that goes. It reports whether the daemon may go.
func (d *Daemon) closeDoor() bool {
	if err := d.stopServing(); err != nil {
		d.opts.Logger.Warn("requests were cut off", "error", err)
	}
	if d.place.Idle() {
		return true
	}
	if err := d.listen(); err != nil {
		d.opts.Logger.Error("the socket cannot be opened again; ending, jobs that wait will start with the next daemon", "error", err)
		return true
	}
	d.life.open()
	return false
}
