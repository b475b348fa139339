package gpu

import (
	"context"
	"errors"
	"fmt"
)

// source is one way to ask for the devices of this machine. at is told which device comes next of how
// many, or wholeMachine.
type source interface {
	read(ctx context.Context, ask request, at func(index, of int)) (Sample, error)
	close()
}

// wholeMachine stands for a call that concerns no single device.
const wholeMachine = -1

// problemSkipped is told by the child, which does not know why; the parent does and says it better.
const problemSkipped = "this GPU is left out"

// Sentences for what can befall a device, the same from both sources.
const (
	problemLost    = "the GPU has fallen off the bus; the machine needs a reboot"
	problemReset   = "the GPU needs a reset before it can be used again"
	problemUnknown = "the driver reports an unknown internal error on this GPU"
)

// notInstalled says that a way to ask is not here at all, as opposed to here and broken.
type notInstalled string

func (n notInstalled) Error() string { return string(n) }

// open chooses the best source of this machine. Without one it gives the sample that says why.
func open(ask request) (source, Sample) {
	library, nvmlErr := openNVML(ask.Library)
	if nvmlErr == nil {
		return library, Sample{}
	}
	program, smiErr := openSMI(ask.NvidiaSMI)
	if smiErr == nil {
		return program, Sample{}
	}
	if errors.As(nvmlErr, new(notInstalled)) {
		return nil, Sample{Source: SourceNone, Reason: fmt.Sprintf("no NVIDIA GPU can be used here: %v, and %v", nvmlErr, smiErr)}
	}
	return nil, Sample{Source: SourceNone, Broken: true, Reason: nvmlErr.Error()}
}
