package preflight

import (
	"context"
	"errors"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"pgregory.net/rapid"

	"ainexus.io/c10d"
	"ainexus.io/launch/rendezvous"
	"ainexus.io/train/collective"
)

// ring reduces by the product's own collectives, over TCP.
type ring struct{ *collective.Group }

func (r ring) Sum(data []float32) error { return collective.AllReduce(r.Group, data, collective.Sum) }

func join(ctx context.Context, store *c10d.Client, prefix, host string, rank, size int, limit time.Duration) (Ring, error) {
	g, err := collective.Join(ctx, collective.Config{Rank: rank, Size: size, Store: store, Prefix: prefix, Host: host, TCP: true, Timeout: limit})
	return ring{g}, err
}

// options are those of one node, and what ends it.
type options struct {
	Options
	ctx context.Context
}

// gang runs a check between so many nodes with addresses of 127/8, as if each were a machine of its own.
func gang(t *testing.T, nodes int, change func(i int, o *options)) ([]Report, []error) {
	t.Helper()
	reports, errs := make([]Report, nodes), make([]error, nodes)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	endpoint := l.Addr().String()
	l.Close()
	var all sync.WaitGroup
	for i := range nodes {
		o := options{ctx: t.Context(), Options: Options{
			Nodes: nodes, Join: join, Ports: []int{}, Limit: 60 * time.Second,
			Meeting: rendezvous.Options{Endpoint: endpoint, ID: t.Name(), Node: string(rune('a' + i)), Rank: i, LocalAddr: fmt.Sprintf("127.0.0.%d", i+1)},
		}}
		if change != nil {
			change(i, &o)
		}
		all.Go(func() { reports[i], errs[i] = Run(o.ctx, o.Options) })
	}
	all.Wait()
	return reports, errs
}

// One report for all, in which one clock is wrong: namespaces have no clocks of their own, so this one is handed in.
func TestNodesCheckOneAnother(t *testing.T) {
	reports, errs := gang(t, 3, func(i int, o *options) {
		if i == 1 {
			o.Now = func() time.Time { return time.Now().Add(-5 * time.Minute) }
		}
	})
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	r := reports[0]
	for i := range reports {
		if !reflect.DeepEqual(reports[i], r) {
			t.Errorf("node %d was told another report:\n%+v\n%+v", i, reports[i], r)
		}
	}
	if len(r.Nodes) != 3 || len(r.Pairs) != 3 || r.Whole <= 0 {
		t.Errorf("%+v", r)
	}
	for _, p := range r.Pairs {
		if p.Trouble != "" || p.Bytes <= 0 || p.RTT <= 0 {
			t.Errorf("%+v", p)
		}
	}
	if r.OK() || !says(r, "the clock of node b is 5m0s behind that of node a") {
		t.Errorf("%+v", r.Troubles)
	}
}

func says(r Report, text string) bool {
	for _, t := range r.Troubles {
		if strings.Contains(t.Text, text) {
			return true
		}
	}
	return false
}

// A port that a program has is told, and the check goes on.
func TestAPortIsTaken(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.2:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	port := l.Addr().(*net.TCPAddr).Port
	reports, errs := gang(t, 2, func(i int, o *options) { o.Ports = []int{port} })
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	if !says(reports[0], fmt.Sprintf("node b cannot listen on %d: another program has it", port)) {
		t.Errorf("%+v", reports[0].Troubles)
	}
}

// Who stops in the middle ends it for all, with a sentence.
func TestANodeIsLost(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	_, errs := gang(t, 2, func(i int, o *options) {
		if i == 1 {
			o.ctx = ctx
			o.Join = func(context.Context, *c10d.Client, string, string, int, int, time.Duration) (Ring, error) {
				cancel()
				return nil, errors.New("gone")
			}
		}
	})
	if errs[0] == nil || !strings.Contains(errs[0].Error(), "a node was lost in the middle of the check") || !errors.Is(errs[1], context.Canceled) {
		t.Errorf("%v", errs)
	}
}

// What visitors send to the doors harms nobody.
func TestStrangersAtTheDoor(t *testing.T) {
	d := openDoors(Options{Now: time.Now}, "127.0.0.1", "")
	defer d.close()
	d.introduce("me")
	for _, words := range []string{"GET / HTTP/1.1\r\n\r\n", "nexus-preflight/1 secrets\n", strings.Repeat("n", 1000), "\x00\x00\x00", "nexus-preflight/1 clock\n"} {
		conn, err := net.Dial("tcp", fmt.Sprintf("127.0.0.1:%d", d.port()))
		if err != nil {
			t.Fatal(err)
		}
		conn.Write([]byte(words))
		conn.(*net.TCPConn).CloseWrite()
		conn.SetDeadline(time.Now().Add(30 * time.Second))
		if n, err := conn.Read(make([]byte, 64)); n > 0 {
			t.Errorf("%q is answered, %v", words, err)
		}
		conn.Close()
	}
	c := &check{Options: Options{}}
	if err := c.try(t.Context(), "127.0.0.1", d.port(), "me"); err != nil {
		t.Error(err)
	}
	if err := c.try(t.Context(), "127.0.0.1", d.port(), "you"); err == nil || err.Error() != "somebody else answers there" {
		t.Error(err)
	}
}

// Each pair meets exactly once, and nobody meets two at a time.
func TestTurns(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 40).Draw(t, "nodes")
		met := map[[2]int]int{}
		for turn := range turns(n) {
			for rank := range n {
				other := partner(rank, turn, n)
				if other < 0 {
					continue
				}
				if other == rank || partner(other, turn, n) != rank {
					t.Fatalf("turn %d of %d: %d meets %d, who meets %d", turn, n, rank, other, partner(other, turn, n))
				}
				met[[2]int{min(rank, other), max(rank, other)}]++
			}
		}
		if len(met) != n*(n-1)/2 {
			t.Fatalf("%d pairs of %d nodes meet", len(met), n)
		}
		for pair, times := range met {
			if times != 2 { // seen from either side
				t.Fatalf("%v meets %d times", pair, times)
			}
		}
	})
}

// four nodes that are well: every pair alike.
func four() Found {
	f := Found{Whole: &Speed{Bytes: 1e9}}
	for i, name := range []string{"a", "b", "c", "d"} {
		f.Nodes = append(f.Nodes, &Node{
			Rank: i, Node: name, Addr: fmt.Sprintf("10.0.0.%d", i+1), Device: "eth0", SpeedMbit: 10000, Fabric: "sockets", Open: []int{29500, 29501, 41234}, GPUs: 8,
		})
		f.Reach = append(f.Reach, []Miss{})
		for b := range i {
			f.Pairs = append(f.Pairs, Pair{A: b, B: i, Bytes: 1e9, RTT: 100e-6, Ahead: 1e-3, Unsure: 50e-6})
		}
	}
	return f
}

func (f Found) of(a, b int) *Pair {
	for i := range f.Pairs {
		if f.Pairs[i].A == a && f.Pairs[i].B == b {
			return &f.Pairs[i]
		}
	}
	return nil
}

func TestJudge(t *testing.T) {
	for _, test := range []struct {
		name string
		harm func(*Found)
		ok   bool
		want []string
	}{
		{"all is well", func(*Found) {}, true, nil},
		{"one slow link", func(f *Found) {
			for _, other := range []int{0, 1} {
				f.of(other, 2).Bytes = 1e7
			}
			f.of(2, 3).Bytes = 2e7
		}, false, []string{"the link of node c is slow: 80.0 Mbit/s to the others, where the fastest pair has 8.0 Gbit/s"}},
		{"one slow way", func(f *Found) { f.of(1, 3).Bytes = 1e8 }, false, []string{"the link between nodes b and d is slow: 800.0 Mbit/s, where the fastest pair has 8.0 Gbit/s"}},
		{"all slow", func(f *Found) {
			for i := range f.Pairs {
				f.Pairs[i].Bytes = 1e7
			}
		}, false, []string{"the network is slow: the fastest pair has 80.0 Mbit/s, and every interface 10000 Mbit/s or more"}},
		{"a firewall on one node", func(f *Found) {
			for from := range 3 {
				f.Reach[from] = []Miss{{3, 29500, "no answer"}}
			}
		}, false, []string{"the other nodes do not reach port 29500 of node d (10.0.0.4): no answer"}},
		{"a firewall between two", func(f *Found) {
			f.Reach[1] = []Miss{{2, 29500, "no answer"}, {2, 29501, "no answer"}, {2, 41234, "no answer"}}
			f.Reach[0] = []Miss{{2, 29501, "connection refused"}}
			f.of(1, 2).Trouble, f.of(1, 2).Bytes = "they do not reach each other", 0
		}, false, []string{"node b reaches no port of node c (10.0.0.3): no answer", "node a does not reach port 29501 of node c (10.0.0.3): "}},
		{"clocks", func(f *Found) {
			f.of(0, 1).Ahead = 0.3
			f.of(0, 2).Ahead = -90
			f.of(1, 2).Ahead = -90.3
			f.of(0, 3).Ahead, f.of(0, 3).Unsure = 0.3, 0.25 // too far to tell
		}, false, []string{"the clock of node b is 300ms ahead of that of node a", "the clock of node c is 1m30s behind that of node a"}},
		{"only odd", func(f *Found) { f.of(0, 1).Ahead = 0.3 }, true, []string{"the clock of node b is 300ms ahead of that of node a"}},
		{"far", func(f *Found) { f.of(0, 3).RTT = 0.03 }, true, []string{"nodes a and d are 30ms apart (round trip), the nearest pair 100µs"}},
		{"two fabrics", func(f *Found) {
			f.Nodes[0].Fabric, f.Nodes[1].Fabric, f.Nodes[2].Fabric = "mlx5_0:1", "mlx5_0:1,mlx5_1:1", "mlx5_0:1"
		}, false, []string{"NCCL would use InfiniBand or RoCE on a, b, c, and sockets on d: they do not meet"}},
		{"a mute node", func(f *Found) {
			f.Nodes[3], f.Reach[3], f.Mute = nil, nil, []string{"node d says nothing of reach within 30s"}
		}, false, []string{"node d says nothing of reach within 30s"}},
		{"two of one name", func(f *Found) {
			f.Nodes[1].Node, f.of(1, 3).Bytes = "d", 1e8
		}, false, []string{"the link between nodes d#1 and d#3 is slow"}},
		{"one that cannot reduce", func(f *Found) { f.of(0, 1).Trouble = "barrier #1 is not done after 15s" }, false,
			[]string{"nodes a and b could not reduce together: barrier #1 is not done after 15s"}},
	} {
		f := four()
		test.harm(&f)
		r := Judge(f)
		if r.OK() != test.ok || len(r.Troubles) != len(test.want) {
			t.Errorf("%s: ok is %v: %+v", test.name, r.OK(), r.Troubles)
		}
		for _, want := range test.want {
			if !says(r, want) {
				t.Errorf("%s: no %q in %+v", test.name, want, r.Troubles)
			}
		}
	}
}

// Whatever was found or not, judging it ends in a report.
func TestJudgeTakesAnything(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		f := four()
		n := rapid.IntRange(0, 4).Draw(t, "nodes")
		f.Nodes, f.Reach = f.Nodes[:n], f.Reach[:n]
		var pairs []Pair
		for _, p := range f.Pairs {
			if p.B < n && rapid.Bool().Draw(t, "measured") {
				p.Bytes = rapid.Float64Range(0, 1e10).Draw(t, "bytes")
				p.RTT, p.Ahead = rapid.Float64Range(0, 10).Draw(t, "rtt"), rapid.Float64Range(-1e4, 1e4).Draw(t, "ahead")
				p.Trouble = rapid.SampledFrom([]string{"", "no answer"}).Draw(t, "trouble")
				pairs = append(pairs, p)
			}
		}
		f.Pairs = pairs
		for i := range n {
			switch rapid.IntRange(0, 3).Draw(t, "harm") {
			case 0:
				f.Nodes[i], f.Reach[i] = nil, nil
			case 1:
				f.Nodes[i].Open = nil
			case 2:
				f.Reach[i] = append(f.Reach[i], Miss{rapid.IntRange(0, n-1).Draw(t, "to"), 29500, "no answer"})
			}
		}
		for _, trouble := range Judge(f).Troubles {
			if trouble.Text == "" {
				t.Fatal("a trouble without words")
			}
		}
	})
}
