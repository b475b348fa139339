package cli_test

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The names of these tests differ in their first letters: their namespaces are called after those (lan_test.go).

// checkGang runs the check on all nodes and returns what each printed, after its remarks.
func checkGang(l *lan, code int) (reports []string) {
	l.t.Helper()
	var checks []*launched
	for i, n := range l.nodes {
		checks = append(checks, n.start(filepath.Join(built, "nexus"), "doctor", "--gang", "--nnodes", fmt.Sprint(len(l.nodes)),
			"--rdzv-endpoint", l.nodes[0].addr, "--node-rank", fmt.Sprint(i), "--limit", "90s"))
	}
	for _, c := range checks {
		c.ends(code)
		_, report, _ := strings.Cut(c.text(), "NODE ")
		reports = append(reports, report)
	}
	for i, report := range reports {
		if report != reports[0] {
			l.t.Errorf("node %s was told another report than node a:\n%s\n%s", l.nodes[i].name, report, reports[0])
		}
	}
	return reports
}

// Nothing is in the way between nodes that are well; then one of their cables is slow, and it is named.
func TestGangSlowLink(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	report := checkGang(l, 0)[0]
	for _, want := range []string{"a - b", "a - c", "b - c", "all ", "bit/s"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
	if strings.Contains(report, "fail") {
		t.Errorf("something is in the way:\n%s", report)
	}
	l.nodes[2].slow("20mbit")
	report = checkGang(l, 1)[0]
	if !strings.Contains(report, "fail  the link of node c is slow: ") || strings.Count(report, "is slow") != 1 {
		t.Errorf("the slow link is not named, or not alone:\n%s", report)
	}
}

// A port that is blocked between two nodes is named with both, and what does not need it is measured; a node that is cut off
// from one other is told so by all.
func TestGangBlockedPort(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	// The second node's own rules keep it from the third's store port, and the third's from all of the second.
	l.ip("-n", l.nodes[1].space(), "rule", "add", "to", l.nodes[2].addr, "ipproto", "tcp", "dport", "29500", "prohibit")
	report := checkGang(l, 1)[0]
	if !strings.Contains(report, "fail  node b does not reach port 29500 of node c (10.77.0.3)") || !strings.Contains(report, "hint: open TCP port 29500 on node c") {
		t.Errorf("the port is not named:\n%s", report)
	}
	if strings.Contains(report, "they do not reach each other") || strings.Count(report, "fail") != 1 {
		t.Errorf("more is in the way than there is:\n%s", report)
	}
	l.ip("-n", l.nodes[2].space(), "route", "add", "blackhole", l.nodes[1].addr+"/32")
	report = checkGang(l, 1)[0]
	for _, want := range []string{"fail  node b reaches no port of node c", "fail  node c reaches no port of node b", "they do not reach each other", "a - b", "a - c"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
}

// The store's port may be blocked too: the report takes another way, and says so.
func TestGangStoresPort(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 2)
	for _, ports := range []string{"29500", "32768-60999"} {
		l.ip("-n", l.nodes[1].space(), "rule", "add", "to", l.nodes[0].addr, "ipproto", "tcp", "dport", ports, "prohibit")
	}
	report := checkGang(l, 1)[0]
	for _, want := range []string{"fail  node b does not reach port 29500 of node a", "open net.ipv4.ip_local_port_range of node a"} {
		if !strings.Contains(report, want) {
			t.Errorf("no %q in\n%s", want, report)
		}
	}
}

// A node that dies in the middle ends the check on all others, with a sentence, and nobody waits for its turn.
func TestGangLosesANode(t *testing.T) {
	t.Parallel()
	l := newLAN(t, 3)
	var checks []*launched
	for i, n := range l.nodes {
		checks = append(checks, n.start(filepath.Join(built, "nexus"), "doctor", "--gang", "--nnodes", "3",
			"--rdzv-endpoint", l.nodes[0].addr, "--node-rank", fmt.Sprint(i), "--limit", "90s"))
	}
	checks[0].says("measuring pairs")
	checks[2].kill()
	for _, c := range checks[:2] {
		c.ends(1)
		if !strings.Contains(c.text(), "error: a node was lost in the middle of the check") {
			t.Errorf("node %s says\n%s", c.n.name, c.text())
		}
	}
}

// What is said wrongly is refused in one line, and nobody waits.
func TestGangRefuses(t *testing.T) {
	t.Parallel()
	for args, want := range map[string]string{
		"--gang":                                "one node is no gang",
		"--gang --nnodes 2:4 --rdzv-endpoint h": "--nnodes 2:4: a check needs to know how many nodes to wait for",
		"--nnodes 2":                            "belong to --gang",
		"--gang --nccl":                         "two questions",
	} {
		cmd := exec.Command(filepath.Join(built, "nexus"), append([]string{"doctor"}, strings.Fields(args)...)...)
		out, err := cmd.CombinedOutput()
		if err == nil || !strings.Contains(string(out), "error: ") || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s", args, err, out)
		}
	}
}
