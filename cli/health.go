package cli

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/gpu"
	"ainexus.io/nexus"
)

// healthPatience bounds each question of `nexus health`: whoever probes gives up soon himself.
const healthPatience = 10 * time.Second

func (p *program) healthCommand() *cobra.Command {
	gpus, alone := "none", false
	cmd := &cobra.Command{
		Use: "health", Short: "Say whether the daemon takes jobs; exit 0 only if it does", Args: noArgs,
		Long: "Asks the daemon whether it takes jobs, for probes. --gpu also starts CUDA as a program would: the driver's library must load,\n" +
			"serve CUDA 13.0 or newer and give a GPU, and the management library must answer. auto lets a machine without any driver\n" +
			"pass; required does not.",
		RunE: func(cmd *cobra.Command, _ []string) error {
			if !slices.Contains([]string{"none", "auto", "required"}, gpus) {
				return usage(cmd, "--gpu: %q is none of none, auto, required", gpus)
			}
			if !alone {
				if err := p.daemonReady(cmd.Context()); err != nil {
					return err
				}
			}
			words := "ready"
			if gpus != "none" {
				said, err := p.gpusReady(cmd.Context(), gpus == "required")
				if err != nil {
					return err
				}
				words += "; " + said
			}
			return p.print(clean(words))
		},
	}
	cmd.Flags().StringVar(&gpus, "gpu", gpus, "also look at the GPUs: none, auto (if there is a driver) or required")
	cmd.Flags().BoolVar(&alone, "no-daemon", false, "do not ask the daemon: look at the GPUs only")
	return cmd
}

func (p *program) daemonReady(ctx context.Context) error {
	client, err := p.client()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	if err := client.Ready(ctx); err != nil {
		return p.noDaemon(err)
	}
	return nil
}

// gpusReady says what GPUs a program that starts now could use; an error where it could not.
func (p *program) gpusReady(ctx context.Context, required bool) (string, error) {
	found, err := askCUDA(p.getenv("CUDA_LIBRARY"))
	if err == nil {
		err = found.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, healthPatience)
	defer cancel()
	sample, reading := gpu.Read(ctx, gpu.Options{Library: p.getenv("NVML_LIBRARY"), Child: ownArgv(verbSampler)})
	if reading != nil {
		return "", unwell("the GPUs cannot be read: " + reading.Error())
	}
	absent := gpu.NotInstalled(err)
	switch {
	case absent && !required && len(sample.Devices) == 0 && !sample.Broken:
		return "no GPU here", nil
	case absent && len(sample.Devices) > 0:
		return "", unwell(fmt.Sprintf("%v, though there are %d GPUs: the container needs the driver capability compute", err, len(sample.Devices)))
	case err != nil:
		return "", unwell(err.Error())
	case len(sample.Devices) == 0:
		return "", unwell("CUDA starts and the management library does not answer: " + sample.Reason)
	case !slices.ContainsFunc(sample.Devices, func(d gpu.Device) bool { return d.Healthy }):
		return "", unwell("no GPU is well: " + sample.Devices[0].Problem)
	}
	return fmt.Sprintf("CUDA %s, %d GPUs", found.Version(), found.Devices), nil
}

func unwell(why string) error {
	return &nexus.Error{Code: nexus.CodeUnavailable, Message: why, Hint: "nexus doctor and nvidia-smi show more"}
}

// askCUDA leaves a driver that blocks behind: this process ends soon.
func askCUDA(library string) (gpu.CUDA, error) {
	type answer struct {
		found gpu.CUDA
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		found, err := gpu.AskCUDA(library)
		answers <- answer{found, err}
	}()
	select {
	case a := <-answers:
		return a.found, a.err
	case <-time.After(healthPatience):
		return gpu.CUDA{}, fmt.Errorf("the CUDA driver does not answer")
	}
}
