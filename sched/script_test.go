package sched

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/sched/policy"
)

var update = flag.Bool("update", false, "write what the planner does into the scripts")

// TestScripts plays the stories of testdata. How they are written is told in testdata/README.md.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) < 25 {
		t.Fatalf("%d scripts, %v; at least 25 behaviours have one", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(text))
			if got == string(text) {
				return
			}
			if !*update {
				t.Fatalf("the planner does otherwise (go test ./sched -run TestScripts -update writes it down):\n%s", got)
			}
			if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		})
	}
}

// play runs a script and returns it with what really came out.
func play(t *testing.T, text string) string {
	w := newWorld()
	var out bytes.Buffer
	answer := false // inside the answer to a question
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, " \t\n")
		if answer {
			answer = line != ""
			if answer {
				continue
			}
		}
		fmt.Fprintln(&out, line)
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(line, "#") {
			continue
		}
		if said := w.do(t, words); said != "" {
			fmt.Fprintf(&out, "----\n%s", said)
			answer = true
		}
	}
	return strings.TrimRight(out.String(), "\n") + "\n"
}

// do carries out one line of a script and returns the answer, if the line asks something.
func (w *world) do(t *testing.T, words []string) string {
	verb, args := words[0], words[1:]
	switch verb {
	case "node":
		w.setNode(readNode(t, args))
	case "remove":
		w.dropNode(args[0])
	case "queues":
		w.queues = nil
		for _, name := range args {
			w.queues = append(w.queues, nexus.Queue{Name: name})
		}
	case "queue":
		w.setQueue(readQueue(t, args))
	case "use": // of a queue by a user: so many GPUs for so long, until now
		w.use = append(w.use, readUse(t, w.at, args))
	case "submit":
		w.setJob(readJob(t, w, args))
	case "ended": // before the story begins: "ended 20 1h" is 20 jobs that ran for an hour
		w.history = readRuns(t, w.at, args)
	case "finish", "cancelled":
		w.removeJob(args[0])
	case "fail": // and try again after a while
		pause, err := time.ParseDuration(args[1])
		if err != nil {
			t.Fatal(err)
		}
		w.pend(args[0], func(j *nexus.Job) { j.NotBefore = w.at.Add(pause); j.RestartsUsed++ })
	case "stopped": // what was evicted has left
		w.stopped(args[0])
	case "cancel":
		j := w.jobs[args[0]]
		j.Phase, j.Stop = nexus.Stopping, nexus.StopCancel
		w.setJob(j)
	case "over": // what others wait for is over: "over a Failed"
		w.arrive(args[0], nexus.Phase(args[1]))
	case "hold":
		j := w.jobs[args[0]]
		j.HeldBy = args[1]
		w.setJob(j)
	case "release":
		j := w.jobs[args[0]]
		j.HeldBy = ""
		w.setJob(j)
	case "checkpoint":
		j := w.jobs[args[0]]
		j.CheckpointAt = w.at
		w.setJob(j)
	case "priority":
		j := w.jobs[args[0]]
		if err := j.Spec.Priority.UnmarshalText([]byte(args[1])); err != nil {
			t.Fatal(err)
		}
		w.setJob(j)
	case "advance":
		d, err := time.ParseDuration(args[0])
		if err != nil {
			t.Fatal(err)
		}
		w.at = w.at.Add(d)
	case "plan":
		return w.plan(t, args)
	case "would":
		return w.would(t, args)
	case "why":
		return w.why(t, args[0])
	case "check":
		j := readJob(t, w, append([]string{"checked"}, args...))
		err := Check(w.snapshot().Nodes, j.Spec)
		if err == nil {
			err = CheckQueue(w.queues, w.snapshot().Nodes, j, w.waitingOf)
		}
		if err != nil {
			return fmt.Sprintf("error: %s\nhint: %s\n", err.Message, err.Hint)
		}
		return "fits\n"
	default:
		t.Fatalf("no such verb: %s", verb)
	}
	return ""
}

// plan asks the planner, carries out what it says and draws the fleet. "plan dropping a" leaves out what
// was decided about a, as an engine does when its basis moved.
func (w *world) plan(t *testing.T, args []string) string {
	before := w.snapshot()
	plan := w.step()
	if len(args) == 2 && args[0] == "dropping" {
		drawn := plan.String()
		keep := nexus.Plan{}
		for _, p := range plan.Place {
			if p.Job != args[1] {
				keep.Place = append(keep.Place, p)
			}
		}
		w.planner.Drop(args[1])
		w.apply(keep)
		return drawn + w.snapshot().String()
	}
	w.apply(plan)
	w.lawful(t, before, plan)
	drawn := plan.String()
	if drawn == "" {
		drawn = "nothing to do\n"
	}
	return drawn + w.snapshot().String()
}

// would asks what would become of a job that is not submitted.
func (w *world) would(t *testing.T, args []string) string {
	before := w.snapshot()
	f := WouldPlace(before, policy.Default(), readJob(t, w, args))
	if now := w.snapshot(); now.String() != before.String() {
		t.Fatalf("asking changed the fleet:\n%s", now)
	}
	if f.Placement != nil {
		return nexus.Plan{Place: []nexus.Placement{*f.Placement}}.String()
	}
	plan := nexus.Plan{}
	for _, v := range f.Evict {
		plan.Evict = append(plan.Evict, nexus.Eviction{Job: v.Job, For: args[0], Nodes: v.Nodes})
	}
	if len(f.Reserve) > 0 {
		plan.Reserve = []nexus.Reservation{{Job: args[0], Seats: f.Reserve}}
	}
	text := plan.String() + f.Why.Sentence + "\n"
	if !f.Why.Start.IsZero() {
		text += fmt.Sprintf("starts by %s\n", f.Why.Start.Format(time.TimeOnly))
	}
	return text
}

func (w *world) why(t *testing.T, id string) string {
	why, err := Why(w.snapshot(), policy.Default(), id)
	if err != nil {
		t.Fatal(err)
	}
	text := fmt.Sprintf("%s\n", why.Sentence)
	if why.Position > 0 {
		text += fmt.Sprintf("position %d\n", why.Position)
	}
	if !why.Start.IsZero() {
		text += fmt.Sprintf("starts by %s\n", why.Start.Format(time.TimeOnly))
	}
	if why.Fix != nil {
		text += fmt.Sprintf("fix: %s %v\n", why.Fix.Sentence, why.Fix.Set)
	}
	return text
}

// readNode reads "name gpus=4 model=A100 gpu_memory=40GiB cpu=16 ...".
func readNode(t *testing.T, args []string) nexus.Node {
	n := nexus.Node{Name: args[0], State: nexus.Ready, CPU: 16000}
	each := func(value string, set func(*nexus.GPU, string)) {
		for i, v := range strings.Split(value, ",") {
			if i < len(n.GPUs) {
				set(&n.GPUs[i], v)
			}
		}
	}
	for _, arg := range args[1:] {
		key, value, _ := strings.Cut(arg, "=")
		var err error
		switch key {
		case "gpus":
			var many int
			many, err = strconv.Atoi(value)
			for i := range many {
				n.GPUs = append(n.GPUs, nexus.GPU{Index: i, UUID: fmt.Sprintf("GPU-%s-%d", n.Name, i), Model: "A100", Memory: 40 << 10, Free: -1})
			}
		case "model":
			for i := range n.GPUs {
				n.GPUs[i].Model = value
			}
		case "gpu_memory":
			each(repeat(value, len(n.GPUs)), func(g *nexus.GPU, v string) { g.Memory, err = nexus.ParseMiB(v) })
		case "foreign":
			each(repeat(value, len(n.GPUs)), func(g *nexus.GPU, v string) { g.Foreign, err = nexus.ParseMiB(v) })
		case "util":
			each(value, func(g *nexus.GPU, v string) { g.Util, err = strconv.Atoi(v) })
		case "islands":
			each(value, func(g *nexus.GPU, v string) { g.Island = v })
		case "problems":
			each(value, func(g *nexus.GPU, v string) { g.Problem = strings.ReplaceAll(strings.TrimPrefix(v, "-"), "_", " ") })
		case "mig": // a profile per device, - for a whole one
			each(repeat(value, len(n.GPUs)), func(g *nexus.GPU, v string) { g.MIG = strings.TrimPrefix(v, "-") })
		case "block":
			n.Block = value
		case "cpu":
			n.CPU, err = nexus.ParseCPU(value)
		case "memory":
			n.Memory, err = nexus.ParseMiB(value)
		case "rack":
			n.Rack = value
		case "state":
			n.State = nexus.NodeState(value)
		default:
			err = fmt.Errorf("unknown key")
		}
		if err != nil {
			t.Fatalf("%s: %v", arg, err)
		}
	}
	return n
}

// repeat makes a list out of a single value.
func repeat(value string, n int) string {
	if strings.Contains(value, ",") {
		return value
	}
	return strings.TrimSuffix(strings.Repeat(value+",", n), ",")
}

// readRuns reads how many jobs have ended and how long each of them ran.
func readRuns(t *testing.T, at time.Time, args []string) *nexus.History {
	n, err := strconv.Atoi(args[0])
	if err != nil {
		t.Fatal(err)
	}
	each, err := time.ParseDuration(args[1])
	if err != nil {
		t.Fatal(err)
	}
	return runs(at, n, each)
}
