package cli

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/proc"
)

// The doctor says of limits what an agent would find, and leaves no cgroup behind.
func TestTheDoctorAsksAsAnAgentDoes(t *testing.T) {
	group, notes := proc.NewCgroup(fmt.Sprint("doctor-test/", os.Getpid()), proc.Limits{Memory: 1 << 30, CPU: 500})
	can := group != nil && len(notes) == 0
	group.Remove()
	found := examineCgroups()
	if (found.State == "ok") != can {
		t.Errorf("limits hold: %v; the doctor says %+v", can, found)
	}
	if !can && !strings.Contains(found.Text, "limit") {
		t.Errorf("it does not say what does not hold: %+v", found)
	}
	own := fmt.Sprint("nexus-doctor-", os.Getpid())
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Base(path) == own {
			t.Errorf("it left %s", path)
		}
		return nil // what cannot be read is none of ours; cgroups of others come and go
	})
	if err != nil {
		t.Error(err)
	}
}
