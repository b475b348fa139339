package launch

import (
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"ainexus.io/nexus"
)

func TestFourWorkersRunAndSucceed(t *testing.T) {
	t.Parallel()
	result, dir := runAgent(t, order(t, 4, `echo "rank $RANK of $WORLD_SIZE"; [ -n "$MASTER_PORT" ]`))
	if !result.OK || result.Rank != -1 || result.Exit != 0 {
		t.Fatalf("%+v", result)
	}
	for rank, want := range []string{"rank 0 of 4\n", "rank 1 of 4\n", "rank 2 of 4\n", "rank 3 of 4\n"} {
		if got := content(t, dir.WorkerLog(0, rank)); got != want {
			t.Errorf("log of rank %d: %q", rank, got)
		}
	}
	status, err := dir.Status()
	if err != nil || status.State != nexus.AgentDone || len(status.Workers) != 4 || *status.Workers[3].Exit != 0 {
		t.Errorf("%+v %v", status, err)
	}
	// Another test's child, between fork and exec, may hold every file of this process for an instant.
	eventually(t, 5*time.Second, "the lock is free", func() bool { locked, err := dir.Locked(); return !locked && err == nil })
	if a, err := dir.Agent(); err != nil || a.PID == 0 || a.Keeper == 0 || alive(a.Keeper) {
		t.Errorf("agent %+v %v: the keeper is there still", a, err)
	}
}

func TestABareLaunchRunsFourWorkers(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	result, err := Run(t.Context(), Options{
		Command: nexus.Command{Shell: "echo $RANK/$WORLD_SIZE; echo oh >&2"}, Workers: 4, Dir: t.TempDir(),
		Keeper: keeperArgv(), Stdout: &out, Stderr: &errs,
	})
	if err != nil || !result.OK {
		t.Fatalf("%+v %v", result, err)
	}
	for _, line := range []string{"[rank 0] 0/4\n", "[rank 3] 3/4\n"} {
		if !strings.Contains(out.String(), line) {
			t.Errorf("%q is not in %q", line, out.String())
		}
	}
	if strings.Count(errs.String(), "oh\n") != 4 {
		t.Errorf("stderr: %q", errs.String())
	}
}

func TestABareLaunchKeepsLogsAndTellsOfRestarts(t *testing.T) {
	t.Parallel()
	var out, errs strings.Builder
	logs := t.TempDir()
	all, err := ParseStd("0:3")
	if err != nil {
		t.Fatal(err)
	}
	result, err := Run(t.Context(), Options{
		Command: nexus.Command{Shell: `echo out $RANK; echo err $RANK >&2; [ $TORCHELASTIC_RESTART_COUNT = 1 ]`}, Workers: 2, MaxRestarts: 1,
		Dir: t.TempDir(), RunID: "run7", LogDir: logs, Redirects: all, Keeper: keeperArgv(), Stdout: &out, Stderr: &errs, Backoff: quick(),
	})
	if err != nil || !result.OK || result.Charged != 1 {
		t.Fatalf("%+v %v", result, err)
	}
	if got := content(t, logs, "run7", "attempt_1", "0", "stdout.log") + content(t, logs, "run7", "attempt_1", "0", "stderr.log"); got != "out 0\nerr 0\n" {
		t.Errorf("files of rank 0: %q", got)
	}
	if strings.Contains(out.String(), "[rank 0]") || !strings.Contains(out.String(), "[rank 1] out 1\n") {
		t.Errorf("screen: %q", out.String())
	}
	for _, want := range []string{"exited with code 1; round 1 begins in 10ms, 0 restarts left after it\n[nexus]   the ", " into round 0, process ", "[nexus]   | err "} {
		if !strings.Contains(errs.String(), want) {
			t.Errorf("no %q on the screen: %q", want, errs.String())
		}
	}
}

// A second run of the same id in the same place does not take the first one's errors for its own.
func TestAnErrorFileOfAnEarlierRunIsNobodys(t *testing.T) {
	t.Parallel()
	logs := t.TempDir()
	for run, want := range []string{"rank 0 exited with code 1: ValueError: x", "rank 0 exited with code 2"} {
		result, err := Run(t.Context(), Options{
			Command: nexus.Command{Shell: `[ "$RUN" = 1 ] && exit 2; echo '{"message": "ValueError: x"}' >$TORCHELASTIC_ERROR_FILE; exit 1`},
			Dir:     t.TempDir(), Env: []string{"PATH=/usr/bin:/bin", "RUN=" + strconv.Itoa(run)}, RunID: "same", LogDir: logs, Keeper: keeperArgv(),
		})
		if err != nil || result.Message != want {
			t.Errorf("run %d: %q %v", run, result.Message, err)
		}
	}
}

func TestAPortThatIsTaken(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	port := taken.Addr().(*net.TCPAddr).Port
	result, err := Run(t.Context(), Options{
		Command: nexus.Command{Shell: "exit 0"}, Dir: t.TempDir(), Keeper: keeperArgv(), MasterPort: port,
	})
	if err != nil || result.Cause != nexus.CauseSetup || !strings.Contains(result.Message, "is in use (hint: leave the port out") {
		t.Errorf("%+v %v", result, err)
	}
}

// Two jobs on one machine: the second store takes whatever port is free, and its workers are told which.
func TestTheUsualPortMayBeTaken(t *testing.T) {
	t.Parallel()
	if taken, err := net.Listen("tcp", "127.0.0.1:29500"); err == nil {
		defer taken.Close()
	} // else somebody else has it, and may give it back at any time
	hold := filepath.Join(t.TempDir(), "go")
	var ports [2]string
	var runs [2]*running
	for i := range runs {
		o := order(t, 1, `echo "$MASTER_PORT"; while [ ! -e `+hold+` ]; do sleep 0.02; done`)
		runs[i] = startAgent(t, o, AgentOptions{})
	}
	for i, r := range runs {
		eventually(t, 10*time.Second, "its worker knows the port", func() bool {
			data, _ := os.ReadFile(r.dir.WorkerLog(0, 0))
			ports[i] = strings.TrimSpace(string(data))
			return ports[i] != ""
		})
	}
	touch(t, hold)
	for _, r := range runs {
		if result := r.result(); !result.OK {
			t.Errorf("%+v", result)
		}
	}
	if ports[0] == ports[1] {
		t.Errorf("both stores are at port %s", ports[0])
	}
}
