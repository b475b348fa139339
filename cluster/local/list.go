package local

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"ainexus.io/api"
	"ainexus.io/attempt"
	"ainexus.io/cluster/local/store"
	"ainexus.io/nexus"
)

// minPrefix is how much of an id has to be said.
const minPrefix = 4

// Job gives one job as people see it.
func (p *Place) Job(ctx context.Context, ref string) (api.JobView, error) {
	id, err := p.resolve(ctx, ref)
	if err != nil {
		return api.JobView{}, err
	}
	r, err := p.recordOf(ctx, id)
	if errors.Is(err, store.ErrMissing) {
		return api.JobView{}, unknown(ref)
	}
	if err != nil {
		return api.JobView{}, err
	}
	return p.look(r, true), nil
}

// recordOf reads from memory what is not over, else from disk.
func (p *Place) recordOf(ctx context.Context, id string) (store.Record, error) {
	if r, ok := p.view.get(id); ok {
		return r, nil
	}
	return p.store.Job(ctx, id)
}

// List gives jobs by submit time, newest first. What is over comes from disk.
func (p *Place) List(ctx context.Context, f api.Filter) ([]api.JobView, error) {
	before := f.Before
	if before != "" {
		var err error
		if before, err = p.resolve(ctx, before); err != nil {
			return nil, err
		}
	}
	limit := f.Limit
	if limit <= 0 {
		limit = 200
	}
	records, err := p.store.List(ctx, store.Filter{
		Phases: f.Phases, Queue: f.Queue, Owner: f.User, Name: f.Name, Array: f.Array, Live: f.Live, Before: before, Limit: limit,
	})
	if err != nil {
		return nil, err
	}
	views := make([]api.JobView, len(records))
	for i, r := range records {
		views[i] = p.look(r, false)
	}
	return views, nil
}

// look adds to a record what the attempt directory tells. The progress of a job that is over is read only in full.
func (p *Place) look(r store.Record, full bool) api.JobView {
	v := api.JobView{Job: r.Job, Workdir: r.Workdir, Notices: r.Notices}
	if reason, ok := p.view.reason(r.Job.ID); ok && r.Job.Phase == nexus.Pending {
		v.Reason, v.Sentence = &reason, reason.Sentence()
	}
	if r.Job.Attempt == 0 {
		return v
	}
	dir := p.dirOf(r.Job.ID, r.Job.Attempt)
	v.LogDir = string(dir) + "/logs"
	alive := r.Job.Placement != nil
	if alive {
		if status, err := dir.Status(); err == nil {
			v.Status = &status
		}
	}
	if alive || full {
		v.Progress = progress(dir)
	}
	return v
}

// progress reads what each rank's step() last told.
func progress(dir attempt.Dir) []nexus.Progress {
	var list []nexus.Progress
	for rank := range maxRanks {
		one, err := dir.Progress(rank)
		if attempt.Missing(err) {
			break
		}
		if err == nil {
			list = append(list, one)
		}
	}
	return list
}

// maxRanks bounds the workers of one machine.
const maxRanks = 1 << 12

// resolve finds the job that a reference means; for an array its spokesman.
func (p *Place) resolve(ctx context.Context, ref string) (string, error) {
	id, array, err := p.meant(ctx, ref)
	if err != nil || !array {
		return id, err
	}
	return p.spokesman(ctx, id)
}

// meant finds the job or the array that a reference means: an id, a name, or a part of an id that means only one.
func (p *Place) meant(ctx context.Context, ref string) (id string, array bool, err error) {
	if _, ok := p.view.get(ref); ok {
		return ref, false, nil
	}
	if ref == "" || len(ref) > 200 || strings.ContainsAny(ref, "/\x00") {
		return "", false, unknown(ref)
	}
	if id, err := p.store.Family(ctx, ref); err != nil || id != "" {
		return id, true, err
	}
	if id, err := p.store.Named(ctx, ref); err != nil || id != "" {
		return id, false, err
	}
	if len(ref) < minPrefix {
		return "", false, unknown(ref)
	}
	jobs, err := p.store.Prefixed(ctx, ref, 2)
	if err != nil {
		return "", false, err
	}
	arrays, err := p.store.Arrays(ctx, ref, 2)
	switch all := append(jobs, arrays...); {
	case err != nil:
		return "", false, err
	case len(all) == 0:
		return "", false, unknown(ref)
	case slices.Contains(all, ref):
		return ref, !slices.Contains(jobs, ref), nil
	case len(all) > 1:
		return "", false, &nexus.Error{Code: nexus.CodeAmbiguous, Message: fmt.Sprintf("several jobs begin with %q", ref), Hint: "say more of the id"}
	}
	if len(jobs) > 0 {
		return jobs[0], false, nil
	}
	return arrays[0], true, nil
}

func unknown(ref string) error {
	return &nexus.Error{Code: nexus.CodeNotFound, Message: fmt.Sprintf("there is no job %q", ref), Hint: "nexus ps lists the jobs"}
}
