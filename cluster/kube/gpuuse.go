package kube

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
)

// The series that tell how busy the GPUs of pods are: ours, and NVIDIA's DCGM exporter's, in percent. They may say by
// themselves whose the device is (namespace, pod); else the third joins them by uuid, so that no label of a pod is on hardware
// series.
const (
	seriesUtilization = "nexus_gpu_utilization_ratio"
	seriesDCGM        = "DCGM_FI_DEV_GPU_UTIL"
	seriesPodGPU      = "nexus_pod_gpu_info"
)

// podName names a pod.
type podName struct{ namespace, name string }

// gpuUse reads how busy each pod's GPUs are, in thousandths of a percent, the mean over its GPUs, from what an agent serves.
func gpuUse(r io.Reader) (map[podName]int64, error) {
	type gauge struct {
		pod  podName
		uuid string
		by   float64
	}
	var gauges []gauge
	holders := map[string][]podName{} // by uuid: slices and shares of a device have several
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		name, labels, value, ok := series(lines.Text())
		if !ok {
			continue
		}
		pod := podName{labels["namespace"], labels["pod"]}
		switch name {
		case seriesUtilization:
			if value >= 0 && value <= 1 {
				gauges = append(gauges, gauge{pod, labels["uuid"], value})
			}
		case seriesDCGM:
			if value >= 0 && value <= 100 { // blank is 2^63 - something
				gauges = append(gauges, gauge{pod, labels["UUID"], value / 100})
			}
		case seriesPodGPU:
			if pod.name != "" && labels["gpu_uuid"] != "" {
				holders[labels["gpu_uuid"]] = append(holders[labels["gpu_uuid"]], pod)
			}
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("reading metrics: %w", err)
	}
	sums, counts := map[podName]float64{}, map[podName]int{}
	for _, g := range gauges {
		of := holders[g.uuid]
		if g.pod.name != "" {
			of = []podName{g.pod}
		}
		for _, pod := range of {
			sums[pod] += g.by
			counts[pod]++
		}
	}
	use := map[podName]int64{}
	for pod, sum := range sums {
		use[pod] = int64(100_000*sum/float64(counts[pod]) + 0.5)
	}
	return use, nil
}

// series takes a line of Prometheus' text format apart. Comments, and what is no such line, are not ok.
func series(line string) (name string, labels map[string]string, value float64, ok bool) {
	end := strings.IndexAny(line, "{ ")
	if end <= 0 || line[0] == '#' {
		return "", nil, 0, false
	}
	name, line = line[:end], line[end:]
	labels = map[string]string{}
	if line[0] == '{' {
		line = line[1:]
		for !strings.HasPrefix(line, "}") {
			key, rest, found := strings.Cut(line, "=")
			quoted, err := strconv.QuotedPrefix(rest)
			if !found || err != nil {
				return "", nil, 0, false
			}
			text, err := strconv.Unquote(quoted)
			if err != nil {
				return "", nil, 0, false
			}
			labels[strings.TrimSpace(key)] = text
			line = strings.TrimPrefix(strings.TrimSpace(rest[len(quoted):]), ",")
		}
		line = line[1:]
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return "", nil, 0, false
	}
	value, err := strconv.ParseFloat(fields[0], 64)
	return name, labels, value, err == nil
}
