package metrics

import (
	"context"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"

	"ainexus.io/nexus"
)

// fleet is a source with one job on two of three devices.
type fleet struct{}

func (fleet) Counts() map[nexus.Phase]int {
	return map[nexus.Phase]int{nexus.Running: 1, nexus.Failed: 7}
}

func (fleet) Live() []nexus.Job {
	return []nexus.Job{
		{ID: "waits", Phase: nexus.Pending, Spec: nexus.Spec{Queue: "default"}},
		{ID: "on kubernetes", Phase: nexus.Running, Spec: nexus.Spec{Queue: "prod"}, Placement: &nexus.Placement{Seats: []nexus.Seat{
			{Workers: 2, GPUs: []nexus.SeatGPU{{Index: 0}, {Index: 1}}}}}},
		{ID: "runs", Phase: nexus.Running, User: "ada", Spec: nexus.Spec{Queue: "default"}, Placement: &nexus.Placement{Seats: []nexus.Seat{
			{Workers: 1, GPUs: []nexus.SeatGPU{{UUID: "GPU-a"}, {UUID: "GPU-b"}}}, {Workers: 2, GPUs: []nexus.SeatGPU{{UUID: "GPU-c"}, {UUID: "GPU-d"}}},
		}}},
	}
}

func (fleet) Devices(context.Context) []Device {
	return []Device{
		{UUID: "GPU-a", Model: "H100", Driver: "570", Used: 1024, Total: 81_559, UtilPercent: 87, TemperatureC: 61, PowerMW: 412_500,
			PowerLimitMW: 700_000, Healthy: true},
		{UUID: "GPU-b", Used: -1, Total: 81_559, UtilPercent: -1, TemperatureC: -1, PowerMW: -1, PowerLimitMW: -1},
	}
}

func TestAScrape(t *testing.T) {
	r := New(fleet{})
	r.Cycle(3*time.Millisecond, 2, 1, 0, 5)
	r.Started(nexus.Job{Attempt: 1, Spec: nexus.Spec{Queue: "default", Type: nexus.Training}}, 3*time.Second)
	r.Started(nexus.Job{Attempt: 2, Spec: nexus.Spec{Queue: "default", Type: nexus.Training}}, time.Hour) // not from the queue
	r.Ended(nexus.Job{Spec: nexus.Spec{Queue: "default"}}, nexus.CauseExit, 2)
	r.Ended(nexus.Job{Spec: nexus.Spec{Queue: "default"}}, "", 0)
	answer := httptest.NewRecorder()
	r.Handler().ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	for _, want := range []string{
		`nexus_jobs{phase="Running"} 1`, `nexus_jobs{phase="Failed"} 7`, `nexus_jobs{phase="Pending"} 0`,
		"nexus_cycles_total 1",
		`nexus_queue_jobs{phase="Pending",queue="default"} 1`, `nexus_queue_jobs{phase="Running",queue="prod"} 1`, `nexus_decisions_total{decision="place"} 2`, `nexus_decisions_total{decision="evict"} 1`, "nexus_jobs_waiting 5",
		`nexus_queue_wait_seconds_bucket{queue="default",type="training",le="5"} 1`, `nexus_queue_wait_seconds_count{queue="default",type="training"} 1`,
		`nexus_attempts_ended_total{cause="exit"} 1`, `nexus_attempts_ended_total{cause="ok"} 1`, `nexus_restarts_total{queue="default"} 2`,
		`nexus_gpu_utilization_ratio{uuid="GPU-a"} 0.87`, `nexus_gpu_memory_used_bytes{uuid="GPU-a"} 1.073741824e+09`,
		`nexus_gpu_memory_total_bytes{uuid="GPU-b"}`, `nexus_gpu_temperature_celsius{uuid="GPU-a"} 61`, `nexus_gpu_power_watts{uuid="GPU-a"} 412.5`,
		`nexus_gpu_power_limit_watts{uuid="GPU-a"} 700`, `nexus_gpu_healthy{uuid="GPU-b"} 0`,
		`nexus_gpu_info{driver="570",model="H100",uuid="GPU-a"} 1`,
		`nexus_job_gpu_info{gpu_uuid="GPU-b",job="runs",queue="default",rank="0",user="ada"} 1`,
		`nexus_job_gpu_info{gpu_uuid="GPU-d",job="runs",queue="default",rank="2",user="ada"} 1`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the scrape has no %s", want)
		}
	}
	for _, never := range []string{`utilization_ratio{uuid="GPU-b"}`, `power_watts{uuid="GPU-b"}`, `job="waits"`, `gpu_uuid=""`} {
		if strings.Contains(text, never) {
			t.Errorf("the scrape invents %s", never)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "nexus_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// What a node tells of its devices holds nothing about jobs, of which it knows none.
func TestAScrapeOfANode(t *testing.T) {
	answer := httptest.NewRecorder()
	held := PodDevice{"team", "train-0", "GPU-a"}
	Hardware(fleet{}.Devices, func() []PodDevice { return []PodDevice{held, held} }).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	text := answer.Body.String()
	if !strings.Contains(text, `nexus_gpu_temperature_celsius{uuid="GPU-a"} 61`) ||
		!strings.Contains(text, `nexus_pod_gpu_info{gpu_uuid="GPU-a",namespace="team",pod="train-0"} 1`) || strings.Contains(text, "nexus_jobs") || strings.Contains(text, "nexus_cycles") {
		t.Errorf("a node tells\n%s", text)
	}
}
