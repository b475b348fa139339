package api

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/user"
	"strconv"
	"sync"
	"time"

	"ainexus.io/nexus"
)

// Deps are the rooms that answer requests.
type Deps struct {
	Jobs        Jobs
	Control     Control
	Checkpoints Checkpoints
	Fleet       Fleet
	Queues      Queues
	Streams     Streams
	Explainer   Explainer
	Forecaster  Forecaster
	// Metrics answers /metrics; nil: there are none.
	Metrics http.Handler
	// Page answers every path that is not the API's; nil: there is none.
	Page http.Handler
	// Ready says why the daemon takes no jobs yet; nil: it is always ready.
	Ready func() error
}

// Options are a server's settings.
type Options struct {
	// Version is the release that GET /version tells.
	Version string
	// State is the state directory that GET /version tells.
	State string
	// Token is what requests over TCP must know; empty refuses them all.
	Token string
	// UID is the owner: the daemon's own uid. Over the socket only the owner and root are let in.
	UID int
	// User is the owner's name; jobs that come over TCP are his. Default: the name of UID.
	User string
	// Addr is the host:port on which TCP is served; empty: it is not.
	Addr string
	// Hosts are further names that requests over TCP may use in Host, beside loopback and Addr's.
	Hosts []string
	// Automatic is told by GET /version: the daemon ends by itself when idle.
	Automatic bool
	// Log gets what an operator would act on; default: nothing.
	Log *slog.Logger
}

// Server answers requests over a unix socket and over TCP.
type Server struct {
	deps    Deps
	opts    Options
	hosts   []string
	started time.Time
	routes  http.Handler
	servers []*http.Server
	serving sync.WaitGroup
	silent  silent
	// closing ends when streams have to.
	closing context.Context
	close   context.CancelFunc

	mu     sync.Mutex
	active int
	last   time.Time
}

// NewServer builds the routes. It serves nothing before [Server.Serve].
func NewServer(deps Deps, opts Options) *Server {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.User = cmp.Or(opts.User, nameOf(opts.UID))
	now := time.Now()
	s := &Server{deps: deps, opts: opts, hosts: hostsOf(opts.Addr, opts.Hosts), started: now, last: now,
		silent: silent{conns: map[net.Conn]struct{}{}}}
	s.closing, s.close = context.WithCancel(context.Background())
	s.routes = s.newRoutes()
	return s
}

// Socket is the handler for connections of a unix socket that [Server.Serve] took.
func (s *Server) Socket() http.Handler { return s.counted(s.onSocket(onlyJSON(s.routes))) }

// TCP is the handler for everybody else.
func (s *Server) TCP() http.Handler { return s.counted(s.overTCP(onlyJSON(s.routes))) }

// Serve answers on the socket and, where it is not nil, on tcp until [Server.Stop]; it returns at once.
func (s *Server) Serve(socket, tcp net.Listener) {
	s.serve(socket, s.Socket())
	if tcp != nil {
		s.serve(tcp, s.TCP())
	}
}

func (s *Server) serve(l net.Listener, h http.Handler) {
	server := &http.Server{
		Handler: h,
		// A client that sends its headers a byte at a time is cut off. Bodies have a deadline of their own, and
		// answers none: they may be streams.
		ReadHeaderTimeout: 10 * time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ConnState:         s.silent.follow,
		ErrorLog:          slog.NewLogLogger(s.opts.Log.Handler(), slog.LevelDebug),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			if uid, ok := peerUID(c); ok {
				return context.WithValue(ctx, peerKey{}, uid)
			}
			return ctx
		},
	}
	s.servers = append(s.servers, server)
	s.serving.Go(func() {
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			s.opts.Log.Error("serving requests ended", "address", l.Addr().String(), "error", err)
		}
	})
}

// Stop takes no more requests, ends the streams and waits for the rest until ctx ends; then it cuts them off. Those
// who are connected and have asked nothing are not waited for.
func (s *Server) Stop(ctx context.Context) error {
	s.close()
	defer time.AfterFunc(silentPatience, s.silent.cut).Stop()
	errs := make([]error, len(s.servers))
	for i, server := range s.servers {
		s.serving.Go(func() { // all doors at once
			if err := server.Shutdown(ctx); err != nil {
				errs[i] = errors.Join(fmt.Errorf("requests under way were cut off: %w", err), server.Close())
			}
		})
	}
	s.serving.Wait()
	return errors.Join(errs...)
}

// Activity tells how many requests and streams are being served, and when the last one ended or began. A daemon
// that ends when idle asks it.
func (s *Server) Activity() (active int, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.active, s.last
}

func (s *Server) enter() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active++
	s.last = time.Now()
	return s.active
}

func (s *Server) leave() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.active--
	s.last = time.Now()
}

// streaming returns a context for an answer without an end: it ends with the request or with the server.
func (s *Server) streaming(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancel(ctx)
	stop := context.AfterFunc(s.closing, cancel)
	return ctx, func() { stop(); cancel() }
}

// ListenSocket opens the socket at path for its owner alone, in place of one that a dead daemon left. The caller
// makes sure that there is no living one.
func ListenSocket(path string) (net.Listener, error) {
	if len(path) > maxSocketPath {
		return nil, &nexus.Error{Code: nexus.CodeInvalid, Message: "the path of the socket is too long for this system: " + path,
			Hint: "choose a shorter state directory with NEXUS_STATE"}
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	l, err := net.Listen("unix", path)
	if err != nil {
		return nil, err
	}
	// Between Listen and Chmod the directory, which is the owner's alone, keeps others out; so does the check of the peer.
	if err := os.Chmod(path, 0o600); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// maxSocketPath is what fits into sockaddr_un on every system that we build for.
const maxSocketPath = 103

// nameOf is the user's name, or the number where nobody knows one.
func nameOf(uid int) string {
	if u, err := user.LookupId(strconv.Itoa(uid)); err == nil {
		return u.Username
	}
	return strconv.Itoa(uid)
}
