package cli

import (
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"ainexus.io/app"
	"ainexus.io/cluster/sim/trace"
)

func (p *program) fragmentationCommand() *cobra.Command {
	var (
		f                app.Fragmentation
		nodes, pods, mix string
		asJSON           bool
	)
	cmd := &cobra.Command{
		Use: "fragmentation --nodes NODES.csv --pods PODS.csv", Short: "Let pods arrive until the GPUs are asked for 1.3 times, and say how much of them was handed out",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			switch {
			case nodes == "" || pods == "":
				return usage(cmd, "it takes --nodes and --pods: two lists in the form of openb")
			case mix != "known" && mix != "learned":
				return usage(cmd, "--mix is known or learned, not %q", mix)
			case f.Moves < 0 || f.Moves > 1000:
				return usage(cmd, "--moves is a number of pods in a thousand")
			}
			f.Known = mix == "known"
			if f.Nodes, err = readTrace(p, nodes, "list of nodes", trace.OpenbNodes); err != nil {
				return err
			}
			if f.Pods, err = readTrace(p, pods, "list of pods", trace.OpenbPods); err != nil {
				return err
			}
			progress, end := p.bar("arriving")
			f.Progress = progress
			result, err := f.Run(cmd.Context())
			end()
			if err != nil {
				return err
			}
			if asJSON {
				return p.printJSON(result)
			}
			return p.printFragmentation(result)
		},
	}
	flags := cmd.Flags()
	flags.StringVar(&nodes, "nodes", "", "list of nodes: sn, cpu_milli, memory_mib, gpu, model")
	flags.StringVar(&pods, "pods", "", "list of pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, gpu_spec")
	flags.StringVar(&f.Policy, "policy", "", "policy; nexus simulate policies lists them (default: ours)")
	flags.Int64Var(&f.Seed, "seed", 42, "decides in which order the pods arrive")
	flags.StringVar(&mix, "mix", "learned", "known: the policy is told beforehand what will be asked for; learned: it is not")
	flags.BoolVar(&f.Queue, "queue", false, "pods that do not fit wait, instead of being dropped")
	flags.IntVar(&f.Moves, "moves", 0, "running pods that may be moved, per thousand that arrive")
	flags.BoolVar(&asJSON, "json", false, "print one JSON object")
	completePolicies(cmd)
	return cmd
}

func (p *program) printFragmentation(r app.FragmentationResult) error {
	return table(p.out, []string{"POLICY", "SEED", "MIX", "PODS", "PLACED", "AT 100 %", "AT 130 %", "MOVES/1000", "PLACED/S", "PLANNING"}, [][]string{{
		r.Policy, fmt.Sprint(r.Seed), r.Mix, fmt.Sprint(r.Pods), fmt.Sprint(r.Placed), fmt.Sprintf("%.2f %%", r.At100), fmt.Sprintf("%.2f %%", r.At130),
		fmt.Sprintf("%.1f", r.MovesPer1000), fmt.Sprintf("%.0f", r.PlacementsPerS), r.Planning.Round(time.Millisecond).String(),
	}})
}
