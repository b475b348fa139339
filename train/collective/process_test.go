//go:build unix

package collective

import (
	"bufio"
	"context"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"ainexus.io/c10d"
)

// A test that needs ranks which are processes starts this program again, with this in the environment.
const rankVariable = "COLLECTIVE_TEST_RANK" // "RANK SIZE STORE TIMEOUT"

func TestMain(m *testing.M) {
	if order := os.Getenv(rankVariable); order != "" {
		if err := beRank(order); err != nil {
			fmt.Println("ended:", err)
			os.Exit(3)
		}
		return
	}
	os.Exit(m.Run())
}

// beRank computes without end: small and large, all kinds.
func beRank(order string) error {
	var rank, size int
	var store, limit string
	if _, err := fmt.Sscan(order, &rank, &size, &store, &limit); err != nil {
		return err
	}
	timeout, err := time.ParseDuration(limit)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	client, err := c10d.Dial(ctx, store, c10d.ClientOptions{})
	if err != nil {
		return err
	}
	g, err := Join(ctx, Config{Rank: rank, Size: size, Store: client, Timeout: timeout})
	if err != nil {
		return err
	}
	if len(g.hosts) != 1 || !g.shared {
		fmt.Println("memory is not shared:", g.offered.why)
	}
	for i := 0; ; i++ {
		for _, n := range []int{1, 5000, 3 << 20} {
			if err := checkAll[float32](g, n/size, Sum); err != nil {
				return err
			}
			if err := checkBroadcast(g, n, i%size); err != nil {
				return err
			}
		}
		fmt.Println("round", i)
	}
}

// rankProcess is one rank of a group of processes.
type rankProcess struct {
	cmd   *exec.Cmd
	lines *bufio.Scanner
	said  []string
}

// processes starts a group and waits until each rank has done a round.
func processes(t *testing.T, size int, timeout time.Duration) []*rankProcess {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	server, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { server.Close() })
	list := make([]*rankProcess, size)
	for rank := range list {
		p := &rankProcess{cmd: exec.Command(self)}
		p.cmd.Env = append(os.Environ(), fmt.Sprintf("%s=%d %d %s %v", rankVariable, rank, size, server.Addr(), timeout))
		out, err := p.cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		p.cmd.Stderr = os.Stderr
		if err := p.cmd.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.cmd.Process.Kill(); io.Copy(io.Discard, out); p.cmd.Wait() })
		p.lines = bufio.NewScanner(out)
		list[rank] = p
	}
	for rank, p := range list {
		if !p.reads("round 0") {
			t.Fatalf("rank %d said %q", rank, p.said)
		}
	}
	return list
}

// reads reads lines until one begins with want.
func (p *rankProcess) reads(want string) bool {
	for p.lines.Scan() {
		p.said = append(p.said, p.lines.Text())
		if strings.HasPrefix(p.lines.Text(), want) {
			return true
		}
	}
	return false
}

// ends checks that every rank but one ends with an error that says so, and by itself: no signal kills it.
func ends(t *testing.T, list []*rankProcess, but int, want string) {
	t.Helper()
	began := time.Now()
	for rank, p := range list {
		if rank == but {
			continue
		}
		p.reads("ended:")
		if last := p.said[len(p.said)-1]; !strings.Contains(last, want) {
			t.Errorf("rank %d said %q, not %q", rank, last, want)
		}
		p.cmd.Wait()
		if status := p.cmd.ProcessState; status.ExitCode() != 3 {
			t.Errorf("rank %d: %v", rank, status)
		}
	}
	if took := time.Since(began); took > 40*time.Second {
		t.Errorf("the survivors needed %v", took)
	}
}

var killSeed = flag.Uint64("kill.seed", 1, "of the moments at which ranks are killed; 0: a new one")

// A rank that is killed in the middle of whatever it does with the memory all share is named by the others, which
// neither hang nor fall.
func TestKilledRankIsNamed(t *testing.T) {
	seed := *killSeed
	if seed == 0 {
		seed = uint64(time.Now().UnixNano())
	}
	t.Logf("seed %d", seed)
	random := rand.New(rand.NewPCG(seed, 0))
	for range 6 {
		size := 2 + random.IntN(3)
		victim, moment := random.IntN(size), time.Duration(random.IntN(40_000))*time.Microsecond
		t.Run("rank "+strconv.Itoa(victim)+" of "+strconv.Itoa(size), func(t *testing.T) {
			list := processes(t, size, time.Minute)
			for _, p := range list {
				if len(p.said) > 1 {
					t.Error(p.said[0])
				}
			}
			<-time.After(moment) // a moment that the seed chose, not one to wait for
			list[victim].cmd.Process.Kill()
			ends(t, list, victim, fmt.Sprintf("rank %d died", victim))
		})
	}
}

// A rank that is stopped is found by the time limit, by ranks that sleep for it. The limit is long enough for a sum of
// 12 MB to end in it on a busy machine with the race detector.
func TestStoppedRankIsNamed(t *testing.T) {
	list := processes(t, 3, 8*time.Second)
	list[1].cmd.Process.Signal(syscall.SIGSTOP)
	ends(t, list, 1, "no answer from rank 1")
}
