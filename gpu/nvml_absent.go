//go:build !linux || !(amd64 || arm64) || nogpu

package gpu

// openNVML tells that this build cannot call the library.
func openNVML(string) (source, error) {
	return nil, notInstalled("this build does not call NVIDIA's management library")
}
