package proc

import (
	"os"
	"path/filepath"
	"strings"
)

// ContainerCgroup is what a container sees of its own cgroup, to read from: nil where it sees none. Outside of a container
// it would be everybody's.
func ContainerCgroup() *Cgroup { return containerCgroup("/sys/fs/cgroup") }

func containerCgroup(root string) *Cgroup {
	if _, err := os.Stat(filepath.Join(root, "memory.events")); err == nil {
		return &Cgroup{memory: root}
	}
	if dir := filepath.Join(root, "memory"); oomCounted(filepath.Join(dir, "memory.oom_control")) {
		return &Cgroup{memory: dir, v1: true}
	}
	return nil
}

// oomCounted reports whether the kernel counts in that file: before 4.13 it did not.
func oomCounted(path string) bool {
	data, err := os.ReadFile(path)
	return err == nil && strings.Contains(string(data), "oom_kill ")
}
