package cli

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/launch"
	"ainexus.io/nexus"
	"ainexus.io/web"
)

func (p *program) upCommand() *cobra.Command {
	var o app.Options
	var idle, logSize, logFiles string
	cmd := &cobra.Command{
		Use: "up", Short: "Run the daemon of this machine in the foreground", Args: noArgs,
		Long: "Runs the daemon until Ctrl-C or TERM. Jobs that run are not stopped with it: they run on, and the next daemon finds them.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			d, err := nexus.ParseDuration(idle)
			if err != nil {
				return usage(cmd, "--exit-when-idle: %s", err)
			}
			o.ExitWhenIdle = time.Duration(d)
			if o.Logs.Size, err = launch.ParseLogSize(logSize); err != nil {
				return usage(cmd, "--log-max-size: %s", err)
			}
			if o.Logs.Files, err = launch.ParseLogFiles(logFiles); err != nil {
				return usage(cmd, "--log-max-files: %s", err)
			}
			return p.up(cmd.Context(), o)
		},
	}
	cmd.Flags().StringVar(&o.Listen, "listen", cmp.Or(p.getenv("NEXUS_LISTEN"), app.DefaultListen), "host:port of the page and of the API over TCP, or none (default $NEXUS_LISTEN)")
	cmd.Flags().StringVar(&o.Metrics, "metrics-listen", "none", "host:port of /metrics for who has no token, or none")
	cmd.Flags().StringArrayVar(&o.Hosts, "host", nil, "a further name by which browsers may call this machine; can be repeated")
	cmd.Flags().StringVar(&idle, "exit-when-idle", "0s", "end after so long without jobs and requests; 0s: never")
	cmd.Flags().StringVar(&logSize, "log-max-size", cmp.Or(p.getenv("NEXUS_LOG_MAX_SIZE"), "64MiB"), "a log file of a worker is full then; 0: never (default $NEXUS_LOG_MAX_SIZE)")
	cmd.Flags().StringVar(&logFiles, "log-max-files", cmp.Or(p.getenv("NEXUS_LOG_MAX_FILES"), "2"), "how many are kept of each worker (default $NEXUS_LOG_MAX_FILES)")
	cmd.Flags().StringVar(&o.Node, "node", "", "name of this machine (default its host name)")
	cmd.Flags().BoolVar(&o.NoGPUs, "no-gpus", false, "do not look for GPUs")
	cmd.Flags().BoolVar(&o.NoLimits, "no-limits", false, "do not put memory and cpu limits on cgroups")
	return cmd
}

// up runs the daemon until somebody ends it, or until it is idle.
func (p *program) up(ctx context.Context, o app.Options) error {
	ctx, stop := interruptible(ctx)
	defer stop()
	state, err := p.stateDir()
	if err != nil {
		return err
	}
	if err := os.MkdirAll(state, 0o700); err != nil {
		return &nexus.Error{Code: nexus.CodeDenied, Message: "the state directory cannot be made: " + err.Error(),
			Hint: "set NEXUS_STATE to a directory of your own"}
	}
	// Agents outlive the daemon and perhaps the file that it was started from: go run deletes its own.
	program, err := copyProgram(filepath.Join(state, "bin"))
	if err != nil {
		return stateTrouble("copying the program for agents", err)
	}
	o.State, o.Version, o.Page = state, release(), web.Handler()
	o.Agent, o.AgentEnv, o.Sampler = []string{program, verbAgent}, p.daemonEnv(), []string{program, verbSampler}
	o.NVMLLibrary = p.getenv("NVML_LIBRARY")
	o.Logger = slog.New(slog.NewTextHandler(p.err, nil))
	daemon, err := app.NewDaemon(o)
	if err != nil {
		return err
	}
	daemon.Start()
	fmt.Fprintln(p.err, strings.Join(p.greeting(state, daemon.Addr(), o.Listen), "\n"))
	select {
	case <-ctx.Done():
		return daemon.Stop()
	case <-daemon.Done():
		return daemon.Wait()
	}
}

// greeting says where the daemon can be reached.
func (p *program) greeting(state, addr, listen string) []string {
	lines := []string{"nexus " + release() + " is up; state " + state}
	switch {
	case addr != "":
		lines = append(lines, "page: http://"+addr+" (nexus open)")
	case listen != "none":
		lines = append(lines, "no page: the port of "+listen+" is taken; nexus up --listen 127.0.0.1:0 takes a free one")
	}
	return lines
}
