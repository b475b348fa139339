package nodetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"ainexus.io/cluster/kube/kubetest"
)

const pauseImage = "localhost/pause:1"

// Start starts a node, which is Ready when it returns and holds the images. It ends with t.
func (w *World) Start(t testing.TB, plane *kubetest.Plane, name string, images ...Image) {
	t.Helper()
	w.nodes++
	if w.nodes == 1 {
		serveDNS(t, plane, own)
	}
	n := &node{t: t, world: w, plane: plane, name: name, number: w.nodes + 1, dir: filepath.Join(w.dir, name)}
	for _, sub := range []string{"cni", "kubelet", "logs"} {
		n.check(os.MkdirAll(filepath.Join(n.dir, sub), 0o755))
	}
	n.check(makeGroups(filepath.Join(w.name, name)))
	n.startContainerd()
	n.load(append(images, Image{Name: pauseImage, Files: map[string]string{"/pause": w.Path("pause")}, Run: []string{"/pause"}}))
	n.startKubelet()
}

// node is one kubelet and its containerd.
type node struct {
	t      testing.TB
	world  *World
	plane  *kubetest.Plane
	name   string
	number int
	dir    string
}

func (n *node) check(err error) {
	n.t.Helper()
	if err != nil {
		n.t.Fatalf("node %s: %v", n.name, err)
	}
}

func (n *node) write(name, text string) string {
	n.t.Helper()
	path := filepath.Join(n.dir, name)
	n.check(os.WriteFile(path, []byte(text), 0o600))
	return path
}

// address is the node's own.
func (n *node) address() string { return fmt.Sprintf("%s0.%d", network, n.number) }

func (n *node) socket() string { return filepath.Join(n.dir, "c.sock") }

func (n *node) startContainerd() {
	n.t.Helper()
	n.write("cni/net.conflist", fmt.Sprintf(`{"cniVersion": "0.4.0", "name": %q, "plugins": [{
  "type": "bridge", "bridge": %q, "ipam": {"type": "host-local", "dataDir": "/run/addresses",
  "ranges": [[{"subnet": "%s0.0/%s", "rangeStart": "%s%d.2", "rangeEnd": "%s%d.254"}]]}}]}`,
		n.name, bridge, network, prefix, network, n.number, network, n.number))
	config := n.write("containerd.toml", fmt.Sprintf(`version = 2
root = %q
state = %q
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs",
  "io.containerd.snapshotter.v1.devmapper", "io.containerd.internal.v1.opt"]
[grpc]
  address = %q
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = %q
  restrict_oom_score_adj = true
  disable_apparmor = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "native"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        SystemdCgroup = false
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = %q
    conf_dir = %q
`, filepath.Join(n.dir, "containerd"), filepath.Join("/run", n.name), n.socket(), pauseImage, n.world.tools.plugins, filepath.Join(n.dir, "cni")))
	n.plane.Run(n.name+"-containerd", n.world.tools.containerd, "--config", config)
	n.plane.Until("containerd of "+n.name, func() error {
		if out, err := n.ctr("version"); err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

func (n *node) ctr(args ...string) (string, error) {
	out, err := exec.Command(n.world.tools.ctr, append([]string{"--address", n.socket(), "--namespace", "k8s.io"}, args...)...).CombinedOutput()
	return strings.TrimSpace(string(out)), err
}

// load puts images where the kubelet finds them.
func (n *node) load(images []Image) {
	n.t.Helper()
	for _, i := range images {
		file := filepath.Join(n.world.dir, strings.NewReplacer("/", "-", ":", "-").Replace(i.Name)+".tar")
		if _, err := os.Stat(file); err != nil { // another node has it too
			i.archive(n.t, file)
		}
		if out, err := n.ctr("images", "import", "--snapshotter", "native", file); err != nil {
			n.t.Fatalf("importing %s: %v: %s", i.Name, err, out)
		}
	}
}

func (n *node) startKubelet() {
	n.t.Helper()
	world := n.world
	if out, err := exec.Command("ip", "addr", "add", n.address()+"/"+prefix, "dev", bridge).CombinedOutput(); err != nil {
		n.t.Fatalf("ip addr add: %v: %s", err, out)
	}
	config := n.write("kubelet.yaml", fmt.Sprintf(`apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: %s
healthzPort: 0
authentication: {anonymous: {enabled: false}, webhook: {enabled: false}, x509: {clientCAFile: %q}}
authorization: {mode: AlwaysAllow}
containerRuntimeEndpoint: "unix://%s"
failCgroupV1: false
cgroupDriver: cgroupfs
cgroupRoot: "/%s/%s"
enforceNodeAllocatable: []
makeIPTablesUtilChains: false
oomScoreAdj: 0
failSwapOn: false
clusterDNS: [%s]
clusterDomain: %s
resolvConf: %q
podLogsDir: %q
volumePluginDir: %q
evictionHard: {memory.available: "1Mi", nodefs.available: "0%%", nodefs.inodesFree: "0%%", imagefs.available: "0%%", imagefs.inodesFree: "0%%"}
imageGCHighThresholdPercent: 100
localStorageCapacityIsolation: false
`, n.address(), n.plane.Authority(), n.socket(), world.name, n.name, own, domain, n.write("resolv.conf", ""),
		filepath.Join(n.dir, "logs"), filepath.Join(n.dir, "plugins")))
	n.plane.Run(n.name+"-kubelet", kubetest.Program(n.t, "kubelet"), "--config", config, "--root-dir", filepath.Join(n.dir, "kubelet"),
		"--cert-dir", filepath.Join(n.dir, "pki"), "--kubeconfig", n.plane.User("system:node:"+n.name, "system:nodes"),
		"--hostname-override", n.name, "--node-ip", n.address())
	n.plane.UntilReady(n.name)
}
