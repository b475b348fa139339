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

// desc describes a series.
func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// send sends a gauge.
func send(out chan<- prometheus.Metric, of *prometheus.Desc, value float64, labels ...string) {
	out <- prometheus.MustNewConstMetric(of, prometheus.GaugeValue, value, labels...)
}

// jobs turns what a source says of jobs into series.
type jobs struct {
	source              Source
	phase, queued, join *prometheus.Desc
}

func newJobs(source Source) *jobs {
	return &jobs{
		source: source,
		phase:  desc("nexus_jobs", "Jobs by phase; those that are over as far as they are kept.", "phase"),
		queued: desc("nexus_queue_jobs", "Jobs of a queue that are not over, by phase.", "queue", "phase"),
		join:   desc("nexus_job_gpu_info", "Which worker of which job holds the device; always 1.", "job", "queue", "user", "rank", "gpu_uuid"),
	}
}

// Describe sends what there may be.
func (c *jobs) Describe(out chan<- *prometheus.Desc) { out <- c.phase; out <- c.queued; out <- c.join }

// Collect asks the source and sends what is.
func (c *jobs) Collect(out chan<- prometheus.Metric) {
	counts := c.source.Counts()
	for _, phase := range []nexus.Phase{nexus.Pending, nexus.Starting, nexus.Running, nexus.Stopping,
		nexus.Succeeded, nexus.Failed, nexus.Cancelled} {
		send(out, c.phase, float64(counts[phase]), string(phase))
	}
	type line struct {
		queue string
		phase nexus.Phase
	}
	queued := map[line]int{}
	for _, job := range c.source.Live() {
		queued[line{job.Spec.Queue, job.Phase}]++
		if job.Placement == nil {
			continue
		}
		for _, held := range holders(job) {
			send(out, c.join, 1, job.ID, job.Spec.Queue, job.User, held.rank, held.uuid)
		}
	}
	for at, n := range queued {
		send(out, c.queued, float64(n), at.queue, string(at.phase))
	}
}

// PodDevice says that a pod of this node has a device.
type PodDevice struct{ Namespace, Pod, UUID string }

// pods tells which pod has which device.
type pods struct {
	holders func() []PodDevice
	join    *prometheus.Desc
}

// Describe sends what there may be.
func (c *pods) Describe(out chan<- *prometheus.Desc) { out <- c.join }

// Collect sends who has what; a device that is shared in time is in it once for each pod.
func (c *pods) Collect(out chan<- prometheus.Metric) {
	told := map[PodDevice]bool{}
	for _, d := range c.holders() {
		if !told[d] {
			told[d] = true
			send(out, c.join, 1, d.Namespace, d.Pod, d.UUID)
		}
	}
}

// hardware turns the readings of devices into series.
type hardware struct {
	devices                                                           func(context.Context) []Device
	util, used, total, temperature, power, powerLimit, healthy, about *prometheus.Desc
}

func newHardware(devices func(context.Context) []Device) *hardware {
	return &hardware{
		devices:     devices,
		util:        desc("nexus_gpu_utilization_ratio", "Part of the last period in which a kernel ran, 0 to 1.", "uuid"),
		used:        desc("nexus_gpu_memory_used_bytes", "Memory of the device that is allocated, by whomever.", "uuid"),
		total:       desc("nexus_gpu_memory_total_bytes", "Memory of the device.", "uuid"),
		temperature: desc("nexus_gpu_temperature_celsius", "Temperature of the device.", "uuid"),
		power:       desc("nexus_gpu_power_watts", "Power that the device draws.", "uuid"),
		powerLimit:  desc("nexus_gpu_power_limit_watts", "Power limit in force.", "uuid"),
		healthy:     desc("nexus_gpu_healthy", "1 where no reason is known not to start work on the device.", "uuid"),
		about:       desc("nexus_gpu_info", "What the device is; always 1.", "uuid", "model", "driver"),
	}
}

// Describe sends what there may be.
func (c *hardware) Describe(out chan<- *prometheus.Desc) {
	for _, d := range []*prometheus.Desc{c.util, c.used, c.total, c.temperature, c.power, c.powerLimit, c.healthy, c.about} {
		out <- d
	}
}

// Collect asks for the devices and sends what is known of them.
func (c *hardware) Collect(out chan<- prometheus.Metric) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for _, g := range c.devices(ctx) {
		known := func(of *prometheus.Desc, reading int64, unit float64) {
			if reading >= 0 {
				send(out, of, float64(reading)*unit, g.UUID)
			}
		}
		known(c.util, int64(g.UtilPercent), 0.01)
		known(c.used, int64(g.Used), 1<<20)
		known(c.total, int64(g.Total), 1<<20)
		known(c.temperature, int64(g.TemperatureC), 1)
		known(c.power, g.PowerMW, 0.001)
		known(c.powerLimit, g.PowerLimitMW, 0.001)
		healthy := int64(0)
		if g.Healthy {
			healthy = 1
		}
		known(c.healthy, healthy, 1)
		send(out, c.about, 1, g.UUID, g.Model, g.Driver)
	}
}

type holder struct{ rank, uuid string }

// holders deals the devices of each seat to its workers, in the order in which ranks are dealt. Where nobody knows which
// devices a seat has, as on Kubernetes, it has none here.
func holders(job nexus.Job) []holder {
	var list []holder
	first := 0
	for _, seat := range job.Placement.Seats {
		for i, g := range seat.GPUs {
			if g.UUID == "" {
				continue
			}
			rank := first + i*seat.Workers/len(seat.GPUs)
			list = append(list, holder{strconv.Itoa(rank), g.UUID})
		}
		first += seat.Workers
	}
	return list
}
