package local

import (
	"context"
	"errors"
	"path/filepath"

	"ainexus.io/attempt/saved"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// Checkpoints lists the work that a job saved, the newest first.
func (p *Place) Checkpoints(ctx context.Context, ref string, quick bool) ([]nexus.Saved, error) {
	id, err := p.resolve(ctx, ref)
	if err != nil {
		return nil, err
	}
	r, err := p.recordOf(ctx, id)
	if errors.Is(err, store.ErrMissing) {
		return nil, unknown(ref)
	}
	if err != nil {
		return nil, err
	}
	if r.Job.Spec.Checkpoint == nil {
		return nil, &nexus.Error{Code: nexus.CodeConflict, Message: "job " + id + " does not say where it saves its work",
			Hint: "in the job file: checkpoint: {path: ckpt}"}
	}
	path := r.Job.Spec.Checkpoint.Path
	if !filepath.IsAbs(path) {
		path = filepath.Join(r.Workdir, path)
	}
	return saved.List(ctx, path, id, quick)
}
