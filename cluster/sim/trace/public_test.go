package trace

import (
	"math"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// publicTraces is where recorded traces of public clusters lie, if the machine has them.
const publicTraces = "../../../../shared/traces"

func public(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Open(filepath.Join(publicTraces, name))
	if os.IsNotExist(err) {
		t.Skip("NOT RUN: traces absent")
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// The public lists are read whole: no row is bad, and the totals are those of their authors.
func TestOpenbIsReadWhole(t *testing.T) {
	nodes, report, err := OpenbNodes(public(t, "openb/openb_node_list_gpu_node.csv"))
	if err != nil || report.Bad > 0 {
		t.Fatal(err, report.Lines())
	}
	gpus, cpus := 0, int64(0)
	for _, n := range nodes {
		gpus += len(n.GPUs)
		cpus += int64(n.CPU) / 1000
	}
	if len(nodes) != 1213 || gpus != 6212 || cpus != 107018 {
		t.Errorf("%d nodes, %d GPUs, %d CPUs", len(nodes), gpus, cpus)
	}
	for _, list := range []string{"default", "cpu100", "cpu250", "gpushare40", "gpushare100", "gpuspec10", "gpuspec33", "multigpu20", "multigpu50"} {
		pods, report, err := OpenbPods(public(t, "openb/openb_pod_list_"+list+".csv"))
		if err != nil || report.Bad > 0 || len(pods) < 3000 {
			t.Errorf("%s: %d pods, %v, %v", list, len(pods), err, report.Lines())
		}
	}
}

// The window that results are published for: so many jobs, whose own work takes so long.
func TestPhillyIsReadWhole(t *testing.T) {
	jobs, report, err := Read(Auto, public(t, "philly/philly_jobs_before_2017-10-23.csv"))
	if err != nil || report.Bad > 0 {
		t.Fatal(err, report.Lines())
	}
	jobs = Window(jobs, time.Date(2017, 10, 9, 0, 0, 0, 0, time.UTC), time.Date(2017, 10, 23, 0, 0, 0, 0, time.UTC))
	work, demand := 0.0, 0.0
	queues := map[string]bool{}
	for _, j := range jobs {
		nodes, gpus := j.split(8)
		work += j.Duration.Seconds()
		demand += j.Duration.Seconds() * float64(nodes*gpus)
		queues[j.Queue] = true
	}
	mean, load := work/float64(len(jobs)), demand/(64*8*14*24*3600)
	if len(jobs) != 26936 || math.Abs(mean-9094) > 1 || math.Abs(load-1.066) > 0.02 || len(queues) < 10 {
		t.Errorf("%d jobs of %g s on average, load %g, %d queues", len(jobs), mean, load, len(queues))
	}
}
