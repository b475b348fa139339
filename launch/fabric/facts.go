package fabric

import (
	"slices"
	"strings"
)

// Unknown is a number that could not be read.
const Unknown = -1

// Facts are what is known of a node. Lists are in order of name, GPUs in that of the PCI bus.
type Facts struct {
	Device     string      `json:"device,omitempty"` // interface on the way to the other nodes; empty: there are none
	Why        string      `json:"why,omitempty"`    // how it was found
	Doubts     []string    `json:"doubts,omitempty"` // what spoke against another one
	Interfaces []Interface `json:"interfaces"`
	Ports      []Port      `json:"ports"` // of InfiniBand and RoCE
	GPUs       []GPU       `json:"gpus"`

	PeerMemory string   `json:"peer_memory,omitempty"` // what lets network cards reach GPU memory: nvidia_peermem, dmabuf, or empty
	IOMMU      bool     `json:"iommu"`                 // PCIe traffic of a GPU is translated, which direct traffic suffers from
	PortLow    int      `json:"port_low"`              // the range that NCCL's and gloo's listening ports come from; 0: not known
	PortHigh   int      `json:"port_high"`
	Configured []string `json:"configured,omitempty"` // variables that nccl.conf sets, which are left to it
	ShmMiB     int      `json:"shm_mib"`              // size of /dev/shm, or Unknown
}

// Interface is a network interface.
type Interface struct {
	Name      string `json:"name"`
	Up        bool   `json:"up"`
	SpeedMbit int    `json:"speed_mbit"` // or Unknown
	MTU       int    `json:"mtu"`        // bytes, or Unknown
}

// Port is one port of a host channel adapter.
type Port struct {
	HCA       string `json:"hca"` // mlx5_0
	Number    int    `json:"number"`
	Active    bool   `json:"active"`
	State     string `json:"state"`     // ACTIVE, DOWN, INIT, ...
	Reach     bool   `json:"reach"`     // its /dev/infiniband/uverbs* is there, by which programs use it
	RateGbit  int    `json:"rate_gbit"` // or Unknown
	Ethernet  bool   `json:"ethernet"`  // RoCE
	GID       int    `json:"gid"`       // with RoCE, the index of its version 2 address over IPv4, or Unknown
	NUMA      int    `json:"numa"`      // node, or Unknown
	Interface string `json:"interface"` // with RoCE, the network interface of that address
	path      pciPath
}

// Name is how NCCL_IB_HCA names the port.
func (p Port) Name() string { return p.HCA + ":" + itoa(p.Number) }

// GPU is a device as the PCI bus sees it.
type GPU struct {
	Bus   string `json:"bus"` // 0000:17:00.0
	Model string `json:"model,omitempty"`
	NUMA  int    `json:"numa"` // node, or Unknown
	path  pciPath
}

// pciPath is the way from the root complex to a device, the device last.
type pciPath []string

// Distance is how far apart two devices of the PCI bus are, in the words of nvidia-smi.
type Distance string

// From near to far.
const (
	PIX  Distance = "PIX"  // below one switch
	PXB  Distance = "PXB"  // several switches
	PHB  Distance = "PHB"  // through one root complex
	NODE Distance = "NODE" // through one NUMA node
	SYS  Distance = "SYS"  // between NUMA nodes
)

func (d Distance) rank() int { return slices.Index([]Distance{PIX, PXB, PHB, NODE, SYS}, d) }

// distance tells how far apart two devices are.
func distance(a, b pciPath, nodeA, nodeB int) Distance {
	common := 0
	for common < min(len(a), len(b)) && a[common] == b[common] {
		common++
	}
	switch {
	case common >= 2 && len(a)-common <= 2 && len(b)-common <= 2: // at most the switch's own port lies between
		return PIX
	case common >= 2:
		return PXB
	case common == 1:
		return PHB
	case nodeA >= 0 && nodeA == nodeB:
		return NODE
	}
	return SYS
}

// Nearest are the usable ports that are next to a GPU, and how far that is.
func (f Facts) Nearest(g GPU) (ports []Port, how Distance) {
	for _, p := range f.usable() {
		d := distance(g.path, p.path, g.NUMA, p.NUMA)
		switch {
		case how == "" || d.rank() < how.rank():
			ports, how = []Port{p}, d
		case d == how:
			ports = append(ports, p)
		}
	}
	return ports, how
}

// Over are the facts with the interface that leads to the other nodes.
func (f Facts) Over(device, why string) Facts {
	f.Device, f.Why = device, why
	return f
}

// inner are the beginnings of names that no other node is reached by: loopback, and bridges and pairs of containers and
// virtual machines.
var inner = [...]string{"docker", "br-", "veth", "cni", "virbr", "vnet", "lxc", "lxdbr", "podman", "flannel", "cali", "cilium", "kube-", "tunl", "dummy", "nerdctl"}

// Inner says whether an interface leads to no other node, by its name. eth0 in a container is a veth too, and leads there.
func Inner(name string) bool {
	return name == "lo" || slices.ContainsFunc(inner[:], func(prefix string) bool { return strings.HasPrefix(name, prefix) })
}

// Named finds an interface; what is not known of one that is not there is [Unknown].
func (f Facts) Named(device string) (Interface, bool) {
	i := slices.IndexFunc(f.Interfaces, func(i Interface) bool { return i.Name == device })
	if i < 0 {
		return Interface{SpeedMbit: Unknown, MTU: Unknown}, false
	}
	return f.Interfaces[i], true
}
