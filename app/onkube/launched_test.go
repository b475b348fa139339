package onkube

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/nexus"
	"ainexus.io/proc"
	"ainexus.io/proc/netnstest"
)

// envWorker has the test's program be a worker.
const envWorker = "KUBETEST_WORKER"

// train is a worker: it says who it is, saves when it is told to stop, and in its second attempt rank 1 fails.
func train() {
	rank, dir := os.Getenv("RANK"), os.Getenv("NEXUS_CHECKPOINT_PATH")
	attempt := os.Getenv("NEXUS_ATTEMPT")[strings.LastIndexByte(os.Getenv("NEXUS_ATTEMPT"), '/')+1:]
	told := make(chan os.Signal, 1)
	signal.Notify(told, syscall.SIGTERM)
	who := fmt.Sprintf("%s of %s, node %s of %s, by %s", rank, os.Getenv("WORLD_SIZE"), os.Getenv("GROUP_RANK"), os.Getenv("GROUP_WORLD_SIZE"), os.Getenv("MASTER_ADDR"))
	if err := os.WriteFile(filepath.Join(dir, "worker-"+attempt+"-"+rank), []byte(who), 0o600); err != nil {
		panic(err)
	}
	if attempt == "2" && rank == "1" {
		os.Exit(7)
	}
	<-told
	if rank == "0" {
		number, _ := strconv.Atoi(attempt)
		data, path := []byte("parameters"), filepath.Join(dir, "step.ckpt")
		sum := sha256.Sum256(data)
		leave(path, data)
		manifest, _ := json.Marshal(nexus.Manifest{Epoch: nexus.Epoch{Attempt: number}, Step: 41, WorldSize: 2,
			Files: []nexus.ManifestFile{{Name: "step.ckpt", Size: int64(len(data)), SHA256: hex.EncodeToString(sum[:])}}})
		leave(path+nexus.ManifestSuffix, manifest)
		ack, _ := json.Marshal(nexus.Ack{Attempt: os.Getenv("NEXUS_ATTEMPT"), Step: 41, Path: path})
		leave(os.Getenv("NEXUS_ACK_FILE"), ack)
	}
	os.Exit(0)
}

func leave(path string, data []byte) {
	if err := os.WriteFile(path+".new", data, 0o600); err != nil {
		panic(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		panic(err)
	}
}

// What the containers of a NexusJob's pods are told to run is run: exactly the command and the environment that the API server
// has, each pod with a network, processes, a host name and a /dev of its own, and the program where the init container would have
// left it. The two meet, train, save when their Job is deleted, and leave their last words, which the test puts into the
// status of their pods as a kubelet would. No container runtime and no GPU had a part in it.
func TestKubePodsRunWhatTheyAreTold(t *testing.T) {
	lan := newPods(t)
	plane := kubetest.Start(t)
	plane.Namespace(t, "real")
	for _, n := range []string{"n1", "n2"} {
		plane.AddNode(t, kubetest.Node{Name: n, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559, Labels: map[string]string{"pool": "real"}})
	}
	c := cluster{t: t, plane: plane, space: "real", agents: plane.Agents(t, "real"), watched: &watched{reasons: map[string]nexus.Reason{}}}
	c.controller = startController(t, plane, storyOptions("real"), c.watched)
	t.Cleanup(func() { plane.Kubectl("delete", "nexusjobs", "--all", "--namespace=real", "--wait=false") })

	c.agents.Play("net", kubetest.Script{Elsewhere: true})
	c.document(fmt.Sprintf(`
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: net}
spec:
  nodes: 2
  workers: 1
  priority: low
  workdir: %s
  resources: {gpus: 8}
  env: {%s: "1", PRICE: "$(HOME)"}
  checkpoint: {path: ckpt, grace: 60s}
  restart: {max: 1, "on": [exit, node, preempt]}
  run: [%s]
`, lan.dir, envWorker, os.Args[0]))
	c.phase("net", nexus.Running)
	first := lan.run(c, 1)
	lan.worker("1-0", "0 of 2, node 0 of 2, by 10.78.0.1")
	lan.worker("1-1", "1 of 2, node 1 of 2, by 10.78.0.1")
	c.job("urgent", 2, 8, "  priority: high")
	c.phase("net", nexus.Stopping)
	for _, p := range first {
		p.term()
	}
	for _, p := range first {
		p.ended(c)
	}
	c.phase("urgent", nexus.Running)
	o, err := c.get("net")
	if err != nil {
		t.Fatal(err)
	}
	if k := o.Status.Checkpoint; k == nil || k.Attempt != 1 || k.Step != 41 || k.Path != filepath.Join(lan.dir, "ckpt", "step.ckpt") || o.Status.Preemptions != 1 {
		t.Errorf("it made room with %+v, %+v", k, o.Status)
	}

	c.agents.Open("urgent")
	c.until("net", "in its second attempt", func(o object) bool { return o.Status.Phase == nexus.Running && o.Status.Attempt == 2 })
	for _, p := range lan.run(c, 2) {
		p.ended(c)
	}
	o = c.until("net", "charged", func(o object) bool { return o.Status.RestartsUsed == 1 })
	if r := o.Status.Result; r.Cause != nexus.CauseExit || r.Exit != 7 || !strings.HasPrefix(r.Message, "rank 1 on node n") || !strings.HasSuffix(r.Message, " exited with code 7") {
		t.Errorf("its second attempt ended with %+v", r)
	}
}

// pods is where pods run in a test: two namespaces with a wire between them.
type pods struct {
	t      *testing.T
	dir    string // the job's working directory, which both see
	binary string // nexus
	spaces [2]string
}

func newPods(t *testing.T) *pods {
	t.Helper()
	spaces := netnstest.Pair(t, "nexuspod")
	if _, err := exec.LookPath("unshare"); err != nil {
		t.Fatal("unshare is missing: install util-linux (scripts/setup.sh)")
	}
	l := &pods{t: t, spaces: spaces, dir: t.TempDir(), binary: filepath.Join(t.TempDir(), "nexus")}
	if err := os.Mkdir(filepath.Join(l.dir, "ckpt"), 0o700); err != nil {
		t.Fatal(err)
	}
	build := exec.Command("go", "build", "-o", l.binary, "ainexus.io/cmd/nexus")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return l
}

// worker waits until a worker has said who it is.
func (l *pods) worker(name, want string) {
	l.t.Helper()
	path := filepath.Join(l.dir, "ckpt", "worker-"+name)
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		text, err := os.ReadFile(path)
		if err == nil && string(text) == want {
			return
		}
		if time.Now().After(end) {
			l.t.Fatalf("worker %s says %q, %v; want %q", name, text, err, want)
		}
	}
}

// pod is one that runs.
type pod struct {
	name string
	cmd  *exec.Cmd
	out  *lines
	log  string // its termination log
	once sync.Once
}

// inPod makes what a container has of its own: a host name, a /dev with a termination log, names of the pods, and the program.
const inPod = `set -e
hostname "$1"
mkdir "$2/old" && mount --rbind /dev "$2/old" && mount -t tmpfs none /dev
for n in null zero full random urandom; do touch /dev/$n; mount --bind "$2/old/$n" /dev/$n; done
ln -s /proc/self/fd /dev/fd
touch /dev/termination-log && mount --bind "$2/log" /dev/termination-log
mount --bind "$2/hosts" /etc/hosts
mount -t tmpfs none /opt && mkdir /opt/nexus && cp "$3" /opt/nexus/nexus
cd "$4"
shift 4
exec "$@"
`

// run starts the containers of an attempt.
func (l *pods) run(c cluster, attempt int) []*pod {
	l.t.Helper()
	var list struct {
		Items []struct {
			Metadata struct {
				Name        string
				Annotations map[string]string
			}
			Spec struct {
				Hostname, Subdomain, NodeName string
				Containers                    []struct {
					Command    []string
					WorkingDir string
					Env        []struct {
						Name, Value string
						ValueFrom   *struct{ FieldRef *struct{ FieldPath string } }
					}
				}
			}
		}
	}
	text := c.plane.Kubectl("get", "pods", "--namespace="+c.space, "-l", "ainexus.io/job=net,ainexus.io/attempt="+fmt.Sprint(attempt), "-o", "json")
	if err := json.Unmarshal([]byte(text), &list); err != nil || len(list.Items) != 2 {
		l.t.Fatalf("%d pods, %v", len(list.Items), err)
	}
	hosts := "127.0.0.1 localhost\n"
	for _, item := range list.Items { // what the cluster's DNS would say
		index, _ := strconv.Atoi(item.Metadata.Annotations["batch.kubernetes.io/job-completion-index"])
		hosts += fmt.Sprintf("10.78.0.%d %s.%s %s\n", index+1, item.Spec.Hostname, item.Spec.Subdomain, item.Spec.Hostname)
	}
	var running []*pod
	for _, item := range list.Items {
		index, _ := strconv.Atoi(item.Metadata.Annotations["batch.kubernetes.io/job-completion-index"])
		own, container := l.t.TempDir(), item.Spec.Containers[0]
		p := &pod{name: item.Metadata.Name, out: &lines{}, log: filepath.Join(own, "log")}
		for name, text := range map[string]string{"log": "", "hosts": hosts} {
			if err := os.WriteFile(filepath.Join(own, name), []byte(text), 0o666); err != nil {
				l.t.Fatal(err)
			}
		}
		command := slices.Clone(container.Command)
		for i := range command { // as the kubelet
			command[i] = strings.ReplaceAll(command[i], "$$(", "$(")
		}
		p.cmd = exec.Command("ip", slices.Concat([]string{"netns", "exec", l.spaces[index], "unshare", "--mount", "--pid", "--uts", "--fork", "--kill-child", "--mount-proc",
			"sh", "-c", inPod, "sh", item.Spec.Hostname, own, l.binary, container.WorkingDir}, command)...)
		p.cmd.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
		for _, e := range container.Env {
			switch {
			case e.ValueFrom == nil:
			case e.Name == "JOB_COMPLETION_INDEX":
				e.Value = fmt.Sprint(index)
			case e.Name == "NEXUS_NODE":
				e.Value = item.Spec.NodeName
			default:
				l.t.Fatalf("%s is from %+v", e.Name, e.ValueFrom)
			}
			p.cmd.Env = append(p.cmd.Env, e.Name+"="+strings.ReplaceAll(e.Value, "$$(", "$("))
		}
		p.cmd.Stdout, p.cmd.Stderr = p.out, p.out
		if err := p.cmd.Start(); err != nil {
			l.t.Fatal(err)
		}
		l.t.Cleanup(func() {
			_ = p.cmd.Process.Kill() // where the test failed
			p.once.Do(func() { _ = p.cmd.Wait() })
			if l.t.Failed() {
				l.t.Logf("pod %s said:\n%s", p.name, p.out)
			}
		})
		running = append(running, p)
	}
	return running
}

// term asks the container to end, as the kubelet does: its first process.
func (p *pod) term() {
	for _, pid := range proc.ChildrenOf(p.cmd.Process.Pid) { // ip has become unshare, whose child is the container's first process
		_ = syscall.Kill(pid, syscall.SIGTERM)
	}
}

// ended waits for the end of the container and has the API server know it.
func (p *pod) ended(c cluster) {
	c.t.Helper()
	p.once.Do(func() { _ = p.cmd.Wait() }) // its exit code is what counts
	words, err := os.ReadFile(p.log)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Logf("pod %s ended with %d: %s", p.name, p.cmd.ProcessState.ExitCode(), words)
	if err := c.agents.End(context.Background(), p.name, p.cmd.ProcessState.ExitCode(), string(words)); err != nil {
		c.t.Error(err)
	}
}
