package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"strings"
	"time"

	"ainexus.io/nexus"
)

// Had is what a user had of a queue in one hour.
type Had struct {
	Hour        int64 // of unix time
	Queue, User string
	// GPUTime and CPUTime are in thousandths of a GPU or cpu, times milliseconds.
	GPUTime, CPUTime int64
	Attempts, Jobs   int           // attempts that began, jobs that were over
	Waited           time.Duration // in line before these attempts
}

// maxHistory is how many hours by queue and user are kept; the oldest go first.
const maxHistory = 200_000

// PutQueue adds a queue or replaces it.
func (tx *Tx) PutQueue(q nexus.Queue) error {
	doc, err := json.Marshal(q)
	if err != nil {
		return err
	}
	return tx.execute(`INSERT INTO queues (name, doc) VALUES (?1, ?2) ON CONFLICT (name) DO UPDATE SET doc = ?2`, q.Name, doc)
}

// DropQueue forgets a queue and what was used of it; its history stays.
func (tx *Tx) DropQueue(name string) error {
	if err := tx.execute(`DELETE FROM uses WHERE queue = ?`, name); err != nil {
		return err
	}
	return tx.execute(`DELETE FROM queues WHERE name = ?`, name)
}

// PutUse replaces what a user had of a queue.
func (tx *Tx) PutUse(u nexus.QueueUse) error {
	return tx.execute(`INSERT INTO uses (queue, owner, gpu_time, cpu_time, at) VALUES (?1, ?2, ?3, ?4, ?5)
		ON CONFLICT (queue, owner) DO UPDATE SET gpu_time = ?3, cpu_time = ?4, at = ?5`, u.Queue, u.User, u.GPUTime, u.CPUTime, u.At.UnixMilli())
}

// AddHad adds to the history.
func (tx *Tx) AddHad(h Had) error {
	return tx.execute(`INSERT INTO history (hour, queue, owner, gpu_time, cpu_time, attempts, jobs, waited) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
		ON CONFLICT (hour, queue, owner) DO UPDATE SET gpu_time = gpu_time + ?4, cpu_time = cpu_time + ?5, attempts = attempts + ?6,
		jobs = jobs + ?7, waited = waited + ?8`, h.Hour, h.Queue, h.User, h.GPUTime, h.CPUTime, h.Attempts, h.Jobs, h.Waited.Milliseconds())
}

// DropHistory forgets the hours before one, and the oldest of those that are too many.
func (tx *Tx) DropHistory(before int64) error {
	return tx.execute(`DELETE FROM history WHERE hour < ?1 OR hour < (SELECT hour FROM history ORDER BY hour DESC LIMIT 1 OFFSET ?2)`, before, maxHistory)
}

// execute runs a statement that is too rare to be kept prepared.
func (tx *Tx) execute(statement string, args ...any) error {
	tx.changed = true
	_, err := tx.store.conn.ExecContext(tx.ctx, statement, args...)
	return tx.fail(err)
}

// Queues reads every queue that has a document, by name.
func (s *Store) Queues(ctx context.Context) ([]nexus.Queue, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT doc FROM queues ORDER BY name`)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var queues []nexus.Queue
	for rows.Next() {
		var doc []byte
		var q nexus.Queue
		if err := rows.Scan(&doc); err != nil {
			return nil, s.trouble(err)
		}
		if err := json.Unmarshal(doc, &q); err != nil {
			return nil, s.trouble(err)
		}
		queues = append(queues, q)
	}
	return queues, s.trouble(rows.Err())
}

// Uses reads what users had of queues, by queue and user.
func (s *Store) Uses(ctx context.Context) ([]nexus.QueueUse, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT queue, owner, gpu_time, cpu_time, at FROM uses ORDER BY queue, owner`)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var uses []nexus.QueueUse
	for rows.Next() {
		var u nexus.QueueUse
		var at int64
		if err := rows.Scan(&u.Queue, &u.User, &u.GPUTime, &u.CPUTime, &at); err != nil {
			return nil, s.trouble(err)
		}
		u.At = time.UnixMilli(at).UTC()
		uses = append(uses, u)
	}
	return uses, s.trouble(rows.Err())
}

// History reads what was had from an hour on, oldest first.
func (s *Store) History(ctx context.Context, from int64) ([]Had, error) {
	rows, err := s.read.QueryContext(ctx, `SELECT hour, queue, owner, gpu_time, cpu_time, attempts, jobs, waited FROM history WHERE hour >= ? ORDER BY hour, queue, owner`, from)
	if err != nil {
		return nil, s.trouble(err)
	}
	defer rows.Close()
	var list []Had
	for rows.Next() {
		var h Had
		var waited int64
		if err := rows.Scan(&h.Hour, &h.Queue, &h.User, &h.GPUTime, &h.CPUTime, &h.Attempts, &h.Jobs, &waited); err != nil {
			return nil, s.trouble(err)
		}
		h.Waited = time.Duration(waited) * time.Millisecond
		list = append(list, h)
	}
	return list, s.trouble(rows.Err())
}

// Use reads what a user had of a queue; nothing yet is a use without a time.
func (tx *Tx) Use(queue, user string) (nexus.QueueUse, error) {
	u := nexus.QueueUse{Queue: queue, User: user}
	var at int64
	err := tx.store.conn.QueryRowContext(tx.ctx, `SELECT gpu_time, cpu_time, at FROM uses WHERE queue = ? AND owner = ?`, queue, user).
		Scan(&u.GPUTime, &u.CPUTime, &at)
	if errors.Is(err, sql.ErrNoRows) {
		return u, nil
	}
	u.At = time.UnixMilli(at).UTC()
	return u, tx.fail(err)
}

// LiveIn counts the jobs of a queue that are not over.
func (tx *Tx) LiveIn(queue string) (n int, err error) {
	err = tx.store.conn.QueryRowContext(tx.ctx, `SELECT count(*) FROM jobs WHERE over = 0 AND queue = ?`, queue).Scan(&n)
	return n, tx.fail(err)
}

// WaitingOf counts the jobs of a user that wait in any of these queues.
func (tx *Tx) WaitingOf(queues []string, user string) (n int, err error) {
	args := []any{user}
	for _, q := range queues {
		args = append(args, q)
	}
	err = tx.store.conn.QueryRowContext(tx.ctx, `SELECT count(*) FROM jobs WHERE over = 0 AND phase = 'Pending' AND owner = ? AND queue IN (?`+
		strings.Repeat(", ?", len(queues)-1)+`)`, args...).Scan(&n)
	return n, tx.fail(err)
}
