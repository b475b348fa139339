package kube

import (
	"encoding/binary"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// field is one of a message, as protocol buffers write those with a length.
func field(number int, value string) string {
	return string(binary.AppendUvarint([]byte{byte(number<<3 | 2)}, uint64(len(value)))) + value
}

// kubelet answers as the kubelet's gRPC server does, over HTTP/2 on a socket.
func kubelet(t *testing.T, answer func() (message, status string)) string {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "kubelet.sock")
	l, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	server := &http.Server{Protocols: protocols, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked, err := io.ReadAll(r.Body)
		if err != nil || r.URL.Path != "/v1.PodResourcesLister/List" || r.ProtoMajor != 2 || string(asked) != "\x00\x00\x00\x00\x00" || r.Header.Get("Content-Type") != "application/grpc" {
			t.Errorf("it is asked %s %s %q: %v", r.Proto, r.URL.Path, asked, err)
		}
		message, status := answer()
		w.Header().Set("Content-Type", "application/grpc")
		w.Header().Set("Trailer", "Grpc-Status")
		_, _ = io.WriteString(w, message) // the client says what is missing
		w.Header().Set("Grpc-Status", status)
	})}
	go func() { _ = server.Serve(l) }() // until it is closed
	t.Cleanup(func() { server.Close() })
	return socket
}

func TestTheKubeletTellsWhoHasWhichDevice(t *testing.T) {
	devices := func(resource string, ids ...string) string {
		text := field(1, resource)
		for _, id := range ids {
			text += field(2, id)
		}
		return field(2, text)
	}
	cpus := "\x18\x07" // of a container: field 3, a number
	pod := func(name string, containers ...string) string {
		text := field(1, name) + field(2, "team")
		for _, c := range containers {
			text += field(3, field(1, "main")+cpus+c)
		}
		return field(1, text)
	}
	message := pod("train", devices("nvidia.com/gpu", "GPU-a", "GPU-b"), devices("example.com/nic", "eth9")) +
		pod("idle") + pod("shared", devices("nvidia.com/gpu", "GPU-c::2"), devices("nvidia.com/mig-1g.10gb", "MIG-d"))
	framed := func(m string) string {
		return string(binary.BigEndian.AppendUint32([]byte{0}, uint32(len(m)))) + m
	}
	says, status := framed(message), "0"
	p := NewPodResources(kubelet(t, func() (string, string) { return says, status }))
	want := []PodDevice{{"team", "train", "GPU-a"}, {"team", "train", "GPU-b"}, {"team", "shared", "GPU-c"}, {"team", "shared", "MIG-d"}}
	for range 2 {
		if got, err := p.Devices(t.Context()); err != nil || !slices.Equal(got, want) {
			t.Errorf("it says %v, %v", got, err)
		}
	}
	for _, c := range []struct{ says, status, want string }{
		{framed(message), "12", `gRPC status "12"`},
		{framed(message)[:9], "0", "no whole message"},
		{"", "0", "no whole message"},
		{framed("\x0a\xff"), "0", "cannot be read"},
		{framed("\x0b"), "0", "cannot be read"},
	} {
		says, status = c.says, c.status
		if _, err := p.Devices(t.Context()); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q, %s: %v", c.says, c.status, err)
		}
	}
	if _, err := NewPodResources(filepath.Join(t.TempDir(), "none")).Devices(t.Context()); err == nil {
		t.Error("nobody is there, and nothing is wrong")
	}
}

func FuzzPodDevices(f *testing.F) {
	f.Add([]byte(field(1, field(1, "p")+field(3, field(2, field(1, "nvidia.com/gpu")+field(2, "GPU-a"))))))
	f.Add([]byte("\x0a\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"))
	f.Fuzz(func(_ *testing.T, message []byte) { _, _ = podDevices(message) }) // it must not panic
}
