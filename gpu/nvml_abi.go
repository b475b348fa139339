//go:build linux && (amd64 || arm64) && !nogpu

package gpu

import (
	"fmt"
	"unsafe"

	"github.com/ebitengine/purego"
)

// The layouts below are those of NVIDIA's nvml.h (CUDA 13, as shipped with go-nvml v0.13.4 in gen/nvml/nvml.h), for
// LP64: int is 4 bytes, long long is 8 and aligned to 8. TestLayouts holds their sizes against a C compiler's.

// nvmlMemory is nvmlMemory_t, 24 bytes. Here used includes what driver and firmware reserve.
type nvmlMemory struct {
	total, free, used uint64
}

// nvmlMemoryV2 is nvmlMemory_v2_t, 40 bytes. Here used does not include reserved. version must hold the size and,
// in the top byte, a 2 (NVML_STRUCT_VERSION), not a plain 2 as its comment in nvml.h says.
type nvmlMemoryV2 struct {
	version                     uint32
	_                           uint32
	total, reserved, free, used uint64
}

const nvmlMemoryV2Version = uint32(unsafe.Sizeof(nvmlMemoryV2{})) | 2<<24

// nvmlUtilization is nvmlUtilization_t, 8 bytes: percent of the last 1/6 to 1 second.
type nvmlUtilization struct {
	gpu uint32
	_   uint32 // memory
}

// nvmlFieldValue is nvmlFieldValue_t, 40 bytes; value is a union of 8.
type nvmlFieldValue struct {
	fieldID uint32
	_       uint32 // scopeId
	_       int64  // timestamp
	_       int64  // latencyUsec
	_       uint32 // valueType
	result  nvmlReturn
	value   [8]byte
}

// nvmlProcessInfo is nvmlProcessInfo_v2_t, 24 bytes.
type nvmlProcessInfo struct {
	pid           uint32
	_             uint32
	usedGPUMemory uint64
	_, _          uint32 // gpuInstanceId, computeInstanceId
}

const (
	nvmlFieldRecoveryAction = 230 // NVML_FI_DEV_GET_GPU_RECOVERY_ACTION, an unsigned int
	nvmlTemperatureGPU      = 0   // NVML_TEMPERATURE_GPU
	nvmlNotAvailable        = ^uint64(0)
	nvmlNameBytes           = 96 // NVML_DEVICE_UUID_V2_BUFFER_SIZE, NVML_DEVICE_NAME_V2_BUFFER_SIZE
	nvmlDriverBytes         = 80 // NVML_SYSTEM_DRIVER_VERSION_BUFFER_SIZE
)

// nvmlDevice is the opaque nvmlDevice_t.
type nvmlDevice uintptr

// nvmlCalls are the functions of the library that are used. Those after the blank line may be nil: the reading is then
// unknown.
type nvmlCalls struct {
	init          func() nvmlReturn
	shutdown      func() nvmlReturn
	count         func(*uint32) nvmlReturn
	handleByIndex func(uint32, *nvmlDevice) nvmlReturn
	uuid          func(nvmlDevice, *byte, uint32) nvmlReturn
	name          func(nvmlDevice, *byte, uint32) nvmlReturn
	memory        func(nvmlDevice, *nvmlMemory) nvmlReturn

	memoryV2    func(nvmlDevice, *nvmlMemoryV2) nvmlReturn
	driver      func(*byte, uint32) nvmlReturn
	utilization func(nvmlDevice, *nvmlUtilization) nvmlReturn
	temperature func(nvmlDevice, uint32, *uint32) nvmlReturn
	power       func(nvmlDevice, *uint32) nvmlReturn
	powerLimit  func(nvmlDevice, *uint32) nvmlReturn
	fieldValues func(nvmlDevice, int32, *nvmlFieldValue) nvmlReturn
	processes   func(nvmlDevice, *uint32, *byte) nvmlReturn
}

// bindNVML looks up each function. The names carry the version that nvml.h's macros would add.
//
// The process list is asked for by its _v2 name on purpose: behind _v3 the size of an entry differed between drivers of
// the 535 series without a new name, behind _v2 it never changed.
func bindNVML(lib uintptr) (*nvmlCalls, error) {
	c := &nvmlCalls{}
	needed := []struct {
		name string
		into any
	}{
		{"nvmlInit_v2", &c.init},
		{"nvmlShutdown", &c.shutdown},
		{"nvmlDeviceGetCount_v2", &c.count},
		{"nvmlDeviceGetHandleByIndex_v2", &c.handleByIndex},
		{"nvmlDeviceGetUUID", &c.uuid},
		{"nvmlDeviceGetName", &c.name},
		{"nvmlDeviceGetMemoryInfo", &c.memory},
	}
	for _, f := range needed {
		if err := bind(lib, f.name, f.into); err != nil {
			return nil, err
		}
	}
	wanted := []struct {
		name string
		into any
	}{
		{"nvmlDeviceGetMemoryInfo_v2", &c.memoryV2},
		{"nvmlSystemGetDriverVersion", &c.driver},
		{"nvmlDeviceGetUtilizationRates", &c.utilization},
		{"nvmlDeviceGetTemperature", &c.temperature},
		{"nvmlDeviceGetPowerUsage", &c.power},
		{"nvmlDeviceGetEnforcedPowerLimit", &c.powerLimit},
		{"nvmlDeviceGetFieldValues", &c.fieldValues},
		{"nvmlDeviceGetComputeRunningProcesses_v2", &c.processes},
	}
	for _, f := range wanted {
		// An older library lacks some of them: the function stays nil and its reading unknown.
		_ = bind(lib, f.name, f.into)
	}
	return c, nil
}

// bind looks a symbol up before it registers the function: purego's shorter way panics when it is missing.
func bind(lib uintptr, name string, into any) error {
	symbol, err := purego.Dlsym(lib, name)
	if err != nil {
		return missingSymbol(name)
	}
	purego.RegisterFunc(into, symbol)
	return nil
}

// missingSymbol names the function that the library lacks.
type missingSymbol string

func (m missingSymbol) Error() string {
	return fmt.Sprintf("the NVIDIA library is too old or not NVML: it has no %s", string(m))
}
