package gpu_test

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

const rows = `cat <<END
0, GPU-aaaa, NVIDIA L40S, 46068, 600, 45000, 468, 7, 41, 68.94, 350.00, 550.54.15, None
1, GPU-bbbb, NVIDIA L40S, 46068, [N/A], 45000, 468, [N/A], [N/A], [N/A], [Not Supported], 550.54.15, [N/A]
END
`

func TestNvidiaSMIStandsIn(t *testing.T) {
	s := look(t, gpu.Options{Library: missing, NvidiaSMI: gputest.Program(t, rows)})
	if s.Source != gpu.SourceSMI || s.Driver != "550.54.15" || s.Broken || len(s.Devices) != 2 {
		t.Fatalf("%+v", s)
	}
	want := []gpu.Device{
		{
			Index: 0, UUID: "GPU-aaaa", Model: "NVIDIA L40S", MemoryMiB: 46068, ReservedMiB: 600, FreeMiB: 45000, UsedMiB: 468,
			Utilisation: 7, TemperatureC: 41, PowerMilliwatts: 68940, PowerLimitMilliwatts: 350000, Healthy: true,
		},
		{
			Index: 1, UUID: "GPU-bbbb", Model: "NVIDIA L40S", MemoryMiB: 46068, FreeMiB: 45000, UsedMiB: 468,
			Utilisation: gpu.Unknown, TemperatureC: gpu.Unknown, PowerMilliwatts: gpu.Unknown, PowerLimitMilliwatts: gpu.Unknown, Healthy: true,
		},
	}
	if !reflect.DeepEqual(s.Devices, want) {
		t.Errorf("got  %+v\nwant %+v", s.Devices, want)
	}
}

func TestNvidiaSMIOddities(t *testing.T) {
	cases := []struct {
		name, script string
		devices      int
		broken       bool
		unwell       []int
		reason       string
	}{
		{"no devices", `echo "No devices were found"; exit 6`, 0, false, []int{}, "no devices were found"},
		{"driver gone", `echo "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver."; exit 9`, 0, true, []int{}, "couldn't communicate"},
		{"silent failure", `exit 3`, 0, true, []int{}, "exit status 3"},
		{"silent success", `exit 0`, 0, true, []int{}, "printed nothing"},
		{"one lost in the middle of the list", strings.Replace(rows, "1, GPU-bbbb", "Unable to determine the device handle for GPU0000:3B:00.0: GPU is lost.\n1, GPU-bbbb", 1) + "exit 15", 2, true, []int{}, "GPU is lost"},
		{"lost in the cells", "echo '0, GPU-aaaa, X, [GPU is lost], [GPU is lost], [GPU is lost], [GPU is lost], 0, [GPU is lost], 0, 0, 1.2, None'", 1, false, []int{0}, ""},
		{"uuid unreadable", "echo '0, [Unknown Error], X, 1, 1, 1, 1, 0, 1, 0, 0, 1.2, None'", 1, false, []int{0}, ""},
		{"recovery asked for", strings.Replace(rows, "None", "Drain and Reset", 1), 2, false, []int{0}, ""},
		{"columns missing", "echo '0, GPU-aaaa, X'", 0, true, []int{}, "3 columns where 13"},
		{"listed twice", "echo '0, GPU-a, X, 1, 1, 1, 1, 1, 1, 1, 1, 1.2, None'\necho '1, GPU-a, X, 1, 1, 1, 1, 1, 1, 1, 1, 1.2, None'", 1, true, []int{}, "listed twice"},
		{"header all the same, in another order, with units",
			"echo 'uuid, index, name, memory.total [MiB], utilization.gpu [%]'\necho 'GPU-aaaa, 0, X, 1000 MiB, 7 %'", 1, false, []int{}, ""},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			s := look(t, gpu.Options{Library: missing, NvidiaSMI: gputest.Program(t, c.script)})
			if len(s.Devices) != c.devices || s.Broken != c.broken || !reflect.DeepEqual(unwell(s), c.unwell) || !strings.Contains(s.Reason, c.reason) {
				t.Errorf("%+v", s)
			}
		})
	}
}

// An nvidia-smi of another year does not know every field. It is asked again without those, and remembered.
func TestNvidiaSMIThatLacksFields(t *testing.T) {
	count := filepath.Join(t.TempDir(), "count")
	script := fmt.Sprintf(`echo run >> %q
case "$1" in
*memory.reserved*) echo 'Field "memory.reserved" is not a valid field to query.'; exit 2;;
*gpu_recovery_action*) echo 'Field "gpu_recovery_action" is not a valid field to query.'; exit 2;;
esac
echo '0, GPU-aaaa, X, 1000, 900, 100, 7, 41, 68.94, 350.00, 440.33'
`, count)
	r := gpu.New(gpu.Options{Library: missing, NvidiaSMI: gputest.Program(t, script)})
	defer r.Close()
	for range 2 {
		s := take(t, r)
		if s.Broken || len(s.Devices) != 1 || s.Devices[0].FreeMiB != 900 || s.Driver != "440.33" {
			t.Fatalf("%+v", s)
		}
	}
	data, err := os.ReadFile(count)
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(data), "run"); n != 4 {
		t.Errorf("nvidia-smi ran %d times; 3 for the first sample, 1 for the second", n)
	}
}

func TestNvidiaSMIListsProcesses(t *testing.T) {
	script := `case "$1" in
--query-compute-apps*) printf 'GPU-aaaa, 123, 2000\nGPU-aaaa, 124, [N/A]\n'; exit;;
esac
` + rows
	s := look(t, gpu.Options{Library: missing, NvidiaSMI: gputest.Program(t, script), Processes: true})
	want := []gpu.Process{{PID: 123, UsedMiB: 2000}, {PID: 124, UsedMiB: gpu.Unknown}}
	if !reflect.DeepEqual(s.Devices[0].Processes, want) || s.Devices[1].Processes != nil {
		t.Errorf("%+v", s.Devices)
	}
}

// A program that hangs is ended with the child that started it.
func TestNvidiaSMIThatHangs(t *testing.T) {
	t.Parallel()
	pidFile := filepath.Join(t.TempDir(), "pid")
	script := fmt.Sprintf("echo $$ > %q\nexec sleep 1000\n", pidFile)
	r := gpu.New(gpu.Options{Library: missing, NvidiaSMI: gputest.Program(t, script), Child: sampler(t), StartTimeout: 3 * time.Second})
	defer r.Close()
	s := take(t, r)
	if !s.Broken || !strings.Contains(s.Reason, "blocked") {
		t.Errorf("%+v", s)
	}
	waitGone(t, pidFile)
}

func TestNoGPUIsNoError(t *testing.T) {
	s := look(t, gpu.Options{Library: missing, NvidiaSMI: missing})
	if s.Source != gpu.SourceNone || s.Broken || len(s.Devices) != 0 || !strings.Contains(s.Reason, "no NVIDIA GPU can be used here") {
		t.Errorf("%+v", s)
	}
	t.Log(s.Reason)
}
