package fabric

import (
	"fmt"
	"slices"
	"strings"
)

// A Setting is an environment variable of a worker, and why it has its value.
type Setting struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Why   string `json:"why"`
}

// manyQueues is from which speed one TCP connection no longer fills a network card.
const manyQueues = 90_000 // Mbit/s

// Settings are what NCCL, and PyTorch around it, have to be told on this node. It is a pure function. Without GPUs it is no
// more than the interface and what makes errors end a process. What an nccl.conf says is left to it.
func Settings(f Facts) []Setting {
	return slices.DeleteFunc(choose(f), func(s Setting) bool { return slices.Contains(f.Configured, s.Name) })
}

func choose(f Facts) (list []Setting) {
	set := func(name, value, why string, args ...any) {
		list = append(list, Setting{name, value, fmt.Sprintf(why, args...)})
	}
	if f.Device != "" && !Inner(f.Device) {
		set("NCCL_SOCKET_IFNAME", "="+f.Device, "%s; by itself NCCL may take another", f.Why)
	}
	set("TORCH_NCCL_ASYNC_ERROR_HANDLING", "1", "PyTorch from 2.2 on: a failed or overdue collective ends the process, so that the launcher sees it")
	set("NCCL_ASYNC_ERROR_HANDLING", "1", "the same for older PyTorch, which reads this name")
	if len(f.GPUs) == 0 {
		return list
	}
	set("NCCL_DEBUG", "WARN", "the reason of a failure is printed; nothing else is")
	if f.Device == "" {
		return list // one node: the network is not used
	}
	if ports := f.usable(); len(ports) > 0 {
		return append(list, infiniband(f, ports)...)
	}
	if len(f.Ports) > 0 {
		set("NCCL_IB_DISABLE", "1", "%s; NCCL takes sockets without trying", f.unusable())
	}
	if i, ok := f.Named(f.Device); ok && i.SpeedMbit >= manyQueues {
		set("NCCL_SOCKET_NTHREADS", "4", "%s has %d Gbit/s, more than one connection carries", i.Name, i.SpeedMbit/1000)
		set("NCCL_NSOCKS_PERTHREAD", "4", "as NCCL_SOCKET_NTHREADS; 4 x 4 connections")
	}
	return list
}

// infiniband are the settings where NCCL goes past the kernel.
func infiniband(f Facts, ports []Port) (list []Setting) {
	names := make([]string, len(ports))
	gid := ports[0].GID
	for i, p := range ports {
		names[i] = p.Name()
		if p.GID != gid {
			gid = Unknown
		}
	}
	why := fmt.Sprintf("all ports that are active, %s", describe(ports[0]))
	if left := f.leftOut(); left != "" {
		why = fmt.Sprintf("the fastest network, %s; not %s", describe(ports[0]), left)
	}
	list = append(list, Setting{"NCCL_IB_HCA", "=" + strings.Join(names, ","), why})
	if ports[0].Ethernet && gid != Unknown {
		list = append(list, Setting{"NCCL_IB_GID_INDEX", itoa(gid), "the address of RoCE version 2 over IPv4; before 2.21 NCCL takes 0, which is version 1"})
	}
	return append(list, Setting{"NCCL_IB_TIMEOUT", "22", "17 s a try, so that a link that comes back does not end the job; 7 tries are two minutes, less than PyTorch waits"})
}

// usable are the ports that carry the gang's traffic: active, of one network. InfiniBand comes before Ethernet, and of
// either only what is at least half as fast as the fastest: the others are for storage or management.
func (f Facts) usable() (list []Port) {
	best := Port{RateGbit: Unknown, Ethernet: true}
	for _, p := range f.Ports {
		if p.Active && p.Reach && (p.Ethernet == best.Ethernet && p.RateGbit > best.RateGbit || !p.Ethernet && best.Ethernet) {
			best = p
		}
	}
	for _, p := range f.Ports {
		if p.Active && p.Reach && p.Ethernet == best.Ethernet && (p.RateGbit == Unknown || 2*p.RateGbit >= best.RateGbit) {
			list = append(list, p)
		}
	}
	return list
}

// leftOut names the ports that are not used, and why.
func (f Facts) leftOut() string {
	used := map[string]bool{}
	for _, p := range f.usable() {
		used[p.Name()] = true
	}
	var words []string
	for _, p := range f.Ports {
		switch {
		case used[p.Name()]:
		case !p.Active:
			words = append(words, fmt.Sprintf("%s (%s)", p.Name(), strings.ToLower(p.State)))
		case !p.Reach:
			words = append(words, p.Name()+" (no device file)")
		default:
			words = append(words, fmt.Sprintf("%s (%s)", p.Name(), describe(p)))
		}
	}
	return strings.Join(words, ", ")
}

// unusable says why none of the ports there are is used.
func (f Facts) unusable() string {
	if f.noFiles() {
		return "there are InfiniBand ports, and no /dev/infiniband to reach them by"
	}
	return "no InfiniBand port can be used: " + f.leftOut()
}

// noFiles says whether no port has a device file.
func (f Facts) noFiles() bool {
	return !slices.ContainsFunc(f.Ports, func(p Port) bool { return p.Reach })
}

func describe(p Port) string {
	kind := "InfiniBand"
	if p.Ethernet {
		kind = "RoCE"
	}
	if p.RateGbit == Unknown {
		return kind
	}
	return fmt.Sprintf("%s of %d Gbit/s", kind, p.RateGbit)
}
