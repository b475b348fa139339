package cli

import (
	"context"
	"io"

	"ainexus.io/api"
	"ainexus.io/nexus"
)

// place is where jobs run, as commands speak to it: a daemon over its API, or a cluster through the user's kubeconfig. What
// makes no sense at one of them it refuses in a line.
type place interface {
	api.Jobs
	api.Control
	api.Fleet
	api.Checkpoints
	api.Forecaster
	api.Explainer
	lineUp
	narrator
}

// lineUp are the queues of a place.
type lineUp interface {
	Queues(ctx context.Context) ([]nexus.QueueState, error)
	ApplyQueues(ctx context.Context, queues []nexus.Queue) (api.QueueChanges, error)
	DeleteQueue(ctx context.Context, name string) error
	History(ctx context.Context, by string, since nexus.Duration) (api.HistoryList, error)
}

// narrator tells what goes on.
type narrator interface {
	Logs(ctx context.Context, ref string, q api.LogQuery, w io.Writer) error
	Events(ctx context.Context, after uint64) (<-chan nexus.Event, error)
	JobEvents(ctx context.Context, ref string, after uint64) (<-chan nexus.Event, error)
}

// place returns what is to be spoken to. Nothing is sent yet.
func (p *program) place() (place, error) {
	reach, cluster, err := p.cluster()
	if err != nil {
		return nil, err
	}
	if cluster {
		return p.onCluster(reach)
	}
	return p.client()
}

// away is who is missing when nobody answers.
func (p *program) away() string {
	if _, cluster, err := p.cluster(); err == nil && cluster {
		return "the API server"
	}
	return "the daemon"
}
