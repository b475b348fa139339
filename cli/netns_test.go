package cli_test

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// soakTime is how long busy nodes are watched; CI gives them a minute in a stage of its own.
var soakTime = flag.Duration("netns.soak", 5*time.Second, "how long busy nodes are watched")

// idle is a worker that says who it is and then does nothing at all.
const idle = `echo "round $NEXUS_ROUND: rank $RANK of $WORLD_SIZE on $(hostname)"; exec sleep 1000`

// meet starts so many agents of one job, which meet on the first node.
func meet(l *lan, nnodes, script string, more ...string) (agents []*launched) {
	for _, n := range l.nodes {
		agents = append(agents, join(n, nnodes, script, more...))
	}
	return agents
}

func join(n *node, nnodes, script string, more ...string) *launched {
	// All are waited for: on a busy machine one may be late.
	args := append([]string{"--nnodes", nnodes, "--rdzv-endpoint", n.lan.nodes[0].addr, "--rdzv-id", "story", "--rdzv-conf", "last_call_timeout=60"}, more...)
	return n.launch(append(args, "sh", "-c", script)...)
}

// A machine that is killed is missed although its workers were idle, also where it served and had the store.
func TestNodeDies(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	agents := meet(l, "1:3", idle)
	for _, a := range agents {
		a.says("round 0: rank")
	}
	killed := time.Now()
	agents[0].kill()
	for _, a := range agents[1:] {
		t.Logf("node %s: first line of the new round after %s", a.n.name, a.says("of 2 on "+a.n.name).Sub(killed).Round(time.Millisecond))
	}
	for _, a := range agents[1:] {
		if text := a.text(); strings.Contains(text, "round 0: rank 1 of 3") && !strings.Contains(text, "round 1: rank 1 of 2") {
			t.Errorf("node %s had rank 1, which is still there, and lost it:\n%s", a.n.name, text)
		}
	}
	// It comes back, and finds the others although they have moved.
	again := join(l.nodes[0], "1:3", idle)
	again.says("of 3 on a")
}

// A machine whose cable is pulled is missed, stops its workers, and is taken in again.
func TestCutOff(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	agents := meet(l, "1:3", idle)
	for _, a := range agents {
		a.says("round 0: rank")
	}
	cut := time.Now()
	l.nodes[0].unplug() // the leader is in the minority
	for _, a := range agents[1:] {
		t.Logf("node %s: first line of the new round after %s", a.n.name, a.says("of 2 on "+a.n.name).Sub(cut).Round(time.Millisecond))
	}
	agents[0].says("too few of the last round's nodes")
	for late := time.Now().Add(60 * time.Second); sleepers(t, l.nodes[0]) > 0; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(late) {
			t.Fatal("the minority still runs workers")
		}
	}
	l.nodes[0].plug()
	agents[0].says("of 3 on a")
	for _, a := range agents {
		if strings.Contains(a.text(), "of 1 on") {
			t.Errorf("node %s went on alone:\n%s", a.n.name, a.text())
		}
	}
}

// Of two that do not hear each other neither goes on; of two where one is seen to die the other does.
func TestHalf(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	agents := meet(l, "1:2", idle)
	for _, a := range agents {
		a.says("round 0: rank")
	}
	l.nodes[1].unplug()
	agents[0].says("too few of the last round's nodes")
	agents[1].says("is not heard of any more")
	for _, a := range agents {
		if strings.Contains(a.text(), "of 1 on") {
			t.Errorf("node %s went on alone:\n%s", a.n.name, a.text())
		}
	}
	l.nodes[1].plug()
	for _, a := range agents {
		a.says("round 1: rank")
	}
	agents[0].kill()
	agents[1].says("of 1 on b")
}

// An interface that goes down is as good as a cable; a node of a fixed size is waited for.
func TestLinkDown(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	agents := meet(l, "2:3", idle)
	for _, a := range agents {
		a.says("round 0: rank")
	}
	l.nodes[2].down()
	agents[0].says("node c is not heard of any more")
	agents[0].says("of 2 on a")
	agents[1].says("of 2 on b")
}

// A link that is slow and full is not a dead one.
func TestSlowLink(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, n := range l.nodes {
		n.slow("2mbit")
	}
	// Rank 1 sends as fast as the link takes it, for five seconds, past the store's back.
	agents := meet(l, "2", `echo here; if [ $RANK = 1 ]; then exec /usr/bin/python3 -c '
import socket, time
while True:
    try: s = socket.create_connection(("10.77.0.1", 5001)); break
    except ConnectionRefusedError: time.sleep(0.05)
end = time.time() + 5
while time.time() < end: s.send(b"x" * 4096)
print("sent")'; else exec /usr/bin/python3 -c '
import socket
l = socket.create_server(("10.77.0.1", 5001)); c, _ = l.accept(); n = 0
while True:
    d = c.recv(65536)
    if not d: break
    n += len(d)
print("got", n > 100000)'; fi`)
	agents[0].says("got True")
	for _, a := range agents {
		a.ends(0)
		if strings.Contains(a.text(), "round 1") {
			t.Errorf("node %s lost the other:\n%s", a.n.name, a.text())
		}
	}
}

// Nodes whose workers take all the processor there is are not taken for lost ones.
func TestBusyNodes(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	agents := meet(l, "1:2", `echo "round $NEXUS_ROUND: rank $RANK"; while :; do :; done`, "--nproc-per-node", "4")
	for _, a := range agents {
		a.says("round 0: rank")
	}
	time.Sleep(*soakTime) // the time itself is what is tested
	for _, a := range agents {
		if text := a.text(); strings.Contains(text, "round 1") || strings.Contains(text, "heard") || strings.Contains(text, "died") {
			t.Errorf("node %s:\n%s", a.n.name, text)
		}
	}
}

// What does not belong together is told so in one line, and nobody waits for it.
func TestStrangers(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	a := join(l.nodes[0], "2", idle, "--rdzv-id", "mine", "--node-rank", "0")
	a.says("1 of 2 nodes are here")
	for _, test := range []struct{ args, want string }{
		{"--nnodes 2 --rdzv-id other", "the agents at this endpoint are of another job (--rdzv-id differs)"},
		{"--nnodes 3 --rdzv-id mine", "the number of nodes does not match: --nnodes is 3 on node b and 2 on node a"},
		{"--nnodes 2 --rdzv-id mine --max-restarts 4", "--max-restarts is 4 on node b and 0 on node a"},
		{"--nnodes 2 --rdzv-id mine --node-rank 0", "two nodes claim node rank 0: a and b"},
	} {
		b := l.nodes[1].launch(append(strings.Fields("--rdzv-endpoint 10.77.0.1 "+test.args), "sh", "-c", idle)...)
		b.ends(1)
		if !strings.Contains(b.text(), "error: "+test.want) || strings.Count(b.text(), "\n") > 1 { // and a note, perhaps
			t.Errorf("%s:\n%s", test.args, b.text())
		}
	}
	// HTTP on either side.
	web := l.nodes[0].start("/usr/bin/python3", "-u", "-c", `
import http.server
class Quiet(http.server.BaseHTTPRequestHandler):
    def log_message(self, *a): pass
s = http.server.HTTPServer(("10.77.0.1", 8080), Quiet); print("serving"); s.serve_forever()`)
	web.says("serving")
	b := l.nodes[1].launch("--nnodes", "2", "--rdzv-endpoint", "10.77.0.1:8080", "sh", "-c", idle)
	b.ends(1)
	if !strings.Contains(b.text(), "what listens at 10.77.0.1:8080 speaks HTTP; it is no rendezvous") {
		t.Errorf("a web server:\n%s", b.text())
	}
	browser := l.nodes[1].start("/usr/bin/python3", "-c", `
import urllib.request, urllib.error
try: urllib.request.urlopen("http://10.77.0.1:29400/", timeout=30)
except urllib.error.HTTPError as e: print(e.code, e.read().decode())`)
	browser.ends(0)
	if !strings.Contains(browser.text(), "400 This is the rendezvous of nexus launch; it does not speak HTTP.") {
		t.Errorf("a browser:\n%s", browser.text())
	}
	a.says("speaks HTTP to the rendezvous and was sent away")
	// Nobody at all.
	b = l.nodes[1].launch("--nnodes", "2", "--rdzv-endpoint", "10.77.0.1:8081", "--rdzv-conf", "connect_timeout=3", "sh", "-c", idle)
	b.ends(1)
	if !strings.Contains(b.text(), "error: nobody answers at 10.77.0.1:8081: connection refused") {
		t.Errorf("a wrong endpoint:\n%s", b.text())
	}
	// The right one is taken in after all that.
	b = l.nodes[1].launch("--nnodes", "2", "--rdzv-endpoint", "10.77.0.1", "--rdzv-id", "mine", "--node-rank", "1", "sh", "-c", idle)
	b.says("rank 1 of 2 on b")
	a.says("rank 0 of 2 on a")
}

// Whichever node a worker fails on, all restart within one budget, and in the end every node tells who it was.
func TestFailsElsewhere(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	logs := t.TempDir()
	agents := meet(l, "2", `echo "round $NEXUS_ROUND: rank $RANK"; if [ $RANK = 2 ]; then sleep 0.2; seq 30; exit 7; fi; exec sleep 1000`,
		"--nproc-per-node", "2", "--max-restarts", "1", "--log-dir", logs)
	for _, a := range agents {
		a.ends(7)
		if !strings.Contains(a.text(), "error: rank 2 on node ") || !strings.Contains(a.text(), " exited with code 7; no restart is left") ||
			!strings.Contains(a.text(), "round 1: rank") || strings.Contains(a.text(), "round 2") {
			t.Errorf("node %s:\n%s", a.n.name, a.text())
		}
		// Its last lines are told on every node, though it ran on one.
		told := regexp.MustCompile(`(?m)^  the only worker that failed: at .* on node [ab], .* into round 1, process \d+\n` +
			`  its last 20 lines follow; its output is in .*/story/attempt_1/2/stderr.log\n  \| 11\n(  \| \d+\n){18}  \| 30$`)
		if !told.MatchString(a.text()) {
			t.Errorf("node %s does not tell the last lines:\n%s", a.n.name, a.text())
		}
	}
	if told := agents[0].text() + agents[1].text(); strings.Count(told, "[nexus]   the only worker that failed: at ") != 1 || strings.Count(told, "[nexus]   | 30") != 1 {
		t.Errorf("the first failure's last lines are to be told on its node:\n%s", told)
	}
	for rank := range 4 { // the nodes share the directory
		text, err := os.ReadFile(filepath.Join(logs, "story", "attempt_1", strconv.Itoa(rank), "stdout.log"))
		if want := fmt.Sprintf("round 1: rank %d\n", rank); err != nil || !strings.HasPrefix(string(text), want) {
			t.Errorf("the log of rank %d is %q, %v", rank, text, err)
		}
	}
}

// Real PyTorch trains on three nodes over the interface that joins them; the node with the store dies in the middle
// of an all-reduce, and the two that are left end the work.
func TestPyTorchLosesTheStoresHost(t *testing.T) {
	t.Parallel()
	if out, err := exec.Command("/usr/bin/python3", "-c", "import torch.distributed").CombinedOutput(); err != nil {
		if os.Getenv("CI") == "true" {
			t.Fatalf("PyTorch is missing, install python3-torch: %v\n%s", err, out)
		}
		t.Skip("NOT RUN: there is no PyTorch (python3-torch) here")
	}
	script, err := filepath.Abs("testdata/ddp.py")
	if err != nil {
		t.Fatal(err)
	}
	l := newLAN(t, 3)
	var agents []*launched
	for _, n := range l.nodes {
		agents = append(agents, n.launch("--nnodes", "2:3", "--rdzv-endpoint", l.nodes[0].addr, "--rdzv-conf", "last_call_timeout=60", "--no-python", "/usr/bin/python3", script, t.TempDir()))
	}
	for _, a := range agents {
		a.says("round 0 trains on 3")
	}
	agents[0].kill()
	for _, a := range agents[1:] {
		a.says("round 1 trains on 2")
		a.ends(0)
		if !strings.Contains(a.text(), "the ranks agree") {
			t.Errorf("node %s:\n%s", a.n.name, a.text())
		}
	}
}

// sleepers counts the idle workers in a node's namespace.
func sleepers(t *testing.T, n *node) (count int) {
	t.Helper()
	out, err := exec.Command("ip", "netns", "pids", n.space()).Output()
	if err != nil {
		t.Fatal(err)
	}
	for _, pid := range strings.Fields(string(out)) {
		if _, err := strconv.Atoi(pid); err != nil {
			continue
		}
		if line, _ := os.ReadFile("/proc/" + pid + "/cmdline"); strings.HasPrefix(string(line), "sleep\x001000") {
			count++
		}
	}
	return count
}
