package kube

import (
	"testing"

	"ainexus.io/nexus"
)

// A node template is read as the flag has it, and what is wrong with one is named.
func TestTemplateIsRead(t *testing.T) {
	n, err := ParseTemplate("gpus=8,gpu_model=NVIDIA-H100-80GB-HBM3,gpu_memory=80GiB,cpu=64,memory=512GiB")
	if err != nil || len(n.GPUs) != 8 || n.GPUs[7].Index != 7 || n.GPUs[7].Model != "NVIDIA H100 80GB HBM3" || n.GPUs[0].Memory != 80<<10 || n.CPU != 64000 || n.Memory != 512<<10 {
		t.Errorf("%+v, %v", n, err)
	}
	for _, text := range []string{"", "gpus", "gpus=-1", "gpus=many", "cpu=x", "disk=5"} {
		if _, err := ParseTemplate(text); err == nil {
			t.Errorf("%q is taken", text)
		}
	}
}

// What is beyond a template is not begun for an autoscaler.
func TestTemplateBoundsWhatIsBegun(t *testing.T) {
	small, err := ParseTemplate("gpus=4,gpu_model=NVIDIA-A100,gpu_memory=40GiB,cpu=32,memory=128GiB")
	if err != nil {
		t.Fatal(err)
	}
	p := &Place{view: newView(), opts: Options{Templates: []nexus.Node{small}}}
	for _, c := range []struct {
		gpus   int
		model  string
		memory nexus.MiB
		fits   bool
	}{{4, "", 0, true}, {5, "", 0, false}, {1, "A100", 0, true}, {1, "H100", 0, false}, {1, "", 40 << 10, true}, {1, "", 41 << 10, false}} {
		s := nexus.Spec{Nodes: nexus.Range{Min: 100, Max: 100}, Workers: 1, Resources: nexus.Resources{GPUs: nexus.GPUCount{N: c.gpus}, GPUMemory: c.memory, CPU: 1000}}
		if c.model != "" {
			s.Resources.GPUModel = []string{c.model}
		}
		if got := len(p.templatesFor(&s)) > 0; got != c.fits {
			t.Errorf("%+v: %v", c, got)
		}
	}
}
