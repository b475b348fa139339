package app

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"ainexus.io/cluster/kube"
	"ainexus.io/engine"
	"ainexus.io/metrics"
	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

// ControllerOptions are the settings of a controller.
type ControllerOptions struct {
	// Kubeconfig is the path of the file that says how to reach the API server. Default: as a pod does.
	Kubeconfig string
	// Namespace is the only one whose jobs run. Default: all.
	Namespace string
	// Nodes is a selector of labels: the nodes that jobs may have. Default: all.
	Nodes string
	// Image is what pods run whose job names none. Default: such jobs fail.
	Image string
	// LauncherImage holds the static program that is copied into the pods. Default: pods run their command as it is.
	LauncherImage string
	// Lost is how long the node of a pod may be unreachable before the job goes elsewhere. Default: 1 min.
	Lost time.Duration
	// Stuck is how long containers of a job may be impossible to start before the job fails. Default: 10 min.
	Stuck time.Duration
	// Alone says that no other controller runs, so no Lease is taken.
	Alone bool
	// LeaseDuration is how long others wait for a controller that is gone without a word. Default: 15 s.
	LeaseDuration time.Duration
	// Templates are nodes that an autoscaler may add, as "gpus=8,gpu_model=NVIDIA-H100-80GB-HBM3,gpu_memory=80GiB,cpu=64,memory=512GiB".
	// Default: nodes like those there are.
	Templates []string
	// Defaults are what jobs get that they leave out, as YAML (docs/chart.md). Default: what the job file says.
	Defaults []byte
	// ScaleUpTimeout is how long a job of a queue with scale_up waits for one. Default: 10 min.
	ScaleUpTimeout time.Duration
	// Backoff is the first pause after an attempt that was lost. Default: 1 s.
	Backoff time.Duration
	// Custom is where the metrics are served that autoscalers want. Default: they are not.
	Custom GPUMetricsOptions
	// Listen is the host:port of /health and /ready, and Metrics that of /metrics. Default: they are not served.
	Listen, Metrics string
	// Observers are told of each cycle. Default: nobody.
	Observers []engine.Observer
	// Logger gets what an operator would act on. Default: nothing.
	Logger *slog.Logger
}

// Controller is the engine over a Kubernetes cluster.
type Controller struct {
	place  *kube.Place
	custom custom
	engine *engine.Engine
	doors  []*door
	log    *slog.Logger
	life   *life
}

// NewController reads how to reach the API server and opens its ports. Nothing is asked of the API server before
// [Controller.Start].
func NewController(opts ControllerOptions) (*Controller, error) {
	if opts.Logger == nil {
		opts.Logger = slog.New(slog.DiscardHandler)
	}
	var templates []nexus.Node
	for _, text := range opts.Templates {
		t, err := kube.ParseTemplate(text)
		if err != nil {
			return nil, err
		}
		templates = append(templates, t)
	}
	defaults, err := kube.ParseDefaults(opts.Defaults)
	if err != nil {
		return nil, err
	}
	tally := &lateTally{}
	place, err := kube.New(kube.Options{
		Kubeconfig: opts.Kubeconfig, Namespace: opts.Namespace, Nodes: opts.Nodes, Image: opts.Image, LauncherImage: opts.LauncherImage,
		Alone: opts.Alone, LeaseDuration: opts.LeaseDuration, Lost: opts.Lost, Stuck: opts.Stuck, Backoff: opts.Backoff, Templates: templates, ScaleUpTimeout: opts.ScaleUpTimeout,
		Defaults: defaults,
		Tally:    tally, Log: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	custom, err := openCustom(opts)
	if err != nil {
		return nil, errors.Join(err, place.Stop())
	}
	counts := metrics.New(jobsOnly{place})
	tally.to = counts
	observers := append([]engine.Observer{counter{counts}}, opts.Observers...)
	c := &Controller{place: place, custom: custom, engine: engine.New(place, policy.Default(), observers, opts.Logger), log: opts.Logger, life: newLife()}
	c.doors, err = openDoors(opts.Logger, opening{opts.Listen, probes(c.standing)}, opening{opts.Metrics, metricsOnly(counts.Handler())})
	if err != nil {
		return nil, errors.Join(err, custom.stop(), place.Stop())
	}
	return c, nil
}

// standing says whether the controller is ready, and what it does. One that waits for its turn is: it can take over.
func (c *Controller) standing() (ready bool, words string) {
	switch {
	case closed(c.place.Lost()):
		return false, "another controller may lead"
	case !closed(c.place.Read()):
		return false, "the cluster has not been read yet"
	case !closed(c.place.Ready()):
		return true, "stands by"
	}
	return true, "leads"
}

func closed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// Addrs are the host:port of /health and /ready and of /metrics, empty where they are not served.
func (c *Controller) Addrs() (probes, metrics string) { return c.doors[0].addr(), c.doors[1].addr() }

// jobsOnly lets metrics ask the place: the devices are told by the agents of their nodes, and the jobs by who leads, so that
// two controllers do not tell of each twice.
type jobsOnly struct{ *kube.Place }

// Counts are how many jobs there are in each phase.
func (j jobsOnly) Counts() map[nexus.Phase]int {
	if !closed(j.Ready()) {
		return nil
	}
	return j.Place.Counts()
}

// Live are the jobs that are not over.
func (j jobsOnly) Live() []nexus.Job {
	if !closed(j.Ready()) {
		return nil
	}
	return j.Place.Live()
}

// Devices are none.
func (jobsOnly) Devices(context.Context) []metrics.Device { return nil }

// Start goes on with the jobs that live, and plans. It returns at once; a second call does nothing.
func (c *Controller) Start() {
	c.life.start.Do(func() {
		c.place.Start()
		c.custom.start()
		for _, d := range c.doors {
			d.start()
		}
		c.life.running.Go(func() {
			_ = c.engine.Run(c.life.ctx) // it ends with the context only
		})
		c.life.running.Go(c.foretell)
		c.log.Info("controller started")
	})
}

// Lost is closed when another controller may lead: then this one does nothing more, and is to be stopped.
func (c *Controller) Lost() <-chan struct{} { return c.place.Lost() }

// Ready is closed when everything that there is was read once and no other controller leads.
func (c *Controller) Ready() <-chan struct{} { return c.place.Ready() }

// Stop ends the plans and then the watches. Jobs run on. It may be called more than once.
func (c *Controller) Stop() error {
	c.life.stop.Do(func() {
		c.life.cancel()
		c.life.running.Wait()
		c.life.err = errors.Join(c.custom.stop(), c.place.Stop())
		for _, d := range c.doors { // last: until then it can be seen how it ends
			c.life.err = errors.Join(c.life.err, d.stop())
		}
		close(c.life.done)
	})
	<-c.life.done
	return c.life.err
}
