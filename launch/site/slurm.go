package site

import (
	"fmt"
	"strconv"
	"strings"
)

// slurm reads what srun sets: once for each task, while we want one on each node.
func slurm(getenv func(string) string, _ Facts) (Site, error) {
	rank, inStep, err := number(getenv, "SLURM_NODEID", 0)
	if err != nil {
		return Site{}, err
	}
	nodes, err := slurmNodes(getenv)
	if err != nil {
		return Site{}, err
	}
	if !inStep || alone(getenv) {
		// The shell of salloc, or the script of sbatch: nothing was started on the other nodes.
		s := Site{First: true}
		if nodes > 1 {
			s.Warning = fmt.Sprintf("this SLURM job has %d nodes, of which only this one is used: `srun --ntasks-per-node=1 nexus launch ...` starts on all", nodes)
		}
		return s, nil
	}
	s := Site{By: "SLURM", Nodes: nodes, Rank: rank, Remedy: "srun --ntasks-per-node=1, and --nproc-per-node for the workers of a node"}
	if s.RunID = firstSet(getenv, "SLURM_JOB_ID", "SLURM_JOBID"); s.RunID != "" {
		if step := firstSet(getenv, "SLURM_STEP_ID", "SLURM_STEPID"); step != "" {
			s.RunID += "." + step
		}
		s.RunID = "slurm-" + s.RunID
	}
	proc := rank
	if err := numbers(getenv, map[string]*int{"SLURM_LOCALID": &s.Task, "SLURM_PROCID": &proc}); err != nil {
		return Site{}, err
	}
	s.First = proc == 0
	if s.Tasks, err = slurmTasks(getenv, rank); err != nil {
		return Site{}, err
	}
	s.Tasks = max(s.Tasks, s.Task+1)
	if list := firstSet(getenv, "SLURM_STEP_NODELIST", "SLURM_JOB_NODELIST", "SLURM_NODELIST"); list != "" {
		hosts, err := Hosts(list)
		if err != nil {
			return Site{}, err
		}
		s.Master = hosts[0]
		if s.Nodes == 0 {
			s.Nodes = len(hosts)
		}
		if s.Nodes > len(hosts) {
			return Site{}, fmt.Errorf("SLURM says that there are %d nodes, but lists %d: %s", s.Nodes, len(hosts), list)
		}
	}
	if s.Nodes > 0 && rank >= s.Nodes {
		return Site{}, fmt.Errorf("SLURM_NODEID is %d, but there are %d nodes", rank, s.Nodes)
	}
	return s, nil
}

// alone reports whether this is the script of sbatch itself, and not a task that srun started in it.
func alone(getenv func(string) string) bool {
	return getenv("ENVIRONMENT") == "BATCH" && firstSet(getenv, "SLURM_STEP_NODELIST", "SLURM_SRUN_COMM_HOST", "SLURM_STEP_NUM_NODES") == ""
}

// slurmNodes is how many nodes the step has, or else the job.
func slurmNodes(getenv func(string) string) (int, error) {
	for _, key := range []string{"SLURM_STEP_NUM_NODES", "SLURM_NNODES", "SLURM_JOB_NUM_NODES"} {
		n, set, err := number(getenv, key, 1)
		if set || err != nil {
			return n, err
		}
	}
	return 0, nil
}

// slurmTasks is how many tasks a node has, of "2(x3),1": two on each of the first three nodes and one on the last. 0 where
// nobody says.
func slurmTasks(getenv func(string) string, node int) (int, error) {
	text := firstSet(getenv, "SLURM_STEP_TASKS_PER_NODE", "SLURM_TASKS_PER_NODE")
	if text == "" {
		return 0, nil
	}
	for part := range strings.SplitSeq(text, ",") {
		tasks, times, repeated := strings.Cut(part, "(x")
		n, err := strconv.Atoi(tasks)
		nodes := 1
		var err2 error
		if repeated {
			nodes, err2 = strconv.Atoi(strings.TrimSuffix(times, ")"))
		}
		if err != nil || err2 != nil || n < 0 || nodes < 1 {
			return 0, fmt.Errorf("SLURM's tasks per node are %q, which cannot be read", text)
		}
		if node < nodes {
			return n, nil
		}
		node -= nodes
	}
	return 0, nil
}
