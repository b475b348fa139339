package gpu

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
)

// smiFields are asked of nvidia-smi --query-gpu, in this order. The names are those of nvidia-smi --help-query-gpu;
// one that this nvidia-smi does not know is left out, except the first three.
var smiFields = [...]string{
	"index", "uuid", "name", "memory.total", "memory.reserved", "memory.free", "memory.used",
	"utilization.gpu", "temperature.gpu", "power.draw", "enforced.power.limit", "driver_version", "gpu_recovery_action",
}

// smiNeeded is how many of smiFields a device cannot do without.
const smiNeeded = 3

// maxDevices bounds what is believed of one machine.
const maxDevices = 1024

// parseSMI reads the answer to --query-gpu=FIELDS --format=csv,noheader,nounits. A header is taken at its word where
// one is printed all the same, units too. Lines that are no device come back joined in the error beside the devices that are.
func parseSMI(out string, fields []string) (devices []Device, driver string, err error) {
	var odd []string
	for line := range strings.Lines(out) {
		cells := strings.Split(line, ",")
		for i, cell := range cells {
			cells[i] = clean(cell, 128)
		}
		if len(cells) == 1 && cells[0] == "" {
			continue
		}
		if header, ok := smiHeader(cells); ok {
			fields = header
			continue
		}
		d, version, err := smiDevice(cells, fields)
		if err == nil && slices.ContainsFunc(devices, func(o Device) bool { return o.UUID == d.UUID || o.Index == d.Index }) {
			err = fmt.Errorf("GPU %d (%s) is listed twice", d.Index, d.UUID)
		}
		if err != nil {
			odd = append(odd, err.Error())
			continue
		}
		devices = append(devices, d)
		if version != "" {
			driver = version
		}
		if len(devices) == maxDevices {
			break
		}
	}
	if len(odd) > 0 {
		err = fmt.Errorf("nvidia-smi: %s", clean(strings.Join(odd, "; "), 500))
	}
	return ordered(devices), driver, err
}

// smiHeader recognises "index, uuid, name, memory.total [MiB], ..." in whatever order.
func smiHeader(cells []string) ([]string, bool) {
	var names []string
	for _, cell := range cells {
		name, _, _ := strings.Cut(cell, " ")
		names = append(names, name)
	}
	for _, need := range smiFields[:smiNeeded] {
		if !slices.Contains(names, need) {
			return nil, false
		}
	}
	return names, true
}

func smiDevice(cells, fields []string) (Device, string, error) {
	if len(cells) != len(fields) {
		return Device{}, "", fmt.Errorf("%d columns where %d were asked for: %q", len(cells), len(fields), clean(strings.Join(cells, ", "), 120))
	}
	value := func(name string) string {
		if i := slices.Index(fields, name); i >= 0 {
			return cells[i]
		}
		return ""
	}
	index, err := strconv.Atoi(value("index"))
	if err != nil || index < 0 || index >= 1<<16 {
		return Device{}, "", fmt.Errorf("%q is no device number", value("index"))
	}
	d := unread(index)
	for _, cell := range cells {
		if fault := smiFault(cell); fault != "" {
			d.fail(fault)
		}
	}
	if action := value("gpu_recovery_action"); action != "" && !absent(action) && action != "None" {
		d.fail("the driver asks for recovery: " + action)
	}
	if uuid := value("uuid"); strings.HasPrefix(uuid, "GPU-") {
		d.UUID = uuid
	} else if d.Healthy {
		return Device{}, "", fmt.Errorf("%q is no GPU UUID", uuid)
	}
	if model := value("name"); !absent(model) {
		d.Model = model
	}
	d.MemoryMiB = whole(value("memory.total"), 0)
	d.ReservedMiB = whole(value("memory.reserved"), 0)
	d.FreeMiB = whole(value("memory.free"), 0)
	d.UsedMiB = whole(value("memory.used"), 0)
	d.Utilisation = whole(value("utilization.gpu"), Unknown)
	d.TemperatureC = whole(value("temperature.gpu"), Unknown)
	d.PowerMilliwatts = milli(value("power.draw"))
	d.PowerLimitMilliwatts = milli(value("enforced.power.limit"))
	driver := value("driver_version")
	if absent(driver) {
		driver = ""
	}
	return d, driver, nil
}

// smiFault turns the words nvidia-smi puts into a cell of a GPU in trouble into a sentence.
func smiFault(cell string) string {
	switch strings.ToLower(strings.Trim(cell, "[]")) {
	case "gpu is lost":
		return problemLost
	case "gpu requires reset", "reset required":
		return problemReset
	case "unknown error", "err!":
		return problemUnknown
	}
	return ""
}

// absent tells whether a cell says that there is no value: "[N/A]", "N/A", "[Not Supported]", "" and whatever else
// stands in brackets.
func absent(cell string) bool {
	return cell == "" || strings.EqualFold(cell, "n/a") || strings.HasPrefix(cell, "[") || smiFault(cell) != ""
}

// number reads "81559", "81559 MiB", "68.94"; units were asked away but some builds keep them.
func number(cell string) (float64, bool) {
	first, _, _ := strings.Cut(cell, " ")
	v, err := strconv.ParseFloat(strings.TrimRight(first, "%"), 64)
	return v, err == nil && v >= 0 && v < 1e9
}

func whole(cell string, otherwise int) int {
	if v, ok := number(cell); ok {
		return int(v)
	}
	return otherwise
}

// milli turns watts into milliwatts.
func milli(cell string) int {
	if v, ok := number(cell); ok && v < 1e6 {
		return int(math.Round(v * 1000))
	}
	return Unknown
}

// parseSMIProcesses reads --query-compute-apps=gpu_uuid,pid,used_memory into processes by device UUID; lines it cannot
// read are none ("No running processes found").
func parseSMIProcesses(out string) map[string][]Process {
	by := map[string][]Process{}
	for line := range strings.Lines(out) {
		cells := strings.Split(line, ",")
		if len(cells) != 3 {
			continue
		}
		uuid := clean(cells[0], 128)
		pid, err := strconv.Atoi(strings.TrimSpace(cells[1]))
		if err != nil || pid <= 0 || !strings.HasPrefix(uuid, "GPU-") {
			continue
		}
		by[uuid] = append(by[uuid], Process{PID: pid, UsedMiB: whole(clean(cells[2], 64), Unknown)})
	}
	return by
}
