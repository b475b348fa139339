package nodetest

import (
	"os"
	"path/filepath"
)

// groupRoot is where the control group hierarchies are, version 1.
const groupRoot = "/sys/fs/cgroup"

// controllers are the hierarchies in which a kubelet and runc keep their groups.
func controllers() []string {
	return []string{"memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio", "systemd"}
}

// makeGroups makes a control group in each hierarchy. One of cpuset may use nothing before it is told what: all that
// its parent may.
func makeGroups(name string) error {
	for _, controller := range controllers() {
		group := filepath.Join(groupRoot, controller, name)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return err
		}
		if controller != "cpuset" {
			continue
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			data, err := os.ReadFile(filepath.Join(filepath.Dir(group), file))
			if err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(group, file), data, 0o644); err != nil {
				return err
			}
		}
	}
	return nil
}
