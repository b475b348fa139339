package gpu_test

import (
	"reflect"
	"strings"
	"testing"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

// The matrix is written as NVIDIA's manual shows it; none was printed by a real nvidia-smi here.
const matrix = "printf '\\t\\033[4mGPU0\\tGPU1\\tGPU2\\tNIC0\\tCPU Affinity\\tNUMA Affinity\\tGPU NUMA ID\\033[0m\\n" +
	"GPU0\\t X \\tNV18\\tSYS\\tPIX\\t0-55\\t0\\t\\tN/A\\n" +
	"GPU1\\tNV18\\t X \\tPHB\\tSYS\\t0-55\\t0\\t\\tN/A\\n" +
	"GPU2\\tSYS\\tPHB\\t X \\tSYS\\t56-111\\t1\\t\\tN/A\\n" +
	"NIC0\\tPIX\\tSYS\\tSYS\\t X \\t\\t\\t\\t\\n\\nLegend:\\n\\n  X    = Self\\n\\nNIC Legend:\\n\\n  NIC0: mlx5_0\\n'"

func TestLinks(t *testing.T) {
	got, err := gpu.Links(t.Context(), gputest.Program(t, `[ "$*" = "topo -m" ] || exit 2`+"\n"+matrix))
	want := []gpu.Link{{A: 0, B: 1, Kind: "NV18"}, {A: 0, B: 2, Kind: "SYS"}, {A: 1, B: 2, Kind: "PHB"}}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%v, %v", got, err)
	}
	if !want[0].Direct() || want[1].Direct() {
		t.Error("which links are NVLinks")
	}
	for script, say := range map[string]string{"echo nothing to see": "prints no matrix", "echo broken; exit 9": "broken"} {
		if links, err := gpu.Links(t.Context(), gputest.Program(t, script)); err == nil || !strings.Contains(err.Error(), say) {
			t.Errorf("%s: %v, %v", script, links, err)
		}
	}
	if _, err := gpu.Links(t.Context(), "/nowhere/nvidia-smi"); err == nil {
		t.Error("a program that is not there")
	}
}
