package gpu

import (
	"log/slog"
	"time"
)

// Options are the settings of a [Reader]. The zero value works on every machine, inside the caller's process.
type Options struct {
	Library   string   // path of NVML; "" = libnvidia-ml.so.1 where the loader and container runtimes keep it
	NvidiaSMI string   // path of nvidia-smi; "" = from PATH
	Processes bool     // also list who computes on each device
	Child     []string // argv of a program that calls ServeChild; empty = sample inside this process

	Timeout      time.Duration // how long the sampler may be silent before it is ended; 0 = 5 s
	StartTimeout time.Duration // the same before its first answer, because starting a driver takes long; 0 = 20 s
	Idle         time.Duration // a child not asked for so long ends itself; 0 = 1 min
	Backoff      time.Duration // pause after a failure, doubled each time up to 64 of it; 0 = 1 s
	Recheck      time.Duration // how long "no GPU here" is believed; 0 = 5 min

	Log *slog.Logger // nil = silent
}

// maxBackoff is in units of Options.Backoff.
const maxBackoff = 64

func (o Options) withDefaults() Options {
	for _, d := range []struct {
		set       *time.Duration
		otherwise time.Duration
	}{
		{&o.Timeout, 5 * time.Second},
		{&o.StartTimeout, 20 * time.Second},
		{&o.Idle, time.Minute},
		{&o.Backoff, time.Second},
		{&o.Recheck, 5 * time.Minute},
	} {
		if *d.set <= 0 {
			*d.set = d.otherwise
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	return o
}

// pause is how long to wait after this many failures in a row.
func (o Options) pause(failures int) time.Duration {
	units := 1
	for range failures - 1 {
		if units *= 2; units >= maxBackoff {
			return maxBackoff * o.Backoff
		}
	}
	return time.Duration(units) * o.Backoff
}
