package app

import (
	"context"
	"log/slog"

	"ainexus.io/attempt"
	"ainexus.io/launch"
	"ainexus.io/launch/elastic"
	"ainexus.io/proc"
)

// AgentOptions are the settings of [RunAgent].
type AgentOptions struct {
	// Keeper is the argv of the keeper. No default.
	Keeper []string
	// Environ is the agent's environment, in which the daemon hands over secrets.
	Environ []string
	// Clock is what time it is. Default: the machine's.
	Clock proc.Clock
	// Backoff is the pause before a round that answers a failure. Default: 1 s, doubled up to 30 s.
	Backoff elastic.Backoff
	// Logger gets what an operator would act on. Default: nothing.
	Logger *slog.Logger
}

// RunAgent is the life of an agent: it runs the attempt whose directory is dir, and returns when no process of it is
// left and its result is written.
func RunAgent(ctx context.Context, dir string, opts AgentOptions) error {
	return launch.Agent(ctx, attempt.Dir(dir), launch.AgentOptions{
		Keeper: opts.Keeper, Secrets: launch.SecretsOf(opts.Environ), Clock: opts.Clock.OrSystem(), Backoff: opts.Backoff, Logger: opts.Logger,
	})
}
