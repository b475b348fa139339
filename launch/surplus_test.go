package launch

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/nexus"
)

// client is one whose port is n and that waits for keys.
func client(n int, keys ...string) c10d.Caller {
	c := c10d.Caller{Addr: netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(n)), Asked: 1, Awaits: keys}
	if len(keys) > 0 {
		c.Key = keys[0]
	}
	return c
}

func TestRanksThatWaitForMoreRanksThanThereAre(t *testing.T) {
	const (
		old     = "//worker/attempt_0/default_pg/0/0/"
		recent  = "/default_pg/0//cpu//0/"
		barrier = "/default_pg/0//store_based_barrier_key:0"
	)
	all := func(keys ...string) func(int) []c10d.Caller {
		return func(int) []c10d.Caller { return []c10d.Caller{client(1, keys...), client(2, keys...)} }
	}
	each := func(callers ...c10d.Caller) func(int) []c10d.Caller {
		return func(int) []c10d.Caller { return slices.Clone(callers) }
	}
	// polls are callers that ask for the barrier's count again and again, up to a look.
	polls := func(until int) func(int) []c10d.Caller {
		return func(look int) []c10d.Caller {
			list := []c10d.Caller{client(1), client(2)}
			for i := range list {
				list[i].Key, list[i].Asked = barrier, int64(100*min(look, until))
			}
			return list
		}
	}
	for _, test := range []struct {
		name  string
		at    func(look int) []c10d.Caller
		count int64 // the barrier's
		rank  int   // -2: nothing is said
	}{
		{"1.13 waits for rank 2 of 2", all(old + "2"), 0, 2},
		{"2.6 waits for rank 2 of 2", all(recent + "2"), 0, 2},
		{"for several at once", all(recent+"3", recent+"2"), 0, 2},
		{"for one that may come and one that cannot", all(recent+"1", recent+"2"), 0, -2},
		{"for the first rank's name", all(old + "rank_0"), 0, -2},
		{"for one another", each(client(1, recent+"1"), client(2, recent+"0")), 0, -2},
		{"only one does", each(client(1, recent+"2"), client(2)), 0, -2},
		{"one rank has not come", each(client(1, recent+"2")), 0, -2},
		{"for two ranks", each(client(1, recent+"2"), client(2, recent+"3")), 0, -2},
		{"three of two", each(client(1, recent+"2"), client(2, recent+"2"), client(3, recent+"2")), 0, -2},
		{"somebody else is there", each(client(1, recent+"2"), client(2, recent+"2"), client(3)), 0, -2},
		{"the ranks' own keys", all("/jobs/7"), 0, -2},
		{"NCCL's fifth communicator", all("/default_pg/0//cuda//4"), 0, -2},
		{"all ranks wait for data that one has yet to load", each(client(1), client(2, "/loaded")), 0, -2},
		{"later ones, each another connection", func(look int) []c10d.Caller {
			return []c10d.Caller{client(1, recent+"2"), client(2+look, recent+"2")}
		}, 0, -2},
		{"ranks come one after the other", func(look int) []c10d.Caller { return all(fmt.Sprint(recent, 2+look))(look) }, 0, -2},

		{"all are in the barrier, by its last worker", all(barrier + ":last_worker"), 2, -1},
		{"one is not in the barrier yet", all(barrier + ":last_worker"), 1, -2},
		{"others were in the barrier", all(barrier + ":last_worker"), 4, -2},
		{"all ask for the barrier's count", polls(1000), 2, -1},
		{"all came through the barrier", polls(3), 2, -2},
	} {
		t.Run(test.name, func(t *testing.T) {
			var s surplus
			counter := func(key string) int64 {
				if key != barrier {
					t.Errorf("asked for %s", key)
				}
				return test.count
			}
			for look := range surplusEnds {
				s.look(test.at(look), 2, counter)
			}
			switch {
			case test.rank == -2 && s.looks >= surplusTold:
				t.Fatalf("wrongly: %v", s.words(2))
			case test.rank >= -1 && (s.looks < surplusEnds-2 || s.wants.rank != test.rank):
				t.Fatalf("%+v", s)
			}
		})
	}
}

// On several nodes nothing is told unless as many wait from each of them as it has workers; the agents themselves, which meet in the
// store too, do not count.
func TestRanksOfSeveralNodesThatWaitForMore(t *testing.T) {
	end := func(host string, port int) netip.AddrPort {
		return netip.AddrPortFrom(netip.MustParseAddr(host), uint16(port))
	}
	a := &agent{place: place{groups: 2, hosts: map[string]int{"10.0.0.1": 2, "10.0.0.2": 1}}}
	for _, test := range []struct {
		name string
		ends []netip.AddrPort
		all  bool
	}{
		{"all", []netip.AddrPort{end("10.0.0.1", 1), end("10.0.0.1", 2), end("10.0.0.2", 1)}, true},
		{"one node's children, of which there are as many", []netip.AddrPort{end("10.0.0.1", 1), end("10.0.0.1", 2), end("10.0.0.1", 3)}, false},
		{"another machine", []netip.AddrPort{end("10.0.0.1", 1), end("10.0.0.1", 2), end("10.0.0.3", 1)}, false},
	} {
		if got := a.fromAllNodes(test.ends); got != test.all {
			t.Errorf("%s: %v", test.name, got)
		}
	}
	meets := client(3)
	meets.Key = "/nexus/pace/0/1"
	if got := a.withoutAgents([]c10d.Caller{client(1, "/x"), meets}); len(got) != 1 || got[0].Addr.Port() != 1 {
		t.Errorf("%+v", got)
	}
}

// A store with an address of the network may still be found by ranks that somebody starts elsewhere: those who wait for them are not ended.
func TestWhoCanComeToAStore(t *testing.T) {
	for at, want := range map[string]bool{"127.0.0.1": true, "127.0.5.1": true, "::1": true, "10.0.0.1": false, "fd00::1": false, "0.0.0.0": false, "::": false} {
		if got := onlyHere(&net.TCPAddr{IP: net.ParseIP(at), Port: 29500}); got != want {
			t.Errorf("only those of this machine come to %s: %v", at, got)
		}
	}
}

func TestWhatIsSaidOfRanksThatThereAreNot(t *testing.T) {
	s := surplus{wants: lack{rank: 4, key: "/default_pg/0//cpu//0/4"}}
	const hint = " (hint: leave world_size out of init_process_group, or pass WORLD_SIZE; for more ranks ask for more workers or nodes)"
	if got := words(s.words(4)); got != "the script wants more ranks than this job has: all of its 4 ranks (0 to 3) wait in init_process_group for rank 4 (key default_pg/0//cpu//0/4)"+hint {
		t.Error(got)
	}
	s.wants = lack{rank: -1, key: "store_based_barrier_key:0"}
	if got := words(s.words(1)); got != "the script wants more ranks than this job has: all of its 1 rank (0) wait in init_process_group for more (key store_based_barrier_key:0)"+hint {
		t.Error(got)
	}
}

// waitBeyond is a worker that waits in the round's store as PyTorch does for rank 2 of 2, by itself or by a child.
func waitBeyond(how string) {
	if how == "child" {
		self, _ := os.Executable()
		exit(exec.Command(self, "beyond", "itself").Run())
	}
	client, err := c10d.Dial(context.Background(), net.JoinHostPort(os.Getenv("MASTER_ADDR"), os.Getenv("MASTER_PORT")), c10d.ClientOptions{})
	if err != nil {
		exit(err)
	}
	exit(client.Wait(context.Background(), "default_pg/0//cpu//0/2"))
}

// The attempt ends, with one line and without a restart, where it is sure that nobody else can come. Where the ranks have processes of
// their own, which may be what is waited for, that is told, later, and nothing else.
func TestAnAttemptThatWaitsForRanksThatThereAreNot(t *testing.T) {
	t.Parallel()
	self, _ := os.Executable()
	const want = "the script wants more ranks than this job has: all of its 2 ranks (0 to 1) wait in init_process_group for rank 2 (key default_pg/0//cpu//0/2)"
	for name, run := range map[string]nexus.Command{
		"a program":                  {Argv: []string{self, "beyond", "itself"}},
		"a program behind our shell": {Shell: "true; '" + self + "' beyond itself; exit 0"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o := order(t, 2, "")
			o.RestartsLeft, o.Spec.Run = 3, run
			r := startAgent(t, o, AgentOptions{Look: 20 * time.Millisecond})
			result := r.result()
			if result.OK || result.Cause != nexus.CauseSetup || result.Charged != 0 || result.Round != 0 || !strings.HasPrefix(result.Message, want+" (hint: ") {
				t.Errorf("%+v", result)
			}
		})
	}
	t.Run("a child of the program", func(t *testing.T) {
		t.Parallel()
		o := order(t, 2, "")
		o.Spec.Run = nexus.Command{Argv: []string{self, "beyond", "child"}}
		r := startAgent(t, o, AgentOptions{Look: 20 * time.Millisecond})
		eventually(t, 60*time.Second, "it is told", func() bool {
			status, err := r.dir.Status()
			return err == nil && slices.ContainsFunc(status.Notes, func(note string) bool { return strings.HasPrefix(note, want) })
		})
		select {
		case err := <-r.done:
			t.Errorf("it ended: %v", err)
		default:
		}
		r.end()
		if result := r.result(); result.Cause != nexus.CauseNode {
			t.Errorf("%+v", result)
		}
	})
}

// With PyTorch itself: a script that asks for more ranks than there are ends with one line, and one that asks for fewer by itself.
func TestPyTorchWithAnotherWorldSize(t *testing.T) {
	t.Parallel()
	python := withTorch(t)
	script, err := filepath.Abs("testdata/worldsize.py")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		world string
		cause nexus.Cause
		says  string
	}{
		{"5", nexus.CauseSetup, "the script wants more ranks than this job has: all of its 2 ranks (0 to 1) wait in init_process_group for rank 2 (key "},
		{"1", nexus.CauseExit, "rank 1 exited with code 1"},
	} {
		t.Run("of "+test.world, func(t *testing.T) {
			t.Parallel()
			o := order(t, 2, "")
			o.Spec.Run = nexus.Command{Argv: append(slices.Clone(python), script, test.world)}
			r := startAgent(t, o, AgentOptions{Look: 50 * time.Millisecond})
			result := ended(t, r)
			if result.Cause != test.cause || !strings.HasPrefix(result.Message, test.says) {
				t.Errorf("%+v\n%s", result, content(t, r.dir.WorkerLog(0, 1)))
			}
			t.Log(result.Message)
		})
	}
}
