package nodetest

import (
	"context"
	"encoding/binary"
	"net"
	"strings"
	"testing"
	"time"

	"ainexus.io/cluster/kube/kubetest"
)

// domain is the cluster's.
const domain = "cluster.local"

// serveDNS plays the cluster's DNS at the world's own address until t ends.
func serveDNS(t testing.TB, plane *kubetest.Plane, address string) {
	t.Helper()
	conn, err := net.ListenPacket("udp4", net.JoinHostPort(address, "53"))
	if err != nil {
		t.Fatalf("playing the cluster's DNS: %v", err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		question := make([]byte, 1500)
		for {
			n, from, err := conn.ReadFrom(question)
			if err != nil {
				return // closed
			}
			if reply := answer(question[:n], plane.Endpoint); reply != nil {
				_, _ = conn.WriteTo(reply, from) // who does not hear it asks again
			}
		}
	}()
	t.Cleanup(func() {
		conn.Close()
		<-done
	})
}

const (
	headerSize = 12
	typeA      = 1
	classIN    = 1
	noSuchName = 3
)

// answer is the reply to one question: the address of <host>.<service>.<namespace>.svc.<domain>, or that there is no
// such name. Nil: it is no question.
func answer(question []byte, find func(ctx context.Context, namespace, service, host string) (net.IP, error)) []byte {
	if len(question) < headerSize || question[2]&0x80 != 0 || binary.BigEndian.Uint16(question[4:]) != 1 {
		return nil
	}
	labels, at := []string{}, headerSize
	for at < len(question) && question[at] != 0 {
		size := int(question[at])
		if size > 63 || at+1+size > len(question) {
			return nil
		}
		labels = append(labels, strings.ToLower(string(question[at+1:at+1+size])))
		at += 1 + size
	}
	if at+5 > len(question) {
		return nil
	}
	kind, end := binary.BigEndian.Uint16(question[at+1:]), at+5
	reply := append([]byte(nil), question[:end]...)
	reply[2], reply[3] = reply[2]|0x84, 0 // an answer, of authority
	for i := 6; i < headerSize; i++ {
		reply[i] = 0
	}
	if len(labels) < 3 || strings.Join(labels[3:], ".") != "svc."+domain {
		reply[3] |= noSuchName
		return reply
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	ip, err := find(ctx, labels[2], labels[1], labels[0])
	if err != nil {
		reply[3] |= noSuchName
		return reply
	}
	if kind != typeA {
		return reply // there is such a name, but nothing of that kind
	}
	reply[7] = 1
	reply = append(reply, 0xc0, headerSize, 0, typeA, 0, classIN, 0, 0, 0, 1, 0, 4) // the question's name, for a second
	return append(reply, ip.To4()...)
}
