package trace

import (
	"fmt"
	"io"
)

// csvColumns are the names that jobs' properties go by in public traces, folded.
func csvColumns() []column {
	return []column{
		{"time of submission", []string{"timestamp", "submit", "submittime", "submitted", "submittedtime", "submissiontime", "arrival", "arrivaltime"}, true},
		{"duration", []string{"duration", "durations", "runtime", "runtimes", "elapsed", "elapsedraw"}, true},
		{"number of GPUs", []string{"numgpus", "numgpu", "gpus", "ngpus", "gpunum", "gpucount", "reqgpus"}, true},
		{"queue", []string{"cluster", "vc", "virtualcluster", "queue", "partition"}, false},
		{"user", []string{"user", "username", "userid"}, false},
		{"id", []string{"jobid", "id", "jobname", "name"}, false},
		{"number of nodes", []string{"nodes", "numnodes", "nnodes", "nodenum"}, false},
		{"number of CPUs", []string{"cpus", "numcpus", "ncpus", "cpunum"}, false},
		{"memory", []string{"memorymib", "memmib"}, false},
		{"time limit", []string{"maxduration", "timelimit", "walltime"}, false},
	}
}

// CSV reads a table of jobs by its heading. A job without an id is called by its line.
func CSV(in io.Reader) ([]Job, Report, error) {
	var report Report
	t, err := openTable("trace", commas(in), csvColumns(), &report)
	if err != nil {
		return nil, report, err
	}
	var jobs []Job
	seen := map[string]bool{}
	err = t.each(func(r row) error {
		j, err := csvJob(r)
		if err == nil && seen[j.ID] {
			err = fmt.Errorf("the id %s was there before", quoted(j.ID))
		}
		if err == nil {
			seen[j.ID] = true
			jobs = append(jobs, j)
		}
		return err
	})
	return jobs, report, err
}

func csvJob(r row) (j Job, err error) {
	j = Job{ID: r.get("id"), Queue: r.get("queue"), User: r.get("user")}
	if j.ID == "" {
		j.ID = fmt.Sprintf("line-%07d", r.line) // in order as a text too: ids decide between equals
	}
	if j.Submit, err = instant("time of submission", r.get("time of submission")); err != nil {
		return j, err
	}
	if j.Duration, err = seconds("duration", r.get("duration")); err != nil {
		return j, err
	}
	if j.GPUs, err = count("number of GPUs", r.get("number of GPUs")); err != nil {
		return j, err
	}
	if j.Nodes, err = optional("number of nodes", r.get("number of nodes"), count); err != nil {
		return j, err
	}
	if j.CPU, err = optional("number of CPUs", r.get("number of CPUs"), cpus); err != nil {
		return j, err
	}
	if j.Memory, err = optional("memory", r.get("memory"), mebibytes); err != nil {
		return j, err
	}
	j.MaxDuration, err = optional("time limit", r.get("time limit"), seconds)
	return j, err
}
