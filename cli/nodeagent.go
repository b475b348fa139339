package cli

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/nexus"
)

func (p *program) nodeAgentCommand() *cobra.Command {
	var o app.NodeAgentOptions
	period, quiet := "", false
	cmd := &cobra.Command{
		Use: "agent", Short: "Watch the GPUs of a Kubernetes node", Args: noArgs,
		Long: "Reads the GPUs of this node, serves them to Prometheus, and writes what they are into the node's annotation ainexus.io/gpus\n" +
			"where no GPU feature discovery has labelled it. It runs on each node with GPUs, from the chart's DaemonSet, until TERM.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := nexus.ParseDuration(period)
			if err != nil || d < nexus.Duration(time.Second) {
				return usage(cmd, "--period: wants a second or more, such as 5s")
			}
			o.Period = time.Duration(d)
			switch {
			case quiet:
				o.Node = ""
			case o.Node == "":
				return &nexus.Error{Code: nexus.CodeInvalid, Message: "nobody said which node this is",
					Hint: "--node NAME or $NODE_NAME; --no-annotation tells nobody"}
			}
			return p.nodeAgent(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Node, "node", p.getenv("NODE_NAME"), "name of the node (default $NODE_NAME)")
	cmd.Flags().StringVar(&o.Kubeconfig, "kubeconfig", p.getenv("KUBECONFIG"), "file that says how to reach the API server (default $KUBECONFIG, else as a pod does)")
	cmd.Flags().StringVar(&o.Listen, "listen", "none", "host:port of /health and /ready, or none")
	cmd.Flags().StringVar(&o.Metrics, "metrics-listen", "127.0.0.1:9090", "host:port of /metrics, or none")
	cmd.Flags().StringVar(&o.PodResources, "pod-resources", "", "the kubelet's socket that says which pod has which GPU: /var/lib/kubelet/pod-resources/kubelet.sock")
	cmd.Flags().StringVar(&period, "period", "5s", "pause between two readings")
	cmd.Flags().BoolVar(&quiet, "no-annotation", false, "do not speak to the API server")
	return cmd
}

// nodeAgent runs until somebody ends it.
func (p *program) nodeAgent(ctx context.Context, o app.NodeAgentOptions) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	o.Logger, o.Sampler, o.NVMLLibrary = slog.New(slog.NewTextHandler(p.err, nil)), ownArgv(verbSampler), p.getenv("NVML_LIBRARY")
	a, err := app.NewNodeAgent(o)
	if err != nil {
		return err
	}
	a.Start()
	probes, metrics := a.Addrs()
	fmt.Fprintf(p.err, "nexus %s watches the GPUs of this node; probes on %q, metrics on %q\n", release(), probes, metrics)
	<-ctx.Done()
	return a.Stop()
}
