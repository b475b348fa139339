package trace

import (
	"fmt"
	"io"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// OpenbGPU is the memory of every GPU of an openb cluster: one MiB per thousandth, which is what its pods ask for.
const OpenbGPU nexus.MiB = 1000

// maxGPUs is how many GPUs a node can have.
const maxGPUs = 64

// OpenbNodes reads a list of nodes: sn, cpu_milli, memory_mib, gpu, model.
func OpenbNodes(in io.Reader) ([]nexus.Node, Report, error) {
	var report Report
	t, err := openTable("list of nodes", commas(in), []column{
		{"name", []string{"sn", "node"}, true},
		{"cpu in thousandths", []string{"cpumilli"}, true},
		{"memory in MiB", []string{"memorymib"}, true},
		{"number of GPUs", []string{"gpu", "gpus"}, true},
		{"model", []string{"model", "gpumodel"}, false},
	}, &report)
	if err != nil {
		return nil, report, err
	}
	var nodes []nexus.Node
	seen := map[string]bool{}
	err = t.each(func(r row) error {
		n := nexus.Node{Name: r.get("name"), State: nexus.Ready}
		if n.Name == "" || seen[n.Name] {
			return fmt.Errorf("the name %s is empty or was there before", quoted(n.Name))
		}
		milli, err := count("number of thousandths of a CPU", r.get("cpu in thousandths"))
		if err != nil {
			return err
		}
		if n.Memory, err = mebibytes("memory", r.get("memory in MiB")); err != nil {
			return err
		}
		gpus, err := count("number of GPUs", r.get("number of GPUs"))
		if err != nil || gpus > maxGPUs {
			return fmt.Errorf("%s is no number of GPUs", quoted(r.get("number of GPUs")))
		}
		n.CPU = nexus.CPU(milli)
		for i := range gpus {
			n.GPUs = append(n.GPUs, nexus.GPU{Index: i, UUID: fmt.Sprintf("%s/%d", n.Name, i), Model: r.get("model"), Memory: OpenbGPU, Free: -1})
		}
		seen[n.Name] = true
		nodes = append(nodes, n)
		return nil
	})
	return nodes, report, err
}

// OpenbPods reads a list of pods: name, cpu_milli, memory_mib, num_gpu, gpu_milli, and where the list has them
// gpu_spec, creation_time, deletion_time. Times are seconds from the start of the trace, which is 1970 here.
func OpenbPods(in io.Reader) ([]Job, Report, error) {
	var report Report
	t, err := openTable("list of pods", commas(in), []column{
		{"name", []string{"name", "pod"}, true},
		{"cpu in thousandths", []string{"cpumilli"}, true},
		{"memory in MiB", []string{"memorymib"}, true},
		{"number of GPUs", []string{"numgpu"}, true},
		{"thousandths of a GPU", []string{"gpumilli"}, true},
		{"models", []string{"gpuspec"}, false},
		{"creation", []string{"creationtime"}, false},
		{"deletion", []string{"deletiontime"}, false},
	}, &report)
	if err != nil {
		return nil, report, err
	}
	var pods []Job
	seen := map[string]bool{}
	err = t.each(func(r row) error {
		pod, err := openbPod(r)
		if err == nil && seen[pod.ID] {
			err = fmt.Errorf("the name %s was there before", quoted(pod.ID))
		}
		if err == nil {
			seen[pod.ID] = true
			pods = append(pods, pod)
		}
		return err
	})
	return pods, report, err
}

func openbPod(r row) (Job, error) {
	j := Job{ID: r.get("name")}
	if j.ID == "" {
		return j, fmt.Errorf("it has no name")
	}
	cpu, err := count("number of thousandths of a CPU", r.get("cpu in thousandths"))
	if err != nil {
		return j, err
	}
	j.CPU = nexus.CPU(cpu)
	if j.Memory, err = mebibytes("memory", r.get("memory in MiB")); err != nil {
		return j, err
	}
	if j.GPUs, err = count("number of GPUs", r.get("number of GPUs")); err != nil {
		return j, err
	}
	milli, err := count("number of thousandths of a GPU", r.get("thousandths of a GPU"))
	switch {
	case err != nil:
		return j, err
	case j.GPUs > maxGPUs, j.GPUs > 0 && (milli < 1 || milli > 1000), j.GPUs > 1 && milli < 1000:
		return j, fmt.Errorf("%d GPUs with %d thousandths each is not what a pod can ask for", j.GPUs, milli)
	case j.GPUs == 1 && milli < 1000:
		j.Share = nexus.MiB(milli)
	}
	if spec := r.get("models"); spec != "" && j.GPUs > 0 {
		j.Models = strings.Split(spec, "|")
	}
	return j, openbTimes(r, &j)
}

// openbTimes reads when a pod came and went. Where the list does not say, it came at once and stays.
func openbTimes(r row, j *Job) error {
	j.Submit = time.Unix(0, 0).UTC()
	from, err := optional("creation time", r.get("creation"), seconds)
	if err != nil {
		return err
	}
	j.Submit = j.Submit.Add(from)
	if r.get("deletion") == "" {
		return nil
	}
	to, err := seconds("deletion time", r.get("deletion"))
	if err != nil || to < from {
		return fmt.Errorf("%s is no time of deletion after %s", quoted(r.get("deletion")), from)
	}
	j.Duration = to - from
	return nil
}
