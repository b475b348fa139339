package launch

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"ainexus.io/nexus"
)

// A disk that is full stops no worker and no round, and is told once.
func TestAFullDiskStopsNobody(t *testing.T) {
	t.Parallel()
	disk := t.TempDir()
	if err := syscall.Mount("none", disk, "tmpfs", 0, "size=1m"); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("mounting a small disk: %v", err)
		}
		t.Skipf("NOT RUN: a small disk cannot be mounted here: %v", err)
	}
	t.Cleanup(func() { syscall.Unmount(disk, syscall.MNT_DETACH) })
	var out, errs strings.Builder
	result, err := Run(t.Context(), Options{
		Command: nexus.Command{Shell: `head -c 3000000 /dev/zero | tr '\0' '\n'; echo "round $NEXUS_ROUND of $RANK"; [ $NEXUS_ROUND = 1 ]`},
		Workers: 2, MaxRestarts: 1, Dir: t.TempDir(), Env: os.Environ(), LogDir: disk, Show: []int{}, Keeper: keeperArgv(), Stdout: &out, Stderr: &errs, Backoff: quick(),
	})
	if err != nil || !result.OK {
		t.Fatalf("%+v %v", result, err)
	}
	if strings.Count(errs.String(), "no space left on device") != 1 || !strings.Contains(errs.String(), "[nexus] output is missing from the logs, the work goes on: ") {
		t.Errorf("it says %q", errs.String())
	}
}
