package local

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"ainexus.io/gpu"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// rack is a machine's devices that the test moves by hand. It stands in for the reader of the driver, which has tests of
// its own with a real library.
type rack struct {
	mu     sync.Mutex
	sample gpu.Sample
	asked  int
}

func (r *rack) Sample(context.Context) (gpu.Sample, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.asked++
	s := r.sample
	s.Devices = append([]gpu.Device{}, s.Devices...)
	return s, nil
}

func (r *rack) set(edit func(*gpu.Device)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for i := range r.sample.Devices {
		edit(&r.sample.Devices[i])
	}
}

func (r *rack) times() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.asked
}

func oneGPU() *rack {
	return &rack{sample: gpu.Sample{Source: gpu.SourceNVML, Devices: []gpu.Device{{
		Index: 0, UUID: "GPU-a", Model: "H100", MemoryMiB: 80_000, ReservedMiB: 500, FreeMiB: 79_000, UsedMiB: 500, Healthy: true,
		Utilisation: 3, TemperatureC: 40, PowerMilliwatts: 70_000, PowerLimitMilliwatts: 700_000,
	}}}}
}

// What flickers changes nothing for the planner; what moved does.
func TestNoiseIsNotTold(t *testing.T) {
	t.Parallel()
	now := time.Duration(0)
	clock := newClock(proc.Clock{Wall: time.Now, Mono: func() time.Duration { return now }})
	r := oneGPU()
	d := newDevices(r, clock)
	for _, row := range []struct {
		story   string
		edit    func(*gpu.Device)
		changed bool
		util    int
	}{
		{"the first look", func(*gpu.Device) {}, true, 0},
		{"nothing moved", func(*gpu.Device) {}, false, 0},
		{"a flicker of load", func(g *gpu.Device) { g.Utilisation = 8 }, false, 0},
		{"a flicker of memory", func(g *gpu.Device) { g.FreeMiB -= 300 }, false, 0},
		{"load", func(g *gpu.Device) { g.Utilisation = 52 }, true, 5},
		{"less of it, within the step", func(g *gpu.Device) { g.Utilisation = 43 }, false, 5},
		{"much less", func(g *gpu.Device) { g.Utilisation = 41 }, true, 4},
		{"memory", func(g *gpu.Device) { g.FreeMiB -= 10_000 }, true, 4},
		{"a problem", func(g *gpu.Device) { g.Healthy, g.Problem = false, "Xid 79" }, true, 4},
	} {
		now += 2 * time.Second
		r.set(row.edit)
		gpus, changed := d.settle(t.Context(), nil)
		if changed != row.changed || gpus[0].Util != row.util {
			t.Errorf("%s: changed %v, %+v", row.story, changed, gpus[0])
		}
	}
	asked := r.times()
	d.settle(t.Context(), nil)
	if r.times() != asked {
		t.Error("a sample that is fresh was not good enough")
	}
}

func TestDevicesAreAskedOnlyWhenItMatters(t *testing.T) {
	t.Parallel()
	r := oneGPU()
	opts := testOptions(t.TempDir())
	opts.Devices = r
	p := start(t, opts)
	if pace := p.pace(); pace != 0 {
		t.Errorf("an idle machine is looked at every %v", pace)
	}
	s := submission(t, "sleep 60")
	s.Spec.Resources.GPUs.N = 1
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	v := awaitPhase(t, p, job.ID, nexus.Running)
	if v.Placement.Seats[0].GPUs[0].UUID != "GPU-a" || p.pace() != time.Second {
		t.Errorf("it got %+v, looked at every %v", v.Placement.Seats[0], p.pace())
	}
	nodes, err := p.Nodes(t.Context())
	if err != nil || len(nodes) != 1 || len(nodes[0].Devices) != 1 {
		t.Fatalf("nodes are %+v, %v", nodes, err)
	}
	g := nodes[0].Devices[0]
	if g.UtilPercent != 3 || g.PowerMW != 70_000 || g.Allocated != 79_500 || len(g.Jobs) != 1 || p.Now().Sub(g.Sampled) > 2*time.Second {
		t.Errorf("the device is shown as %+v", g)
	}
	queues, err := p.Queues(t.Context())
	if err != nil || queues[0].Rows[0].GPUs != 1 || queues[0].Running != 1 {
		t.Errorf("queues are %+v, %v", queues, err)
	}
}

// A share that takes more than it asked for is told of, or stopped where its file says so; after ten seconds, not before.
func TestSharesAreWatched(t *testing.T) {
	t.Parallel()
	var now time.Duration
	var mu sync.Mutex
	real := proc.SystemClock()
	r := oneGPU()
	opts := testOptions(t.TempDir())
	opts.Devices = r
	opts.Clock = proc.Clock{Wall: time.Now, Mono: func() time.Duration { mu.Lock(); defer mu.Unlock(); return now + real.Mono() }}
	p := start(t, opts)
	s := submission(t, "sleep 60")
	s.Spec.Resources.GPUMemory, s.Spec.Resources.Enforce = 1000, nexus.EnforceKill
	job, err := p.Submit(t.Context(), s)
	if err != nil {
		t.Fatal(err)
	}
	v := workerOf(t, p, job.ID)
	watch := shareWatch{over: map[string]time.Duration{}, told: map[string]bool{}}
	look := func(used int, later time.Duration) nexus.Phase {
		r.set(func(g *gpu.Device) {
			g.Processes = []gpu.Process{{PID: v, UsedMiB: used}, {PID: os.Getpid(), UsedMiB: 5000}}
		})
		mu.Lock()
		now += later
		mu.Unlock()
		watch.look(t.Context(), p)
		got, err := p.Job(t.Context(), job.ID)
		if err != nil {
			t.Fatal(err)
		}
		return got.Phase
	}
	for _, row := range []struct {
		used  int
		later time.Duration
		phase nexus.Phase
	}{
		{400, 2 * time.Second, nexus.Running}, {1040, time.Minute, nexus.Running}, {1100, 2 * time.Second, nexus.Running},
		{1100, 5 * time.Second, nexus.Running}, {900, 4 * time.Second, nexus.Running}, {1100, 4 * time.Second, nexus.Running},
		{1100, 9 * time.Second, nexus.Running},
	} {
		if phase := look(row.used, row.later); phase != row.phase {
			t.Fatalf("using %d it is %s", row.used, phase)
		}
	}
	r.set(func(g *gpu.Device) { g.FreeMiB = 79_500 - 6100 })
	if foreign := p.foreign(r.sample)["GPU-a"]; foreign != 5000 {
		t.Errorf("others use %d", foreign)
	}
	if phase := look(1100, 3*time.Second); phase == nexus.Running {
		t.Error("it is left alone")
	}
	awaitPhase(t, p, job.ID, nexus.Failed)
	if end, err := p.Job(t.Context(), job.ID); err != nil || end.Result.Cause != nexus.CauseShare || end.Result.PeakGPUMemory != 1100 {
		t.Errorf("it ended with %+v, %v", end.Result, err)
	}
}

// workerOf waits for the pid of a job's worker.
func workerOf(t *testing.T, p *Place, id string) int {
	t.Helper()
	v := awaitPhase(t, p, id, nexus.Running)
	status, err := p.dirOf(id, v.Attempt).Status()
	if err != nil || len(status.Workers) == 0 {
		t.Fatal(errors.Join(err, errors.New("no workers")))
	}
	return status.Workers[0].PID
}
