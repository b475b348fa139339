//go:build !linux && !darwin

package api

import "net"

// peerUID is not known on this system: nobody is let in by the socket.
func peerUID(net.Conn) (uid int, ok bool) { return 0, false }
