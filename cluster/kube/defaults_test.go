package kube

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/yaml"

	"ainexus.io/cluster/kube/v1alpha1"
	"ainexus.io/nexus"
)

// Each default is had by a job that leaves it out, and by no other; the job says which it has, and its spec stays as it is.
func TestDefaultsOfJobs(t *testing.T) {
	const all = `{gpu: {count: 2, memory: 40GiB, model: [H100, A100], runtimeClassName: nvidia}, distributed: {enabled: true, backend: nccl, worldSize: 4, masterPort: 29600}}`
	for _, c := range []struct{ defaults, spec, has string }{
		{"{}", "{}", ""},
		{"{gpu: {count: 1}}", "{}", "resources.gpus 1"},
		{"{gpu: {count: 1}}", "{type: inference}", "resources.gpus 1"},
		{"{gpu: {count: 1}}", "{resources: {gpus: 0}}", ""},
		{"{gpu: {count: 1}}", "{resources: {gpus: 4}}", ""},
		{"{gpu: {count: 1}}", "{resources: {gpu_memory: 4GiB}}", ""},
		{"{gpu: {count: 1}}", "{resources: {mig: 1g.10gb}}", ""},
		{"{gpu: {count: 1}}", "{resources: {cpu: 4}}", "resources.gpus 1"},
		{"{gpu: {count: 4}}", "{workers: 2}", "resources.gpus 4"},
		{"{gpu: {count: 1}}", "{workers: 2}", ""}, // they could not have equal parts
		{"{gpu: {memory: 40GiB}}", "{resources: {gpus: 1}}", "resources.gpu_memory 40GiB"},
		{"{gpu: {memory: 40GiB}}", "{resources: {gpus: 1, gpu_memory: 10GiB}}", ""},
		{"{gpu: {memory: 40GiB}}", "{resources: {gpus: 1, mig: 1g.10gb}}", ""},
		{"{gpu: {memory: 40GiB}}", "{}", ""}, // no share of one comes of it
		{"{gpu: {model: [H100]}}", "{resources: {gpus: 1}}", "resources.gpu_model H100"},
		{"{gpu: {model: [H100]}}", "{resources: {gpu_memory: 4GiB}}", "resources.gpu_model H100"},
		{"{gpu: {model: [H100]}}", "{resources: {gpus: 1, gpu_model: [L4]}}", ""},
		{"{gpu: {model: [H100]}}", "{}", ""},
		{"{gpu: {runtimeClassName: nvidia}}", "{resources: {gpus: 1}}", "the runtime class nvidia"},
		{"{gpu: {runtimeClassName: nvidia}}", "{resources: {mig: 1g.10gb}}", "the runtime class nvidia"},
		{"{gpu: {runtimeClassName: nvidia}}", "{}", ""},
		{"{distributed: {backend: gloo}}", "{}", "NEXUS_BACKEND gloo"},
		{"{distributed: {backend: gloo}}", "{type: evaluation}", ""},
		{"{distributed: {backend: nccl}}", "{}", ""}, // it wants GPUs
		{"{distributed: {backend: nccl}}", "{resources: {gpus: 1}}", "NEXUS_BACKEND nccl"},
		{"{distributed: {masterPort: 29600}}", "{}", "MASTER_PORT 29600"},
		{"{distributed: {masterPort: 29500}}", "{}", ""}, // as without
		{"{distributed: {enabled: false, worldSize: 4}}", "{}", ""},
		{"{distributed: {enabled: true, worldSize: 4}}", "{}", "nodes 4 and workers 1"},
		{"{distributed: {enabled: true, worldSize: 4}}", "{resources: {gpus: 2}}", "nodes 2 and workers 2"},
		{"{distributed: {enabled: true, worldSize: 4}}", "{resources: {gpus: 8}}", "nodes 1 and workers 4"},
		{"{distributed: {enabled: true, worldSize: 4}}", "{resources: {gpus: 3}}", ""},
		{"{distributed: {enabled: true, worldSize: 4}}", "{resources: {gpu_memory: 4GiB}}", "nodes 4 and workers 1"},
		{"{distributed: {enabled: true, worldSize: 4}}", "{nodes: 1}", ""},
		{"{distributed: {enabled: true, worldSize: 4}}", "{workers: 1}", ""},
		{"{distributed: {enabled: true, worldSize: 4}}", "{type: inference}", ""},
		{"{distributed: {enabled: true, worldSize: 4}}", "{topology: {require: node}}", ""},
		{all, "{}", "resources.gpus 2, resources.gpu_memory 40GiB, resources.gpu_model H100 or A100, nodes 2 and workers 2, NEXUS_BACKEND nccl, MASTER_PORT 29600, the runtime class nvidia"},
	} {
		d, err := ParseDefaults([]byte(c.defaults))
		if err != nil {
			t.Fatalf("%s: %v", c.defaults, err)
		}
		o := &v1alpha1.NexusJob{}
		if err := yaml.UnmarshalStrict([]byte("{metadata: {name: a, namespace: team, uid: u}}"), o); err != nil {
			t.Fatal(err)
		}
		if err := yaml.UnmarshalStrict([]byte(c.spec), &o.Spec); err != nil {
			t.Fatal(err)
		}
		o.Spec.Run = v1alpha1.Any{Raw: []byte(`"train"`)}
		before, _ := json.Marshal(o)
		v := newView()
		v.defaults = d
		seen := v.withDefaults(o)
		has := ""
		if seen.Status.Defaults != nil {
			has = seen.Status.Defaults.String()
		}
		if has != c.has {
			t.Errorf("%s, %s: it has %q and not %q", c.defaults, c.spec, has, c.has)
		}
		job, err := jobOf(seen, true)
		if err != nil {
			t.Errorf("%s, %s: %v", c.defaults, c.spec, err)
		}
		if after, _ := json.Marshal(o); string(after) != string(before) {
			t.Errorf("%s, %s: it became %s", c.defaults, c.spec, after)
		}
		if c.defaults == all {
			arrives(t, seen, job)
		}
	}
}

// arrives wants all defaults in the job that is planned and in the pods that are made.
func arrives(t *testing.T, o *v1alpha1.NexusJob, job nexus.Job) {
	t.Helper()
	s := &job.Spec
	if s.Nodes.Min != 2 || s.Workers != 2 || s.Resources.GPUs.N != 2 || s.Resources.GPUMemory != 40<<10 || strings.Join(s.Resources.GPUModel, " ") != "H100 A100" {
		t.Errorf("it is planned as %+v", s)
	}
	job.Placement = &nexus.Placement{Attempt: 1, Seats: []nexus.Seat{{Node: "n1", Workers: 2}, {Node: "n2", Workers: 2}}}
	pod := podFor(o, job, Options{LauncherImage: "nexus", Lost: time.Minute})
	env := map[string]string{}
	for _, e := range pod.Containers[0].Env {
		env[e.Name] = e.Value
	}
	line := strings.Join(pod.Containers[0].Command, " ")
	if env["NEXUS_BACKEND"] != "nccl" || env["MASTER_PORT"] != "29600" || *pod.RuntimeClassName != "nvidia" || !strings.HasSuffix(line, " --master-port 29600") {
		t.Errorf("its pods have %v, %v, %s", env, pod.RuntimeClassName, line)
	}
	ports := serviceFor(o).Spec.Ports
	if last := ports[len(ports)-1]; last.Port != 29600 || last.TargetPort.IntVal != 29600 || last.Protocol == corev1.ProtocolUDP {
		t.Errorf("its Service has %+v", ports)
	}
}

// A job keeps what it was admitted with, whatever the defaults become; one that waits has those that are.
func TestDefaultsOfAdmittedJobsStay(t *testing.T) {
	v := newView()
	v.defaults.GPU.Count = 8
	o := &v1alpha1.NexusJob{}
	o.Name = "a"
	o.Spec.Run = v1alpha1.Any{Raw: []byte(`"train"`)}
	o.Status.Defaults = &v1alpha1.Defaults{GPUs: 1}
	gpus := func() int {
		job, err := jobOf(v.withDefaults(o), false)
		if err != nil {
			t.Fatal(err)
		}
		return job.Spec.Resources.GPUs.N
	}
	if n := gpus(); n != 8 {
		t.Errorf("while it waits it asks for %d GPUs", n)
	}
	o.Status.Attempt = 1
	if n := gpus(); n != 1 {
		t.Errorf("once it was admitted it asks for %d GPUs", n)
	}
	o.Status.Defaults = nil // it was admitted when there were none
	if n := gpus(); n != 0 {
		t.Errorf("admitted without defaults it asks for %d GPUs", n)
	}
	o.Spec.Resources.GPUs = v1alpha1.Any{Raw: []byte("4")}
	o.Status.Defaults = &v1alpha1.Defaults{GPUs: 1}
	if n := gpus(); n != 4 {
		t.Errorf("when it says so itself it asks for %d GPUs", n)
	}
}

func TestDefaultsThatMakeNoSense(t *testing.T) {
	for text, want := range map[string]string{
		"{gpus: {count: 1}}":                                            `unknown field`,
		"{gpu: {count: -1}}":                                            "gpu.count",
		"{gpu: {memory: lots}}":                                         "gpu.memory",
		"{distributed: {port: 1}}":                                      `unknown field`,
		"{gpu: {count: two}}":                                           "gpu.count",
		"{gpu: {count: 5000}}":                                          "gpu.count",
		"{distributed: {enabled: true}}":                                "distributed.worldSize",
		"{distributed: {masterPort: 29400}}":                            "distributed.masterPort",
		"{distributed: {masterPort: 70000}}":                            "distributed.masterPort",
		"{gpu: {count: 2}, distributed: {enabled: true, worldSize: 3}}": "distributed.worldSize",
	} {
		if _, err := ParseDefaults([]byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", text, err)
		}
	}
}
