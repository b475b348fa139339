//go:build !linux || !(amd64 || arm64) || nogpu

package nccl

import "ainexus.io/train/collective"

// Find tells that this build cannot call the library.
func (o Options) Find(int, int) (collective.Carrier, error) {
	return nil, collective.Absent("this program is built without NCCL")
}
