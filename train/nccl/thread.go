//go:build linux && (amd64 || arm64) && !nogpu

package nccl

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

var (
	errAborted = errors.New("NCCL: it was given up")
	errStuck   = errors.New("NCCL: a call into the driver does not return; its thread is given up")
	errClosed  = errors.New("NCCL: it is closed")
)

// patience is how long a call may take to return after it was given up.
const patience = 5 * time.Second

// thread makes calls one after another on one thread of the system.
type thread struct {
	calls   chan func()
	once    sync.Once
	quit    chan struct{}
	aborted chan struct{} // closed when what runs is to be given up
	giveUp  atomic.Bool   // the same, quick to look at
	stuck   atomic.Bool
}

func newThread() *thread {
	t := &thread{calls: make(chan func()), quit: make(chan struct{}), aborted: make(chan struct{})}
	go t.run()
	return t
}

// run never gives the thread back to the runtime: CUDA has left its context there. It ends with the goroutine.
func (t *thread) run() {
	runtime.LockOSThread()
	for {
		select {
		case call := <-t.calls:
			call()
		case <-t.quit:
			return
		}
	}
}

// do makes a call and waits for it, unless it was given up and does not return for a while.
func (t *thread) do(call func() error) error {
	done := make(chan error, 1)
	if t.stuck.Load() {
		return errStuck
	}
	select {
	case t.calls <- func() { done <- call() }:
	case <-t.quit:
		return errClosed
	}
	select {
	case err := <-done:
		return err
	case <-t.aborted:
	}
	late := time.NewTimer(patience)
	defer late.Stop()
	select {
	case err := <-done:
		return err
	case <-late.C:
		t.stuck.Store(true)
		return errStuck
	}
}

// abort gives up what runs, and all that comes.
func (t *thread) abort() {
	if t.giveUp.CompareAndSwap(false, true) {
		close(t.aborted)
	}
}

func (t *thread) end() { t.once.Do(func() { close(t.quit) }) }

// poll asks until it is told that something is done, or that it failed. In between it sees whether it is to give up.
func (t *thread) poll(ask func() (done bool, err error)) error {
	pause := 5 * time.Microsecond
	for n := 0; ; n++ {
		done, err := ask()
		switch {
		case done || err != nil:
			return err
		case t.giveUp.Load():
			return errAborted
		case n < 100:
			runtime.Gosched()
		default:
			time.Sleep(pause)
			pause = min(2*pause, 200*time.Microsecond)
		}
	}
}
