package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"

	"ainexus.io/api"
	"ainexus.io/cluster/local"
	"ainexus.io/engine"
	"ainexus.io/gpu"
	"ainexus.io/journal"
	"ainexus.io/metrics"
	"ainexus.io/sched/policy"
)

// SocketName and TokenName are files of the state directory: where the daemon listens, and what TCP clients must know.
const (
	SocketName = "nexus.sock"
	TokenName  = "token"
)

// Daemon is the rooms of one state directory, wired.
type Daemon struct {
	opts    Options
	place   *local.Place
	reader  *gpu.Reader // nil: GPUs are not looked for
	metrics *metrics.Registry
	journal *journal.Journal
	engine  *engine.Engine
	token   string
	scrapes []*door

	life *life

	mu     sync.Mutex
	server *api.Server
	addr   string
}

// NewDaemon takes the state directory and reads the records; what is wrong with them, or a daemon that is there
// already, is a [nexus.Error]. The socket is open when it returns; nothing runs before [Daemon.Start].
func NewDaemon(opts Options) (*Daemon, error) {
	opts = opts.withDefaults()
	d := &Daemon{opts: opts, life: newLife()}
	devices := local.Devices(nil)
	if !opts.NoGPUs {
		d.reader = gpu.New(gpu.Options{Library: opts.NVMLLibrary, Child: opts.Sampler, Processes: true, Log: opts.Logger.With("component", "gpu")})
		devices = d.reader
	}
	tally := &lateTally{}
	place, err := local.New(context.Background(), local.Options{
		State: opts.State, Agent: opts.Agent, AgentEnv: opts.AgentEnv, Node: opts.Node, CPUs: opts.CPUs, Clock: opts.Clock, Devices: devices,
		NoLimits: opts.NoLimits, Logs: opts.Logs, History: opts.History, HistoryAge: opts.HistoryAge, Silence: opts.Silence,
		StopMargin: opts.StopMargin, Backoff: opts.Backoff, Tally: tally, Log: opts.Logger,
	})
	if err != nil {
		return nil, errors.Join(err, d.closeReader())
	}
	d.place = place
	d.metrics = metrics.New(source{place})
	tally.to = d.metrics
	if err := d.wire(); err != nil {
		return nil, errors.Join(err, d.closeScrapes(), d.closeJournal(), place.Stop(), d.closeReader())
	}
	return d, nil
}

// wire makes what stands on the place: journal, engine, and the door.
func (d *Daemon) wire() (err error) {
	if d.journal, err = journal.Open(journal.Options{Dir: filepath.Join(d.opts.State, "journal")}, d.opts.Logger); err != nil {
		return err
	}
	d.engine = engine.New(d.place, policy.Default(), []engine.Observer{counter{d.metrics}, d.journal}, d.opts.Logger)
	if d.token, err = tokenIn(filepath.Join(d.opts.State, TokenName)); err != nil {
		return err
	}
	if d.scrapes, err = openDoors(d.opts.Logger, opening{d.opts.Metrics, metricsOnly(d.metrics.Handler())}); err != nil {
		return err
	}
	return d.listen()
}

// listen opens the socket and the port and makes the server that will answer there.
func (d *Daemon) listen() error {
	socket, err := api.ListenSocket(filepath.Join(d.opts.State, SocketName))
	if err != nil {
		return err
	}
	var tcp net.Listener
	addr := ""
	if d.opts.Listen != noListen {
		if tcp, err = net.Listen("tcp", d.opts.Listen); err != nil {
			d.opts.Logger.Warn("the port for page and API cannot be had; going on with the socket only",
				"address", d.opts.Listen, "error", err)
			tcp = nil
		} else {
			addr = tcp.Addr().String()
		}
	}
	jobs := explained{Place: d.place, why: d.engine}
	server := api.NewServer(api.Deps{
		Jobs: jobs, Control: d.place, Checkpoints: d.place, Fleet: d.place, Queues: d.place, Streams: d.place, Explainer: d.engine, Forecaster: jobs,
		Metrics: d.metrics.Handler(), Page: d.opts.Page,
	}, api.Options{
		Version: d.opts.Version, State: d.opts.State, Token: d.token, UID: os.Getuid(), Addr: addr, Hosts: d.opts.Hosts,
		Automatic: d.opts.ExitWhenIdle > 0, Log: d.opts.Logger.With("component", "api"),
	})
	d.mu.Lock()
	defer d.mu.Unlock()
	d.server, d.addr = server, addr
	d.life.open = func() { server.Serve(socket, tcp) }
	return nil
}

// Addr is the host:port of page and API, empty where there is none.
func (d *Daemon) Addr() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.addr
}

// Token is what requests over TCP must know.
func (d *Daemon) Token() string { return d.token }

// Cycles is how many times the planner was asked. An idle daemon does not ask.
func (d *Daemon) Cycles() uint64 { return d.engine.Cycles() }

// Handler is the API as it is served on the socket, for tests and tools of this process.
func (d *Daemon) Handler() http.Handler {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.server.Socket()
}

func (d *Daemon) closeJournal() error {
	if d.journal == nil {
		return nil
	}
	return d.journal.Close()
}

func (d *Daemon) closeScrapes() error {
	if d.scrapes == nil {
		return nil
	}
	return d.scrapes[0].stop()
}

func (d *Daemon) closeReader() error {
	if d.reader == nil {
		return nil
	}
	if err := d.reader.Close(); err != nil {
		return fmt.Errorf("closing the GPU reader: %w", err)
	}
	return nil
}
