package app

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/nexus"
)

// process is one process of our attempts.
type process struct {
	pid                   int
	attempt               string
	agent, keeper, worker bool // none of them: a child of a worker
}

// processes finds all there are in /proc: by the environment of workers, by the arguments of agents and keepers.
func (r *rack) processes() []process {
	entries, _ := os.ReadDir("/proc")
	var list []process
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		cmdline, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "cmdline"))
		argv := strings.Split(strings.TrimSuffix(string(cmdline), "\x00"), "\x00")
		last := argv[len(argv)-1]
		switch {
		case unborn(e.Name(), cmdline):
			continue
		case len(argv) == 2 && strings.HasPrefix(last, filepath.Join(r.state, "attempts")+"/"):
			dir, n := filepath.Split(last)
			list = append(list, process{pid: pid, agent: true, attempt: filepath.Base(dir) + "/" + n})
			continue
		case len(argv) == 4 && argv[0] == os.Args[0] && argv[1] == "keeper" && r.ours(argv[2]):
			list = append(list, process{pid: pid, keeper: true, attempt: argv[2]})
			continue
		}
		environ, _ := os.ReadFile(filepath.Join("/proc", e.Name(), "environ"))
		for entry := range bytes.SplitSeq(environ, []byte{0}) {
			if name, ok := bytes.CutPrefix(entry, []byte("NEXUS_ATTEMPT=")); ok && r.ours(string(name)) {
				list = append(list, process{pid: pid, attempt: string(name), worker: leads(pid)})
			}
		}
	}
	return list
}

// unborn reports whether a process has still the arguments of its parent: a worker, say, that is not yet its program and looks like
// its agent.
func unborn(pid string, cmdline []byte) bool {
	stat, _ := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	_, after, _ := strings.Cut(string(stat[bytes.LastIndexByte(stat, ')')+1:]), " ") // state, parent, ...
	fields := strings.Fields(after)
	if len(fields) < 2 || len(cmdline) == 0 {
		return false
	}
	parent, _ := os.ReadFile(filepath.Join("/proc", fields[1], "cmdline"))
	return bytes.Equal(parent, cmdline)
}

// leads reports whether the process leads its session, as the first process of each worker does.
func leads(pid int) bool {
	session, err := unix.Getsid(pid)
	return err == nil && session == pid
}

// ours reports whether the attempt has a directory here.
func (r *rack) ours(name string) bool {
	_, err := os.Stat(filepath.Join(r.state, "attempts", name))
	return err == nil && name != ""
}

// said is one line that a worker wrote.
type said struct {
	word, attempt string
	round, rank   int
}

func (r *rack) saidByWorkers() []said {
	data, err := os.ReadFile(r.log)
	if err != nil {
		r.t.Fatal(err)
	}
	var all []said
	for line := range strings.Lines(string(data)) {
		f := strings.Fields(line)
		if len(f) != 5 {
			r.t.Errorf("a worker wrote %q", line)
			continue
		}
		round, _ := strconv.Atoi(f[2])
		rank, _ := strconv.Atoi(f[3])
		all = append(all, said{f[0], f[1], round, rank})
	}
	return all
}

// check compares what happened with the promises.
func (r *rack) check() {
	if left := r.processes(); len(left) > 0 {
		r.t.Errorf("processes are left at the end: %+v", left)
	}
	lines := r.saidByWorkers()
	for _, l := range lines {
		if l.word == "overlap" {
			r.t.Errorf("I1: attempt %s round %d rank %d began while an earlier one of its job lived", l.attempt, l.round, l.rank)
		}
	}
	views := r.all()
	byName := map[string]int{}
	for _, v := range views {
		byName[v.Spec.Name]++
	}
	defer func() { r.t.Logf("%d attempts yielded", r.preempted) }()
	for id, job := range r.jobs {
		v, ok := views[id]
		if !ok {
			r.t.Errorf("I4: job %s (%s) was acknowledged and is lost", id, job.kind)
			continue
		}
		if byName[job.key] != 1 {
			r.t.Errorf("the submit with key %s made %d jobs", job.key, byName[job.key])
		}
		r.checkJob(job, v, lines)
	}
	data, _ := os.ReadFile(filepath.Join(r.work, "daemon.log"))
	if bytes.Contains(data, []byte("DATA RACE")) {
		r.t.Errorf("a daemon has a data race:\n%s", data)
	}
}

// all gives every job there is.
func (r *rack) all() map[string]api.JobView {
	views := map[string]api.JobView{}
	for before := ""; ; {
		page, err := r.client.List(context.Background(), api.Filter{Limit: 500, Before: before})
		if err != nil {
			r.t.Fatal(err)
		}
		for _, v := range page {
			views[v.ID] = v
			before = v.ID
		}
		if len(page) < 500 {
			return views
		}
	}
}

// checkJob holds one job against the rules of endings and budgets.
func (r *rack) checkJob(job *torment, v api.JobView, lines []said) {
	wrong := func(format string, args ...any) {
		r.t.Errorf("job %s (%s): %s; it is %s after attempt %d, restarts %d of %d, result %+v\n%s", v.ID, job.kind, fmt.Sprintf(format, args...),
			v.Phase, v.Attempt, v.RestartsUsed, v.Spec.Restart.Max, v.Result, r.story(v, lines))
	}
	// What the workers say.
	started, ended := map[string]int{}, map[string]int{} // "attempt/round" -> workers
	rounds := map[string]bool{}
	for _, l := range lines {
		if !strings.HasPrefix(l.attempt, v.ID+"/") {
			continue
		}
		key := fmt.Sprint(l.attempt, "/", l.round)
		switch l.word {
		case "start":
			started[key]++
			rounds[key] = true
		case "end":
			ended[key]++
		}
		if n, _ := strconv.Atoi(strings.TrimPrefix(l.attempt, v.ID+"/")); n > v.Attempt {
			wrong("attempt %s ran and is not in the records", l.attempt)
		}
	}
	for key, n := range started {
		if n > v.Spec.Workers {
			wrong("I1: round %s had %d workers of %d", key, n, v.Spec.Workers)
		}
	}
	// Restarts: the budget, and one round for each attempt that somebody else ended.
	if v.RestartsUsed > v.Spec.Restart.Max {
		wrong("I7: more restarts than its budget")
	}
	if len(rounds) > v.Attempt+v.Spec.Restart.Max {
		wrong("I7: %d rounds began, more than %d attempts and %d restarts allow", len(rounds), v.Attempt, v.Spec.Restart.Max)
	}
	// Every attempt but the last was ended by us, or yielded to a job of higher priority.
	alone := 0
	for n := 1; n < v.Attempt; n++ {
		if r.agents[attempt.Name(v.ID, n)] == 0 {
			alone++
		}
	}
	if alone > v.Preemptions {
		wrong("I10: %d attempts ended though nobody killed their agents, and %d yielded", alone, v.Preemptions)
	}
	if v.Preemptions > 0 && v.Spec.Priority >= nexus.High {
		wrong("I5: it yielded %d times to nobody above it", v.Preemptions)
	}
	r.preempted += v.Preemptions
	r.checkEnding(job, v, started, ended, wrong)
}

// checkEnding holds the last attempt against its result.
func (r *rack) checkEnding(job *torment, v api.JobView, started, ended map[string]int, wrong func(string, ...any)) {
	last := attempt.Name(v.ID, v.Attempt)
	switch v.Phase {
	case nexus.Succeeded:
		key := fmt.Sprint(last, "/", v.Result.Round)
		if job.kind == "fails" {
			wrong("it can not succeed")
		}
		if ended[key] != v.Spec.Workers && job.kind != "cancelled" {
			wrong("I3: it succeeded in round %s, where %d of %d workers came to their end", key, ended[key], v.Spec.Workers)
		}
	case nexus.Cancelled:
		if !job.cancelled {
			wrong("nobody cancelled it")
		}
	case nexus.Failed:
		switch {
		case v.Result == nil || v.Result.Cause != nexus.CauseExit:
			wrong("it failed without a worker's fault")
		case v.RestartsUsed != v.Spec.Restart.Max:
			wrong("it failed with restarts left")
		case job.kind != "fails" && job.kind != "flaky" && r.workersKilled(v.ID) == 0:
			wrong("it failed though nobody killed a worker")
		}
	default:
		wrong("it is not over")
	}
	if v.Result != nil && v.Result.Attempt != v.Attempt && v.Phase != nexus.Cancelled {
		wrong("the result is of attempt %d", v.Result.Attempt)
	}
	dir := attempt.At(filepath.Join(r.state, "attempts"), v.ID, v.Attempt)
	if locked, err := dir.Locked(); err == nil && locked {
		wrong("its agent still lives")
	}
}

// workersKilled is how many of the job's workers we killed.
func (r *rack) workersKilled(id string) int {
	n := 0
	for name, times := range r.workers {
		if strings.HasPrefix(name, id+"/") {
			n += times
		}
	}
	return n
}

// story is what is known of a job, for whoever has to find out.
func (r *rack) story(v api.JobView, lines []said) string {
	var text strings.Builder
	for _, l := range lines {
		if strings.HasPrefix(l.attempt, v.ID+"/") {
			fmt.Fprintf(&text, "  worker: %s %s round %d rank %d\n", l.word, l.attempt, l.round, l.rank)
		}
	}
	for n := 1; n <= v.Attempt; n++ {
		name := attempt.Name(v.ID, n)
		dir := attempt.At(filepath.Join(r.state, "attempts"), v.ID, n)
		rounds, roundsErr := dir.Rounds()
		result, resultErr := dir.Result()
		log, _ := os.ReadFile(filepath.Join(string(dir), "agent.log"))
		fmt.Fprintf(&text, "  attempt %d: agents killed %d, workers killed %d, rounds %+v %v, result %+v %v\n%s\n", n, r.agents[name], r.workers[name],
			rounds, roundsErr, result, resultErr, tail(string(log), 10))
	}
	return text.String()
}
