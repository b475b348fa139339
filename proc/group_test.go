package proc

import (
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

func TestProcessesStartEndAndAreReaped(t *testing.T) {
	name := attemptName(t)
	g := NewGroup(name, nil)
	defer g.Close()
	for _, test := range []struct {
		line string
		want Exit
	}{
		{"exit 0", Exit{}},
		{"exit 7", Exit{Code: 7}},
		{"kill -SEGV $$", Exit{Code: -1, Signal: syscall.SIGSEGV}},
	} {
		started, err := g.Start(shell(name, test.line))
		if err != nil {
			t.Fatal(err)
		}
		p := started[0]
		<-p.Done()
		got := p.Exit()
		if got.Code != test.want.Code || got.Signal != test.want.Signal || got.OK() != (test.want == Exit{}) {
			t.Errorf("%s: %+v", test.line, got)
		}
		if p.Running() || p.Signal(syscall.SIGTERM) != nil {
			t.Errorf("%s: a signal after the end is an error, or worse", test.line)
		}
	}
}

func TestOneThatCannotStartStopsTheStart(t *testing.T) {
	name := attemptName(t)
	g := NewGroup(name, nil)
	defer g.Close()
	good := shell(name, "sleep 1000")
	bad := Command{Path: "/nonexistent", Argv: []string{"x"}, Dir: "/"}
	started, err := g.Start(good, bad, good)
	if err == nil || len(started) != 1 {
		t.Fatalf("%v %v", started, err)
	}
	if err := g.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if started[0].Running() {
		t.Error("it runs on")
	}
	g.Close()
	if _, err := g.Start(good); err == nil {
		t.Error("a closed group starts processes")
	}
}

func TestKillSparesTheCallerAndOtherAttempts(t *testing.T) {
	need(t, runtime.GOOS == "linux", "Linux")
	name := attemptName(t)
	g := NewGroup(name, nil)
	defer g.Close()
	other := exec.Command("sleep", "1000")
	other.Env = []string{EnvAttempt + "=" + name + "2", "X" + EnvAttempt + "=" + name, "LAST=" + EnvAttempt + "=" + name}
	if err := other.Start(); err != nil {
		t.Fatal(err)
	}
	defer other.Wait()
	defer other.Process.Kill()
	if _, err := g.Start(shell(name, "sleep 1000")); err != nil {
		t.Fatal(err)
	}
	if err := g.Kill(5 * time.Second); err != nil {
		t.Fatal(err)
	}
	if id, err := Identify(other.Process.Pid); err != nil || !id.Alive() {
		t.Error("another attempt's process was killed")
	}
}

// The mark is found wherever it stands, across the edges of the buffer too.
func TestTheMarkIsFoundInALargeEnvironment(t *testing.T) {
	need(t, runtime.GOOS == "linux", "Linux")
	name := attemptName(t)
	g := NewGroup(name, nil)
	defer g.Close()
	for _, padding := range []int{0, 32<<10 - len(EnvAttempt) - 10, 32<<10 - 4, 32 << 10, 100_000} {
		c := shell(name, "sleep 1000")
		c.Env = []string{"A=" + strings.Repeat("x", padding), EnvAttempt + "=" + name, "PATH=" + os.Getenv("PATH")}
		started, err := g.Start(c)
		if err != nil {
			t.Fatal(err)
		}
		eventually(t, 5*time.Second, "it is found", func() bool { return len(Members(name, "")) > 0 })
		if err := g.Kill(5 * time.Second); err != nil {
			t.Fatal(err)
		}
		<-started[0].Done()
	}
}

func TestAnIdentityIsOfOneProcessOnly(t *testing.T) {
	self, err := Identify(os.Getpid())
	if err != nil || !self.Alive() || self.Boot == "" || self.Start == 0 {
		t.Fatalf("%+v %v", self, err)
	}
	later := self
	later.Start++
	if later.Alive() {
		t.Error("the same pid at another time is another process")
	}
	c := exec.Command("sleep", "1000")
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	id, err := Identify(c.Process.Pid)
	if err != nil || !id.Alive() {
		t.Errorf("%+v %v", id, err)
	}
	c.Process.Kill()
	eventually(t, 5*time.Second, "a zombie counts as dead", func() bool { return !id.Alive() })
	c.Wait()
	if id.Alive() {
		t.Error("alive after its end")
	}
}
