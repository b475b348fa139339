package cli

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/spf13/cobra"

	"ainexus.io/app"
)

func (p *program) controllerCommand() *cobra.Command {
	var o app.ControllerOptions
	cmd := &cobra.Command{
		Use: "controller", Short: "Run the jobs of a Kubernetes cluster", Args: noArgs,
		Long: "Plans the NexusJobs of a Kubernetes cluster and runs them as Jobs, until Ctrl-C or TERM. Jobs that run are not stopped\n" +
			"with it: they run on, and the next controller finds them. One at a time may run.",
		RunE: func(cmd *cobra.Command, _ []string) error { return p.controller(cmd.Context(), o) },
	}
	cmd.Flags().StringVar(&o.Kubeconfig, "kubeconfig", p.getenv("KUBECONFIG"), "file that says how to reach the API server (default $KUBECONFIG, else as a pod does)")
	cmd.Flags().StringVar(&o.Namespace, "namespace", "", "run the jobs of this namespace only")
	cmd.Flags().StringVar(&o.Nodes, "nodes", "", "use the nodes with these labels only: pool=gpu,zone=a")
	cmd.Flags().StringVar(&o.Listen, "listen", "none", "host:port of /health and /ready, or none")
	cmd.Flags().StringVar(&o.Metrics, "metrics-listen", "none", "host:port of /metrics, or none")
	cmd.Flags().StringVar(&o.Image, "image", "", "what pods run whose job names no image")
	cmd.Flags().StringVar(&o.LauncherImage, "launcher-image", "", "image of this program, which is copied into the pods; without it pods run their command as it is")
	return cmd
}

// controller runs until somebody ends it.
func (p *program) controller(ctx context.Context, o app.ControllerOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	o.Logger = slog.New(slog.NewTextHandler(p.err, nil))
	c, err := app.NewController(o)
	if err != nil {
		return err
	}
	c.Start()
	select {
	case <-c.Ready():
		fmt.Fprintln(p.err, "nexus "+release()+" controls the cluster")
	case <-ctx.Done():
	}
	<-ctx.Done()
	return c.Stop()
}
