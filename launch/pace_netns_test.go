package launch

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc/netnstest"
)

// beNode is the launcher of one of two machines: its node rank, and the program. Looks are more frequent than usual.
func beNode(words []string) {
	rank, _ := strconv.Atoi(words[0])
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM)
	_, err := Run(context.Background(), Options{
		Command: nexus.Command{Argv: words[1:]}, Workers: 1, Dir: "/", Env: os.Environ(), Node: fmt.Sprint("node", rank), Keeper: keeperArgv(), Backoff: quick(),
		Look: 60 * time.Millisecond, Stdout: os.Stdout, Stderr: os.Stderr, Signals: signals, Grace: time.Minute,
		Meet: Meet{
			Endpoint: "10.78.0.1:29400", Min: 2, Max: 2, Rank: rank, LocalAddr: fmt.Sprint("10.78.0.", rank+1), IsHost: rank == 0,
			Silence: 30 * time.Second, // the machine may be busy
		},
	})
	exit(err)
}

// PyTorch itself trains on two machines with a rank each, and the one that takes its time is named on both, the other one on neither.
func TestPyTorchOnTwoNodesNamesTheSlowRank(t *testing.T) {
	t.Parallel()
	o := sdkOrder(t, 1)
	script, err := filepath.Abs("testdata/pace.py")
	if err != nil {
		t.Fatal(err)
	}
	python := o.Spec.Run.Argv[:len(o.Spec.Run.Argv)-1]
	var said [2]buffer
	var machines [2]*exec.Cmd
	for rank, machine := range netnstest.Pair(t, "nexustest-pace") {
		args := append([]string{"--net=/run/netns/" + machine, keeperArgv()[0], "node", fmt.Sprint(rank)}, python...)
		cmd := exec.Command("nsenter", append(args, script, "slow=1", "batch=20", "steps=100000")...)
		cmd.Env = os.Environ()
		for _, name := range []string{"PYTHONPATH", "PYTHONDONTWRITEBYTECODE", "OMP_NUM_THREADS"} {
			cmd.Env = append(cmd.Env, name+"="+o.Env[name])
		}
		cmd.Stdout, cmd.Stderr = &said[rank], &said[rank]
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		machines[rank] = cmd
	}
	ended := make(chan error, len(machines))
	for _, cmd := range machines {
		go func() { ended <- cmd.Wait() }()
	}
	t.Cleanup(func() {
		for _, cmd := range machines {
			cmd.Process.Kill() // where it is still there, which its keeper follows
		}
	})
	named := func() bool {
		for rank := range said {
			if strings.Contains(said[rank].String(), "rank 0 is suspect") {
				t.Fatalf("node %d: %s", rank, said[rank].String())
			}
		}
		return strings.Contains(said[0].String(), "rank 1 is suspect") && strings.Contains(said[1].String(), "rank 1 is suspect")
	}
	defer func() {
		if t.Failed() {
			t.Logf("node 0: %s\nnode 1: %s", said[0].String(), said[1].String())
		}
	}()
	eventually(t, 4*time.Minute, "both nodes say who is slow", named)
	for _, cmd := range machines {
		cmd.Process.Signal(syscall.SIGTERM)
	}
	for range machines {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(4 * time.Minute):
			t.Fatal("the launchers do not end")
		}
	}
	t.Log(said[0].String())
}
