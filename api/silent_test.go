package api_test

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"
)

// Who is connected and asks nothing, as browsers are in advance, does not hold up the end; nor does who is idle.
// Shutdown alone gives such a connection five seconds, more than Stop has here.
func TestTheSilentDoNotHoldUpTheEnd(t *testing.T) {
	d := newDaemon(t)
	silent := map[string]net.Conn{}
	for network, address := range map[string]string{"unix": d.socket, "tcp": d.addr} {
		c, err := net.Dial(network, address)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		silent[network] = c
	}
	// Connections are taken in order: once these are answered the silent ones are known to the server. They stay, idle.
	if _, err := d.client.Version(testContext(t)); err != nil {
		t.Fatal(err)
	}
	idle := &http.Transport{}
	defer idle.CloseIdleConnections()
	response, err := (&http.Client{Transport: idle}).Get("http://" + d.addr + "/health")
	if err != nil {
		t.Fatal(err)
	}
	io.Copy(io.Discard, response.Body)
	response.Body.Close()

	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	if err := d.server.Stop(ctx); err != nil {
		t.Fatal("stopping:", err)
	}
	for network, c := range silent {
		c.SetReadDeadline(time.Now().Add(10 * time.Second))
		if _, err := bufio.NewReader(c).ReadByte(); err == nil || isTimeout(err) {
			t.Errorf("the silent connection over %s: %v", network, err)
		}
	}
}

func isTimeout(err error) bool {
	timeout, ok := err.(net.Error)
	return ok && timeout.Timeout()
}
