package nexus

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// String draws the fleet: a line per node with a box per GPU and who is in it, then who waits.
//
//	n1  [a] [a] [b 2000MiB, c 4000MiB] [-]  cpu 5 of 16  memory 8GiB of 64GiB
//	waiting: d (high training, 4 gpus)
func (s Snapshot) String() string {
	var b strings.Builder
	nodes, jobs := slices.Clone(s.Nodes), slices.Clone(s.Jobs)
	slices.SortFunc(nodes, func(x, y Node) int { return cmp.Compare(x.Name, y.Name) })
	slices.SortFunc(jobs, func(x, y Job) int { return cmp.Compare(x.ID, y.ID) })
	for i := range nodes {
		drawNode(&b, &nodes[i], jobs)
	}
	for i := range jobs {
		if j := &jobs[i]; j.Phase == Pending {
			fmt.Fprintf(&b, "waiting: %s (%s)\n", j.ID, wants(&j.Spec))
		}
	}
	return b.String()
}

func drawNode(b *strings.Builder, n *Node, jobs []Job) {
	var cpu CPU
	var memory MiB
	boxes := make([][]string, len(n.GPUs))
	var without []string
	for k := range jobs {
		j := &jobs[k]
		if j.Placement == nil {
			continue
		}
		for _, seat := range j.Placement.Seats {
			if seat.Node != n.Name {
				continue
			}
			cpu, memory = cpu+seat.CPU, memory+seat.Memory
			label := j.ID
			if j.Phase == Stopping {
				label += " stopping"
			}
			if len(seat.GPUs) == 0 {
				without = append(without, label)
			}
			if seat.Share > 0 {
				label += " " + seat.Share.String()
			}
			for _, g := range seat.GPUs {
				i := slices.IndexFunc(n.GPUs, func(d GPU) bool { return d.Index == g.Index })
				if i >= 0 {
					boxes[i] = append(boxes[i], label)
				}
			}
		}
	}
	b.WriteString(n.Name)
	b.WriteString(" ")
	for i := range n.GPUs {
		box := strings.Join(boxes[i], ", ")
		if box == "" {
			box = "-"
		}
		if n.GPUs[i].Problem != "" {
			box += " ! " + n.GPUs[i].Problem
		}
		fmt.Fprintf(b, " [%s]", box)
	}
	if len(without) > 0 {
		fmt.Fprintf(b, "  without a GPU: %s", strings.Join(without, ", "))
	}
	fmt.Fprintf(b, "  cpu %s of %s", cpu, n.CPU)
	if n.Memory > 0 {
		fmt.Fprintf(b, "  memory %s of %s", memory, n.Memory)
	}
	if n.State != Ready {
		fmt.Fprintf(b, "  %s", n.State)
	}
	b.WriteString("\n")
}

// wants says in a few words what a job asks for.
func wants(s *Spec) string {
	text := fmt.Sprintf("%s %s", s.Priority, s.Type)
	if s.Nodes.Max > 1 {
		text += fmt.Sprintf(", %s nodes", s.Nodes)
	}
	switch r := s.Resources; {
	case r.GPUs.Auto:
		text += ", gpus auto"
	case r.GPUs.N > 0:
		text += ", " + plural(int64(r.GPUs.N), "gpu")
	case r.Share():
		text += ", " + r.GPUMemory.String() + " of a gpu"
	default:
		text += ", no gpu"
	}
	return text
}

// String draws a plan: a line per decision.
//
//	place    a on n1 gpus 0,1, 2 workers, 2 cpus: least utilised (0 %)
//	evict    b for c
//	resize   d to 2 nodes for c
//	reserve  c on n1 gpus 2,3
//	hold     c: its seats are reserved; job b is being stopped for it
func (p Plan) String() string {
	var b strings.Builder
	for _, x := range p.Place {
		for i, seat := range x.Seats {
			who := x.Job
			if len(x.Seats) > 1 {
				who = fmt.Sprintf("%s/%d", x.Job, i)
			}
			fmt.Fprintf(&b, "place    %s on %s, %s, %s: %s\n",
				who, seat.where(), plural(int64(seat.Workers), "worker"), seat.CPU.words(), seat.Because)
		}
	}
	for _, x := range p.Evict {
		switch {
		case x.Nodes == 0:
			fmt.Fprintf(&b, "evict    %s for %s\n", x.Job, x.For)
		case x.For == x.Job:
			fmt.Fprintf(&b, "resize   %s to %s\n", x.Job, plural(int64(x.Nodes), "node"))
		default:
			fmt.Fprintf(&b, "resize   %s to %s for %s\n", x.Job, plural(int64(x.Nodes), "node"), x.For)
		}
	}
	for _, x := range p.Reserve {
		if len(x.Seats) == 0 {
			fmt.Fprintf(&b, "reserve  nothing for %s any more\n", x.Job)
		}
		for _, seat := range x.Seats {
			fmt.Fprintf(&b, "reserve  %s for %s\n", seat.where(), x.Job)
		}
	}
	for _, x := range p.Hold {
		fmt.Fprintf(&b, "hold     %s: %s\n", x.Job, x.Reason.Sentence())
	}
	if !p.Wake.IsZero() {
		fmt.Fprintf(&b, "wake     at %s\n", p.Wake.UTC().Format(time.RFC3339Nano))
	}
	return b.String()
}

// where names the node and the devices of a seat: "n1 gpus 0,1", "n1 2000MiB of gpu 3", "n1".
func (s Seat) where() string {
	if len(s.GPUs) == 0 {
		return s.Node
	}
	var list []string
	for _, g := range s.GPUs {
		list = append(list, fmt.Sprint(g.Index))
	}
	text := strings.Join(list, ",")
	switch {
	case s.Share > 0:
		return fmt.Sprintf("%s %s of gpu %s", s.Node, s.Share, text)
	case len(list) == 1:
		return fmt.Sprintf("%s gpu %s", s.Node, text)
	}
	return fmt.Sprintf("%s gpus %s", s.Node, text)
}
