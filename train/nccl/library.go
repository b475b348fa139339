//go:build linux && (amd64 || arm64) && !nogpu

package nccl

import (
	"fmt"
	"runtime"
	"strings"

	"github.com/ebitengine/purego"

	"ainexus.io/train/collective"
)

// load opens a shared library, which is never closed again: it may have started threads. One that is not installed is
// [collective.Absent].
func load(path, otherwise string) (uintptr, error) {
	if path == "" {
		path = otherwise
	}
	runtime.LockOSThread() // the loader keeps its last words per thread
	defer runtime.UnlockOSThread()
	lib, err := purego.Dlopen(path, purego.RTLD_NOW|purego.RTLD_GLOBAL)
	if err == nil {
		return lib, nil
	}
	if strings.HasPrefix(err.Error(), path+": cannot open shared object file: No such file") {
		return 0, collective.Absent("there is no " + path)
	}
	return 0, fmt.Errorf("loading %s: %w", path, err)
}

// function is a symbol and where its call goes.
type function struct {
	name string
	into any
}

// bind looks the functions up. One that is missing is an error that names it.
func bind(lib uintptr, path string, functions []function) error {
	for _, f := range functions {
		symbol, err := purego.Dlsym(lib, f.name)
		if err != nil {
			return fmt.Errorf("%s is too old, or something else: it has no %s", path, f.name)
		}
		purego.RegisterFunc(f.into, symbol)
	}
	return nil
}
