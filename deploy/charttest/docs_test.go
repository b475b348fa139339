package charttest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"ainexus.io/cluster/kube/kubetest"
)

// passage is a block of a page that a reader would put into a shell.
type passage struct {
	line    int
	section string
	text    string
	not     string // why it is not run
}

// command begins a line that a shell would be given.
var command = regexp.MustCompile(`(?m)^(docker|helm|kubectl|nexus|timeout) `)

// passages reads the blocks marked "sh". Commands in others would be run by nobody.
func passages(t *testing.T, page string) []passage {
	t.Helper()
	var list []passage
	section := ""
	lines := strings.Split(page, "\n")
	for i := 0; i < len(lines); i++ {
		if strings.HasPrefix(lines[i], "## ") {
			section = lines[i][3:]
		}
		mark, isBlock := strings.CutPrefix(lines[i], "```")
		if !isBlock {
			continue
		}
		p := passage{line: i + 1, section: section}
		for i++; lines[i] != "```"; i++ {
			p.text += lines[i] + "\n"
		}
		why, is := strings.CutPrefix(mark, "sh")
		if !is && command.MatchString(p.text) {
			t.Errorf("line %d: commands in a block that is not marked sh", p.line)
		}
		if !is {
			continue
		}
		if why != "" {
			reason, ok := strings.CutPrefix(why, " not run: ")
			if !ok {
				t.Fatalf("line %d: after sh there is %q", p.line, why)
			}
			p.not = reason
		}
		list = append(list, p)
	}
	return list
}

// reader is who follows docs/kubernetes.md: a shell in a checkout, with kubectl, helm and nexus in its path.
type reader struct {
	dir, bin, kubeconfig string
}

func newReader(t *testing.T, plane *kubetest.Plane) reader {
	t.Helper()
	r := reader{dir: t.TempDir(), bin: t.TempDir(), kubeconfig: plane.Kubeconfig}
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs(filepath.Join("..", ".."))
	if err != nil {
		t.Fatal(err)
	}
	for to, from := range map[string]string{
		filepath.Join(r.bin, "helm"): self, filepath.Join(r.bin, "kubectl"): kubetest.Program(t, "kubectl"), filepath.Join(r.dir, "deploy"): filepath.Join(root, "deploy"),
	} {
		if err := os.Symlink(from, to); err != nil {
			t.Fatal(err)
		}
	}
	build := exec.Command("go", "build", "-o", filepath.Join(r.bin, "nexus"), "./cmd/nexus")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return r
}

// follows runs a passage as it stands and returns what was printed, each command before what it said.
func (r reader) follows(t *testing.T, p passage) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
	defer cancel()
	c := exec.CommandContext(ctx, "sh", "-exu", "-c", p.text)
	c.Dir, c.WaitDelay = r.dir, time.Second
	c.Env = []string{"PATH=" + r.bin + ":" + os.Getenv("PATH"), "HOME=" + r.dir, "KUBECONFIG=" + r.kubeconfig}
	out, err := c.CombinedOutput()
	if err != nil {
		t.Fatalf("docs/kubernetes.md:%d: %v\n%s", p.line, err, out)
	}
	return string(out)
}

// claimed are volumes for the claims of the page: no provisioner is here.
const claimed = `
apiVersion: v1
kind: PersistentVolume
metadata: {name: first}
spec: {capacity: {storage: 100Gi}, accessModes: [ReadWriteMany], hostPath: {path: /first}}
---
apiVersion: v1
kind: PersistentVolume
metadata: {name: second}
spec: {capacity: {storage: 100Gi}, accessModes: [ReadWriteMany], hostPath: {path: /second}}
`

// docs/kubernetes.md is followed from its first command to its last. The test plays what is in the pods: the controller,
// by the rights of its account, the jobs' agents, and the copying of files.
func TestThePageIsFollowed(t *testing.T) {
	list := passages(t, read(t, "docs", "kubernetes.md"))
	s := &stage{plane: kubetest.Start(t)}
	manifests := filepath.Join("..", "manifests")
	s.plane.Kubectl("delete", "-f", filepath.Join(manifests, "admission-policy.yaml"), "-f", filepath.Join(manifests, "crds"))
	for _, name := range []string{"gpu-1", "gpu-2", "gpu-3"} {
		s.plane.AddNode(t, kubetest.Node{Name: name, CPUs: 64, Memory: 512, GPUs: 8, Model: "NVIDIA-H100-80GB-HBM3", GPUMiB: 81559,
			Labels: map[string]string{"nvidia.com/gpu.present": "true"}})
	}
	if out, err := s.plane.TryKubectl(claimed, "apply", "-f", "-"); err != nil {
		t.Fatal(out)
	}
	s.agents = s.plane.Agents(t, "default")
	s.agents.Play("hello", kubetest.Script{})
	s.agents.Play("gpt2", kubetest.Script{Until: "never", Acks: true})
	r := newReader(t, s.plane)

	stop := func() {}
	around := []struct {
		in            string // a passage with this
		before, after func()
		says          string // prints this
	}{
		{in: "helm install", says: "STATUS: deployed", after: func() {
			c := s.startController(t, s.as(t, "nexus-ai-nexus-controller"))
			stop = func() {
				if err := c.Stop(); err != nil {
					t.Error(err)
				}
			}
		}},
		{in: "nexusjob/hello", says: "nexusjob.ainexus.io/hello condition met"},
		{in: "nexus submit", says: "eval"},
		{in: "--values values.yaml", says: "jobImage: pytorch/pytorch"},
		{in: "metadata: {name: gpt2}", says: "nexusjob.ainexus.io/gpt2 condition met"},
		{in: "nexus logs gpt2", says: "[0] step 1", before: func() { s.agents.Say("gpt2", 0, "[0] step 1") }},
		{in: "describe nexusjob gpt2", says: "Admitted"},
		{in: "kubectl drain", says: "node/gpu-1 drained"},
		{in: "apply -f backup-", says: "nexusjob.ainexus.io/gpt2 created", before: func() {
			s.plane.Kubectl("delete", "nexusjobs,nexusqueues", "--all")
		}},
		{in: "condition=complete", says: "job.batch/backup condition met", before: func() { s.copies(t) }},
		{in: "helm history", says: "superseded"},
		{in: "helm rollback", says: "Running "},
		{in: "helm uninstall", says: `release "nexus" uninstalled`, after: func() {
			stop()
			if left := s.plane.Kubectl("get", "jobs,pods", "--all-namespaces", "--selector=ainexus.io/job-uid", "-o", "name"); left != "" {
				t.Errorf("there is still %s", left)
			}
		}},
	}
	commands, not, met := 0, 0, 0
	for _, p := range list {
		if p.not != "" {
			not += len(command.FindAllString(p.text, -1))
			t.Logf("NOT RUN: line %d, %s", p.line, p.not)
			continue
		}
		for _, a := range around {
			if strings.Contains(p.text, a.in) && a.before != nil {
				a.before()
			}
		}
		begun := time.Now()
		said := r.follows(t, p)
		t.Logf("line %d, %s: %s", p.line, p.section, time.Since(begun).Round(100*time.Millisecond))
		commands += len(command.FindAllString(p.text, -1))
		for _, a := range around {
			if !strings.Contains(p.text, a.in) {
				continue
			}
			met++
			if !strings.Contains(said, a.says) {
				t.Errorf("line %d does not print %q:\n%s", p.line, a.says, said)
			}
			if a.after != nil {
				a.after()
			}
		}
	}
	t.Logf("%d commands were run, %d were not", commands, not)
	if commands < 60 || not > 3 || met < len(around) {
		t.Errorf("the page has %d commands that are run, %d that are not, and %d of %d that are looked at", commands, not, met, len(around))
	}
}

// copies plays the pod that copies a claim: kwok runs it until its end is written.
func (s *stage) copies(t *testing.T) {
	until(t, "the pod that copies", func() error {
		pod := s.plane.Kubectl("get", "pods", "--selector=batch.kubernetes.io/job-name=backup", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[*].metadata.name}")
		if pod == "" {
			return fmt.Errorf("it does not run: %s", s.plane.Kubectl("get", "pods,pvc", "-o", "wide"))
		}
		s.plane.Kubectl("patch", "pod", pod, "--subresource=status", "--type=merge", "-p",
			`{"status":{"phase":"Succeeded","containerStatuses":[{"name":"copy","image":"busybox","imageID":"","ready":false,"restartCount":0,"state":{"terminated":{"exitCode":0,"reason":"Completed"}}}]}}`)
		return nil
	})
}
