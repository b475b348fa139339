package gpu

import (
	"slices"
	"strings"
)

// memory is what was seen so far. The driver forgets a GPU that fell off the bus; we must not.
type memory struct {
	known []Device
}

// merge completes a fresh sample with the devices known before: one that could not say who it is gets back its name
// from its number, one that is missing is told as last seen.
func (m *memory) merge(s Sample) Sample {
	merged := slices.Clone(s.Devices)
	for i, d := range merged {
		if d.UUID != "" {
			continue
		}
		if before, ok := m.nameless(d.Index, merged); ok {
			before.silence(d.Problem)
			merged[i] = before
		}
	}
	for _, before := range m.known {
		if before.UUID == "" || has(merged, before.UUID) {
			continue
		}
		before.silence("the driver no longer reports this GPU")
		merged = append(merged, before)
	}
	s.Devices = ordered(merged)
	m.known = slices.Clone(s.Devices)
	return s
}

// lost is the sample when nobody could be asked: everything as last seen, unwell.
func (m *memory) lost(problem string) Sample {
	for i := range m.known {
		m.known[i].silence(problem)
	}
	return Sample{Devices: slices.Clone(m.known), Reason: problem, Broken: true}
}

// nameless finds the known device with this number whose name no device of the sample carries.
func (m *memory) nameless(index int, sample []Device) (Device, bool) {
	for _, d := range m.known {
		if d.Index == index && d.UUID != "" && !has(sample, d.UUID) {
			return d, true
		}
	}
	return Device{}, false
}

func has(devices []Device, uuid string) bool {
	return slices.ContainsFunc(devices, func(d Device) bool { return d.UUID == uuid })
}

func ordered(devices []Device) []Device {
	slices.SortStableFunc(devices, func(a, b Device) int {
		if a.Index != b.Index {
			return a.Index - b.Index
		}
		return strings.Compare(a.UUID, b.UUID)
	})
	return devices
}
