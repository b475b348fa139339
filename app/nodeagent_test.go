package app

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"ainexus.io/gpu/gputest"
)

// get asks a door.
func get(t *testing.T, address, path string) (int, string) {
	t.Helper()
	answer, err := http.Get("http://" + address + path)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer.StatusCode, string(body)
}

// A node's agent serves what the driver says, and not what it said long ago.
func TestANodesAgentServesItsGPUs(t *testing.T) {
	lib := gputest.Build(t)
	gputest.Write(t, lib, gputest.Uniform(2, "NVIDIA H100 80GB HBM3", 81559))
	a, err := NewNodeAgent(NodeAgentOptions{Listen: "127.0.0.1:0", Metrics: "127.0.0.1:0", NVMLLibrary: lib, Period: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	a.Start()
	defer func() {
		if err := a.Stop(); err != nil {
			t.Error(err)
		}
	}()
	probes, scrapes := a.Addrs()
	if code, _ := get(t, probes, "/health"); code != http.StatusOK {
		t.Errorf("/health: %d", code)
	}
	until := time.Now().Add(time.Minute)
	await := func(address, path, want string) {
		t.Helper()
		for {
			_, text := get(t, address, path)
			if strings.Contains(text, want) {
				return
			}
			if time.Now().After(until) {
				t.Fatalf("%s never says %s:\n%s", path, want, text)
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	await(probes, "/ready", "ready: GPUs are read\n")
	await(scrapes, "/metrics", `nexus_gpu_temperature_celsius{uuid="`+gputest.UUID(1)+`"} 31`)
	await(scrapes, "/metrics", `nexus_gpu_info{driver="570.86.15",model="NVIDIA H100 80GB HBM3",uuid="`+gputest.UUID(0)+`"} 1`)
	fleet := gputest.Uniform(2, "NVIDIA H100 80GB HBM3", 81559)
	fleet.GPUs[1].State = gputest.Lost
	gputest.Write(t, lib, fleet)
	await(scrapes, "/metrics", `nexus_gpu_healthy{uuid="`+gputest.UUID(1)+`"} 0`)
	if _, text := get(t, scrapes, "/metrics"); strings.Contains(text, `temperature_celsius{uuid="`+gputest.UUID(1)) {
		t.Error("an old temperature is told as today's")
	}
	if code, _ := get(t, probes, "/ready"); code != http.StatusOK {
		t.Errorf("a node with an unwell GPU is not ready (%d): then nobody would scrape it", code)
	}
	if code, _ := get(t, probes, "/metrics"); code != http.StatusNotFound {
		t.Errorf("scrapes are answered on the probes' port: %d", code)
	}
	if _, err := NewNodeAgent(NodeAgentOptions{Listen: probes}); err == nil {
		t.Error("a port that is taken is no error")
	}
}
