//go:build linux && (amd64 || arm64) && !nogpu

package nccl

import (
	"errors"
	"fmt"
	"unsafe"

	"ainexus.io/train/collective"
)

// result is CUresult, of cuda.h.
type result int32

const (
	cudaSuccess  result = 0
	cudaNoDevice result = 100 // CUDA_ERROR_NO_DEVICE
	cudaNotReady result = 600 // CUDA_ERROR_NOT_READY
)

// devicePtr is CUdeviceptr: an address in the GPU's memory.
type devicePtr uint64

// cuda is the driver's library, of which only what moves memory is used. Where cuda.h's macros would add a version to a name, it
// is written out.
type cuda struct {
	init         func(flags uint32) result
	deviceCount  func(count *int32) result
	deviceGet    func(device *int32, ordinal int32) result
	retain       func(context *uintptr, device int32) result
	release      func(device int32) result
	setCurrent   func(context uintptr) result
	alloc        func(ptr *devicePtr, bytes uint64) result
	free         func(ptr devicePtr) result
	toDevice     func(to devicePtr, from unsafe.Pointer, bytes uint64, stream uintptr) result
	toHost       func(to unsafe.Pointer, from devicePtr, bytes uint64, stream uintptr) result
	streamCreate func(stream *uintptr, flags uint32) result
	streamQuery  func(stream uintptr) result
	streamEnd    func(stream uintptr) result
	errorString  func(code result, text **byte) result
}

func openCUDA(path string) (*cuda, error) {
	lib, err := load(path, "libcuda.so.1")
	if err != nil {
		return nil, err
	}
	c := &cuda{}
	return c, bind(lib, "libcuda", []function{
		{"cuInit", &c.init}, {"cuDeviceGetCount", &c.deviceCount}, {"cuDeviceGet", &c.deviceGet},
		{"cuDevicePrimaryCtxRetain", &c.retain}, {"cuDevicePrimaryCtxRelease_v2", &c.release}, {"cuCtxSetCurrent", &c.setCurrent},
		{"cuMemAlloc_v2", &c.alloc}, {"cuMemFree_v2", &c.free},
		{"cuMemcpyHtoDAsync_v2", &c.toDevice}, {"cuMemcpyDtoHAsync_v2", &c.toHost},
		{"cuStreamCreate", &c.streamCreate}, {"cuStreamQuery", &c.streamQuery}, {"cuStreamDestroy_v2", &c.streamEnd},
		{"cuGetErrorString", &c.errorString},
	})
}

// err makes an error of a result, in the driver's words.
func (c *cuda) err(doing string, rc result) error {
	if rc == cudaSuccess {
		return nil
	}
	var text *byte
	if c.errorString(rc, &text) != cudaSuccess || text == nil {
		return fmt.Errorf("CUDA, %s: error %d", doing, int(rc))
	}
	return fmt.Errorf("CUDA, %s: %s (error %d)", doing, cString(text), int(rc))
}

// choose starts the driver and says which of its devices is that of a rank.
func (c *cuda) choose(localRank, localSize int) (device int32, err error) {
	if rc := c.init(0); rc == cudaNoDevice {
		return 0, collective.Absent("there is no GPU here")
	} else if err := c.err("starting the driver", rc); err != nil {
		return 0, err
	}
	var count int32
	if err := c.err("counting GPUs", c.deviceCount(&count)); err != nil {
		return 0, err
	}
	size := max(localSize, localRank+1)
	switch {
	case count == 0:
		return 0, collective.Absent("there is no GPU here")
	case int(count) < size:
		return 0, collective.Absent(fmt.Sprintf("%d ranks of this machine would share %d GPUs", size, count))
	case localRank < 0:
		return 0, errors.New("a rank of a machine counts from 0")
	}
	ordinal := localRank
	if localSize > 0 {
		ordinal = localRank * int(count) / localSize
	}
	return device, c.err("taking the GPU", c.deviceGet(&device, int32(ordinal)))
}

// cString copies what a C string says, up to a bound.
func cString(text *byte) string {
	var s []byte
	for i := range 512 {
		b := *(*byte)(unsafe.Add(unsafe.Pointer(text), i))
		if b == 0 {
			break
		}
		s = append(s, b)
	}
	return string(s)
}
