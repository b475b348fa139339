package collective

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

// line is which connection of a link a caller makes.
type line uint8

const (
	lineData line = iota + 1
	lineControl
)

// caller is what a connecting rank says about itself.
type caller struct {
	Rank, Peer, Size int
	Line             line
}

// entrant is a caller who knew the key.
type entrant struct {
	who  caller
	conn *net.TCPConn
}

// The handshake: the door sends a greeting (magic, byte order, challenge); the caller answers with who it is and a MAC
// of that and the challenge; the door proves itself with a MAC of the caller's.
const (
	magic        = "nexus-collective/1\n"
	nonceSize    = 16
	greetingSize = len(magic) + 2 + nonceSize
	callSize     = 4 + 4 + 4 + 1 + sha256.Size
	// doorLimit bounds a handshake: who connects and says nothing is dropped.
	doorLimit = 5 * time.Second
	// doorCrowd bounds the handshakes at one time.
	doorCrowd = 256
)

var errStranger = errors.New("the other side does not know the group's key")

// door lets neighbours in and keeps strangers out.
type door struct {
	listener   net.Listener
	key        []byte
	rank, size int
	entered    chan entrant
}

// serve answers until the listener is closed.
func (d *door) serve(ctx context.Context) {
	var visitors sync.WaitGroup
	defer visitors.Wait()
	crowd := make(chan struct{}, doorCrowd)
	for {
		conn, err := d.listener.Accept()
		if err != nil {
			return
		}
		crowd <- struct{}{}
		visitors.Go(func() {
			defer func() { <-crowd }()
			stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
			who, err := d.answer(conn.(*net.TCPConn))
			if !stop() || err != nil {
				conn.Close()
				return
			}
			select {
			case d.entered <- entrant{who, conn.(*net.TCPConn)}:
			case <-ctx.Done():
				conn.Close()
			}
		})
	}
}

// answer runs the door's side of the handshake.
func (d *door) answer(conn *net.TCPConn) (caller, error) {
	conn.SetDeadline(time.Now().Add(doorLimit))
	greeting := append([]byte(magic), byteOrder()...)
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	if _, err := conn.Write(append(greeting, nonce...)); err != nil {
		return caller{}, err
	}
	call := make([]byte, callSize)
	if _, err := io.ReadFull(conn, call); err != nil {
		return caller{}, err
	}
	claim, proof := call[:callSize-sha256.Size], call[callSize-sha256.Size:]
	if !hmac.Equal(proof, seal(d.key, nonce, claim)) {
		return caller{}, errStranger
	}
	who := parseCaller(claim)
	if who.Peer != d.rank || who.Size != d.size || who.Line < lineData || who.Line > lineControl {
		return caller{}, fmt.Errorf("rank %d of %d calls for rank %d", who.Rank, who.Size, who.Peer)
	}
	_, err := conn.Write(seal(d.key, nonce, proof))
	return who, err
}

// knock connects to a rank and runs the caller's side of the handshake.
func knock(ctx context.Context, address string, key []byte, who caller) (*net.TCPConn, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", address)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { conn.SetDeadline(time.Unix(1, 0)) })
	err = who.introduce(conn, key)
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn.(*net.TCPConn), nil
}

func (who caller) introduce(conn net.Conn, key []byte) error {
	greeting := make([]byte, greetingSize)
	if _, err := io.ReadFull(conn, greeting); err != nil {
		return err
	}
	if string(greeting[:len(magic)]) != magic {
		return fmt.Errorf("%v is no rank of this group", conn.RemoteAddr())
	}
	order, nonce := greeting[len(magic):len(magic)+2], greeting[len(magic)+2:]
	if string(order) != string(byteOrder()) {
		return errors.New("it has another byte order")
	}
	claim := who.bytes()
	proof := seal(key, nonce, claim)
	if _, err := conn.Write(append(claim, proof...)); err != nil {
		return err
	}
	back := make([]byte, sha256.Size)
	if _, err := io.ReadFull(conn, back); err != nil {
		return err
	}
	if !hmac.Equal(back, seal(key, nonce, proof)) {
		return errStranger
	}
	return nil
}

func (who caller) bytes() []byte {
	b := binary.LittleEndian.AppendUint32(nil, uint32(who.Rank))
	b = binary.LittleEndian.AppendUint32(b, uint32(who.Peer))
	b = binary.LittleEndian.AppendUint32(b, uint32(who.Size))
	return append(b, byte(who.Line))
}

func parseCaller(b []byte) caller {
	return caller{
		Rank: int(binary.LittleEndian.Uint32(b)),
		Peer: int(binary.LittleEndian.Uint32(b[4:])),
		Size: int(binary.LittleEndian.Uint32(b[8:])),
		Line: line(b[12]),
	}
}

func seal(key []byte, parts ...[]byte) []byte {
	mac := hmac.New(sha256.New, key)
	for _, part := range parts {
		mac.Write(part)
	}
	return mac.Sum(nil)
}

// byteOrder shows how this machine lays out numbers.
func byteOrder() []byte { return binary.NativeEndian.AppendUint16(nil, 1) }
