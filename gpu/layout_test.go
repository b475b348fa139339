//go:build linux && (amd64 || arm64) && !nogpu

package gpu

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"unsafe"

	"ainexus.io/gpu/gputest"
)

// The C declarations say what nvml.h says; the compiler says where the fields lie.
const layouts = `
#include <stdio.h>
#include <stddef.h>
typedef struct { unsigned long long total, free, used; } nvmlMemory_t;
typedef struct { unsigned int version; unsigned long long total, reserved, free, used; } nvmlMemory_v2_t;
typedef struct { unsigned int gpu, memory; } nvmlUtilization_t;
typedef enum { DOUBLE, UINT } nvmlValueType_t;
typedef enum { SUCCESS } nvmlReturn_t;
typedef union { double d; int si; unsigned int ui; unsigned long ul; unsigned long long ull; long long sll; unsigned short us; } nvmlValue_t;
typedef struct { unsigned int fieldId, scopeId; long long timestamp, latencyUsec; nvmlValueType_t valueType; nvmlReturn_t nvmlReturn; nvmlValue_t value; } nvmlFieldValue_t;
typedef struct { unsigned int pid; unsigned long long usedGpuMemory; unsigned int gpuInstanceId, computeInstanceId; } nvmlProcessInfo_v2_t;
int main(void) {
	printf("%zu %zu %zu ", sizeof(nvmlMemory_t), offsetof(nvmlMemory_t, free), offsetof(nvmlMemory_t, used));
	printf("%zu %zu %zu ", sizeof(nvmlMemory_v2_t), offsetof(nvmlMemory_v2_t, total), offsetof(nvmlMemory_v2_t, used));
	printf("%u ", (unsigned int)(sizeof(nvmlMemory_v2_t) | (2 << 24U)));
	printf("%zu ", sizeof(nvmlUtilization_t));
	printf("%zu %zu %zu ", sizeof(nvmlFieldValue_t), offsetof(nvmlFieldValue_t, nvmlReturn), offsetof(nvmlFieldValue_t, value));
	printf("%zu %zu", sizeof(nvmlProcessInfo_v2_t), offsetof(nvmlProcessInfo_v2_t, usedGpuMemory));
}`

func TestLayouts(t *testing.T) {
	gcc := gputest.Compiler(t)
	dir := t.TempDir()
	source, program := filepath.Join(dir, "layouts.c"), filepath.Join(dir, "layouts")
	if err := os.WriteFile(source, []byte(layouts), 0o644); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command(gcc, "-o", program, source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	theirs, err := exec.Command(program).Output()
	if err != nil {
		t.Fatal(err)
	}
	var m nvmlMemory
	var v2 nvmlMemoryV2
	var f nvmlFieldValue
	var p nvmlProcessInfo
	ours := fmt.Sprint(
		unsafe.Sizeof(m), unsafe.Offsetof(m.free), unsafe.Offsetof(m.used),
		unsafe.Sizeof(v2), unsafe.Offsetof(v2.total), unsafe.Offsetof(v2.used), nvmlMemoryV2Version,
		unsafe.Sizeof(nvmlUtilization{}),
		unsafe.Sizeof(f), unsafe.Offsetof(f.result), unsafe.Offsetof(f.value),
		unsafe.Sizeof(p), unsafe.Offsetof(p.usedGPUMemory),
	)
	if ours != string(theirs) {
		t.Errorf("layouts differ\nours   %s\ntheirs %s", ours, theirs)
	}
}
