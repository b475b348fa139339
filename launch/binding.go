package launch

import (
	"fmt"
	"io/fs"
	"slices"
	"strconv"
	"strings"
)

// Binding says which CPUs a worker may run on: torchrun's --numa-binding. The zero value is all of them.
type Binding uint8

const (
	bindNothing Binding = iota
	// BindNode gives a worker the CPUs of a NUMA node: its GPU's, where that is known.
	BindNode
	// BindSocket gives it those of all nodes of that node's socket.
	BindSocket
	// BindExclusive shares a node's cores out between the workers that are bound to it.
	BindExclusive
	// BindCoreComplex gives it the cores below one last-level cache of the node, another one for each worker while there are.
	BindCoreComplex
)

// ParseBinding reads torchrun's words.
func ParseBinding(text string) (Binding, error) {
	words := []string{BindNode: "node", BindSocket: "socket", BindExclusive: "exclusive", BindCoreComplex: "core-complex"}
	if at := slices.Index(words, text); at > 0 {
		return Binding(at), nil
	}
	return bindNothing, fmt.Errorf("%q is neither node nor socket nor exclusive nor core-complex", text)
}

// cpu is a logical CPU and what it shares with others.
type cpu struct{ number, node, socket, core, cache int }

// machine is what a binding needs to know; the zero value knows nothing.
type machine struct {
	cpus []cpu // those that may be used, by number
	gpus []int // the NUMA node of each GPU, in PCI order; -1: not said
}

// readMachine reads /sys and /proc, of which files is the root. What cannot be read is left out.
func readMachine(files fs.FS, usable func(cpu int) bool) machine {
	var m machine
	text := func(path string) string {
		data, _ := fs.ReadFile(files, path)
		return strings.TrimSpace(string(data))
	}
	number := func(path string) int {
		n, err := strconv.Atoi(text(path))
		if err != nil {
			return -1
		}
		return n
	}
	nodes, _ := fs.Glob(files, "sys/devices/system/node/node[0-9]*")
	for _, dir := range nodes {
		node, _ := strconv.Atoi(strings.TrimPrefix(dir, "sys/devices/system/node/node"))
		for _, n := range parseCPUs(text(dir + "/cpulist")) {
			if !usable(n) {
				continue
			}
			at := fmt.Sprintf("sys/devices/system/cpu/cpu%d/", n)
			cache := n
			if below := parseCPUs(text(at + "cache/index3/shared_cpu_list")); len(below) > 0 {
				cache = below[0]
			}
			m.cpus = append(m.cpus, cpu{n, node, number(at + "topology/physical_package_id"), number(at + "topology/core_id"), cache})
		}
	}
	slices.SortFunc(m.cpus, func(a, b cpu) int { return a.number - b.number })
	gpus, _ := fs.Glob(files, "proc/driver/nvidia/gpus/*")
	for _, dir := range gpus {
		m.gpus = append(m.gpus, number("sys/bus/pci/devices/"+strings.ToLower(dir[strings.LastIndexByte(dir, '/')+1:])+"/numa_node"))
	}
	return m
}

// parseCPUs reads "0-3,8".
func parseCPUs(text string) []int {
	var list []int
	for part := range strings.SplitSeq(text, ",") {
		low, high, ranged := strings.Cut(part, "-")
		if !ranged {
			high = low
		}
		first, err := strconv.Atoi(low)
		last, err2 := strconv.Atoi(high)
		if err != nil || err2 != nil || last-first > 1<<16 {
			return nil
		}
		for n := first; n <= last; n++ {
			list = append(list, n)
		}
	}
	return list
}

// bind gives each of so many workers its CPUs. visible are the GPUs that the workers see, in their order, as far as it is known:
// worker i owns the i-th. Without GPUs the workers are spread over the nodes.
func (m machine) bind(b Binding, workers int, visible []int) ([][]int, error) {
	var nodes []int
	for _, c := range m.cpus {
		if !slices.Contains(nodes, c.node) {
			nodes = append(nodes, c.node)
		}
	}
	if len(nodes) == 0 {
		return nil, sentence("--numa-binding: this system does not say which CPUs belong together", "leave it out")
	}
	slices.Sort(nodes)
	home := make([]int, workers)
	for i := range home {
		home[i] = nodes[i*len(nodes)/workers]
		if i < len(visible) && visible[i] < len(m.gpus) && slices.Contains(nodes, m.gpus[visible[i]]) {
			home[i] = m.gpus[visible[i]]
		}
	}
	sets := make([][]int, workers)
	for i, node := range home {
		var mates []int // the workers of the node
		for j, other := range home {
			if other == node {
				mates = append(mates, j)
			}
		}
		set, err := m.set(b, node, slices.Index(mates, i), len(mates))
		if err != nil {
			return nil, err
		}
		sets[i] = set
	}
	return sets, nil
}

// set is the CPUs of the worker that is number among so many of a node.
func (m machine) set(b Binding, node, number, mates int) ([]int, error) {
	socket := -1
	for _, c := range m.cpus {
		if c.node == node {
			socket = c.socket
		}
	}
	group := func(of func(cpu) int) (groups [][]int) { // the node's CPUs by what they share
		var keys []int
		for _, c := range m.cpus {
			if c.node != node {
				continue
			}
			at := slices.Index(keys, of(c))
			if at < 0 {
				keys, groups, at = append(keys, of(c)), append(groups, nil), len(keys)
			}
			groups[at] = append(groups[at], c.number)
		}
		return groups
	}
	switch b {
	case BindExclusive:
		cores := group(func(c cpu) int { return c.core })
		if len(cores) < mates {
			return nil, sentence(fmt.Sprintf("--numa-binding=exclusive: node %d has %s for %d workers", node, times(len(cores), "core", "cores"), mates),
				"--numa-binding=node, or fewer workers")
		}
		return slices.Sorted(slices.Values(slices.Concat(cores[number*len(cores)/mates : (number+1)*len(cores)/mates]...))), nil
	case BindCoreComplex:
		complexes := group(func(c cpu) int { return c.cache })
		return complexes[number%len(complexes)], nil
	}
	var all []int
	for _, c := range m.cpus {
		if c.node == node || b == BindSocket && c.socket == socket {
			all = append(all, c.number)
		}
	}
	return all, nil
}

// visibleGPUs reads CUDA_VISIBLE_DEVICES as far as it holds numbers; nil where it does not, and every GPU in order where it is
// not set.
func visibleGPUs(value string, set bool, gpus int) []int {
	var list []int
	if !set {
		for i := range gpus {
			list = append(list, i)
		}
		return list
	}
	for part := range strings.SplitSeq(value, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(part))
		if err != nil || n < 0 {
			return nil
		}
		list = append(list, n)
	}
	return list
}
