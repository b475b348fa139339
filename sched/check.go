package sched

import (
	"fmt"

	"ainexus.io/nexus"
	"ainexus.io/sched/ledger"
)

// Check refuses a job that no waiting would ever start on these nodes, whatever their state, and names
// the limit; nil if the job could run.
func Check(nodes []nexus.Node, s nexus.Spec) *nexus.Error {
	f := fleetOf(nodes)
	r := f.shortfall(&s, nexus.WaitUnfit, func(n *nexus.Node, r *ledger.Room) bool {
		ledger.Empty(n, true, r)
		return true
	})
	if r.Code == "" {
		return nil
	}
	e := &nexus.Error{Code: nexus.CodeUnfit, Field: "resources." + r.Resource}
	need, have, none := "", "", "leave resources.gpu_memory out to run without a GPU"
	switch r.Resource {
	case "nodes":
		e.Field = "nodes"
		of := ""
		if spans(r.Within) {
			of = " of one " + string(r.Within)
		}
		e.Message = fmt.Sprintf("the job needs %s%s, but %s could take it", count(int(r.Need), "node"), of, countNone(int(r.Have), "node"))
		e.Hint = fmt.Sprintf("--set nodes=%d", r.Have)
		return e
	case "gpus":
		need, have = count(int(r.Need), "GPU")+slicesOf(s)+wishes(&s.Resources), fmt.Sprint(r.Have)
		none = "--set resources.gpus=auto takes what is free, and runs on the CPU where nothing is"
		if s.Resources.MIG != "" {
			none = "leave resources.mig out to get whole GPUs"
		}
	case "gpu_memory":
		need, have = nexus.MiB(r.Need).String()+" of one GPU"+wishes(&nexus.Resources{GPUModel: s.Resources.GPUModel}), nexus.MiB(r.Have).String()
	case "cpu":
		need, have = cpus(nexus.CPU(r.Need)), nexus.CPU(r.Have).String()
	case "memory":
		need, have = nexus.MiB(r.Need).String()+" of memory", nexus.MiB(r.Have).String()
	}
	if r.Have == 0 {
		e.Message, e.Hint = fmt.Sprintf("the job needs %s on one node, but no node has any", need), none
		return e
	}
	e.Message = fmt.Sprintf("the job needs %s on one node, but the most is %s, on %s", need, have, r.Node)
	e.Hint = fmt.Sprintf("--set %s=%s", e.Field, have)
	return e
}

func fleetOf(nodes []nexus.Node) fleet {
	f := fleet{room: &ledger.Room{}}
	byName := map[string]*nexus.Node{}
	for i := range nodes {
		byName[nodes[i].Name] = &nodes[i]
		f.names = append(f.names, nodes[i].Name)
	}
	f.node = func(name string) *nexus.Node { return byName[name] }
	return f
}

// slicesOf says what is particular about the devices.
func slicesOf(s nexus.Spec) string {
	text := ""
	if s.Resources.MIG != "" {
		text = " (MIG slices " + s.Resources.MIG + ")"
	}
	if s.Topology.Require == nexus.LevelIsland {
		text += " of one island"
	}
	return text
}

func wishes(res *nexus.Resources) string {
	text := ""
	if res.GPUMemory > 0 {
		text = " with " + res.GPUMemory.String()
	}
	for i, m := range res.GPUModel {
		text += map[bool]string{true: " of model ", false: " or "}[i == 0] + m
	}
	return text
}

func countNone(n int, noun string) string {
	if n == 0 {
		return "no " + noun
	}
	return count(n, noun)
}
