package store

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Job reads one job as it was last committed, or [ErrMissing].
func (s *Store) Job(ctx context.Context, id string) (Record, error) {
	records, err := s.query(ctx, `SELECT job, kept FROM jobs WHERE id = ?`, id)
	if err == nil && len(records) == 0 {
		err = ErrMissing
	}
	if err != nil {
		return Record{}, err
	}
	return records[0], nil
}

// Live reads every job that is not over, oldest submit first.
func (s *Store) Live(ctx context.Context) ([]Record, error) {
	return s.query(ctx, `SELECT job, kept FROM jobs INDEXED BY jobs_live WHERE over = 0 ORDER BY seq`)
}

// Named gives the id of the newest job of that name that is not over, else of the newest; "" when there is none.
func (s *Store) Named(ctx context.Context, name string) (string, error) {
	ids, err := s.ids(ctx, `SELECT id FROM jobs WHERE name = ? ORDER BY over, seq DESC LIMIT 1`, name)
	if err != nil || len(ids) == 0 {
		return "", err
	}
	return ids[0], nil
}

// Prefixed gives the ids that begin so, at most limit of them.
func (s *Store) Prefixed(ctx context.Context, prefix string, limit int) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM jobs WHERE id >= ? AND id < ? ORDER BY id LIMIT ?`, prefix, prefix+"\x7f", limit)
}

// Filter narrows [Store.List]. Zero fields do not narrow.
type Filter struct {
	Phases       []nexus.Phase
	Queue, Owner string
	Name         string // of a job or of its array
	Array        string // id
	Live         bool   // only jobs that are not over
	Before       string // only jobs submitted before the job with this id
	Limit        int    // at most so many; 0: all
}

// List reads jobs, newest submit first.
func (s *Store) List(ctx context.Context, f Filter) ([]Record, error) {
	query := strings.Builder{}
	query.WriteString(`SELECT job, kept FROM jobs WHERE 1`)
	var args []any
	narrow := func(condition string, values ...any) {
		query.WriteString(" AND " + condition)
		args = append(args, values...)
	}
	if f.Live {
		narrow("over = 0")
	}
	if f.Queue != "" {
		narrow("queue = ?", f.Queue)
	}
	if f.Owner != "" {
		narrow("owner = ?", f.Owner)
	}
	if f.Name != "" {
		narrow("(name = ? OR family = ? AND family <> '')", f.Name, f.Name)
	}
	if f.Array != "" {
		narrow("array = ? AND array <> ''", f.Array)
	}
	if f.Before != "" {
		narrow("seq < (SELECT seq FROM jobs WHERE id = ?)", f.Before)
	}
	if len(f.Phases) > 0 {
		phases := make([]any, len(f.Phases))
		for i, p := range f.Phases {
			phases[i] = string(p)
		}
		narrow("phase IN (?"+strings.Repeat(", ?", len(phases)-1)+")", phases...)
	}
	query.WriteString(" ORDER BY seq DESC")
	if f.Limit > 0 {
		query.WriteString(" LIMIT ?")
		args = append(args, f.Limit)
	}
	return s.query(ctx, query.String(), args...)
}

// Events reads at most limit events after seq, oldest first.
func (s *Store) Events(ctx context.Context, after uint64, limit int) ([]nexus.Event, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT seq, at, job, attempt, kind, message FROM events WHERE seq > ? ORDER BY seq LIMIT ?`,
		min(after, 1<<62), limit)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var events []nexus.Event
	for rows.Next() {
		var e nexus.Event
		var at int64
		if err := rows.Scan(&e.Seq, &at, &e.Job, &e.Attempt, &e.Kind, &e.Message); err != nil {
			return nil, s.trouble(err)
		}
		e.At = time.Unix(0, at)
		events = append(events, e)
	}
	return events, s.trouble(rows.Err())
}

// LastEvent is the Seq of the newest event; 0 where there is none.
func (s *Store) LastEvent(ctx context.Context) (seq uint64, err error) {
	err = s.read.QueryRowContext(ctx, `SELECT ifnull(max(seq), 0) FROM events`).Scan(&seq)
	return seq, s.trouble(err)
}

// Counts tells how many jobs are in each phase.
func (s *Store) Counts(ctx context.Context) (map[nexus.Phase]int, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT phase, count(*) FROM jobs GROUP BY phase`)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	counts := map[nexus.Phase]int{}
	for rows.Next() {
		var phase string
		var n int
		if err := rows.Scan(&phase, &n); err != nil {
			return nil, s.trouble(err)
		}
		counts[nexus.Phase(phase)] = n
	}
	return counts, s.trouble(rows.Err())
}

// Stale gives at most limit ids of jobs to be forgotten: those that were over before the given time, and the oldest of
// those that are more than keep.
func (s *Store) Stale(ctx context.Context, before time.Time, keep, limit int) ([]string, error) {
	return s.ids(ctx, `SELECT id FROM jobs INDEXED BY jobs_over WHERE over = 1 AND (finished < ?1
		OR finished < (SELECT finished FROM jobs INDEXED BY jobs_over WHERE over = 1 ORDER BY finished DESC LIMIT 1 OFFSET ?2))
		ORDER BY finished LIMIT ?3`, before.UnixMilli(), keep-1, limit)
}

// Prune forgets these jobs, as far as they are over, and tells how many of each phase that were.
func (s *Store) Prune(ctx context.Context, ids []string) (map[nexus.Phase]int, error) {
	dropped := map[nexus.Phase]int{}
	return dropped, s.Do(ctx, func(tx *Tx) error {
		tx.changed = true
		for _, id := range ids {
			var phase string
			err := s.statements.drop.QueryRowContext(tx.ctx, id).Scan(&phase)
			switch {
			case errors.Is(err, sql.ErrNoRows):
			case err != nil:
				return tx.fail(err)
			default:
				dropped[nexus.Phase(phase)]++
			}
		}
		return nil
	})
}

func (s *Store) query(ctx context.Context, query string, args ...any) ([]Record, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var records []Record
	for rows.Next() {
		var job, kept sql.RawBytes
		if err := rows.Scan(&job, &kept); err != nil {
			return nil, s.trouble(err)
		}
		r, err := decode(job, kept)
		if err != nil {
			return nil, s.trouble(err)
		}
		records = append(records, r)
	}
	return records, s.trouble(rows.Err())
}

func (s *Store) ids(ctx context.Context, query string, args ...any) ([]string, error) {
	rows, err := s.read.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var ids []string
	for rows.Next() {
		var id string
		if err := rows.Scan(&id); err != nil {
			return nil, s.trouble(err)
		}
		ids = append(ids, id)
	}
	return ids, s.trouble(rows.Err())
}

// Missing reports whether err says that there is no such job.
func Missing(err error) bool { return errors.Is(err, ErrMissing) }
