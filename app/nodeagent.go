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
	// PodResources is the kubelet's socket, which says which pod has which device. Default: nobody is asked.
	PodResources string
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
	announce *kube.Announcer    // nil: nobody is told
	pods     *kube.PodResources // nil: nobody is asked
	doors    []*door
	life     *life
	trouble  string // with the kubelet, last; of the goroutine that watches

	mu   sync.Mutex
	last gpu.Sample
	read time.Time // when; zero: never
	held []metrics.PodDevice
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
	if opts.PodResources != "" {
		a.pods = kube.NewPodResources(opts.PodResources)
	}
	a.doors, err = openDoors(opts.Logger, opening{opts.Listen, probes(a.standing)}, opening{opts.Metrics, metricsOnly(metrics.Hardware(a.devices, a.holders))})
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
		a.askPods()
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

// askPods asks the kubelet who has which device. While it does not say, nobody has: who it was before is not known to hold.
func (a *NodeAgent) askPods() {
	if a.pods == nil {
		return
	}
	ctx, cancel := context.WithTimeout(a.life.ctx, a.opts.Period)
	defer cancel()
	devices, err := a.pods.Devices(ctx)
	trouble := ""
	if err != nil {
		trouble = err.Error()
	}
	if trouble != a.trouble && trouble != "" && a.life.ctx.Err() == nil { // told once, not every period
		a.opts.Logger.Warn("it is not known which pod has which GPU", "error", err)
	}
	a.trouble = trouble
	var held []metrics.PodDevice
	for _, d := range devices {
		held = append(held, metrics.PodDevice{Namespace: d.Namespace, Pod: d.Pod, UUID: d.ID})
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.held = held
}

func (a *NodeAgent) holders() []metrics.PodDevice {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.held
}

// standing says whether there are readings. A node without GPUs is ready, and so is one whose GPUs are unwell: who reads the
// series has to see that.
func (a *NodeAgent) standing() (ready bool, words string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	switch {
	case a.read.IsZero():
		return false, "the GPUs have not been read yet"
	case a.last.Broken && len(a.last.Devices) == 0:
		return false, a.last.Reason
	}
	return true, "GPUs are read"
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
