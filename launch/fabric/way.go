package fabric

import (
	"fmt"
	"net"
)

// A Way is how this node reaches another.
type Way struct {
	Peer   string // as it was named
	Addr   string // what the name means here
	Device string // the interface that packets leave by
	Err    error  // why it cannot be told
}

// name is the other node as it was named, with what that means where it is not the same.
func (w Way) name() string {
	if w.Addr == w.Peer || w.Addr == "" {
		return w.Peer
	}
	return w.Peer + " (" + w.Addr + ")"
}

// Toward asks the kernel for the way to a host. Nothing is sent, but the name is looked up.
func Toward(host string) Way {
	w := Way{Peer: host}
	conn, err := net.Dial("udp", net.JoinHostPort(host, "9"))
	if err != nil {
		w.Err = err
		return w
	}
	defer conn.Close()
	w.Addr, _, _ = net.SplitHostPort(conn.RemoteAddr().String())
	local, _, _ := net.SplitHostPort(conn.LocalAddr().String())
	if w.Device = DeviceOf(local); w.Device == "" {
		w.Err = fmt.Errorf("no interface has the address %s", local)
	}
	return w
}

// DeviceOf is the network interface of this machine that has an address.
func DeviceOf(host string) string {
	ip := net.ParseIP(host)
	list, err := net.Interfaces()
	if ip == nil || err != nil {
		return ""
	}
	for _, i := range list {
		addrs, _ := i.Addrs()
		for _, addr := range addrs {
			if n, ok := addr.(*net.IPNet); ok && n.IP.Equal(ip) {
				return i.Name
			}
		}
	}
	return ""
}

// Along are the facts with the interface that leads to the most of the others. An interface that leads to no other node is never
// taken, whatever the routes say: then the name of the other was looked up wrongly. Without a way, fallback is taken, the
// default route's.
func (f Facts) Along(ways []Way, fallback string) Facts {
	count := map[string]int{}
	for _, w := range ways {
		switch {
		case w.Err != nil:
			f.Doubts = append(f.Doubts, fmt.Sprintf("there is no way to %s: %v", w.Peer, w.Err))
		case Inner(w.Device):
			f.Doubts = append(f.Doubts, fmt.Sprintf("the way to %s is through %s, which leads to no other node", w.name(), w.Device))
		default:
			count[w.Device]++
		}
	}
	f.Device, f.Why = "", ""
	for _, w := range ways { // in the order of the ways: the first of equals
		if n := count[w.Device]; n > count[f.Device] {
			f.Device, f.Why = w.Device, "the way to "+w.name()
		}
	}
	for _, w := range ways {
		if w.Err == nil && !Inner(w.Device) && w.Device != f.Device {
			f.Doubts = append(f.Doubts, fmt.Sprintf("the way to %s is through %s instead", w.name(), w.Device))
		}
	}
	if f.Device == "" && fallback != "" {
		f.Device, f.Why = fallback, "the default route"
	}
	return f
}
