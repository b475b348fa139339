package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"slices"
	"time"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"ainexus.io/gpu"
	"ainexus.io/launch"
	"ainexus.io/launch/site"
	"ainexus.io/nexus"
)

// launchCommand stands in the tree for help and completion; [program.direct] finds the verb before.
func (p *program) launchCommand() *cobra.Command {
	return &cobra.Command{
		Use: "launch [options] PROGRAM [arguments]", Short: "Launch workers here, as torchrun does, without a daemon",
		DisableFlagParsing: true,
		RunE:               func(_ *cobra.Command, args []string) error { return p.launch(args) },
	}
}

// launch runs a bare launcher.
func (p *program) launch(args []string) error {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost"
	}
	inv, err := launch.ParseArgs(site.Find(p.getenv, site.Facts{Hostname: host, ReadFile: os.ReadFile}), args, p.getenv)
	switch {
	case errors.Is(err, launch.ErrHelp):
		_, err := fmt.Fprint(p.out, launchHelp)
		return err
	case errors.Is(err, launch.ErrOtherTells):
		return &exit{code: exitUsage}
	case err != nil:
		return err
	}
	for _, note := range inv.Notes {
		fmt.Fprintln(p.err, "note: "+clean(note))
	}
	o := inv.Options
	gpus := 0
	if inv.PerNode == "gpu" || inv.PerNode == "auto" {
		sample, err := gpu.Read(context.Background(), gpu.Options{Library: p.getenv("NVML_LIBRARY"), Child: ownArgv(verbSampler)})
		if err != nil {
			return fmt.Errorf("looking for GPUs: %w", err)
		}
		gpus = len(sample.Devices)
	}
	if o.Workers, err = inv.Workers(runtime.NumCPU(), gpus); err != nil {
		return err
	}
	if o.Dir, err = p.getwd(); err != nil {
		return fmt.Errorf("finding the working directory: %w", err)
	}
	if o.LogDir == "" && (o.Redirects.Any(o.Workers) || o.Tee.Any(o.Workers)) {
		if o.LogDir, err = os.MkdirTemp("", "nexus-logs-"); err != nil {
			return fmt.Errorf("making a place for the workers' output: %w", err)
		}
		fmt.Fprintf(p.err, "note: the workers' output is kept in %s; --log-dir names another place\n", o.LogDir)
	}
	if o.LogDir != "" && !filepath.IsAbs(o.LogDir) {
		o.LogDir = filepath.Join(o.Dir, o.LogDir)
	}
	o.Node = cmp.Or(p.getenv("NEXUS_NODE"), host)
	signals := make(chan os.Signal, 4)
	// nohup has HUP ignored, and a shell INT for what it puts into the background: that is meant.
	signal.Notify(signals, slices.DeleteFunc(inv.Signals, signal.Ignored)...)
	defer signal.Stop(signals)
	// GOMAXPROCS knows of a container's CPU limit, unlike the number of CPUs; but not where the user has set it for his own.
	cpus := runtime.NumCPU()
	if p.getenv("GOMAXPROCS") == "" {
		cpus = min(cpus, runtime.GOMAXPROCS(0))
	}
	o.Env, o.CPUs, o.Signals, o.Keeper = p.environ(), cpus, signals, ownArgv(verbKeeper)
	if threads := launch.Threads(o); threads != "" {
		fmt.Fprintln(p.err, "note: "+threads)
	}
	o.Stdout, o.Stderr = p.out, p.err
	o.Terminal = p.terminal && term.IsTerminal(int(os.Stderr.Fd()))
	result, err := launch.Run(context.Background(), o)
	p.leaveResult(o, result, err)
	if err != nil {
		return err
	}
	if result.OK {
		return nil
	}
	fmt.Fprintln(p.err, "error: "+clean(result.Message))
	for _, line := range causeLines(&result, p.logLine) {
		fmt.Fprintln(p.err, line)
	}
	return &exit{code: max(1, result.Exit)}
}

// leaveResult tells whoever ordered an attempt how it ended, where it wants to be told.
func (p *program) leaveResult(o launch.Options, result nexus.Result, err error) {
	path := p.getenv(launch.EnvResult)
	if path == "" || o.Order == nil {
		return
	}
	if err != nil { // nothing was started
		result = nexus.Result{Attempt: o.Order.Attempt, Cause: nexus.CauseSetup, Rank: -1, Exit: 1, Message: err.Error(), Ended: time.Now(), LostSeconds: -1}
	}
	if err := launch.LeaveResult(path, result); err != nil {
		fmt.Fprintln(p.err, "note: the result cannot be left for whoever ordered this:", clean(err.Error()))
	}
}
