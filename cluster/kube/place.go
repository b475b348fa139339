package kube

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/util/flowcontrol"
	"k8s.io/client-go/util/workqueue"

	"ainexus.io/nexus"
)

// Place is a cluster as a place where jobs run.
type Place struct {
	opts     Options
	log      *slog.Logger
	clients  *clients
	lease    *lease // nil: nobody else controls
	missing  missing
	view     *view
	foreign  foreigners
	scaler   scaler
	binder   binder
	queue    workqueue.TypedRateLimitingInterface[string] // uids of jobs that something is to be done about
	events   chan *corev1.Event
	warnings chan *corev1.Event      // those of them that tell what is amiss: the others do not crowd them out
	usual    flowcontrol.RateLimiter // of the Events that say nothing new
	born     time.Time               // with a monotonic reading: the clock never goes back

	ctx     context.Context
	cancel  context.CancelFunc
	read    chan struct{} // closed when everything there is was told, also to one who waits for his turn
	ready   chan struct{} // closed when everything there is was told, and we lead
	listed  atomic.Bool   // read is about to be closed: from now on each node that changes has waiting Jobs of others cut anew
	lost    chan struct{} // closed when we lead no longer
	working sync.WaitGroup
	start   sync.Once
	stop    sync.Once
}

// New reads how to reach the API server. Nothing is asked of it before [Place.Start].
func New(opts Options) (*Place, error) {
	opts = opts.withDefaults()
	c, err := config(opts.Kubeconfig)
	if err != nil {
		return nil, err
	}
	p := &Place{
		opts: opts, log: opts.Log.With("component", "kube"), view: newView(), born: time.Now(), ready: make(chan struct{}), read: make(chan struct{}), lost: make(chan struct{}), events: make(chan *corev1.Event, 1000), warnings: make(chan *corev1.Event, 1000),
		usual: flowcontrol.NewTokenBucketRateLimiter(usualRate, usualBurst),
		queue: workqueue.NewTypedRateLimitingQueue(workqueue.NewTypedItemExponentialFailureRateLimiter[string](50*time.Millisecond, 30*time.Second)),
	}
	p.view.defaults, p.view.images.standard = opts.Defaults, opts.Image
	p.ctx, p.cancel = context.WithCancel(context.Background())
	if p.clients, err = newClients(c, func(next http.RoundTripper) http.RoundTripper { return &gate{next, p} }); err != nil {
		return nil, err
	}
	if !opts.Alone {
		p.lease = newLease(p.clients.coordination, cmp.Or(opts.Namespace, ownNamespace(opts.Kubeconfig)), opts.LeaseDuration)
	}
	return p, nil
}

// Start watches the cluster and, when no other controller leads, goes on with every attempt that the records say is alive. It
// returns at once.
func (p *Place) Start() {
	p.start.Do(func() {
		p.watch()
		for range p.opts.Workers {
			p.working.Go(func() {
				select {
				case <-p.ready: // before that, what is not there may only not have been told
					p.work()
				case <-p.ctx.Done():
				}
			})
		}
		p.working.Go(p.post)
		p.working.Go(p.refresh)
	})
}

// Stop lets go of everything, of the lease last. Jobs run on. It may be called more than once.
func (p *Place) Stop() error {
	p.stop.Do(func() {
		p.cancel()
		p.queue.ShutDown()
		p.working.Wait()
		if p.lease == nil {
			return
		}
		ctx, cancel := context.WithTimeout(context.Background(), releasePatience)
		defer cancel()
		if err := p.lease.release(ctx); err != nil {
			p.log.Warn("releasing the Lease: others will wait for its end", "error", err)
		}
	})
	return nil
}

// releasePatience bounds what a hand-over may take.
const releasePatience = 5 * time.Second

// Lost is closed when another controller may lead: then this one writes nothing more, and is to be stopped.
func (p *Place) Lost() <-chan struct{} { return p.lost }

// lead waits until nobody else leads, and gives up when that is no longer certain.
func (p *Place) lead() {
	begin := func() {
		select {
		case <-p.read:
			close(p.ready)
		case <-p.ctx.Done():
		}
	}
	if p.lease == nil {
		begin()
		return
	}
	if p.lease.acquire(p.ctx, func(why string) { p.log.Warn("no Lease yet", "lease", p.lease.namespace+"/"+leaseName, "error", why) }) != nil {
		return
	}
	p.log.Info("leads", "lease", p.lease.namespace+"/"+leaseName, "identity", p.lease.identity)
	p.working.Go(begin)
	if err := p.lease.keep(p.ctx); err != nil {
		p.log.Error("leads no longer, and stops", "error", err)
		close(p.lost)
		p.cancel()
	}
}

// Now is the time of this place. It never goes back.
func (p *Place) Now() time.Time { return p.born.Add(time.Since(p.born)).Round(0).UTC() }

// Read is closed when everything that there is was told once, also to a controller that waits for its turn.
func (p *Place) Read() <-chan struct{} { return p.read }

// Ready is closed when everything that there is was told once and no other controller leads.
func (p *Place) Ready() <-chan struct{} { return p.ready }

// Changes blocks until something changed since the last call and returns it: everything there is at first, then each
// job and node as they now stand. When [Place.Now] reaches until (zero: no limit) it returns an empty delta.
func (p *Place) Changes(ctx context.Context, until time.Time) (nexus.Delta, error) {
	select {
	case <-p.ready:
	case <-ctx.Done():
		return nexus.Delta{}, ctx.Err()
	}
	patience := time.Duration(-1)
	if !until.IsZero() {
		patience = max(0, until.Sub(p.Now()))
	}
	return p.view.wait(ctx, patience)
}

// work does what is to be done, job by job; two of them never have the same job.
func (p *Place) work() {
	for {
		id, over := p.queue.Get()
		if over {
			return
		}
		again, err := p.step(p.ctx, id)
		switch {
		case p.ctx.Err() != nil:
		case err != nil:
			p.log.Error("going on with a job", "job", id, "error", err)
			p.queue.AddRateLimited(id)
		default:
			p.queue.Forget(id)
			if again > 0 {
				p.queue.AddAfter(id, again)
			}
		}
		p.queue.Done(id)
	}
}
