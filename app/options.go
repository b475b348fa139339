package app

import (
	"cmp"
	"log/slog"
	"net/http"
	"time"

	"ainexus.io/nexus"
	"ainexus.io/proc"
	"ainexus.io/web"
)

// Options are the settings of a daemon.
type Options struct {
	// State is the state directory, absolute: one daemon each. No default.
	State string
	// Agent is the argv that runs [RunAgent]; the attempt directory is added as its last argument. Agents outlive the
	// daemon, so it should name a copy that stays. No default.
	Agent []string
	// AgentEnv is the environment of agents, beside the secrets of their jobs. Default: nothing.
	AgentEnv []string
	// Sampler is the argv that runs the sampler of GPUs, which may hang where the driver does. Default: the daemon
	// samples by itself.
	Sampler []string
	// NVMLLibrary is the path of NVIDIA's management library. Default: where the loader finds it.
	NVMLLibrary string
	// NoGPUs has GPUs not looked for. Default: they are.
	NoGPUs bool
	// NoLimits keeps memory and CPU limits off cgroups. Default: they are put there where that can be done.
	NoLimits bool
	// Logs bounds what is kept of what each worker of a job writes. Default: two files of 64 MiB.
	Logs nexus.LogBounds

	// Listen is the host:port of the page and of the API over TCP; "none" has none. Where it is taken the daemon says
	// so and serves its socket only. Default: 127.0.0.1:8000.
	Listen string
	// Metrics is a host:port of its own for /metrics, without a token. Default: it is not served there.
	Metrics string
	// Hosts are further names by which requests over TCP may call this machine. Default: loopback and Listen's.
	Hosts []string
	// Page answers what is not the API's. Default: the pages of web.
	Page http.Handler
	// Version is the release that is told.
	Version string

	// ExitWhenIdle ends the daemon after so long without a job that is alive or waits, and without a request. 0: never.
	ExitWhenIdle time.Duration
	// Node is the name of this machine. Default: its host name.
	Node string
	// CPUs is how many logical CPUs jobs may have between them. Default: all that the daemon may use.
	CPUs int
	// Clock is what time it is. Default: the machine's.
	Clock proc.Clock
	// Silence is after how long without a sign an agent is looked at. Default: 30 s.
	Silence time.Duration
	// StopMargin is how long after the grace of a stop a silent agent is killed. Default: 30 s.
	StopMargin time.Duration
	// Backoff is the first pause after an attempt whose agent went away. Default: 1 s.
	Backoff time.Duration
	// History is how many jobs that are over are kept, HistoryAge for how long. Default: 100,000, for 90 days.
	History    int
	HistoryAge time.Duration
	// Logger gets what an operator would act on. Default: nothing.
	Logger *slog.Logger
}

// DefaultListen is where the page and the API over TCP are, unless somebody says otherwise.
const DefaultListen = "127.0.0.1:8000"

// noListen as Options.Listen has no TCP.
const noListen = "none"

func (o Options) withDefaults() Options {
	o.Listen = cmp.Or(o.Listen, DefaultListen)
	o.Clock = o.Clock.OrSystem()
	if o.Page == nil {
		o.Page = web.Handler()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}
