package main

import (
	"bufio"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"time"
)

// thinClient speaks the protocol of PyTorch 1.13, which both servers understand, and costs next to nothing itself, so
// that the servers are what is measured.
type thinClient struct {
	conn    net.Conn
	in      *bufio.Reader
	set     []byte
	get     []byte
	add     []byte
	numKeys []byte
}

// setsInARow is how many sets go out before something with an answer is asked: a set has none, and a rank that
// meets others sets a few keys, then waits.
const setsInARow = 16

func dialThin(ctx context.Context, port, number int) (*thinClient, error) {
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", fmt.Sprint("127.0.0.1:", port))
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(time.Minute))
	str := func(b []byte, text string) []byte {
		return append(binary.LittleEndian.AppendUint64(b, uint64(len(text))), text...)
	}
	key, counter, value := fmt.Sprintf("/key of rank %d", number), fmt.Sprintf("/counter %d", number), fmt.Sprintf("%064d", number)
	c := &thinClient{
		conn: conn, in: bufio.NewReader(conn),
		set: str(str([]byte{0}, key), value), get: str([]byte{2}, key),
		add:     binary.LittleEndian.AppendUint64(str([]byte{3}, counter), 1),
		numKeys: []byte{6},
	}
	// Both keys are there before the time begins.
	if _, err := conn.Write(c.set); err != nil {
		conn.Close()
		return nil, err
	}
	if err := c.ask(c.add, 8); err != nil {
		conn.Close()
		return nil, err
	}
	return c, nil
}

func (c *thinClient) close() { c.conn.Close() }

// ask sends one request and reads the so many bytes of its answer.
func (c *thinClient) ask(request []byte, answer int) error {
	if _, err := c.conn.Write(request); err != nil {
		return err
	}
	_, err := io.CopyN(io.Discard, c.in, int64(answer))
	return err
}

// do does one operation count times.
func (c *thinClient) do(operation string, count int) error {
	var batch []byte
	for range setsInARow {
		batch = append(batch, c.set...)
	}
	batch = append(batch, c.numKeys...)
	for done := 0; done < count; done++ {
		var err error
		switch operation {
		case "get":
			err = c.ask(c.get, 8+64)
		case "add":
			err = c.ask(c.add, 8)
		case "set":
			err = c.ask(batch, 8)
			done += setsInARow - 1
		}
		if err != nil {
			return fmt.Errorf("%s: %w", operation, err)
		}
	}
	return nil
}
