package local

import (
	"strings"
	"testing"
	"time"

	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// A job that ran out of memory comes back with more, as its file and this machine allow, or ends and says why.
func TestRunningOutOfMemory(t *testing.T) {
	gpu := func(i int, memory nexus.MiB) nexus.GPU {
		return nexus.GPU{Index: i, UUID: string(rune('a' + i)), Memory: memory, Reserve: 24}
	}
	node := nexus.Node{Name: "here", State: nexus.Ready, CPU: 8000, Memory: 128 << 10, GPUs: []nexus.GPU{gpu(0, 40<<10), gpu(1, 80<<10)}}
	oom := []nexus.Cause{nexus.CauseOOM}
	whole, share := nexus.Resources{GPUs: nexus.GPUCount{N: 1}}, nexus.Resources{GPUMemory: 10 << 10}
	for _, row := range []struct {
		story  string
		asks   nexus.Resources
		on     []nexus.Cause
		growth *nexus.Growth
		used   int
		stop   nexus.StopKind
		outOf  nexus.OutOf
		peak   nexus.MiB
		seat   []nexus.SeatGPU

		phase nexus.Phase
		after int
		now   nexus.Resources
		says  string
	}{
		{story: "of memory", asks: nexus.Resources{Memory: 64 << 10}, on: oom, outOf: nexus.OutOfMemory, phase: nexus.Pending, after: 1,
			now: nexus.Resources{Memory: 96 << 10}, says: "retried with 96GiB after running out of 64GiB of memory"},
		{story: "again, up to the machine's", asks: nexus.Resources{Memory: 64 << 10}, on: oom, growth: &nexus.Growth{Memory: 96 << 10}, used: 1, outOf: nexus.OutOfMemory,
			phase: nexus.Pending, after: 2, now: nexus.Resources{Memory: 128 << 10}, says: "retried with 128GiB after running out of 96GiB of memory"},
		{story: "of all that there is", asks: nexus.Resources{Memory: 64 << 10}, on: oom, growth: &nexus.Growth{Memory: 128 << 10}, outOf: nexus.OutOfMemory,
			phase: nexus.Failed, now: nexus.Resources{Memory: 128 << 10}, says: "it had 128GiB of memory, and there is no more to be had here"},
		{story: "when the budget is used up", asks: nexus.Resources{Memory: 64 << 10}, on: oom, used: 3, outOf: nexus.OutOfMemory, phase: nexus.Failed, after: 3,
			now: nexus.Resources{Memory: 64 << 10}, says: "no restart is left"},
		{story: "and does not want another try", asks: nexus.Resources{Memory: 64 << 10}, outOf: nexus.OutOfMemory, phase: nexus.Failed,
			now: nexus.Resources{Memory: 64 << 10}, says: "so it was"},
		{story: "while it was cancelled", asks: nexus.Resources{Memory: 64 << 10}, on: oom, stop: nexus.StopCancel, outOf: nexus.OutOfMemory, phase: nexus.Failed,
			now: nexus.Resources{Memory: 64 << 10}, says: "so it was"},
		{story: "without having asked for any", on: oom, outOf: nexus.OutOfMemory, peak: 1001, phase: nexus.Pending, after: 1, now: nexus.Resources{Memory: 1502},
			says: "retried with 1502MiB after running out of 1001MiB of memory"},
		{story: "and nobody measured it", on: oom, outOf: nexus.OutOfMemory, phase: nexus.Failed, says: "say resources.memory"},
		{story: "of a share", asks: share, on: oom, outOf: nexus.OutOfGPUMemory, phase: nexus.Pending, after: 1, now: nexus.Resources{GPUMemory: 15 << 10},
			says: "retried with 15GiB after running out of 10GiB of GPU memory"},
		{story: "of a GPU, and there is a larger one", asks: whole, on: oom, outOf: nexus.OutOfGPUMemory, seat: []nexus.SeatGPU{{Index: 0, UUID: "a"}},
			phase: nexus.Pending, after: 1, now: nexus.Resources{GPUs: whole.GPUs, GPUMemory: 60 << 10}, says: "retried with 60GiB after running out of 40GiB of GPU memory"},
		{story: "of the largest GPU", asks: whole, on: oom, outOf: nexus.OutOfGPUMemory, seat: []nexus.SeatGPU{{Index: 1, UUID: "b"}},
			phase: nexus.Failed, now: whole, says: "it had 80GiB of GPU memory, and there is no more to be had here"},
	} {
		job := nexus.Job{ID: "j", Attempt: 1, Phase: nexus.Running, RestartsUsed: row.used, Growth: row.growth, Stop: row.stop, Spec: nexus.Spec{
			Nodes: nexus.Range{Min: 1, Max: 1}, Workers: 1, Resources: row.asks, Restart: nexus.Restart{Max: 3, On: row.on, Grow: 1500}},
			Placement: &nexus.Placement{Job: "j", Attempt: 1, Seats: []nexus.Seat{{Node: "here", GPUs: row.seat}}}}
		r := store.Record{Job: job}
		text := end(&r, leftBehind{at: time.Now(), node: node, rounds: &nexus.Rounds{RestartsLeft: 3 - row.used},
			result: &nexus.Result{Cause: nexus.CauseOOM, OutOf: row.outOf, PeakMemory: row.peak, Message: "so it was"}})
		now := r.Job.Asks().Spec.Resources
		if r.Job.Phase != row.phase || r.Job.RestartsUsed != row.after || now.Memory != row.now.Memory || now.GPUMemory != row.now.GPUMemory || !strings.Contains(text, row.says) {
			t.Errorf("it ran out %s: %s with %d restarts used, asking %s and %s of a GPU: %s", row.story, r.Job.Phase, r.Job.RestartsUsed, now.Memory, now.GPUMemory, text)
		}
		if r.Job.Spec.Resources.Memory != row.asks.Memory || r.Job.Result == nil || r.Job.Result.Charged != row.after-row.used {
			t.Errorf("it ran out %s: its file asks for %s now, and %+v was charged", row.story, r.Job.Spec.Resources.Memory, r.Job.Result)
		}
	}
}

// What the planner and the agent hear is the grown request; the record keeps the file.
func TestTheGrownRequestIsPlanned(t *testing.T) {
	t.Parallel()
	p := start(t, testOptions(t.TempDir()))
	s := submission(t, "test -e flag || { touch flag; exit 99; }") // 99: out of memory, says the agent of these tests
	s.Spec.Resources.Memory = 64
	s.Spec.Restart = nexus.Restart{Max: 1, On: []nexus.Cause{nexus.CauseOOM}, Grow: 2000}
	v := awaitPhase(t, p, put(t, p, s).ID, nexus.Succeeded)
	order, err := p.dirOf(v.ID, 2).Order()
	if err != nil || order.Seat.Memory != 128 || order.Spec.Resources.Memory != 128 {
		t.Errorf("the second attempt is ordered with %s, %v", order.Seat.Memory, err)
	}
	if v.Spec.Resources.Memory != 64 || v.Growth == nil || v.Growth.Memory != 128 || v.RestartsUsed != 1 || v.Result.AskedMemory != 128 {
		t.Errorf("its record is %+v with growth %+v", v.Job, v.Growth)
	}
}
