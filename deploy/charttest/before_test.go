package charttest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"helm.sh/helm/v4/pkg/action"
	chart "helm.sh/helm/v4/pkg/chart/v2"
	"helm.sh/helm/v4/pkg/chart/v2/loader"
	"helm.sh/helm/v4/pkg/kube"
)

// chartBefore is the first chart that there was, out of git. No release has a tag yet.
func chartBefore(t *testing.T) *chart.Chart {
	t.Helper()
	const where = "deploy/helm/ai-nexus"
	root := filepath.Join("..", "..")
	out, err := exec.Command("git", "-C", root, "rev-list", "HEAD", "--", where).CombinedOutput()
	commits := strings.Fields(string(out))
	if err != nil || len(commits) == 0 {
		t.Skipf("NOT RUN: git knows no chart before this one: %v, %s", err, out)
	}
	first := commits[len(commits)-1]
	dir := t.TempDir()
	archive := filepath.Join(dir, "chart.tar")
	for _, c := range []*exec.Cmd{exec.Command("git", "-C", root, "archive", "--output="+archive, first, where), exec.Command("tar", "-x", "-C", dir, "-f", archive)} {
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
	c, err := loader.Load(filepath.Join(dir, where))
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("the chart of commit %s", first)
	return c
}

// The way of the docs from the chart before, with its custom resources, to this one and back, with a job running. Where the
// chart before is installed a controller of today stands for that of then, with all rights.
func upgradesFromBefore(t *testing.T, s *stage) {
	before := chartBefore(t)
	s.plane.Kubectl("delete", "nexusjobs,jobs", "--all", "-n", "team")
	until(t, "the end of all jobs", func() error {
		if left := s.plane.Kubectl("get", "jobs,pods,services", "-n", "team", "--selector=ainexus.io/job-uid", "-o", "name"); left != "" {
			return fmt.Errorf("there is still %s", left)
		}
		return nil
	})
	s.plane.Kubectl("delete", "crd", "nexusjobs.ainexus.io", "nexusqueues.ainexus.io")
	install := action.NewInstall(s.helm)
	install.ReleaseName, install.Namespace, install.WaitStrategy, install.Timeout = "nexus", "nexus", kube.HookOnlyStrategy, patience
	if _, err := install.RunWithContext(t.Context(), before, values(t, "agent: {period: 7s}")); err != nil {
		t.Fatal(err)
	}
	s.plane.Kubectl("wait", "--for=condition=Established", "--timeout=180s", "crd/nexusjobs.ainexus.io", "crd/nexusqueues.ainexus.io")
	c := s.startController(t, s.plane.Kubeconfig)
	s.job(t, "old", "{nodes: 2, resources: {gpus: 4}, run: python train.py}")
	s.phase(t, "old", "Running")
	if err := c.Stop(); err != nil {
		t.Error(err)
	}
	job := s.identities()
	if !strings.Contains(job, "Pod/old-1-1") {
		t.Fatalf("nothing runs:\n%s", job)
	}
	s.plane.Kubectl("apply", "--server-side", "--force-conflicts", "-f", filepath.Join(chartDir, "crds"))
	upgrade := action.NewUpgrade(s.helm)
	upgrade.Namespace, upgrade.WaitStrategy, upgrade.Timeout, upgrade.ResetThenReuseValues = "nexus", kube.HookOnlyStrategy, patience, true
	if _, err := upgrade.RunWithContext(t.Context(), "nexus", loadChart(t), values(t, "{}")); err != nil {
		t.Fatal(err)
	}
	if args := s.plane.Kubectl("get", "daemonset", "nexus-ai-nexus-agent", "-n", "nexus", "-o", "jsonpath={.spec.template.spec.containers[0].args}"); !strings.Contains(args, "7s") {
		t.Errorf("the user's values are gone: %s", args)
	}
	s.settles(t, s.as(t, "nexus-ai-nexus-controller"), "the upgrade", job)
	back := action.NewRollback(s.helm)
	back.WaitStrategy, back.Timeout = kube.HookOnlyStrategy, patience
	if err := back.Run("nexus"); err != nil {
		t.Fatal(err)
	}
	s.settles(t, s.plane.Kubeconfig, "the rollback", job)
}
