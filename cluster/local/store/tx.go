package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"

	"ainexus.io/nexus"
)

// ErrMissing says that there is no such job.
var ErrMissing = errors.New("no such job")

// Tx is what a change may do. It is valid only inside of the function that it was given to.
type Tx struct {
	ctx     context.Context
	store   *Store
	records []Record
	events  []nexus.Event
	changed bool // though no record or event says so
	broken  error
}

func (tx *Tx) empty() bool { return !tx.changed && len(tx.records)+len(tx.events) == 0 }

// statements are the writer's, prepared once.
type statements struct {
	insert, update, job, submit, submitted, event, mark, dropEvents, drop, await, waiting, arrived *sql.Stmt
}

func (s *statements) prepare(ctx context.Context, conn *sql.Conn) error {
	for _, p := range []struct {
		into **sql.Stmt
		text string
	}{
		{&s.insert, `INSERT INTO jobs (id, name, owner, queue, phase, over, finished, job, kept, array, family) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`},
		{&s.update, `UPDATE jobs SET name = ?2, owner = ?3, queue = ?4, phase = ?5, over = ?6, finished = ?7, job = ?8, kept = ?9, array = ?10, family = ?11 WHERE id = ?1`},
		{&s.job, `SELECT job, kept FROM jobs WHERE id = ?`},
		{&s.submit, `INSERT INTO submits (owner, key, id) VALUES (?, ?, ?)`},
		{&s.submitted, `SELECT id FROM submits WHERE owner = ? AND key = ?`},
		{&s.event, `INSERT INTO events (seq, at, job, attempt, kind, message) VALUES (?, ?, ?, ?, ?, ?)`},
		{&s.mark, `INSERT INTO marks (name, value) VALUES ('now', ?1) ON CONFLICT (name) DO UPDATE SET value = max(value, ?1)`},
		{&s.dropEvents, `DELETE FROM events WHERE seq <= ?`},
		{&s.drop, `DELETE FROM jobs WHERE id = ? AND over = 1 RETURNING phase`},
		{&s.await, `INSERT OR IGNORE INTO awaits (awaited, job) VALUES (?, ?)`},
		{&s.waiting, `SELECT awaits.job FROM awaits JOIN jobs ON jobs.id = awaits.job WHERE awaited = ? ORDER BY jobs.seq`},
		{&s.arrived, `DELETE FROM awaits WHERE awaited = ?`},
	} {
		statement, err := conn.PrepareContext(ctx, p.text)
		if err != nil {
			return err
		}
		*p.into = statement
	}
	return nil
}

func (s *statements) close() {
	for _, statement := range []*sql.Stmt{s.insert, s.update, s.job, s.submit, s.submitted, s.event, s.mark, s.dropEvents, s.drop, s.await, s.waiting, s.arrived} {
		if statement != nil {
			statement.Close()
		}
	}
}

// Job reads a job as this transaction sees it, or [ErrMissing].
func (tx *Tx) Job(id string) (Record, error) {
	var job, kept []byte
	err := tx.store.statements.job.QueryRowContext(tx.ctx, id).Scan(&job, &kept)
	if errors.Is(err, sql.ErrNoRows) {
		return Record{}, ErrMissing
	}
	if err != nil {
		return Record{}, tx.fail(err)
	}
	return decode(job, kept)
}

// Submitted gives the id of the job that this owner submitted under this key, or "".
func (tx *Tx) Submitted(owner, key string) (string, error) {
	var id string
	err := tx.store.statements.submitted.QueryRowContext(tx.ctx, owner, key).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		return "", nil
	}
	return id, tx.fail(err)
}

// Insert adds a job. A key that is not empty is remembered for [Tx.Submitted] as long as the job is.
func (tx *Tx) Insert(r Record, key string) error {
	if err := tx.put(tx.store.statements.insert, r); err != nil {
		return err
	}
	if key == "" {
		return nil
	}
	_, err := tx.store.statements.submit.ExecContext(tx.ctx, r.Job.User, key, r.Job.ID)
	return tx.fail(err)
}

// Update replaces a job.
func (tx *Tx) Update(r Record) error { return tx.put(tx.store.statements.update, r) }

func (tx *Tx) put(statement *sql.Stmt, r Record) error {
	job, err := json.Marshal(r.Job)
	if err != nil {
		return err
	}
	kept, err := json.Marshal(r.Kept)
	if err != nil {
		return err
	}
	finished := int64(0)
	if r.Job.Phase.Over() {
		finished = r.Job.Finished.UnixMilli()
	}
	array, family := "", ""
	if m := r.Job.Member; m != nil {
		array, family = m.Array, m.Name
	}
	_, err = statement.ExecContext(tx.ctx, r.Job.ID, r.Job.Spec.Name, r.Job.User, r.Job.Spec.Queue, string(r.Job.Phase),
		r.Job.Phase.Over(), finished, job, kept, array, family)
	if err != nil {
		return tx.fail(err)
	}
	tx.records = append(tx.records, r)
	return nil
}

// Event adds an event; its Seq is given here.
func (tx *Tx) Event(e nexus.Event) error {
	e.Seq = tx.store.seq + 1
	_, err := tx.store.statements.event.ExecContext(tx.ctx, e.Seq, e.At.UnixNano(), e.Job, e.Attempt, string(e.Kind), e.Message)
	if err != nil {
		return tx.fail(err)
	}
	tx.store.seq = e.Seq
	tx.events = append(tx.events, e)
	return nil
}

// fail remembers that the file, not the change, is in trouble.
func (tx *Tx) fail(err error) error {
	if err != nil {
		tx.broken = err
	}
	return err
}

func decode(job, kept []byte) (Record, error) {
	var r Record
	if err := json.Unmarshal(job, &r.Job); err != nil {
		return r, err
	}
	r.Was = r.Job.Phase
	return r, json.Unmarshal(kept, &r.Kept)
}
