package kube

import (
	"flag"
	"os"
	"testing"
	"time"

	"sigs.k8s.io/yaml"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

var update = flag.Bool("update", false, "write the goldens anew")

// What a job of two nodes becomes, down to the last field.
func TestObjectsOfAJob(t *testing.T) {
	o := &v1alpha1.NexusJob{}
	if err := yaml.UnmarshalStrict([]byte(`
metadata: {namespace: team, name: gpt2, uid: 11111111-2222-3333-4444-555555555555}
spec:
  type: training
  nodes: 2
  workers: 8
  resources: {gpus: 8, cpu: 16, memory: 64GiB}
  max_duration: 24h
  labels: {team: nlp}
  env: {NCCL_DEBUG: WARN, HF_TOKEN: {from: secret:hf/token}, COST: $(HOME)}
  volumes: [{pvc: datasets, path: /data, read_only: true}]
  image: pytorch:2
  workdir: /workspace
  checkpoint: {path: /ckpt, grace: 120s}
  setup: [pip, install, "it's"]
  run: python train.py --lr $(LR)
status:
  phase: Starting
  attempt: 3
  seats:
  - {node: n2, workers: 8, gpus: [0, 1, 2, 3, 4, 5, 6, 7], cpu: 16000, memory: 65536}
  - {node: n1, workers: 8, gpus: [0, 1, 2, 3, 4, 5, 6, 7], cpu: 16000, memory: 65536}
`), o); err != nil {
		t.Fatal(err)
	}
	job, err := jobOf(o, false)
	if err != nil {
		t.Fatal(err)
	}
	service, err := yaml.Marshal(serviceFor(o))
	if err != nil {
		t.Fatal(err)
	}
	attempt, err := yaml.Marshal(attemptFor(o, job, Options{LauncherImage: "nexus:1", Lost: time.Minute}))
	if err != nil {
		t.Fatal(err)
	}
	got := string(service) + "---\n" + string(attempt)
	const golden = "testdata/two_nodes.yaml"
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("go test ./cluster/kube -run %s -update writes it anew; now it is\n%s", t.Name(), got)
	}
}

// A job of one node needs no Service and finds its master at home.
func TestAJobOfOneNodeIsItsOwnMaster(t *testing.T) {
	o := object("a", "1", nexus.Starting, 1)
	job, err := jobOf(o, false)
	if err != nil {
		t.Fatal(err)
	}
	spec := attemptFor(o, job, Options{Image: "image"}).Spec.Template.Spec
	if spec.Subdomain != "" || spec.Affinity.PodAntiAffinity != nil || spec.Containers[0].Image != "image" {
		t.Errorf("its pod: %+v", spec)
	}
	for _, e := range spec.Containers[0].Env {
		if e.Name == "MASTER_ADDR" && e.Value != "127.0.0.1" {
			t.Errorf("its master is at %s", e.Value)
		}
	}
}
