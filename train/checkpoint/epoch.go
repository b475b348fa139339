package checkpoint

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Epoch is the fencing token: attempt, then round.
type Epoch struct {
	Attempt int `json:"attempt"`
	Round   int `json:"round"`
}

// Less compares attempts, then rounds.
func (e Epoch) Less(o Epoch) bool {
	return e.Attempt < o.Attempt || e.Attempt == o.Attempt && e.Round < o.Round
}

// String writes attempt 2, round 1 as "2.1".
func (e Epoch) String() string { return fmt.Sprintf("%d.%d", e.Attempt, e.Round) }

// Writer is who writes to a directory. Job may be empty, outside of nexus; epochs are compared within one job only.
type Writer struct {
	Job   string
	Epoch Epoch
}

// claim is what the file EPOCH says.
type claim struct {
	Epoch
	Job    string `json:"job,omitempty"`
	Number uint64 `json:"claim"` // grows with each claim
}

// FencedError says that another writer has the directory.
type FencedError struct {
	Dir    string
	Writer Writer // who was refused
	Owner  Writer // who has it
}

// Error names both writers.
func (e *FencedError) Error() string {
	return fmt.Sprintf("checkpoints in %s belong to epoch %v%s now, this is epoch %v%s", e.Dir,
		e.Owner.Epoch, ofJob(e.Owner.Job), e.Writer.Epoch, ofJob(e.Writer.Job))
}

func ofJob(job string) string {
	if job == "" {
		return ""
	}
	return fmt.Sprintf(" of job %q", job)
}

// Claim makes this the directory's writer, creating it. It is refused with a [FencedError] if a newer epoch of the same
// job has claimed it; a writer of another job, or of none, takes over, and the one before is fenced off.
func (d *Dir) Claim() error {
	if err := os.MkdirAll(d.path, 0o777); err != nil {
		return err
	}
	unlock, err := lock(d.path)
	if err != nil {
		return err
	}
	defer unlock()
	owner, err := d.owner()
	if err != nil {
		return err
	}
	mine := claim{Epoch: d.writer.Epoch, Job: d.writer.Job, Number: owner.Number + 1}
	if mine.Job != "" && mine.Job == owner.Job && mine.Epoch.Less(owner.Epoch) {
		return d.fenced(owner)
	}
	data, err := json.Marshal(mine)
	if err != nil {
		return err
	}
	if err := replace(filepath.Join(d.path, epochFile), append(data, '\n')); err != nil {
		return fmt.Errorf("claiming %s: %w", d.path, err)
	}
	d.mine = mine
	return nil
}

// owner reads EPOCH; a directory without one has no owner.
func (d *Dir) owner() (claim, error) {
	path := filepath.Join(d.path, epochFile)
	data, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return claim{}, nil
	}
	if err != nil {
		return claim{}, err
	}
	var c claim
	if err := json.Unmarshal(data, &c); err != nil {
		return claim{}, fmt.Errorf("reading %s: %w", path, err)
	}
	return c, nil
}

// check fails unless the claim is still ours. The lock must be held.
func (d *Dir) check() error {
	owner, err := d.owner()
	if err != nil {
		return err
	}
	if owner != d.mine {
		return d.fenced(owner)
	}
	return nil
}

func (d *Dir) fenced(owner claim) error {
	return &FencedError{Dir: d.path, Writer: d.writer, Owner: Writer{Job: owner.Job, Epoch: owner.Epoch}}
}
