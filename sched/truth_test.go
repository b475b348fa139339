package sched

import (
	"fmt"
	"slices"
	"strings"

	"ainexus.io/nexus"
)

// lie says what is untrue about a reason; empty if it is true. It looks at the fleet with its own eyes.
func (w *world) lie(j nexus.Job, r nexus.Reason) string {
	if lie := w.yieldLie(j, r); lie != "" {
		return lie
	}
	if r.Code != nexus.WaitQuota && r.Queue != "" && r.Model != "" { // it is about the models that there is quota for
		j.Spec.Resources.GPUModel = strings.Split(r.Model, ", ")
	}
	switch r.Code {
	case nexus.WaitBackoff:
		if !r.Until.Equal(j.NotBefore) || !j.NotBefore.After(w.at) {
			return "it does not back off"
		}
	case nexus.WaitQueue:
		if _, exists := w.queueNamed(j.Spec.Queue); exists {
			return "its queue exists"
		}
	case nexus.WaitAfter:
		if !slices.ContainsFunc(j.After, func(d nexus.Dependency) bool { return d.Job == r.Job && string(d.On) == r.Resource && !d.Met() }) {
			return "it does not wait for that"
		}
	case nexus.WaitArray:
		n := 0
		for _, other := range w.jobs {
			if other.Member != nil && j.Member != nil && other.Member.Array == j.Member.Array && other.Phase.Live() {
				n++
			}
		}
		if int64(n) != r.Have || r.Have < r.Need || j.Member == nil || r.Need != int64(j.Member.AtOnce) {
			return fmt.Sprintf("%d members of its array run", n)
		}
	case nexus.WaitHeld:
		if j.HeldBy == "" || r.User != j.HeldBy {
			return "nobody of that name holds it"
		}
	case nexus.WaitQuota, nexus.WaitUser:
		return w.held(j, r)
	case nexus.WaitPreempt:
		v, ok := w.jobs[r.Job]
		if !ok || v.Phase != nexus.Stopping || v.StopFor != j.ID {
			return "nobody of that name is stopping for it"
		}
	case nexus.WaitUnfit:
		return w.fits(j, "an empty fleet", true, true, true)
	case nexus.WaitNodes:
		return w.fits(j, "the ready nodes, were they empty", false, true, true)
	case nexus.WaitDevice:
		return w.fits(j, "the ready nodes with their healthy devices, were they empty", false, false, true)
	case nexus.WaitCapacity:
		if lie := w.fits(j, "what is free", false, false, false); lie != "" {
			return lie
		}
		if w.fits(j, "", false, false, true) == "" {
			return "not even an empty fleet would take it"
		}
	case nexus.WaitBehind:
		if w.fits(j, "", false, false, false) == "" {
			return "there is no room for it"
		}
		ahead, ok := w.jobs[r.Job]
		resized := ahead.Phase == nexus.Stopping && ahead.Stop == nexus.StopResize && ahead.StopFor == ahead.ID
		if !ok || ahead.Phase != nexus.Pending && !resized || ahead.Spec.Priority < j.Spec.Priority {
			return fmt.Sprintf("%q is not ahead of it", r.Job)
		}
	default:
		return "that is no reason"
	}
	if r.Node != "" && r.Code != nexus.WaitNodes && r.Have >= r.Need {
		return "that is enough"
	}
	return ""
}

// fits says that a job fits on so many nodes after all; empty if it does not. It counts by itself.
func (w *world) fits(j nexus.Job, where string, anyState, ailing, empty bool) string {
	n, racks := 0, map[string]int{}
	for name, node := range w.nodes {
		if node.State != nexus.Ready && !anyState {
			continue
		}
		if !w.seatThere(j.Spec, name, ailing, empty) {
			continue
		}
		rack := node.Rack
		if j.Spec.Topology.Require != nexus.LevelRack {
			rack = "anywhere"
		} else if rack == "" {
			rack = "of its own " + name
		}
		racks[rack]++
		n = max(n, racks[rack])
	}
	if n >= j.Spec.Nodes.Min {
		return fmt.Sprintf("%d nodes of %s would take it", n, where)
	}
	return ""
}

func (w *world) seatThere(s nexus.Spec, name string, ailing, empty bool) bool {
	node := w.nodes[name]
	cpu, memory := node.CPU, node.Memory
	whole, share := make([]bool, len(node.GPUs)), make([]nexus.MiB, len(node.GPUs))
	for i, d := range node.GPUs {
		well := (d.Problem == "" || ailing) && (len(s.Resources.GPUModel) == 0 || slices.Contains(s.Resources.GPUModel, d.Model))
		whole[i] = well
		if well {
			share[i] = d.Usable() - d.Foreign
		}
	}
	for _, j := range w.jobs {
		if empty || j.Placement == nil {
			continue
		}
		for _, seat := range j.Placement.Seats {
			if seat.Node != name {
				continue
			}
			cpu, memory = cpu-seat.CPU, memory-seat.Memory
			for _, g := range seat.GPUs {
				if i := slices.IndexFunc(node.GPUs, func(d nexus.GPU) bool { return d.UUID == g.UUID }); i >= 0 {
					whole[i] = false
					if share[i] -= seat.Share; seat.Share == 0 {
						share[i] = 0
					}
				}
			}
		}
	}
	free, islands := 0, map[string]int{}
	for i, ok := range whole {
		island := node.GPUs[i].Island
		if s.Topology.Require != nexus.LevelIsland {
			island = "anywhere"
		}
		if ok && island != "" {
			islands[island]++
			free = max(free, islands[island])
		}
		if ok && s.Resources.GPUs.N == 1 {
			free = max(free, 1)
		}
	}
	r := s.Resources
	least := r.CPU
	if r.GPUs.Auto && s.Workers == 0 && r.CPU == 0 {
		least = 1000
	}
	if max(0, cpu) < least || max(0, memory) < r.Memory || free < r.GPUs.N {
		return false
	}
	return !r.Share() || slices.ContainsFunc(share, func(m nexus.MiB) bool { return m >= r.GPUMemory })
}
