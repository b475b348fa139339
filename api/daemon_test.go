package api_test

import (
	"context"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"ainexus.io/api"
)

const token = "a-token-of-the-test"

// daemon is a server over the place of the tests, on a real socket and a real port.
type daemon struct {
	place  *place
	server *api.Server
	socket string
	addr   string
	client *api.Client // over the socket
	t      *testing.T
}

func newDaemon(t *testing.T, change ...func(*api.Options)) *daemon {
	t.Helper()
	dir, err := os.MkdirTemp("", "api") // t.TempDir may be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	d := &daemon{place: newPlace(), socket: filepath.Join(dir, "s"), t: t}
	tcp, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	unix, err := api.ListenSocket(d.socket)
	if err != nil {
		t.Fatal(err)
	}
	d.addr = tcp.Addr().String()
	opts := api.Options{Version: "test", State: dir, Token: token, UID: os.Getuid(), User: "owner", Addr: d.addr}
	for _, c := range change {
		c(&opts)
	}
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("page")) })
	metrics := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("metrics")) })
	d.server = api.NewServer(api.Deps{Jobs: d.place, Control: d.place, Checkpoints: d.place, Fleet: d.place, Queues: d.place, Streams: d.place, Explainer: d.place, Forecaster: d.place,
		Page: page, Metrics: metrics}, opts)
	d.server.Serve(unix, tcp)
	d.client = api.NewSocketClient(d.socket)
	t.Cleanup(func() {
		d.client.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := d.server.Stop(ctx); err != nil {
			t.Error("stopping:", err)
		}
	})
	return d
}

// tcp sends one request with the token; each header is "Name: value" and replaces ours.
func (d *daemon) tcp(method, path, body string, headers ...string) (*http.Response, error) {
	r, err := http.NewRequest(method, "http://"+d.addr+path, strings.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	r.Header.Set("Content-Type", "application/json")
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		switch {
		case name == "Host":
			r.Host = value
		case value == "":
			r.Header.Del(name)
		default:
			r.Header.Set(name, value)
		}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	return transport.RoundTrip(r)
}

func testContext(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}
