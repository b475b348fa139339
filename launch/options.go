package launch

import (
	"io"
	"log/slog"
	"os"
	"time"

	"ainexus.io/c10d"
	"ainexus.io/launch/elastic"
	"ainexus.io/nexus"
	"ainexus.io/proc"
)

// Options are the settings of [Run].
type Options struct {
	Command     nexus.Command // what every worker runs
	Workers     int           // processes; default 1
	MaxRestarts int           // rounds after the first that an exit or a hang may cost
	NoProgress  time.Duration // how long no rank may make a step once one has; 0: no watch
	Dir         string        // working directory, absolute
	Env         []string      // "KEY=value" of the workers, usually os.Environ()
	CPUs        int           // logical CPUs that the workers share between them; 0: unknown
	Node        string        // name of this machine

	// Order is what a place ordered that this launch is an attempt for; nil: it is nobody's. The fields above count where it
	// says the same.
	Order *nexus.Order

	RunID      string // default: a random one
	Role       string // default "default"
	MasterAddr string // default 127.0.0.1
	MasterPort int    // 0: 29500 if that is free, else any

	Binding Binding // which CPUs each worker may use; zero: all

	Meet Meet // where several nodes meet; zero: this one is all there is

	Store c10d.Limits // of each round's key-value store; zero fields take their defaults

	LogDir    string // files <LogDir>/<RunID>/attempt_<round>/<rank>/{stdout.log,stderr.log,error.json}; empty: none
	Redirects Std    // streams that go to the files only
	Tee       Std    // streams that go to the files and are shown; without either all do, where LogDir is set

	LogSize  int64 // when a file is full, in bytes; default 64 MiB, [proc.Unbounded]: never
	LogFiles int   // how many are kept of each stream: stdout.log, stdout.log.1 ..; default 2

	// Prefix stands before each line that is shown; ${role_name}, ${rank} and ${local_rank} in it are the worker's. Default "[rank N] ".
	Prefix string

	Show []int // local ranks whose streams are shown; nil: all

	Stdout, Stderr io.Writer        // the workers' lines, prefixed; nil: not shown
	Terminal       bool             // both are a terminal: lines may be dropped rather than stop the workers
	Signals        <-chan os.Signal // INT, TERM, HUP and QUIT stop (the second one kills), others are passed on
	Grace          time.Duration    // from the stop to the kill; default 30 s

	Keeper  []string        // program and first arguments of the keeper
	Clock   proc.Clock      // default: this machine's
	Backoff elastic.Backoff // default: none, 100 ms, 200 ms .. 30 s
	Look    time.Duration   // how often clocks and progress are looked at, at least; default 1 s
	Logger  *slog.Logger    // default: silent
}

// AgentOptions are the settings of [Agent].
type AgentOptions struct {
	// Keeper is the program and first arguments of the keeper; it calls [proc.Keep] with the two that follow.
	Keeper []string
	// Secrets are the values of `from: env:NAME`, by NAME; see [SecretsOf].
	Secrets map[string]string
	Clock   proc.Clock      // default: this machine's
	Backoff elastic.Backoff // default: 1 s, 2 s .. 30 s
	Look    time.Duration   // how often clocks and progress are looked at, at least; default 1 s
	Logger  *slog.Logger    // default: silent
}

// failureGrace is how long the survivors of a failed round get from TERM to KILL.
const failureGrace = elastic.SurvivorGrace

// defaultGrace is what a stop gets where nobody says.
const defaultGrace = 30 * time.Second

// renewal is how often the lease is renewed.
const renewal = 10 * time.Second
