package kube

import (
	"maps"
	"strings"
	"testing"
)

// What agents serve is read by pod: with labels of the pod, by a join, and not where nobody says whose a device is.
func TestGPUUseIsByPod(t *testing.T) {
	got, err := gpuUse(strings.NewReader(`# HELP nexus_gpu_utilization_ratio Part of the last period in which a kernel ran.
# TYPE nexus_gpu_utilization_ratio gauge
nexus_gpu_utilization_ratio{uuid="GPU-1",namespace="a",pod="p"} 0.95
nexus_gpu_utilization_ratio{uuid="GPU-2",namespace="a",pod="p"} 0.9 1700000000000
nexus_gpu_utilization_ratio{uuid="GPU-3"} 0.2
nexus_gpu_utilization_ratio{uuid="GPU-4"} 1
nexus_gpu_utilization_ratio{uuid="GPU-5"} NaN
nexus_gpu_utilization_ratio{uuid="GPU-6",namespace="a",pod="strange \"}"} 0.001
nexus_pod_gpu_info{namespace="b",pod="q",gpu_uuid="GPU-3"} 1
nexus_pod_gpu_info{namespace="b",pod="r",gpu_uuid="GPU-3"} 1
DCGM_FI_DEV_GPU_UTIL{gpu="0",UUID="GPU-7",namespace="c",pod="s",container="main"} 40
DCGM_FI_DEV_GPU_UTIL{gpu="1",UUID="GPU-8",namespace="c",pod="s",container="main"} 9.223372036854775794e+18
DCGM_FI_DEV_GPU_UTIL{gpu="2",UUID="GPU-9",namespace="",pod="",container=""} 100
other 5
broken{a= 5
`))
	want := map[podName]int64{{"a", "p"}: 92_500, {"b", "q"}: 20_000, {"b", "r"}: 20_000, {"a", `strange "}`}: 100, {"c", "s"}: 40_000}
	if err != nil || !maps.Equal(got, want) {
		t.Errorf("%v, %v, wanted %v", got, err, want)
	}
}

func FuzzGPUUse(f *testing.F) {
	f.Add(`nexus_gpu_utilization_ratio{uuid="GPU-1",namespace="a",pod="p"} 0.95`)
	f.Add("a{")
	f.Fuzz(func(t *testing.T, text string) {
		use, _ := gpuUse(strings.NewReader(text)) // a line may be too long
		for pod, milli := range use {
			if pod.name == "" || milli < 0 || milli > 100_000 {
				t.Errorf("%q: %v has %d", text, pod, milli)
			}
		}
	})
}
