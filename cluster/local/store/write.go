package store

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"

	"ainexus.io/nexus"
)

// groupSize bounds how many changes share a commit.
const groupSize = 256

// change is one function that waits for its commit.
type change struct {
	apply func(*Tx) error
	done  chan error
}

// Do runs apply in a transaction and returns once that is on disk, or with the error for which nothing of it is.
// Apply runs in the writer: it must only compute and use its Tx. Once it was handed over, the end of ctx is no longer
// waited for: a caller that is told of an error by ctx would not know what became of the change.
func (s *Store) Do(ctx context.Context, apply func(*Tx) error) error {
	c := &change{apply: apply, done: make(chan error, 1)}
	select {
	case <-s.closing:
		return errClosed
	default:
	}
	select {
	case s.changes <- c:
	case <-s.closing:
		return errClosed
	case <-ctx.Done():
		return ctx.Err()
	}
	select {
	case err := <-c.done:
		return err
	case <-s.gone:
	}
	select {
	case err := <-c.done:
		return err
	default:
		return errClosed
	}
}

// writer commits what waits, in groups, until the store is closed.
func (s *Store) writer() {
	defer close(s.gone)
	group := make([]*change, 0, groupSize)
	for {
		select {
		case c := <-s.changes:
			group = append(group[:0], c)
		case <-s.closing:
			s.refuse()
			return
		}
	more:
		for len(group) < groupSize {
			select {
			case c := <-s.changes:
				group = append(group, c)
			default:
				break more
			}
		}
		s.commit(group)
		clear(group)
	}
}

// refuse answers those who came as the store closed.
func (s *Store) refuse() {
	for {
		select {
		case c := <-s.changes:
			c.done <- errClosed
		default:
			return
		}
	}
}

// commit runs the group in one transaction and answers each change.
func (s *Store) commit(group []*change) {
	ctx := context.Background()
	tx := &Tx{ctx: ctx, store: s}
	results := make([]error, len(group))
	err := s.begin(ctx)
	seq := s.seq
	if err == nil {
		for i, c := range group {
			if results[i], err = s.attempt(tx, c); err != nil {
				break
			}
		}
		if err == nil && tx.empty() {
			err = s.exec(ctx, "ROLLBACK")
		} else if err == nil {
			err = s.finish(tx)
		}
		if err != nil {
			// After some errors SQLite has rolled back by itself, and says so here.
			_ = s.exec(ctx, "ROLLBACK")
			s.seq = seq
		}
	}
	if err == nil && !tx.empty() && s.opts.Committed != nil {
		s.opts.Committed(tx.records, tx.events)
	}
	err = s.trouble(err)
	for i, c := range group {
		if err != nil {
			c.done <- err
			continue
		}
		c.done <- results[i]
	}
}

// attempt runs one change on a savepoint. Its own refusal leaves the group as it was; an error of the file, which is
// the second result, ends the group.
func (s *Store) attempt(tx *Tx, c *change) (refused, broken error) {
	records, events, seq := len(tx.records), len(tx.events), s.seq
	if err := s.exec(tx.ctx, "SAVEPOINT change"); err != nil {
		return nil, err
	}
	err := protect(c.apply, tx)
	if tx.broken != nil {
		return nil, tx.broken
	}
	if err == nil {
		return nil, s.exec(tx.ctx, "RELEASE change")
	}
	tx.records, tx.events, s.seq = tx.records[:records], tx.events[:events], seq
	return err, errors.Join(s.exec(tx.ctx, "ROLLBACK TO change"), s.exec(tx.ctx, "RELEASE change"))
}

// protect turns a panic of one change into its error: the others of the group are not to blame.
func protect(apply func(*Tx) error, tx *Tx) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = &nexus.Error{Code: nexus.CodeInternal, Message: fmt.Sprintf("a change of the records went wrong: %v", r),
				Hint: string(debug.Stack())}
		}
	}()
	return apply(tx)
}

func (s *Store) begin(ctx context.Context) error { return s.exec(ctx, "BEGIN IMMEDIATE") }

// finish leaves the time behind, drops events that are too old and commits.
func (s *Store) finish(tx *Tx) error {
	if _, err := s.statements.mark.ExecContext(tx.ctx, s.opts.Now().UnixNano()); err != nil {
		return err
	}
	if len(tx.events) > 0 && s.seq > uint64(s.opts.Events) {
		if _, err := s.statements.dropEvents.ExecContext(tx.ctx, s.seq-uint64(s.opts.Events)); err != nil {
			return err
		}
	}
	return s.exec(tx.ctx, "COMMIT")
}

func (s *Store) exec(ctx context.Context, statement string) error {
	_, err := s.conn.ExecContext(ctx, statement)
	return err
}
