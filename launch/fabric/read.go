package fabric

import (
	"cmp"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

// Read reads a node, of which files is the root directory, with the environment of who will use it. What cannot be read is
// unknown, or not there.
func Read(files fs.FS, getenv func(string) string) Facts {
	r := reader{files}
	f := Facts{Interfaces: r.interfaces(), GPUs: r.gpus(), ShmMiB: Unknown}
	f.Ports = r.ports()
	f.PeerMemory, f.Configured = r.peerMemory(), r.configured(getenv)
	for _, g := range f.GPUs { // "identity" is iommu=pt: nothing is translated
		f.IOMMU = f.IOMMU || strings.HasPrefix(r.text("sys/bus/pci/devices/"+g.Bus+"/iommu_group/type"), "DMA")
	}
	if words := strings.Fields(r.text("proc/sys/net/ipv4/ip_local_port_range")); len(words) == 2 {
		f.PortLow, f.PortHigh = max(0, atoi(words[0])), max(0, atoi(words[1]))
	}
	return f
}

// ReadForWorkers reads what [Settings] asks for and no more: without GPUs that is little, and a launch need not wait for the rest.
// Workers that are shown no GPU have none.
func ReadForWorkers(files fs.FS, env map[string]string) Facts {
	r, getenv := reader{files}, func(key string) string { return env[key] }
	visible, set := env["CUDA_VISIBLE_DEVICES"]
	hidden := set && slices.Contains([]string{"", "-1", "none", "void", "NoDevFiles"}, visible)
	if hidden || len(r.glob("proc/driver/nvidia/gpus/*")) == 0 {
		return Facts{Configured: r.configured(getenv), ShmMiB: Unknown}
	}
	return Read(files, getenv)
}

type reader struct{ files fs.FS }

func (r reader) text(name string) string {
	data, _ := fs.ReadFile(r.files, name)
	return strings.TrimSpace(string(data))
}

func (r reader) number(name string) int { return atoi(r.text(name)) }

func (r reader) glob(pattern string) []string {
	names, _ := fs.Glob(r.files, pattern)
	return names
}

func (r reader) interfaces() (list []Interface) {
	for _, dir := range r.glob("sys/class/net/*") {
		if r.text(dir+"/mtu") == "" { // bonding_masters, which is a file
			continue
		}
		i := Interface{Name: path.Base(dir), SpeedMbit: r.number(dir + "/speed"), MTU: r.number(dir + "/mtu")}
		i.Up = r.text(dir+"/operstate") == "up" || r.text(dir+"/operstate") == "unknown" && r.text(dir+"/carrier") == "1"
		if i.SpeedMbit <= 0 { // -1 where the driver does not know, 0 where it does not say
			i.SpeedMbit = Unknown
		}
		list = append(list, i)
	}
	return list
}

func (r reader) ports() (list []Port) {
	verbs := r.verbs()
	for _, dir := range r.glob("sys/class/infiniband/*/ports/*") {
		hca := path.Dir(path.Dir(dir))
		p := Port{HCA: path.Base(hca), Number: atoi(path.Base(dir)), RateGbit: gbit(r.text(dir + "/rate")), GID: Unknown, NUMA: r.number(hca + "/device/numa_node")}
		_, p.State, _ = strings.Cut(r.text(dir+"/state"), ": ")
		p.Active, p.Ethernet = p.State == "ACTIVE", r.text(dir+"/link_layer") == "Ethernet"
		p.path, p.Reach = r.pci(hca), verbs(p.HCA)
		if p.Ethernet {
			p.GID, p.Interface = r.gid(dir)
		}
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b Port) int {
		return cmp.Or(natural(a.HCA, b.HCA), cmp.Compare(a.Number, b.Number))
	})
	return list
}

// verbs says which adapters programs may use: a container sees all in /sys, and has the device files of those it was given.
// Where /sys does not say whose a file is, any one will do.
func (r reader) verbs() func(hca string) bool {
	there := map[string]bool{}
	for _, file := range r.glob("dev/infiniband/uverbs*") {
		there[path.Base(file)] = true
	}
	owner := map[string]string{}
	for _, dir := range r.glob("sys/class/infiniband_verbs/uverbs*") {
		owner[r.text(dir+"/ibdev")] = path.Base(dir)
	}
	return func(hca string) bool {
		if file, known := owner[hca]; known {
			return there[file]
		}
		return len(there) > 0
	}
}

// gid finds the address that routed RoCE goes by: version 2, over IPv4.
func (r reader) gid(port string) (index int, device string) {
	index = Unknown
	for _, name := range r.glob(port + "/gid_attrs/types/*") {
		n := atoi(path.Base(name))
		mapped := strings.HasPrefix(r.text(port+"/gids/"+itoa(n)), "0000:0000:0000:0000:0000:ffff:")
		if r.text(name) == "RoCE v2" && mapped && (index == Unknown || n < index) {
			index, device = n, r.text(port+"/gid_attrs/ndevs/"+itoa(n))
		}
	}
	return index, device
}

func (r reader) gpus() (list []GPU) {
	for _, dir := range r.glob("proc/driver/nvidia/gpus/*") {
		bus := strings.ToLower(path.Base(dir))
		g := GPU{Bus: bus, NUMA: r.number("sys/bus/pci/devices/" + bus + "/numa_node"), path: r.pci("sys/bus/pci/devices/" + bus)}
		for line := range strings.Lines(r.text(dir + "/information")) {
			if key, value, _ := strings.Cut(line, ":"); key == "Model" {
				g.Model = strings.TrimSpace(value)
			}
		}
		list = append(list, g)
	}
	slices.SortFunc(list, func(a, b GPU) int { return cmp.Compare(a.Bus, b.Bus) })
	return list
}

// isPCI is a root complex or the address of a device.
var isPCI = regexp.MustCompile(`^(pci)?[0-9a-f]{4,}:[0-9a-f]{2}(:[0-9a-f]{2}\.[0-9a-f])?$`)

// pci is where the links of /sys say that a device is.
func (r reader) pci(link string) (way pciPath) {
	target, err := fs.ReadLink(r.files, link)
	if err != nil {
		return nil
	}
	for part := range strings.SplitSeq(target, "/") {
		if isPCI.MatchString(part) {
			way = append(way, part)
		}
	}
	return way
}

// peerMemory says by what a network card can reach GPU memory: NVIDIA's module, or the kernel's way, which needs the open
// driver.
func (r reader) peerMemory() string {
	for _, module := range []string{"nvidia_peermem", "nv_peer_mem"} {
		if _, err := fs.Stat(r.files, "sys/module/"+module); err == nil {
			return module
		}
	}
	major, minor, _ := strings.Cut(r.text("proc/sys/kernel/osrelease"), ".")
	minor, _, _ = strings.Cut(minor, ".")
	recent := atoi(major) > 5 || atoi(major) == 5 && atoi(minor) >= 12
	if recent && strings.Contains(r.text("proc/driver/nvidia/version"), "Open Kernel Module") {
		return "dmabuf"
	}
	return ""
}

// DefaultRoute is the interface of the default route with the least metric, of IPv4 else IPv6; empty where there is none.
func DefaultRoute(files fs.FS) string {
	r := reader{files}
	device, least := "", int64(1)<<40
	take := func(name, metric string, base int) {
		if n, err := strconv.ParseInt(metric, base, 64); err == nil && n < least && !Inner(name) {
			device, least = name, n
		}
	}
	for line := range strings.Lines(r.text("proc/net/route")) {
		if w := strings.Fields(line); len(w) >= 8 && w[1] == "00000000" && w[7] == "00000000" {
			take(w[0], w[6], 10)
		}
	}
	if device != "" {
		return device
	}
	for line := range strings.Lines(r.text("proc/net/ipv6_route")) {
		if w := strings.Fields(line); len(w) == 10 && w[0] == strings.Repeat("0", 32) && w[1] == "00" {
			take(w[9], w[5], 16)
		}
	}
	return device
}

// configured are the names that NCCL's own files set. The environment would win over them.
func (r reader) configured(getenv func(string) string) (names []string) {
	own := getenv("NCCL_CONF_FILE")
	if home := getenv("HOME"); own == "" && home != "" {
		own = home + "/.nccl.conf"
	}
	for _, file := range []string{"etc/nccl.conf", strings.TrimPrefix(path.Clean(own), "/")} {
		for line := range strings.Lines(r.text(file)) {
			name, _, ok := strings.Cut(strings.TrimSpace(line), "=")
			if ok && strings.HasPrefix(name, "NCCL_") && !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	return names
}

// gbit reads "100 Gb/sec (4X EDR)".
func gbit(text string) int {
	number, _, _ := strings.Cut(text, " ")
	if f, err := strconv.ParseFloat(number, 64); err == nil && f > 0 && f < 1e6 {
		return int(f + 0.5)
	}
	return Unknown
}

// natural orders mlx5_2 before mlx5_10.
func natural(a, b string) int {
	return cmp.Or(cmp.Compare(len(a), len(b)), cmp.Compare(a, b))
}

func itoa(n int) string { return strconv.Itoa(n) }

func atoi(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return Unknown
	}
	return n
}
