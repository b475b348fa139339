package gpu_test

import (
	"strings"
	"testing"

	"ainexus.io/gpu"
	"ainexus.io/gpu/gputest"
)

// What a program that wants CUDA would meet, by a library with CUDA's functions.
func TestAskCUDA(t *testing.T) {
	lib := gputest.BuildCUDA(t, 13000, 0, 8)
	found, err := gpu.AskCUDA(lib)
	if err != nil || found != (gpu.CUDA{Driver: 13000, Devices: 8}) || found.Err() != nil || found.Version() != "13.0" {
		t.Errorf("it finds %+v, %v", found, err)
	}
	for _, c := range []struct {
		version, result, devices int
		want                     string
	}{
		{12080, 0, 8, "the driver serves CUDA 12.8 and not 13.0"},
		{13010, 0, 0, "the driver gives no GPU"},
		{13010, 100, 0, "the driver gives no GPU"},
		{13010, 803, 8, "different versions (CUresult 803)"},
		{13010, 34, 8, "stub"},
		{13010, 77, 8, "cuInit): CUresult 77"},
	} {
		gputest.WriteCUDA(t, lib, c.version, c.result, c.devices)
		found, err := gpu.AskCUDA(lib)
		if err == nil {
			err = found.Err()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || gpu.NotInstalled(err) {
			t.Errorf("%+v: %v", c, err)
		}
	}
	if _, err := gpu.AskCUDA(missing); !gpu.NotInstalled(err) {
		t.Errorf("a library that is not there: %v", err)
	}
	if _, err := gpu.AskCUDA(gputest.Build(t)); err == nil || !strings.Contains(err.Error(), "no function cu") {
		t.Errorf("another library: %v", err)
	}
}
