//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"ainexus.io/cluster/kube/kubetest"
)

// nexus exec, from the user's program through the API server to the port of a kubelet. What the kubelet is to do in the pod the
// test does: it starts the program that is asked for, beside processes of its own that have the environment of workers.
func commandsRunInPods(a ann, plane *kubetest.Plane) {
	t := a.t
	t.Helper()
	id := a.submit("name: shell\nnodes: 2\nworkers: 2\nrun: x\n")
	a.until(`^shell .* Running `, "ps")
	uid := strings.TrimSpace(plane.Kubectl("get", "nexusjob", id, "--namespace=team", "-o", "jsonpath={.metadata.uid}"))
	mark := "NEXUS_ATTEMPT=" + uid + "/1"
	for rank := range 4 {
		worker := exec.Command("sleep", "1000")
		worker.Env = []string{mark, fmt.Sprintf("RANK=%d", rank), "PATH=" + os.Getenv("PATH"), "SECRET=s" + fmt.Sprint(rank)}
		if err := worker.Start(); err != nil {
			t.Fatal(err)
		}
		defer func() {
			_ = worker.Process.Kill()
			_ = worker.Wait()
		}()
	}
	dir := t.TempDir()
	plane.OnExec(func(e kubetest.Exec) int {
		if !regexp.MustCompile(`^`+id+`-1-[01]-`).MatchString(e.Pod) || e.Container != "main" || e.Command[0] != "/opt/nexus/nexus" {
			fmt.Fprintf(e.Stdout, "asked for %+v", e)
			return 99
		}
		if e.TTY {
			size := <-e.Sizes
			fmt.Fprintf(e.Stdout, "a terminal of %d by %d\r\n", size[0], size[1])
		}
		fmt.Fprintf(e.Stdout, "pod %s\n", strings.TrimPrefix(e.Pod, id+"-1-")[:1])
		cmd := exec.Command(filepath.Join(built, "nexus"), e.Command[1:]...)
		cmd.Dir, cmd.Env = dir, []string{mark, "PATH=" + os.Getenv("PATH")}
		cmd.Stdout, cmd.Stderr = e.Stdout, e.Stderr
		if e.TTY {
			e.Stdin = nil
		}
		in, err := cmd.StdinPipe()
		if err != nil {
			return 98
		}
		go func() {
			defer in.Close()
			if e.Stdin != nil {
				_, _ = io.Copy(in, e.Stdin)
			}
		}()
		err = cmd.Run()
		var ended *exec.ExitError
		if errors.As(err, &ended) {
			return ended.ExitCode()
		} else if err != nil {
			return 97
		}
		return 0
	})
	a.nexus(0, `^pod 0\n0 s0 `+regexp.QuoteMeta(dir)+`$`, "exec", "shell", "--", "sh", "-c", `echo "$RANK $SECRET $PWD"`)
	a.nexus(7, `^pod 1\n3 s3$`, "exec", "shell", "--rank", "3", "--", "sh", "-c", `echo "$RANK $SECRET"; exit 7`)
	a.nexus(0, `^on stderr$`, "exec", id, "--", "sh", "-c", `echo "on stderr" >&2`)
	a.with("typed\n", 0, `^read typed$`, "exec", id, "--", "sh", "-c", `read x; echo "read $x"`)
	a.nexus(127, `nosuchprogram`, "exec", id, "--", "nosuchprogram")
	a.nexus(4, `has no rank 4\nhint: --rank takes 0 to 3`, "exec", id, "--rank", "4", "--", "ls")
	a.nexus(5, `is over: `, "exec", "long", "--", "ls")
	a.nexus(4, `there is no job "nobody"`, "exec", "nobody", "--", "ls")

	cmd := a.command("exec", id, "--", "sh", "-c", `echo "term $TERM"; exit 5`)
	cmd.Env = append(cmd.Env, "TERM=vt220")
	screen := onTerminal(t, cmd, 33, 101)
	screen.until("term vt220")
	if !strings.Contains(screen.seen, "a terminal of 101 by 33\r\n") {
		t.Errorf("screen %q", screen.seen)
	}
	var ended *exec.ExitError
	if err := cmd.Wait(); !errors.As(err, &ended) || ended.ExitCode() != 5 {
		t.Errorf("it ended with %v; screen %q", err, screen.seen)
	}

	// Who may do everything but that is told which rule is missing.
	plane.Kubectl("create", "role", "looker", "--namespace=team", "--verb=get,list", "--resource=nexusjobs.ainexus.io,pods")
	plane.Kubectl("create", "rolebinding", "bob", "--namespace=team", "--role=looker", "--user=bob")
	bob := ann{t: t, home: t.TempDir(), kubeconfig: plane.User("bob")}
	plane.Kubectl("config", "set-context", "x", "--namespace=team", "--kubeconfig="+bob.kubeconfig)
	bob.nexus(5, `cannot (get|create) resource "pods/exec"`, "--context", "kube", "exec", id, "--", "ls")
	plane.OnExec(nil)
	a.nexus(0, `is stopping`, "cancel", id)
}
