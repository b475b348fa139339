package launch

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
)

// Three nodes with a rank each. Alone none of them could tell that rank 1 is slow; together all three hear it, and when it is well again they
// hear that. There is no clock in it: each turn of the loop is a look.
func TestTheSlowRankIsFoundAcrossNodes(t *testing.T) {
	store, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const nodes = 3
	var all [nodes]*together
	for group := range all {
		all[group] = compareNodes(place{
			group: group, groups: nodes, first: group, world: nodes, addr: "127.0.0.1", port: store.Addr().(*net.TCPAddr).Port,
		}, 4)
		defer all[group].stop()
	}
	var known [nodes][]nexus.Suspect
	looks := func(slow time.Duration, enough func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !enough(); {
			if time.Now().After(deadline) {
				t.Fatalf("not found: %+v", known)
			}
			for group, node := range all {
				own := 50 * time.Millisecond
				if group == 1 {
					own = slow
				}
				if list, changed := node.look([]elastic.Worked{{Rank: group, Step: time.Now().UnixNano(), Own: own}}); changed {
					known[group] = list
				}
				for _, s := range known[group] {
					if s.Rank != 1 || s.Others != 0.05 {
						t.Fatalf("node %d: %+v", group, known[group])
					}
				}
			}
			time.Sleep(time.Millisecond) // leaves the processor to those who carry it
		}
	}
	everybody := func(suspects int) func() bool {
		return func() bool {
			return len(known[0]) == suspects && len(known[1]) == suspects && len(known[2]) == suspects
		}
	}
	looks(250*time.Millisecond, everybody(1))
	looks(50*time.Millisecond, everybody(0))
}

// Two launchers with a rank each; the slow one is named on both.
func TestLaunchersOfTwoNodesNameTheSlowRank(t *testing.T) {
	t.Parallel()
	const script = `own=0.05; [ "$RANK" = 1 ] && own=0.25
i=0; while :; do i=$((i+1)); echo "{\"rank\": $RANK, \"step\": $i, \"time\": 1, \"own_seconds\": $own}" >"$NEXUS_PROGRESS_FILE.new"
mv "$NEXUS_PROGRESS_FILE.new" "$NEXUS_PROGRESS_FILE"; sleep 0.02; done`
	loopback, port := meetingPlace(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var said [2]buffer
	ended := make(chan error, 2)
	for node := range said {
		opts := Options{
			Command: nexus.Command{Argv: []string{"/bin/sh", "-c", script}}, Workers: 1, Dir: t.TempDir(), Look: 50 * time.Millisecond,
			Env: []string{"PATH=" + os.Getenv("PATH")}, Node: fmt.Sprint("node", node), Keeper: keeperArgv(), Backoff: quick(), Stderr: &said[node],
			Meet: Meet{
				Endpoint: fmt.Sprint(loopback, ".1:", port), Min: 2, Max: 2, Rank: node, LocalAddr: fmt.Sprint(loopback, ".", node+1), IsHost: node == 0,
				Silence: 30 * time.Second, // the machine may be busy
			},
		}
		go func() {
			_, err := Run(ctx, opts)
			ended <- err
		}()
	}
	eventually(t, 3*time.Minute, "both say who is slow", func() bool {
		return strings.Contains(said[0].String(), "rank 1 is suspect") && strings.Contains(said[1].String(), "rank 1 is suspect")
	})
	cancel()
	for range said {
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
	for node := range said {
		if strings.Contains(said[node].String(), "rank 0 is suspect") {
			t.Errorf("node %d: %s", node, said[node].String())
		}
	}
}

// buffer is what a launcher says, which may be read meanwhile.
type buffer struct {
	mu   sync.Mutex
	text strings.Builder
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}

// meetingPlace is a network of loopback for a test of its own, and a port: a meeting listens at every address, so that
// tests beside it need other ports.
func meetingPlace(t *testing.T) (network string, port int) {
	t.Helper()
	free, err := net.Listen("tcp", ":0")
	if err != nil {
		t.Fatal(err)
	}
	defer free.Close()
	return fmt.Sprintf("127.%d.%d", 1+rand.N(250), 1+rand.N(250)), free.Addr().(*net.TCPAddr).Port
}
