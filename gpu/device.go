package gpu

import (
	"strings"
	"time"
	"unicode"
)

// Unknown stands in a reading that the driver did not give.
const Unknown = -1

// Source names where a sample comes from.
type Source string

// The three sources, best first.
const (
	SourceNVML Source = "nvml"       // NVIDIA's management library
	SourceSMI  Source = "nvidia-smi" // the nvidia-smi program
	SourceNone Source = "none"       // neither is there, or neither answers
)

// Device is one GPU as it was last seen. Memory is in MiB: totals and free are rounded down, used and reserved up, so
// that nobody is promised a byte that is not there.
type Device struct {
	Index                int       `json:"index"`                  // the driver's number, in PCI bus order; not an identity
	UUID                 string    `json:"uuid"`                   // the identity, "GPU-..."; empty when the device could never be asked
	Model                string    `json:"model"`                  // the driver's name for it, printable characters only
	MemoryMiB            int       `json:"memory_mib"`             // total; 0 when unknown
	ReservedMiB          int       `json:"reserved_mib"`           // kept by driver and firmware; 0 when unknown
	FreeMiB              int       `json:"free_mib"`               // not allocated by anybody
	UsedMiB              int       `json:"used_mib"`               // allocated, by whomever
	Utilisation          int       `json:"utilisation"`            // percent of the last period with a kernel running, or Unknown
	TemperatureC         int       `json:"temperature_c"`          // or Unknown
	PowerMilliwatts      int       `json:"power_milliwatts"`       // or Unknown
	PowerLimitMilliwatts int       `json:"power_limit_milliwatts"` // the limit in force, or Unknown
	Healthy              bool      `json:"healthy"`                // no reason known not to start work on it
	Problem              string    `json:"problem,omitempty"`      // why not healthy, one sentence without a full stop
	Processes            []Process `json:"processes,omitempty"`    // who computes on it; only with Options.Processes
}

// Process is one process that holds memory of a device.
type Process struct {
	PID     int `json:"pid"`      // as the driver numbers it: the host's pid namespace
	UsedMiB int `json:"used_mib"` // or Unknown
}

// Sample is everything that was seen at one moment, devices ordered by Index.
type Sample struct {
	At      time.Time `json:"at"`
	Source  Source    `json:"source"`
	Driver  string    `json:"driver,omitempty"` // driver version, "570.86.15"
	Devices []Device  `json:"devices"`
	Reason  string    `json:"reason,omitempty"` // why there are no devices, or what went wrong with this sample
	Broken  bool      `json:"broken,omitempty"` // GPUs are, or seem to be, here but cannot be read; Reason says why
}

// unread is a device of which nothing but its number is known yet.
func unread(index int) Device {
	return Device{
		Index: index, Healthy: true,
		Utilisation: Unknown, TemperatureC: Unknown, PowerMilliwatts: Unknown, PowerLimitMilliwatts: Unknown,
	}
}

// fail marks a device as not well; the first problem found stays.
func (d *Device) fail(problem string) {
	if d.Healthy {
		d.Healthy, d.Problem = false, problem
	}
}

// silence keeps what a device is and drops what it does: an old temperature shown as today's would be a lie.
func (d *Device) silence(problem string) {
	d.Healthy, d.Problem, d.Processes = false, problem, nil
	d.Utilisation, d.TemperatureC, d.PowerMilliwatts, d.PowerLimitMilliwatts = Unknown, Unknown, Unknown, Unknown
}

// clean makes text from a driver or a program safe to print: one line, printable, bounded.
func clean(s string, limit int) string {
	s = strings.Map(func(r rune) rune {
		if r == unicode.ReplacementChar || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	s = strings.Join(strings.Fields(s), " ")
	if runes := []rune(s); len(runes) > limit {
		return string(runes[:limit])
	}
	return s
}
