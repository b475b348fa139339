package preflight

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"ainexus.io/c10d"
)

// What a visitor of a door asks for, in one line after the protocol's name. Whoever begins otherwise is a client of the store.
const (
	protocol  = "nexus-preflight/1 "
	askName   = "name"  // the answer is the node's id
	askClock  = "clock" // each byte is answered by the time, 8 bytes of nanoseconds since 1970
	doorCrowd = 512     // connections at a time
	doorLimit = 5 * time.Second
)

// doors are the ports that this node listens on.
type doors struct {
	now   func() time.Time
	store string // where the store is, on the node that has it
	taken []Taken
	ports []int // that are open, the kernel's choice last

	mu        sync.Mutex
	id        string
	known     chan struct{} // closed when id is set
	listeners []net.Listener
	conns     map[net.Conn]bool
	closed    bool
	inside    sync.WaitGroup
}

// openDoors listens on the ports that a gang uses. What cannot be had is told.
func openDoors(o Options, host, store string) *doors {
	d := &doors{now: o.Now, store: store, known: make(chan struct{}), conns: map[net.Conn]bool{}}
	ports := slices.Clone(o.Ports)
	if _, text, err := net.SplitHostPort(o.Meeting.Endpoint); err == nil {
		if n, err := strconv.Atoi(text); err == nil {
			ports = slices.DeleteFunc(ports, func(port int) bool { return port == n })
			if store == "" { // who has the store serves the endpoint
				ports = append([]int{n}, ports...)
			}
		}
	}
	for _, port := range append(ports, 0) {
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			if errors.Is(err, syscall.EADDRINUSE) {
				err = errors.New("another program has it")
			}
			d.taken = append(d.taken, Taken{port, err.Error()})
			continue
		}
		d.ports = append(d.ports, l.Addr().(*net.TCPAddr).Port)
		d.listeners = append(d.listeners, l)
		d.inside.Go(func() { d.serve(l) })
	}
	return d
}

// port is the last of the open ones.
func (d *doors) port() int {
	if len(d.ports) == 0 {
		return 0
	}
	return d.ports[len(d.ports)-1]
}

// introduce tells visitors who this node is. They wait for it.
func (d *doors) introduce(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.id == "" {
		d.id = id
		close(d.known)
	}
}

func (d *doors) serve(l net.Listener) {
	for {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.closed || len(d.conns) >= doorCrowd {
			conn.Close()
		} else {
			d.conns[conn] = true
			d.inside.Go(func() {
				d.answer(conn)
				conn.Close()
				d.mu.Lock()
				delete(d.conns, conn)
				d.mu.Unlock()
			})
		}
		d.mu.Unlock()
	}
}

// answer gives a visitor what it asks for.
func (d *doors) answer(conn net.Conn) {
	conn.SetDeadline(time.Now().Add(doorLimit))
	r := bufio.NewReaderSize(conn, 64)
	if first, err := r.Peek(1); err != nil || first[0] != protocol[0] {
		if err == nil && d.store != "" {
			conn.SetDeadline(time.Time{})
			d.relay(conn, r)
		}
		return
	}
	line, err := r.ReadSlice('\n') // no longer than the buffer
	if err != nil {
		return
	}
	switch strings.TrimSuffix(strings.TrimPrefix(string(line), protocol), "\n") {
	case askName:
		select {
		case <-d.known:
			fmt.Fprintf(conn, "%s\n", d.id)
		case <-time.After(doorLimit):
		}
	case askClock:
		for range pings {
			conn.SetDeadline(time.Now().Add(doorLimit)) // far nodes take long for all of them
			if _, err := r.ReadByte(); err != nil {
				return
			}
			conn.Write(binary.BigEndian.AppendUint64(nil, uint64(d.now().UnixNano())))
		}
	}
}

// relay joins a visitor with the store until either goes.
func (d *doors) relay(conn net.Conn, r io.Reader) {
	store, err := net.Dial("tcp", d.store)
	if err != nil {
		return
	}
	defer store.Close()
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		io.Copy(conn, store)
		conn.Close()
	}()
	io.Copy(store, r)
	store.Close()
	<-ended
}

// close ends all that goes on at the doors.
func (d *doors) close() {
	d.mu.Lock()
	d.closed = true
	for _, l := range d.listeners {
		l.Close()
	}
	for conn := range d.conns {
		conn.Close()
	}
	d.mu.Unlock()
	d.inside.Wait()
}

// knock opens a connection to another node's door.
func knock(ctx context.Context, host string, port int, ask string) (net.Conn, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if err != nil {
		return nil, err
	}
	if deadline, ok := ctx.Deadline(); ok {
		conn.SetDeadline(deadline)
	}
	if _, err := conn.Write([]byte(protocol + ask + "\n")); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// dialStore reaches the store through the first of the ports that leads there, until ctx ends.
func dialStore(ctx context.Context, host string, ports []string) (*c10d.Client, error) {
	for {
		for _, port := range ports {
			try, cancel := context.WithTimeout(ctx, storePatience)
			client, err := c10d.Dial(try, net.JoinHostPort(host, port), c10d.ClientOptions{})
			cancel()
			if err == nil || ctx.Err() != nil {
				return client, err
			}
		}
	}
}

// storePatience is what one port gets; a lost packet is sent again after a second.
const storePatience = 3 * time.Second
