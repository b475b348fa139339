package app

import "ainexus.io/cluster/kube"

// GPUMetricsOptions say where the metrics are served that autoscalers want.
type GPUMetricsOptions = kube.GPUMetricsOptions

// custom is the server of custom metrics, where there is one.
type custom struct{ server *kube.GPUMetrics }

func openCustom(o ControllerOptions) (custom, error) {
	if o.Custom.Listen == "" {
		return custom{}, nil
	}
	o.Custom.Kubeconfig, o.Custom.Log = o.Kubeconfig, o.Logger
	server, err := kube.NewGPUMetrics(o.Custom)
	return custom{server}, err
}

func (c custom) start() {
	if c.server != nil {
		c.server.Start()
	}
}

func (c custom) stop() error {
	if c.server == nil {
		return nil
	}
	return c.server.Stop()
}

// CustomMetrics is the address at which custom metrics are served; empty: they are not.
func (c *Controller) CustomMetrics() string {
	if c.custom.server == nil {
		return ""
	}
	return c.custom.server.Addr()
}

// CustomMetricsOwner is the Service that serves the cluster's custom metrics, and whether that is this controller's.
func (c *Controller) CustomMetricsOwner() (string, bool) {
	if c.custom.server == nil {
		return "", false
	}
	return c.custom.server.Owner()
}
