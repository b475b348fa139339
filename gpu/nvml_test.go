//go:build linux && (amd64 || arm64) && !nogpu

package gpu_test

import (
	"reflect"
	"strings"
	"testing"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

func TestNVMLTellsEveryFact(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(2, "NVIDIA H100 80GB HBM3", 81559)
	g := &fleet.GPUs[1]
	g.ReservedMiB, g.UsedMiB, g.Utilisation, g.PowerMilliwatts = 600, 2000, 97, 312345
	g.Processes = []gputest.Process{{PID: 4242, UsedMiB: 1500}, {PID: 77, UsedMiB: -1}}
	gputest.Write(t, lib, fleet)

	s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing, Processes: true})

	if s.Source != gpu.SourceNVML || s.Driver != "570.86.15" || s.Broken || s.Reason != "" || s.At.IsZero() {
		t.Errorf("sample %+v", s)
	}
	want := gpu.Device{
		Index: 1, UUID: gputest.UUID(1), Model: "NVIDIA H100 80GB HBM3",
		MemoryMiB: 81559, ReservedMiB: 600, UsedMiB: 2000, FreeMiB: 81559 - 2600,
		Utilisation: 97, TemperatureC: 31, PowerMilliwatts: 312345, PowerLimitMilliwatts: 700000, Healthy: true,
		Processes: []gpu.Process{{PID: 77, UsedMiB: gpu.Unknown}, {PID: 4242, UsedMiB: 1500}},
	}
	if len(s.Devices) != 2 || !reflect.DeepEqual(s.Devices[1], want) {
		t.Errorf("got  %+v\nwant %+v", s.Devices, want)
	}
}

func TestNVMLWithMoreProcessesThanFirstAskedFor(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(1, "A", 1000)
	for pid := range 200 {
		fleet.GPUs[0].Processes = append(fleet.GPUs[0].Processes, gputest.Process{PID: 1000 + pid, UsedMiB: 1})
	}
	gputest.Write(t, lib, fleet)
	s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing, Processes: true})
	if n := len(s.Devices[0].Processes); n != 200 {
		t.Errorf("%d processes of 200", n)
	}
}

// An old driver lacks functions. What it cannot tell is unknown; what no device can do without is a sentence.
func TestMissingSymbols(t *testing.T) {
	optional := []string{
		"nvmlDeviceGetMemoryInfo_v2", "nvmlSystemGetDriverVersion", "nvmlDeviceGetUtilizationRates", "nvmlDeviceGetTemperature",
		"nvmlDeviceGetPowerUsage", "nvmlDeviceGetEnforcedPowerLimit", "nvmlDeviceGetFieldValues", "nvmlDeviceGetComputeRunningProcesses_v2",
	}
	t.Run("optional", func(t *testing.T) {
		lib := gputest.Build(t, optional...)
		fleet := gputest.Uniform(1, "A", 1000)
		fleet.GPUs[0].ReservedMiB, fleet.GPUs[0].UsedMiB = 100, 200
		gputest.Write(t, lib, fleet)
		s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing, Processes: true})
		want := gpu.Device{
			UUID: gputest.UUID(0), Model: "A", MemoryMiB: 1000, UsedMiB: 300, FreeMiB: 700, Healthy: true,
			Utilisation: gpu.Unknown, TemperatureC: gpu.Unknown, PowerMilliwatts: gpu.Unknown, PowerLimitMilliwatts: gpu.Unknown,
		}
		if len(s.Devices) != 1 || !reflect.DeepEqual(s.Devices[0], want) {
			t.Errorf("got  %+v\nwant %+v", s.Devices, want)
		}
	})
	for _, name := range []string{"nvmlInit_v2", "nvmlDeviceGetUUID"} {
		t.Run(name, func(t *testing.T) {
			lib := gputest.Build(t, name)
			s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing})
			if !s.Broken || len(s.Devices) != 0 || !strings.Contains(s.Reason, "has no "+name) {
				t.Errorf("sample %+v", s)
			}
		})
	}
}

func TestUnwellDevices(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(5, "A", 1000)
	r := gpu.New(gpu.Options{Library: lib, NvidiaSMI: missing})
	defer r.Close()
	gputest.Write(t, lib, fleet)
	if s := take(t, r); len(unwell(s)) != 0 {
		t.Fatalf("at first all are well: %+v", s)
	}

	fleet.GPUs[1].State = gputest.Lost
	fleet.GPUs[2].State = gputest.Reset
	fleet.GPUs[3].Recovery = 2
	gputest.Write(t, lib, fleet)
	s := take(t, r)
	for i, want := range []string{1: "fallen off the bus", 2: "needs a reset", 3: "reboot the machine", 4: ""} {
		d := s.Devices[i]
		if d.Healthy != (want == "") || !strings.Contains(d.Problem, want) || d.UUID != gputest.UUID(i) || d.MemoryMiB != 1000 {
			t.Errorf("device %d: %+v", i, d)
		}
	}
	if lost := s.Devices[1]; lost.TemperatureC != gpu.Unknown || lost.Utilisation != gpu.Unknown {
		t.Errorf("a lost GPU shows old readings as new: %+v", lost)
	}

	// The driver starts anew without the lost one: the others move up, it is not forgotten.
	gputest.Write(t, lib, gputest.Fleet{GPUs: append(fleet.GPUs[:1:1], fleet.GPUs[4])})
	s = take(t, r)
	if len(s.Devices) != 5 {
		t.Fatalf("devices were forgotten: %+v", s.Devices)
	}
	for _, d := range s.Devices {
		if here := d.UUID == gputest.UUID(0) || d.UUID == gputest.UUID(4); d.Healthy != here {
			t.Errorf("device %+v", d)
		}
	}

	gputest.Write(t, lib, gputest.Uniform(5, "A", 1000))
	if s = take(t, r); len(unwell(s)) != 0 || len(s.Devices) != 5 {
		t.Errorf("all came back: %+v", s.Devices)
	}
}

func TestAGPULostBeforeItWasEverSeen(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(2, "A", 1000)
	fleet.GPUs[0].State = gputest.Lost
	gputest.Write(t, lib, fleet)
	s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing})
	if len(s.Devices) != 2 || s.Devices[0].Healthy || s.Devices[0].UUID != "" || !s.Devices[1].Healthy {
		t.Errorf("%+v", s.Devices)
	}
}

func TestGPUWithoutMemoryOfItsOwn(t *testing.T) {
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(1, "NVIDIA GB10", 0))
	s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing})
	if d := s.Devices[0]; !d.Healthy || d.MemoryMiB != 0 || d.FreeMiB != 0 || d.TemperatureC != 30 {
		t.Errorf("%+v", d)
	}
}

func TestDriverTrouble(t *testing.T) {
	lib := gputest.Build(t)
	cases := []struct {
		name   string
		fleet  gputest.Fleet
		broken bool
		reason string
	}{
		{"not loaded", gputest.Fleet{InitError: 9}, false, "the NVIDIA driver is not loaded"},
		{"mismatch", gputest.Fleet{InitError: 18}, true, "different versions"},
		{"unknown", gputest.Fleet{InitError: 999}, true, "unknown internal error"},
		{"a code of tomorrow", gputest.Fleet{InitError: 77}, true, "NVML error 77"},
		{"no GPU", gputest.Fleet{}, false, "reports no GPU"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			gputest.Write(t, lib, c.fleet)
			s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing})
			if s.Broken != c.broken || len(s.Devices) != 0 || !strings.Contains(s.Reason, c.reason) {
				t.Errorf("%+v", s)
			}
		})
	}
}

func TestNamesFromTheDriverCannotForgeOutput(t *testing.T) {
	lib := gputest.Build(t)
	fleet := gputest.Uniform(1, "evil\x1b[2Jname", 1000)
	gputest.Write(t, lib, fleet)
	s := look(t, gpu.Options{Library: lib, NvidiaSMI: missing})
	if got := s.Devices[0].Model; got != "evil [2Jname" {
		t.Errorf("model %q", got)
	}
}
