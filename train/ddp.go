package train

import (
	"errors"
	"fmt"
	"sync"
	"sync/atomic"

	"ainexus.io/train/collective"
)

// DDP keeps the replicas of a model equal: it averages gradients over all ranks while the backward pass still computes.
//
// The backward pass yields gradients from the last layer to the first, so parameters are put into buckets in reverse
// order. When all gradients of a bucket are marked ready, and the buckets before it have gone, it travels in the
// background. Buckets go in the same order on every rank, whatever the order of the marks.
type DDP struct {
	t       *Trainer
	buckets []*bucket
	bucket  map[*Param]*bucket

	mu     sync.Mutex
	marked map[*Param]bool
	twice  string // a parameter that was marked twice
	next   int    // buckets handed over to the sender
	active atomic.Bool

	send   chan *bucket
	sent   chan error // one per Sync: the first error of all buckets
	owned  sync.WaitGroup
	agreed struct{ fresh, stop bool } // the stop flag that rode along with the last Sync
}

// bucket is a piece of memory in which gradients travel together.
type bucket struct {
	params  []*Param
	buf     []float32
	pending int          // gradients not yet marked
	last    bool         // it has a place for the stop flag at its end
	arrived atomic.Int64 // how often it has been averaged
}

// Wrap makes params the model of this run: rank 0's values are copied to all ranks, missing gradients are made, and a
// checkpoint holds the parameters and the optimizer, which may be nil. All ranks call it once, with the same shapes.
func (t *Trainer) Wrap(params []*Param, optimizer Optimizer) (*DDP, error) {
	if t.ddp != nil {
		return nil, errors.New("a model is wrapped already")
	}
	if err := checkParams(params); err != nil {
		return nil, err
	}
	for _, p := range params {
		if err := collective.Broadcast(t.group, p.Data, 0); err != nil {
			return nil, fmt.Errorf("copying parameter %q from rank 0: %w", p.Name, err)
		}
	}
	d := &DDP{t: t, bucket: make(map[*Param]*bucket), marked: make(map[*Param]bool)}
	d.fill(params, t.opts.BucketBytes/4)
	d.send, d.sent = make(chan *bucket, len(d.buckets)), make(chan error, 1)
	d.rearm()
	d.owned.Go(d.serve)
	t.params, t.optimizer, t.ddp = params, optimizer, d
	return d, nil
}

// fill deals params out to buckets of about size values, last parameters first.
func (d *DDP) fill(params []*Param, size int) {
	b := &bucket{}
	room := 0
	for i := len(params) - 1; i >= 0; i-- {
		p := params[i]
		if len(b.params) > 0 && room+len(p.Data) > size {
			d.buckets = append(d.buckets, b)
			b, room = &bucket{}, 0
		}
		b.params = append(b.params, p)
		d.bucket[p] = b
		room += len(p.Data)
	}
	b.last = true
	d.buckets = append(d.buckets, b)
	for _, b := range d.buckets {
		b.lay()
	}
}

// lay makes the bucket's memory; gradients that are nil are laid into it.
func (b *bucket) lay() {
	total := 0
	for _, p := range b.params {
		total += len(p.Data)
	}
	if b.last {
		total++
	}
	b.buf = make([]float32, total)
	b.each(func(p *Param, place []float32) {
		if p.Grad == nil {
			p.Grad = place
		}
	})
}

// each walks over the bucket's parameters and their places.
func (b *bucket) each(f func(p *Param, place []float32)) {
	at := 0
	for _, p := range b.params {
		f(p, b.buf[at:at+len(p.Data):at+len(p.Data)])
		at += len(p.Data)
	}
}

func copyIn(p *Param, place []float32) {
	if !same(p.Grad, place) {
		copy(place, p.Grad)
	}
}

func copyOut(p *Param, place []float32) {
	if !same(p.Grad, place) {
		copy(p.Grad, place)
	}
}

// same reports whether a gradient lives in its place.
func same(a, b []float32) bool { return len(a) == 0 || &a[0] == &b[0] }

// rearm gets ready for the next backward pass.
func (d *DDP) rearm() {
	for _, b := range d.buckets {
		b.pending = len(b.params)
	}
	clear(d.marked)
	d.twice, d.next = "", 0
}

// MarkReady says that the gradient of p is complete and may travel. Nobody may touch it until Sync. It may be called from
// any goroutine, once per parameter and backward pass; with several passes per step, in the last one only.
func (d *DDP) MarkReady(p *Param) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.mark(p)
}

func (d *DDP) mark(p *Param) {
	b := d.bucket[p]
	if b == nil || d.marked[p] {
		if d.twice == "" {
			d.twice = p.Name
		}
		return
	}
	d.marked[p] = true
	b.pending--
	for d.next < len(d.buckets) && d.buckets[d.next].pending == 0 {
		d.active.Store(true)
		d.send <- d.buckets[d.next] // has room for all
		d.next++
	}
}

// Sync returns when every gradient is the mean over all ranks. Parameters that were not marked count as ready now. All
// ranks call it once per step.
func (d *DDP) Sync() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, b := range d.buckets {
		for _, p := range b.params {
			if !d.marked[p] {
				d.mark(p)
			}
		}
	}
	if len(d.buckets) == 1 && len(d.buckets[0].params) == 0 { // a model without parameters
		d.send <- d.buckets[0]
	}
	over := d.t.pace.waiting()
	err := <-d.sent
	over()
	d.t.saves.taken() // the caller may change the parameters now
	twice := d.twice
	d.rearm()
	d.active.Store(false)
	if err == nil && twice != "" {
		return fmt.Errorf("the gradient of %q was marked ready twice, or is not of the wrapped model", twice)
	}
	return err
}

// underway reports whether a bucket has gone since the last Sync.
func (d *DDP) underway() bool { return d.active.Load() }

// serve averages buckets as they come. After the last one of a pass it reports.
func (d *DDP) serve() {
	var failed error
	for b := range d.send {
		if failed == nil {
			failed = d.average(b)
		}
		if b.last {
			d.sent <- failed
			failed = nil
		}
	}
}

// average sends one bucket around. The last one carries whether this rank was asked to stop: the sum tells all of them
// at the same step, for nothing.
func (d *DDP) average(b *bucket) error {
	for _, p := range b.params {
		if len(p.Grad) != len(p.Data) {
			return fmt.Errorf("parameter %q has %d values and %d gradients", p.Name, len(p.Data), len(p.Grad))
		}
	}
	b.each(copyIn)
	flag := len(b.buf) - 1
	if b.last {
		b.buf[flag] = 0
		if d.t.stopping.Load() {
			b.buf[flag] = 1
		}
	}
	if err := collective.AllReduce(d.t.group, b.buf, collective.Mean); err != nil {
		return err
	}
	if b.last {
		d.agreed.fresh, d.agreed.stop = true, b.buf[flag] > 0
	}
	b.each(copyOut)
	b.arrived.Add(1)
	return nil
}

// close ends the background goroutine. The group may be broken, never busy with us for long: stop closes it next.
func (d *DDP) close() {
	close(d.send)
	d.owned.Wait()
}
