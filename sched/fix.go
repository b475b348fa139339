package sched

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"time"

	"ainexus.io/nexus"
)

// change is a fix that has not been tried yet: what to set, and the job file with it set.
type change struct {
	set      map[string]string
	sentence string
	spec     nexus.Spec
}

// fix is the smallest change to a job that starts it now. Each is tried by planning the snapshot again
// with it; nil if none that we know of helps.
func (x *Explainer) fix(j *nexus.Job, r nexus.Reason) *nexus.Fix {
	switch r.Code {
	case nexus.WaitBackoff, nexus.WaitQueue, nexus.WaitHeld, nexus.WaitAfter, nexus.WaitArray:
		return nil
	}
	for _, ch := range x.changes(j, r) {
		if x.tried(j.ID, ch.spec) {
			return &nexus.Fix{Set: ch.set, Sentence: ch.sentence + " it starts now"}
		}
	}
	return nil
}

// tried reports whether the job would be placed with another job file.
func (x *Explainer) tried(id string, spec nexus.Spec) bool {
	s := x.snapshot
	s.Jobs = slices.Clone(s.Jobs)
	i := slices.IndexFunc(s.Jobs, func(j nexus.Job) bool { return j.ID == id })
	s.Jobs[i].Spec = spec
	return slices.ContainsFunc(Plan(s, x.policy).Place, func(p nexus.Placement) bool { return p.Job == id })
}

// changes lists what could be changed about a job, the least painful first: what it may run beside, how near its parts
// have to be, how much it takes, on what it insists, whom it passes.
func (x *Explainer) changes(j *nexus.Job, r nexus.Reason) []change {
	var list []change
	add := func(sentence string, edit func(*nexus.Spec), set ...string) {
		ch := change{set: map[string]string{}, sentence: sentence, spec: j.Spec}
		edit(&ch.spec)
		for i := 0; i < len(set); i += 2 {
			ch.set[set[i]] = set[i+1]
		}
		list = append(list, ch)
	}
	x.shorter(j, add)
	x.apart(j, add)
	x.fewer(j, r, add)
	x.smaller(j, r, add)
	x.elsewhere(j, add)
	for p := j.Spec.Priority + 1; p <= nexus.Critical; p++ {
		add(fmt.Sprintf("with priority %s", p), func(s *nexus.Spec) { s.Priority = p }, "priority", p.String())
	}
	return list
}

type adder func(sentence string, edit func(*nexus.Spec), set ...string)

// shorter promises to be gone before those ahead start.
func (x *Explainer) shorter(j *nexus.Job, add adder) {
	var dates []time.Time
	for _, start := range x.starts {
		if start.After(x.snapshot.At) {
			dates = append(dates, start)
		}
	}
	slices.SortFunc(dates, func(a, b time.Time) int { return b.Compare(a) })
	for _, date := range slices.CompactFunc(dates, time.Time.Equal) {
		gap := nexus.Duration(date.Sub(x.snapshot.At).Truncate(time.Minute))
		if gap <= 0 || j.Spec.MaxDuration > 0 && gap >= j.Spec.MaxDuration {
			continue
		}
		add(fmt.Sprintf("if it is done within %s", gap), func(s *nexus.Spec) { s.MaxDuration = gap }, "max_duration", gap.String())
	}
}

// apart takes what is not all in one place.
func (x *Explainer) apart(j *nexus.Job, add adder) {
	if level := j.Spec.Topology.Require; level != "" {
		add(fmt.Sprintf("without insisting on one %s", level), func(s *nexus.Spec) { s.Topology = nexus.Topology{} }, "topology", "null")
	}
}

// fewer asks for fewer nodes or GPUs.
func (x *Explainer) fewer(j *nexus.Job, r nexus.Reason, add adder) {
	for n := gang(&j.Spec).Min - 1; n >= 1; n-- {
		add("with "+count(n, "node"), func(s *nexus.Spec) { s.Nodes = nexus.Range{Min: n, Max: n} }, "nodes", strconv.Itoa(n))
	}
	gpus := j.Spec.Resources.GPUs.N
	from := gpus - 1
	if r.Resource == "gpus" {
		from = min(from, int(r.Have))
	}
	for n := from; n >= 1; n-- {
		workers := j.Spec.Workers
		set := []string{"resources.gpus", strconv.Itoa(n)}
		if workers > 0 && n%workers != 0 {
			workers = n
			set = append(set, "workers", strconv.Itoa(n))
		}
		add("with "+count(n, "GPU"), func(s *nexus.Spec) { s.Resources.GPUs.N, s.Workers = n, workers }, set...)
	}
}

// smaller asks for less of what is short, but not for less than half of it.
func (x *Explainer) smaller(j *nexus.Job, r nexus.Reason, add adder) {
	if r.Have*2 < r.Need || r.Have <= 0 {
		return
	}
	switch r.Resource {
	case "gpu_memory":
		m := nexus.MiB(r.Have)
		add(fmt.Sprintf("with %s of a GPU", m), func(s *nexus.Spec) { s.Resources.GPUMemory = m }, "resources.gpu_memory", m.String())
	case "cpu":
		cpu := nexus.CPU(r.Have)
		add(fmt.Sprintf("on %s", slotsOf(cpu)), func(s *nexus.Spec) { s.Resources.CPU = cpu }, "resources.cpu", cpu.String())
	case "memory":
		m := nexus.MiB(r.Have)
		add(fmt.Sprintf("with %s of memory", m), func(s *nexus.Spec) { s.Resources.Memory = m }, "resources.memory", m.String())
	}
}

// elsewhere insists less on the kind of device.
func (x *Explainer) elsewhere(j *nexus.Job, add adder) {
	res := j.Spec.Resources
	sizes, models := map[nexus.MiB]bool{}, map[string]bool{}
	for _, n := range x.snapshot.Nodes {
		for i := range n.GPUs {
			sizes[n.GPUs[i].Memory] = true
			if n.GPUs[i].Model != "" && !isModel(&n.GPUs[i], res.GPUModel) {
				models[n.GPUs[i].Model] = true
			}
		}
	}
	for _, model := range sorted(models) {
		add("on "+model, func(s *nexus.Spec) { s.Resources.GPUModel = []string{model} }, "resources.gpu_model", model)
	}
	if res.Share() || res.GPUMemory == 0 {
		return
	}
	for _, size := range slices.Backward(sorted(sizes)) {
		if size < res.GPUMemory {
			add(fmt.Sprintf("on GPUs with %s", size), func(s *nexus.Spec) { s.Resources.GPUMemory = size }, "resources.gpu_memory", size.String())
		}
	}
}

func sorted[K cmp.Ordered](set map[K]bool) []K { return slices.Sorted(maps.Keys(set)) }
