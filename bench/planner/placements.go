package main

import (
	"context"
	"fmt"
	"math"
	"slices"
	"time"

	"ainexus.io/app"
	"ainexus.io/bench/program"
	"ainexus.io/bench/row"
	"ainexus.io/cluster/sim/trace"
	"ainexus.io/nexus"
	"ainexus.io/sched"
	"ainexus.io/sched/policy"
)

// copies is how many times the public cluster and its pods are there in the larger of two runs.
const copies = 10

// placements lets pods arrive one by one, as fast as the planner answers.
func placements(traces string) program.Figure {
	const known = "openb default, the policy with the known mix: "
	small := row.Line{What: known + "placements/s at 1,213 nodes, median", Unit: "1/s", Must: row.AtLeast(">= 10,000/s", 10_000)}
	same := row.Line{What: known + "GPUs handed out at 100 % in those runs, seed 42", Unit: "%"}
	large := row.Line{What: known + "placements/s at 12,130 nodes, median, against 1,213", Unit: "1/s", Must: row.AtLeastTimes(">= 0.25x", 0.25)}
	return program.Figure{Name: "placements", Lines: []row.Line{small, same, large}, Measure: func(ctx context.Context, shared *program.Bench, report func(row.Row)) error {
		b := &bench{shared, traces}
		one, err := b.openb("default", 42)
		if err != nil {
			return err
		}
		one.Known = true
		defer oneCore()()
		var rates, largeRates []float64
		var at100 float64
		for i := range b.Times(5) {
			for range b.Times(6) {
				if err := ctx.Err(); err != nil {
					return err
				}
				f, err := fill(one)
				if err != nil {
					return err
				}
				rates, at100 = append(rates, f.rate()), f.at100
			}
			f, err := fill(copied(one, copies))
			if err != nil {
				return err
			}
			largeRates = append(largeRates, f.rate())
			b.Say("round %d: %.0f/s at 1,213 nodes, %.0f/s at 12,130 (%d of %d placed in %v)", i+1, rates[len(rates)-1], f.rate(), f.placed, f.arrived, f.took.Round(time.Millisecond))
		}
		report(small.Alone(row.Median(rates)))
		report(same.Alone(at100))
		report(large.Against(row.Median(largeRates), row.Median(rates)))
		return nil
	}}
}

// openb is a run over the public cluster and one of its lists of pods.
func (b *bench) openb(list string, seed int64) (app.Fragmentation, error) {
	f := app.Fragmentation{Simulation: app.Simulation{Seed: seed}}
	var err error
	if f.Nodes, err = read(b, "openb/openb_node_list_gpu_node.csv", trace.OpenbNodes); err != nil {
		return f, err
	}
	f.Pods, err = read(b, "openb/openb_pod_list_"+list+".csv", trace.OpenbPods)
	return f, err
}

// copied is the run with so many of each node and pod.
func copied(f app.Fragmentation, n int) app.Fragmentation {
	nodes, pods := f.Nodes, f.Pods
	f.Nodes, f.Pods = nil, nil
	for i := range n {
		for _, node := range nodes {
			node.Name, node.GPUs = fmt.Sprintf("%s-%d", node.Name, i), slices.Clone(node.GPUs)
			for g := range node.GPUs {
				node.GPUs[g].UUID = fmt.Sprintf("%s-%d", node.GPUs[g].UUID, i)
			}
			f.Nodes = append(f.Nodes, node)
		}
		for _, pod := range pods {
			pod.ID = fmt.Sprintf("%s-%d", pod.ID, i)
			f.Pods = append(f.Pods, pod)
		}
	}
	return f
}

// filling is what became of a run of arrivals.
type filling struct {
	arrived, placed int
	took            time.Duration
	at100           float64 // per cent of the GPUs that were handed out when as much had been asked for as there is
}

func (f filling) rate() float64 { return float64(f.placed) / f.took.Seconds() }

// fill turns the planner by itself: each pod is a step, and so is the answer that it runs. What does not fit leaves at
// once. The time is that of all steps, from the first pod to the last; the nodes are told before.
func fill(f app.Fragmentation) (filling, error) {
	pods, nodes, p, err := f.Inputs()
	if err != nil {
		return filling{}, err
	}
	began := time.Unix(0, 0).UTC()
	jobs, asked, capacity := make([]nexus.Job, len(pods)), make([]int, len(pods)), 0
	for i, pod := range pods {
		at := began.Add(time.Duration(i) * time.Second)
		jobs[i] = nexus.Job{ID: fmt.Sprintf("pod-%06d", i), Spec: pod.Spec(0), Phase: nexus.Pending, Submitted: at}
		asked[i] = max(1000*pod.GPUs*bit(pod.Share == 0), int(pod.Share))
	}
	for i := range nodes {
		capacity += 1000 * len(nodes[i].GPUs)
	}
	planner := sched.New(p)
	planner.Step(nexus.Delta{Full: true, Nodes: nodes}, began)
	result := filling{arrived: len(jobs)}
	var sum, given float64
	var demand, samples int
	begin := time.Now()
	for i, j := range jobs {
		plan := planner.Step(nexus.Delta{Version: uint64(2 * i), Jobs: []nexus.Job{j}}, j.Submitted)
		answer := nexus.Delta{Version: uint64(2*i + 1)}
		if len(plan.Place) == 0 {
			answer.GoneJobs = []string{j.ID}
		} else {
			j.Phase, j.Attempt, j.Placement, j.Started = nexus.Running, 1, &plan.Place[0], j.Submitted
			answer.Jobs = []nexus.Job{j}
			result.placed++
			given += float64(asked[i])
		}
		planner.Step(answer, j.Submitted)
		if demand += asked[i]; math.RoundToEven(100*float64(demand)/float64(capacity)) == 100 {
			sum += given
			samples++
		}
	}
	result.took = time.Since(begin)
	result.at100 = 100 * sum / float64(samples) / float64(capacity)
	return result, nil
}

func bit(b bool) int {
	if b {
		return 1
	}
	return 0
}

// ours is the policy of a daemon that was told nothing.
func ours() policy.Policy { return policy.Default() }
