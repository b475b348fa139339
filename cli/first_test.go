package cli_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"testing"
)

// The first job of everybody who tries this: the example as it lies there, on all the images, through a daemon that
// nobody started. It learns, agrees, saves, and leaves nothing that git would see. It has the processors to itself.
func TestTheFirstJob(t *testing.T) {
	if testing.Short() {
		t.Skip("trains on 60,000 images")
	}
	state, err := os.MkdirTemp("", "nx") // short: a socket's path is
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(state) })
	t.Cleanup(func() { clearUp(t, state) })
	before := gitStatus("../examples/mnist")
	run := exec.CommandContext(t.Context(), filepath.Join(built, "nexus"), "run", "examples/mnist/job.yaml")
	run.Dir = ".."
	run.Env = append(os.Environ(), "NEXUS_STATE="+filepath.Join(state, "s"), "NEXUS_LISTEN=none")
	out, err := run.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	rest := string(out)
	for _, pattern := range []string{
		`(?m)^mnist is job [a-z0-9]+$`, `(?m)^plan: attempt 1 of mnist: 4 workers on 1 node$`,
		`(?m)^\[0\] training on 60000 images with 4 ranks`, `(?m)^\[0\] test accuracy [0-9.]+ %$`,
		`(?m)^\[0\] parameters sha256 [0-9a-f]{64} on all 4 ranks$`, `(?m)^\[0\] checkpoint .+$`, `(?m)^mnist succeeded`,
	} {
		at := regexp.MustCompile(pattern).FindStringIndex(rest)
		if at == nil {
			t.Fatalf("%q does not follow in\n%s", pattern, out)
		}
		rest = rest[at[1]:]
	}
	accuracy, err := strconv.ParseFloat(regexp.MustCompile(`test accuracy ([0-9.]+) %`).FindStringSubmatch(string(out))[1], 64)
	if err != nil || accuracy < 97.5 {
		t.Errorf("test accuracy %v %%, %v", accuracy, err)
	}
	saved := regexp.MustCompile(`(?m)^\[0\] checkpoint (.+)$`).FindStringSubmatch(string(out))[1]
	for _, path := range []string{saved, saved + ".nexus.json"} {
		if _, err := os.Stat(path); err != nil {
			t.Errorf("of the checkpoint: %v", err)
		}
	}
	if after := gitStatus("../examples/mnist"); after != before {
		t.Errorf("git sees what it left:\n%s", after)
	}
	if err := os.RemoveAll(filepath.Dir(saved)); err != nil {
		t.Error(err)
	}
}

// gitStatus is empty where there is no git or no repository.
func gitStatus(dir string) string {
	cmd := exec.Command("git", "status", "--porcelain", ".")
	cmd.Dir = dir
	out, err := cmd.Output()
	if err != nil {
		return ""
	}
	return string(out)
}
