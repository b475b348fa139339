package launch

import (
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/nexus"
)

// Two nodes with a rank each hang, both at step 3. Neither node can tell from its own rank who is to blame; together they name the one that is not in a
// collective, with its line, on both. (Shells play the ranks and write the stacks of Python that stacks_test.go has.)
func TestTheRankThatHangsIsNamedAcrossNodes(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for rank, text := range []string{waiting, sleeping} {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint(rank)), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	const script = `trap 'cat "$STACKS/$RANK" >>"$NEXUS_STACK_FILE"' USR1; echo "pid $$" >"$NEXUS_STACK_FILE"
echo "{\"rank\": $RANK, \"step\": 3, \"time\": 1}" >"$NEXUS_PROGRESS_FILE"; while :; do sleep 0.05; done`
	network, port := meetingPlace(t)
	type ended struct {
		result nexus.Result
		err    error
	}
	results := make([]chan ended, 2)
	for node := range results {
		results[node] = make(chan ended, 1)
		opts := Options{
			Command: nexus.Command{Argv: []string{"/bin/sh", "-c", script}}, Workers: 1, NoProgress: 3 * time.Second, Dir: dir,
			Env: []string{"PATH=" + os.Getenv("PATH"), "STACKS=" + dir}, Node: fmt.Sprint("node", node), Keeper: keeperArgv(), Backoff: quick(),
			Meet: Meet{
				Endpoint: fmt.Sprint(network, ".1:", port), Min: 2, Max: 2, Rank: node, LocalAddr: fmt.Sprint(network, ".", node+1), IsHost: node == 0,
				Silence: 30 * time.Second, // the machine may be busy
			},
		}
		go func() {
			result, err := Run(t.Context(), opts)
			results[node] <- ended{result, err}
		}()
	}
	for node, c := range results {
		var e ended
		select {
		case e = <-c:
		case <-time.After(3 * time.Minute):
			t.Fatal("the launchers do not end")
		}
		if e.err != nil || e.result.Cause != nexus.CauseHang || e.result.Rank != 1 {
			t.Fatalf("node %d: %+v, %v", node, e.result, e.err)
		}
		want := "every rank that reports stopped at step 3, and rank 1 is not where the others are; rank 1 is in fetch (loader.py:7)"
		if !strings.Contains(e.result.Message, want) {
			t.Errorf("node %d: %q is not in %q", node, want, e.result.Message)
		}
		if len(e.result.Tail) == 0 || e.result.Tail[0] != "/home/me/loader.py:7 in fetch" {
			t.Errorf("node %d: its stack: %q", node, e.result.Tail)
		}
	}
}

// A node that says nothing is left out, and those after it are not.
func TestASilentNodeHidesNoOther(t *testing.T) {
	t.Parallel()
	store, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	client, err := c10d.Dial(t.Context(), store.Addr().String(), c10d.ClientOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if err := client.Set(t.Context(), "nexus/hang/4/2", []byte(`[{"rank": 2, "fresh": true, "step": 7}]`)); err != nil {
		t.Fatal(err)
	}
	a := &agent{log: slog.New(slog.DiscardHandler), place: place{groups: 3, world: 3, addr: "127.0.0.1", port: store.Addr().(*net.TCPAddr).Port}}
	all := a.everywhere(&round{number: 4}, []standing{{Rank: 0, Fresh: true, Step: 8}})
	if len(all) != 2 || all[1].Rank != 2 || all[1].Step != 7 {
		t.Errorf("it knows of %+v", all)
	}
}
