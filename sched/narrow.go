package sched

import (
	"cmp"
	"slices"

	"ainexus.io/nexus"
)

// kind is GPUs that quotas do not tell apart: the models, and the rows that count them.
type kind struct {
	models []string
	rows   []int
}

// kinds are those of the fleet that a job would take. One kind without models is any device, or none.
func (c *cycle) kinds(s *nexus.Spec) []kind {
	if len(c.tree.models) == 1 || s.Resources.GPUs == (nexus.GPUCount{}) && !s.Resources.Share() {
		return []kind{{rows: []int{0}}}
	}
	var list []kind
	for _, model := range c.fleetModels() {
		if !isModel(&nexus.GPU{Model: model}, s.Resources.GPUModel) {
			continue
		}
		rows := c.tree.rowsOf(model)
		i := slices.IndexFunc(list, func(k kind) bool { return slices.Equal(k.rows, rows) })
		if i < 0 {
			i, list = len(list), append(list, kind{rows: rows})
		}
		list[i].models = append(list[i].models, model)
	}
	if len(list) == 0 { // the fleet has none: the passes after this one say so
		return []kind{{models: s.Resources.GPUModel, rows: []int{0}}}
	}
	return list
}

// fleetModels lists the models that the fleet has, in order.
func (c *cycle) fleetModels() []string {
	if c.models == nil {
		c.models = []string{}
		for _, name := range c.now.Names() {
			for _, d := range c.now.Node(name).GPUs {
				if i, there := slices.BinarySearch(c.models, d.Model); !there {
					c.models = slices.Insert(c.models, i, d.Model)
				}
			}
		}
	}
	return c.models
}

// narrow finds the most of what a job asks for that is allowed, of the kinds in which it may be had; only
// is nil for all of them. What the job will then be placed with stands in its ask and form; what kept it
// from more is told as well.
func (c *cycle) narrow(e *entry, only func(amounts) bool, allowed func(amounts) (shortage, bool)) (shortage, bool) {
	spec := &e.job.Spec
	kinds, size := c.kinds(spec), gang(spec)
	gpus := c.gpusEach(spec)
	some := func(nodes, gpus int) (fit []kind, first shortage) {
		for i, k := range kinds {
			what := c.amountAsked(spec, nodes, gpus, k.rows)
			short, ok := allowed(what)
			switch {
			case ok && (only == nil || only(what)):
				fit = append(fit, k)
			case i == 0 || !first.behind && short.behind: // to be behind somebody is the more hopeful news
				short.now = first.now || !short.behind
				first = short
			default:
				first.now = first.now || !short.behind
			}
		}
		return fit, first
	}
	fit, short := some(size.Min, gpus)
	if len(fit) == 0 && spec.Resources.GPUs.Auto {
		return short, c.fewerAuto(e, some)
	}
	if len(fit) == 0 {
		return short, false
	}
	nodes := size.Min
	for low, high := size.Min+1, size.Max; low <= high; { // the most nodes that are allowed of each of these
		middle := (low + high) / 2
		if more, _ := some(middle, gpus); len(more) == len(fit) {
			nodes, low = middle, middle+1
		} else {
			high = middle - 1
		}
	}
	if nodes == size.Max && len(fit) == len(kinds) {
		return short, true
	}
	ask := e.job
	if nodes < size.Max {
		ask.Spec.Nodes = nexus.Range{Min: size.Min, Max: nodes}
	}
	if len(fit) < len(kinds) {
		ask.Spec.Resources.GPUModel = nil
		for _, k := range fit {
			ask.Spec.Resources.GPUModel = append(ask.Spec.Resources.GPUModel, k.models...)
		}
	}
	c.narrowTo(e, &ask)
	return short, true
}

// gpusEach is how many GPUs a job asks for on each node; with `auto` and no workers, as many as any has.
func (c *cycle) gpusEach(s *nexus.Spec) int {
	switch {
	case !s.Resources.GPUs.Auto:
		return s.Resources.GPUs.N
	case s.Workers > 0:
		return s.Workers
	}
	most := 0
	for _, name := range c.now.Names() {
		most = max(most, len(c.now.Node(name).GPUs))
	}
	return most
}

// fewerAuto narrows a job that takes what is free to what its queue leaves of that: fewer GPUs where their
// number was left open, else none.
func (c *cycle) fewerAuto(e *entry, some func(nodes, gpus int) ([]kind, shortage)) bool {
	ask, nodes := e.job, gang(&e.job.Spec).Min
	var free []nexus.Seat // that it would get if it were not for its queue
	for _, name := range c.now.Names() {
		if c.both(name, &c.room) && c.now.Node(name).State == nexus.Ready {
			if o, ok := seatOn(&c.room, &ask.Spec); ok {
				free = append(free, o.seat)
			}
		}
	}
	slices.SortFunc(free, func(a, b nexus.Seat) int {
		return cmp.Or(cmp.Compare(len(b.GPUs), len(a.GPUs)), cmp.Compare(b.CPU, a.CPU))
	})
	most, cpu := 0, nexus.CPU(1000)
	if len(free) >= nodes && ask.Spec.Workers == 0 {
		most, cpu = len(free[nodes-1].GPUs), free[nodes-1].CPU
	}
	for gpus := most; gpus >= 0; gpus-- {
		fit, _ := some(nodes, gpus)
		if len(fit) == 0 {
			continue
		}
		less := ask
		res := &less.Spec.Resources
		res.GPUs = nexus.GPUCount{N: gpus}
		less.Spec.Nodes = nexus.Range{Min: nodes, Max: nodes}
		less.Spec.Workers = max(1, gpus, ask.Spec.Workers)
		if ask.Spec.Workers == 0 && res.CPU == 0 {
			res.CPU = max(1000, min(nexus.CPU(1000*less.Spec.Workers), cpu))
		}
		if gpus == 0 {
			res.GPUMemory = 0
		} else if len(c.tree.models) > 1 {
			res.GPUModel = nil
			for _, k := range fit {
				res.GPUModel = append(res.GPUModel, k.models...)
			}
		}
		c.narrowTo(e, &less)
		if gpus > 0 && c.find(e, c.both, &c.apart) == nil { // what is free is of models that there is no quota for
			continue
		}
		return true
	}
	return false
}

// amountAsked is what a job on so many nodes would hold of a kind.
func (c *cycle) amountAsked(s *nexus.Spec, nodes, gpus int, rows []int) amounts {
	what := make(amounts, c.tree.cells())
	cpu := int64(s.Resources.CPU)
	if s.Resources.GPUs.Auto && s.Workers == 0 && cpu == 0 {
		cpu = 1000 * int64(max(1, gpus))
	}
	for _, m := range rows {
		cells := what[m*resources:]
		cells[ofGPUs], cells[ofCPU] = int64(nodes*gpus), int64(nodes)*cpu
		if s.Resources.Share() {
			cells[ofShares] = int64(nodes) * int64(s.Resources.GPUMemory)
		}
	}
	return what
}
