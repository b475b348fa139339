package cli

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime/debug"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/nexus"
)

func (p *program) controllerCommand() *cobra.Command {
	var o app.ControllerOptions
	var defaults string
	cmd := &cobra.Command{
		Use: "controller", Short: "Run the jobs of a Kubernetes cluster", Args: noArgs,
		Long: "Plans the NexusJobs of a Kubernetes cluster and runs them as Jobs, until Ctrl-C or TERM. Jobs that run are not stopped\n" +
			"with it: they run on, and the next controller finds them. Of several one acts, who holds the Lease nexus-controller; the\n" +
			"others watch, and take over when it is released or its holder is silent.",
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			if defaults != "" {
				if o.Defaults, err = os.ReadFile(defaults); err != nil {
					return &nexus.Error{Code: nexus.CodeInvalid, Message: "reading the defaults of jobs: " + err.Error(), Hint: "--job-defaults names a file; docs/chart.md has what is in it"}
				}
			}
			return p.controller(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Kubeconfig, "kubeconfig", p.getenv("KUBECONFIG"), "file that says how to reach the API server (default $KUBECONFIG, else as a pod does)")
	cmd.Flags().StringVar(&o.Namespace, "namespace", "", "run the jobs of this namespace only")
	cmd.Flags().StringVar(&o.Nodes, "nodes", "", "use the nodes with these labels only: pool=gpu,zone=a")
	cmd.Flags().StringVar(&o.Listen, "listen", "none", "host:port of /health and /ready, or none")
	cmd.Flags().StringVar(&o.Metrics, "metrics-listen", "none", "host:port of /metrics, or none")
	cmd.Flags().StringVar(&o.Image, "image", "", "what pods run whose job names no image")
	cmd.Flags().StringVar(&o.LauncherImage, "launcher-image", "", "image of this program, which is copied into the pods; without it pods run their command as it is")
	cmd.Flags().BoolVar(&o.Alone, "alone", false, "take no Lease: no other controller runs")
	cmd.Flags().DurationVar(&o.LeaseDuration, "lease-duration", 15*time.Second, "how long others wait for a controller that is gone without a word")
	cmd.Flags().DurationVar(&o.Lost, "lost-after", time.Minute, "how long a node may be unreachable before the jobs on it go elsewhere")
	cmd.Flags().DurationVar(&o.Stuck, "stuck-after", 10*time.Minute, "how long it may be impossible to start a job's containers, for want of their image perhaps, before the job fails")
	cmd.Flags().StringArrayVar(&o.Templates, "node-template", nil, "a node that an autoscaler may add, for queues with scale_up: gpus=8,gpu_model=NAME,gpu_memory=80GiB,cpu=64,memory=512GiB; can be repeated")
	cmd.Flags().StringVar(&defaults, "job-defaults", "", "file with what jobs get that they leave out: gpu: {count: 1}, distributed: {backend: nccl}")
	cmd.Flags().DurationVar(&o.ScaleUpTimeout, "scale-up-timeout", 10*time.Minute, "how long a job of such a queue waits for nodes before it goes back in line")
	cmd.Flags().StringVar(&o.Custom.Listen, "custom-metrics-listen", "", "serve custom.metrics.k8s.io, for autoscalers, at this host:port")
	cmd.Flags().StringVar(&o.Custom.Certs, "custom-metrics-certs", "", "directory with tls.crt and tls.key for that")
	cmd.Flags().StringVar(&o.Custom.Agents, "custom-metrics-agents", "", "labels of the pods that tell of GPUs (default app.kubernetes.io/component in (agent,dcgm-exporter))")
	return cmd
}

// controller runs until somebody ends it.
func (p *program) controller(ctx context.Context, o app.ControllerOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	if p.getenv("GOGC") == "" { // what it watches is most of its memory: it pays in processor time, of which it needs little
		debug.SetGCPercent(50)
	}
	o.Logger = slog.New(slog.NewTextHandler(p.err, nil))
	c, err := app.NewController(o)
	if err != nil {
		return err
	}
	c.Start()
	select {
	case <-c.Ready():
		fmt.Fprintln(p.err, "nexus "+release()+" controls the cluster")
	case <-c.Lost():
	case <-ctx.Done():
	}
	select {
	case <-c.Lost():
		return errors.Join(&nexus.Error{Code: nexus.CodeUnavailable, Message: "another controller leads now", Hint: "start this one again, and it waits for its turn"}, c.Stop())
	case <-ctx.Done():
	}
	return c.Stop()
}
