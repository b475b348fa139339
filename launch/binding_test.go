package launch

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"ainexus.io/nexus"
)

// twoSockets is a machine of two sockets, two NUMA nodes each, two cores per node with two threads each, and a cache for each
// core; GPUs 0 to 3 are on nodes 3, 2, 1 and 0.
func twoSockets() fstest.MapFS {
	files := fstest.MapFS{}
	put := func(path, format string, args ...any) {
		files[path] = &fstest.MapFile{Data: fmt.Appendf(nil, format+"\n", args...)}
	}
	for node := range 4 {
		put(fmt.Sprintf("sys/devices/system/node/node%d/cpulist", node), "%d-%d,%d-%d", 2*node, 2*node+1, 8+2*node, 8+2*node+1)
	}
	for n := range 16 {
		core := n % 8
		at := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", n)
		put(at+"topology/physical_package_id", "%d", core/4)
		put(at+"topology/core_id", "%d", core)
		put(at+"cache/index3/shared_cpu_list", "%d,%d", core, core+8)
	}
	for gpu := range 4 {
		bus := fmt.Sprintf("0000:%d0:00.0", gpu+1)
		put("proc/driver/nvidia/gpus/"+bus+"/information", "Model: made up")
		put("sys/bus/pci/devices/"+bus+"/numa_node", "%d", 3-gpu)
	}
	return files
}

func TestWhichCPUsAWorkerMayUse(t *testing.T) {
	everything := func(int) bool { return true }
	noGPU := twoSockets()
	for path := range noGPU {
		if strings.HasPrefix(path, "proc/") {
			delete(noGPU, path)
		}
	}
	for _, test := range []struct {
		story   string
		files   fstest.MapFS
		usable  func(int) bool
		binding string
		workers int
		visible string // CUDA_VISIBLE_DEVICES; "-": not set
		want    string
	}{
		{"by their GPUs", twoSockets(), everything, "node", 4, "-", "[[6 7 14 15] [4 5 12 13] [2 3 10 11] [0 1 8 9]]"},
		{"by the GPUs that they see", twoSockets(), everything, "node", 2, "3,1", "[[0 1 8 9] [4 5 12 13]]"},
		{"GPUs are named otherwise: spread", twoSockets(), everything, "node", 2, "GPU-a,GPU-b", "[[0 1 8 9] [4 5 12 13]]"},
		{"no GPU: spread", noGPU, everything, "node", 4, "-", "[[0 1 8 9] [2 3 10 11] [4 5 12 13] [6 7 14 15]]"},
		{"more workers than GPUs", twoSockets(), everything, "node", 8, "3", "[[0 1 8 9] [0 1 8 9] [2 3 10 11] [2 3 10 11] [4 5 12 13] [4 5 12 13] [6 7 14 15] [6 7 14 15]]"},
		{"the whole socket", twoSockets(), everything, "socket", 2, "0,3", "[[4 5 6 7 12 13 14 15] [0 1 2 3 8 9 10 11]]"},
		{"cores of their own", noGPU, everything, "exclusive", 8, "-", "[[0 8] [1 9] [2 10] [3 11] [4 12] [5 13] [6 14] [7 15]]"},
		{"all cores of the node for one", twoSockets(), everything, "exclusive", 1, "-", "[[6 7 14 15]]"},
		{"a cache each, in turns", twoSockets(), everything, "core-complex", 3, "0,0,0", "[[6 14] [7 15] [6 14]]"},
		{"only what this process may use", noGPU, func(n int) bool { return n < 3 }, "node", 2, "-", "[[0 1] [2]]"},
	} {
		b, err := ParseBinding(test.binding)
		if err != nil {
			t.Fatal(err)
		}
		m := readMachine(test.files, test.usable)
		got, err := m.bind(b, test.workers, visibleGPUs(test.visible, test.visible != "-", len(m.gpus)))
		if err != nil || fmt.Sprint(got) != test.want {
			t.Errorf("%s: %v %v, want %s", test.story, got, err, test.want)
		}
	}
	m := readMachine(noGPU, everything)
	if _, err := m.bind(BindExclusive, 9, nil); err == nil || !strings.Contains(err.Error(), "2 cores for 3 workers") {
		t.Errorf("nine workers on eight cores of their own: %v", err)
	}
	if _, err := (machine{}).bind(BindNode, 1, nil); err == nil || !strings.Contains(err.Error(), "does not say") {
		t.Errorf("a machine that says nothing: %v", err)
	}
}

// A worker computes with its part of the cores that it is bound to, two CPUs of one counting as one, and with no more than its part
// of what the container may use.
func TestHowManyThreadsABoundWorkerGets(t *testing.T) {
	m := readMachine(twoSockets(), func(int) bool { return true })
	for _, test := range []struct {
		binding string
		workers int
		cpu     nexus.CPU
		want    string
	}{
		{"node", 1, 16000, "[2]"},
		{"node", 4, 16000, "[2 2 2 2]"},
		{"node", 8, 16000, "[1 1 1 1 1 1 1 1]"},
		{"socket", 2, 16000, "[4 4]"},
		{"exclusive", 3, 16000, "[2 2 2]"},
		{"exclusive", 8, 16000, "[1 1 1 1 1 1 1 1]"},
		{"core-complex", 4, 16000, "[1 1 1 1]"},
		{"socket", 2, 3000, "[1 1]"},
		{"socket", 2, 0, "[4 4]"},
	} {
		b, err := ParseBinding(test.binding)
		if err != nil {
			t.Fatal(err)
		}
		sets, err := m.bind(b, test.workers, nil)
		if got := fmt.Sprint(m.threads(sets, nexus.Seat{Workers: test.workers, CPU: test.cpu})); err != nil || got != test.want {
			t.Errorf("%s, %d workers, %s CPUs: %s %v, want %s", test.binding, test.workers, test.cpu, got, err, test.want)
		}
	}
	for want, o := range map[string]Options{
		"OMP_NUM_THREADS is 4 for each of the 2 workers, who share 8 CPUs; set it to choose": {Workers: 2, CPUs: 8},
		"OMP_NUM_THREADS is 1 for each of the 4 workers, who share 1 CPU; set it to choose":  {Workers: 4, CPUs: 1},
	} {
		if got := Threads(o); got != want {
			t.Errorf("%q", got)
		}
	}
	for _, o := range []Options{{Workers: 1, CPUs: 8}, {Workers: 4, CPUs: 8, Env: []string{"OMP_NUM_THREADS=3"}}, {Workers: 4, CPUs: 8, Env: []string{"OMP_NUM_THREADS="}}} {
		if got := Threads(o); got != "" {
			t.Errorf("%+v: %q", o, got)
		}
	}
}

// The kernel holds a worker to what it was given.
func TestWorkersAreBound(t *testing.T) {
	t.Parallel()
	m := thisMachine()
	binding, workers := BindExclusive, 2
	sets, err := m.bind(binding, workers, nil)
	if err != nil && len(m.cpus) > 0 { // a machine of one core
		binding = BindNode
		sets, err = m.bind(binding, workers, nil)
	}
	if err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatal(err)
		}
		t.Skip(err)
	}
	dir := t.TempDir()
	result, err := Run(t.Context(), Options{
		Command: nexus.Command{Argv: []string{"sh", "-c", "grep Cpus_allowed_list /proc/self/status | cut -f2 >$RANK; echo $OMP_NUM_THREADS >$RANK.omp"}}, Workers: workers, Binding: binding, Dir: dir,
		CPUs: 64, Env: []string{"PATH=/usr/bin:/bin"}, Keeper: keeperArgv(),
	})
	if err != nil || !result.OK {
		t.Fatalf("%+v %v", result, err)
	}
	for rank, want := range sets {
		if got := parseCPUs(strings.TrimSpace(content(t, dir, fmt.Sprint(rank)))); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("rank %d may use %v, want %v", rank, got, want)
		}
		if got, want := strings.TrimSpace(content(t, dir, fmt.Sprint(rank, ".omp"))), fmt.Sprint(m.threads(sets, nexus.Seat{})[rank]); got != want {
			t.Errorf("rank %d computes with %s threads, want %s", rank, got, want)
		}
	}
}
