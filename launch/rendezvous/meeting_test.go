package rendezvous

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
)

// guest is an agent in this process: it begins what it is told to and ends it at once when it is told to.
type guest struct {
	t      *testing.T
	m      *Meeting
	began  chan elastic.Begin
	ended  chan elastic.Outcome
	mu     sync.Mutex
	said   []string
	closed sync.Once
}

func endpointOf(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func settings(low, high int) elastic.Settings {
	s := elastic.Defaults()
	s.Min, s.Max, s.Budget = low, high, 3
	s.LastCall, s.Restart = 200*time.Millisecond, nexus.Restart{Max: 3, On: []nexus.Cause{nexus.CauseExit}}
	s.Backoff = elastic.Backoff{First: 10 * time.Millisecond, Cap: 20 * time.Millisecond}
	return s
}

func attend(t *testing.T, endpoint string, s elastic.Settings, change func(*Options)) *guest {
	t.Helper()
	g := &guest{t: t, began: make(chan elastic.Begin, 64), ended: make(chan elastic.Outcome, 1)}
	opts := Options{
		Endpoint: endpoint, ID: "job", Node: "n", Workers: 1, Rank: -1, Settings: s,
		OpenStore: func(number int, host string) (string, error) { return fmt.Sprintf("%s:%d", host, 40000+number), nil },
		Say: func(text string) {
			g.mu.Lock()
			defer g.mu.Unlock()
			g.said = append(g.said, text)
		},
	}
	if change != nil {
		change(&opts)
	}
	m, err := Join(opts)
	if err != nil {
		t.Fatal(err)
	}
	g.m = m
	gone := make(chan struct{})
	go func() {
		for {
			select {
			case <-gone:
				return
			case o := <-m.Events():
				switch o := o.(type) {
				case elastic.Begin:
					g.began <- o
				case elastic.End:
					m.Closed(o.Number, elastic.Report{Rank: -1})
				case elastic.Finish:
					g.ended <- o.Outcome
				}
			}
		}
	}()
	t.Cleanup(func() {
		g.dies()
		close(gone)
	})
	return g
}

// dies is the end of the agent without a word.
func (g *guest) dies() {
	g.closed.Do(func() {
		done := make(chan struct{})
		g.m.call(func() { // as the kernel does it for a process that is killed
			for _, l := range g.m.listeners {
				l.Close()
			}
			for _, l := range g.m.links {
				l.close()
			}
			clear(g.m.links)
			close(done)
		})
		<-done
		g.m.Close()
	})
}

func (g *guest) begins() elastic.Begin {
	g.t.Helper()
	select {
	case b := <-g.began:
		return b
	case <-time.After(60 * time.Second):
		g.t.Fatal("no round begins")
		return elastic.Begin{}
	}
}

func (g *guest) ends() elastic.Outcome {
	g.t.Helper()
	select {
	case o := <-g.ended:
		return o
	case <-time.After(60 * time.Second):
		g.t.Fatal("it does not end")
		return elastic.Outcome{}
	}
}

func (g *guest) says(text string) {
	g.t.Helper()
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(5 * time.Millisecond) {
		g.mu.Lock()
		found := slices.ContainsFunc(g.said, func(s string) bool { return strings.Contains(s, text) })
		all := strings.Join(g.said, "\n")
		g.mu.Unlock()
		if found {
			return
		}
		if time.Now().After(deadline) {
			g.t.Fatalf("it never says %q, but:\n%s", text, all)
		}
	}
}

func TestAgentsMeetFailAndEnd(t *testing.T) {
	t.Parallel()
	endpoint := endpointOf(t)
	var all []*guest
	for range 3 {
		all = append(all, attend(t, endpoint, settings(3, 3), nil))
	}
	ranks := map[int]bool{}
	for _, g := range all {
		b := g.begins()
		ranks[b.Group] = true
		if b.Record.Number != 0 || b.Record.World() != 3 || b.Store != "127.0.0.1:40000" {
			t.Errorf("%+v", b)
		}
	}
	if len(ranks) != 3 {
		t.Errorf("ranks %v", ranks)
	}
	all[1].m.Failed(0)
	all[1].m.Closed(0, elastic.Report{Cause: nexus.CauseExit, Rank: 1, Exit: 7, Message: "rank 1 exited with code 7"})
	for _, g := range all {
		if b := g.begins(); b.Record.Number != 1 || b.Record.State.RestartsLeft != 2 {
			t.Errorf("%+v", b.Record)
		}
	}
	for _, g := range all {
		g.m.Closed(1, elastic.Report{OK: true, Rank: -1})
	}
	for _, g := range all {
		if o := g.ends(); !o.OK {
			t.Errorf("%+v", o)
		}
	}
}

// Whoever dies, also he who serves, the others go on, and a newcomer finds them at the endpoint.
func TestWhoServesMayDie(t *testing.T) {
	t.Parallel()
	endpoint := endpointOf(t)
	var all []*guest
	for range 3 {
		all = append(all, attend(t, endpoint, settings(1, 3), nil))
	}
	leader := -1
	for i, g := range all {
		if b := g.begins(); b.Group == 0 {
			leader = i
		}
	}
	all[leader].dies()
	left := slices.Delete(slices.Clone(all), leader, leader+1)
	for _, g := range left {
		if b := g.begins(); len(b.Record.Agents) != 2 || b.Record.State.RestartsLeft != 3 {
			t.Errorf("%+v", b.Record)
		}
	}
	newcomer := attend(t, endpoint, settings(1, 3), nil)
	for _, g := range append(left, newcomer) {
		if b := g.begins(); len(b.Record.Agents) != 3 {
			t.Errorf("%+v", b.Record)
		}
	}
}

func TestWhoLeavesIsLetGo(t *testing.T) {
	t.Parallel()
	endpoint := endpointOf(t)
	a, b := attend(t, endpoint, settings(1, 2), nil), attend(t, endpoint, settings(1, 2), nil)
	first, second := a, b
	if a.begins().Group != 0 {
		first, second = b, a
	}
	b.begins()
	first.m.Leave() // the one who leads
	if o := first.ends(); !o.Left {
		t.Errorf("%+v", o)
	}
	if r := second.begins().Record; len(r.Agents) != 1 {
		t.Errorf("%+v", r)
	}
}

// With a token nobody comes in who does not know it, and every frame is summed.
func TestTokens(t *testing.T) {
	t.Parallel()
	endpoint := endpointOf(t)
	token := func(text string) func(*Options) { return func(o *Options) { o.Token = text } }
	a := attend(t, endpoint, settings(2, 2), token("right"))
	a.says("1 of 2 nodes are here")
	thief := attend(t, endpoint, settings(2, 2), token("wrong"))
	if o := thief.ends(); !strings.Contains(o.Message, "does not know the token of this job") {
		t.Errorf("%+v", o)
	}
	b := attend(t, endpoint, settings(2, 2), token("right"))
	a.begins()
	b.begins()
}

// Strangers who say nothing, too much or the wrong thing neither keep others out nor stay.
func TestHostileStrangers(t *testing.T) {
	t.Parallel()
	endpoint := endpointOf(t)
	a := attend(t, endpoint, settings(2, 2), nil)
	a.says("1 of 2 nodes are here")
	dial := func(say string) net.Conn {
		conn, err := net.Dial("tcp", endpoint)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		io.WriteString(conn, say)
		return conn
	}
	for range 100 {
		dial("")    // silent
		dial(magic) // and half silent
		dial(magic + "\x7f\xff\xff\xff" + strings.Repeat("x", 100))
		dial(magic + "\x00\x00\x00\x02{]")
	}
	if answer, err := bufio.NewReader(dial("GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n")).ReadString('\n'); err == nil && !strings.HasPrefix(answer, "HTTP/1.1 400") {
		t.Errorf("to HTTP it says %q", answer)
	}
	for _, g := range []*guest{a, attend(t, endpoint, settings(2, 2), nil)} {
		g.begins()
	}
}

func TestFramesAreBoundedAndSummed(t *testing.T) {
	client, server := newSecret("id", "token").seals([]byte("a"), []byte("b"))
	again, _ := newSecret("id", "token").seals([]byte("a"), []byte("b"))
	frame, err := encode(elastic.Message{Kind: elastic.Join, Number: 3}, client)
	if err != nil {
		t.Fatal(err)
	}
	var m elastic.Message
	open := func(frame []byte, limit int, s *sealer) error {
		return read(bufio.NewReader(strings.NewReader(string(frame))), limit, s, &m)
	}
	if err := open(frame, 1000, again); err != nil || m.Number != 3 {
		t.Errorf("%+v %v", m, err)
	}
	if err := open(frame, 1000, again); err == nil {
		t.Error("a frame was taken twice")
	}
	if err := open(frame, 1000, server); err == nil {
		t.Error("a frame was taken in the other direction")
	}
	if err := open(frame, 5, nil); err == nil {
		t.Error("a frame above the limit was taken")
	}
}

func TestWhatIsSilenceAndWhatIsDeath(t *testing.T) {
	for err, want := range map[error]elastic.How{
		io.EOF: elastic.Reset, io.ErrUnexpectedEOF: elastic.Reset, net.ErrClosed: elastic.Silent, context.DeadlineExceeded: elastic.Silent,
		fmt.Errorf("%w: no JSON", errBroken): elastic.Silent,
	} {
		if got := howOf(err); got != want {
			t.Errorf("%v: %v", err, got)
		}
	}
}

// FuzzReceive has a stranger say anything.
func FuzzReceive(f *testing.F) {
	f.Add([]byte(magic + "\x00\x00\x00\x02{}"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x00\xce\xf7\x85\x3c"))
	f.Fuzz(func(t *testing.T, data []byte) {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			client.SetDeadline(time.Now().Add(5 * time.Second))
			client.Write(data)
			client.Close()
		}()
		go io.Copy(io.Discard, client)
		server.SetDeadline(time.Now().Add(5 * time.Second))
		own := hello{Min: 1, Max: 2, Agent: elastic.Agent{ID: "me", Workers: 1}}
		if _, _, err := receive(server, newSecret("id", ""), own); err == nil {
			t.Error("a stranger was let in")
		}
		server.Close()
		<-done
	})
}
