package engine

import (
	"slices"

	"ainexus.io/nexus"
)

// merge is the delta that says what a and then b say.
func merge(a, b nexus.Delta) nexus.Delta {
	if b.Full || a.Empty() {
		return b
	}
	m := nexus.Delta{Version: b.Version, Full: a.Full, Queues: a.Queues, Use: a.Use, Reserve: a.Reserve, History: a.History}
	if b.Queues != nil {
		m.Queues = b.Queues
	}
	if b.Use != nil {
		m.Use = b.Use
	}
	if b.History != nil {
		m.History = b.History
	}
	m.Jobs, m.GoneJobs = overlay(a.Jobs, b.Jobs, a.GoneJobs, b.GoneJobs, func(j nexus.Job) string { return j.ID })
	m.Nodes, m.GoneNodes = overlay(a.Nodes, b.Nodes, a.GoneNodes, b.GoneNodes, func(n nexus.Node) string { return n.Name })
	return m
}

// overlay lays newer things and departures over older ones.
func overlay[T any](old, newer []T, oldGone, newGone []string, name func(T) string) ([]T, []string) {
	at := make(map[string]int, len(old)+len(newer))
	merged := make([]T, 0, len(old)+len(newer))
	for _, thing := range slices.Concat(old, newer) {
		if i, ok := at[name(thing)]; ok {
			merged[i] = thing
			continue
		}
		at[name(thing)] = len(merged)
		merged = append(merged, thing)
	}
	left := make(map[string]bool, len(newGone))
	for _, n := range newGone {
		left[n] = true
	}
	merged = slices.DeleteFunc(merged, func(thing T) bool { return left[name(thing)] })
	back := make(map[string]bool, len(newer))
	for _, thing := range newer {
		back[name(thing)] = true
	}
	gone := slices.DeleteFunc(slices.Concat(oldGone, newGone), func(n string) bool { return back[n] && !left[n] })
	slices.Sort(gone)
	return merged, slices.Compact(gone)
}
