//go:build linux && (amd64 || arm64) && !nogpu

package gpu

import (
	"fmt"

	"github.com/ebitengine/purego"
)

// cudaLibraries are where the driver's library for programs is looked for, as [nvmlLibraries] are.
var cudaLibraries = [...]string{
	"libcuda.so.1",
	"/usr/lib/wsl/lib/libcuda.so.1",
	"/usr/local/nvidia/lib64/libcuda.so.1",
	"/run/opengl-driver/lib/libcuda.so.1",
}

// AskCUDA starts the CUDA driver in this process, as a program that trains would, and asks what it has. library is its
// path; "" is where it usually is. A driver that is unwell may block: call it where that can be left behind.
func AskCUDA(library string) (CUDA, error) {
	names := cudaLibraries[:]
	if library != "" {
		names = []string{library}
	}
	lib, err := loadFirst(names)
	if err != nil {
		return CUDA{}, err
	}
	var start func(flags uint32) cudaReturn
	var version, count func(*int32) cudaReturn
	for _, f := range []struct {
		name string
		into any
	}{{"cuInit", &start}, {"cuDriverGetVersion", &version}, {"cuDeviceGetCount", &count}} {
		symbol, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return CUDA{}, fmt.Errorf("the CUDA driver has no function %s", f.name)
		}
		purego.RegisterFunc(f.into, symbol)
	}
	var driver, devices int32
	if rc := version(&driver); rc != 0 { // it answers before cuInit, and says best why that fails
		return CUDA{}, fmt.Errorf("asking the CUDA driver for its version: %w", rc)
	}
	found := CUDA{Driver: int(driver)}
	if rc := start(0); rc == cudaNoDevice {
		return found, nil
	} else if rc != 0 {
		return found, fmt.Errorf("starting CUDA (cuInit): %w", rc)
	}
	if rc := count(&devices); rc != 0 {
		return found, fmt.Errorf("counting CUDA devices: %w", rc)
	}
	found.Devices = int(devices)
	return found, nil
}

// cudaReturn is CUresult.
type cudaReturn int32

const cudaNoDevice cudaReturn = 100 // CUDA_ERROR_NO_DEVICE

// cudaWords are the results that cuInit is known for.
var cudaWords = map[cudaReturn]string{
	3:   "the driver is not initialised",
	34:  "the library is a stub that is there for building only; the driver's own is not mounted",
	100: "the driver gives no GPU",
	101: "there is no such GPU",
	802: "the system is not ready: is the fabric manager running?",
	803: "the driver library and the kernel's driver are of different versions",
	804: "compatibility mode is not possible on this hardware",
	999: "unknown error; after an update of the driver this needs a reboot",
}

// Error says what a result means.
func (r cudaReturn) Error() string {
	if words := cudaWords[r]; words != "" {
		return fmt.Sprintf("%s (CUresult %d)", words, int32(r))
	}
	return fmt.Sprintf("CUresult %d", int32(r))
}
