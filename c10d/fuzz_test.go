package c10d

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// seeds are well-formed requests of every release and a few that lie about their lengths.
func seeds(f *testing.F) {
	for _, gen := range generations {
		for _, steps := range conversations {
			if !gen.knows(steps) {
				continue
			}
			all := bytes.Clone(gen.opens)
			for _, step := range steps {
				all = append(append(all, gen.codes[step.op]), step.body...)
			}
			f.Add(all)
		}
	}
	f.Add(cat(torchNew.opens, []byte{1}, str("/a"), u64(8<<20)))
	f.Add(cat(torchNew.opens, []byte{11}, u64(1<<17), str("/a")))
	f.Add(cat(torchNew.opens, []byte{6}, u64(-1)))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
}

// Whatever bytes come, the parser takes no more than the limits, and what it accepts encodes to the bytes it was read from.
func FuzzServerRequest(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		for d := dialectCommon; d <= dialectModern; d++ {
			b := &budget{limit: 1 << 20}
			w := newWireReader(bytes.NewReader(data), Limits{Key: 64, Payload: 256 << 10, Keys: 16}, b)
			for at := 0; ; {
				code, err := w.u8()
				if err != nil {
					break
				}
				o := d.op(code)
				if o == opUnknown {
					break
				}
				req, err := w.request(o)
				if err != nil {
					break
				}
				if len(req.keys) > 16 || len(req.values) > 16 {
					t.Fatalf("%d keys and %d values", len(req.keys), len(req.values))
				}
				again := bytes.Join(req.encode().bufs, nil)
				if int64(len(again)) != req.encode().size {
					t.Fatalf("%d bytes said to be %d", len(again), req.encode().size)
				}
				if was := data[at : at+len(again)]; !bytes.Equal(again[1:], was[1:]) {
					t.Fatalf("read %q, wrote %q", was, again)
				}
				at += len(again)
				w.release()
			}
			w.release()
			if n := b.used.Load(); n != 0 {
				t.Fatalf("%d bytes are not given back", n)
			}
		}
	})
}

// Whatever a client sends, the server ends the conversation when the client does, and accounts for its data only.
func FuzzServerConversation(f *testing.F) {
	seeds(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		s := newServer(nowhere{}, ServerOptions{Legacy: LegacyWatch, Limits: Limits{Memory: 1 << 20}})
		s.serve(theirs)
		go io.Copy(io.Discard, ours)
		ours.SetWriteDeadline(time.Now().Add(10 * time.Second))
		ours.Write(data)
		ours.Close()
		s.running.Wait()
		s.Reset()
		if n := s.budget.used.Load(); n != 0 {
			t.Fatalf("%d bytes are not given back", n)
		}
		s.Close()
	})
}

// nowhere is a listener at which nobody arrives.
type nowhere struct{}

func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }
func (nowhere) Addr() net.Addr            { return &net.TCPAddr{} }
