package cli_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// launcher is a `nexus launch` that runs, with an environment of its own.
type launcher struct {
	*exec.Cmd
	out, err bytes.Buffer
}

func launching(t *testing.T, env []string, args ...string) *launcher {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	t.Cleanup(cancel)
	l := &launcher{Cmd: exec.CommandContext(ctx, filepath.Join(built, "nexus"), append([]string{"launch"}, args...)...)}
	l.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + t.TempDir()}, env...)
	l.Dir = t.TempDir()
	l.Stdout, l.Stderr = &l.out, &l.err
	if err := l.Start(); err != nil {
		t.Fatal(err)
	}
	return l
}

// loopback is an address of this machine that no other test meets at.
func loopback() string { return fmt.Sprintf("127.%d.%d", 1+rand.N(250), 1+rand.N(250)) }

// Two launchers with the environments of two nodes, on one machine, become four ranks of one run.
func TestLaunchUnderOthers(t *testing.T) {
	t.Parallel()
	const script = `echo "rank $RANK of $WORLD_SIZE, $LOCAL_RANK of $LOCAL_WORLD_SIZE on node $GROUP_RANK of $GROUP_WORLD_SIZE, run $TORCHELASTIC_RUN_ID"`
	for _, test := range []struct {
		by  string
		env func(net string, node int) []string
		run string
	}{
		{"SLURM", func(net string, node int) []string {
			return []string{
				"SLURM_JOB_ID=77", "SLURM_STEP_ID=0", "SLURM_NNODES=2", "SLURM_TASKS_PER_NODE=1(x2)", "SLURM_JOB_NODELIST=" + net + ".[1-2]",
				fmt.Sprint("SLURM_NODEID=", node), fmt.Sprint("SLURM_PROCID=", node), "SLURM_LOCALID=0",
			}
		}, "slurm-77.0"},
		{"OpenMPI", func(net string, node int) []string {
			return []string{
				"OMPI_COMM_WORLD_SIZE=2", fmt.Sprint("OMPI_COMM_WORLD_RANK=", node), "OMPI_COMM_WORLD_LOCAL_SIZE=1", "OMPI_COMM_WORLD_LOCAL_RANK=0",
				"PMIX_NAMESPACE=1670709249", "OMPI_MCA_orte_hnp_uri=1670709248.0;tcp://" + net + ".1:43603",
			}
		}, "mpi-1670709249"},
		{"Kubernetes", func(net string, node int) []string {
			return []string{"NEXUS_NODES=2", fmt.Sprint("JOB_COMPLETION_INDEX=", node), "MASTER_ADDR=" + net + ".1"}
		}, "none"},
	} {
		t.Run(test.by, func(t *testing.T) {
			t.Parallel()
			net := loopback()
			var nodes []*launcher
			for node := range 2 {
				nodes = append(nodes, launching(t, test.env(net, node), "--nproc-per-node=2", "sh", "-c", script))
			}
			for node, l := range nodes {
				if err := l.Wait(); err != nil {
					t.Errorf("node %d: %v\n%s", node, err, l.err.String())
				}
				if want := fmt.Sprintf("note: %s: this is node %d of 2; they meet at %s.1:29400\n", test.by, node, net); !strings.Contains(l.err.String(), want) {
					t.Errorf("node %d does not say %q:\n%s", node, want, l.err.String())
				}
				got := strings.Split(strings.TrimSpace(l.out.String()), "\n")
				slices.Sort(got)
				for local := range 2 {
					rank := 2*node + local
					want := fmt.Sprintf("[rank %d] rank %d of 4, %d of 2 on node %d of 2, run %s", rank, rank, local, node, test.run)
					if local >= len(got) || got[local] != want {
						t.Errorf("node %d said %q, want %q", node, got, want)
					}
				}
			}
		})
	}
}

// Four tasks on a node are three too many: one of them says so, all of them fail, none starts a worker.
func TestLaunchByManyTasksOfANode(t *testing.T) {
	t.Parallel()
	var tasks []*launcher
	for task := range 4 {
		tasks = append(tasks, launching(t, []string{
			"SLURM_JOB_ID=77", "SLURM_NNODES=1", "SLURM_TASKS_PER_NODE=4", "SLURM_JOB_NODELIST=n1", "SLURM_NODEID=0",
			fmt.Sprint("SLURM_PROCID=", task), fmt.Sprint("SLURM_LOCALID=", task),
		}, "echo", "started"))
	}
	said := ""
	for task, l := range tasks {
		if l.Wait(); l.ProcessState.ExitCode() != 2 || l.out.String() != "" {
			t.Errorf("task %d: exit code %d, %s", task, l.ProcessState.ExitCode(), l.out.String())
		}
		said += l.err.String()
	}
	const want = "error: SLURM started 4 launchers on this node; it takes one, which starts the node's workers itself\n" +
		"hint: srun --ntasks-per-node=1, and --nproc-per-node for the workers of a node\n"
	if said != want {
		t.Errorf("they said\n%s", said)
	}
}

// A handled signal that does not end the run reaches every worker, and INT and TERM reach them as TERM.
func TestLaunchPassesSignalsOn(t *testing.T) {
	t.Parallel()
	const script = `for s in USR1 USR2 WINCH TERM; do trap "echo got $s; touch $DIR/$RANK.$s" $s; done; touch "$DIR/$RANK.ready"; until [ -e "$DIR/$RANK.TERM" ]; do sleep 0.05; done`
	for _, last := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		dir := t.TempDir()
		l := launching(t, []string{"DIR=" + dir}, "--signals-to-handle=SIGHUP,SIGWINCH", "--nproc-per-node=2", "sh", "-c", script)
		appear(t, filepath.Join(dir, "0.ready"), filepath.Join(dir, "1.ready"))
		for _, s := range []struct {
			signal syscall.Signal
			got    string
		}{{syscall.SIGUSR1, "USR1"}, {syscall.SIGUSR2, "USR2"}, {syscall.SIGWINCH, "WINCH"}, {last, "TERM"}} {
			if err := l.Process.Signal(s.signal); err != nil {
				t.Fatal(err)
			}
			appear(t, filepath.Join(dir, "0."+s.got), filepath.Join(dir, "1."+s.got))
		}
		if l.Wait(); l.ProcessState.ExitCode() != 128+int(last) {
			t.Errorf("exit code %d\n%s", l.ProcessState.ExitCode(), l.err.String())
		}
		for _, want := range []string{"[rank 0] got USR1\n", "[rank 1] got USR2\n", "[rank 0] got WINCH\n", "[rank 1] got TERM\n"} {
			if !strings.Contains(l.out.String(), want) {
				t.Errorf("no %q in\n%s", want, l.out.String())
			}
		}
	}
}

// A rank that lost its peer ends first, on another node than the one that failed; every node blames the right one and shows what it said.
func TestLaunchBlamesTheCauseOnEveryNode(t *testing.T) {
	t.Parallel()
	net, dir := loopback(), t.TempDir()
	const script = `if [ $RANK = 1 ]; then
		printf '{"message": {"message": "ValueError: bad label", "extraInfo": {"timestamp": "%s"}}}' "$(date +%s)" >"$TORCHELASTIC_ERROR_FILE"
		echo 'shard 7 is broken'; touch "$DIR/said"; exec sleep 1000
	fi
	until [ -e "$DIR/said" ]; do sleep 0.05; done
	printf 'Traceback:\n  File "x"\nRuntimeError: [pair.cc:534] Connection closed by peer\n' >&2; exit 1`
	var nodes []*launcher
	for range 2 {
		nodes = append(nodes, launching(t, []string{"DIR=" + dir}, "--nnodes=2", "--rdzv-endpoint="+net+".1", "sh", "-c", script))
	}
	want := regexp.MustCompile(`(?m)^error: rank 1 on node \S+ failed: ValueError: bad label\n` +
		`  the first of 2 that failed, by its error file: at .* on node \S+, .* into round 0, process \d+\n  its last line follows\n  \| shard 7 is broken$`)
	for node, l := range nodes {
		if l.Wait(); l.ProcessState.ExitCode() != 1 || !want.MatchString(l.err.String()) {
			t.Errorf("node %d: exit code %d\n%s", node, l.ProcessState.ExitCode(), l.err.String())
		}
	}
}

// Nothing outlives a launcher that is killed, not what got itself a session of its own either.
func TestLaunchIsKilled(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const script = `setsid sh -c 'echo $$ >"$DIR/$RANK.part"; mv "$DIR/$RANK.part" "$DIR/$RANK.far"; sleep 1000 & wait' & echo $$ >"$DIR/$RANK.near"; touch "$DIR/$RANK.ready"; wait`
	l := launching(t, []string{"DIR=" + dir}, "--nproc-per-node=2", "sh", "-c", script)
	appear(t, filepath.Join(dir, "0.ready"), filepath.Join(dir, "1.ready"), filepath.Join(dir, "0.far"), filepath.Join(dir, "1.far"))
	left := map[int]bool{}
	for _, name := range []string{"0.near", "0.far", "1.near", "1.far"} {
		text, err := os.ReadFile(filepath.Join(dir, name))
		pid, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || err2 != nil || !running(pid) {
			t.Fatalf("%s: %q %v %v", name, text, err, err2)
		}
		left[pid] = true
	}
	if err := l.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	killed := time.Now()
	for looks := 0; len(left) > 0; looks++ {
		for pid := range left {
			if !running(pid) {
				delete(left, pid)
			}
		}
		if looks > 150 && time.Since(killed) > time.Second { // a busy machine is given as many looks as a quiet one
			t.Fatalf("after a second there are %v", left)
		}
		time.Sleep(5 * time.Millisecond)
	}
	l.Wait()
}

// A script that ignores TERM is killed at the end of its grace, with what it had started, and one line says so.
func TestLaunchKillsTheDeaf(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	const script = `trap '' TERM; (trap '' TERM; sleep 1000; :) & [ $RANK = 0 ] || trap 'exit 0' TERM; echo $! >"$DIR/$RANK.child"; touch "$DIR/$RANK.ready"; while :; do sleep 0.05; done`
	l := launching(t, []string{"DIR=" + dir}, "--shutdown-timeout=3", "--nproc-per-node=2", "sh", "-c", script)
	appear(t, filepath.Join(dir, "0.ready"), filepath.Join(dir, "1.ready"))
	asked := time.Now()
	if err := l.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	l.Wait()
	if took := time.Since(asked); took < 3*time.Second {
		t.Errorf("it was killed after %s", took)
	}
	if code := l.ProcessState.ExitCode(); code != 128+15 || !strings.HasSuffix(l.err.String(), "error: stopped by SIGTERM; 1 worker did not end within 3s and was killed\n") {
		t.Errorf("exit code %d\n%s", code, l.err.String())
	}
	for rank := range 2 {
		text, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(rank, ".child")))
		pid, err2 := strconv.Atoi(strings.TrimSpace(string(text)))
		if err != nil || err2 != nil || running(pid) {
			t.Errorf("the child of rank %d: %q %v %v", rank, text, err, err2)
		}
	}
}

func TestLaunchAndHangUp(t *testing.T) {
	t.Parallel()
	// Who runs the tests may have it ignored, as nohup has; what starts here would inherit that.
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP)
	defer signal.Stop(hangups)
	for _, nohup := range []bool{false, true} {
		dir := t.TempDir()
		l := &launcher{Cmd: exec.CommandContext(t.Context(), filepath.Join(built, "nexus"), "launch", "sh", "-c", `touch "$DIR/ready"; until [ -e "$DIR/go" ]; do sleep 0.05; done; echo done`)}
		if nohup {
			l.Cmd = exec.CommandContext(t.Context(), "nohup", l.Cmd.Args...)
			l.Cmd.Args[1] = filepath.Join(built, "nexus")
		}
		l.Env, l.Stdout, l.Stderr = append(os.Environ(), "DIR="+dir), &l.out, &l.err
		if err := l.Start(); err != nil {
			t.Fatal(err)
		}
		appear(t, filepath.Join(dir, "ready"))
		if err := l.Process.Signal(syscall.SIGHUP); err != nil {
			t.Fatal(err)
		}
		if nohup {
			if err := os.WriteFile(filepath.Join(dir, "go"), nil, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		l.Wait()
		code, want := l.ProcessState.ExitCode(), 128+int(syscall.SIGHUP)
		if nohup {
			want = 0
		}
		if code != want || nohup != strings.Contains(l.out.String(), "done") {
			t.Errorf("nohup %v: exit code %d, want %d\n%s%s", nohup, code, want, l.out.String(), l.err.String())
		}
	}
}

// appear waits until all the files are there.
func appear(t *testing.T, files ...string) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		missing := slices.DeleteFunc(slices.Clone(files), func(file string) bool {
			_, err := os.Stat(file)
			return err == nil
		})
		if len(missing) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("never came: %v", missing)
		}
	}
}

// The page of the launcher, its help and what it takes know the same options.
func TestLaunchHelpIsWhole(t *testing.T) {
	t.Parallel()
	help := launching(t, nil, "--nproc-per-node", "2", "--help")
	if err := help.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, help.err.String())
	}
	page, err := os.ReadFile("../docs/launch.md")
	if err != nil {
		t.Fatal(err)
	}
	option := regexp.MustCompile(`--[a-z][a-z-]+`)
	for _, name := range option.FindAllString(help.out.String(), -1) {
		if name == "--duplicate-" { // of two that are refused
			continue
		}
		if !strings.Contains(string(page), name) {
			t.Errorf("docs/launch.md says nothing of %s", name)
		}
	}
	for _, name := range []string{
		"nnodes", "nproc-per-node", "rdzv-backend", "rdzv-endpoint", "rdzv-id", "rdzv-conf", "standalone", "max-restarts", "monitor-interval",
		"start-method", "role", "module", "no-python", "run-path", "log-dir", "redirects", "tee", "local-ranks-filter", "node-rank",
		"master-addr", "master-port", "local-addr", "signals-to-handle", "numa-binding", "event-log-handler", "logs-specs", "virtual-local-rank",
	} { // torchrun --help of 2.9
		if !strings.Contains(help.out.String(), "--"+name) {
			t.Errorf("--help says nothing of --%s", name)
		}
	}
	for _, line := range strings.Split(help.out.String(), "\n") {
		if len(line) > 140 {
			t.Errorf("a line of %d characters: %s", len(line), line)
		}
	}
}

// Output is shown of the ranks that are wanted and kept of all.
func TestLaunchShowsSomeRanks(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	l := launching(t, nil, "--nproc-per-node=3", "--local-ranks-filter=0,2", "--log-dir="+dir, "--rdzv-id=run", "sh", "-c", "echo out $RANK; echo err $RANK >&2")
	if err := l.Wait(); err != nil {
		t.Fatalf("%v\n%s", err, l.err.String())
	}
	for rank, shown := range []bool{true, false, true} {
		if got := strings.Contains(l.out.String(), fmt.Sprint("out ", rank)); got != shown {
			t.Errorf("rank %d shown: %v\n%s", rank, got, l.out.String())
		}
		if got := strings.Contains(l.err.String(), fmt.Sprint("err ", rank)); got != shown {
			t.Errorf("rank %d shown on stderr: %v\n%s", rank, got, l.err.String())
		}
		kept, err := os.ReadFile(filepath.Join(dir, "run", "attempt_0", fmt.Sprint(rank), "stdout.log"))
		if err != nil || !strings.Contains(string(kept), fmt.Sprintln("out", rank)) {
			t.Errorf("rank %d kept: %q %v", rank, kept, err)
		}
	}
}

// Without a place that is named, what is to be kept goes to a temporary one, which is told.
func TestLaunchKeepsOutputSomewhere(t *testing.T) {
	t.Parallel()
	temp := t.TempDir()
	l := launching(t, []string{"TMPDIR=" + temp}, "-r", "3", "echo", "hidden")
	if err := l.Wait(); err != nil || strings.Contains(l.out.String(), "hidden") {
		t.Errorf("%v\n%s%s", err, l.out.String(), l.err.String())
	}
	place := regexp.MustCompile(`note: the workers' output is kept in (\S+);`).FindStringSubmatch(l.err.String())
	if place == nil {
		t.Fatalf("it does not say where:\n%s", l.err.String())
	}
	logs, _ := filepath.Glob(filepath.Join(place[1], "*", "attempt_0", "0", "stdout.log"))
	if len(logs) != 1 {
		t.Fatalf("%v in %s", logs, place[1])
	}
	if kept, err := os.ReadFile(logs[0]); err != nil || !strings.Contains(string(kept), "hidden") {
		t.Errorf("%q %v", kept, err)
	}
	// A rank that does not exist keeps nothing; Debian's torchrun wants such a line.
	l = launching(t, []string{"TMPDIR=" + temp}, "-r", "9:1", "-t", "9:1", "echo", "shown")
	if err := l.Wait(); err != nil || !strings.Contains(l.out.String(), "shown") || strings.Contains(l.err.String(), "kept in") {
		t.Errorf("%v\n%s%s", err, l.out.String(), l.err.String())
	}
}
