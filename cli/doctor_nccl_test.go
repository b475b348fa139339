package cli

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/fstest"

	"ainexus.io/gpu/gputest"
)

// A made-up node with two GPUs and one InfiniBand port: what is told of it, in a table, as JSON and for a shell.
func TestDoctorNCCL(t *testing.T) {
	text := func(s string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(s)} }
	node := fstest.MapFS{
		"proc/driver/nvidia/gpus/0000:19:00.0/information": text("Model: \t NVIDIA H100 80GB HBM3"),
		"proc/driver/nvidia/gpus/0000:1a:00.0/information": text("Model: \t NVIDIA H100 80GB HBM3"),
		"sys/class/infiniband/mlx5_0/ports/1/state":        text("4: ACTIVE"),
		"sys/class/infiniband/mlx5_0/ports/1/rate":         text("400 Gb/sec (4X NDR)"),
		"sys/class/infiniband/mlx5_0/ports/1/link_layer":   text("InfiniBand"),
		"dev/infiniband/uverbs0":                           text(""),
		"proc/net/route":                                   text("Iface\tDestination\nib0\t00000000\t0100000A\t0003\t0\t0\t0\t00000000\t0\t0\t0"),
	}
	smi := gputest.Program(t, "printf '\\tGPU0\\tGPU1\\nGPU0\\t X \\tNV18\\nGPU1\\tNV18\\t X \\n'")
	env := map[string]string{"NVIDIA_SMI": smi, "NCCL_DEBUG": "INFO", "NCCL_IB_TIMEOUT": "22"}
	run := func(output string, export bool) string {
		t.Helper()
		var out bytes.Buffer
		p := &program{out: &out, err: &out, output: output, lookup: func(key string) (string, bool) { v, ok := env[key]; return v, ok }}
		if err := p.nccl(t.Context(), node, nil, export); err != nil {
			t.Fatal(err)
		}
		return out.String()
	}
	table := run("", false)
	for _, want := range []string{
		"NCCL_IB_HCA                      =mlx5_0:1  all ports that are active, InfiniBand of 400 Gbit/s",
		"NCCL_DEBUG                       WARN       yours, INFO, stays; otherwise: ",
		"NCCL_SOCKET_IFNAME               =ib0       the default route",
		"warn  gpudirect   network cards cannot reach GPU memory", "hint: modprobe nvidia_peermem",
		"ok    links       between GPUs: NV18 (1 pairs)",
	} {
		if !strings.Contains(table, want) {
			t.Errorf("no %q in\n%s", want, table)
		}
	}
	var report ncclReport
	if err := json.Unmarshal([]byte(run("json", false)), &report); err != nil || len(report.Facts.GPUs) != 2 || len(report.Settings) == 0 || len(report.Links) != 1 {
		t.Errorf("%+v, %v", report, err)
	}
	shell := exec.Command("sh", "-eu", "-c", run("", true)+`echo "$NCCL_IB_HCA $NCCL_SOCKET_IFNAME $NCCL_DEBUG"`)
	shell.Env = append(os.Environ(), "NCCL_DEBUG=INFO")
	if out, err := shell.CombinedOutput(); err != nil || string(out) != "=mlx5_0:1 =ib0 INFO\n" {
		t.Errorf("the shell has %q, %v", out, err)
	}
}
