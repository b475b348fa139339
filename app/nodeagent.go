package app

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"time"

	"ainexus.io/cluster/kube"
	"ainexus.io/gpu"
	"ainexus.io/metrics"
	"ainexus.io/nexus"
)

// NodeAgentOptions are the settings of a [NodeAgent].
type NodeAgentOptions struct {
	// Node is the name of the node that is told about. Default: nobody is told.
	Node string
	// Kubeconfig is the path of the file that says how to reach the API server. Default: as a pod does.
	Kubeconfig string
	// Listen is the host:port of /health and /ready, and Metrics that of /metrics. Default: they are not served.
	Listen, Metrics string
	// NVMLLibrary is the path of NVIDIA's management library. Default: where it usually is.
	NVMLLibrary string
	// Sampler is the argv of the child that asks the driver. Default: this process asks.
	Sampler []string
	// Period is the pause between two readings. Default: 5 s.
	Period time.Duration
	// Logger gets what an operator would act on. Default: nothing.
	Logger *slog.Logger
}

// NodeAgent reads the GPUs of a node of a Kubernetes cluster, serves them to Prometheus, and tells the API server what
// they are where nobody else does.
type NodeAgent struct {
	opts     NodeAgentOptions
	reader   *gpu.Reader
	announce *kube.Announcer // nil: nobody is told
	doors    []*door
	life     *life

	mu   sync.Mutex
	last gpu.Sample
	read time.Time // when; zero: never
}

// NewNodeAgent opens the ports and reads how to reach the API server. Nothing is read before [NodeAgent.Start].
func NewNodeAgent(opts NodeAgentOptions) (*NodeAgent, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	if opts.Period <= 0 {
		opts.Period = 5 * time.Second
	}
	a := &NodeAgent{opts: opts, life: newLife()}
	a.reader = gpu.New(gpu.Options{Library: opts.NVMLLibrary, Child: opts.Sampler, Log: opts.Logger.With("component", "gpu")})
	var err error
	if opts.Node != "" {
		if a.announce, err = kube.NewAnnouncer(opts.Kubeconfig, opts.Node); err != nil {
			return nil, err
		}
	}
	a.doors, err = openDoors(opts.Logger, opening{opts.Listen, probes(a.unready)}, opening{opts.Metrics, metricsOnly(metrics.Hardware(a.devices))})
	if err != nil {
		return nil, err
	}
	return a, nil
}

// Start reads and tells, again and again. It returns at once; a second call does nothing.
func (a *NodeAgent) Start() {
	a.life.start.Do(func() {
		for _, d := range a.doors {
			d.start()
		}
		a.life.running.Go(a.watch)
	})
}

// Stop ends the readings. It may be called more than once.
func (a *NodeAgent) Stop() error {
	a.life.stop.Do(func() {
		a.life.cancel()
		a.life.running.Wait()
		a.life.err = a.reader.Close()
		for _, d := range a.doors {
			a.life.err = errors.Join(a.life.err, d.stop())
		}
		close(a.life.done)
	})
	<-a.life.done
	return a.life.err
}

// Addrs are the host:port of /health and /ready and of /metrics, empty where they are not served.
func (a *NodeAgent) Addrs() (probes, metrics string) { return a.doors[0].addr(), a.doors[1].addr() }

// Facts about how often the API server is told.
const (
	announceAnew = 5 * time.Minute // also when nothing changed: labels may have come or somebody took it away
	announceMost = 5 * time.Minute // the longest pause after failures
)

// watch reads every period, and tells what changed.
func (a *NodeAgent) watch() {
	tick := time.NewTicker(a.opts.Period)
	defer tick.Stop()
	var told []kube.GPUFact
	var next time.Time // when to tell also what did not change
	pause := a.opts.Period
	for {
		sample, err := a.reader.Sample(a.life.ctx)
		if err != nil { // only because it ends
			return
		}
		a.mu.Lock()
		a.last, a.read = sample, time.Now()
		a.mu.Unlock()
		if facts := factsOf(sample); a.announce != nil && (time.Now().After(next) || pause == a.opts.Period && !slices.Equal(facts, told)) {
			if err := a.announce.Announce(a.life.ctx, facts); err == nil {
				told, next, pause = facts, time.Now().Add(announceAnew), a.opts.Period
			} else if a.life.ctx.Err() == nil {
				pause = min(2*pause, announceMost)
				next = time.Now().Add(pause)
				a.opts.Logger.Error("the node cannot be told about its GPUs", "node", a.opts.Node, "again", pause, "error", err)
			}
		}
		select {
		case <-tick.C:
		case <-a.life.ctx.Done():
			return
		}
	}
}

// unready says why there are no readings; a node without GPUs is ready, and so is one whose GPUs are unwell: who reads
// the series has to see that.
func (a *NodeAgent) unready() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.read.IsZero():
		return "the GPUs have not been read yet"
	case a.last.Broken && len(a.last.Devices) == 0:
		return a.last.Reason
	}
	return ""
}

// stale is for how long a reading is shown. Older ones are dropped: an old temperature told as today's would be a lie.
const stale = 6 // periods

func (a *NodeAgent) devices(context.Context) []metrics.Device {
	a.mu.Lock()
	defer a.mu.Unlock()
	if time.Since(a.read) > stale*max(a.opts.Period, time.Second) {
		return nil
	}
	return seriesOf(a.last)
}

// seriesOf are the devices as metrics tells of them.
func seriesOf(sample gpu.Sample) []metrics.Device {
	list := make([]metrics.Device, len(sample.Devices))
	for i, d := range sample.Devices {
		list[i] = metrics.Device{
			UUID: d.UUID, Model: d.Model, Driver: sample.Driver, Used: nexus.MiB(d.UsedMiB), Total: nexus.MiB(d.MemoryMiB),
			UtilPercent: d.Utilisation, TemperatureC: d.TemperatureC, PowerMW: int64(d.PowerMilliwatts),
			PowerLimitMW: int64(d.PowerLimitMilliwatts), Healthy: d.Healthy,
		}
	}
	return list
}

// factsOf are what the devices are and whether they are well.
func factsOf(sample gpu.Sample) []kube.GPUFact {
	var facts []kube.GPUFact
	for _, d := range sample.Devices {
		facts = append(facts, kube.GPUFact{UUID: d.UUID, Model: d.Model, MiB: d.MemoryMiB, Healthy: d.Healthy, Problem: d.Problem})
	}
	return facts
}
