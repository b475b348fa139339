package gputest

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// State is what is wrong with a GPU.
type State string

// What can be wrong. A GPU that crashes takes the asking process with it.
const (
	OK    State = "ok"
	Lost  State = "lost"  // NVML_ERROR_GPU_IS_LOST
	Reset State = "reset" // NVML_ERROR_RESET_REQUIRED
	Hang  State = "hang"  // the call never returns
	Crash State = "crash" // SIGSEGV in the library
)

// GPU is one device of a [Fleet].
type GPU struct {
	UUID                         string
	Model                        string
	TotalMiB, ReservedMiB        int
	UsedMiB                      int // beside the reserve
	Utilisation, TemperatureC    int
	PowerMilliwatts, LimitMillis int
	Recovery                     int // nvmlDeviceGpuRecoveryAction_t
	State                        State
	Processes                    []Process
}

// Process computes on a GPU.
type Process struct {
	PID     int
	UsedMiB int // negative: not available
}

// Fleet is what the library reports.
type Fleet struct {
	Driver    string // "" = 570.86.15
	InitError int    // nvmlReturn_t of nvmlInit_v2; 0 = success
	InitHang  bool
	Chatter   bool // print a line to standard output at every count
	GPUs      []GPU
}

// UUID is the UUID of GPU i in a [Uniform] fleet.
func UUID(i int) string { return fmt.Sprintf("GPU-%08x-0000-4000-8000-%012x", 0xa1000000+i, i) }

// Uniform is a fleet of n equal GPUs, well and idle, each with a temperature of its own (30 + i).
func Uniform(n int, model string, totalMiB int) Fleet {
	var f Fleet
	for i := range n {
		f.GPUs = append(f.GPUs, GPU{
			UUID: UUID(i), Model: model, TotalMiB: totalMiB, TemperatureC: 30 + i,
			PowerMilliwatts: 70000, LimitMillis: 700000, State: OK,
		})
	}
	return f
}

// Write makes the library at this path report the fleet, from its next call on.
func Write(t testing.TB, lib string, f Fleet) {
	t.Helper()
	if f.Driver == "" {
		f.Driver = "570.86.15"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "fleet %s %d %d %d\n", f.Driver, f.InitError, number(f.InitHang), number(f.Chatter))
	for i, g := range f.GPUs {
		if g.State == "" {
			g.State = OK
		}
		fmt.Fprintf(&b, "gpu %s %s %d %d %d %d %d %d %d %d %s\n", g.UUID, strings.ReplaceAll(g.Model, " ", "~"), g.TotalMiB, g.ReservedMiB,
			g.UsedMiB, g.Utilisation, g.TemperatureC, g.PowerMilliwatts, g.LimitMillis, g.Recovery, g.State)
		for _, p := range g.Processes {
			fmt.Fprintf(&b, "process %d %d %d\n", i, p.PID, p.UsedMiB)
		}
	}
	path := filepath.Join(filepath.Dir(lib), "fleet")
	if err := os.WriteFile(path+".new", []byte(b.String()), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}

func number(b bool) int {
	if b {
		return 1
	}
	return 0
}
