package trace

import (
	"time"

	"ainexus.io/nexus"
)

// Job is a job as a trace recorded it. Amounts are of the whole job, over all its nodes.
type Job struct {
	ID       string
	Submit   time.Time
	Duration time.Duration // what it really ran; no policy is told, but for oracles
	Nodes    int           // distinct machines; 0: as few as hold its GPUs
	GPUs     int
	Share    nexus.MiB // of one GPU; 0: whole ones
	CPU      nexus.CPU
	Memory   nexus.MiB
	Models   []string // any of these; empty: any at all
	Queue    string
	User     string
	// MaxDuration is the limit that the user gave; 0: none.
	MaxDuration time.Duration
}

// Spec is what a user would ask for in order to run the job on machines of so many GPUs: on one if it is
// smaller than that, else on as many whole ones as it takes, unless the trace says on how many.
func (j Job) Spec(gpusPerNode int) nexus.Spec {
	nodes, gpus := j.split(gpusPerNode)
	queue := j.Queue
	if queue == "" {
		queue = nexus.DefaultQueue
	}
	return nexus.Spec{
		Name: j.ID, Type: nexus.Training, Queue: queue, Nodes: nexus.Range{Min: nodes, Max: nodes}, Workers: max(1, gpus),
		Resources: nexus.Resources{
			GPUs: nexus.GPUCount{N: gpus}, GPUMemory: j.Share, GPUModel: j.Models,
			CPU: (j.CPU + nexus.CPU(nodes) - 1) / nexus.CPU(nodes), Memory: (j.Memory + nexus.MiB(nodes) - 1) / nexus.MiB(nodes),
		},
		MaxDuration: nexus.Duration(j.MaxDuration),
		Restart:     nexus.Restart{On: []nexus.Cause{nexus.CauseExit, nexus.CauseHang, nexus.CauseNode, nexus.CausePreempt}},
	}
}

// split says on how many nodes a job runs and how many GPUs it has on each.
func (j Job) split(perNode int) (nodes, gpus int) {
	if j.GPUs == 0 || j.Share > 0 {
		return max(1, j.Nodes), 0
	}
	if j.Nodes > 0 {
		if each := up(j.GPUs, j.Nodes); each <= perNode || perNode <= 0 {
			return j.Nodes, each
		}
	}
	if perNode <= 0 || j.GPUs < perNode {
		return 1, j.GPUs
	}
	return up(j.GPUs, perNode), perNode
}

// up is a/b, rounded up.
func up(a, b int) int { return (a + b - 1) / b }
