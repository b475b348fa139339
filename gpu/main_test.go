package gpu_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"

	"ainexus.io/gpu"
)

// TestMain lets the test binary be the two programs that the stories need: the sampler child, and a command that lists
// the devices its CUDA_VISIBLE_DEVICES names as JSON.
func TestMain(m *testing.M) {
	if len(os.Args) > 1 {
		switch os.Args[1] {
		case "gpu-sampler":
			exit(gpu.ServeChild(context.Background(), os.Stdin, os.Stdout))
		case "list-gpus":
			exit(list())
		}
	}
	// Under -race each program would sleep for a second before it ends.
	if err := os.Setenv("GORACE", os.Getenv("GORACE")+" atexit_sleep_ms=0"); err != nil {
		exit(err)
	}
	os.Exit(m.Run())
}

func exit(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "error:", err)
		os.Exit(1)
	}
	os.Exit(0)
}

func list() error {
	s, err := gpu.Read(context.Background(), gpu.Options{Library: os.Getenv("NVML_LIBRARY"), NvidiaSMI: "/nonexistent/nvidia-smi"})
	if err != nil {
		return err
	}
	devices := s.Devices
	if value, set := os.LookupEnv("CUDA_VISIBLE_DEVICES"); set {
		if devices, err = gpu.Visible(devices, value); err != nil {
			return err
		}
	}
	return json.NewEncoder(os.Stdout).Encode(devices)
}

// sampler is the argv of the child.
func sampler(t *testing.T) []string {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return []string{self, "gpu-sampler"}
}

// missing is a path where nothing is.
const missing = "/nonexistent/nothing"

func look(t *testing.T, opts gpu.Options) gpu.Sample {
	t.Helper()
	s, err := gpu.Read(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func take(t *testing.T, r *gpu.Reader) gpu.Sample {
	t.Helper()
	s, err := r.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// unwell gives the numbers of the devices that are not healthy.
func unwell(s gpu.Sample) []int {
	bad := []int{}
	for _, d := range s.Devices {
		if !d.Healthy {
			bad = append(bad, d.Index)
		}
	}
	return bad
}
