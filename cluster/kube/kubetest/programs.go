package kubetest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// Program is the path of a program that scripts/kube.sh builds from the module at tools/kube. Where it was not built the
// test is skipped, and fails in CI.
func Program(t testing.TB, name string) string {
	t.Helper()
	sums, err := os.ReadFile(filepath.Join(moduleRoot(t), "tools", "kube", "go.sum"))
	if err != nil {
		t.Fatal(err)
	}
	cache := os.Getenv("XDG_CACHE_HOME")
	if cache == "" {
		cache = filepath.Join(os.Getenv("HOME"), ".cache")
	}
	sum := sha256.Sum256(sums)
	path := filepath.Join(cache, "ai-nexus", "kube", hex.EncodeToString(sum[:])[:16], name)
	if _, err := os.Stat(path); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("%s was not built: sh scripts/kube.sh", name)
		}
		t.Skipf("NOT RUN: there is no %s; sh scripts/kube.sh builds a Kubernetes control plane, once, in about 20 CPU-minutes", path)
	}
	return path
}

// moduleRoot is the directory of the product's go.mod; tests of nested modules lie below it too.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "tools", "kube", "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the test does not run in this repository")
		}
		dir = parent
	}
}
