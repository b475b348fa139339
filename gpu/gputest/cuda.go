package gputest

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

//go:embed library/cuda.c
var cudaSource string

// BuildCUDA compiles what stands in for the CUDA driver's library and returns its path. It serves this version of CUDA
// (13000 is 13.0), its cuInit returns result, and it has so many devices. A test on a machine without a C compiler is
// skipped, or fails where CI=true.
func BuildCUDA(t testing.TB, version, result, devices int) string {
	t.Helper()
	gcc, dir := Compiler(t), t.TempDir()
	source, lib := filepath.Join(dir, "cuda.c"), filepath.Join(dir, "libcuda.so.1")
	if err := os.WriteFile(source, []byte(cudaSource), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o", lib, source).CombinedOutput(); err != nil {
		t.Fatalf("compiling the CUDA stand-in: %v\n%s", err, out)
	}
	WriteCUDA(t, lib, version, result, devices)
	return lib
}

// WriteCUDA makes the library at this path answer so from now on.
func WriteCUDA(t testing.TB, lib string, version, result, devices int) {
	t.Helper()
	text := fmt.Sprintln(version, result, devices)
	if err := os.WriteFile(filepath.Join(filepath.Dir(lib), "cuda"), []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}
