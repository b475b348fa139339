package v1alpha1_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"ainexus.io/cluster/kube/kubetest"
)

// What is committed is what the types give.
func TestGenerated(t *testing.T) {
	root, out := filepath.Join("..", "..", ".."), t.TempDir()
	crds, types := filepath.Join(out, "crds"), filepath.Join(out, "types")
	c := exec.Command(kubetest.Program(t, "controller-gen"), "crd", "object", "paths=./cluster/kube/v1alpha1",
		"output:crd:dir="+crds, "output:object:dir="+types)
	c.Dir = root
	if said, err := c.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, said)
	}
	for _, f := range []struct{ made, kept string }{
		{filepath.Join(crds, "ainexus.io_nexusjobs.yaml"), "deploy/manifests/crds/ainexus.io_nexusjobs.yaml"},
		{filepath.Join(crds, "ainexus.io_nexusqueues.yaml"), "deploy/manifests/crds/ainexus.io_nexusqueues.yaml"},
		{filepath.Join(types, "zz_generated.deepcopy.go"), "cluster/kube/v1alpha1/zz_generated.deepcopy.go"},
	} {
		made, err := os.ReadFile(f.made)
		if err != nil {
			t.Fatal(err)
		}
		kept, err := os.ReadFile(filepath.Join(root, f.kept))
		if err != nil {
			t.Fatal(err)
		}
		if string(made) != string(kept) {
			t.Errorf("%s is not what the types give: make generate", f.kept)
		}
	}
}
