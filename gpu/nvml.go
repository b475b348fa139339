//go:build linux && (amd64 || arm64) && !nogpu

package gpu

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"unsafe"

	"github.com/ebitengine/purego"
)

// nvmlLibraries are tried in turn when no path is given: the loader's own search, then where WSL, container
// runtimes and NixOS keep the driver's libraries without telling the loader.
var nvmlLibraries = [...]string{
	"libnvidia-ml.so.1",
	"/usr/lib/wsl/lib/libnvidia-ml.so.1",
	"/usr/local/nvidia/lib64/libnvidia-ml.so.1",
	"/run/opengl-driver/lib/libnvidia-ml.so.1",
}

// nvml asks the driver through NVIDIA's management library.
type nvml struct {
	calls *nvmlCalls
}

// openNVML loads and starts the library. A library or a driver that is not there is notInstalled; all else means that
// something is wrong.
func openNVML(path string) (source, error) {
	lib, err := loadNVML(path)
	if err != nil {
		return nil, err
	}
	calls, err := bindNVML(lib)
	if err != nil {
		return nil, err
	}
	if rc := calls.init(); rc == nvmlDriverNotLoaded {
		return nil, notInstalled(rc.Error())
	} else if rc != nvmlSuccess {
		return nil, fmt.Errorf("starting NVML: %w", rc)
	}
	return &nvml{calls: calls}, nil
}

// loadNVML opens the shared library. It is never closed again: it may have started threads of its own.
func loadNVML(path string) (uintptr, error) {
	names := nvmlLibraries[:]
	if path != "" {
		names = []string{path}
	}
	return loadFirst(names)
}

// loadFirst opens the first of these libraries that is there.
func loadFirst(names []string) (uintptr, error) {
	for _, name := range names {
		lib, err := dlopen(name)
		if err == nil {
			return lib, nil
		}
		if !strings.HasPrefix(err.Error(), name+": cannot open shared object file: No such file") {
			return 0, fmt.Errorf("loading the NVIDIA library: %w", err)
		}
	}
	return 0, notInstalled(fmt.Sprintf("no driver library %s", names[0]))
}

// dlopen stays on one thread, because the loader keeps its last words per thread.
func dlopen(name string) (uintptr, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	lib, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return 0, errors.New(clean(err.Error(), 300))
	}
	return lib, nil
}

func (n *nvml) close() { n.calls.shutdown() }

func (n *nvml) read(_ context.Context, ask request, at func(index, of int)) (Sample, error) {
	at(wholeMachine, 0)
	sample := Sample{Source: SourceNVML}
	var count uint32
	if rc := n.calls.count(&count); rc != nvmlSuccess {
		return Sample{}, fmt.Errorf("counting GPUs: %w", rc)
	}
	if n.calls.driver != nil {
		sample.Driver, _ = text(nvmlDriverBytes, n.calls.driver)
	}
	if count == 0 {
		sample.Reason = "the NVIDIA driver is loaded and reports no GPU"
	}
	for i := range int(min(count, maxDevices)) {
		d := unread(i)
		if ask.skips(i, int(count)) {
			d.fail(problemSkipped)
		} else {
			at(i, int(count))
			n.device(&d, ask.Processes)
		}
		sample.Devices = append(sample.Devices, d)
	}
	return sample, nil
}

// device reads one device. A device that is found not well is not asked further.
func (n *nvml) device(d *Device, processes bool) {
	var h nvmlDevice
	if rc := n.calls.handleByIndex(uint32(d.Index), &h); rc != nvmlSuccess {
		d.fail(rc.Error())
		return
	}
	steps := []func(*Device, nvmlDevice) nvmlReturn{n.identity, n.recovery, n.memory, n.load}
	if processes {
		steps = append(steps, n.processes)
	}
	for _, step := range steps {
		if rc := step(d, h); rc.fatal() {
			d.fail(rc.Error())
			return
		}
	}
}

func (n *nvml) identity(d *Device, h nvmlDevice) nvmlReturn {
	var rc nvmlReturn
	d.UUID, rc = text(nvmlNameBytes, func(b *byte, size uint32) nvmlReturn { return n.calls.uuid(h, b, size) })
	if rc != nvmlSuccess {
		d.fail("the driver does not tell the GPU's UUID: " + rc.Error())
		return rc
	}
	d.Model, rc = text(nvmlNameBytes, func(b *byte, size uint32) nvmlReturn { return n.calls.name(h, b, size) })
	return rc
}

// recovery asks what the driver wants done with the device. The value is an unsigned int in the union.
func (n *nvml) recovery(d *Device, h nvmlDevice) nvmlReturn {
	if n.calls.fieldValues == nil {
		return nvmlNotSupported
	}
	field := nvmlFieldValue{fieldID: nvmlFieldRecoveryAction}
	rc := n.calls.fieldValues(h, 1, &field)
	if rc != nvmlSuccess {
		return rc
	}
	if field.result == nvmlSuccess {
		if words := recoveryWords(binary.NativeEndian.Uint32(field.value[:4])); words != "" {
			d.fail(words)
		}
	}
	return field.result
}

// memory prefers the second form, which alone tells what is reserved. A GPU whose memory is the machine's own has
// neither: its totals stay 0.
func (n *nvml) memory(d *Device, h nvmlDevice) nvmlReturn {
	if n.calls.memoryV2 != nil {
		m := nvmlMemoryV2{version: nvmlMemoryV2Version}
		if rc := n.calls.memoryV2(h, &m); rc == nvmlSuccess {
			d.MemoryMiB, d.FreeMiB = floorMiB(m.total), floorMiB(m.free)
			d.UsedMiB, d.ReservedMiB = ceilMiB(m.used), ceilMiB(m.reserved)
			return rc
		}
	}
	var m nvmlMemory
	rc := n.calls.memory(h, &m)
	if rc == nvmlSuccess {
		d.MemoryMiB, d.FreeMiB, d.UsedMiB = floorMiB(m.total), floorMiB(m.free), ceilMiB(m.used)
	}
	return rc
}

// load reads what moves: utilisation, temperature, power.
func (n *nvml) load(d *Device, h nvmlDevice) nvmlReturn {
	var u nvmlUtilization
	var celsius, power, limit uint32
	readings := []struct {
		have bool
		call func() nvmlReturn
		from *uint32
		into *int
	}{
		{n.calls.utilization != nil, func() nvmlReturn { return n.calls.utilization(h, &u) }, &u.gpu, &d.Utilisation},
		{n.calls.temperature != nil, func() nvmlReturn { return n.calls.temperature(h, nvmlTemperatureGPU, &celsius) }, &celsius, &d.TemperatureC},
		{n.calls.power != nil, func() nvmlReturn { return n.calls.power(h, &power) }, &power, &d.PowerMilliwatts},
		{n.calls.powerLimit != nil, func() nvmlReturn { return n.calls.powerLimit(h, &limit) }, &limit, &d.PowerLimitMilliwatts},
	}
	for _, r := range readings {
		if !r.have {
			continue
		}
		rc := r.call()
		if rc.fatal() {
			return rc
		}
		if rc == nvmlSuccess {
			*r.into = int(*r.from)
		}
	}
	return nvmlSuccess
}

// processes lists who computes on the device. The buffer has room for 64 bytes an entry where 24 are expected, so that
// a library with longer entries cannot write past it; a list that then makes no sense is dropped.
func (n *nvml) processes(d *Device, h nvmlDevice) nvmlReturn {
	if n.calls.processes == nil {
		return nvmlNotSupported
	}
	const size, room = int(unsafe.Sizeof(nvmlProcessInfo{})), 64
	for capacity := uint32(64); capacity <= 4096; capacity *= 4 {
		buffer := make([]byte, int(capacity)*room)
		count := capacity
		rc := n.calls.processes(h, &count, &buffer[0])
		if rc == nvmlInsufficient {
			continue
		}
		if rc != nvmlSuccess {
			return rc
		}
		for i := range int(min(count, capacity)) {
			p := (*nvmlProcessInfo)(unsafe.Pointer(&buffer[i*size]))
			if p.pid == 0 || p.pid > 1<<22 {
				d.Processes = nil
				return nvmlSuccess
			}
			used := Unknown
			if p.usedGPUMemory != nvmlNotAvailable {
				used = ceilMiB(p.usedGPUMemory)
			}
			d.Processes = append(d.Processes, Process{PID: int(p.pid), UsedMiB: used})
		}
		slices.SortFunc(d.Processes, func(a, b Process) int { return a.PID - b.PID })
		return nvmlSuccess
	}
	return nvmlInsufficient
}

// text calls a function that fills a C string.
func text(size uint32, call func(*byte, uint32) nvmlReturn) (string, nvmlReturn) {
	buffer := make([]byte, size)
	rc := call(&buffer[0], size)
	if rc != nvmlSuccess {
		return "", rc
	}
	if end := bytes.IndexByte(buffer, 0); end >= 0 {
		buffer = buffer[:end]
	}
	return clean(string(buffer), 96), rc
}

const mebi = 1 << 20

func floorMiB(bytes uint64) int { return int(bytes / mebi) }

func ceilMiB(bytes uint64) int {
	if bytes%mebi == 0 {
		return int(bytes / mebi)
	}
	return int(bytes/mebi) + 1
}
