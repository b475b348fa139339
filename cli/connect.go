package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"

	"ainexus.io/api"
	"ainexus.io/app"
	"ainexus.io/nexus"
)

// remote is the address of a daemon that is spoken to over TCP; empty: this machine's, over its socket.
func (p *program) remote() string {
	if p.addr != "" {
		return p.addr
	}
	return p.getenv("NEXUS_ADDR")
}

// client returns a client of the daemon that is to be spoken to. Nothing is sent yet.
func (p *program) client() (*api.Client, error) {
	state, err := p.stateDir()
	if err != nil {
		return nil, err
	}
	if addr := p.remote(); addr != "" {
		token := p.getenv("NEXUS_TOKEN")
		if token == "" && ownAddress(addr) {
			token, err = readToken(state)
			if err != nil {
				return nil, &nexus.Error{Code: nexus.CodeDenied, Message: "there is no token for the daemon at " + addr,
					Hint: "set NEXUS_TOKEN to what nexus token prints there"}
			}
		}
		return api.NewTCPClient(addr, token)
	}
	return api.NewSocketClient(filepath.Join(state, app.SocketName)), nil
}

// ownAddress says whether an address is on this machine: only there is the token in the state directory offered.
func ownAddress(addr string) bool {
	host, _, err := net.SplitHostPort(strings.TrimPrefix(addr, "http://"))
	ip := net.ParseIP(host)
	return err == nil && (host == "localhost" || ip != nil && ip.IsLoopback())
}

// connect finds the place that is spoken to: where it is a daemon it says so when there is none, and starts none. A cluster
// is asked nothing yet.
func (p *program) connect(ctx context.Context) (place, error) {
	reach, cluster, err := p.cluster()
	if err != nil {
		return nil, err
	}
	if cluster {
		return p.onCluster(reach)
	}
	return p.daemon(ctx)
}

// daemon finds the daemon, whatever context is in use.
func (p *program) daemon(ctx context.Context) (*api.Client, error) {
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	version, err := client.Version(ctx)
	if err != nil {
		return nil, p.noDaemon(err)
	}
	p.compare(version)
	return client, nil
}

// compare warns when the daemon is of another release; the versions of the wire agree, else it had not answered.
func (p *program) compare(daemon api.Version) {
	if own := release(); daemon.Version != own {
		fmt.Fprintf(p.err, "note: the daemon is version %s, this is %s\n", clean(daemon.Version), own)
	}
}

// noDaemon is the word for "nobody answers" on this machine.
func (p *program) noDaemon(err error) error {
	var e *nexus.Error
	if p.remote() != "" || !errors.As(err, &e) || e.Code != nexus.CodeUnavailable || e.Hint == "" {
		return err
	}
	return &nexus.Error{Code: nexus.CodeUnavailable, Message: "no daemon runs",
		Hint: "start one: nexus up; nexus run and nexus submit start one by themselves"}
}

// readToken reads what requests over TCP must know.
func readToken(state string) (string, error) {
	data, err := os.ReadFile(filepath.Join(state, app.TokenName))
	return strings.TrimSpace(string(data)), err
}

// ensure finds the place that is spoken to and starts a daemon of this machine's own where that is missing.
func (p *program) ensure(ctx context.Context) (place, error) {
	reach, cluster, err := p.cluster()
	if err != nil {
		return nil, err
	}
	if cluster {
		return p.onCluster(reach)
	}
	client, err := p.client()
	if err != nil {
		return nil, err
	}
	version, err := client.Version(ctx)
	if err == nil {
		p.compare(version)
		return client, nil
	}
	var e *nexus.Error
	if p.remote() != "" || !errors.As(err, &e) || e.Code != nexus.CodeUnavailable {
		return nil, err
	}
	state, err := p.stateDir()
	if err != nil {
		return nil, err
	}
	return client, p.startDaemon(ctx, state, client)
}

// answers waits until a daemon answers, the process that was to become it has ended, or patience is over.
func answers(ctx context.Context, client *api.Client, ended <-chan struct{}, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := client.Version(ctx); err == nil {
			return nil
		}
		select {
		case <-ended:
			// Another one may have been faster.
			_, err := client.Version(ctx)
			return err
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
