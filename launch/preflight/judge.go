package preflight

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report is what all nodes are told.
type Report struct {
	Nodes    []Node    `json:"nodes"`
	Pairs    []Pair    `json:"pairs"`
	Whole    float64   `json:"bytes_per_second"` // that each sends while all reduce; 0: not measured
	Troubles []Trouble `json:"troubles"`
}

// Trouble is something in the way, or near it.
type Trouble struct {
	Fatal bool   `json:"fatal"` // the gang should not start
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// OK says whether nothing is in the way.
func (r Report) OK() bool {
	return !slices.ContainsFunc(r.Troubles, func(t Trouble) bool { return t.Fatal })
}

const (
	// slowLink is the part of the fastest pair's speed below which a pair is slow. Pairs of one network differ by less; a
	// link that fell back to the next lower speed by more.
	slowLink = 0.4
	// farLink is how many times the shortest round trip makes a pair far, if it is above nearEnough.
	farLink    = 5
	nearEnough = time.Millisecond
	// Clocks: what muddles logs, and what breaks tokens and the order of errors.
	clockOdd, clockWrong = 100 * time.Millisecond, time.Second
)

// Judge makes a report of what was found. It is a pure function.
func Judge(f Found) Report {
	r := Report{Nodes: []Node{}, Troubles: []Trouble{}}
	f.Nodes = distinct(f.Nodes)
	for _, n := range f.Nodes {
		if n != nil {
			r.Nodes = append(r.Nodes, *n)
		}
	}
	r.Pairs = append([]Pair{}, f.Pairs...)
	slices.SortFunc(r.Pairs, func(a, b Pair) int { return (a.A-b.A)<<16 + a.B - b.B })
	if f.Whole != nil {
		r.Whole = f.Whole.Bytes
	}
	j := judge{Found: f, report: &r}
	for _, text := range f.Mute {
		j.say(true, "look at that node: it is stuck, or far slower than the others", "%s", text)
	}
	j.taken()
	j.ports()
	j.fabrics()
	j.clocks()
	j.speeds()
	j.distances()
	if f.Whole != nil && f.Whole.Trouble != "" && r.OK() {
		j.say(true, "", "all nodes together: %s", f.Whole.Trouble)
	}
	return r
}

// distinct adds the rank to names that several nodes have, as containers may.
func distinct(nodes []*Node) []*Node {
	count := map[string]int{}
	for _, n := range nodes {
		if n != nil {
			count[n.Node]++
		}
	}
	list := slices.Clone(nodes)
	for i, n := range list {
		if n != nil && count[n.Node] > 1 {
			own := *n
			own.Node = fmt.Sprintf("%s#%d", n.Node, n.Rank)
			list[i] = &own
		}
	}
	return list
}

type judge struct {
	Found
	report *Report
}

func (j *judge) say(fatal bool, hint, format string, args ...any) {
	j.report.Troubles = append(j.report.Troubles, Trouble{fatal, fmt.Sprintf(format, args...), hint})
}

func (j *judge) name(rank int) string {
	if n := j.Nodes[rank]; n != nil {
		return n.Node
	}
	return fmt.Sprintf("with rank %d", rank)
}

// taken tells what a node could not listen on, in a line for each reason.
func (j *judge) taken() {
	for _, n := range j.Nodes {
		if n == nil {
			continue
		}
		var reasons []string
		ports := map[string][]int{}
		for _, t := range n.Taken {
			if ports[t.Why] = append(ports[t.Why], t.Port); len(ports[t.Why]) == 1 {
				reasons = append(reasons, t.Why)
			}
		}
		for _, why := range reasons {
			j.say(false, "a job running there may have it; it was not tried", "node %s cannot listen on %s: %s", n.Node, strings.Join(texts(ports[why]), ", "), why)
		}
	}
}

// ports tells whom nobody reaches, then what single nodes do not reach.
func (j *judge) ports() {
	for to, n := range j.Nodes {
		if n == nil {
			continue
		}
		missed := map[int][]int{} // by port, from whom
		why := map[int]string{}
		for from, misses := range j.Reach {
			for _, m := range misses {
				if m.To == to {
					missed[m.Port], why[m.Port] = append(missed[m.Port], from), m.Why
				}
			}
		}
		for from := range j.Nodes {
			all := len(n.Open) > 0
			for _, port := range n.Open {
				all = all && slices.Contains(missed[port], from)
			}
			if !all || from == to {
				continue
			}
			for port := range missed {
				missed[port] = slices.DeleteFunc(missed[port], func(rank int) bool { return rank == from })
			}
			j.say(true, "look at routes and firewalls between the two, and at the address that node "+n.Node+" is known by", "node %s reaches no port of node %s (%s): %s",
				j.name(from), n.Node, n.Addr, why[n.Open[0]])
		}
		for i, port := range n.Open {
			if len(missed[port]) == 0 {
				continue
			}
			hint := fmt.Sprintf("open TCP port %d on node %s for the others", port, n.Node)
			if i == len(n.Open)-1 {
				hint = "the kernel chose it, as it does for NCCL and gloo: open net.ipv4.ip_local_port_range of node " + n.Node + " for the others"
			}
			j.say(true, hint, "%s port %d of node %s (%s): %s", j.reaches(missed[port]), port, n.Node, n.Addr, why[port])
		}
	}
}

// reaches begins a sentence on those who miss something.
func (j *judge) reaches(ranks []int) string {
	if len(ranks) > 1 && len(ranks) == len(j.Nodes)-1 {
		return "the other nodes do not reach"
	}
	if len(ranks) == 1 {
		return "node " + j.name(ranks[0]) + " does not reach"
	}
	return "nodes " + j.names(ranks) + " do not reach"
}

func (j *judge) names(ranks []int) string {
	words := make([]string, len(ranks))
	for i, rank := range ranks {
		words[i] = j.name(rank)
	}
	return strings.Join(words, ", ")
}

// fabrics tells where NCCL would speak InfiniBand on one node and sockets on another, which ends in a hang.
func (j *judge) fabrics() {
	var sockets, verbs []int
	for rank, n := range j.Nodes {
		switch {
		case n == nil || n.GPUs == 0:
		case n.Fabric == "sockets":
			sockets = append(sockets, rank)
		default:
			verbs = append(verbs, rank)
		}
	}
	if len(sockets) > 0 && len(verbs) > 0 {
		j.say(true, "mend InfiniBand there (nexus doctor --nccl says more), or set NCCL_IB_DISABLE=1 for all", "NCCL would use InfiniBand or RoCE on %s, and sockets on %s: they do not meet",
			j.names(verbs), j.names(sockets))
	}
}

// clocks are told against rank 0's; a node that is not compared with it is not told.
func (j *judge) clocks() {
	for _, p := range j.report.Pairs {
		ahead := time.Duration(p.Ahead * float64(time.Second))
		size, unsure := ahead.Abs(), time.Duration(p.Unsure*float64(time.Second))
		if p.A != 0 || size-unsure < clockOdd {
			continue
		}
		word := "ahead of"
		if ahead < 0 {
			word = "behind"
		}
		j.say(size-unsure >= clockWrong, "run chrony or ntpd on both", "the clock of node %s is %s %s that of node %s", j.name(p.B), round(size), word, j.name(p.A))
	}
}

// speeds names the slow link: a node where all its pairs are slow, else the pairs.
func (j *judge) speeds() {
	best := j.best()
	slow := map[int]int{} // by node, pairs
	var pairs []Pair
	for _, p := range j.report.Pairs {
		switch {
		case p.Trouble != "":
			if !j.cut(p.A, p.B) {
				j.say(true, "nexus launch --rdzv-conf and NCCL would meet the same", "nodes %s and %s could not reduce together: %s", j.name(p.A), j.name(p.B), p.Trouble)
			}
		case p.Bytes < slowLink*best:
			pairs = append(pairs, p)
			slow[p.A]++
			slow[p.B]++
		}
	}
	guilty := j.guilty(slow)
	for _, rank := range guilty {
		worst := best
		for _, p := range pairs {
			if p.A == rank || p.B == rank {
				worst = min(worst, p.Bytes)
			}
		}
		j.say(true, "look at its cable, its switch port and ethtool "+j.device(rank), "the link of node %s is slow: %s to the others, where the fastest pair has %s", j.name(rank), Rate(worst), Rate(best))
	}
	for _, p := range pairs {
		if !slices.Contains(guilty, p.A) && !slices.Contains(guilty, p.B) {
			j.say(true, "look at what lies between the two", "the link between nodes %s and %s is slow: %s, where the fastest pair has %s", j.name(p.A), j.name(p.B), Rate(p.Bytes), Rate(best))
		}
	}
	j.claims(best)
}

// claims compares the fastest pair with what the interfaces say of themselves, as far as TCP and one reduction could fill it.
func (j *judge) claims(best float64) {
	least := 0
	for _, n := range j.Nodes {
		if n != nil && n.SpeedMbit > 0 && (least == 0 || n.SpeedMbit < least) {
			least = n.SpeedMbit
		}
	}
	const most = 1000 // Mbit/s: beyond, the processors may be what is slow
	if best > 0 && best*8/1e6 < slowLink*float64(min(least, most)) {
		j.say(true, "look at the switch, and at ethtool on both ends", "the network is slow: the fastest pair has %s, and every interface %d Mbit/s or more", Rate(best), least)
	}
}

// guilty are the nodes all of whose pairs are slow, where that explains more than the pairs by themselves: three nodes at least.
func (j *judge) guilty(slow map[int]int) (list []int) {
	measured := map[int]int{}
	for _, p := range j.report.Pairs {
		if p.Trouble == "" {
			measured[p.A]++
			measured[p.B]++
		}
	}
	for rank := range j.Nodes {
		if n := slow[rank]; n > 1 && n == measured[rank] {
			list = append(list, rank)
		}
	}
	return list
}

func (j *judge) device(rank int) string {
	if n := j.Nodes[rank]; n != nil {
		return n.Device
	}
	return ""
}

// distances tells which pairs are far from each other.
func (j *judge) distances() {
	near := 0.0
	for _, p := range j.report.Pairs {
		if p.RTT > 0 && (near == 0 || p.RTT < near) {
			near = p.RTT
		}
	}
	for _, p := range j.report.Pairs {
		if p.RTT > farLink*near && p.RTT > nearEnough.Seconds() {
			j.say(false, "small messages between them wait so long; nodes of a gang should be near each other", "nodes %s and %s are %s apart (round trip), the nearest pair %s", j.name(p.A), j.name(p.B),
				round(time.Duration(p.RTT*float64(time.Second))), round(time.Duration(near*float64(time.Second))))
		}
	}
}

// Rate writes bytes per second as bits, as networks are sold.
func Rate(bytes float64) string {
	bits := bytes * 8
	switch {
	case bits >= 1e9:
		return fmt.Sprintf("%.1f Gbit/s", bits/1e9)
	case bits >= 1e6:
		return fmt.Sprintf("%.1f Mbit/s", bits/1e6)
	}
	return fmt.Sprintf("%.0f kbit/s", bits/1e3)
}

// round leaves two digits or three.
func round(d time.Duration) time.Duration {
	for unit := time.Duration(1); ; unit *= 10 {
		if d < 1000*unit {
			return d.Round(unit)
		}
	}
}
