//go:build linux && (amd64 || arm64) && !nogpu

package gpu

import "fmt"

// nvmlReturn is nvmlReturn_t; 0 is success.
type nvmlReturn int32

// The return codes that are told apart, as numbered in nvml.h (CUDA 13).
const (
	nvmlSuccess         nvmlReturn = 0
	nvmlNotSupported    nvmlReturn = 3
	nvmlNoPermission    nvmlReturn = 4
	nvmlInsufficient    nvmlReturn = 7
	nvmlPower           nvmlReturn = 8
	nvmlDriverNotLoaded nvmlReturn = 9
	nvmlIRQIssue        nvmlReturn = 11
	nvmlInforom         nvmlReturn = 14
	nvmlLost            nvmlReturn = 15
	nvmlResetRequired   nvmlReturn = 16
	nvmlBlockedByOS     nvmlReturn = 17
	nvmlMismatch        nvmlReturn = 18
	nvmlUnknown         nvmlReturn = 999
)

func (r nvmlReturn) Error() string {
	switch r {
	case nvmlNotSupported:
		return "the driver does not support this on this GPU"
	case nvmlNoPermission:
		return "this user may not ask the driver"
	case nvmlPower:
		return "the GPU's external power cables are not attached properly"
	case nvmlDriverNotLoaded:
		return "the NVIDIA driver is not loaded"
	case nvmlIRQIssue:
		return "the kernel found an interrupt problem with this GPU"
	case nvmlInforom:
		return "the GPU's infoROM is corrupted"
	case nvmlLost:
		return problemLost
	case nvmlResetRequired:
		return problemReset
	case nvmlBlockedByOS:
		return "the operating system or a cgroup blocks the GPU's device files"
	case nvmlMismatch:
		return "the NVIDIA library and the loaded driver have different versions; reboot or reload the driver"
	case nvmlUnknown:
		return problemUnknown
	}
	return fmt.Sprintf("NVML error %d", int32(r))
}

// fatal tells whether a code, returned by a call about one device, means that the device is not well. Others only
// mean that this reading is not to be had.
func (r nvmlReturn) fatal() bool {
	switch r {
	case nvmlIRQIssue, nvmlPower, nvmlLost, nvmlResetRequired, nvmlBlockedByOS, nvmlMismatch, nvmlDriverNotLoaded, nvmlUnknown:
		return true
	}
	return false
}

// recoveryWords gives the sentence for nvmlDeviceGpuRecoveryAction_t, "" when nothing needs to be done.
func recoveryWords(action uint32) string {
	switch action {
	case 0:
		return ""
	case 1:
		return "the driver asks for recovery: reset the GPU"
	case 2, 7:
		return "the driver asks for recovery: reboot the machine"
	case 3:
		return "the driver asks for recovery: drain the GPU's peer-to-peer traffic"
	case 4:
		return "the driver asks for recovery: drain and reset the GPU"
	case 5:
		return "the driver asks for recovery: recover the IMEX domain"
	case 6:
		return "the driver asks for recovery: reset the GPU's PCIe bus"
	}
	return fmt.Sprintf("the driver asks for recovery action %d", action)
}
