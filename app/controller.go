package app

import (
	"errors"
	"log/slog"
	"time"

	"ainexus.io/cluster/kube"
	"ainexus.io/engine"
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
	// Templates are nodes that an autoscaler may add, as "gpus=8,gpu_model=NVIDIA-H100-80GB-HBM3,gpu_memory=80GiB,cpu=64,memory=512GiB".
	// Default: nodes like those there are.
	Templates []string
	// ScaleUpTimeout is how long a job of a queue with scale_up waits for one. Default: 10 min.
	ScaleUpTimeout time.Duration
	// Backoff is the first pause after an attempt that was lost. Default: 1 s.
	Backoff time.Duration
	// Custom is where the metrics are served that autoscalers want. Default: they are not.
	Custom GPUMetricsOptions
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
	log    *slog.Logger
	life   *life
}

// NewController reads how to reach the API server. Nothing is asked of it before [Controller.Start].
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
	place, err := kube.New(kube.Options{
		Kubeconfig: opts.Kubeconfig, Namespace: opts.Namespace, Nodes: opts.Nodes, Image: opts.Image, LauncherImage: opts.LauncherImage,
		Backoff: opts.Backoff, Templates: templates, ScaleUpTimeout: opts.ScaleUpTimeout, Log: opts.Logger,
	})
	if err != nil {
		return nil, err
	}
	custom, err := openCustom(opts)
	if err != nil {
		return nil, errors.Join(err, place.Stop())
	}
	return &Controller{place: place, custom: custom, engine: engine.New(place, policy.Default(), opts.Observers, opts.Logger), log: opts.Logger, life: newLife()}, nil
}

// Start goes on with the jobs that live, and plans. It returns at once; a second call does nothing.
func (c *Controller) Start() {
	c.life.start.Do(func() {
		c.place.Start()
		c.custom.start()
		c.life.running.Go(func() {
			_ = c.engine.Run(c.life.ctx) // it ends with the context only
		})
		c.log.Info("controller started")
	})
}

// Ready is closed when everything that there is was read once.
func (c *Controller) Ready() <-chan struct{} { return c.place.Ready() }

// Stop ends the plans and then the watches. Jobs run on. It may be called more than once.
func (c *Controller) Stop() error {
	c.life.stop.Do(func() {
		c.life.cancel()
		c.life.running.Wait()
		c.life.err = errors.Join(c.custom.stop(), c.place.Stop())
		close(c.life.done)
	})
	<-c.life.done
	return c.life.err
}
