package nodetest

import (
	"os"
	"os/exec"
)

// Build compiles a static program, in the module of a directory, and leaves it in the world's under a name. It is for
// outside: the compiler may have to fetch modules.
func (w *World) Build(name, dir string, args ...string) {
	w.t.Helper()
	c := exec.Command("go", append([]string{"build", "-trimpath", "-o", w.Path(name)}, args...)...)
	c.Dir, c.Env = dir, append(os.Environ(), "CGO_ENABLED=0")
	if out, err := c.CombinedOutput(); err != nil {
		w.t.Fatalf("building %s: %v\n%s", name, err, out)
	}
}
