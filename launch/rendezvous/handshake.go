package rendezvous

import (
	"bufio"
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"ainexus.io/launch/elastic"
)

// hello is what each side says first.
type hello struct {
	Job    string        `json:"job"` // a sum of the id
	Nonce  []byte        `json:"nonce"`
	Min    int           `json:"min"`
	Max    int           `json:"max"`
	Budget int           `json:"budget"`
	Agent  elastic.Agent `json:"agent"`
	Proof  []byte        `json:"proof,omitempty"`
	No     string        `json:"no,omitempty"` // why the link is refused
}

// refusal is a clear no of the other side, or what is found instead of it; trying again does not help.
type refusal struct{ text string }

func (r *refusal) Error() string { return r.text }

// secret is what the agents of a job know: its id, and a token where there is one.
type secret struct {
	job    string
	key    []byte
	sealed bool // frames have sums
}

func newSecret(id, token string) secret {
	job := sha256.Sum256([]byte("job " + id))
	key := sha256.Sum256([]byte("key " + id + "\x00" + token))
	return secret{job: hex.EncodeToString(job[:8]), key: key[:], sealed: token != ""}
}

func (s secret) proof(who string, client, server []byte) []byte {
	mac := hmac.New(sha256.New, s.key)
	mac.Write([]byte(who))
	mac.Write(client)
	mac.Write(server)
	return mac.Sum(nil)
}

// seals are the sums of a link's two directions.
func (s secret) seals(client, server []byte) (toServer, toClient *sealer) {
	if !s.sealed {
		return nil, nil
	}
	session := s.proof("session", client, server)
	return newSealer(session, "to server"), newSealer(session, "to client")
}

func nonce() []byte {
	b := make([]byte, 16)
	rand.Read(b)
	return b
}

// greet is the handshake of who dialled. The errors are refusals, or those of the network.
func greet(conn net.Conn, s secret, own hello) (*link, elastic.Agent, error) {
	own.Job, own.Nonce = s.job, nonce()
	first, err := encode(own, nil)
	if err != nil {
		return nil, elastic.Agent{}, err
	}
	if _, err := conn.Write(append([]byte(magic), first...)); err != nil {
		return nil, elastic.Agent{}, err
	}
	r := bufio.NewReader(conn)
	if other := whatElse(r); other != "" {
		return nil, elastic.Agent{}, &refusal{fmt.Sprintf("what listens at %s %s", conn.RemoteAddr(), other)}
	}
	var theirs hello
	if err := read(r, strangerFrame, nil, &theirs); err != nil {
		if errors.Is(err, errBroken) {
			return nil, elastic.Agent{}, &refusal{fmt.Sprintf("what listens at %s is no rendezvous of nexus launch", conn.RemoteAddr())}
		}
		return nil, elastic.Agent{}, err
	}
	if theirs.No != "" {
		return nil, elastic.Agent{}, &refusal{clip(theirs.No)}
	}
	if !hmac.Equal(theirs.Proof, s.proof("server", own.Nonce, theirs.Nonce)) {
		return nil, elastic.Agent{}, &refusal{fmt.Sprintf("what listens at %s does not know the token of this job", conn.RemoteAddr())}
	}
	proof, err := encode(hello{Job: s.job, Proof: s.proof("client", own.Nonce, theirs.Nonce)}, nil)
	if err != nil {
		return nil, elastic.Agent{}, err
	}
	if _, err := conn.Write(proof); err != nil {
		return nil, elastic.Agent{}, err
	}
	out, in := s.seals(own.Nonce, theirs.Nonce)
	return newLink(conn, r, out, in, true), at(theirs.Agent, conn.RemoteAddr()), nil
}

// receive is the handshake of who was dialled.
func receive(conn net.Conn, s secret, own hello) (*link, elastic.Agent, error) {
	r := bufio.NewReader(conn)
	if err := readMagic(conn, r); err != nil {
		return nil, elastic.Agent{}, err
	}
	var theirs hello
	if err := read(r, strangerFrame, nil, &theirs); err != nil {
		return nil, elastic.Agent{}, err
	}
	own.Job, own.Nonce = s.job, nonce()
	if own.No = mismatch(own, theirs); own.No != "" {
		no, _ := encode(hello{No: own.No}, nil)
		conn.Write(no)
		return nil, elastic.Agent{}, &refusal{fmt.Sprintf("%s was sent away: %s", from(theirs.Agent, conn), own.No)}
	}
	own.Proof = s.proof("server", theirs.Nonce, own.Nonce)
	answer, err := encode(own, nil)
	if err != nil {
		return nil, elastic.Agent{}, err
	}
	if _, err := conn.Write(answer); err != nil {
		return nil, elastic.Agent{}, err
	}
	var last hello
	if err := read(r, strangerFrame, nil, &last); err != nil {
		if errors.Is(err, io.EOF) {
			err = &refusal{fmt.Sprintf("%s went away without proving that it knows the token", from(theirs.Agent, conn))}
		}
		return nil, elastic.Agent{}, err
	}
	if !hmac.Equal(last.Proof, s.proof("client", theirs.Nonce, own.Nonce)) {
		return nil, elastic.Agent{}, &refusal{fmt.Sprintf("%s was sent away: it does not know the token of this job", from(theirs.Agent, conn))}
	}
	in, out := s.seals(theirs.Nonce, own.Nonce)
	return newLink(conn, r, out, in, false), at(theirs.Agent, conn.RemoteAddr()), nil
}

// mismatch is why two agents do not belong together, as the one that is sent away should read it.
func mismatch(own, theirs hello) string {
	switch {
	case theirs.Job != own.Job:
		return "the agents at this endpoint are of another job (--rdzv-id differs)"
	case theirs.Min != own.Min || theirs.Max != own.Max:
		return fmt.Sprintf("the number of nodes does not match: --nnodes is %s on node %s and %s on node %s",
			nodes(theirs), theirs.Agent.Node, nodes(own), own.Agent.Node)
	case theirs.Budget != own.Budget:
		return fmt.Sprintf("--max-restarts is %d on node %s and %d on node %s", theirs.Budget, theirs.Agent.Node, own.Budget, own.Agent.Node)
	case theirs.Agent.Workers < 1 || theirs.Agent.ID == "" || theirs.Agent.ID == own.Agent.ID:
		return "this is no agent"
	}
	return ""
}

func nodes(h hello) string {
	if h.Min == h.Max {
		return fmt.Sprint(h.Min)
	}
	return fmt.Sprintf("%d:%d", h.Min, h.Max)
}

func from(a elastic.Agent, conn net.Conn) string {
	return fmt.Sprintf("node %s (%s)", clip(a.Node), conn.RemoteAddr())
}

// at fills in where an agent was met, unless it says so itself.
func at(a elastic.Agent, met net.Addr) elastic.Agent {
	a.Node = clip(a.Node)
	if host, port, err := net.SplitHostPort(a.Addr); err == nil && host == "" {
		a.Addr = net.JoinHostPort(hostOf(met), port)
	}
	return a
}

func hostOf(addr net.Addr) string {
	host, _, _ := net.SplitHostPort(addr.String())
	return host
}

// readMagic wants our first line. Others get an answer in their own tongue, as far as that is known.
func readMagic(conn net.Conn, r *bufio.Reader) error {
	head, err := r.Peek(4)
	if err != nil {
		return err
	}
	switch {
	case bytes.HasPrefix([]byte(magic), head):
		line := make([]byte, len(magic))
		if _, err := io.ReadFull(r, line); err != nil || string(line) != magic {
			return &refusal{fmt.Sprintf("%s speaks another version of the rendezvous", conn.RemoteAddr())}
		}
		return nil
	case isHTTP(string(head)):
		io.WriteString(conn, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\nThis is the rendezvous of nexus launch; it does not speak HTTP.\n")
		return &refusal{fmt.Sprintf("%s speaks HTTP to the rendezvous and was sent away", conn.RemoteAddr())}
	case head[0] == 0 && head[1] == 0xCE && head[2] == 0xF7:
		return &refusal{fmt.Sprintf("%s speaks PyTorch's store protocol to the rendezvous (torchrun, perhaps): start nexus launch on every node", conn.RemoteAddr())}
	}
	return &refusal{fmt.Sprintf("%s does not speak the rendezvous' protocol and was sent away", conn.RemoteAddr())}
}

func isHTTP(head string) bool {
	for _, verb := range []string{"GET ", "HEAD", "POST", "PUT ", "OPTI", "PRI ", "DELE", "PATC", "CONN"} {
		if head == verb {
			return true
		}
	}
	return false
}

// whatElse says what answers instead of a rendezvous, as far as that can be told.
func whatElse(r *bufio.Reader) string {
	head, err := r.Peek(4)
	if err != nil {
		return ""
	}
	switch {
	case strings.HasPrefix(string(head), "HTTP"), head[0] == '<': // some answer a bad request with the page alone
		return "speaks HTTP; it is no rendezvous of nexus launch"
	case strings.HasPrefix(string(head), "SSH-"):
		return "is an SSH server; it is no rendezvous of nexus launch"
	case head[0] == 0x15 && head[1] == 3: // an alert
		return "speaks TLS; it is no rendezvous of nexus launch"
	}
	return ""
}

// clip makes a stranger's words safe to show.
func clip(text string) string {
	text = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '\uFFFD'
		}
		return r
	}, text)
	if runes := []rune(text); len(runes) > 300 {
		text = string(runes[:300]) + "..."
	}
	return text
}

// shakeTimeout is how long a handshake may take.
const shakeTimeout = 5 * time.Second
