//go:build linux && (amd64 || arm64) && !nogpu

package nccl

import (
	"errors"
	"fmt"
	"runtime"
	"time"
	"unsafe"

	"ainexus.io/train/collective"
)

// chunk is how much of a buffer is on the GPU at a time.
const chunk = 32 << 20

// carrier is one rank's communicator and what it holds of its GPU. All below thread is that thread's alone.
type carrier struct {
	*thread
	nccl   *library
	cuda   *cuda
	device int32

	context     uintptr
	stream      uintptr
	comm        comm
	rank, size  int
	in, out     devicePtr
	inHas, outH uint64
	failed      error // why the communicator is of no use any more
}

// Find makes a carrier for this rank; see [Find].
func (o Options) Find(localRank, localSize int) (collective.Carrier, error) {
	driver, err := openCUDA(o.CUDA)
	if err != nil {
		return nil, err
	}
	lib, err := openNCCL(o.NCCL)
	if err != nil {
		return nil, err
	}
	c := &carrier{thread: newThread(), nccl: lib, cuda: driver}
	err = c.do(func() error {
		if c.device, err = driver.choose(localRank, localSize); err != nil {
			return err
		}
		if err := driver.err("making a context", driver.retain(&c.context, c.device)); err != nil {
			return err
		}
		if err := driver.err("taking the context", driver.setCurrent(c.context)); err != nil {
			return err
		}
		const nonBlocking = 1 // towards the default stream
		return driver.err("making a stream", driver.streamCreate(&c.stream, nonBlocking))
	})
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// ID makes the id of a new communicator.
func (c *carrier) ID() ([]byte, error) {
	var id uniqueID
	err := c.do(func() error { return c.nccl.err("making an id", c.nccl.newID(&id)) })
	return id.internal[:], err
}

// Join meets the other ranks.
func (c *carrier) Join(id []byte, rank, size int) error {
	var unique uniqueID
	if len(id) != len(unique.internal) {
		return fmt.Errorf("an id of NCCL has %d bytes, not %d", len(unique.internal), len(id))
	}
	copy(unique.internal[:], id)
	c.rank, c.size = rank, size
	return c.do(func() error {
		const doing = "joining the other ranks"
		if c.nccl.initConfig == nil {
			return c.fail(c.nccl.err(doing, c.nccl.initRank(&c.comm, int32(size), unique, int32(rank))))
		}
		if err := c.nccl.err(doing, c.nccl.initConfig(&c.comm, int32(size), unique, int32(rank), newConfig())); err != nil {
			return c.fail(err)
		}
		return c.fail(c.settled(doing))
	})
}

// fail keeps the first error: after it the communicator is aborted, and no call is made any more.
func (c *carrier) fail(err error) error {
	if err != nil && c.failed == nil {
		c.failed = err
		if c.comm != 0 {
			c.nccl.abort(c.comm)
			c.comm = 0
		}
	}
	return err
}

// settled waits until the last call is done as far as NCCL is concerned: its kernels may still run.
func (c *carrier) settled(doing string) error {
	return c.poll(func() (bool, error) {
		var state status
		if err := c.nccl.err(doing, c.nccl.asyncError(c.comm, &state)); err != nil {
			return false, err
		}
		return state != ncclInProgress, c.nccl.err(doing, state)
	})
}

// call makes one call of NCCL and sees it through.
func (c *carrier) call(doing string, rc status) error {
	if rc == ncclInProgress {
		return c.settled(doing)
	}
	return c.nccl.err(doing, rc)
}

// finished waits for the stream, watching for errors that come from elsewhere.
func (c *carrier) finished(doing string) error {
	return c.poll(func() (bool, error) {
		rc := c.cuda.streamQuery(c.stream)
		if rc != cudaNotReady {
			return true, c.cuda.err(doing, rc)
		}
		var state status
		if err := c.nccl.err(doing, c.nccl.asyncError(c.comm, &state)); err != nil {
			return false, err
		}
		return false, c.nccl.err(doing, state)
	})
}

// run makes a collective on the thread: steps puts work on the stream. The host's memory is held in place until the stream has
// let go of it; if it never does, for ever.
func (c *carrier) run(doing string, steps func() error, buffers ...[]byte) error {
	return c.do(func() error {
		switch {
		case c.failed != nil:
			return c.failed
		case c.comm == 0:
			return errClosed
		case c.giveUp.Load():
			return c.fail(errAborted)
		}
		var hold runtime.Pinner
		for _, b := range buffers {
			if len(b) > 0 {
				hold.Pin(&b[0])
			}
		}
		err := steps()
		if err == nil {
			err = c.finished(doing)
		}
		c.fail(err)
		if err == nil || c.drained() {
			hold.Unpin()
		}
		return err
	})
}

// drained waits a moment for a stream whose communicator was aborted.
func (c *carrier) drained() bool {
	for late := time.Now().Add(patience / 2); c.cuda.streamQuery(c.stream) == cudaNotReady; time.Sleep(100 * time.Microsecond) {
		if time.Now().After(late) {
			return false
		}
	}
	return true
}

// room makes a buffer on the GPU at least so large.
func (c *carrier) room(ptr *devicePtr, has *uint64, bytes int) error {
	if *has >= uint64(bytes) {
		return nil
	}
	if *ptr != 0 {
		if err := c.cuda.err("freeing memory", c.cuda.free(*ptr)); err != nil {
			return err
		}
		*ptr, *has = 0, 0
	}
	if err := c.cuda.err(fmt.Sprintf("taking %d bytes of memory", bytes), c.cuda.alloc(ptr, uint64(bytes))); err != nil {
		return err
	}
	*has = uint64(bytes)
	return nil
}

func (c *carrier) send(to devicePtr, from []byte) error {
	return c.cuda.err("copying to the GPU", c.cuda.toDevice(to, unsafe.Pointer(&from[0]), uint64(len(from)), c.stream))
}

func (c *carrier) fetch(to []byte, from devicePtr) error {
	return c.cuda.err("copying from the GPU", c.cuda.toHost(unsafe.Pointer(&to[0]), from, uint64(len(to)), c.stream))
}

// Abort gives up what runs, and all that comes.
func (c *carrier) Abort() { c.abort() }

// Close gives everything back. A communicator that is well is ended in agreement with the others, if they are quick about it.
func (c *carrier) Close() error {
	defer c.end()
	late := time.AfterFunc(patience, c.abort)
	defer late.Stop()
	err := c.do(func() error {
		err := c.leave()
		for _, ptr := range []devicePtr{c.in, c.out} {
			if ptr != 0 {
				err = errors.Join(err, c.cuda.err("freeing memory", c.cuda.free(ptr)))
			}
		}
		if c.stream != 0 {
			err = errors.Join(err, c.cuda.err("ending the stream", c.cuda.streamEnd(c.stream)))
		}
		if c.context != 0 {
			err = errors.Join(err, c.cuda.err("giving the context back", c.cuda.release(c.device)))
		}
		c.in, c.out, c.stream, c.context = 0, 0, 0, 0
		return err
	})
	if errors.Is(err, errClosed) {
		return nil
	}
	return err
}

// leave ends the communicator.
func (c *carrier) leave() error {
	if c.comm == 0 {
		return nil
	}
	const doing = "leaving"
	if c.nccl.finalize != nil && !c.giveUp.Load() {
		if err := c.call(doing, c.nccl.finalize(c.comm)); err != nil {
			return c.fail(err)
		}
	}
	if c.giveUp.Load() {
		return c.fail(errAborted)
	}
	err := c.nccl.err(doing, c.nccl.destroy(c.comm))
	c.comm = 0
	return err
}
