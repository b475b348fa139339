package fabric

import (
	"fmt"
	"strings"
)

// A Note is something that was found out, for people.
type Note struct {
	Topic string `json:"topic"`
	Warn  bool   `json:"warn"` // it is likely in the way
	Text  string `json:"text"`
	Hint  string `json:"hint,omitempty"`
}

// Notes tell the facts, those first that matter first. It is a pure function.
func Notes(f Facts) []Note {
	list := []Note{f.noteInterface()}
	for _, doubt := range f.Doubts {
		list = append(list, Note{"interface", true, doubt, "look the name up with getent hosts; /etc/hosts may give it an address that only this machine has"})
	}
	list = append(list, f.noteInfiniBand(), f.notePeerMemory())
	list = append(list, f.noteGPUs()...)
	if len(f.Configured) > 0 {
		list = append(list, Note{"nccl.conf", false, "it sets " + strings.Join(f.Configured, ", ") + ", which is left to it", ""})
	}
	return append(list, f.notePorts(), f.noteShm(), noteTimeouts())
}

func (f Facts) noteInterface() Note {
	if f.Device == "" {
		return Note{"interface", false, "none leads to other nodes: a gang has to fit on this one", ""}
	}
	i, _ := f.Named(f.Device)
	text := fmt.Sprintf("%s, %s", f.Device, f.Why)
	if i.SpeedMbit != Unknown {
		text += fmt.Sprintf(", %d Mbit/s", i.SpeedMbit)
	}
	if i.MTU != Unknown {
		text += fmt.Sprintf(", MTU %d", i.MTU)
	}
	var others []string
	for _, o := range f.Interfaces {
		if o.Name != f.Device && o.Up && !Inner(o.Name) {
			others = append(others, o.Name)
		}
	}
	if len(others) > 0 {
		text += "; not " + strings.Join(others, ", ")
	}
	return Note{"interface", false, text, ""}
}

func (f Facts) noteInfiniBand() Note {
	ports := f.usable()
	if len(f.Ports) == 0 {
		return Note{"infiniband", false, "none: NCCL uses sockets", ""}
	}
	if len(ports) == 0 {
		hint := "ibstat says more; a cable, a switch or the subnet manager"
		if f.noFiles() {
			hint = "give the container /dev/infiniband"
		}
		return Note{"infiniband", true, f.unusable(), hint}
	}
	names := make([]string, len(ports))
	for i, p := range ports {
		names[i] = fmt.Sprintf("%s (%s%s)", p.Name(), describe(p), onNode(p.NUMA))
	}
	text := strings.Join(names, ", ")
	if left := f.leftOut(); left != "" {
		text += "; not used: " + left
	}
	return Note{"infiniband", false, text, ""}
}

func onNode(node int) string {
	if node == Unknown {
		return ""
	}
	return fmt.Sprintf(", NUMA node %d", node)
}

func (f Facts) notePeerMemory() Note {
	const topic = "gpudirect"
	switch {
	case len(f.GPUs) == 0 || len(f.usable()) == 0:
		return Note{topic, false, "not asked for: it takes a GPU and an InfiniBand or RoCE port", ""}
	case f.PeerMemory == "":
		return Note{topic, true, "network cards cannot reach GPU memory: all traffic goes through the host's", "modprobe nvidia_peermem, or the open kernel modules of the driver"}
	}
	return Note{topic, false, "network cards reach GPU memory by " + f.PeerMemory, ""}
}

func (f Facts) noteGPUs() (list []Note) {
	if len(f.GPUs) == 0 {
		return []Note{{"gpus", false, "none: nothing of NCCL is set but the interface", ""}}
	}
	for i, g := range f.GPUs {
		text := fmt.Sprintf("GPU %d %s %s%s", i, g.Bus, g.Model, onNode(g.NUMA))
		if near, how := f.Nearest(g); len(near) > 0 {
			text += fmt.Sprintf("; %s to %s", how, near[0].Name())
			for _, p := range near[1:] {
				text += ", " + p.Name()
			}
		}
		list = append(list, Note{"gpus", false, text, ""})
	}
	if f.IOMMU && len(f.GPUs) > 1 {
		list = append(list, Note{"iommu", true, "the IOMMU is on: GPUs that talk over PCIe directly may be slow or get wrong data",
			"turn it off in the firmware, or set iommu=pt; NCCL_P2P_DISABLE=1 shows whether it is that"})
	}
	return list
}

func (f Facts) notePorts() Note {
	if f.PortLow <= 0 || f.PortHigh < f.PortLow {
		return Note{"ports", false, "29400 and 29500, and the range of the system, which is not known", ""}
	}
	return Note{"ports", false, fmt.Sprintf("29400 and 29500, and %d to %d, which NCCL and gloo take theirs from: open them between the nodes", f.PortLow, f.PortHigh),
		"sysctl net.ipv4.ip_local_port_range=\"29501 30524\" makes that a range which a firewall can name"}
}

func (f Facts) noteShm() Note {
	if f.ShmMiB == Unknown {
		return Note{"shm", false, "the size of /dev/shm is not known", ""}
	}
	const least = 512
	if len(f.GPUs) > 1 && f.ShmMiB < least {
		return Note{"shm", true, fmt.Sprintf("/dev/shm has only %d MiB: NCCL ends with \"No space left on device\" where GPUs do not talk directly", f.ShmMiB),
			"start the container with --shm-size=8g"}
	}
	return Note{"shm", false, fmt.Sprintf("/dev/shm has %d MiB", f.ShmMiB), ""}
}

func noteTimeouts() Note {
	return Note{"timeouts", false, "PyTorch ends an overdue NCCL collective after 10 minutes, or the timeout= of init_process_group",
		"for more of a failure set NCCL_DEBUG=INFO and NCCL_DEBUG_SUBSYS=INIT,NET, and TORCH_NCCL_TRACE_BUFFER_SIZE=2000 with TORCH_NCCL_DUMP_ON_TIMEOUT=1"}
}
