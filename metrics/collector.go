package metrics

import (
	"context"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"ainexus.io/nexus"
)

// Source is asked at each scrape for what is.
type Source interface {
	// Counts is how many jobs are in each phase.
	Counts() map[nexus.Phase]int
	// Live are the jobs that are not over.
	Live() []nexus.Job
	// Devices are the GPUs as they are now.
	Devices(ctx context.Context) []Device
}

// Device is a GPU's reading. Negative numbers are unknown and give no sample.
type Device struct {
	UUID, Model, Driver   string
	Used, Total           nexus.MiB
	UtilPercent           int
	TemperatureC          int
	PowerMW, PowerLimitMW int64
	Healthy               bool
}

// patience is how long a scrape waits for devices.
const patience = 8 * time.Second

// collector turns a source into series.
type collector struct{ source Source }

type described struct{ jobs, util, used, total, temperature, power, powerLimit, healthy, info, join *prometheus.Desc }

func describe() described {
	desc := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc(name, help, labels, nil)
	}
	return described{
		jobs:        desc("nexus_jobs", "Jobs by phase; those that are over as far as they are kept.", "phase"),
		util:        desc("nexus_gpu_utilization_ratio", "Part of the last period in which a kernel ran, 0 to 1.", "uuid"),
		used:        desc("nexus_gpu_memory_used_bytes", "Memory of the device that is allocated, by whomever.", "uuid"),
		total:       desc("nexus_gpu_memory_total_bytes", "Memory of the device.", "uuid"),
		temperature: desc("nexus_gpu_temperature_celsius", "Temperature of the device.", "uuid"),
		power:       desc("nexus_gpu_power_watts", "Power that the device draws.", "uuid"),
		powerLimit:  desc("nexus_gpu_power_limit_watts", "Power limit in force.", "uuid"),
		healthy:     desc("nexus_gpu_healthy", "1 where no reason is known not to start work on the device.", "uuid"),
		info:        desc("nexus_gpu_info", "What the device is; always 1.", "uuid", "model", "driver"),
		join:        desc("nexus_job_gpu_info", "Which worker of which job holds the device; always 1.", "job", "queue", "user", "rank", "gpu_uuid"),
	}
}

// Describe sends what there may be.
func (c *collector) Describe(out chan<- *prometheus.Desc) {
	d := describe()
	for _, desc := range []*prometheus.Desc{d.jobs, d.util, d.used, d.total, d.temperature, d.power, d.powerLimit, d.healthy, d.info, d.join} {
		out <- desc
	}
}

// Collect asks the source and sends what is.
func (c *collector) Collect(out chan<- prometheus.Metric) {
	d := describe()
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		out <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, labels...)
	}
	counts := c.source.Counts()
	for _, phase := range []nexus.Phase{nexus.Pending, nexus.Starting, nexus.Running, nexus.Stopping,
		nexus.Succeeded, nexus.Failed, nexus.Cancelled} {
		gauge(d.jobs, float64(counts[phase]), string(phase))
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, g := range c.source.Devices(ctx) {
		known := func(desc *prometheus.Desc, reading int64, unit float64) {
			if reading >= 0 {
				gauge(desc, float64(reading)*unit, g.UUID)
			}
		}
		known(d.util, int64(g.UtilPercent), 0.01)
		known(d.used, int64(g.Used), 1<<20)
		known(d.total, int64(g.Total), 1<<20)
		known(d.temperature, int64(g.TemperatureC), 1)
		known(d.power, g.PowerMW, 0.001)
		known(d.powerLimit, g.PowerLimitMW, 0.001)
		healthy := int64(0)
		if g.Healthy {
			healthy = 1
		}
		known(d.healthy, healthy, 1)
		gauge(d.info, 1, g.UUID, g.Model, g.Driver)
	}
	for _, job := range c.source.Live() {
		if job.Placement == nil {
			continue
		}
		for _, held := range holders(job) {
			gauge(d.join, 1, job.ID, job.Spec.Queue, job.User, held.rank, held.uuid)
		}
	}
}

type holder struct{ rank, uuid string }

// holders deals the devices of each seat to its workers, in the order in which ranks are dealt.
func holders(job nexus.Job) []holder {
	var list []holder
	first := 0
	for _, seat := range job.Placement.Seats {
		for i, g := range seat.GPUs {
			rank := first + i*seat.Workers/len(seat.GPUs)
			list = append(list, holder{strconv.Itoa(rank), g.UUID})
		}
		first += seat.Workers
	}
	return list
}
