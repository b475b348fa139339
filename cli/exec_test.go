//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// On a terminal the command has the terminal itself: its size, and Ctrl-C once, for the command alone. The job does not notice.
func TestExecOnATerminal(t *testing.T) {
	t.Parallel()
	state, err := os.MkdirTemp("", "nx") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	t.Cleanup(func() { clearUp(t, state) })
	env := append(os.Environ(), "NEXUS_STATE="+filepath.Join(state, "s"), "NEXUS_LISTEN=none", "TERM=vt220")
	dir := t.TempDir()
	nexus := func(args ...string) string {
		cmd := exec.CommandContext(t.Context(), filepath.Join(built, "nexus"), args...)
		cmd.Env, cmd.Dir = env, dir
		out, _ := cmd.CombinedOutput()
		return string(out)
	}
	if err := os.WriteFile(filepath.Join(dir, "job.yaml"), []byte("name: long\nrun: sleep 1000\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	nexus("submit", "job.yaml")
	for end := time.Now().Add(patience); !strings.Contains(nexus("ps"), " Running "); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(nexus("ps"))
		}
	}
	const script = `trap 'ints=$((ints+1))' INT; stty size; echo "term $TERM"; echo ready
while test -z "$ints"; do sleep 0.05; done; sleep 0.5; echo "interrupted $ints time"; exit 5`
	cmd := exec.CommandContext(t.Context(), filepath.Join(built, "nexus"), "exec", "long", "--", "sh", "-c", script)
	cmd.Env, cmd.Dir = env, dir
	screen := onTerminal(t, cmd, 33, 101)
	screen.until("ready")
	if _, err := screen.master.Write([]byte{3}); err != nil {
		t.Fatal(err)
	}
	screen.until("interrupted 1 time")
	for _, want := range []string{"33 101\r\n", "term vt220"} {
		if !strings.Contains(screen.seen, want) {
			t.Errorf("there is no %q in %q", want, screen.seen)
		}
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 5 {
		t.Errorf("it ended with %v; screen %q", err, screen.seen)
	}
	if list := nexus("ps"); !strings.Contains(list, " Running ") {
		t.Errorf("the job:\n%s", list)
	}
}

// screenOf is a command's terminal, seen from the other side.
type screenOf struct {
	t      *testing.T
	master *os.File
	seen   string
}

// onTerminal starts a command on a new terminal, which is its controlling one.
func onTerminal(t *testing.T, cmd *exec.Cmd, rows, columns uint16) *screenOf {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { master.Close() })
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	number, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: rows, Col: columns})
	}
	if err != nil {
		t.Fatal(err)
	}
	slave, err := os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = slave, slave, slave
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &screenOf{t: t, master: master}
}

// until reads until a text is on the screen.
func (s *screenOf) until(text string) {
	s.t.Helper()
	give := time.AfterFunc(patience, func() { s.master.Close() })
	defer give.Stop()
	buf := make([]byte, 4096)
	for !strings.Contains(s.seen, text) {
		n, err := s.master.Read(buf)
		s.seen += string(buf[:n])
		if err != nil {
			s.t.Fatalf("%q never came: %v; screen %q", text, err, s.seen)
		}
	}
}
