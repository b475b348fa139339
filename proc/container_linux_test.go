package proc

import (
	"os"
	"path/filepath"
	"testing"
)

// A container finds the count of its own cgroup at the root of what it sees, in both versions of the kernel's files.
func TestAContainerCountsItsOwnVictims(t *testing.T) {
	for _, test := range []struct {
		name, file, text string
		kills            int
		counts           bool
	}{
		{"version 2", "memory.events", "low 0\nhigh 0\nmax 7\noom 2\noom_kill 2\n", 2, true},
		{"version 1", "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\noom_kill 1\n", 1, true},
		{"an old kernel", "memory/memory.oom_control", "oom_kill_disable 0\nunder_oom 0\n", 0, false},
		{"nothing", "other", "", 0, false},
	} {
		root := t.TempDir()
		path := filepath.Join(root, test.file)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(test.text), 0o600); err != nil {
			t.Fatal(err)
		}
		if c := containerCgroup(root); c.CountsOOM() != test.counts || c.OOMKills() != test.kills {
			t.Errorf("%s: counts %v, %d", test.name, c.CountsOOM(), c.OOMKills())
		}
	}
}
