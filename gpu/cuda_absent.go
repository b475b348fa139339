//go:build !linux || !(amd64 || arm64) || nogpu

package gpu

// AskCUDA tells that this build cannot call the library.
func AskCUDA(string) (CUDA, error) {
	return CUDA{}, notInstalled("this build does not call the CUDA driver")
}
