package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/gpu/gputest"
)

// What the image's health check says of CUDA, by stand-ins for the driver's two libraries.
func TestHealthLooksAtTheGPUs(t *testing.T) {
	cuda, nvml := gputest.BuildCUDA(t, 13000, 0, 2), gputest.Build(t)
	gputest.Write(t, nvml, gputest.Uniform(2, "NVIDIA H100 80GB HBM3", 81559))
	none := filepath.Join(t.TempDir(), "none")
	say := func(mode, cuda, nvml string) string {
		c := exec.Command(filepath.Join(built, "nexus"), "health", "--no-daemon", "--gpu", mode)
		c.Env = append(os.Environ(), "CUDA_LIBRARY="+cuda, "NVML_LIBRARY="+nvml, "PATH=", "NEXUS_STATE="+t.TempDir())
		out, err := c.CombinedOutput()
		if (err == nil) != !strings.HasPrefix(string(out), "error: ") {
			t.Errorf("--gpu=%s: %v\n%s", mode, err, out)
		}
		return string(out)
	}
	for _, c := range []struct{ mode, cuda, nvml, want string }{
		{"required", cuda, nvml, "ready; CUDA 13.0, 2 GPUs\n"},
		{"auto", cuda, nvml, "ready; CUDA 13.0, 2 GPUs\n"},
		{"auto", none, none, "ready; no GPU here\n"},
		{"none", none, none, "ready\n"},
		{"required", none, none, "error: no driver library"},
		{"auto", none, nvml, "the container needs the driver capability compute"},
		{"auto", cuda, none, "error: CUDA starts and the management library does not answer"},
		{"perhaps", cuda, nvml, `error: --gpu: "perhaps" is none of none, auto, required`},
	} {
		if got := say(c.mode, c.cuda, c.nvml); !strings.Contains(got, c.want) {
			t.Errorf("--gpu=%s says %s\nand not %s", c.mode, got, c.want)
		}
	}
	gputest.WriteCUDA(t, cuda, 12080, 0, 2)
	if got := say("auto", cuda, nvml); !strings.Contains(got, "error: the driver serves CUDA 12.8 and not 13.0") {
		t.Errorf("with an old driver it says %s", got)
	}
	gputest.WriteCUDA(t, cuda, 13000, 0, 2)
	gputest.Write(t, nvml, gputest.Fleet{GPUs: []gputest.GPU{{UUID: "GPU-a", Model: "NVIDIA L4", TotalMiB: 23034, State: gputest.Lost}}})
	if got := say("auto", cuda, nvml); !strings.Contains(got, "error: no GPU is well: the GPU has fallen off the bus") {
		t.Errorf("with a GPU off the bus it says %s", got)
	}
}
