package cli_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ainexus.io/proc"
)

// lan is a few machines on one: a network namespace for each, and one for the switch between them, so that nothing of
// this machine's own network is touched. Node i has the address 10.77.0.i+1 on eth0.
type lan struct {
	t      *testing.T
	prefix string
	nodes  []*node
}

// node is one of these machines.
type node struct {
	lan    *lan
	name   string
	addr   string
	agents []*launched
}

// newLAN makes a network for the time of a test.
func newLAN(t *testing.T, nodes int) *lan {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI is root: network namespaces are not to be skipped there")
		}
		t.Skip("NOT RUN: network namespaces need root")
	}
	for _, program := range []string{"ip", "nsenter", "unshare"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Fatalf("%s is missing: install iproute2 and util-linux (scripts/setup.sh)", program)
		}
	}
	sweep(t)
	l := &lan{t: t, prefix: fmt.Sprintf("nexustest-%d-%s-", os.Getpid(), strings.ToLower(t.Name()[len("Test"):min(len(t.Name()), 12)]))}
	t.Cleanup(l.remove)
	l.ip("netns", "add", l.prefix+"switch")
	l.ip("-n", l.prefix+"switch", "link", "add", "br0", "type", "bridge")
	l.ip("-n", l.prefix+"switch", "link", "set", "br0", "up")
	for i := range nodes {
		n := &node{lan: l, name: string(rune('a' + i)), addr: fmt.Sprintf("10.77.0.%d", i+1)}
		l.nodes = append(l.nodes, n)
		port := "p" + n.name
		l.ip("netns", "add", n.space())
		l.ip("link", "add", "eth0", "netns", n.space(), "type", "veth", "peer", "name", port, "netns", l.prefix+"switch")
		l.ip("-n", l.prefix+"switch", "link", "set", port, "master", "br0", "up")
		l.ip("-n", n.space(), "addr", "add", n.addr+"/24", "dev", "eth0")
		l.ip("-n", n.space(), "link", "set", "eth0", "up")
		l.ip("-n", n.space(), "link", "set", "lo", "up")
	}
	return l
}

func (n *node) space() string { return n.lan.prefix + n.name }

func (l *lan) ip(args ...string) {
	l.t.Helper()
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		l.t.Fatalf("ip %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// remove ends what runs in the namespaces and takes them away, whatever has become of the test.
func (l *lan) remove() {
	for _, n := range l.nodes {
		for _, a := range n.agents {
			a.kill()
			<-a.done
			if l.t.Failed() {
				l.t.Logf("node %s said:\n%s", n.name, a.text())
			}
		}
	}
	for _, name := range append([]string{"switch"}, names(l.nodes)...) {
		exec.Command("ip", "netns", "del", l.prefix+name).Run()
	}
}

func names(nodes []*node) (list []string) {
	for _, n := range nodes {
		list = append(list, n.name)
	}
	return list
}

// sweep takes away what a test that was killed has left.
func sweep(t *testing.T) {
	out, _ := exec.Command("ip", "netns", "list").Output()
	for line := range strings.Lines(string(out)) {
		name, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		rest, ours := strings.CutPrefix(name, "nexustest-")
		text, _, _ := strings.Cut(rest, "-")
		if pid, err := strconv.Atoi(text); ours && err == nil && syscall.Kill(pid, 0) != nil {
			exec.Command("ip", "netns", "del", name).Run()
		}
	}
}

// unplug takes a node off the switch, and plug puts it back. The node itself sees its link up: nobody tells it.
func (n *node) unplug() { n.lan.ip("-n", n.lan.prefix+"switch", "link", "set", "p"+n.name, "nomaster") }

func (n *node) plug() {
	n.lan.ip("-n", n.lan.prefix+"switch", "link", "set", "p"+n.name, "master", "br0")
}

// down takes the node's own interface down.
func (n *node) down() { n.lan.ip("-n", n.space(), "link", "set", "eth0", "down") }

// slow limits what the node can send, by a token bucket with a short queue.
func (n *node) slow(rate string) {
	n.lan.t.Helper()
	if out, err := exec.Command("tc", "-n", n.space(), "qdisc", "add", "dev", "eth0", "root", "tbf", "rate", rate, "burst", "3000", "latency", "200ms").CombinedOutput(); err != nil {
		n.lan.t.Fatalf("slowing the link down: %v\n%s", err, out)
	}
}

// launched is a nexus launch on a node, and what it says.
type launched struct {
	n    *node
	cmd  *exec.Cmd
	done chan struct{}

	mu    sync.Mutex
	lines []string
	stamp []time.Time
	more  chan struct{}
}

// launch starts nexus launch on a node that believes to be a machine of its own.
func (n *node) launch(args ...string) *launched {
	n.lan.t.Helper()
	return n.start(append([]string{filepath.Join(built, "nexus"), "launch"}, args...)...)
}

func (n *node) start(argv ...string) *launched {
	n.lan.t.Helper()
	cmd := exec.Command("nsenter", append([]string{"--net=/run/netns/" + n.space(), "unshare", "--uts", "sh", "-c", `hostname "$0"; exec "$@"`, n.name}, argv...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	read, write, err := os.Pipe()
	if err != nil {
		n.lan.t.Fatal(err)
	}
	cmd.Stdout, cmd.Stderr = write, write
	cmd.Env = append(os.Environ(), "PYTHONUNBUFFERED=1")
	a := &launched{n: n, cmd: cmd, done: make(chan struct{}), more: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		n.lan.t.Fatal(err)
	}
	write.Close()
	n.agents = append(n.agents, a)
	heard := make(chan struct{})
	go func() {
		defer close(heard)
		a.hear(read)
	}()
	go func() {
		cmd.Wait()
		<-heard
		close(a.done)
	}()
	return a
}

func (a *launched) hear(r io.ReadCloser) {
	defer r.Close()
	for s := bufio.NewScanner(r); s.Scan(); {
		a.mu.Lock()
		a.lines, a.stamp = append(a.lines, s.Text()), append(a.stamp, time.Now())
		close(a.more)
		a.more = make(chan struct{})
		a.mu.Unlock()
	}
}

func (a *launched) text() string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return strings.Join(a.lines, "\n")
}

// says waits until a line holds a text, and returns when it came.
func (a *launched) says(text string) time.Time {
	a.n.lan.t.Helper()
	late := time.After(90 * time.Second)
	for {
		a.mu.Lock()
		more := a.more
		for i, line := range a.lines {
			if strings.Contains(line, text) {
				at := a.stamp[i]
				a.mu.Unlock()
				return at
			}
		}
		a.mu.Unlock()
		select {
		case <-more:
		case <-late:
			a.n.lan.t.Fatalf("node %s never said %q", a.n.name, text)
		}
	}
}

// ends waits for the end and wants a code.
func (a *launched) ends(code int) {
	a.n.lan.t.Helper()
	select {
	case <-a.done:
	case <-time.After(90 * time.Second):
		a.n.lan.t.Fatalf("node %s does not end", a.n.name)
	}
	if got := a.cmd.ProcessState.ExitCode(); got != code {
		a.n.lan.t.Fatalf("node %s ended with %d, not %d", a.n.name, got, code)
	}
}

// kill is the death of the node's processes: agent, keeper and workers at once.
func (a *launched) kill() {
	tree := []int{a.cmd.Process.Pid}
	for i := 0; i < len(tree); i++ {
		tree = append(tree, proc.ChildrenOf(tree[i])...)
	}
	for _, pid := range tree {
		syscall.Kill(pid, syscall.SIGKILL)
	}
}
