package nodetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// envVictim asks the test below to be the one that is killed.
const envVictim = "NODETEST_VICTIM"

// A test that is killed leaves nothing: no process, no control group, no file, no mount, no interface.
func TestNothingIsLeftOfATestThatIsKilled(t *testing.T) {
	if os.Getenv(envVictim) != "" {
		beVictim(t)
		return
	}
	if why := impossible(); why != "" {
		t.Skip("NOT RUN: real kubelet: " + why)
	}
	before := seen(t)
	victim := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	victim.Env = append(os.Environ(), envVictim+"=yes")
	var out strings.Builder
	victim.Stdout, victim.Stderr = &out, &out
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- victim.Wait() }()
	name := fmt.Sprint(namePrefix, victim.Process.Pid)
	dir, group := filepath.Join(os.TempDir(), name), filepath.Join(groupRoot, "pids", name, "pod")
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(20 * time.Millisecond) {
		if _, err := os.Stat(filepath.Join(dir, "ready")); err == nil {
			break
		}
		select {
		case err := <-ended:
			if strings.Contains(out.String(), "--- SKIP") {
				t.Skip(out.String())
			}
			t.Fatalf("the victim ended by itself: %v\n%s", err, out.String())
		default:
		}
		if time.Now().After(end) {
			t.Fatal("the victim does not get to be killed")
		}
	}
	procs, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
	pid := strings.TrimSpace(string(procs))
	if err != nil || pid == "" {
		t.Fatalf("no pod runs: %q, %v", procs, err)
	}
	if err := victim.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	<-ended
	for end := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		groups, _ := filepath.Glob(filepath.Join(groupRoot, "*", name))
		_, err := os.Stat(dir)
		if len(groups) == 0 && os.IsNotExist(err) {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("left are %v and %s: %v", groups, dir, err)
		}
	}
	if _, err := os.Stat("/proc/" + pid); !os.IsNotExist(err) {
		t.Errorf("process %s of a pod lives", pid)
	}
	if after := seen(t); after != before {
		t.Errorf("before it was\n%s\nand now\n%s", before, after)
	}
}

// beVictim makes what a node makes, and waits for its end.
func beVictim(t *testing.T) {
	w := Enter(t, func(*testing.T, *World) {})
	if w == nil {
		return
	}
	if err := makeGroups(filepath.Join(w.name, "pod")); err != nil {
		t.Fatal(err)
	}
	pod := exec.Command("sleep", "1000")
	pod.SysProcAttr = ownSession()
	if err := pod.Start(); err != nil {
		t.Fatal(err)
	}
	for _, controller := range controllers() {
		if err := os.WriteFile(filepath.Join(groupRoot, controller, w.name, "pod", "cgroup.procs"), []byte(fmt.Sprint(pod.Process.Pid)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(w.Path("mounted"), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", w.Path("mounted"), "tmpfs", 0, ""); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(w.Path("ready"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := pod.Wait(); err != nil {
		t.Fatal(err)
	}
}

// seen is what this machine shows of mounts of nodes and of their bridge.
func seen(t *testing.T) string {
	t.Helper()
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		t.Fatal(err)
	}
	found := ""
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, namePrefix) {
			found += line
		}
	}
	if _, err := os.Stat("/sys/class/net/" + bridge); err == nil {
		found += bridge
	}
	return found
}
