package fabric

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/txtar"
	"pgregory.net/rapid"
)

var update = flag.Bool("update", false, "write what the stories want anew")

// The machines in testdata are made up after what /sys and /proc of such machines look like; none was recorded.
func TestMachines(t *testing.T) {
	stories, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(stories) == 0 {
		t.Fatalf("no stories: %v", err)
	}
	for _, story := range stories {
		t.Run(strings.TrimSuffix(filepath.Base(story), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(story)
			if err != nil {
				t.Fatal(err)
			}
			root := t.TempDir()
			for _, f := range archive.Files {
				if f.Name != "want" {
					plant(t, filepath.Join(root, f.Name), strings.TrimSuffix(string(f.Data), "\n"))
				}
			}
			files := os.DirFS(root)
			facts := Read(files, func(key string) string { return map[string]string{"HOME": "/home/me"}[key] })
			facts.ShmMiB = 64
			facts = facts.Along(ways(string(archive.Comment)), DefaultRoute(files))
			got := tell(facts)
			last := &archive.Files[len(archive.Files)-1]
			if *update {
				last.Data = []byte(got)
				if err := os.WriteFile(story, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if want := string(last.Data); last.Name != "want" || got != want {
				t.Errorf("got:\n%s\nwant:\n%s", got, want)
			}
		})
	}
}

// plant makes a file, or a symbolic link where the text is "-> target".
func plant(t *testing.T, path, text string) {
	t.Helper()
	err := os.MkdirAll(filepath.Dir(path), 0o755)
	if target, ok := strings.CutPrefix(text, "-> "); err == nil && ok {
		err = os.Symlink(target, path)
	} else if err == nil {
		err = os.WriteFile(path, []byte(text), 0o644)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// ways reads lines "way PEER ADDR DEVICE" of a story's head.
func ways(head string) (list []Way) {
	for line := range strings.Lines(head) {
		if w := strings.Fields(line); len(w) == 4 && w[0] == "way" {
			list = append(list, Way{Peer: w[1], Addr: w[2], Device: w[3]})
		}
	}
	return list
}

func tell(f Facts) string {
	var b strings.Builder
	for _, s := range Settings(f) {
		fmt.Fprintf(&b, "%s=%s  # %s\n", s.Name, s.Value, s.Why)
	}
	for _, n := range Notes(f) {
		state := "ok"
		if n.Warn {
			state = "warn"
		}
		fmt.Fprintf(&b, "%s %s: %s\n", state, n.Topic, n.Text)
	}
	return b.String()
}

// Whatever a machine has, the interface is none that leads nowhere, each name is set once, and without GPUs it is what it
// was before there was any of this.
func TestSettingsHold(t *testing.T) {
	name := rapid.SampledFrom([]string{"eth0", "ib0", "lo", "docker0", "veth12", "cni0", "virbr0", "bond0", "br-3f2"})
	port := rapid.Custom(func(t *rapid.T) Port {
		return Port{
			HCA: rapid.SampledFrom([]string{"mlx5_0", "mlx5_1", "mlx5_2"}).Draw(t, "hca"), Number: rapid.IntRange(1, 2).Draw(t, "number"),
			Active: rapid.Bool().Draw(t, "active"), Reach: rapid.Bool().Draw(t, "reach"), RateGbit: rapid.SampledFrom([]int{Unknown, 10, 100, 200, 400}).Draw(t, "rate"),
			Ethernet: rapid.Bool().Draw(t, "ethernet"), GID: rapid.IntRange(-1, 3).Draw(t, "gid"), NUMA: rapid.IntRange(-1, 1).Draw(t, "numa"),
		}
	})
	rapid.Check(t, func(t *rapid.T) {
		f := Facts{
			Ports:      rapid.SliceOfN(port, 0, 4).Draw(t, "ports"),
			Interfaces: []Interface{{Name: "eth0", Up: true, SpeedMbit: rapid.SampledFrom([]int{Unknown, 1000, 100_000}).Draw(t, "speed"), MTU: 1500}},
			GPUs:       rapid.SliceOfN(rapid.Just(GPU{Bus: "0000:01:00.0"}), 0, 2).Draw(t, "gpus"),
		}
		var list []Way
		for range rapid.IntRange(0, 3).Draw(t, "peers") {
			list = append(list, Way{Peer: "peer", Addr: "10.0.0.1", Device: name.Draw(t, "device")})
		}
		f = f.Along(list, "eth0")
		seen := map[string]bool{}
		for _, s := range Settings(f) {
			if seen[s.Name] || s.Why == "" || s.Value == "" || strings.ContainsAny(s.Value, " '\n") {
				t.Fatalf("a setting twice, without a reason or a value, or not to be quoted: %+v", s)
			}
			seen[s.Name] = true
			if s.Name == "NCCL_SOCKET_IFNAME" && Inner(strings.TrimPrefix(s.Value, "=")) {
				t.Fatalf("it leads nowhere: %+v", s)
			}
			switch s.Name {
			case "NCCL_SOCKET_IFNAME", "TORCH_NCCL_ASYNC_ERROR_HANDLING", "NCCL_ASYNC_ERROR_HANDLING":
			default:
				if len(f.GPUs) == 0 {
					t.Fatalf("set without a GPU: %+v", s)
				}
			}
		}
		if seen["NCCL_IB_HCA"] && seen["NCCL_IB_DISABLE"] {
			t.Fatal("InfiniBand is chosen and turned off")
		}
		if len(Notes(f)) == 0 {
			t.Fatal("nothing is told")
		}
	})
}

// The kernel is asked for the way: to this machine itself it is loopback, which leads nowhere.
func TestTowardOurselves(t *testing.T) {
	w := Toward("127.0.0.1")
	if w.Err != nil || !Inner(w.Device) || w.Addr != "127.0.0.1" {
		t.Errorf("%+v", w)
	}
	f := Facts{}.Along([]Way{w, {Peer: "nobody", Err: fmt.Errorf("no such host")}}, "eth7")
	if f.Device != "eth7" || f.Why != "the default route" || len(f.Doubts) != 2 {
		t.Errorf("%+v", f)
	}
}

// This machine itself can be read, whatever it has.
func TestReadHere(t *testing.T) {
	f := Read(os.DirFS("/"), os.Getenv)
	if i, ok := f.Named("lo"); !ok || i.MTU <= 0 {
		t.Errorf("there is no loopback: %+v", f.Interfaces)
	}
	if f.PortLow <= 0 || f.PortHigh <= f.PortLow {
		t.Errorf("ports %d to %d", f.PortLow, f.PortHigh)
	}
}

func TestDistances(t *testing.T) {
	way := func(s string) pciPath { return strings.Split(s, "/") }
	gpu := way("pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:01.0/0000:19:00.0")
	for _, test := range []struct {
		to         string
		nodeA, toB int
		want       Distance
	}{
		{"pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:00.0/0000:18:00.0", 0, 0, PIX},
		{"pci0000:15/0000:15:01.0/0000:16:00.0/0000:17:02.0/0000:1a:00.0/0000:1b:00.0/0000:1c:00.0", 0, 0, PXB},
		{"pci0000:15/0000:15:02.0/0000:20:00.0", 0, 0, PHB},
		{"pci0000:37/0000:37:01.0/0000:38:00.0", 0, 0, NODE},
		{"pci0000:97/0000:97:01.0/0000:98:00.0", 0, 1, SYS},
		{"pci0000:97/0000:97:01.0/0000:98:00.0", Unknown, Unknown, SYS},
	} {
		if got := distance(gpu, way(test.to), test.nodeA, test.toB); got != test.want {
			t.Errorf("to %s: %s, not %s", test.to, got, test.want)
		}
	}
}
