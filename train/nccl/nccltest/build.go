package nccltest

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed library/cuda.c
var cudaSource string

//go:embed library/nccl.c
var ncclSource string

// Libraries are the paths of the two.
type Libraries struct{ NCCL, CUDA string }

// Build compiles them into a directory of the test's own. The functions named in without are missing from NCCL, as from an
// old one. A test on a machine without a C compiler is skipped, or fails where CI=true.
func Build(t testing.TB, without ...string) Libraries {
	t.Helper()
	gcc := compiler(t)
	dir := t.TempDir()
	l := Libraries{NCCL: filepath.Join(dir, "libnccl.so.2"), CUDA: filepath.Join(dir, "libcuda.so.1")}
	hidden := filepath.Join(dir, "hidden.map")
	script := "{ global: *; };\n"
	if len(without) > 0 {
		script = fmt.Sprintf("{ global: nccl*; local: %s; };\n", strings.Join(without, "; "))
	}
	for name, text := range map[string]string{"cuda.c": cudaSource, "nccl.c": ncclSource, "hidden.map": script} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	flags := []string{"-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-pthread"}
	run(t, gcc, append(flags, "-Wl,-soname,libcuda.so.1", "-o", l.CUDA, filepath.Join(dir, "cuda.c"))...)
	run(t, gcc, append(flags, "-Wl,--version-script="+hidden, "-Wl,-rpath,$ORIGIN", "-o", l.NCCL, filepath.Join(dir, "nccl.c"), l.CUDA)...)
	return l
}

func run(t testing.TB, gcc string, args ...string) {
	t.Helper()
	if out, err := exec.Command(gcc, args...).CombinedOutput(); err != nil {
		t.Fatalf("compiling the stand-in for NCCL: %v\n%s", err, out)
	}
}

func compiler(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"gcc", "cc"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const sentence = "NOT RUN: no C compiler here, so the stand-in for NCCL cannot be built (install gcc)"
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
	return ""
}
