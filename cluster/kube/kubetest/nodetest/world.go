package nodetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"ainexus.io/cluster/kube/kubetest"
)

// World is where nodes live: namespaces and control groups of a test's own.
type World struct {
	t     testing.TB
	tools tools
	dir   string // for everything
	name  string // of its control groups
	nodes int
}

// The addresses of a world: the nodes' are 10.88.0.<number>, their pods' 10.88.<number>.*.
const (
	bridge  = "nexus0"
	network = "10.88."
	own     = network + "0.1" // of the test, which is also the cluster's DNS
	prefix  = "16"
)

// envWorld tells a test that it runs inside, and where: "<directory>".
const envWorld = "KUBETEST_WORLD"

// namePrefix begins the names of directories and control groups; the process id of the test follows.
const namePrefix = "nexus-kubelet-"

// tools are the programs that nodes need beside the kubelet.
type tools struct{ containerd, ctr, busybox, plugins string }

// findTools finds them, or says which Debian package has what is missing.
func findTools() (t tools, missing string) {
	for _, p := range []struct {
		name, in string
		path     *string
	}{
		{"containerd", "containerd", &t.containerd}, {"ctr", "containerd", &t.ctr}, {"runc", "runc", new(string)},
		{"busybox", "busybox-static", &t.busybox}, {"ip", "iproute2", new(string)},
	} {
		path, err := exec.LookPath(p.name)
		if err != nil {
			return t, fmt.Sprintf("there is no %s; Debian's package is %s (scripts/setup.sh)", p.name, p.in)
		}
		*p.path = path
	}
	for _, dir := range []string{"/usr/lib/cni", "/opt/cni/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "bridge")); err == nil {
			t.plugins = dir
			return t, ""
		}
	}
	return t, "there is no CNI plugin bridge; Debian's package is containernetworking-plugins (scripts/setup.sh)"
}

// Enter runs the test again inside a new world and returns nil when that has ended; inside it returns the world. Outside,
// where there is still a network, prepare makes what the test needs in the world's directory. Where the machine allows no
// real kubelet the test is skipped.
func Enter(t *testing.T, prepare func(t *testing.T, w *World)) *World {
	t.Helper()
	tools, missing := findTools()
	if dir := os.Getenv(envWorld); dir != "" {
		w := &World{t: t, tools: tools, dir: dir, name: filepath.Base(dir)}
		if err := w.furnish(); err != nil {
			t.Fatalf("furnishing a world for nodes: %v", err)
		}
		return w
	}
	if why := impossible(); why != "" {
		t.Skip("NOT RUN: real kubelet: " + why)
	}
	if missing != "" && os.Getenv("CI") == "true" {
		t.Fatal(missing)
	}
	if missing != "" {
		t.Skip("NOT RUN: real kubelet: " + missing)
	}
	for _, program := range []string{"kubelet", "kube-apiserver"} { // no world is needed to find that they were not built
		kubetest.Program(t, program)
	}
	sweep(t)
	name := namePrefix + strconv.Itoa(os.Getpid())
	w := &World{t: t, tools: tools, dir: filepath.Join(os.TempDir(), name), name: name}
	if err := os.Mkdir(w.dir, 0o711); err != nil {
		t.Fatal(err)
	}
	leave := w.attend()
	defer leave()
	if err := makeGroups(w.name); err != nil {
		t.Fatalf("making control groups: %v", err)
	}
	w.Build("pause", "", "ainexus.io/cluster/kube/kubetest/nodetest/pause")
	prepare(t, w)
	inside := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.count=1", "-test.timeout="+limit(t))
	inside.Env = append(os.Environ(), envWorld+"="+w.dir, "TMPDIR="+w.dir)
	out, err := runInside(inside)
	t.Logf("inside:\n%s", out)
	if err != nil {
		t.Errorf("inside: %v", err)
	}
	return nil
}

// Busybox is the path of a static program that is a shell and all that one calls, for images.
func (w *World) Busybox() string { return w.tools.busybox }

// Path is where a file of that name lies in the world's directory.
func (w *World) Path(name string) string { return filepath.Join(w.dir, name) }

// attend has a shell outside wait for the end of this process, however it comes, and then remove what namespaces do not
// take along. What it returns has it do so now.
func (w *World) attend() func() {
	w.t.Helper()
	c := exec.Command("/bin/sh", "-c", clearing, "clearing", w.name, w.dir)
	c.SysProcAttr = ownSession()
	pipe, err := c.StdinPipe()
	if err != nil {
		w.t.Fatal(err)
	}
	var said strings.Builder
	c.Stdout, c.Stderr = &said, &said
	if err := c.Start(); err != nil {
		w.t.Fatal(err)
	}
	return func() {
		w.t.Helper()
		pipe.Close()
		if err := c.Wait(); err != nil {
			w.t.Errorf("clearing up: %v\n%s", err, said.String())
		}
	}
}

// clearing waits for the end of its input, then for the last process of the control groups $1, and removes them and $2.
// The kernel takes a moment to end what lived in the namespaces.
const clearing = `read _
tries=0
while
	left=
	for group in ` + groupRoot + `/*/"$1"; do
		[ -d "$group" ] || continue
		find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
		if [ -d "$group" ]; then left=$group; fi
	done
	[ -n "$left" ]
do
	tries=$((tries + 1))
	if [ $tries -gt 300 ]; then
		echo "$left does not go away: processes $(find "$left" -name cgroup.procs -exec cat {} + | tr '\n' ' ')"
		exit 1
	fi
	sleep 0.1
done
rm -rf "$2"
`

// sweep removes what tests left that were killed together with their shells.
func sweep(t testing.TB) {
	t.Helper()
	left, _ := filepath.Glob(filepath.Join(groupRoot, "*", namePrefix+"*"))
	dirs, _ := filepath.Glob(filepath.Join(os.TempDir(), namePrefix+"*"))
	seen := map[string]bool{}
	for _, path := range append(left, dirs...) {
		name := filepath.Base(path)
		pid, err := strconv.Atoi(strings.TrimPrefix(name, namePrefix))
		if err != nil || seen[name] || lives(pid) {
			continue
		}
		seen[name] = true
		if out, err := exec.Command("/bin/sh", "-c", clearing, "clearing", name, filepath.Join(os.TempDir(), name)).CombinedOutput(); err != nil {
			t.Logf("clearing up after test %d: %v\n%s", pid, err, out)
		}
	}
}

// limit is for how long the test inside may run: a little less than the one outside.
func limit(t *testing.T) string {
	end, ok := t.Deadline()
	if !ok {
		return "0"
	}
	return fmt.Sprint(remaining(end))
}
