package gputest

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

//go:embed library/nvml.c
var nvmlSource string

// Build compiles the library into a directory of the test's own and returns its path. The functions named in without are
// missing from it, as from an old driver. There is no GPU until [Write] puts some there. A test on a machine without a C
// compiler is skipped, or fails where CI=true.
func Build(t testing.TB, without ...string) string {
	t.Helper()
	gcc := Compiler(t)
	dir := t.TempDir()
	source, hidden, lib := filepath.Join(dir, "nvml.c"), filepath.Join(dir, "hidden.map"), filepath.Join(dir, "libnvidia-ml.so.1")
	if err := os.WriteFile(source, []byte(nvmlSource), 0o644); err != nil {
		t.Fatal(err)
	}
	script := "{ global: nvml*; local: *; };\n"
	if len(without) > 0 {
		script = fmt.Sprintf("{ global: nvml*; local: %s; };\n", strings.Join(without, "; "))
	}
	if err := os.WriteFile(hidden, []byte(script), 0o644); err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command(gcc, "-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-Wl,--version-script="+hidden, "-o", lib, source).CombinedOutput()
	if err != nil {
		t.Fatalf("compiling the NVML stand-in: %v\n%s", err, out)
	}
	Write(t, lib, Fleet{})
	return lib
}

// Compiler returns the path of the machine's C compiler, or skips (fails where CI=true).
func Compiler(t testing.TB) string {
	t.Helper()
	for _, name := range []string{"gcc", "cc"} {
		if path, err := exec.LookPath(name); err == nil {
			return path
		}
	}
	const sentence = "no C compiler here: the NVML stand-in cannot be built (install gcc)"
	if os.Getenv("CI") == "true" {
		t.Fatal(sentence)
	}
	t.Skip(sentence)
	return ""
}

// Program writes a shell script that stands in for nvidia-smi and returns its path. The body sees nvidia-smi's arguments.
func Program(t testing.TB, body string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "nvidia-smi")
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+body), 0o755); err != nil {
		t.Fatal(err)
	}
	return path
}
