package nodetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// impossible says why this machine allows no real kubelet; empty where it does.
func impossible() string {
	if os.Getuid() != 0 {
		return "it needs root"
	}
	for _, controller := range controllers() {
		if _, err := os.Stat(filepath.Join(groupRoot, controller, "cgroup.procs")); err != nil {
			return "there is no control group hierarchy (version 1) of " + controller
		}
	}
	c := exec.Command("/bin/true")
	c.SysProcAttr = namespaces()
	if err := c.Run(); err != nil {
		return fmt.Sprintf("namespaces cannot be made: %v", err)
	}
	return ""
}

func namespaces() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC | syscall.CLONE_NEWUTS,
		Pdeathsig:  syscall.SIGKILL,
	}
}

func ownSession() *syscall.SysProcAttr { return &syscall.SysProcAttr{Setsid: true} }

// runInside runs a program as the first process of new namespaces, which ends with this one.
func runInside(c *exec.Cmd) (out []byte, err error) {
	runtime.LockOSThread() // the kernel ends the child with the thread that started it
	defer runtime.UnlockOSThread()
	c.SysProcAttr = namespaces()
	return c.CombinedOutput()
}

func lives(pid int) bool { return syscall.Kill(pid, 0) != syscall.ESRCH }

func remaining(end time.Time) time.Duration { return max(time.Second, time.Until(end)-20*time.Second) }

// furnish makes the world that this process is the first in: no mount of it is seen outside, and what kubelets and
// container programs expect at fixed places is empty.
func (w *World) furnish() error {
	mount := func(source, target, kind string, flags uintptr, data string) error {
		if err := syscall.Mount(source, target, kind, flags, data); err != nil {
			return fmt.Errorf("mounting %s: %w", target, err)
		}
		return nil
	}
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_PRIVATE, ""); err != nil {
		return err
	}
	if err := mount("", "/", "", syscall.MS_REC|syscall.MS_SHARED, ""); err != nil { // among ourselves
		return err
	}
	if err := mount("proc", "/proc", "proc", 0, ""); err != nil {
		return err
	}
	for _, place := range []string{"/run", "/var/lib", "/var/log"} {
		if err := mount("tmpfs", place, "tmpfs", 0, "mode=755"); err != nil {
			return err
		}
	}
	// A kubelet sets these for the whole machine. It finds them as it wants them, and the machine's stay as they are.
	for name, value := range map[string]string{
		"vm/overcommit_memory": "1", "vm/panic_on_oom": "0", "kernel/panic": "10", "kernel/panic_on_oops": "1",
		"kernel/keys/root_maxkeys": "1000000", "kernel/keys/root_maxbytes": "25000000",
	} {
		file := filepath.Join("/run", strings.ReplaceAll(name, "/", "."))
		if err := os.WriteFile(file, []byte(value+"\n"), 0o644); err != nil {
			return err
		}
		if err := mount(file, "/proc/sys/"+name, "", syscall.MS_BIND, ""); err != nil {
			return err
		}
	}
	for _, line := range []string{
		"link set lo up",
		"link add " + bridge + " type bridge",
		"addr add " + own + "/" + prefix + " dev " + bridge,
		"link set " + bridge + " up",
	} {
		if out, err := exec.Command("ip", strings.Fields(line)...).CombinedOutput(); err != nil {
			return fmt.Errorf("ip %s: %w: %s", line, err, out)
		}
	}
	return nil
}
