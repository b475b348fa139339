package proc

import (
	"bufio"
	"encoding/hex"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
)

// ConnectionsTo lists the process's own ends of its TCP connections to a port of any address, as far as the system tells.
func ConnectionsTo(pid int, port uint16) (ends []netip.AddrPort) {
	base := "/proc/" + strconv.Itoa(pid)
	mine := map[string]bool{} // sockets, by inode
	descriptors, _ := os.ReadDir(base + "/fd")
	for _, d := range descriptors {
		to, _ := os.Readlink(base + "/fd/" + d.Name())
		if inode, ok := strings.CutPrefix(to, "socket:["); ok {
			mine[strings.TrimSuffix(inode, "]")] = true
		}
	}
	if len(mine) == 0 {
		return nil
	}
	for _, table := range []string{"/net/tcp", "/net/tcp6"} {
		file, err := os.Open(base + table)
		if err != nil {
			continue
		}
		lines := bufio.NewScanner(file)
		for lines.Scan() {
			// sl local remote state queues timer retransmits uid timeout inode ...
			fields := strings.Fields(lines.Text())
			if len(fields) < 10 || fields[3] != "01" || !mine[fields[9]] {
				continue
			}
			local, ok := tableAddr(fields[1])
			remote, ok2 := tableAddr(fields[2])
			if ok && ok2 && remote.Port() == port {
				ends = append(ends, local)
			}
		}
		file.Close()
	}
	slices.SortFunc(ends, netip.AddrPort.Compare)
	return ends
}

// tableAddr reads an address of the kernel's tables: words in the order of the machine's bytes, which here is the little end first.
func tableAddr(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(host)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(b, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(addr.Unmap(), uint16(n)), ok
}
