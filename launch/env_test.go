package launch

import (
	"fmt"
	"io/fs"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

// ring is a job of four workers on two of a machine's GPUs' worth of everything.
func ring() nexus.Order {
	return nexus.Order{
		Job: "j7k2", Attempt: 3, RestartsLeft: 5, Workdir: "/home/ada/gpt",
		Env: map[string]string{"PATH": "/venv/bin:/usr/bin", "HOME": "/home/ada", "LANG": "C.UTF-8", "RANK": "77"},
		Seat: nexus.Seat{Node: "tower", Workers: 4, CPU: 10_000, GPUs: []nexus.SeatGPU{
			{Index: 0, UUID: "GPU-a"}, {Index: 1, UUID: "GPU-b"}, {Index: 2, UUID: "GPU-c"}, {Index: 3},
		}},
		Spec: nexus.Spec{
			Env:        map[string]nexus.EnvValue{"NCCL_DEBUG": {Value: "WARN"}, "LANG": {Value: "en_US.UTF-8"}},
			Checkpoint: &nexus.CheckpointSpec{Path: "ckpt"},
		},
	}
}

func ringEnv(t *testing.T, o nexus.Order, rank int) []string {
	t.Helper()
	base, err := baseEnv(o, nil)
	if err != nil {
		t.Fatal(err)
	}
	return workerEnv(o, seatEnv(o, base, false), roundFacts{
		number: 2, place: place{groups: 1, world: 4, addr: "127.0.0.1", port: 29500}, role: "default", runID: o.Job, dir: attempt.Dir("/state/j7k2/3"),
		errorFile: func(rank int) string { return attempt.Dir("/state/j7k2/3").ErrorFile(2, rank) },
		nccl:      ncclSettings(fstest.MapFS{}, base, ""),
	}, rank)
}

func TestTheEnvironmentOfARingOfFour(t *testing.T) {
	var told strings.Builder
	fmt.Fprintf(&told, "%s\n", strings.Join(ringEnv(t, ring(), 0), "\n"))
	first := ringEnv(t, ring(), 0)
	for rank := 1; rank < 4; rank++ {
		fmt.Fprintf(&told, "\nrank %d differs in\n", rank)
		for i, line := range ringEnv(t, ring(), rank) {
			if line != first[i] {
				fmt.Fprintln(&told, line)
			}
		}
	}
	want, err := os.ReadFile("testdata/ring.txt")
	if err != nil {
		t.Fatal(err)
	}
	if told.String() != string(want) {
		t.Errorf("got:\n%s", told.String())
	}
}

// docs/workers.md tells every variable that is ours to set.
func TestThePageOfTheEnvironmentIsWhole(t *testing.T) {
	page, err := os.ReadFile("../docs/workers.md")
	if err != nil {
		t.Fatal(err)
	}
	o := ring()
	o.Seat.Share = 4096
	for _, line := range ringEnv(t, o, 0) {
		key, _, _ := strings.Cut(line, "=")
		_, captured := o.Env[key]
		_, said := o.Spec.Env[key]
		if !captured && !said && !strings.Contains(string(page), "`"+key+"`") {
			t.Errorf("docs/workers.md says nothing of %s", key)
		}
	}
}

func TestWhatTheJobSaysAboutItsEnvironment(t *testing.T) {
	o := ring()
	o.Seat.GPUs, o.Seat.Share, o.Seat.CPU = nil, 0, 2000
	o.Spec.Env["WANDB_RUN_ID"] = nexus.EnvValue{Value: "mine"}
	o.Spec.Env["CUDA_VISIBLE_DEVICES"] = nexus.EnvValue{Value: "0,1"}
	o.Spec.Env["WORLD_SIZE"] = nexus.EnvValue{Value: "9"}
	env := "\n" + strings.Join(ringEnv(t, o, 1), "\n") + "\n"
	for _, line := range []string{
		"CUDA_VISIBLE_DEVICES=", // a job without GPUs sees none, whatever it says
		"OMP_NUM_THREADS=1", "WANDB_RUN_ID=mine", "WORLD_SIZE=4", "RANK=1",
	} {
		if !strings.Contains(env, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
	o.Spec.Env["OMP_NUM_THREADS"] = nexus.EnvValue{Value: "7"}
	o.Seat.GPUs, o.Seat.Share = []nexus.SeatGPU{{Index: 1, UUID: "GPU-b"}}, 2000
	env = "\n" + strings.Join(ringEnv(t, o, 1), "\n") + "\n"
	for _, line := range []string{"CUDA_VISIBLE_DEVICES=GPU-b", "NEXUS_GPU_MEMORY_MIB=2000", "OMP_NUM_THREADS=7"} {
		if !strings.Contains(env, "\n"+line+"\n") {
			t.Errorf("%s is missing", line)
		}
	}
}

// What NCCL is told follows from the node, as the doctor shows it; what is set already stays, and workers without a GPU are
// told the interface alone.
func TestWhatNCCLIsTold(t *testing.T) {
	link := func(target string) *fstest.MapFile {
		return &fstest.MapFile{Data: []byte(target), Mode: fs.ModeSymlink | 0o777}
	}
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	node := fstest.MapFS{
		"proc/driver/nvidia/gpus/0000:19:00.0/information": text("Model: NVIDIA H100 80GB HBM3"),
		"sys/bus/pci/devices/0000:19:00.0":                 link("../../../devices/pci0000:15/0000:19:00.0"),
		"sys/class/infiniband/mlx5_0/ports/1/state":        text("4: ACTIVE"),
		"sys/class/infiniband/mlx5_0/ports/1/rate":         text("400 Gb/sec (4X NDR)"),
		"sys/class/infiniband/mlx5_0/ports/1/link_layer":   text("InfiniBand"),
		"dev/infiniband/uverbs0":                           text(""),
		"etc/nccl.conf":                                    text("# ours\nNCCL_IB_TIMEOUT=23\n"),
	}
	base := map[string]string{"NCCL_DEBUG": "INFO"}
	tell := func(env map[string]string, device string) string {
		o := ring()
		facts := roundFacts{
			place: place{groups: 2, world: 8, addr: "10.0.0.1", port: 29500, device: device}, dir: "/state",
			errorFile: func(int) string { return "" }, nccl: ncclSettings(node, env, device),
		}
		var told []string
		for _, line := range workerEnv(o, env, facts, 0) {
			if strings.Contains(line, "NCCL") || strings.Contains(line, "IFNAME") {
				told = append(told, line)
			}
		}
		return strings.Join(told, " ")
	}
	const ends = "NCCL_ASYNC_ERROR_HANDLING=1"
	for _, test := range []struct {
		env    map[string]string
		device string
		want   string
	}{
		{base, "eth0", "GLOO_SOCKET_IFNAME=eth0 " + ends + " NCCL_DEBUG=INFO NCCL_IB_HCA==mlx5_0:1 NCCL_SOCKET_IFNAME==eth0 TORCH_" + ends + " TP_SOCKET_IFNAME=eth0"},
		{map[string]string{"CUDA_VISIBLE_DEVICES": ""}, "eth0", "GLOO_SOCKET_IFNAME=eth0 " + ends + " NCCL_SOCKET_IFNAME==eth0 TORCH_" + ends + " TP_SOCKET_IFNAME=eth0"},
		{map[string]string{"CUDA_VISIBLE_DEVICES": "", "NCCL_SOCKET_IFNAME": "mine"}, "lo", "GLOO_SOCKET_IFNAME=lo " + ends + " NCCL_SOCKET_IFNAME=mine TORCH_" + ends + " TP_SOCKET_IFNAME=lo"},
		{map[string]string{}, "", ends + " NCCL_DEBUG=WARN TORCH_" + ends},
	} {
		if got := tell(test.env, test.device); got != test.want {
			t.Errorf("%v over %q:\n%s\nnot\n%s", test.env, test.device, got, test.want)
		}
	}
}
