package netnstest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// Pair makes two network namespaces with a cable between their eth0, at 10.78.0.1 and 10.78.0.2, for the time of a test, and gives their
// names, which begin with the prefix; they are files of /run/netns. It skips the test where that is not allowed, but not in CI.
func Pair(t testing.TB, prefix string) (names [2]string) {
	t.Helper()
	if os.Getuid() != 0 {
		if os.Getenv("CI") == "true" {
			t.Fatal("CI is root: network namespaces are not to be skipped there")
		}
		t.Skip("NOT RUN: network namespaces need root")
	}
	if _, err := exec.LookPath("ip"); err != nil {
		t.Fatal("ip is missing: install iproute2 (scripts/setup.sh)")
	}
	ip := func(args ...string) {
		t.Helper()
		if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
			t.Fatalf("ip %s: %v: %s", strings.Join(args, " "), err, out)
		}
	}
	for i := range names {
		names[i] = fmt.Sprintf("%s-%d-%d", prefix, os.Getpid(), i)
		ip("netns", "add", names[i])
		t.Cleanup(func() { ip("netns", "del", names[i]) })
	}
	ip("link", "add", "eth0", "netns", names[0], "type", "veth", "peer", "name", "eth0", "netns", names[1])
	for i, name := range names {
		ip("-n", name, "addr", "add", fmt.Sprintf("10.78.0.%d/24", i+1), "dev", "eth0")
		ip("-n", name, "link", "set", "eth0", "up")
		ip("-n", name, "link", "set", "lo", "up")
	}
	return names
}
