package ledger

import (
	"fmt"
	"maps"
	"reflect"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"ainexus.io/nexus"
)

// twin is the dumb ledger: a list of who holds what, added up from scratch whenever something is asked.
type twin struct {
	nodes map[string]nexus.Node
	held  map[string][]nexus.Seat
}

// used adds up everything on a node.
func (w twin) used(node string) (cpu nexus.CPU, memory nexus.MiB, whole map[int]int, shares map[int]nexus.MiB) {
	whole, shares = map[int]int{}, map[int]nexus.MiB{}
	for _, seats := range w.held {
		for _, s := range seats {
			if s.Node != node {
				continue
			}
			cpu, memory = cpu+s.CPU, memory+s.Memory
			for _, g := range s.GPUs {
				if s.Share > 0 {
					shares[g.Index] += s.Share
				} else {
					whole[g.Index]++
				}
			}
		}
	}
	return cpu, memory, whole, shares
}

// over says what is exceeded on any node; empty if nothing.
func (w twin) over() string {
	for name, n := range w.nodes {
		cpu, memory, whole, shares := w.used(name)
		if cpu > n.CPU || memory > n.Memory {
			return fmt.Sprintf("%s gives %s of %s cpus, %s of %s", name, cpu, n.CPU, memory, n.Memory)
		}
		for _, d := range n.GPUs {
			if whole[d.Index] > 1 || whole[d.Index] == 1 && shares[d.Index] > 0 || shares[d.Index] > max(0, d.Usable()-d.Foreign) {
				return fmt.Sprintf("%s gpu %d has %d owners and gives %s of %s", name, d.Index, whole[d.Index], shares[d.Index], d.Usable()-d.Foreign)
			}
		}
	}
	return ""
}

// room is what the twin says is free.
func (w twin) room(name string) Room {
	n := w.nodes[name]
	cpu, memory, whole, shares := w.used(name)
	r := Room{Node: &n, CPU: max(0, n.CPU-cpu), Memory: max(0, n.Memory-memory)}
	for _, seats := range w.held {
		if slices.ContainsFunc(seats, func(s nexus.Seat) bool { return s.Node == name }) {
			r.Jobs++
		}
	}
	for _, d := range n.GPUs {
		g := GPURoom{Whole: d.Problem == "" && whole[d.Index] == 0 && shares[d.Index] == 0}
		if d.Problem == "" && whole[d.Index] == 0 {
			g.Share = max(0, d.Usable()-d.Foreign-shares[d.Index])
		}
		for _, seats := range w.held {
			for _, s := range seats {
				if s.Node == name && slices.ContainsFunc(s.GPUs, func(x nexus.SeatGPU) bool { return x.Index == d.Index }) {
					g.Jobs++
				}
			}
		}
		r.GPUs = append(r.GPUs, g)
	}
	return r
}

func node(t *rapid.T, name string) nexus.Node {
	n := nexus.Node{
		Name: name, State: nexus.Ready, CPU: nexus.CPU(rapid.IntRange(0, 8).Draw(t, "cpu") * 500),
		Memory: nexus.MiB(rapid.IntRange(0, 8).Draw(t, "memory") * 1024),
	}
	for i := range rapid.IntRange(0, 4).Draw(t, "gpus") {
		d := nexus.GPU{Index: i, Memory: nexus.MiB(rapid.IntRange(1, 10).Draw(t, "size") * 1000), Free: -1}
		d.Reserve = nexus.MiB(rapid.SampledFrom([]int{0, 0, 300}).Draw(t, "reserve"))
		d.Foreign = nexus.MiB(rapid.SampledFrom([]int{0, 0, 700, 20000}).Draw(t, "foreign"))
		if rapid.IntRange(0, 9).Draw(t, "sick") == 0 {
			d.Problem = "off the bus"
		}
		n.GPUs = append(n.GPUs, d)
	}
	return n
}

func seats(t *rapid.T) []nexus.Seat {
	var list []nexus.Seat
	for _, name := range []string{"n1", "n2"} {
		if rapid.Bool().Draw(t, "on "+name) {
			s := nexus.Seat{
				Node: name, CPU: nexus.CPU(rapid.IntRange(0, 4).Draw(t, "cpu") * 500), Memory: nexus.MiB(rapid.IntRange(0, 3).Draw(t, "memory") * 1024),
			}
			share := rapid.Bool().Draw(t, "share")
			for i := range 4 {
				if rapid.IntRange(0, 3).Draw(t, "gpu") == 0 && !(share && len(s.GPUs) == 1) {
					s.GPUs = append(s.GPUs, nexus.SeatGPU{Index: i})
				}
			}
			if share && len(s.GPUs) == 1 {
				s.Share = nexus.MiB(rapid.IntRange(1, 4000).Draw(t, "MiB"))
			}
			list = append(list, s)
		}
	}
	return list
}

// Nothing is promised twice. Whatever is taken, given back, tried and undone, in whatever order, nothing is exceeded, and
// the account is what adding everything up gives.
func TestLedger(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		l, dumb := New(), twin{map[string]nexus.Node{}, map[string][]nexus.Seat{}}
		for _, name := range []string{"n1", "n2"} {
			n := node(t, name)
			l.SetNode(n)
			dumb.nodes[name] = n
		}
		type saved struct {
			mark Mark
			held map[string][]nexus.Seat
		}
		var marks []saved
		take := func(t *rapid.T) {
			owner, want := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "owner"), seats(t)
			if l.Take(owner, want) && len(want) > 0 {
				dumb.held[owner] = want
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"take": take,
			"more": take,
			"release": func(t *rapid.T) {
				owner := rapid.SampledFrom([]string{"a", "b", "c", "d", "e"}).Draw(t, "owner")
				l.Release(owner)
				delete(dumb.held, owner)
			},
			"checkpoint": func(*rapid.T) { marks = append(marks, saved{l.Checkpoint(), maps.Clone(dumb.held)}) },
			"rollback": func(t *rapid.T) {
				if len(marks) == 0 {
					t.Skip("nothing to undo")
				}
				last := marks[len(marks)-1]
				marks = marks[:len(marks)-1]
				l.Rollback(last.mark)
				dumb.held = last.held
			},
			"keep": func(t *rapid.T) {
				if len(marks) == 0 {
					t.Skip("nothing to keep")
				}
				l.Keep(marks[len(marks)-1].mark)
				marks = marks[:len(marks)-1]
			},
			"": func(t *rapid.T) {
				if why := dumb.over(); why != "" {
					t.Fatal(why)
				}
				var r Room
				for _, name := range l.Names() {
					l.Room(name, &r)
					want := dumb.room(name)
					r.Node, want.Node = nil, nil
					if r.GPUs = slices.Clone(r.GPUs); len(r.GPUs) == 0 {
						r.GPUs = nil
					}
					if !reflect.DeepEqual(r, want) {
						t.Fatalf("%s: the account says %+v, adding up says %+v", name, r, want)
					}
				}
			},
		})
	})
}

// A refused gang leaves no trace: the first seat of two is not held when the second is missing.
func TestAllSeatsOrNone(t *testing.T) {
	l := New()
	l.SetNode(nexus.Node{Name: "n1", CPU: 2000})
	l.SetNode(nexus.Node{Name: "n2", CPU: 1000})
	if l.Take("gang", []nexus.Seat{{Node: "n1", CPU: 2000}, {Node: "n2", CPU: 2000}}) {
		t.Fatal("took two cpus of a node that has one")
	}
	if !l.Take("other", []nexus.Seat{{Node: "n1", CPU: 2000}}) {
		t.Fatal("the refused gang still holds its first seat")
	}
}

// A fact is a fact: what runs on a node that shrank, or came back, counts there, and nothing more is given.
func TestFactsCountOnNodesThatChange(t *testing.T) {
	l := New()
	l.Charge("early", []nexus.Seat{{Node: "n1", GPUs: []nexus.SeatGPU{{Index: 1, UUID: "b"}}, CPU: 3000}})
	l.SetNode(nexus.Node{Name: "n1", CPU: 2000, GPUs: []nexus.GPU{{Index: 0, UUID: "b", Memory: 10}, {Index: 1, UUID: "c", Memory: 10}}})
	var r Room
	if !l.Room("n1", &r) || r.CPU != 0 || r.GPUs[0].Whole || !r.GPUs[1].Whole {
		t.Fatalf("the device is known by its UUID, not by its index; and 3 of 2 cpus leave none: %+v", r)
	}
	l.DropNode("n1")
	if l.Room("n1", &r) || l.Fits(nexus.Seat{Node: "n1"}) || l.Take("x", []nexus.Seat{{Node: "n1"}}) {
		t.Fatal("a node that is gone gives nothing")
	}
	l.SetNode(nexus.Node{Name: "n1", CPU: 4000})
	if !l.Room("n1", &r) || r.CPU != 1000 || !slices.Equal(l.HeldOn("n1"), []string{"early"}) {
		t.Fatalf("what runs there still counts when it comes back: %+v", r)
	}
}
