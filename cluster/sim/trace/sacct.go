package trace

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Sacct reads what Slurm's `sacct --parsable2` prints. Steps of jobs, jobs that have not ended and jobs that never
// ran are left out and counted. Times without a zone are taken as UTC.
func Sacct(in io.Reader) ([]Job, Report, error) {
	var report Report
	t, err := openTable("sacct output", bars(in), []column{
		{"id", []string{"jobid", "jobidraw"}, true},
		{"time of submission", []string{"submit"}, true},
		{"duration", []string{"elapsed", "elapsedraw"}, true},
		{"state", []string{"state"}, true},
		{"allocated TRES", []string{"alloctres", "reqtres"}, true},
		{"requested TRES", []string{"reqtres"}, false},
		{"user", []string{"user"}, false},
		{"partition", []string{"partition"}, false},
		{"account", []string{"account"}, false},
		{"number of nodes", []string{"nnodes", "allocnodes"}, false},
		{"time limit", []string{"timelimit"}, false},
	}, &report)
	if err != nil {
		return nil, report, err
	}
	var jobs []Job
	seen := map[string]bool{}
	err = t.each(func(r row) error {
		if why := slurmLeaves(r); why != "" {
			report.leave(why)
			return nil
		}
		j, err := slurmJob(r)
		switch {
		case err != nil:
			return err
		case j.Duration == 0:
			report.leave("jobs that never ran")
			return nil
		case seen[j.ID]:
			return fmt.Errorf("the id %s was there before", quoted(j.ID))
		}
		seen[j.ID] = true
		jobs = append(jobs, j)
		return nil
	})
	return jobs, report, err
}

// slurmLeaves says what a row is that is no finished job; empty if it is one.
func slurmLeaves(r row) string {
	state, _, _ := strings.Cut(r.get("state"), " ") // "CANCELLED by 1000"
	switch {
	case strings.Contains(r.get("id"), "."):
		return "steps of jobs"
	case slices.Contains([]string{"PENDING", "RUNNING", "REQUEUED", "RESIZING", "SUSPENDED", "CONFIGURING", "COMPLETING"}, state):
		return "jobs that have not ended"
	}
	return ""
}

func slurmJob(r row) (j Job, err error) {
	j = Job{ID: r.get("id"), User: r.get("user"), Queue: r.get("partition")}
	if j.Queue == "" {
		j.Queue = r.get("account")
	}
	if j.ID == "" {
		return j, fmt.Errorf("it has no id")
	}
	if j.Submit, err = instant("time of submission", r.get("time of submission")); err != nil {
		return j, err
	}
	if j.Duration, err = slurmTime(r.get("duration")); err != nil {
		return j, err
	}
	if j.MaxDuration, err = slurmLimit(r.get("time limit")); err != nil {
		return j, err
	}
	tres := r.get("allocated TRES")
	if tres == "" {
		tres = r.get("requested TRES")
	}
	if err = slurmTRES(tres, &j); err != nil {
		return j, err
	}
	if nodes := r.get("number of nodes"); nodes != "" {
		j.Nodes, err = count("number of nodes", nodes)
	}
	return j, err
}

// slurmTime reads [days-][hours:]minutes:seconds, or a plain number of seconds.
func slurmTime(cell string) (time.Duration, error) {
	wrong := fmt.Errorf("%s is no length of time such as 1-02:03:04", quoted(cell))
	rest, total := cell, int64(0)
	if before, after, ok := strings.Cut(cell, "-"); ok {
		n, err := strconv.ParseUint(before, 10, 16)
		if err != nil || strings.Count(after, ":") != 2 {
			return 0, wrong
		}
		rest, total = after, int64(n)*24
	}
	rest, _, _ = strings.Cut(rest, ".")
	parts := strings.Split(rest, ":")
	if len(parts) > 3 {
		return 0, wrong
	}
	for i, part := range parts {
		n, err := strconv.ParseUint(part, 10, 32)
		if err != nil || i > 0 && n > 59 {
			return 0, wrong
		}
		if len(parts) < 3 || i > 0 {
			total *= 60
		}
		total += int64(n)
	}
	if d := time.Duration(total) * time.Second; total <= int64(maxDuration/time.Second) {
		return d, nil
	}
	return 0, wrong
}

// slurmLimit reads a time limit; 0 where there is none.
func slurmLimit(cell string) (time.Duration, error) {
	switch strings.ToLower(cell) {
	case "", "unlimited", "partition_limit", "invalid":
		return 0, nil
	}
	return slurmTime(cell)
}

// slurmTRES reads "cpu=8,mem=64G,node=1,gres/gpu=4,gres/gpu:a100=4".
func slurmTRES(cell string, j *Job) error {
	typed := 0
	for _, item := range strings.Split(cell, ",") {
		key, value, ok := strings.Cut(item, "=")
		if !ok && item != "" {
			return fmt.Errorf("%s in the TRES is no amount", quoted(item))
		}
		model, isTyped := strings.CutPrefix(key, "gres/gpu:")
		var err error
		switch {
		case key == "cpu":
			j.CPU, err = cpus("number of CPUs", value)
		case key == "mem":
			j.Memory, err = slurmMemory(value)
		case key == "node":
			j.Nodes, err = count("number of nodes", value)
		case key == "gres/gpu":
			j.GPUs, err = count("number of GPUs", value)
		case isTyped:
			n := 0
			n, err = count("number of GPUs", value)
			typed += n
			j.Models = append(j.Models, model)
		}
		if err != nil {
			return err
		}
	}
	j.GPUs = max(j.GPUs, typed)
	return nil
}

// slurmMemory reads 64G, 4000M or 512K, whose units are binary; a plain number is MiB.
func slurmMemory(cell string) (nexus.MiB, error) {
	if cell == "" || cell[len(cell)-1] >= '0' && cell[len(cell)-1] <= '9' {
		return mebibytes("memory", cell)
	}
	m, err := nexus.ParseMiB(cell + "i")
	if err != nil {
		return 0, fmt.Errorf("%s is no memory such as 64G", quoted(cell))
	}
	return m, nil
}
