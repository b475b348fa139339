//go:build linux && (amd64 || arm64) && !nogpu

package gpu_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

// A training script gets all the job's GPUs in CUDA_VISIBLE_DEVICES and picks entry LOCAL_RANK. What it picks is what
// NVML knows under that name, in whatever order the job got them.
func TestAScriptPicksItsGPUByLocalRank(t *testing.T) {
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(8, "NVIDIA A100-SXM4-80GB", 81920))
	granted := []int{5, 2, 7, 0}
	var uuids []string
	for _, i := range granted {
		uuids = append(uuids, gputest.UUID(i))
	}
	const script = `
mine=$(echo "$CUDA_VISIBLE_DEVICES" | cut -d, -f$((LOCAL_RANK + 1)))
CUDA_VISIBLE_DEVICES=$mine exec "$LIST" list-gpus
`
	for rank, want := range granted {
		got := runScript(t, lib, script, uuids, rank)
		if len(got) != 1 || got[0].Index != want || got[0].UUID != gputest.UUID(want) || got[0].TemperatureC != 30+want {
			t.Errorf("local rank %d: %+v, want GPU %d", rank, got, want)
		}
	}

	// The same by the whole list: entry LOCAL_RANK of it, with two GPUs to a worker as well.
	all := runScript(t, lib, `exec "$LIST" list-gpus`, uuids, 0)
	for rank, want := range [][]int{{5, 2}, {7, 0}} {
		own, err := gpu.Own(all, rank, 2)
		if err != nil || len(own) != 2 || own[0].Index != want[0] || own[1].Index != want[1] {
			t.Errorf("worker %d of 2 owns %+v, %v", rank, own, err)
		}
	}
}

func runScript(t *testing.T, lib, script string, uuids []string, rank int) []gpu.Device {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("/bin/sh", "-ec", script)
	cmd.Env = append(os.Environ(), "LIST="+self, "NVML_LIBRARY="+lib,
		"CUDA_VISIBLE_DEVICES="+strings.Join(uuids, ","), fmt.Sprintf("LOCAL_RANK=%d", rank))
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("the script: %v", err)
	}
	var devices []gpu.Device
	if err := json.Unmarshal(out, &devices); err != nil {
		t.Fatalf("%v in %q", err, out)
	}
	return devices
}
