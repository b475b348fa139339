// Kube measures the controller on a real control plane whose nodes kwok plays: the rows of "Kubernetes" in docs/benchmarks.md.
//
//	go run ./bench/kube [--json] [-only speed|reclaim|queue] [-nodes 1000] [-jobs 8000] [-queued 10000] [-most 25m]
//
// The peer is the cluster by itself: plain Jobs of one pod with one GPU. Both sides get a fresh control plane, one after the
// other, on this machine, with the same number of clients that make the jobs. Who wrote what, and when, is read from the API
// server's audit log. Rows go to stdout, one JSON object per line or a table; what they were measured on, and what is going
// on every ten seconds, to stderr. It exits with 0 whenever it ran to its end, which is at most -most after its begin: what was
// not measured by then is told as such.
package main

import (
	"os/exec"
	"time"

	"ainexus.io/bench/machine"
	"ainexus.io/bench/program"
)

func main() { program.Main(run) }

// size is how large the measured cluster is.
type size struct{ nodes, jobs, queued int }

func run(args []string) error {
	flags := program.NewFlags("kube")
	flags.Explain("quick", "a small cluster, to see that it works; the figures mean little")
	var s size
	flags.IntVar(&s.nodes, "nodes", 1000, "how many nodes of 8 GPUs there are")
	flags.IntVar(&s.jobs, "jobs", 8000, "how many jobs of one GPU are made and bound")
	flags.IntVar(&s.queued, "queued", 10000, "how many more then wait")
	most := flags.Duration("most", 25*time.Minute, "how long it all may take; what is not measured by then has a row that says so")
	flags.Explain("only", "measure only the figures whose name matches: speed (both sides), reclaim, queue (reasons and memory; these two fill the cluster by themselves where speed is left out)")
	b, err := flags.Parse(args)
	if err != nil {
		return err
	}
	b.Most = *most
	if b.Quick {
		s = size{nodes: 10, jobs: 80, queued: 100}
	}
	ctx, stop := program.Interruptible()
	defer stop()
	if err := b.Open(); err != nil {
		return err
	}
	defer b.Close()
	build := exec.CommandContext(ctx, "sh", "scripts/kube.sh") // once; then at once
	build.Dir, build.Stderr = b.Root, b.Log
	if err := build.Run(); err != nil {
		b.Say("building the control plane: %v", err) // the rows will say what that means for them
	}
	f := &fleet{size: s}
	defer func() {
		if err := f.stop(); err != nil {
			b.Say("ending the control plane: %v", err)
		}
	}()
	return b.Run(ctx, machine.Conditions(ctx), figures(f))
}
