package kubetest

import (
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"testing"
)

// programs finds where scripts/kube.sh leaves what it builds from the module at root/tools/kube.
func programs(t testing.TB) string {
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
	dir := filepath.Join(cache, "ai-nexus", "kube", hex.EncodeToString(sum[:])[:16])
	for _, name := range []string{"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kwok", "kubectl"} {
		if _, err := os.Stat(filepath.Join(dir, name)); err != nil {
			if os.Getenv("CI") == "true" {
				t.Fatalf("%s was not built: sh scripts/kube.sh", name)
			}
			t.Skipf("NOT RUN: there is no Kubernetes control plane (%s); sh scripts/kube.sh builds it, once, in about 20 CPU-minutes", name)
		}
	}
	return dir
}

// moduleRoot is the directory of the go.mod that the test belongs to.
func moduleRoot(t testing.TB) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			t.Fatal("the test runs in no module")
		}
		dir = parent
	}
}
