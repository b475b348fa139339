//go:build linux

package cli_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ainexus.io/app"
	"ainexus.io/cluster/kube/kubetest"
)

// ann is a user of a cluster at her own machine, where no daemon runs: she has the rights of user-role.yaml in one
// namespace, and the program.
type ann struct {
	t          *testing.T
	home       string
	kubeconfig string
}

// nexus runs a command and wants its exit code and a pattern in what it printed.
func (a ann) nexus(code int, want string, args ...string) string {
	a.t.Helper()
	return a.with("", code, want, args...)
}

func (a ann) command(args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(built, "nexus"), args...)
	cmd.Dir = a.home
	cmd.Env = []string{"HOME=" + a.home, "KUBECONFIG=" + a.kubeconfig, "PATH=" + os.Getenv("PATH"), "NEXUS_STATE=" + filepath.Join(a.home, "state")}
	return cmd
}

func (a ann) with(in string, code int, want string, args ...string) string {
	a.t.Helper()
	cmd := a.command(args...)
	cmd.Stdin = strings.NewReader(in)
	out, err := cmd.CombinedOutput()
	if cmd.ProcessState.ExitCode() != code || !regexp.MustCompile("(?m)"+want).Match(out) {
		a.t.Fatalf("nexus %s: %v, wanted exit code %d and %q:\n%s", strings.Join(args, " "), err, code, want, out)
	}
	return string(out)
}

// until runs a command again and again until its output matches.
func (a ann) until(want string, args ...string) {
	a.t.Helper()
	pattern := regexp.MustCompile("(?m)" + want)
	for end := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		out, err := a.command(args...).CombinedOutput()
		if pattern.Match(out) {
			return
		}
		if time.Now().After(end) {
			a.t.Fatalf("nexus %s never says %q: %v\n%s", strings.Join(args, " "), want, err, out)
		}
	}
}

// submit submits a job file and returns the id that it got.
func (a ann) submit(document string, args ...string) string {
	a.t.Helper()
	return strings.TrimSpace(a.with(document, 0, `^[a-z0-9-]+$`, append([]string{"submit", "-", "-o", "name"}, args...)...))
}

// The same commands on a cluster: a real control plane, the program as its users run it, without a daemon. Nodes are
// played by kwok; what pods do and print is played by the test.
func TestCommandsSpeakToACluster(t *testing.T) {
	t.Parallel()
	plane := kubetest.Start(t)
	plane.Namespace(t, "team")
	for _, name := range []string{"n1", "n2"} {
		plane.AddNode(t, kubetest.Node{Name: name, CPUs: 32, Memory: 256, GPUs: 4, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559})
	}
	agents := plane.Agents(t, "team")
	controller, err := app.NewController(app.ControllerOptions{Kubeconfig: plane.Kubeconfig, Image: "none", LauncherImage: "none", Backoff: 100 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	controller.Start()
	t.Cleanup(func() {
		if err := controller.Stop(); err != nil {
			t.Error(err)
		}
	})
	plane.Kubectl("apply", "-f", "../deploy/manifests/user-role.yaml")
	plane.Kubectl("create", "rolebinding", "ann", "--namespace=team", "--clusterrole=nexus-user", "--user=ann")
	plane.Kubectl("create", "clusterrolebinding", "ann", "--clusterrole=nexus-viewer", "--user=ann")
	a := ann{t: t, home: t.TempDir(), kubeconfig: plane.User("ann")}
	plane.Kubectl("config", "set-context", "x", "--namespace=team", "--kubeconfig="+a.kubeconfig)

	// Which cluster.
	a.nexus(0, `^\* +local +`, "context")
	a.nexus(2, `there is no context "kuba"`, "context", "use", "kuba")
	a.nexus(2, `names no cluster that can be reached`, "context", "use", "kube:y")
	a.nexus(0, `commands go to namespace team of the API server at `, "context", "use", "kube")
	a.nexus(0, `^kube$`, "context", "show")
	a.nexus(0, `^- +kube:x +namespace team at https`, "context", "list")
	a.nexus(3, `no daemon runs`, "--context", "local", "ps")

	// A job that runs, its output by rank, its end.
	train := a.submit("name: train_1\nnodes: 2\nresources: {gpus: 2}\nrun: python train.py\n")
	if !regexp.MustCompile(`^train-1-[a-z2-7]{6}$`).MatchString(train) {
		t.Errorf("its name is %s", train)
	}
	a.until(`^train_1 .* Running +4 `, "ps")
	agents.Say(train, 0, "[rank 0] loss 3", "a word of the launcher", "[rank 1] loss 4")
	agents.Say(train, 1, "[rank 2] loss 5")
	a.until(`^\[0\] loss 3\n\[node 0\] a word of the launcher\n\[1\] loss 4$`, "logs", "train_1")
	a.nexus(0, `^\[2\] loss 5$`, "logs", train)
	a.nexus(0, `\Aloss 5\n\z`, "logs", train, "--rank", "2")
	a.nexus(4, `has had 1 attempts`, "logs", train, "--attempt", "2")
	a.nexus(0, `^n1 +Ready +.* 1$`, "nodes")

	// One that waits, and why; held, released, moved down.
	waits := a.submit("name: big\nnodes: 2\nresources: {gpus: 4}\nrun: x\n", "--hold")
	a.until(`^ann holds it, and it waits until it is released$`, "why", "big")
	a.nexus(0, `big \(`+waits+`\) is released`, "release", "big")
	a.until(`others hold|waits for|does not fit|are free`, "why", "big")
	a.until(`^position in line: 1\nexpected to start: that cannot be known: those ahead of it have not said when they end \(max_duration\)(.|\n)*^as of 20.*, \d+s ago$`, "why", "big")
	a.nexus(0, `has priority low`, "prio", waits, "low")
	a.until(`^big +training +low +Pending`, "ps")
	a.nexus(5, `only what waits can be held`, "hold", "train_1")

	// Follow both to the end: attach shows the first one's last words, wait gives the second one's exit code.
	var attached bytes.Buffer
	attach := a.command("attach", train)
	attach.Stdout, attach.Stderr = &attached, &attached
	if err := attach.Start(); err != nil {
		t.Fatal(err)
	}
	agents.Say(train, 1, "[rank 3] last words")
	a.until(`last words`, "logs", train)
	agents.Play(train, kubetest.Script{})
	if err := attach.Wait(); err != nil || !strings.Contains(attached.String(), "[3] last words") || !strings.Contains(attached.String(), "train_1 succeeded") {
		t.Errorf("attach: %v\n%s", err, attached.String())
	}
	a.until(`^big .* Running +8 `, "ps")
	agents.Play(waits, kubetest.Script{Exit: 7})
	a.nexus(7, `big failed: `, "wait", waits)
	a.nexus(0, `^train_1 +.* Succeeded`, "ps", "-a")
	a.nexus(124, `not over after`, "wait", a.submit("name: long\nrun: x\n", "--key", "k"), "--timeout", "100ms")
	if first, again := a.submit("name: long\nrun: x\n", "--key", "k"), a.submit("name: long\nrun: x\n", "--key", "k"); first != again {
		t.Errorf("a key made %s and %s", first, again)
	}
	a.nexus(0, `long \(long-[a-z2-7]{6}\) is stopping`, "cancel", "long")
	a.nexus(130, `long was cancelled`, "wait", "long")

	arraysAreOneThing(a, plane, agents)
	codeIsUploaded(a, plane)
	commandsRunInPods(a, plane)

	// Queues are for who may change them.
	a.nexus(0, `^default +`, "queues")
	a.with("name: research\nquota: [{gpus: 8}]\n", 5, `cannot create resource "nexusqueues"`, "queues", "apply", "-")
	root := ann{t: t, home: t.TempDir(), kubeconfig: plane.Kubeconfig}
	root.with("name: research\nquota: [{gpus: 8}]\n", 0, `queue research is created`, "--context", "kube", "queues", "apply", "-")
	root.with("name: research\nquota: [{gpus: 8}]\n", 0, `queue research is unchanged`, "--context", "kube", "queues", "apply", "-")
	root.with("name: research\nquota: [{gpus: 4}]\n", 0, `queue research is changed`, "--context", "kube", "queues", "apply", "-")
	a.nexus(0, `^research +- +0 +0 +0 +4`, "queues")
	root.nexus(0, `queue research is deleted`, "--context", "kube", "queues", "delete", "research")

	// What makes no sense here says so in a line with a hint.
	for _, args := range [][]string{{"requeue", "big"}, {"checkpoints", "big"}, {"history"}, {"open"}} {
		a.nexus(5, `^error: .*\nhint: `, args...)
	}
	a.with("run: x\n", 5, `only the controller`, "submit", "--dry-run", "-")
	a.with("run: x\nenv: {T: {from: file:/etc/hosts}}\n", 2, `pods cannot read file:/etc/hosts`, "submit", "-")
	a.with("run: x\nafter: [{job: nobody}]\n", 4, `there is no job "nobody" in namespace team to wait for`, "submit", "-")
	a.with("run: x\nafter: [{job: long}]\n", 5, `has to succeed first, and it is over: Cancelled`, "submit", "-")
	then := a.submit("name: then\nrun: x\nafter: [{job: train_1}, {job: long, on: any}]\n")
	a.until(`^then .* Running `, "ps")
	next := a.submit("name: next\nrun: x\nafter: [{job: then}]\n")
	a.until(`^job team/`+then+` has to succeed first$|waits for .*`+then, "why", "next")
	a.nexus(0, `is stopping`, "cancel", "then")
	a.nexus(130, `next`, "wait", next)
	a.until(`job `+then+` had to succeed first, and ended as Cancelled`, "why", next)
	a.with("name: saves\nnodes: 2\nrun: x\ncheckpoint: {path: /ckpt}\n", 0, `notice: checkpoint.path /ckpt is on no volume that is shared`, "submit", "-")
	a.until(`^checkpoint.path /ckpt is on no volume`, "why", "saves")
	a.with("name: safe\nnodes: 2\nrun: x\ncheckpoint: {path: /ckpt/run}\nvolumes: [{pvc: data, path: /ckpt}]\n", 0, `\Asubmitted safe`, "submit", "-")
	a.nexus(4, `there is no job "nobody" in namespace team`, "why", "nobody")
	plane.Kubectl("config", "set-context", "x", "--namespace=other", "--kubeconfig="+a.kubeconfig)
	a.nexus(5, `cannot list resource "nexusjobs"`, "ps")
	gone := ann{t: t, home: t.TempDir(), kubeconfig: filepath.Join(t.TempDir(), "config")}
	text, err := os.ReadFile(a.kubeconfig)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(gone.kubeconfig, regexp.MustCompile(`https://[^"\s]+`).ReplaceAll(text, []byte("https://127.0.0.1:1")), 0o600); err != nil {
		t.Fatal(err)
	}
	gone.nexus(3, fmt.Sprintf("error: the API server at %s does not answer", "https://127.0.0.1:1"), "--context", "kube", "ps")
}

// An array is submitted once, and its members are listed, held, cancelled and awaited together, or one by its index.
func arraysAreOneThing(a ann, plane *kubetest.Plane, agents *kubetest.Agents) {
	t := a.t
	t.Helper()
	file := "name: sweep\narray: 0-5%2\nresources: {gpus: 1}\nrun: python train.py\n"
	out := a.with(file, 0, `\Asubmitted sweep as array sweep-[a-z2-7]{6}: 6 members, 2 at once\n\z`, "submit", "-", "--key", "s")
	array := regexp.MustCompile(`sweep-[a-z2-7]{6}`).FindString(out)
	if again := a.submit(file, "--key", "s"); again != array {
		t.Errorf("a key made %s and %s", array, again)
	}
	a.until(`^sweep-\[2-5\] .* Pending .*2 of 2 members of the array run(.|\n)*^sweep-0 .* Running `, "ps")
	a.until(`^2 of 2 members of the array run, which is as many as may at once\n(position in line: \d+\n)?expected to start: that cannot be known: it does not wait for its turn$`, "why", "sweep")
	a.nexus(0, `^sweep-1 +.*`+array+`-1 `, "ps", "-o", "wide", "--members")
	a.nexus(0, `^sweep \(`+array+`\): 4 members are held by ann$`, "hold", array)
	a.until(`^ann holds it`, "why", "sweep-3")
	agents.Say(array+"-1", 0, "[rank 0] of one")
	a.until(`^\[0\] of one$`, "logs", "sweep-1")
	agents.Play(array+"-0", kubetest.Script{})
	a.nexus(0, `sweep-0 succeeded`, "wait", "sweep-0")
	a.nexus(0, `^sweep \(`+array+`\): 4 members are released$`, "release", "sweep")
	a.until(`^sweep-2 .* Running `, "ps", "--members")
	a.nexus(0, `^sweep \(`+array+`\): 5 members are of priority low$`, "prio", array, "low")
	a.nexus(0, `^sweep-5 \(`+array+`-5\) is cancelled$`, "cancel", "sweep-5")
	a.nexus(0, `^sweep \(`+array+`\): [45] members are cancelled; those that run may save their work$`, "cancel", "sweep")
	a.nexus(130, `(?s)sweep-0 succeeded.*sweep-1 was cancelled.*sweep-5 was cancelled`, "wait", "sweep")
	plane.Kubectl("delete", "nexusjob", array, "--namespace=team")
	plane.Until("its members gone", func() error {
		if left := plane.Kubectl("get", "nexusjobs", "--namespace=team", "-l", "ainexus.io/array="+array, "-o", "name"); left != "" {
			return fmt.Errorf("there are %s", left)
		}
		return nil
	})
	a.with("name: wide\narray: 0-1000\nrun: x\n", 0, `submitted wide as array`, "submit", "-")
	a.until(`it has 1001 members, and on a cluster an array has at most 1000`, "why", "wide")
	a.nexus(3, `members of array .* are not made yet: .*1001 members`, "wait", "wide")
	a.nexus(0, `wide`, "cancel", "wide")
}

// code: upload: what is in the directory of the job file, without what .gitignore leaves out, is in Secrets that go with the
// job, and an init container lays it out. No container runs here: the test does what that one is told, with what the API
// server would mount.
func codeIsUploaded(a ann, plane *kubetest.Plane) {
	t := a.t
	t.Helper()
	dir := filepath.Join(a.home, "project")
	noise := make([]byte, 2<<20) // more than one Secret holds
	if _, err := rand.NewChaCha8([32]byte{}).Read(noise); err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"job.yaml": "name: coded\ncode: upload\nresources: {gpus: 1}\nrun: python train.py\n", "train.py": "print(1)\n", "vocabulary.bin": string(noise),
		".gitignore": "*.pt\n", "model.pt": "weights"} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	id := strings.TrimSpace(a.nexus(0, `^coded-[a-z2-7]{6}$`, "submit", filepath.Join(dir, "job.yaml"), "-o", "name"))
	a.until(`^coded .* Running`, "ps")
	pod := plane.Kubectl("get", "pods", "--namespace=team", "-l", "ainexus.io/job="+id, "-o", "json")
	var list struct {
		Items []struct {
			Spec struct {
				InitContainers []struct{ Command []string }
				Containers     []struct{ WorkingDir string }
				Volumes        []struct {
					Projected struct {
						Sources []struct {
							Secret struct {
								Name  string
								Items []struct{ Key, Path string }
							}
						}
					}
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(pod), &list); err != nil || len(list.Items) != 1 {
		t.Fatalf("its pods: %v, %s", err, pod)
	}
	spec := list.Items[0].Spec
	parts, out := t.TempDir(), t.TempDir()
	for _, v := range spec.Volumes {
		for _, s := range v.Projected.Sources {
			text := plane.Kubectl("get", "secret", s.Secret.Name, "--namespace=team", "-o", "jsonpath={.data."+s.Secret.Items[0].Key+"}")
			data, err := base64.StdEncoding.DecodeString(text)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(parts, s.Secret.Items[0].Path), data, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	command := spec.InitContainers[len(spec.InitContainers)-1].Command
	if len(command) != 5 || command[0] != "/nexus" || command[1] != "unpack" || command[4] != "/workspace" || spec.Containers[0].WorkingDir != "/workspace" {
		t.Fatalf("it is laid out by %q, for %+v", command, spec.Containers)
	}
	a.nexus(0, "", command[1], parts, command[3], out)
	for name, want := range map[string]string{"train.py": "print(1)\n", "vocabulary.bin": string(noise)} {
		if got, err := os.ReadFile(filepath.Join(out, name)); err != nil || string(got) != want {
			t.Errorf("%s is not what it was: %v", name, err)
		}
	}
	if _, err := os.Stat(filepath.Join(out, "model.pt")); err == nil {
		t.Error("what .gitignore leaves out was uploaded")
	}
	// A submit that was cut off goes on when it is repeated.
	cut := strings.TrimSpace(a.nexus(0, `^coded-[a-z2-7]{6}$`, "submit", filepath.Join(dir, "job.yaml"), "-o", "name", "--hold", "--key", "cut"))
	plane.Kubectl("annotate", "--overwrite", "nexusjob", cut, "--namespace=team", "ainexus.io/hold=nexus-submit-uploads-its-code")
	plane.Kubectl("delete", "secret", cut+"-code-1", "--namespace=team")
	a.nexus(0, "^"+cut+"$", "submit", filepath.Join(dir, "job.yaml"), "-o", "name", "--key", "cut")
	plane.Kubectl("get", "secret", cut+"-code-1", "--namespace=team")
	if who := plane.Kubectl("get", "nexusjob", cut, "--namespace=team", "-o", `jsonpath={.metadata.annotations.ainexus\.io/hold}`); who != "" {
		t.Errorf("it is held by %q", who)
	}
	plane.Kubectl("delete", "nexusjob", cut, "--namespace=team")
	plane.Kubectl("delete", "nexusjob", id, "--namespace=team")
	plane.Until("its Secrets gone", func() error {
		if left := plane.Kubectl("get", "secrets", "--namespace=team", "-l", "ainexus.io/job="+id, "-o", "name"); left != "" {
			return fmt.Errorf("there are %s", left)
		}
		return nil
	})
	if err := os.WriteFile(filepath.Join(dir, "more.bin"), append(noise, noise...), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range noise { // other noise, that does not compress
		noise[i] ^= byte(i * 7)
	}
	if err := os.WriteFile(filepath.Join(dir, "yet.bin"), noise, 0o600); err != nil {
		t.Fatal(err)
	}
	a.nexus(2, `larger than 4 MiB when it is packed(.|\n)*hint: leave data out`, "submit", filepath.Join(dir, "job.yaml"))
	if out, err := plane.TryKubectl("apiVersion: ainexus.io/v1alpha1\nkind: NexusJob\nmetadata: {name: bare}\nspec: {run: x, code: upload}\n", "apply", "--namespace=team", "-f", "-"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	a.until(`nexus submit packs and uploads it`, "why", "bare")
}
