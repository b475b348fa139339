package proc

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"testing"
)

// A process's own ends of its connections to a port are those that it sees itself; others' and those to other ports are not among them.
func TestConnectionsToAPort(t *testing.T) {
	for _, host := range []string{"127.0.0.1", "::1"} {
		t.Run(host, func(t *testing.T) {
			l, err := net.Listen("tcp", net.JoinHostPort(host, "0"))
			if err != nil {
				t.Skipf("there is no %s here: %v", host, err)
			}
			defer l.Close()
			port := netip.MustParseAddrPort(l.Addr().String()).Port()
			if got := ConnectionsTo(os.Getpid(), port); len(got) != 0 {
				t.Errorf("before there was one: %v", got)
			}
			var want []netip.AddrPort
			for range 3 {
				conn, err := net.Dial("tcp", l.Addr().String())
				if err != nil {
					t.Fatal(err)
				}
				defer conn.Close()
				want = append(want, netip.MustParseAddrPort(conn.LocalAddr().String()))
			}
			slices.SortFunc(want, netip.AddrPort.Compare)
			if got := ConnectionsTo(os.Getpid(), port); !slices.Equal(got, want) {
				t.Errorf("%v, wanted %v", got, want)
			}
			if got := ConnectionsTo(os.Getppid(), port); len(got) != 0 {
				t.Errorf("another process has %v", got)
			}
			if got := ConnectionsTo(os.Getpid(), want[0].Port()); slices.Contains(got, want[0]) {
				t.Errorf("to its own port: %v", got)
			}
		})
	}
}
