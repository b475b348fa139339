package rendezvous

import (
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"ainexus.io/c10d"
)

// answering listens, says hello to whoever comes, reads what he says, and answers, if it has an answer, or stays silent.
func answering(hello, answer string) func(t *testing.T) string {
	return func(t *testing.T) string {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				go func() {
					defer conn.Close()
					io.WriteString(conn, hello)
					conn.Read(make([]byte, 1000))
					if io.WriteString(conn, answer); answer == "" {
						io.Copy(io.Discard, conn)
					}
				}()
			}
		}()
		return l.Addr().String()
	}
}

func storeAlone(t *testing.T) string {
	s, err := c10d.Listen("127.0.0.1:0", c10d.ServerOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s.Addr().String()
}

// Whatever listens at the endpoint instead of a rendezvous, the end is one line that says so. (That nobody does is told between machines:
// cli, TestStrangers.)
func TestWhatListensInsteadIsTold(t *testing.T) {
	t.Parallel()
	const hangsUp = "nobody answers at ENDPOINT: what listens there hangs up, as PyTorch's store would, or a web server behind TLS; the rendezvous has port 29400"
	for _, test := range []struct {
		name  string
		serve func(t *testing.T) string
		want  string
	}{
		{"a name that there is not", func(*testing.T) string { return "no-such-host.invalid:29400" }, "nobody answers at ENDPOINT: the name no-such-host.invalid is not known"},
		{"a web server", answering("", "HTTP/1.1 400 Bad Request\r\n\r\n"), "what listens at ENDPOINT speaks HTTP; it is no rendezvous of nexus launch"},
		{"a server behind TLS", answering("", "\x15\x03\x01\x00\x02\x02\x46"), "what listens at ENDPOINT speaks TLS; it is no rendezvous of nexus launch"},
		{"an SSH server", answering("SSH-2.0-OpenSSH_9.2\r\n", ""), "what listens at ENDPOINT is an SSH server; it is no rendezvous of nexus launch"},
		{"a mail server", answering("220 mail.example.org ESMTP\r\n", ""), "what listens at ENDPOINT is no rendezvous of nexus launch"},
		{"PyTorch's store", storeAlone, hangsUp},
		{"somebody who hangs up", answering("", "x"), hangsUp},
		{"somebody who says nothing", answering("", ""), "nobody answers at ENDPOINT: no answer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			endpoint := test.serve(t)
			g := attend(t, endpoint, settings(2, 2), func(o *Options) { o.ConnectTimeout = 500 * time.Millisecond })
			o := g.ends()
			if want := strings.ReplaceAll(test.want, "ENDPOINT", endpoint); o.OK || !strings.HasPrefix(o.Message, want) || strings.Contains(o.Message, "\n") {
				t.Errorf("%q, wanted %q", o.Message, want)
			}
		})
	}
}
