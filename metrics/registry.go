package metrics

import (
	"context"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"ainexus.io/nexus"
)

// Registry counts what it is told of. It is safe for concurrent use.
type Registry struct {
	registry *prometheus.Registry
	cycles   prometheus.Counter
	took     prometheus.Histogram
	decided  *prometheus.CounterVec
	waiting  prometheus.Gauge
	wait     *prometheus.HistogramVec
	ended    *prometheus.CounterVec
	restarts *prometheus.CounterVec
}

// New makes a registry that asks the source at each scrape.
func New(source Source) *Registry {
	r := &Registry{
		registry: prometheus.NewRegistry(),
		cycles:   prometheus.NewCounter(prometheus.CounterOpts{Name: "nexus_cycles_total", Help: "How often the planner was asked."}),
		took: prometheus.NewHistogram(prometheus.HistogramOpts{Name: "nexus_cycle_duration_seconds", Help: "How long a cycle took, its plan applied.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, 1, 5}}),
		decided: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_decisions_total",
			Help: "Decisions of the planner: place and evict as applied, drop where the basis had moved."}, []string{"decision"}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{Name: "nexus_jobs_waiting", Help: "Jobs that waited after the last cycle."}),
		wait: prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "nexus_queue_wait_seconds",
			Help:    "From submit to the seats of the first attempt.",
			Buckets: []float64{.05, .25, 1, 5, 30, 120, 600, 3600, 4 * 3600, 24 * 3600, 7 * 24 * 3600}}, []string{"queue", "type"}),
		ended: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_attempts_ended_total",
			Help: "Attempts that are over, by cause; ok for those that did what they were asked."}, []string{"cause"}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "nexus_restarts_total",
			Help: "Restarts that a job's budget paid for, counted when their attempt is over."}, []string{"queue"}),
	}
	r.registry.MustRegister(r.cycles, r.took, r.decided, r.waiting, r.wait, r.ended, r.restarts, newJobs(source), newHardware(source.Devices),
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	for _, decision := range []string{"place", "evict", "drop"} {
		r.decided.WithLabelValues(decision)
	}
	return r
}

// Hardware answers a scrape for the devices of one machine, and for who holds them where that is known, and nothing else.
func Hardware(devices func(context.Context) []Device, holders func() []PodDevice) http.Handler {
	r := prometheus.NewRegistry()
	held := desc("nexus_pod_gpu_info", "Which pod has the device; always 1.", "namespace", "pod", "gpu_uuid")
	r.MustRegister(newHardware(devices), &pods{holders, held}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return handler(r)
}

func handler(r *prometheus.Registry) http.Handler {
	return promhttp.HandlerFor(r, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError, MaxRequestsInFlight: 4})
}

// Handler answers a scrape.
func (r *Registry) Handler() http.Handler {
	return handler(r.registry)
}

// Cycle is told of one turn of the engine.
func (r *Registry) Cycle(took time.Duration, placed, evicted, dropped, waiting int) {
	r.cycles.Inc()
	r.took.Observe(took.Seconds())
	r.decided.WithLabelValues("place").Add(float64(placed))
	r.decided.WithLabelValues("evict").Add(float64(evicted))
	r.decided.WithLabelValues("drop").Add(float64(dropped))
	r.waiting.Set(float64(waiting))
}

// Started is told of an attempt that got its seats so long after its job was submitted. First attempts count.
func (r *Registry) Started(job nexus.Job, waited time.Duration) {
	if job.Attempt == 1 {
		r.wait.WithLabelValues(job.Spec.Queue, string(job.Spec.Type)).Observe(waited.Seconds())
	}
}

// Ended is told of an attempt that is over and of the restarts that it was charged.
func (r *Registry) Ended(job nexus.Job, cause nexus.Cause, charged int) {
	if cause == "" {
		cause = "ok"
	}
	r.ended.WithLabelValues(string(cause)).Inc()
	r.restarts.WithLabelValues(job.Spec.Queue).Add(float64(charged))
}
