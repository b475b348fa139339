package gpu

import "fmt"

// CUDAMin is the least version of CUDA that a driver must serve, as the driver counts: 1000 x major + 10 x minor.
const CUDAMin = 13000

// CUDA is what the CUDA driver library says of itself.
type CUDA struct {
	Driver  int // version of CUDA that it serves: 13000 is 13.0
	Devices int // how many GPUs a program could use
}

// Version is the driver's version as people write it.
func (c CUDA) Version() string { return fmt.Sprintf("%d.%d", c.Driver/1000, c.Driver%1000/10) }

// Err says why programs that want CUDA 13 cannot run; nil where they can.
func (c CUDA) Err() error {
	switch {
	case c.Driver < CUDAMin:
		return fmt.Errorf("the driver serves CUDA %s and not %s", c.Version(), CUDA{Driver: CUDAMin}.Version())
	case c.Devices == 0:
		return fmt.Errorf("the driver gives no GPU")
	}
	return nil
}

// NotInstalled says whether err means that there is no driver here at all, as opposed to one that is broken.
func NotInstalled(err error) bool {
	_, absent := err.(notInstalled)
	return absent
}
